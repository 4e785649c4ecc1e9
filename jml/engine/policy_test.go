package engine_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/jml"
	"jmld/jml/access"
	"jmld/jml/engine"
	"jmld/jml/policy"
	"jmld/model"
)

// A run ends by the rules it began with; then everybody it decided about is decided about by those that were adopted meanwhile.
func TestARunKeepsTheRulesItBeganWith(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.opts.Fingerprint = "one"
		h.Engine = engine.New(h.opts)
		if _, err := h.store.AdoptRules(h.ctx, "one"); err != nil {
			t.Fatal(err)
		}
		next := *h.opts.Rules
		var mistakes []policy.Mistake
		next.Policy, mistakes = policy.Compile(policy.Config{Accounts: []policy.Rule{{Name: "first", Target: "app", When: `person.userName == "person001"`}}}, next.Targets)
		if len(mistakes) > 0 {
			t.Fatal(mistakes)
		}
		h.dir.users = people(3)
		h.dir.during = func() {
			if err := h.Adopt(h.ctx, engine.Policy{Rules: &next, Fingerprint: "two", Guard: h.opts.Guard, Targets: h.opts.Targets}, nil); err != nil {
				t.Error(err)
			}
		}
		h.sync()
		if d := cmp.Diff([]string{"person000", "person001", "person002"}, h.app.active()); d != "" {
			t.Errorf("by the run (-want +got):\n%s", d)
		}
		for _, p := range h.identities() {
			if p.Rules != "one" {
				t.Errorf("%s was decided about by rules %q", p.UserName, p.Rules)
			}
		}
		if inForce, n, err := h.store.FollowRules(h.ctx, "two", time.Now()); err != nil || !inForce || n != 3 {
			t.Fatalf("%v, %d to review, %v", inForce, n, err)
		}
		if _, err := h.Tend(h.ctx); err != nil {
			t.Fatal(err)
		}
		h.work()
		if d := cmp.Diff([]string{"person001"}, h.app.active()); d != "" {
			t.Errorf("by the review (-want +got):\n%s", d)
		}
	})
}

// Groups and roles are changed in the transaction that adopts the rules, and judged by the limits adopted with them.
func TestGroupsAndRolesAreAdoptedWithTheRules(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.opts.Fingerprint, h.opts.Rules = "one", byRoles(h)
		h.Engine = engine.New(h.opts)
		if _, err := h.store.AdoptRules(h.ctx, "one"); err != nil {
			t.Fatal(err)
		}
		ada, err := h.scim("entra", "e-1", "ada", true, number("1"))
		if err != nil {
			t.Fatal(err)
		}
		bo, err := h.scim("entra", "e-2", "bo", true, number("2"))
		if err != nil {
			t.Fatal(err)
		}
		h.edit(func(s *access.State) {
			company(s, ada.Record.IdentityID)
			s.Give(given(bo.Record.IdentityID, "group:builders", "developer"))
		})
		h.settle()
		next := engine.Policy{Rules: byRoles(h), Fingerprint: "two", Targets: h.opts.Targets} // a guard that lets nobody go
		take := &engine.AccessEdit{Actor: "operator ada", Manager: model.ManagedByOperator, Areas: access.Areas(), Brake: true,
			Edit: func(s *access.State, _ *access.Tree) error {
				s.Take(bo.Record.IdentityID, "group:builders", "developer", false)
				return nil
			}}
		if err := h.Adopt(h.ctx, next, take); model.CodeOf(err) != model.CodeAccessHeld {
			t.Fatalf("by the new limits: %v", err)
		}
		if inForce, _, err := h.store.FollowRules(h.ctx, "one", time.Now()); err != nil || !inForce {
			t.Fatalf("rules without their groups and roles: %v", err)
		}
		h.settle()
		next.Guard = jml.Limits{Count: 1}
		if err := h.Adopt(h.ctx, next, take); err != nil {
			t.Fatal(err)
		}
		if inForce, n, err := h.store.FollowRules(h.ctx, "two", time.Now().Add(time.Hour)); err != nil || !inForce || n != 0 {
			t.Errorf("in force %v, %d to review who were not marked, %v", inForce, n, err)
		}
		if due, err := h.store.DueReviews(h.ctx, time.Now().Add(time.Hour), time.Minute, 9); err != nil || len(due) != 2 {
			t.Errorf("%v are reviewed, %v; want both", due, err)
		}
	})
}
