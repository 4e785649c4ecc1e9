package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/jml/engine"
	"jmld/jml/policy"
)

// Rules that changed while the daemon was off reach everybody, through the guard.
func TestChangedRulesReachEverybody(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.dir.users = people(4)
		h.sync()
		opts := h.opts
		next := *opts.Rules
		var mistakes []policy.Mistake
		next.Policy, mistakes = policy.Compile(policy.Config{Accounts: []policy.Rule{
			{Name: "everybody", Target: "app", When: `person.userName != "person003"`},
			{Name: "everybody builds", Target: "platform", When: "true"},
		}}, next.Targets)
		if len(mistakes) > 0 {
			t.Fatal(mistakes)
		}
		opts.Rules, opts.Fingerprint = &next, "second"
		ctx, cancel := context.WithCancel(h.ctx)
		done := make(chan error, 1)
		go func() { done <- engine.New(opts).Run(ctx) }()
		deadline := time.Now().Add(2 * time.Minute)
		for time.Now().Before(deadline) && (len(h.plat.active()) < 4 || len(h.app.active()) > 3) {
			time.Sleep(20 * time.Millisecond)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if d := cmp.Diff(names(4), h.plat.active()); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff(names(3), h.app.active()); d != "" {
			t.Error(d)
		}
		if n, err := h.store.AdoptRules(h.ctx, "second"); n != 0 || err != nil {
			t.Errorf("the same rules again: %d marked, %v", n, err)
		}
	})
}

// While one replica has new rules and another one still the old ones, what the old one is told is decided by the new ones, and only that.
func TestWhatOlderRulesAreToldIsDecidedByTheNewOnes(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.opts.Fingerprint = "first"
		h.Engine = engine.New(h.opts)
		h.dir.users = people(4)
		h.sync()
		if n, err := h.store.AdoptRules(h.ctx, "second"); n != 4 || err != nil {
			t.Errorf("other rules: %d marked, %v", n, err)
		}
		opts := h.opts
		opts.Fingerprint = "second"
		if n, err := engine.New(opts).Tend(h.ctx); n != 4 || err != nil {
			t.Errorf("%d reviewed, %v", n, err)
		}
		soon := time.Now().Add(10 * time.Second)
		follow := func(rules string, inForce bool, marked int) {
			t.Helper()
			if is, n, err := h.store.FollowRules(h.ctx, rules, soon); is != inForce || n != marked || err != nil {
				t.Errorf("%s: %v, %d marked, %v; want %v, %d", rules, is, n, err, inForce, marked)
			}
		}
		follow("second", true, 0)
		follow("first", false, 0)
		if _, err := h.scim("entra", "e-1", "ada", true, number("1")); err != nil { // by the old rules: nobody decides yet
			t.Fatal(err)
		}
		follow("first", false, 0)
		follow("second", true, 0) // is due already
		if n, err := engine.New(opts).Tend(h.ctx); n != 1 || err != nil {
			t.Errorf("%d reviewed, %v", n, err)
		}
	})
}
