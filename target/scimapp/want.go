package scimapp

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	"jmld/jml"
	"jmld/model"
)

// wanted is an account with its attributes read.
type wanted struct {
	account     model.Account
	attrs       map[string]any // desired; nil: nothing is said about attributes
	dropped     [][]string     // paths we wrote before and are not wanted any more
	userName    string         // to find it by
	oldName     string         // the one it had when it was last written, when that was another
	externalIDs []string       // that are ours, the wanted one first
	stamp       bool           // the policy says no externalId: the identity's id marks the account as taken
	hands       []model.Op     // steps of a person
}

// parseWant reads the account. Attributes we once applied and are no longer desired are to go; what we never managed is
// left alone.
func parseWant(a model.Account) (wanted, error) {
	w := wanted{account: a}
	switch a.State {
	case model.AccountActive, model.AccountInactive, model.AccountAbsent:
	default:
		return w, model.Errorf(model.CodeInternal, "account state %q cannot be ensured", a.State)
	}
	desired, err := object(a.Desired)
	if err != nil {
		return w, model.Errorf(model.CodeTargetRefused, "desired attributes are not a JSON object: %w", err)
	}
	applied, err := object(a.Applied)
	if err != nil {
		applied = nil // what was applied is then not known: nothing is dropped
	}
	for k := range desired {
		if providers(k) || strings.EqualFold(k, "schemas") || strings.EqualFold(k, "active") {
			delete(desired, k) // active is the state's to say
		}
	}
	for _, from := range []map[string]any{desired, applied} {
		if s, _ := from["userName"].(string); s != "" {
			if w.userName == "" {
				w.userName = s
			} else if s != w.userName {
				w.oldName = s
			}
		}
		if s, _ := from["externalId"].(string); s != "" && !slices.Contains(w.externalIDs, s) {
			w.externalIDs = append(w.externalIDs, s)
		}
	}
	if w.userName == "" {
		w.userName = a.UserName
	}
	if _, says := desired["externalId"]; !says && a.IdentityID != "" {
		w.stamp = true
		w.externalIDs = append(w.externalIDs, a.IdentityID)
	}
	if s, _ := desired["userName"].(string); s != "" {
		w.attrs = desired
		w.dropped = missing(applied, desired)
	} else if a.State == model.AccountActive {
		return w, model.Errorf(model.CodeTargetRefused, "desired attributes have no userName")
	}
	return w, nil
}

// ours says whether an externalId in the provider names this person.
func (w wanted) ours(externalID string) bool {
	return externalID == w.account.IdentityID || slices.Contains(w.externalIDs, externalID)
}

// sameName: a userName is compared without case (RFC 7643 §4.1.1).
func sameName(r *resource, name string) bool {
	return name != "" && model.FoldKey(r.text("userName")) == model.FoldKey(name)
}

func (w wanted) absent() model.Account {
	a := w.account
	a.NativeID, a.AppliedState, a.Applied = "", model.AccountAbsent, ""
	return a
}

// edit is one attribute that is not as wanted: a path of one or two names and its value, nil when it is to go.
type edit struct {
	path  []string
	value any
}

// edits are the attributes of cur that are not as wanted, ordered by path; active comes first.
func (w wanted) edits(cur *resource) []edit {
	var out []edit
	if cur.state() != w.account.State {
		out = append(out, edit{[]string{"active"}, w.account.State == model.AccountActive})
	}
	for _, path := range paths(w.attrs) {
		if value := at(w.attrs, path); !covers(value, at(cur.body, path)) {
			out = append(out, edit{path, value})
		}
	}
	if w.stamp && w.attrs != nil && cur.text("externalId") != w.account.IdentityID {
		out = append(out, edit{[]string{"externalId"}, w.account.IdentityID})
	}
	for _, path := range w.dropped {
		if w.stamp && path[0] == "externalId" {
			continue // replaced by the mark
		}
		if !empty(at(cur.body, path)) {
			out = append(out, edit{path, nil})
		}
	}
	return out
}

func (w wanted) byHand(op model.Op) bool { return slices.Contains(w.hands, op) }

// known: the account was there when it was read back last.
func (w wanted) known() bool {
	return w.account.AppliedState == model.AccountActive || w.account.AppliedState == model.AccountInactive
}

// step is what an edit is a part of.
func (w wanted) step(e edit) model.Op {
	switch {
	case len(e.path) > 1 || e.path[0] != "active":
		return model.OpUpdate
	case e.value == true:
		return model.OpReactivate
	}
	return model.OpDeactivate
}

// mine are the edits that no person has to make.
func (w wanted) mine(cur *resource) []edit {
	return slices.DeleteFunc(w.edits(cur), func(e edit) bool { return w.byHand(w.step(e)) })
}

// left is the step that a person has to take; "": none. Whether somebody gets in comes before what is said about them,
// which is nobody's task once they do not.
func (w wanted) left(cur *resource) model.Op {
	for _, e := range w.edits(cur) {
		if op := w.step(e); w.byHand(op) && (op != model.OpUpdate || w.account.State == model.AccountActive) {
			return op
		}
	}
	return ""
}

// project is what the provider has of the attributes that are ours, canonical: the desired text when all is as wanted.
func (w wanted) project(cur *resource) string {
	out := map[string]any{}
	if w.attrs == nil { // nothing was said: what we applied last is what is ours
		if applied, err := object(w.account.Applied); err == nil {
			for _, path := range paths(applied) {
				put(out, path, narrow(at(applied, path), at(cur.body, path)))
			}
		}
		return jml.Canonical(out)
	}
	for _, path := range slices.Concat(paths(w.attrs), w.dropped) {
		put(out, path, narrow(at(w.attrs, path), at(cur.body, path)))
	}
	return jml.Canonical(out)
}

// object reads a JSON object column; an empty text is an empty object. Numbers keep their digits.
func object(text string) (map[string]any, error) {
	m := map[string]any{}
	if text == "" {
		return m, nil
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&m); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one value")
	}
	if m == nil {
		m = map[string]any{}
	}
	return m, nil
}
