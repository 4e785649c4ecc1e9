package engine_test

import (
	"fmt"
	"testing"
	"time"

	"jmld/model"
)

// D-04: few leavers a day are many in a week.
func TestLeaversAreCountedOverAWeek(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		pass := absent(h)
		say := func(i int, active bool) {
			t.Helper()
			if _, err := h.scim("entra", fmt.Sprint(i), fmt.Sprintf("p%02d", i), active, number(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 40 {
			say(i, true)
		}
		gone := 0
		leave := func(n, held int) {
			t.Helper()
			for range n {
				say(gone, false)
				gone++
			}
			plans, err := h.store.Plans(h.ctx, []model.PlanState{model.PlanHeld}, 10)
			if err != nil {
				t.Fatal(err)
			}
			items := 0
			for _, p := range plans {
				items += p.Items
			}
			if items != held {
				t.Fatalf("%d left, %d of them wait, want %d: %+v", gone, items, held, plans)
			}
		}
		for range 3 {
			leave(4, 0)
			pass(25 * time.Hour)
		}
		leave(3, 0)
		leave(1, 1)
		pass(25 * time.Hour)
		leave(1, 2)
		pass(8 * 24 * time.Hour)
		leave(3, 2)
	})
}
