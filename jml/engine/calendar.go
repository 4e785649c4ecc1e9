package engine

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.uber.org/zap"

	"jmld/model"
)

// calendarStep is how long a calendar sleeps at most.
const calendarStep = 30 * time.Second

// mostMadeUp is how often a read that is cut short is made up for: one that ends its daemon each time must not keep it from all else.
const mostMadeUp = 3

// calendar reads a source at its times. The database is the clock; a run is a row that exists once for each time, so of n
// replicas one reads. A time that passed while nobody ran is caught up once; so is a run that died.
func (e *Engine) calendar(ctx context.Context, s ReadSource, mode model.Mode, times Schedule) error {
	var next, waiting time.Time // waiting: a time whose read waits for something
	name, job := s.Source.Name(), jobOf(s.Source.Name(), mode)
	for ctx.Err() == nil {
		if e.behind.Load() { // left to those with the rules in force
			_ = sleep(ctx, jitter(calendarStep/6)) // its only error is that of ctx, which the loop looks at
			continue
		}
		now, err := e.o.Store.Now(ctx)
		if err == nil {
			next, err = e.nextTime(ctx, name, mode, times, now, next)
		}
		if err != nil {
			e.log.Error("calendar waits for the database", zap.String(model.FieldSource, name), zap.Error(err))
			_ = sleep(ctx, jitter(calendarStep/6)) // its only error is that of ctx, which the loop looks at
			continue
		}
		if wait := next.Add(s.Pace.delay(job, next)).Sub(now); next.IsZero() || wait > 0 { // zero: the schedule has no next time
			if next.IsZero() || wait > calendarStep {
				wait = calendarStep // short steps: clocks jump, machines sleep, replicas die
			}
			_ = sleep(ctx, wait)
			continue
		}
		at := last(times, next, now) // of several that passed, one run stands for all
		if !at.Equal(waiting) && s.Pace.missed(job, at, now) {
			e.log.Info("missed read passed over", zap.String(model.FieldSource, name), zap.Time("at", at))
			next = times.Next(now)
			continue
		}
		_, err = e.Sync(ctx, name, SyncOptions{Mode: mode, Trigger: "schedule", ScheduledAt: &at, Actor: "schedule"})
		busy := model.CodeOf(err) == model.CodeSourceBusy
		later := errors.Is(err, model.ErrUnavailable) || errors.Is(err, ErrOtherRules) || busy && !s.Pace.SkipOverlap
		if later && ctx.Err() == nil {
			e.log.Info("scheduled read waits", zap.String(model.FieldSource, name), zap.Error(err))
			_ = sleep(ctx, jitter(calendarStep/6))
			next, waiting = at, at // not started yet, or by another replica: then the row exists
			continue
		}
		next = times.Next(at)
		if busy {
			e.log.Info("read passed over, the source is being read", zap.String(model.FieldSource, name), zap.Time("at", at))
			continue
		}
		if err != nil && !errors.Is(err, model.ErrConflict) && ctx.Err() == nil { // conflict: another replica has it
			e.log.Error("scheduled read failed", zap.String(model.FieldSource, name), zap.String(model.FieldCode, string(model.CodeOf(err))),
				zap.Error(err))
		}
	}
	return ctx.Err()
}

// nextTime is when the source should be read next, seen from its last scheduled run; next is what was found before, or zero. A
// scheduled run that died with its replica, or was cut short by its end, is made up for at once; so is one that made up for it.
func (e *Engine) nextTime(ctx context.Context, name string, mode model.Mode, times Schedule, now, next time.Time) (time.Time, error) {
	read, err := e.isRead(ctx, name) // first: a run that ends meanwhile is no dead one
	if err != nil {
		return time.Time{}, err
	}
	run, err := e.o.Store.LastScheduled(ctx, jobOf(name, mode))
	switch {
	case errors.Is(err, model.ErrNotFound):
		if next.IsZero() {
			next = times.Next(now)
		}
		return next, nil
	case err != nil:
		return time.Time{}, err
	case cutShort(run, read):
		since, err := e.o.Store.RunsAfter(ctx, run, mostMadeUp)
		if err != nil || len(since) == mostMadeUp || len(since) > 0 && !cutShort(since[0], read) {
			return orNext(times, run, next), err
		}
		_, err = e.Sync(ctx, name, SyncOptions{Mode: mode, Trigger: "start", Actor: "schedule"})
		if err != nil && model.CodeOf(err) != model.CodeSourceBusy { // busy: it lives
			e.log.Error("interrupted read not made up for", zap.String(model.FieldSource, name), zap.Error(err))
		}
	}
	return orNext(times, run, next), nil
}

// orNext is next, or the time after the run.
func orNext(times Schedule, run model.Run, next time.Time) time.Time {
	if next.IsZero() && run.ScheduledAt != nil {
		return times.Next(*run.ScheduledAt)
	}
	return next
}

// cutShort says whether the run ended because its daemon did: nobody reads the source any more, another run of it found it dead, or it was told to
// end; or because other rules than its own came into force.
func cutShort(run model.Run, read bool) bool {
	switch run.State {
	case model.RunRunning:
		return !read
	case model.RunAbandoned:
		return true
	}
	return run.State == model.RunFailed && (run.ErrorCode == model.CodeRulesOther ||
		run.ErrorCode == model.CodeSourceStopped && strings.HasPrefix(run.ErrorText, toldToEnd))
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

// Tend does once what Run does all the time beside reading and settling accounts: it reviews people until nobody is due, and looks after
// plans. It returns how many people it reviewed.
func (e *Engine) Tend(ctx context.Context) (int, error) {
	for reviewed, followed := 0, false; ; {
		n, err := e.reviewDue(ctx)
		reviewed += n
		if err == nil && n == 0 && !followed { // of very many only some are marked at a time
			followed = true
			if err = e.inTurn(ctx, func() error { return e.followRules(ctx) }); err == nil {
				continue
			}
		}
		followed = followed && n == 0
		if err != nil {
			return reviewed, err
		}
		if n == 0 {
			if err := e.recheckDue(ctx); err != nil {
				return reviewed, err
			}
			if err := e.expireRequests(ctx); err != nil {
				return reviewed, err
			}
			return reviewed, e.tendPlans(ctx)
		}
	}
}

// tend reviews people that are due and looks after plans.
func (e *Engine) tend(ctx context.Context) error {
	var plans time.Time
	var heir heir
	for ctx.Err() == nil {
		n, err := e.reviewDue(ctx)
		if err == nil && time.Since(plans) > 5*time.Second {
			plans = time.Now()
			if err = e.inTurn(ctx, func() error { return e.followRules(ctx) }); err == nil {
				err = heir.look(ctx, e)
			}
			if err == nil && !e.behind.Load() {
				if err = e.tendPlans(ctx); err == nil {
					err = e.recheckDue(ctx)
				}
			}
			if err == nil {
				err = e.expireRequests(ctx)
			}
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
		case <-e.wake.hear(""): // others will follow: they are reviewed together, and not while they are pushed
			_ = sleep(ctx, gather) // ctx is looked at above
		case <-wait.C:
		}
		wait.Stop()
	}
	return ctx.Err()
}
