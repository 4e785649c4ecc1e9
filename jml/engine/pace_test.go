package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/jml/engine"
	"jmld/model"
)

// shifted is a schedule of full hours and a little more.
type shifted time.Duration

func (s shifted) Next(t time.Time) time.Time {
	return t.Add(-time.Duration(s)).Truncate(time.Hour).Add(time.Hour + time.Duration(s))
}

// A time that nobody was there for is caught up or passed over, one that meets another read waits or is passed over, and jitter is
// the same for all who ask.
func TestCalendarsArePaced(t *testing.T) { // M-30
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.dir.users = people(3)
		var reads atomic.Int64
		h.dir.during = func() { reads.Add(1) }
		then := time.Now().UTC().Add(-3 * time.Hour).Truncate(time.Hour)
		past := model.Run{ID: model.NewID(then), Job: "read:corp", Source: "corp", Trigger: "schedule", ScheduledAt: &then,
			State: model.RunSucceeded, StartedAt: then, HeartbeatAt: then, FinishedAt: &then}
		if err := h.store.StartRun(h.ctx, &past); err != nil {
			t.Fatal(err)
		}
		// The last time was long ago; the next one is in half an hour, whenever this runs.
		times := shifted(time.Now().UTC().Add(30 * time.Minute).Sub(time.Now().UTC().Add(30 * time.Minute).Truncate(time.Hour)))
		h.opts.Sources[0].Schedule = times
		h.opts.Sources[0].Pace = engine.Pace{SkipMissed: true}
		h.Engine = engine.New(h.opts)
		h.runs(3 * time.Second)
		if n := reads.Load(); n != 0 {
			t.Errorf("%d reads at times that were missed", n)
		}
		h.opts.Sources[0].Pace = engine.Pace{}
		h.Engine = engine.New(h.opts)
		h.tended("what was missed", func() bool { return reads.Load() > 0 })
		if n := reads.Load(); n != 1 {
			t.Errorf("%d reads stand for those that were missed", n)
		}
	})
}

func TestAReadThatMeetsAnotherWaitsOrIsPassedOver(t *testing.T) {
	t.Parallel()
	for _, skip := range []bool{false, true} {
		t.Run(fmt.Sprint("skip ", skip), func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, h *house) {
				h.dir.users = people(3)
				if _, ok, err := h.store.Acquire(h.ctx, "source:corp", "somebody", 4*time.Second); err != nil || !ok {
					t.Fatal(ok, err)
				}
				then := time.Now().UTC().Add(-3 * time.Hour)
				past := model.Run{ID: model.NewID(then), Job: "read:corp", Source: "corp", Trigger: "schedule", ScheduledAt: &then,
					State: model.RunSucceeded, StartedAt: then, HeartbeatAt: then, FinishedAt: &then}
				if err := h.store.StartRun(h.ctx, &past); err != nil {
					t.Fatal(err)
				}
				h.opts.Sources[0].Schedule = shifted(time.Now().UTC().Add(30 * time.Minute).Sub(time.Now().UTC().Add(30 * time.Minute).Truncate(time.Hour)))
				h.opts.Sources[0].Pace = engine.Pace{SkipOverlap: skip}
				h.Engine = engine.New(h.opts)
				if !skip {
					h.tended("the read that waited", func() bool { return len(h.finished()) == 2 })
					return
				}
				h.runs(10 * time.Second) // longer than the other one and the pause between two tries
				if d := cmp.Diff([]string{past.ID}, h.finished()); d != "" {
					t.Error(d)
				}
			})
		})
	}
}

// elsewhere has other rules in force until then.
type elsewhere struct {
	engine.Store
	until time.Time
}

func (e *elsewhere) RulesInForce(ctx context.Context) (string, error) {
	if time.Now().Before(e.until) {
		return "others", nil
	}
	return e.Store.RulesInForce(ctx)
}

// A read whose time comes while other rules are in force waits for those of its daemon: no other daemon may be there to make it.
func TestAScheduledReadWaitsForTheRulesInForce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.dir.users = people(3)
		then := time.Now().UTC().Add(-3 * time.Hour)
		past := model.Run{ID: model.NewID(then), Job: "read:corp", Source: "corp", Trigger: "schedule", ScheduledAt: &then,
			State: model.RunSucceeded, StartedAt: then, HeartbeatAt: then, FinishedAt: &then}
		if err := h.store.StartRun(h.ctx, &past); err != nil {
			t.Fatal(err)
		}
		h.opts.Sources[0].Schedule = shifted(time.Now().UTC().Add(30 * time.Minute).Sub(time.Now().UTC().Add(30 * time.Minute).Truncate(time.Hour)))
		h.opts.Store, h.opts.Fingerprint = &elsewhere{h.store, time.Now().Add(2 * time.Second)}, "ours"
		h.Engine = engine.New(h.opts)
		h.tended("the read that waited", func() bool { return len(h.finished()) == 2 })
	})
}

// runs lets the engine run for a while.
func (h *house) runs(d time.Duration) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.ctx, d)
	defer cancel()
	if err := h.Run(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		h.t.Error(err)
	}
}

// finished lists the scheduled runs that have ended.
func (h *house) finished() []string {
	h.t.Helper()
	runs, err := h.store.RunList(h.ctx, "corp", 100, "")
	if err != nil {
		h.t.Fatal(err)
	}
	var ids []string
	for _, r := range slices.Backward(runs) {
		if r.FinishedAt != nil {
			ids = append(ids, r.ID)
		}
	}
	return ids
}
