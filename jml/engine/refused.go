package engine

import (
	"context"
	"fmt"
	"time"

	"jmld/model"
)

// The pause after a refused bind doubles with each refusal. Directories lock accounts after a few wrong passwords within half an
// hour or so.
const (
	firstPause = 30 * time.Minute
	mostPause  = 8 * time.Hour
)

// mayBind is an error while a scheduled read should leave the bind account alone: the last reads were refused. It is seen in the
// runs, so it holds for every replica. What an operator asks for is tried at once.
func (e *Engine) mayBind(ctx context.Context, run *model.Run) error {
	if run.Trigger == "demand" {
		return nil
	}
	var refusals int
	var last model.Run
	runs, err := e.o.Store.RunsTried(ctx, run.Source, 100, run.ID)
	if err != nil {
		return fmt.Errorf("look at the last runs: %w", err)
	}
	for _, r := range runs {
		if r.FinishedAt == nil || r.State == model.RunAbandoned {
			continue // did not come as far as the bind, as far as we know
		}
		if !refused(r.ErrorCode) {
			break
		}
		if refusals++; refusals == 1 {
			last = r
		}
	}
	if refusals == 0 {
		return nil
	}
	until := last.FinishedAt.Add(pauseAfter(refusals))
	if !e.now().Before(until) {
		return nil
	}
	times := "once"
	if refusals > 1 {
		times = fmt.Sprintf("%d times in a row", refusals)
	}
	return model.Errorf(model.CodeSourcePaused, "the bind was refused %s, last at %s (%s): not tried before %s, so that the account is not locked",
		times, last.FinishedAt.UTC().Format("2006-01-02 15:04 UTC"), last.ErrorCode, until.UTC().Format("2006-01-02 15:04 UTC"))
}

func refused(code model.Code) bool {
	switch code {
	case model.CodeSourceCredentials, model.CodeSourcePassword, model.CodeSourceLocked, model.CodeSourceDisabled:
		return true
	}
	return false
}

func pauseAfter(refusals int) time.Duration {
	pause := firstPause
	for range refusals - 1 {
		if pause *= 2; pause >= mostPause {
			return mostPause
		}
	}
	return pause
}
