package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"jmld/jml"
	"jmld/model"
)

const (
	leaseTTL    = 60 * time.Second
	reviewLease = 15 * time.Minute // a run's own marks are left to it that long
	claimLease  = 10 * time.Second // people claimed for review are due again after it, when nobody decided about them
)

// toldToEnd is why a scheduled read ends with the daemon.
const toldToEnd = "the daemon was told to end"

// Rehearsal is a store that can be rehearsed on: Scratch copies what decisions depend on into a store of its own, to be
// thrown away with discard. A dry run is a real run on it.
type Rehearsal interface {
	Scratch(ctx context.Context) (copy Store, discard func() error, err error)
	// Stage is Scratch with a clock of its own.
	Stage(ctx context.Context) (copy Stage, discard func() error, err error)
}

// Sync reads the source now. The error is set when the read failed; Synced then still says how far it came.
func (e *Engine) Sync(ctx context.Context, source string, o SyncOptions) (Synced, error) {
	for _, s := range e.o.Sources {
		if s.Source.Name() != source {
			continue
		}
		if o.DryRun {
			return e.rehearse(ctx, s, o)
		}
		return e.sync(ctx, s, o)
	}
	return Synced{}, fmt.Errorf("source %s cannot be read: %w", source, model.ErrNotFound)
}

// rehearse is the run itself, on a copy of the store, with the workers of nobody.
func (e *Engine) rehearse(ctx context.Context, s ReadSource, o SyncOptions) (Synced, error) {
	r, ok := e.o.Store.(Rehearsal)
	if !ok {
		return Synced{}, fmt.Errorf("dry run of source %s: this store cannot be copied: %w", s.Source.Name(), errors.ErrUnsupported)
	}
	scratch, discard, err := r.Scratch(ctx)
	if err != nil {
		return Synced{}, fmt.Errorf("dry run of source %s: copy the store: %w", s.Source.Name(), err)
	}
	opts := e.o
	opts.Store, opts.Log = scratch, zap.NewNop()
	copied := New(opts)
	policy := *e.policy()
	policy.Fingerprint = "" // what would be, whatever is in force
	copied.current.Store(&policy)
	out, err := copied.sync(ctx, s, o)
	for last := ""; out.Run.ID != ""; {
		page, perr := scratch.Changes(ctx, model.ChangeQuery{RunID: out.Run.ID, Before: last, Limit: 500})
		if perr != nil || len(page) == 0 {
			err = errors.Join(err, perr)
			break
		}
		out.Changes = append(out.Changes, page...)
		last = page[len(page)-1].ID
	}
	return out, errors.Join(err, discard())
}

func (e *Engine) sync(ctx context.Context, s ReadSource, o SyncOptions) (Synced, error) {
	name := s.Source.Name()
	if err := e.mayDecide(ctx); err != nil {
		return Synced{}, fmt.Errorf("read source %s: %w", name, err)
	}
	if o.Mode == "" {
		o.Mode = model.ModeFull
	}
	if _, ok := s.Source.(Incremental); !ok {
		o.Mode = model.ModeFull
	}
	lease, owner := sourceLease(name), model.NewID(e.now())
	if _, ok, err := e.o.Store.Acquire(ctx, lease, owner, leaseTTL); err != nil {
		return Synced{}, fmt.Errorf("read source %s: %w", name, err)
	} else if !ok {
		return Synced{}, fmt.Errorf("read source %s: %w", name, model.Errorf(model.CodeSourceBusy, "it is being read by somebody else already"))
	}
	defer func() {
		rctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := e.o.Store.Release(rctx, lease, owner); err != nil { // it ends by itself
			e.log.Warn("lease not released", zap.String(model.FieldSource, name), zap.Error(err))
		}
	}()
	now := e.now() // with the lease, which may have been waited for until another run had ended
	run := model.Run{ID: model.NewID(now), Job: jobOf(name, o.Mode), Source: name, Trigger: o.Trigger, ScheduledAt: o.ScheduledAt, DryRun: o.DryRun,
		Actor: o.Actor, Replica: e.o.Replica, State: model.RunRunning, StartedAt: now, HeartbeatAt: now}
	if err := e.o.Store.StartRun(ctx, &run); err != nil {
		return Synced{}, fmt.Errorf("read source %s: start run: %w", name, err)
	}
	for _, mode := range []model.Mode{model.ModeFull, model.ModeDelta, model.ModeCensus} { // the lease is ours: whoever had it is dead
		if err := e.o.Store.AbandonRuns(ctx, jobOf(name, mode), run.ID); err != nil {
			return Synced{Run: run}, fmt.Errorf("read source %s: %w", name, err)
		}
	}
	if s.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, s.Timeout, model.Errorf(model.CodeSourceInterrupted, "the read took longer than %s", s.Timeout))
		defer cancel()
	}
	rd := &reading{engine: e, source: name, run: &run, progress: o.Progress, absence: s.Absence, mode: o.Mode}
	held, stop := rd.hold(ctx, lease, owner)
	rd.follow()
	err := e.mayBind(held, &run)
	if err == nil {
		err = rd.execute(held, s.Source)
	}
	ended := held.Err() != nil // by the lease, the time limit or the caller; stop ends it, too
	stop()
	if err != nil && ended {
		switch cause := context.Cause(held); {
		case ctx.Err() != nil && errors.Is(cause, context.Canceled):
			who := toldToEnd
			if o.Trigger == "demand" {
				who = "stopped by " + o.Actor + ", who had asked for it"
			}
			err = fmt.Errorf("%w: %w", model.Errorf(model.CodeSourceStopped, "%s", who), err)
		case cause != nil && !errors.Is(err, cause):
			err = fmt.Errorf("%w: %w", cause, err)
		}
	}
	out := rd.conclude(ctx, err)
	if err != nil {
		return out, fmt.Errorf("read source %s: %w", name, err)
	}
	e.Wake()
	return out, nil
}

