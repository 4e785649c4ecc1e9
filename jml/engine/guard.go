package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"jmld/jml"
	"jmld/model"
)

// Triggers of plans.
const (
	triggerRead = "read"
	triggerPush = "push"
)

// commitGuarded stages a draft that came by push or review. What takes something away goes through the guard, which counts over
// its window; when it says no, those steps wait in the source's held plan, which is returned, and the rest goes on.
func (e *Engine) commitGuarded(ctx context.Context, c *Commit, d draft, source string, now time.Time) (*model.Plan, error) {
	if err := e.withdraw(ctx, c, d, now); err != nil {
		return nil, err
	}
	if !d.leaves() {
		e.stage(c, d, "", now, "", "")
		return nil, nil
	}
	reason, err := e.judge(ctx, source, 1, now)
	if err != nil {
		return nil, err
	}
	if reason == "" {
		e.stage(c, d, "", now, "", "")
		return nil, nil
	}
	plan, err := e.o.Store.OpenPlan(ctx, source, triggerPush)
	if errors.Is(err, model.ErrNotFound) {
		plan = model.Plan{ID: model.NewID(now), Source: source, Trigger: triggerPush, State: model.PlanHeld, CreatedAt: now,
			ExpiresAt: now.Add(e.o.Guard.Expiry)}
	} else if err != nil {
		return nil, err
	}
	plan.Reason, plan.UpdatedAt = reason, now
	c.Plans = append(c.Plans, plan)
	e.stage(c, d, "", now, plan.ID, model.ChangeHeld)
	return &plan, nil
}

// judge asks the guard about lost people of a source, now.
func (e *Engine) judge(ctx context.Context, source string, lost int, now time.Time) (string, error) {
	before, err := e.o.Store.Lost(ctx, source, now.Add(-e.o.Guard.Window))
	if err != nil {
		return "", fmt.Errorf("guard of source %s: %w", source, err)
	}
	supported, err := e.supported(ctx, source)
	if err != nil {
		return "", fmt.Errorf("guard of source %s: %w", source, err)
	}
	return e.o.Guard.Judge(jml.Toll{Lost: lost, Before: before, Supported: supported + before}), nil
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
			w.State, w.DecidedBy, w.DecidedAt = model.ChangeWithdrawn, "cause went away", &now
			c.Decided = append(c.Decided, w)
		}
	}
	return nil
}

// settlePlans brings the count and the digest of plans up to date after a commit that touched them. The plan itself is
// durable already; a count that could not be renewed is renewed by the next touch.
func (e *Engine) settlePlans(ctx context.Context, c *Commit, held *model.Plan) {
	ids := map[string]bool{}
	if held != nil {
		ids[held.ID] = true
	}
	for _, d := range c.Decided {
		ids[d.PlanID] = true
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
	defer c.mu.Unlock()
	if s, ok := c.of[source]; ok && time.Now().Before(s.until) {
		return s.n, nil
	}
	n, err := e.o.Store.Supported(ctx, source)
	if err != nil {
		return 0, err
	}
	if c.of == nil {
		c.of = map[string]supportedCount{}
	}
	c.of[source] = supportedCount{n, time.Now().Add(fresh)}
	return n, nil
}
