package engine

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"jmld/model"
)

// calendar reads a source at its times. The database is the clock; a run is a row that exists once for each time, so of n
// replicas one reads. A time that passed while nobody ran is caught up once.
func (e *Engine) calendar(ctx context.Context, s ReadSource) error {
	name := s.Source.Name()
	var next time.Time
	for ctx.Err() == nil {
		now, err := e.o.Store.Now(ctx)
		if err == nil && next.IsZero() {
			next, err = e.firstTime(ctx, s, now)
		}
		if err != nil {
			e.log.Error("calendar waits for the database", zap.String(model.FieldSource, name), zap.Error(err))
			_ = sleep(ctx, jitter(5*time.Second)) // ctx is looked at above
			continue
		}
		if wait := next.Sub(now); wait > 0 {
			_ = sleep(ctx, min(wait, 30*time.Second)) // short steps: clocks jump, machines sleep
			continue
		}
		at := next
		if later := s.Schedule.Next(at); !later.After(now) {
			at = last(s.Schedule, at, now) // several passed: one run stands for all
		}
		next = s.Schedule.Next(at)
		_, err = e.Sync(ctx, name, SyncOptions{Trigger: "schedule", ScheduledAt: &at, Actor: "schedule"})
		switch {
		case errors.Is(err, model.ErrConflict): // another replica has it
		case err != nil && ctx.Err() == nil && model.CodeOf(err) != model.CodeSourceBusy:
			e.log.Error("scheduled read failed", zap.String(model.FieldSource, name), zap.String(model.FieldCode, string(model.CodeOf(err))),
				zap.Error(err))
		}
	}
	return ctx.Err()
}

// firstTime is when the source should be read next, seen from its last scheduled run.
func (e *Engine) firstTime(ctx context.Context, s ReadSource, now time.Time) (time.Time, error) {
	run, err := e.o.Store.LastScheduled(ctx, "read:"+s.Source.Name())
	if errors.Is(err, model.ErrNotFound) || err == nil && run.ScheduledAt == nil {
		return s.Schedule.Next(now), nil
	}
	if err != nil {
		return time.Time{}, err
	}
	return s.Schedule.Next(*run.ScheduledAt), nil
}

// last is the latest time of the schedule that is not after now. Schedules step by a minute or more.
func last(s Schedule, from, now time.Time) time.Time {
	if gap := now.Sub(from); gap > 24*time.Hour {
		if near := s.Next(now.Add(-24 * time.Hour)); !near.After(now) {
			from = near
		}
	}
	for {
		next := s.Next(from)
		if next.IsZero() || next.After(now) {
			return from
		}
		from = next
	}
}

// tend reviews people that are due and looks after plans.
func (e *Engine) tend(ctx context.Context) error {
	var plans time.Time
	for ctx.Err() == nil {
		n, err := e.reviewDue(ctx)
		if err == nil && time.Since(plans) > 5*time.Second {
			plans = time.Now()
			err = e.tendPlans(ctx)
		}
		if err != nil && ctx.Err() == nil {
			e.log.Error("people and plans not tended", zap.Error(err))
			_ = sleep(ctx, jitter(2*time.Second)) // ctx is looked at above
			continue
		}
		if n > 0 {
			continue
		}
		wait := time.NewTimer(poll)
		select {
		case <-ctx.Done():
		case <-e.wake[""]:
		case <-wait.C:
		}
		wait.Stop()
	}
	return ctx.Err()
}
