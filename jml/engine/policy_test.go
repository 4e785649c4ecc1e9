package engine_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/jml/engine"
	"jmld/jml/policy"
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
			if err := h.Adopt(h.ctx, engine.Policy{Rules: &next, Fingerprint: "two", Guard: h.opts.Guard, Targets: h.opts.Targets}); err != nil {
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
