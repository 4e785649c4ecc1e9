package engine_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/jml/engine"
	"jmld/model"
)

// ask is what a person sees of a record.
func (h *house) ask(source, id, with string) engine.Case {
	h.t.Helper()
	c, err := h.Case(h.ctx, engine.RecordRef{Source: source, ID: id}, with)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// say pushes a user who has to be accepted.
func (h *house) say(source, id, userName, n string) model.Record {
	h.t.Helper()
	out, err := h.scim(source, id, userName, true, number(n))
	if err != nil {
		h.t.Fatal(err)
	}
	return out.Record
}

func (h *house) decideOn(source, id string, kind model.RulingKind, who string) engine.Judged {
	h.t.Helper()
	out, err := h.Correlate(h.ctx, engine.Judgement{Record: engine.RecordRef{Source: source, ID: id}, Kind: kind, Identity: who,
		Digest: h.ask(source, id, who).Digest, Actor: "operator ada", Reason: "they told me"})
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

// accounts lists who has which account in which state, and what waits.
func (h *house) accounts() []string {
	h.t.Helper()
	all, err := h.store.Accounts(h.ctx, model.AccountQuery{})
	if err != nil {
		h.t.Fatal(err)
	}
	var out []string
	for _, a := range all {
		s := a.Target + " " + a.UserName + " " + string(a.State)
		if a.HeldPlan != "" {
			s += " (held)"
		}
		out = append(out, s)
	}
	return out
}

func (h *house) tend() {
	h.t.Helper()
	if _, err := h.Tend(h.ctx); err != nil {
		h.t.Fatal(err)
	}
	h.work()
}

// pairOf is two people of one source whose numbers a third record of another source mixes up.
func (h *house) mixedUp() (ada, bob model.Record) {
	h.t.Helper()
	ada, bob = h.say("entra", "e1", "ada", "1"), h.say("entra", "e2", "bob", "2")
	h.work()
	if got := h.say("okta", "o1", "bob", "1"); got.Link != model.Disputed {
		h.t.Fatalf("%s, want disputed", got.Link)
	}
	return ada, bob
}

func TestALinkByAPersonIsStrongerThanTheRules(t *testing.T) { // D-20
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		ada, bob := h.mixedUp()
		c := h.ask("okta", "o1", "")
		var ids []string
		for _, one := range c.Candidates {
			ids = append(ids, one.Identity.ID)
		}
		if diff := cmp.Diff([]string{ada.IdentityID, bob.IdentityID}, ids); diff != "" {
			t.Error("candidates, the strongest key first:", diff)
		}
		out := h.decideOn("okta", "o1", model.RulingLink, bob.IdentityID)
		if out.Identity != bob.IdentityID || len(out.Plans) > 0 {
			t.Errorf("%+v", out)
		}
		if got := h.say("okta", "o1", "robert", "1"); got.IdentityID != bob.IdentityID { // said again, with other keys
			t.Errorf("%s %s", got.Link, got.IdentityID)
		}
		if err := h.gone("okta", "o1"); err != nil {
			t.Fatal(err)
		}
		if got := h.say("okta", "o1", "robert", "1"); got.IdentityID != bob.IdentityID { // back under the same id
			t.Errorf("back: %s %s", got.Link, got.LinkText)
		}
		trail, err := h.store.AuditList(h.ctx, "o1", 100)
		if err != nil || !slices.ContainsFunc(trail, func(a model.AuditEntry) bool {
			return a.Action == "correlation.link" && a.Actor == "operator ada"
		}) {
			t.Errorf("no audit of it: %v %v", trail, err)
		}
	})
}

func TestARecordMadeSomebodyNewStaysSo(t *testing.T) { // D-20
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.mixedUp()
		out := h.decideOn("okta", "o1", model.RulingNew, "")
		if n := len(h.identities()); n != 3 || out.Identity == "" {
			t.Errorf("%d identities, %+v", n, out)
		}
		if got := h.say("okta", "o1", "bob", "2"); got.IdentityID != out.Identity {
			t.Errorf("%s %s", got.Link, got.IdentityID)
		}
	})
}

