// Package memory is a target inside the daemon, for trying policies out: its accounts are real to the engine and to the
// console, and gone when the process ends.
package memory

import (
	"cmp"
	"context"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"jmld/jml"
	"jmld/jml/engine"
	"jmld/model"
)

// Target keeps accounts in a map. Its methods may be called by several goroutines.
type Target struct {
	name string

	mu     sync.Mutex
	users  map[string]user   // by identity: the identity's id is the account's id, too
	byName map[string]string // folded userName -> identity
}

type user struct {
	userName string
	attrs    string // canonical JSON
	active   bool
}

// New makes an empty target.
func New(name string) *Target {
	return &Target{name: name, users: map[string]user{}, byName: map[string]string{}}
}

// Name is the configured name.
func (t *Target) Name() string { return t.name }

// Ensure brings the account to what is wanted. A userName belongs to one account at a time, compared without case.
func (t *Target) Ensure(ctx context.Context, want model.Account) (model.Account, error) {
	if err := ctx.Err(); err != nil {
		return want, err
	}
	if want.IdentityID == "" {
		return want, engine.Permanent(model.Errorf(model.CodeTargetRefused, "the account has no identity"))
	}
	var attrs map[string]any
	if want.Desired != "" {
		dec := json.NewDecoder(strings.NewReader(want.Desired))
		dec.UseNumber() // numbers keep their digits
		if err := dec.Decode(&attrs); err != nil {
			return want, engine.Permanent(model.Errorf(model.CodeTargetRefused, "desired attributes are not a JSON object: %w", err))
		}
	}
	id := cmp.Or(want.NativeID, want.IdentityID) // who the account was made for: it may have changed hands since
	name, _ := attrs["userName"].(string)

	t.mu.Lock()
	defer t.mu.Unlock()
	cur, exists := t.users[id]
	switch want.State {
	case model.AccountAbsent:
		t.remove(id)
		exists = false
	case model.AccountInactive:
		if exists {
			next := user{userName: name, attrs: canonical(attrs), active: false}
			if name == "" { // nothing said about the attributes: they stay
				next = user{userName: cur.userName, attrs: cur.attrs}
			}
			if err := t.put(id, next); err != nil {
				return want, err
			}
		}
	case model.AccountActive:
		if name == "" {
			return want, engine.Permanent(model.Errorf(model.CodeTargetRefused, "desired attributes have no userName"))
		}
		if err := t.put(id, user{userName: name, attrs: canonical(attrs), active: true}); err != nil {
			return want, err
		}
		exists = true
	default:
		return want, engine.Permanent(model.Errorf(model.CodeInternal, "account state %q cannot be ensured", want.State))
	}
	if !exists {
		want.NativeID, want.AppliedState, want.Applied = "", model.AccountAbsent, ""
		return want, nil
	}
	return t.account(want, id), nil
}

// Accounts lists the accounts as they are when the listing starts, ordered by id.
func (t *Target) Accounts(ctx context.Context) iter.Seq2[model.Account, error] {
	return func(yield func(model.Account, error) bool) {
		t.mu.Lock()
		var list []model.Account
		for _, id := range slices.Sorted(maps.Keys(t.users)) {
			list = append(list, t.account(model.Account{IdentityID: id, Target: t.name, UserName: t.users[id].userName}, id))
		}
		t.mu.Unlock()
		for _, a := range list {
			if err := ctx.Err(); err != nil {
				yield(model.Account{}, err)
				return
			}
			if !yield(a, nil) {
				return
			}
		}
	}
}

func (t *Target) put(id string, u user) error {
	key := model.FoldKey(u.userName)
	if owner, taken := t.byName[key]; taken && owner != id {
		return engine.Permanent(model.Errorf(model.CodeTargetConflict,
			"target %s has another account with this userName (%s)", t.name, owner))
	}
	t.remove(id)
	t.users[id] = u
	t.byName[key] = id
	return nil
}

func (t *Target) remove(id string) {
	if u, ok := t.users[id]; ok {
		delete(t.byName, model.FoldKey(u.userName))
		delete(t.users, id)
	}
}

// account fills in what is there.
func (t *Target) account(a model.Account, id string) model.Account {
	u := t.users[id]
	a.NativeID, a.Applied, a.AppliedState = id, u.attrs, model.AccountInactive
	if u.active {
		a.AppliedState = model.AccountActive
	}
	if a.Origin == "" {
		a.Origin = model.OriginOurs
	}
	return a
}

func canonical(attrs map[string]any) string {
	if attrs == nil {
		attrs = map[string]any{}
	}
	return jml.Canonical(attrs)
}
