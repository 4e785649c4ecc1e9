package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"jmld/model"
)

// stopPoll is how soon a run sees that it is to stop.
const stopPoll = 2 * time.Second

// Stop tells whoever reads the source to stop, in this process or another, and waits until the run has ended. ErrNotFound: nobody
// reads it. The run is incomplete, and says who stopped it.
func (e *Engine) Stop(ctx context.Context, source, actor string) (model.Run, error) {
	run, err := e.runningRun(ctx, source)
	if err != nil {
		return run, err
	}
	for {
		// Told again and again: a heartbeat may have come between.
		told, err := e.o.Store.StopRun(ctx, run.ID, "stopped by "+actor)
		if err == nil && !told {
			return e.o.Store.Run(ctx, run.ID)
		}
		if err == nil {
			err = sleep(ctx, stopPoll/2)
		}
		if err != nil {
			return run, fmt.Errorf("stop the read of source %s: %w", source, err)
		}
	}
}

// runningRun is the run of whoever reads the source.
func (e *Engine) runningRun(ctx context.Context, source string) (model.Run, error) {
	runs, err := e.o.Store.RunList(ctx, source, 20, "")
	if err != nil {
		return model.Run{}, err
	}
	read, err := e.isRead(ctx, source)
	if err != nil {
		return model.Run{}, err
	}
	for _, r := range runs {
		if read && (r.State == model.RunRunning || r.State == model.RunStopping) {
			return r, nil
		}
	}
	return model.Run{}, fmt.Errorf("source %s is not being read: %w", source, model.ErrNotFound)
}

// sourceLease is had by whoever reads the source.
func sourceLease(source string) string { return "source:" + source }

// isRead says whether somebody reads the source, by the database's clock: heartbeats are of the clock of whoever does.
func (e *Engine) isRead(ctx context.Context, source string) (bool, error) {
	leased, err := e.o.Store.Leased(ctx, sourceLease(source))
	if err != nil {
		return false, fmt.Errorf("lease of source %s: %w", source, err)
	}
	return leased, nil
}

// awaitStop returns when it is time for the next heartbeat. When the run is to stop it ends ctx first.
func (rd *reading) awaitStop(ctx context.Context, cancel context.CancelCauseFunc) error {
	for range leaseTTL / 4 / stopPoll {
		if err := sleep(ctx, stopPoll); err != nil {
			return err
		}
		run, err := rd.engine.o.Store.Run(ctx, rd.run.ID)
		switch {
		case err == nil && run.State == model.RunStopping:
			cancel(model.Errorf(model.CodeSourceStopped, "%s", run.ErrorText))
			return context.Cause(ctx)
		case err != nil && ctx.Err() == nil && !errors.Is(err, model.ErrUnavailable):
			rd.engine.log.Warn("run not looked at", zap.String(model.FieldSource, rd.source), zap.Error(err))
		}
	}
	return nil
}