func TestAnIgnoredRecordIsNotAskedAboutUntilItsKeysChange(t *testing.T) { // D-20
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		ada, _ := h.mixedUp()
		before := h.accounts()
		h.decideOn("okta", "o1", model.RulingIgnore, "")
		if got := h.say("okta", "o1", "bob", "1"); got.Link != model.Ignored {
			t.Errorf("said again: %s", got.Link)
		}
		h.tend()
		waiting, err := h.store.Unlinked(h.ctx, model.Disputed, engine.RecordRef{}, 10)
		if err != nil || len(waiting) > 0 {
			t.Errorf("%v %v", waiting, err)
		}
		if diff := cmp.Diff(before, h.accounts()); diff != "" {
			t.Error(diff)
		}
		if got := h.say("okta", "o1", "countess", "1"); got.IdentityID != ada.IdentityID {
			t.Errorf("with other keys: %s %s", got.Link, got.LinkText)
		}
	})
}

func TestADecisionIsTakenBackWithoutLoss(t *testing.T) { // D-20
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.mixedUp()
		made := h.decideOn("okta", "o1", model.RulingNew, "")
		h.work()
		ref := engine.RecordRef{Source: "okta", ID: "o1"}
		out, err := h.Uncorrelate(h.ctx, engine.Judgement{Record: ref, Digest: h.ask("okta", "o1", "").Digest, Actor: "operator bob"})
		if err != nil || out.Record.Link != model.Disputed || len(out.Plans) != 1 {
			t.Fatalf("%+v %v", out, err)
		}
		left, err := h.store.Accounts(h.ctx, model.AccountQuery{IdentityID: made.Identity})
		if err != nil || len(left) != 1 || left[0].State != model.AccountActive || left[0].HeldPlan == "" {
			t.Errorf("who was made new loses it with approval only: %+v %v", left, err)
		}
		again, err := h.Uncorrelate(h.ctx, engine.Judgement{Record: ref, Digest: h.ask("okta", "o1", "").Digest, Actor: "operator bob"})
		if !errors.Is(err, model.ErrInvalid) {
			t.Errorf("twice: %+v %v", again, err)
		}
	})
}

func TestADecisionAboutWhatChangedIsRefused(t *testing.T) { // D-20
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		_, bob := h.mixedUp()
		seen := h.ask("okta", "o1", bob.IdentityID).Digest
		h.say("entra", "e2", "robert", "2")
		_, err := h.Correlate(h.ctx, engine.Judgement{Record: engine.RecordRef{Source: "okta", ID: "o1"}, Kind: model.RulingLink,
			Identity: bob.IdentityID, Digest: seen, Actor: "operator ada"})
		if model.CodeOf(err) != model.CodeCorrelationStale {
			t.Error(err)
		}
	})
}

func TestASourceThatOnlyJoinsWaitsForSomebody(t *testing.T) { // M-33
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		r := rules(t)
		r.JoinOnly = []string{"okta"}
		h.SetRules(r)
		if got := h.say("okta", "o1", "jit-ada", "1"); got.Link != model.Unmatched {
			t.Fatalf("%s: %s", got.Link, got.LinkText)
		}
		h.tend()
		if n := len(h.identities()); n != 0 {
			t.Fatalf("%d identities", n)
		}
		ada := h.say("entra", "e1", "ada", "1")
		h.tend() // nobody says anything more
		c := h.ask("okta", "o1", "")
		if c.Record.IdentityID != ada.IdentityID {
			t.Errorf("%s: %s", c.Record.Link, c.Record.LinkText)
		}
		if n := len(h.identities()); n != 1 {
			t.Errorf("%d identities", n)
		}
	})
}

func TestADisputeEndsWhenTheOtherRecordGoes(t *testing.T) { // D-20
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		ada := h.say("entra", "e1", "ada", "1")
		if got := h.say("entra", "e2", "ada2", "1"); got.Link != model.Disputed {
			t.Fatal(got.Link)
		}
		h.tend()
		if err := h.gone("entra", "e1"); err != nil {
			t.Fatal(err)
		}
		h.tend()
		if c := h.ask("entra", "e2", ""); c.Record.IdentityID != ada.IdentityID {
			t.Errorf("%s: %s", c.Record.Link, c.Record.LinkText)
		}
	})
}