// jobOf names the runs of one calendar.
func jobOf(source string, mode model.Mode) string {
	if mode == model.ModeFull {
		return "read:" + source
	}
	return string(mode) + ":" + source
}

// hold renews the lease and the run's heartbeat while the run works; losing the lease ends the run.
func (rd *reading) hold(ctx context.Context, lease, owner string) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	rd.phases.began = time.Now()
	done := make(chan struct{})
	beat := *rd.run
	go func() {
		defer close(done)
		for renewed := time.Now(); ; {
			if err := rd.awaitStop(ctx, cancel); err != nil {
				return
			}
			_, ok, err := rd.engine.o.Store.Acquire(ctx, lease, owner, leaseTTL)
			switch {
			case err == nil && !ok:
				cancel(model.Errorf(model.CodeSourceInterrupted, "another replica took over"))
				return
			case err == nil:
				renewed = time.Now()
				beat.HeartbeatAt = rd.engine.now()
				err = rd.engine.o.Store.UpdateRun(ctx, &beat)
			case time.Since(renewed) > leaseTTL:
				cancel(model.Errorf(model.CodeStoreUnavailable, "the lease could not be renewed: %w", err))
				return
			}
			if err != nil && ctx.Err() == nil {
				rd.engine.log.Warn("lease or heartbeat not renewed", zap.String(model.FieldSource, rd.source), zap.Error(err))
			}
		}
	}()
	return ctx, func() { cancel(context.Canceled); <-done }
}

// conclude writes down how the run ended.
func (rd *reading) conclude(ctx context.Context, err error) Synced {
	e, run := rd.e, rd.run
	run.Verdict = model.VerdictIncomplete
	if rd.proof.Complete && err == nil {
		run.Verdict = model.VerdictComplete
	}
	run.State = model.RunSucceeded
	plan, heldCode, heldText := rd.outcome()
	switch {
	case err != nil:
		run.State, run.ErrorCode, run.ErrorText = model.RunFailed, model.CodeOf(err), err.Error()
	case heldText != "":
		run.State, run.ErrorCode, run.ErrorText = model.RunHeld, heldCode, heldText
	case rd.proof.Complete && rd.tooMany != "":
		run.State, run.ErrorCode, run.ErrorText = model.RunHeld, model.CodeSourceMissing, rd.tooMany
	case !rd.proof.Complete:
		run.ErrorCode, run.ErrorText = model.CodeSourceUnproven, unproven(rd.proof)
	}
	rd.proof.Phases = rd.phases.after(rd.proof.Phases)
	end := e.now()
	run.FinishedAt, run.HeartbeatAt = &end, end
	run.Proof, run.Funnel = jml.Canonical(rd.proof), jml.Canonical(rd.funnel)
	wctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if uerr := e.o.Store.UpdateRun(wctx, run); uerr != nil { // the next run marks this one as abandoned
		e.log.Error("run not written down", zap.String(model.FieldRun, run.ID), zap.Error(uerr))
	}
	e.log.Info("source read", zap.String(model.FieldSource, rd.source), zap.String(model.FieldRun, run.ID),
		zap.String(model.FieldState, string(run.State)), zap.String(model.FieldVerdict, string(run.Verdict)),
		zap.String(model.FieldCode, string(run.ErrorCode)), zap.Duration(model.FieldDuration, end.Sub(run.StartedAt)),
		zap.Any("funnel", rd.funnel), zap.Error(err))
	return Synced{Run: *run, Proof: rd.proof, Funnel: rd.funnel, Plan: plan, Held: rd.held}
}

func unproven(p model.Proof) string {
	for _, c := range p.Conditions {
		if !c.OK {
			return fmt.Sprintf("the read is not proven to be complete: %s (seen: %s)", c.Name, c.Seen)
		}
	}
	return "the read is not proven to be complete"
}
