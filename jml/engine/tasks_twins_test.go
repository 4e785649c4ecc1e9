package engine_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"jmld/model"
)

// TestTwoNeverNameTheSameAccount: two people who made accounts say at once, to whichever replica, that theirs is the one of this id.
func TestTwoNeverNameTheSameAccount(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		const each, rounds = 4, 3
		h.byHand(time.Now)
		for i := range each * rounds {
			if _, err := h.scim("entra", fmt.Sprint("e", i), fmt.Sprint("p", i), true, nil); err != nil {
				t.Fatal(err)
			}
		}
		h.settle()
		open, err := h.store.Tasks(h.ctx, model.TaskQuery{Status: model.TaskOpen, Target: "app"})
		if err != nil || len(open) != each*rounds {
			t.Fatalf("%d tasks, %v", len(open), err)
		}
		for round := range rounds {
			var wg sync.WaitGroup
			errs := make([]error, each)
			for i, task := range open[round*each : (round+1)*each] {
				wg.Go(func() {
					task.Status, task.Evidence, task.DecidedBy = model.TaskDone, "made", "operator lena"
					now := time.Now().UTC()
					errs[i] = h.store.DecideTask(h.ctx, task, model.TaskOutcome{NativeID: fmt.Sprint("native-", round)}, model.AuditEntry{ID: model.NewID(now), At: now,
						Actor: "operator lena", Action: "task.done", Subject: task.IdentityID, Detail: "{}"})
				})
			}
			wg.Wait()
			done := 0
			for _, err := range errs {
				switch {
				case err == nil:
					done++
				case !errors.Is(err, model.ErrConflict):
					t.Errorf("round %d: %v", round, err)
				}
			}
			if done != 1 {
				t.Errorf("round %d: %d accounts have the same id", round, done)
			}
		}
	})
}
