package engine_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/jml"
	"jmld/jml/engine"
	"jmld/model"
)

// behind is a store that stores many records, if that is soon, only when somebody decides about the next ones.
type behind struct {
	engine.Store
	loads, commits atomic.Int64
	stale          int64        // each so many times somebody else was there before
	under          atomic.Int64 // are being stored
	most           atomic.Int64
	gone           int64 // there is no database from this commit on
}

func (b *behind) Load(ctx context.Context, s []engine.Subject) ([]engine.Person, error) {
	b.loads.Add(1)
	return b.Store.Load(ctx, s)
}

func (b *behind) Commit(ctx context.Context, c *engine.Commit) error {
	if len(c.Records)+len(c.Identities) < 50 {
		return b.Store.Commit(ctx, c)
	}
	b.most.Store(max(b.most.Load(), b.under.Add(1)))
	defer b.under.Add(-1)
	loads, n := b.loads.Load(), b.commits.Add(1)
	for end := time.Now().Add(20 * time.Millisecond); b.loads.Load() == loads && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	switch {
	case b.gone > 0 && n >= b.gone:
		return errDead
	case b.stale > 0 && n%b.stale == 0:
		return fmt.Errorf("somebody was there before: %w", model.ErrStale)
	}
	return b.Store.Commit(ctx, c)
}

// found is what a read left behind.
type found struct {
	Funnel   model.Funnel
	Plans    map[model.Brake]int
	Accounts map[string]string
}

func (h *house) found(out engine.Synced) found {
	h.t.Helper()
	f := found{Funnel: out.Funnel, Plans: map[model.Brake]int{}, Accounts: map[string]string{}}
	for _, p := range h.heldPlans() {
		f.Plans[p.Brake] += p.Items
	}
	all, err := h.store.Accounts(h.ctx, model.AccountQuery{Limit: 1000})
	if err != nil {
		h.t.Fatal(err)
	}
	who := map[string]string{}
	for _, id := range h.identities() {
		who[id.ID] = id.UserName
	}
	for _, a := range all {
		f.Accounts[who[a.IdentityID]+" in "+a.Target] = fmt.Sprint(a.State, " ", strings.ReplaceAll(a.Desired, a.IdentityID, "theirs"), " ", a.HeldPlan != "", " ", a.HeldAttrs != "")
	}
	return f
}

// changed is a directory in which much changed: titles, who is active, who has which employee number, and who is in a group.
func changed() (users, groups []model.Entry) {
	users = people(410)
	for i := range users {
		attrs := map[string]any{"title": fmt.Sprint("Title ", i%7)}
		switch {
		case i%40 == 0:
			users[i].Active = false
		case i%50 == 1: // has the number of somebody who is read long before or after
			attrs[jml.EnterpriseUser+":employeeNumber"] = fmt.Sprint(1000 + (i+200)%410)
		}
		users[i] = with(users[i], attrs)
	}
	var builders []string
	for i := range 380 {
		builders = append(builders, users[i].ID)
	}
	return users, []model.Entry{group("builders", builders...)}
}

// What is decided while others are being stored is what would be decided after that, also when those could not be stored at first.
func TestDecidedAheadIsAsDecidedAfter(t *testing.T) {
	t.Parallel()
	play := func(h *house, b *behind) map[string]found {
		h.opts.Store, h.dir.users = b, people(250)
		h.Engine = engine.New(h.opts)
		all := map[string]found{}
		read := func(what string) {
			h.t.Helper()
			out, err := h.Sync(h.ctx, "corp", engine.SyncOptions{Trigger: "demand", Actor: "test"})
			if err != nil {
				h.t.Fatal(err)
			}
			all[what] = h.found(out)
		}
		read("first")
		h.dir.users, h.dir.groups = changed()
		read("much changed")
		h.dir.users, h.dir.groups = people(400), []model.Entry{group("builders", person(7).ID)}
		read("changed back")
		return all
	}
	slow := newHouse(t, "sqlite:"+filepath.Join(t.TempDir(), "jmld.db"))
	after := &behind{Store: slow.store, stale: 2}
	after.commits.Store(1) // nothing that was decided ahead is ever stored
	want := play(slow, after)
	onBoth(t, func(t *testing.T, h *house) {
		b := &behind{Store: h.store, stale: 4}
		if d := cmp.Diff(want, play(h, b)); d != "" {
			t.Errorf("(-one after the other +ahead):\n%.3000s", d)
		}
		if b.commits.Load() < 6 || b.most.Load() != 1 {
			t.Errorf("%d commits, %d at once", b.commits.Load(), b.most.Load())
		}
	})
}

// A run whose database goes away while it decides ends with that, and nothing of it comes later.
func TestARunThatDecidedAheadEndsWithItsDatabase(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		b := &behind{Store: h.store, gone: 2}
		h.opts.Store = b
		h.dir.users = people(450)
		_, err := engine.New(h.opts).Sync(h.ctx, "corp", engine.SyncOptions{Trigger: "demand", Actor: "test"})
		if !errors.Is(err, model.ErrUnavailable) || b.under.Load() != 0 || b.commits.Load() != 2 {
			t.Errorf("%v; %d are being stored, %d were", err, b.under.Load(), b.commits.Load())
		}
		if n := len(h.identities()); n != 200 {
			t.Errorf("%d people, want those of the first transaction", n)
		}
	})
}
