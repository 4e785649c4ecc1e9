package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"jmld/jml"
	"jmld/model"
)

const (
	poll        = 500 * time.Millisecond // other processes write to the same database without telling us
	gather      = 50 * time.Millisecond  // from a change of a group to the review of its members
	longestWait = 15 * time.Minute       // between two tries of one account that the target does not take
	longestRest = 30 * time.Second       // of a target that does not answer
	claimSlack  = 5 * time.Second        // between claiming an account and calling the target
	taskRecheck = time.Hour              // of an account whose step is a person's task
	mostTries   = 12                     // of a cause that is not the network's, before the dead letter
)

// circuit keeps a target that does not answer, or lets nobody in, from being asked for every account: one probe at a time, with
// growing rests.
type circuit struct {
	failures int
	until    time.Time
}

// work settles one target's accounts until ctx ends.
func (e *Engine) work(ctx context.Context, t TargetSpec) error {
	var c circuit
	for ctx.Err() == nil {
		n, _, err := e.workOnce(ctx, t, &c)
		if err != nil && ctx.Err() == nil {
			e.log.Error("accounts not worked off", zap.String(model.FieldTarget, t.Target.Name()), zap.Error(err))
			if sleep(ctx, jitter(2*time.Second)) != nil {
				break
			}
		}
		if n > 0 {
			continue
		}
		wait := time.NewTimer(poll)
		select {
		case <-ctx.Done():
		case <-e.wake.hear(t.Target.Name()):
		case <-wait.C:
		}
		wait.Stop()
	}
	return ctx.Err()
}

// Work settles due accounts of the targets that are not Resident until none is due now, or ctx ends. It returns how many it
// settled and how many failed. A daemon at work on the same database does no harm: each account is leased.
func (e *Engine) Work(ctx context.Context) (settled, failed int, err error) {
	for _, t := range e.policy().Targets {
		if t.Resident {
			continue
		}
		var c circuit
		for {
			n, bad, err := e.workOnce(ctx, t, &c)
			settled, failed = settled+n-bad, failed+bad
			if err != nil {
				return settled, failed, err
			}
			if n == 0 || c.failures > 0 {
				break
			}
		}
	}
	return settled, failed, nil
}

// workOnce claims some due accounts and settles them side by side. It returns how many it claimed and how many failed.
func (e *Engine) workOnce(ctx context.Context, t TargetSpec, c *circuit) (claimed, failed int, err error) {
	name := t.Target.Name()
	limit, timeout := t.Concurrency, t.Timeout
	if limit <= 0 {
		limit = 4
	}
	if timeout <= 0 {
		timeout = 30 * time.Second
	}
	probing := c.failures > 0
	if probing {
		if time.Now().Before(c.until) {
			return 0, 0, nil
		}
		limit = 1
	}
	// A claim outlives the call: a call that the lease overtook could undo what the next worker did. What a killed process had
	// in hand waits for the lease's end.
	accounts, err := e.o.Store.Claim(ctx, name, e.o.Replica, timeout+2*claimSlack, limit*4)
	if err != nil {
		return 0, 0, fmt.Errorf("claim accounts of target %s: %w", name, err)
	}
	results := make([]error, len(accounts))
	begun := make([]bool, len(accounts))
	var g errgroup.Group // without a common context: one that fails must not cut off the others' calls
	g.SetLimit(limit)
	deadline := time.Now().Add(claimSlack) // what has not begun by then is given back
	for i, a := range accounts {
		g.Go(func() error {
			if time.Now().After(deadline) || ctx.Err() != nil {
				return e.giveBack(ctx, a)
			}
			var err error
			begun[i] = true
			results[i], err = e.settle(ctx, t.Target, a, timeout)
			return err
		})
	}
	err = g.Wait()
	var reached, unreached bool
	for i, r := range results {
		if r != nil {
			failed++
		}
		pause, asked := Pause(r)
		if asked {
			c.failures, c.until = max(c.failures, 1), later(time.Now().Add(pause), c.until)
		}
		whole := r != nil && ofTheTarget(model.CodeOf(r))
		unreached = unreached || asked || whole
		reached = reached || begun[i] && !asked && !whole // a refusal is an answer, too
	}
	switch {
	case unreached:
		c.failures++
		c.until = later(time.Now().Add(jitter(min(longestRest, time.Second<<min(c.failures, 6)))), c.until)
	case reached:
		if probing {
			e.recovered(ctx, name)
		}
		*c = circuit{}
	}
	return len(accounts), failed, err
}

// giveBack ends the lease of an account that was claimed and not begun.
func (e *Engine) giveBack(ctx context.Context, a model.Account) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return ignoreStale(e.o.Store.Fail(ctx, a, 0))
}

// recovered makes the accounts that waited for the target due at once.
func (e *Engine) recovered(ctx context.Context, target string) {
	for _, code := range []model.Code{model.CodeTargetUnreachable, model.CodeTargetThrottled, model.CodeTargetCredentials} {
		if _, err := e.o.Store.Retry(ctx, model.AccountQuery{Target: target, Code: code}); err != nil { // they come due by themselves
			e.log.Warn("waiting accounts not hurried", zap.String(model.FieldTarget, target), zap.Error(err))
		}
	}
	e.log.Info("target answers again", zap.String(model.FieldTarget, target))
}

