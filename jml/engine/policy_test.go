package engine_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/jml"
	"jmld/jml/access"
	"jmld/jml/engine"
	"jmld/jml/policy"
	"jmld/model"
)

func (h *house) appWhen(when string) *jml.Rules {
	h.t.Helper()
	next := *h.opts.Rules
	var mistakes []policy.Mistake
	next.Policy, mistakes = policy.Compile(policy.Config{Accounts: []policy.Rule{{Name: "first", Target: "app", When: when}}}, next.Targets)
	if len(mistakes) > 0 {
		h.t.Fatal(mistakes)
	}
	return &next
}

// A run goes on by the rules that are adopted while it reads, and what it decided by the others is decided again before anybody loses
// something by it.
func TestARunGoesOnByTheRulesThatAreAdopted(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.opts.Fingerprint, h.opts.Rules = "one", h.appWhen(`!has(person.title) || person.title != "leaver"`)
		h.Engine = engine.New(h.opts)
		if _, err := h.store.AdoptRules(h.ctx, "one"); err != nil {
			t.Fatal(err)
		}
		h.dir.users = people(202) // 200 are decided about at once
		h.sync()
		for i := range h.dir.users {
			title := "other"
			if i < 2 {
				title = "leaver"
			}
			h.dir.users[i] = with(h.dir.users[i], map[string]any{"title": title})
		}
		h.dir.during = func() {
			if err := h.Adopt(h.ctx, engine.Policy{Rules: h.appWhen("true"), Fingerprint: "two", Guard: h.opts.Guard, Targets: h.opts.Targets}, nil); err != nil {
				t.Error(err)
			}
		}
		h.sync()
		if _, err := h.Tend(h.ctx); err != nil {
			t.Fatal(err)
		}
		h.work()
		if d := cmp.Diff(names(202), h.app.active()); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		for _, p := range h.identities() {
			if p.Rules != "two" {
				t.Errorf("%s was decided about by rules %q", p.UserName, p.Rules)
			}
		}
		left, err := h.store.Changes(h.ctx, model.ChangeQuery{States: []model.ChangeState{model.ChangeCommitted}, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range left {
			if c.Op.Leaves() {
				t.Errorf("%s left by rules that are no more", c.Who)
			}
		}
	})
}

// A replica whose rules are not those in force stores what it is told. Nobody gets or loses anything by it, until those with the rules in
// force decide.
func TestWhoseRulesAreNotInForceDecidesNothing(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.opts.Fingerprint, h.opts.Rules = "one", h.appWhen("person.active")
		h.Engine = engine.New(h.opts)
		opts := h.opts
		opts.Fingerprint, opts.Rules, opts.Replica = "two", h.appWhen("person.active"), "first"
		other := engine.New(opts)
		opts.Replica = "second"
		third := engine.New(opts)
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(h.Adopt(h.ctx, engine.Policy{Rules: h.opts.Rules, Fingerprint: "one", Guard: h.opts.Guard, Targets: h.opts.Targets}, nil))
		push := func(id, name string, active bool, n string) {
			t.Helper()
			_, err := h.scim("entra", id, name, active, number(n))
			must(err)
		}
		push("e-1", "ada", true, "1")
		push("e-2", "bo", true, "2")
		h.work()
		must(other.Adopt(h.ctx, engine.Policy{Rules: opts.Rules, Fingerprint: "two", Guard: opts.Guard, Targets: opts.Targets}, nil))
		if _, free, err := h.store.Acquire(h.ctx, "rules:two", "as the version before asks", time.Millisecond); err != nil || free {
			t.Errorf("the lease of the rules in force is free: %t, %v", free, err)
		}
		push("e-1", "ada", false, "1") // leaves
		push("e-3", "cy", true, "3")   // joins
		_, err := h.Tend(h.ctx)
		must(err)
		h.work()
		if d := cmp.Diff([]string{"ada", "bo"}, h.app.active()); d != "" {
			t.Errorf("by rules that are not in force (-want +got):\n%s", d)
		}
		if _, err := h.Sync(h.ctx, "corp", engine.SyncOptions{}); model.CodeOf(err) != model.CodeRulesOther {
			t.Errorf("a read: %v", err)
		}
		if _, err := h.Approve(h.ctx, "p", "d", "ada"); model.CodeOf(err) != model.CodeRulesOther {
			t.Errorf("an approval: %v", err)
		}
		if h.InForce() {
			t.Error("it takes its rules for those in force")
		}
		push("e-1", "ada", false, "9") // said again, with another number
		_, err = other.Tend(h.ctx)
		must(err)
		h.work()
		if d := cmp.Diff([]string{"bo", "cy"}, h.app.active()); d != "" {
			t.Errorf("by those in force (-want +got):\n%s", d)
		}
		// Who is left takes over, and not before.
		inForce := func(want string) {
			t.Helper()
			must(h.TakeOver(h.ctx, nil))
			if is, err := h.store.RulesInForce(h.ctx); err != nil || is != want {
				t.Errorf("in force: %s, %v; want %s", is, err, want)
			}
		}
		inForce("two")
		adopted := engine.Policy{Rules: opts.Rules, Fingerprint: "two", Guard: opts.Guard, Targets: opts.Targets}
		must(third.Adopt(h.ctx, adopted, nil))
		ended, end := context.WithCancel(h.ctx)
		end()
		must(other.Run(ended))
		inForce("two") // one of two that work by them has ended
		must(third.Run(ended))
		inForce("one")
		push("e-2", "bo", false, "2")
		h.work()
		if d := cmp.Diff([]string{"cy"}, h.app.active()); d != "" {
			t.Errorf("by those in force again (-want +got):\n%s", d)
		}
	})
}

