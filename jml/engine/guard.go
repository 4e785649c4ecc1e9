package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"jmld/jml"
	"jmld/model"
)

// Triggers of plans.
const (
	triggerRead        = "read"
	triggerPush        = "push"
	triggerCorrelation = "correlation"
)

// correlationHold is the reason of what follows from a decision about whom a record is.
const correlationHold = "a person decided whom records are about; who loses something by it does so with approval only"

// commitGuarded commits a draft that came by push or review. What takes something away goes through the guard, which counts over
// its window; when it says no, those steps wait in the source's held plan, and the rest goes on. lost is how many people of
// the source are about to lose something, this one included.
func (e *Engine) commitGuarded(ctx context.Context, c *Commit, d draft, source string, lost int, now time.Time) (held bool, err error) {
	if err := e.withdraw(ctx, c, d, now); err != nil {
		return false, err
	}
	if !d.leaves() {
		e.stage(c, d, "", now, "", "")
		return false, e.commit(ctx, c, nil)
	}
	if d.cautious {
		plan, err := e.joinPlan(ctx, c, source, triggerCorrelation, correlationHold, now)
		if err != nil {
			return false, err
		}
		e.stage(c, d, "", now, plan.ID, model.ChangeHeld)
		return true, e.commit(ctx, c, &plan)
	}
	others, landed := e.flight.begin(source)
	defer landed()
	toll := jml.Toll{Lost: max(lost, 1), Before: others}
	reason, err := e.judge(ctx, source, toll, now)
	if err != nil {
		return false, err
	}
	if reason == "" {
		if reason, err = e.unsettled(ctx, d.due); err != nil {
			return false, err
		}
	}
	if reason == "" {
		e.stage(c, d, "", now, "", "")
		return false, e.commit(ctx, c, nil)
	}
	trigger := triggerPush
	if d.ended != "" { // a team leaves as one: its plan is approved as one
		trigger, reason = "end of "+d.ended, fmt.Sprintf("the engagement of %s is over: %s", d.ended, reason)
	}
	plan, err := e.joinPlan(ctx, c, source, trigger, reason, now)
	if err != nil {
		return false, err
	}
	e.stage(c, d, "", now, plan.ID, model.ChangeHeld)
	return true, e.commit(ctx, c, &plan)
}

// commit stores c, wakes whoever has work by it, and brings the plans it touched up to date, except those that are counted by
// the caller.
func (e *Engine) commit(ctx context.Context, c *Commit, held *model.Plan, counted ...string) error {
	if err := e.o.Store.Commit(ctx, c); err != nil {
		return err
	}
	e.wakeFor(c)
	e.recount(ctx, c, held, counted)
	for _, ch := range c.Changes {
		e.logChange(ch)
	}
	return nil
}

// recount brings the count and the digest of plans up to date after a commit that touched them. What waits is durable already; a
// count that could not be renewed is renewed by the next touch, and before every approval.
func (e *Engine) recount(ctx context.Context, c *Commit, held *model.Plan, counted []string) {
	ids := map[string]bool{}
	for _, d := range c.Decided {
		ids[d.PlanID] = true
	}
	for _, ch := range c.Changes {
		if ch.State == model.ChangeHeld {
			ids[ch.PlanID] = true
		}
	}
	for _, id := range counted {
		delete(ids, id)
	}
	for id := range ids {
		if _, err := e.o.Store.SealPlan(ctx, id, ""); err != nil {
			e.log.Warn("plan not recounted", zap.String(model.FieldPlan, id), zap.Error(err))
		}
	}
	if held != nil {
		e.log.Warn("held by the guard", zap.String(model.FieldPlan, held.ID), zap.String(model.FieldSource, held.Source),
			zap.String(model.FieldCode, string(model.CodeGuardHeld)), zap.String("reason", held.Reason))
	}
}

// judge asks the guard about people of a source who are about to lose something. What was lost within the window is added.
func (e *Engine) judge(ctx context.Context, source string, toll jml.Toll, now time.Time) (string, error) {
	before, err := e.o.Store.Lost(ctx, source, now.Add(-e.o.Guard.Window))
	if err != nil {
		return "", fmt.Errorf("guard of source %s: %w", source, err)
	}
	supported, err := e.supported(ctx, source)
	if err != nil {
		return "", fmt.Errorf("guard of source %s: %w", source, err)
	}
	toll.Before += before
	toll.Supported = supported + before
	return e.o.Guard.Judge(toll), nil
}

// unsettled says which of the sources has another configuration than at its last complete read: a read under the new one that
// was stopped has changed groups, and who loses something by it waits as they would have in its plan.
func (e *Engine) unsettled(ctx context.Context, sources []string) (string, error) {
	for _, s := range e.o.Sources {
		if !slices.Contains(sources, s.Source.Name()) {
			continue
		}
		cp, err := e.o.Store.Checkpoint(ctx, s.Source.Name())
		switch {
		case errors.Is(err, model.ErrNotFound):
		case err != nil:
			return "", fmt.Errorf("checkpoint of source %s: %w", s.Source.Name(), err)
		case cp.Profile != s.Source.Profile():
			return fmt.Sprintf("%s of the source %s changed, and it has not been read completely since; until then nobody leaves by it without approval",
				differing(cp.Profile, s.Source.Profile()), s.Source.Name()), nil
		}
	}
	return "", nil
}

// withdraw marks the waiting changes of targets whose cause went away.
func (e *Engine) withdraw(ctx context.Context, c *Commit, d draft, now time.Time) error {
	for _, t := range d.settled {
		acct := accountOf(d.accounts, t)
		waiting, err := e.o.Store.Changes(ctx, model.ChangeQuery{PlanID: acct.HeldPlan, IdentityID: acct.IdentityID, Target: t,
			States: []model.ChangeState{model.ChangePending, model.ChangeHeld}, Limit: 10})
		if err != nil {
			return err
		}
		for _, w := range waiting {
			c.Decided = append(c.Decided, decided(w, model.ChangeWithdrawn, "cause went away", now))
		}
	}
	return nil
}

// flight counts, for each source, the leaves that are being committed: requests at once must not each take themselves for
// the only one. A leave that lands between the two counts is counted twice, which errs on the safe side.
type flight struct {
	mu sync.Mutex
	of map[string]int
}

func (f *flight) begin(source string) (others int, landed func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of == nil {
		f.of = map[string]int{}
	}
	others = f.of[source]
	f.of[source]++
	return others, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.of[source]--
	}
}

// supportedCache keeps the count of people behind a source for a while: it is a share's denominator and costs a count.
type supportedCache struct {
	mu sync.Mutex
	of map[string]supportedCount
}

type supportedCount struct {
	n     int
	until time.Time
}

func (e *Engine) supported(ctx context.Context, source string) (int, error) {
	const fresh = 10 * time.Second
	c := &e.cache
	c.mu.Lock()
	s, ok := c.of[source]
	c.mu.Unlock()
	if ok && e.o.Now().Before(s.until) {
		return s.n, nil
	}
	n, err := e.o.Store.Supported(ctx, source) // not under the lock: the others would wait for a database that hangs
	if err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[string]supportedCount{}
	}
	c.of[source] = supportedCount{n, e.o.Now().Add(fresh)}
	return n, nil
}
