package engine_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/jml"
	"jmld/jml/engine"
	"jmld/jml/policy"
	"jmld/model"
)

// D-04, D-07: a base or filter that lets in everybody gives nobody an account without approval, however many there are.
func TestAMassOfJoinersIsHeld(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.dir.profile = `{"people.filter":"(a=b)"}`
		active := func(what string, want int) {
			t.Helper()
			if n := len(h.app.active()); n != want {
				t.Fatalf("%s: %d active, want %d", what, n, want)
			}
		}
		h.dir.users = people(60) // the first read of a source is no surprise
		h.sync()
		active("first", 60)
		h.dir.users = people(70)
		h.sync()
		active("ten more", 70)
		h.dir.users = people(300)
		h.sync()
		brake := model.BrakeJoiners.About("app")
		want := map[model.Brake]string{brake: "230: 230 people would get an account in app at once, by a source that stands for 70; the limit is 50 (the larger of 50 and 50 %)"}
		h.heldIs("mass", want)
		active("mass", 70)
		h.dir.users[299] = with(h.dir.users[299], map[string]any{"title": "Another"})
		h.sync()
		h.heldIs("mass, again", want)
		h.dir.users[0].Active, h.dir.users[290].Active = false, false // one of those leaves, one of these does not join
		h.sync()
		plans := h.heldIs("one less", map[model.Brake]string{brake: "229: " + want[brake][len("230: "):]})
		active("one less", 69)
		if done := h.approve(plans[brake]); len(done.Committed) != 228 || len(done.Refused) != 1 { // who has another title now is decided anew
			t.Errorf("%d committed, %d refused", len(done.Committed), len(done.Refused))
		}
		if _, err := h.Tend(h.ctx); err != nil {
			t.Fatal(err)
		}
		h.work()
		active("approved", 298)
		h.dir.profile = `{"people.filter":"(a=c)"}`
		h.dir.users = append(h.dir.users, people(310)[300:]...)
		h.sync()
		h.heldIs("another filter", map[model.Brake]string{brake: "10: people.filter of the source changed: 10 people would get an account in app at once, by a source that stands for 298; " +
			"the limit is 5 (the larger of 5 and 1 %)"})
		active("another filter", 298)
	})
}

// Who joins, and turns out to be in a group by the same read, has an account by that read, with what the group makes of it.
func TestAJoinerIsInAGroup(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		r := *h.opts.Rules
		r.Policy = compiled(t, policy.Rule{Name: "everybody", Target: "app", When: "true",
			Attributes: map[string]string{"userName": "person.userName", "title": `"builders" in person.groups ? "Builder" : "none"`}})
		h.SetRules(&r)
		h.dir.users = people(3)
		h.sync()
		h.dir.users, h.dir.groups = people(4), []model.Entry{group("builders", "dir-person003")}
		out := h.sync()
		if diff := cmp.Diff(names(4), h.app.active()); diff != "" {
			t.Error(diff)
		}
		changes, err := h.store.Changes(h.ctx, model.ChangeQuery{RunID: out.Run.ID, Limit: 10})
		if err != nil || len(changes) != 1 || changes[0].State != model.ChangeCommitted || !strings.Contains(changes[0].After, "Builder") {
			t.Errorf("%+v, %v", changes, err)
		}
	})
}

// An account that waits to be made, or waited, and never was there, is nothing that a merge could move, and in nobody's way.
func TestMergesOfWhoWaitsToJoin(t *testing.T) { // M-50
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.dir.users = people(1)
		h.sync()
		h.limits(func(l *jml.Limits) { l.Joiners = jml.Limit{} }, nil)
		h.dir.users = people(3)
		h.sync()
		brake := model.BrakeJoiners.About("app")
		text := ": 2 people would get an account in app at once, by a source that stands for 1; the limit is 0 (the larger of 0 and 0 %)"
		h.heldIs("both", map[model.Brake]string{brake: "2" + text})
		h.dir.users[1].Active = false
		h.sync()
		h.heldIs("one", map[model.Brake]string{brake: "1" + text})
		had := h.say("okta", "o1", "twin", "91").IdentityID
		h.work()
		if out := h.merge(h.record("dir-person001").IdentityID, had); !cmp.Equal(out.Accounts, []string{"app"}) {
			t.Errorf("into one who never had an account: %+v", out)
		}
		if _, err := h.scim("okta", "o2", "other", false, number("92")); err != nil {
			t.Fatal(err)
		}
		p, err := h.store.Load(h.ctx, []engine.Subject{{Source: "okta", Record: "o2"}})
		if err != nil {
			t.Fatal(err)
		}
		if out := h.merge(p[0].Record.IdentityID, h.record("dir-person002").IdentityID); len(out.Accounts)+len(out.Both) > 0 {
			t.Errorf("of one who waits: %+v", out)
		}
		h.tend()
		h.heldIs("merged", map[model.Brake]string{model.BrakeLeavers: "1: a person decided whom records are about; who loses something by it does so with approval only"})
		if active := h.app.active(); len(active) != 3 { // the first one, the one that moved, and the one that waited
			t.Errorf("%q", active)
		}
	})
}

// Who waits to get an account, and turns out to be somebody who has one, has that one: nothing waits any more, and nobody's account goes.
func TestAMergeIntoSomebodyWhoWaitsToJoin(t *testing.T) { // M-50
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.dir.users = people(1)
		h.sync()
		h.limits(func(l *jml.Limits) { l.Joiners = jml.Limit{} }, nil)
		h.dir.users = people(2)
		h.sync()
		had := h.say("okta", "o1", "twin", "91").IdentityID
		h.work()
		before := h.app.active()
		if out := h.merge(h.record("dir-person001").IdentityID, had); !cmp.Equal(out.Accounts, []string{"app"}) || len(out.Both) > 0 {
			t.Errorf("%+v", out)
		}
		h.tend()
		h.work()
		if len(h.app.active()) != len(before) {
			t.Errorf("%q, and before %q", h.app.active(), before)
		}
		waits, err := h.store.Changes(h.ctx, model.ChangeQuery{States: []model.ChangeState{model.ChangeHeld, model.ChangePending}, Limit: 10})
		if err != nil || len(waits) > 0 {
			t.Errorf("%+v, %v", waits, err)
		}
	})
}