// settle brings one account to its desired state. The first result is the target's error, the second the store's.
func (e *Engine) settle(ctx context.Context, target Target, a model.Account, timeout time.Duration) (error, error) {
	tctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var got model.Account
	err := e.permitted(tctx, a)
	switch {
	case err == nil:
		got, err = ensure(tctx, target, kept(a))
	case IsPermanent(err): // nobody is to do by hand what no target is told to
		if terr := e.o.Store.ReplaceTask(ctx, a, clip(err.Error()), nil); terr != nil {
			return err, ignoreStale(terr)
		}
	}
	fields := []zap.Field{zap.String(model.FieldTarget, a.Target), zap.String(model.FieldIdentity, a.IdentityID),
		zap.String(model.FieldState, string(a.State)), zap.Int(model.FieldAttempt, a.Attempts+1)}
	if err == nil {
		got.IdentityID, got.Target, got.Epoch, got.DesiredRev = a.IdentityID, a.Target, a.Epoch, a.DesiredRev
		got.Administrator = a.Administrator
		if serr := e.o.Store.Settle(ctx, got); serr != nil {
			return nil, ignoreStale(serr)
		}
		e.log.Info("account settled", fields...)
		return nil, nil
	}
	if ctx.Err() != nil { // we stop; the target may still be busy with it until the lease ends
		return err, nil
	}
	if errors.Is(tctx.Err(), context.DeadlineExceeded) && model.CodeOf(err) == model.CodeInternal {
		err = model.Errorf(model.CodeTargetUnreachable, "no answer within %s: %w", timeout, err)
	}
	if code := model.CodeOf(err); code == model.CodeTaskOpen || code == model.CodeTaskOverdue { // no failure: a person has it in hand, and says when it is done
		a.Attempts, a.Dead, a.ErrorCode, a.ErrorText = 0, false, code, clip(err.Error())
		e.log.Info("account waits for a person", fields...)
		return nil, ignoreStale(e.o.Store.Fail(ctx, a, taskRecheck))
	}
	code, longest := model.CodeOf(err), longestWait
	if ofTheTarget(a.ErrorCode) && !ofTheTarget(code) {
		a.Attempts = 0 // the tries while the target was away are not the account's
	}
	if ofTheTarget(code) {
		longest = longestRest // the circuit spares the target; the account should be there when it answers again
	}
	a.Attempts++
	a.ErrorCode, a.ErrorText = code, clip(err.Error())
	a.Dead = IsPermanent(err) || a.Attempts >= mostTries && !ofTheTarget(code)
	pause := jitter(min(longest, time.Second<<min(a.Attempts, 12)))
	if p, ok := Pause(err); ok && p > pause {
		pause = p
	}
	fields = append(fields, zap.String(model.FieldCode, string(a.ErrorCode)), zap.Error(err))
	if a.Dead {
		e.log.Error("account in the dead letter", fields...)
	} else {
		e.log.Warn("account not settled", append(fields, zap.Duration("pause", pause))...)
	}
	return err, ignoreStale(e.o.Store.Fail(ctx, a, pause))
}

// kept is what the target is asked for: an account that was found there, perhaps after its deletion was decided, is not ours to delete.
func kept(a model.Account) model.Account {
	if a.State == model.AccountAbsent && a.Origin == model.OriginAdopted {
		a.State = model.AccountInactive
	}
	return a
}

// ensure turns a target's panic into an error: one broken account must not stop the others.
func ensure(ctx context.Context, t Target, a model.Account) (got model.Account, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = Permanent(fmt.Errorf("target %s: panic: %v", t.Name(), p))
		}
	}()
	return t.Ensure(ctx, a)
}

// ofTheTarget are causes that are never the account's: it is tried for ever.
func ofTheTarget(code model.Code) bool {
	return code == model.CodeTargetUnreachable || code == model.CodeTargetThrottled || code == model.CodeTargetCredentials ||
		code == model.CodeStoreUnavailable
}

func ignoreStale(err error) error {
	if errors.Is(err, model.ErrStale) { // somebody else has the account now, with a newer epoch
		return nil
	}
	return err
}

func clip(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\uFFFD")
	if r := []rune(s); len(r) > 500 {
		return string(r[:500]) + "…"
	}
	return s
}

// Retry takes accounts out of the dead letter, or makes waiting ones due now.
func (e *Engine) Retry(ctx context.Context, q model.AccountQuery, actor string) (int, error) {
	n, err := e.o.Store.Retry(ctx, q)
	if err != nil {
		return 0, fmt.Errorf("retry accounts: %w", err)
	}
	now := e.now()
	err = e.o.Store.Commit(ctx, &Commit{Audit: []model.AuditEntry{{ID: model.NewID(now), At: now, Actor: actor, Action: "account.retry",
		Subject: q.IdentityID, Detail: jml.Canonical(map[string]any{"accounts": n, "target": q.Target, "code": q.Code})}}})
	e.Wake()
	return n, err
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
