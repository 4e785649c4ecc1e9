package engine_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/jml"
	"jmld/jml/engine"
	"jmld/model"
)

// telling is a directory that tells what changed, and lists nobody.
type telling struct {
	*changing
	changed []model.Entry
	missing map[string]bool // true: deleted
	known   []string        // of the missing ones
	unread  map[string]bool // that it was told to read again
}

func (c *telling) Changes(ctx context.Context, q engine.Changes, emit func(model.Entry) error) (model.Proof, error) {
	c.asked = q.Mark()
	for id, deleted := range c.missing {
		if q.Missing(id, deleted) {
			c.known = append(c.known, id)
		}
	}
	for _, id := range q.Unread(3) {
		if c.unread != nil {
			c.unread[id] = true
		}
	}
	all := c.directory.users
	groups := c.directory.groups
	c.directory.users, c.directory.groups = c.changed, nil
	p, err := c.Read(ctx, emit)
	c.directory.users, c.directory.groups = all, groups
	p.Unlisted = true
	return p, err
}

func (h *house) telling() *telling {
	c := &telling{changing: h.incremental(), missing: map[string]bool{}}
	h.opts.Sources[0].Source = c
	h.Engine = engine.New(h.opts)
	return c
}

// Of a read that lists only what changed nobody else is absent; who is said to be missing is looked for; a recorded deletion of somebody
// who is found nowhere is one.
func TestOnlyWhoIsSaidToBeMissingIsLookedFor(t *testing.T) { // D-01
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		absent(h)
		c := h.telling()
		h.dir.users = people(10)
		h.sync()
		for id, state := range map[string]model.SightingState{
			"dir-person007": model.SightNowhere, "dir-person008": model.SightNowhere, "dir-person009": model.SightListed, "dir-nobody": model.SightDeleted,
		} {
			h.dir.seen[id], c.missing[id] = state, id == "dir-person008"
		}
		c.mark, c.changed = "two", []model.Entry{person(3)}
		c.changed[0].DisplayName = "Changed"
		out := h.read(model.ModeDelta)
		if slices.Sort(c.known); !cmp.Equal(c.known, []string{"dir-person007", "dir-person008", "dir-person009"}) || h.dir.asked != 3 {
			t.Errorf("%v, %d looked for", c.known, h.dir.asked)
		}
		want := slices.DeleteFunc(names(10), func(n string) bool { return n == "person008" })
		if d := cmp.Diff(want, h.app.active()); d != "" || out.Funnel.Missing != 1 || out.Funnel.Absent != 1 || out.Funnel.Changed != 1 {
			t.Errorf("%s, %+v", d, out.Funnel)
		}
		if rec := h.record("dir-person007"); rec.MissingRuns != 1 {
			t.Errorf("%+v", rec)
		}
		if rec := h.record("dir-person000"); rec.MissingRuns != 0 {
			t.Errorf("who was not listed is not missing: %+v", rec)
		}
	})
}

// What is reported once must not be lost when it could not be looked at.
func TestTheMarkWaitsForWhoCouldNotBeLookedFor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		many  int
		state model.SightingState
	}{"no answer": {1, model.SightNone}, "too many": {9, model.SightDeleted}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, h *house) {
				absent(h)
				dir := h.telling()
				h.dir.users = people(20)
				h.sync()
				for i := range c.many {
					dir.missing[person(i).ID] = true
					h.dir.seen[person(i).ID] = c.state
				}
				dir.mark = "two"
				for range 2 {
					h.read(model.ModeDelta)
					if dir.asked != "one" {
						t.Errorf("asked from %q on", dir.asked)
					}
				}
				if d := cmp.Diff(names(20), h.app.active()); d != "" {
					t.Error(d)
				}
				cp, err := h.store.Checkpoint(h.ctx, "corp")
				if err != nil || cp.Mark != "one" {
					t.Errorf("%+v, %v", cp, err)
				}
			})
		})
	}
}

// Of many that have to be read again each has its turn.
func TestWhoCouldNotBeReadIsNotForgottenForOthers(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		absent(h)
		c := h.telling()
		h.dir.users = people(8)
		h.sync()
		h.dir.users = people(3)
		for _, en := range people(8)[3:] {
			h.dir.seen[en.ID] = model.SightNowhere
		}
		h.sync() // five are missing: a read of changes looks again
		c.unread = map[string]bool{}
		for range 60 { // three of five each time: one is left out of all of them once in 10^23
			if _, err := h.Sync(h.ctx, "corp", engine.SyncOptions{Trigger: "demand", Actor: "test", Mode: model.ModeDelta}); err != nil {
				t.Fatal(err)
			}
			if len(c.unread) == 5 {
				return
			}
		}
		t.Errorf("only %v", c.unread)
	})
}

// A manager who is merely missing is still the manager; when the absence is certain, nobody is.
func TestAReferenceStaysUntilTheAbsenceIsCertain(t *testing.T) {
	t.Parallel()
	const manager = "/" + jml.EnterpriseUser + "/manager"
	report := func(of string) model.Entry {
		en := person(0)
		attrs := map[string]any{"userName": en.UserName, "displayName": en.DisplayName}
		ext := map[string]any{"employeeNumber": "1000"}
		if of != "" {
			ext["manager"] = map[string]any{"value": of}
		} else {
			en.Dangling = []string{manager}
		}
		attrs[jml.EnterpriseUser] = ext
		en.Attrs = jml.Canonical(attrs)
		return en
	}
	onBoth(t, func(t *testing.T, h *house) {
		pass := absent(h)
		boss := person(9).ID
		has := func(when string, want bool) {
			t.Helper()
			if rec := h.record("dir-person000"); strings.Contains(rec.Attrs, `"manager":{"value":"`+boss+`"}`) != want || (len(rec.Hash) == 0) != (want && when != "first") {
				t.Errorf("%s: %s, hash %x", when, rec.Attrs, rec.Hash)
			}
		}
		h.dir.users = append([]model.Entry{report(boss)}, people(10)[1:]...)
		h.sync()
		has("first", true)
		h.dir.users = append([]model.Entry{report("")}, people(9)[1:]...)
		h.dir.seen[boss] = model.SightNowhere
		h.sync()
		has("missing once", true)
		h.dir.partial = true
		h.sync()
		has("missing in a read without proof", true)
		h.dir.partial = false
		pass(25 * time.Hour)
		h.sync()
		has("gone", false)

		// The manager is there; only the name in the report's entry is an old one.
		h.dir.users = append([]model.Entry{report(boss)}, people(10)[1:]...)
		h.sync()
		h.dir.users = append([]model.Entry{report("")}, people(10)[1:]...)
		h.sync()
		has("a name of nobody", false)
	})
}
