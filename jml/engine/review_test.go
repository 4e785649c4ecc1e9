package engine_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"jmld/jml"
	"jmld/jml/engine"
	"jmld/jml/policy"
	"jmld/model"
)

// commits counts them.
type commits struct {
	engine.Store
	n atomic.Int64
}

func (c *commits) Commit(ctx context.Context, commit *engine.Commit) error {
	c.n.Add(1)
	return c.Store.Commit(ctx, commit)
}

// D-18: what a change of a group means for its members costs little when it means nothing.
func TestReviewOfPeopleToWhomNothingHappensIsOneCommit(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		var ids []string
		for i := range 8 {
			id := fmt.Sprint("r-", i)
			if _, err := h.scim("entra", id, fmt.Sprintf("u%d@example.org", i), true, nil); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		push := func(group, name string, members ...string) {
			_, err := h.Push(h.ctx, engine.Push{Source: "entra", Kind: model.KindGroup, ID: group, Actor: "test", Action: "scim.patch", Add: members,
				Change: func(cur *model.Record) (*model.Record, engine.MemberChange, error) {
					return &model.Record{DisplayName: name, DisplayNameKey: name, Active: true, Attrs: "{}"}, engine.MemberChange{Add: members}, nil
				}})
			if err != nil {
				t.Fatal(err)
			}
		}
		push("g-1", "readers", ids...)
		push("g-2", "builders", ids[0])
		counted := &commits{Store: h.store}
		o := h.opts
		o.Store = counted
		if n, err := engine.New(o).Tend(h.ctx); err != nil || n != 8 {
			t.Fatal(n, err)
		}
		if n := counted.n.Load(); n != 2 {
			t.Errorf("%d commits, want one for seven people and one for the new builder", n)
		}
		for _, p := range h.identities() {
			if p.ReviewAt != nil {
				t.Errorf("%s is still due at %v", p.UserName, p.ReviewAt)
			}
		}
	})
}

// D-21: accounts that are there when an administrator's rule or a protection is configured are covered by it.
func TestAReviewNotesWhoIsPrivilegedSince(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		rule := policy.Rule{Name: "everybody", Target: "app", When: "true"}
		r := *h.opts.Rules
		r.Policy = compiled(t, rule)
		h.SetRules(&r)
		h.says("1", "breakglass-1", true, "")
		h.work()
		since := r
		rule.Administrator = true
		since.Policy = compiled(t, rule)
		since.Protect = jml.Protection{People: []jml.ProtectedPeople{{Name: "emergency", Key: jml.KeyUserName, Pattern: "breakglass-*"}}}
		h.SetRules(&since)
		if n, err := h.store.AdoptRules(h.ctx, "since"); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		if _, err := h.Tend(h.ctx); err != nil {
			t.Fatal(err)
		}
		if a := h.accountOf("breakglass-1"); !a.Administrator || a.ProtectedBy != "emergency" {
			t.Errorf("administrator %t, protected by %q", a.Administrator, a.ProtectedBy)
		}
	})
}
