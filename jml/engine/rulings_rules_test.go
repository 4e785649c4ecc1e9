package engine_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/jml/engine"
	"jmld/model"
)

// before is a store that says which rules were in force a moment ago.
type before struct {
	engine.Store
	rules string
}

func (b before) RulesInForce(context.Context) (string, error) { return b.rules, nil }

// Whom records are about is decided by the rules in force only: two replicas with different ones could make different people of them. Where
// none ever were in force, as at a first start, everybody may.
func TestWhomRecordsAreAboutIsDecidedByTheRulesInForce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.opts.Fingerprint = "one"
		h.Engine = engine.New(h.opts)
		ada, bob := h.mixedUp()
		dee, eve := h.say("entra", "e3", "dee", "3"), h.say("okta", "o3", "eve", "4")
		h.decideOn("okta", "o1", model.RulingLink, bob.IdentityID) // none are in force
		moved := h.merge(dee.IdentityID, eve.IdentityID)
		if moved.Stays != dee.IdentityID {
			t.Errorf("%+v", moved)
		}
		h.say("okta", "o2", "ada", "2") // the numbers of one, the name of the other
		h.tend()
		audit := func() []string {
			list, err := h.store.AuditList(h.ctx, "", 0)
			if err != nil {
				t.Fatal(err)
			}
			var out []string
			for _, a := range list {
				out = append(out, a.Action+" "+a.Subject)
			}
			return out
		}
		if _, err := h.store.AdoptRules(h.ctx, "two"); err != nil {
			t.Fatal(err)
		}
		was := audit()
		about := func(id, who string) engine.Judgement {
			return engine.Judgement{Record: engine.RecordRef{Source: "okta", ID: id}, Kind: model.RulingIgnore, Digest: h.ask("okta", id, who).Digest, Actor: "operator ada"}
		}
		pair, err := h.Pair(h.ctx, ada.IdentityID, bob.IdentityID)
		if err != nil {
			t.Fatal(err)
		}
		one := []engine.RecordRef{{Source: "okta", ID: "o3"}}
		division, err := h.Divide(h.ctx, dee.IdentityID, one)
		if err != nil {
			t.Fatal(err)
		}
		merging := engine.Merging{Into: ada.IdentityID, From: bob.IdentityID, Digest: pair.Digest, Actor: "operator ada"}
		deciding := func(e *engine.Engine) map[string]func() error {
			return map[string]func() error{
				"ignore": func() error { _, err := e.Correlate(h.ctx, about("o2", "")); return err },
				"undo":   func() error { _, err := e.Uncorrelate(h.ctx, about("o1", "")); return err },
				"merge":  func() error { _, err := e.Merge(h.ctx, merging); return err },
				"split": func() error {
					_, err := e.Split(h.ctx, engine.Splitting{Person: dee.IdentityID, Records: one, Digest: division.Digest, Actor: "operator ada"})
					return err
				},
			}
		}
		for what, do := range deciding(h.Engine) {
			if err := do(); !errors.Is(err, engine.ErrOtherRules) || model.CodeOf(err) != model.CodeRulesOther {
				t.Errorf("%s: %v", what, err)
			}
		}
		opts := h.opts // the others came in force after it had looked
		opts.Store = before{h.store, "one"}
		for what, do := range deciding(engine.New(opts)) {
			if err := do(); !errors.Is(err, engine.ErrOtherRules) || model.CodeOf(err) != model.CodeRulesOther {
				t.Errorf("%s, too late: %v", what, err)
			}
		}
		if d := cmp.Diff(was, audit()); d != "" {
			t.Error("something was stored:", d)
		}
		opts.Store, opts.Fingerprint = h.store, "two"
		for what, do := range deciding(engine.New(opts)) {
			if what != "merge" && what != "undo" { // these two write to the same people
				if err := do(); err != nil {
					t.Errorf("%s by the rules in force: %v", what, err)
				}
			}
		}
	})
}

// due is a store in which the records wait for somebody who changed; tried are those about which something was to be stored.
type due struct {
	engine.Store
	records []engine.RecordRef
	tried   map[engine.RecordRef]bool
}

func (d due) DueWaits(context.Context, int) ([]engine.RecordRef, error) { return d.records, nil }

func (d due) Commit(ctx context.Context, c *engine.Commit) error {
	for _, w := range c.Waits {
		d.tried[w.RecordRef] = true
	}
	return d.Store.Commit(ctx, c)
}

// Once other rules are in force the records that wait are left to those who have them: they are not tried in vain one after the other.
func TestWhoHasOtherRulesLeavesAlsoTheOthersThatWait(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.mixedUp()
		h.say("okta", "o2", "ada", "2")
		h.tend()
		if _, err := h.store.AdoptRules(h.ctx, "two"); err != nil {
			t.Fatal(err)
		}
		d := due{before{h.store, "one"}, []engine.RecordRef{{Source: "okta", ID: "o1"}, {Source: "okta", ID: "o2"}}, map[engine.RecordRef]bool{}}
		opts := h.opts
		opts.Store, opts.Fingerprint = d, "one"
		if _, err := engine.New(opts).Tend(h.ctx); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(map[engine.RecordRef]bool{d.records[0]: true}, d.tried); diff != "" {
			t.Error(diff)
		}
	})
}