// A daemon that starts and whose groups the guard holds adopts neither them nor its rules.
func TestAHeldStartDecidesNothing(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		bo := byRulesOne(t, h)
		opts := h.opts
		opts.Fingerprint, opts.Rules = "two", h.appWhen(`person.userName == "nobody"`)
		started := engine.New(opts)
		take := &engine.AccessEdit{Actor: "configuration", Manager: model.ManagedByOperator, Areas: access.Areas(), Brake: true,
			Edit: func(s *access.State, _ *access.Tree) error {
				s.Take(bo, "group:builders", "developer", false)
				return nil
			}}
		next := engine.Policy{Rules: opts.Rules, Fingerprint: "two", Targets: opts.Targets} // a guard that lets nobody go
		if err := started.Adopt(h.ctx, next, take); model.CodeOf(err) != model.CodeAccessHeld {
			t.Fatalf("%v", err)
		}
		before := h.desired()
		ctx, cancel := context.WithCancel(h.ctx)
		done := make(chan error, 1)
		go func() { done <- started.Run(ctx) }()
		h.Engine = started
		if _, err := h.scim("entra", "e-1", "ada", true, map[string]any{"title": "Other"}); err != nil {
			t.Fatal(err)
		}
		if started.InForce() {
			t.Error("its rules are taken for those in force")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if is, err := h.store.RulesInForce(h.ctx); err != nil || is != "one" {
			t.Errorf("in force: %s, %v", is, err)
		}
		if d := cmp.Diff(before, h.desired()); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		take.Brake = false
		if err := started.Adopt(h.ctx, next, take); err != nil {
			t.Fatal(err)
		}
		if is, err := h.store.RulesInForce(h.ctx); err != nil || is != "two" || !started.InForce() {
			t.Errorf("in force: %s, %v", is, err)
		}
	})
}

// Groups and roles are changed in the transaction that adopts the rules, and judged by the limits adopted with them.
func TestGroupsAndRolesAreAdoptedWithTheRules(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		bo := byRulesOne(t, h)
		next := engine.Policy{Rules: byRoles(h), Fingerprint: "two", Targets: h.opts.Targets} // a guard that lets nobody go
		take := &engine.AccessEdit{Actor: "operator ada", Manager: model.ManagedByOperator, Areas: access.Areas(), Brake: true,
			Edit: func(s *access.State, _ *access.Tree) error {
				s.Take(bo, "group:builders", "developer", false)
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

// byRulesOne runs by rules with the fingerprint "one", by which bo has an account from a role; it returns who that is.
func byRulesOne(t *testing.T, h *house) (bo string) {
	t.Helper()
	h.opts.Fingerprint, h.opts.Rules = "one", byRoles(h)
	h.Engine = engine.New(h.opts)
	if _, err := h.store.AdoptRules(h.ctx, "one"); err != nil {
		t.Fatal(err)
	}
	ada, err := h.scim("entra", "e-1", "ada", true, number("1"))
	if err != nil {
		t.Fatal(err)
	}
	who, err := h.scim("entra", "e-2", "bo", true, number("2"))
	if err != nil {
		t.Fatal(err)
	}
	h.edit(func(s *access.State) {
		company(s, ada.Record.IdentityID)
		s.Give(given(who.Record.IdentityID, "group:builders", "developer"))
	})
	h.settle()
	return who.Record.IdentityID
}

// Where no rules were ever adopted, and the guard holds those of the start, who is pushed is decided about when they are, and by them.
func TestAHeldStartDecidesNothingWhereNoRulesAreInForce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.opts.Rules = byRoles(h)
		h.Engine = engine.New(h.opts)
		bo, err := h.scim("entra", "e-2", "bo", true, number("2"))
		if err != nil {
			t.Fatal(err)
		}
		h.edit(func(s *access.State) {
			company(s, bo.Record.IdentityID)
			s.Give(given(bo.Record.IdentityID, "group:builders", "developer"))
		})
		h.settle()
		h.opts.Fingerprint, h.opts.Rules = "one", h.appWhen("true")
		h.Engine = engine.New(h.opts)
		take := &engine.AccessEdit{Actor: "configuration", Manager: model.ManagedByOperator, Areas: access.Areas(), Brake: true,
			Edit: func(s *access.State, _ *access.Tree) error {
				s.Take(bo.Record.IdentityID, "group:builders", "developer", false)
				return nil
			}}
		byRole := byRoles(h)
		next := engine.Policy{Rules: byRole, Fingerprint: "one", Targets: h.opts.Targets} // a guard that lets nobody go
		if err := h.Adopt(h.ctx, next, take); model.CodeOf(err) != model.CodeAccessHeld {
			t.Fatalf("%v", err)
		}
		if _, err := h.scim("entra", "e-3", "cy", true, number("3")); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Sync(h.ctx, "corp", engine.SyncOptions{}); model.CodeOf(err) != model.CodeRulesOther {
			t.Errorf("a read: %v", err)
		}
		cy := func() model.Identity {
			all := h.identities()
			return all[slices.IndexFunc(all, func(i model.Identity) bool {
				return i.UserName == "cy" || i.Email == "" && i.ID != bo.Record.IdentityID
			})]
		}
		if who := cy(); who.Rules != "" || who.ReviewAt == nil {
			t.Errorf("decided about by rules %q, due %v", who.Rules, who.ReviewAt)
		}
		take.Brake = false
		if err := h.Adopt(h.ctx, next, take); err != nil {
			t.Fatal(err)
		}
		h.settle()
		if who := cy(); who.Rules != "one" {
			t.Errorf("decided about by rules %q", who.Rules)
		}
	})
}
