package engine_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/jml"
	"jmld/jml/engine"
	"jmld/model"
)

// changing is a directory that can be asked for changes. It lists everybody all the same.
type changing struct {
	*directory
	mark  string // of the next read
	asked string // the mark of the last question
	after string // and of the last read
	doubt bool
}

func (c *changing) Read(ctx context.Context, emit func(model.Entry) error) (model.Proof, error) {
	p, err := c.directory.Read(ctx, emit)
	p.Mark = c.mark
	return p, err
}

func (c *changing) ReadAfter(ctx context.Context, mark string, emit func(model.Entry) error) (model.Proof, error) {
	c.after = mark
	return c.Read(ctx, emit)
}

func (c *changing) Changes(ctx context.Context, q engine.Changes, emit func(model.Entry) error) (model.Proof, error) {
	if c.asked = q.Mark(); c.doubt {
		return model.Proof{}, &model.Doubt{Text: "scripted"}
	}
	return c.Read(ctx, emit)
}

// incremental makes the house's directory one that can be asked for changes.
func (h *house) incremental() *changing {
	c := &changing{directory: h.dir, mark: "one"}
	h.opts.Sources[0].Source = c
	h.Engine = engine.New(h.opts)
	return c
}

func (h *house) read(mode model.Mode) engine.Synced {
	h.t.Helper()
	out, err := h.Sync(h.ctx, "corp", engine.SyncOptions{Trigger: "demand", Actor: "test", Mode: mode})
	if err != nil {
		h.t.Fatal(err)
	}
	h.work()
	return out
}

// A read every minute may not take a full read's share every minute.
func TestReadsOfChangesAreCountedOverTheWindow(t *testing.T) { // D-04; directory-connector #107
	t.Parallel()
	for name, mode := range map[string]model.Mode{"delta": model.ModeDelta, "census": model.ModeCensus} {
		for how, doubt := range map[string]bool{"": false, " that reads everything": true} {
			t.Run(name+how, func(t *testing.T) {
				t.Parallel()
				onBoth(t, func(t *testing.T, h *house) {
					c := h.incremental()
					h.dir.users = people(40)
					h.sync()
					c.doubt = doubt
					for left := 2; left <= 8; left += 2 {
						h.dir.users = people(40 - left)
						h.read(mode)
					}
					if d := cmp.Diff(names(36), h.app.active()); d != "" { // 5 are the limit
						t.Error(d)
					}
				})
			})
		}
	}
}

// What the store refused is read again from where it was refused.
func TestTheMarkWaitsForWhatTheStoreRefused(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		c := h.incremental()
		mark := func(want string) {
			t.Helper()
			cp, err := h.store.Checkpoint(h.ctx, "corp")
			if err != nil || cp.Mark != want {
				t.Errorf("%+v, %v, want %s", cp, err, want)
			}
		}
		h.dir.users = people(3)
		h.dir.users[0].UniqueKey = "x"
		h.sync()
		mark("one")
		if h.sync(); c.after != "one" {
			t.Errorf("read without what the last read had seen: %q", c.after)
		}
		c.mark = "two"
		h.dir.users[1].UniqueKey, h.dir.users[1].DisplayName = "x", "Changed"
		if out := h.read(model.ModeDelta); out.Funnel.Skipped != 1 {
			t.Fatalf("%+v", out.Funnel)
		}
		mark("one")
		h.dir.users = people(3)
		h.read(model.ModeDelta)
		if c.asked != "one" {
			t.Errorf("asked from %q on", c.asked)
		}
		mark("two")
		c.mark = "three"
		new := person(4)
		new.Unknown = []string{"/active"} // comes when it changes
		h.dir.users = append(h.dir.users, new)
		h.read(model.ModeDelta)
		mark("three")
	})
}

// A key that the source cannot tell now is looked for all the same, and somebody new waits for it.
func TestUnknownKeysAreAskedFor(t *testing.T) { // D-20
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		const number = "/" + jml.EnterpriseUser + "/employeeNumber"
		without := func(n int) model.Entry {
			en := person(n)
			en.Attrs = jml.Canonical(map[string]any{"userName": en.UserName, "displayName": en.DisplayName})
			en.Unknown = []string{"/emails", number}
			return en
		}
		owned := func(n int) (values []string) {
			t.Helper()
			people, err := h.store.Load(h.ctx, []engine.Subject{{Source: "corp", Record: person(n).ID}})
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range people[0].Keys {
				values = append(values, k.Name+"="+k.Value)
			}
			slices.Sort(values)
			return values
		}
		// Both say the same number: the second is disputed. Then the first gives it up.
		h.dir.users = []model.Entry{person(0), person(1)}
		h.dir.users[1].Attrs = strings.Replace(h.dir.users[1].Attrs, `"1001"`, `"1000"`, 1)
		h.sync()
		if rec := h.record(person(1).ID); rec.Link == model.Linked {
			t.Fatalf("%+v", rec)
		}
		first := person(0)
		first.Attrs = strings.Replace(first.Attrs, `"1000"`, `"2000"`, 1)
		second := without(1)
		h.dir.users = []model.Entry{first, second}
		h.sync()
		if d := cmp.Diff([]string{"email=person001@example.org", "employeeNumber=1000", "userName=person001"}, owned(1)); d != "" {
			t.Error(d)
		}
		for _, unknown := range []string{number, "/emails", "/emails/0/value"} {
			stranger := without(5)
			stranger.Unknown = []string{unknown}
			h.dir.users = []model.Entry{first, second, stranger}
			out := h.sync()
			if rec := h.record(stranger.ID); rec.ID != "" || len(out.Proof.Skipped) != 1 {
				t.Errorf("new, and its %s unknown: %+v, skipped %+v", unknown, rec, out.Proof.Skipped)
			}
		}
	})
}
