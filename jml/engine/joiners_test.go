package engine_test

import (
	"testing"

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
