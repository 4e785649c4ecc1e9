package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"jmld/jml"
	"jmld/model"
)

// chunk is how many people are decided in one transaction of a read, a review or a plan.
const chunk = 200

// joinPlan is the plan in which what a brake stops now waits: the held one of the source and the brake, or a new one. The commit
// fails when the plan ends meanwhile: nothing joins a plan that somebody approved.
func (e *Engine) joinPlan(ctx context.Context, c *Commit, source, trigger string, hold model.Hold, now time.Time) (model.Plan, error) {
	for _, p := range c.Plans {
		if p.State == model.PlanHeld && p.Source == source && p.Trigger == trigger && p.Brake == hold.Brake {
			return p, nil
		}
	}
	plan, err := e.o.Store.OpenPlan(ctx, source, trigger, hold.Brake)
	switch {
	case err == nil && now.Before(plan.ExpiresAt) && (plan.Items > 0 || plan.Reason == hold.Text): // one that became empty had other figures
		c.PlansWere = append(c.PlansWere, model.Plan{ID: plan.ID, State: model.PlanHeld})
		return plan, nil
	case err != nil && !errors.Is(err, model.ErrNotFound):
		return model.Plan{}, err
	}
	plan = model.Plan{ID: model.NewID(now), Source: source, Trigger: trigger, State: model.PlanHeld, Brake: hold.Brake, Reason: hold.Text,
		CreatedAt: now, UpdatedAt: now, ExpiresAt: now.Add(e.policy().Guard.Expiry)}
	c.Plans = append(c.Plans, plan)
	return plan, nil
}

// end gives the plan a final state, so that nothing joins it any more. Its Items are counted, so that a crash before they are
// dealt with is seen.
func (e *Engine) end(ctx context.Context, plan model.Plan, state model.PlanState, untouched bool) error {
	if plan.State != state {
		was := model.Plan{ID: plan.ID, State: plan.State}
		if untouched {
			was.UpdatedAt = plan.UpdatedAt
		}
		plan.State, plan.UpdatedAt = state, e.now()
		if err := e.o.Store.Commit(ctx, &Commit{PlansWere: []model.Plan{was}, Plans: []model.Plan{plan}}); err != nil {
			return err
		}
	}
	_, err := e.o.Store.SealPlan(ctx, plan.ID, "")
	return err
}

// supersede ends the plan of a run that died: what waited is withdrawn and its people are decided anew by the run that is named, or
// by the review when that one dies, too.
func (e *Engine) supersede(ctx context.Context, plan model.Plan, run string) error {
	return e.empty(ctx, plan, model.PlanSuperseded, func(c *Commit, w waiter, now time.Time) error {
		d := draft{identity: &IdentityWrite{New: *w.Identity, Expect: w.Identity.Version}}
		d.reviewBy(now.Add(reviewLease), run)
		c.Identities = append(c.Identities, *d.identity)
		return nil
	})
}

// expire ends a plan that nobody approved in time. Time does not make its items harmless: what is still true waits on, in another
// plan.
func (e *Engine) expire(ctx context.Context, plan model.Plan) error {
	e = e.pinned()
	return e.empty(ctx, plan, model.PlanExpired, func(c *Commit, w waiter, now time.Time) error {
		d, err := e.derive(ctx, namesIn(c), e.rules(), w.Person, nil, jml.Cause{Source: plan.Source, Text: "decided again when its plan expired"}, now)
		if err != nil {
			return err
		}
		if err := e.withdraw(ctx, c, d, now); err != nil {
			return err
		}
		_, suspect := d.suspicion()
		waits := func(s jml.Step, mark string) bool { // what takes something away, and what was held before
			return s.Change.Op.Leaves() || suspect && takes(s, mark) || slices.ContainsFunc(w.items, func(item model.Change) bool {
				return item.Target == s.Change.Target && item.Op == s.Change.Op && (mark == "" || slices.Contains(strings.Fields(item.Attrs), mark))
			})
		}
		to, err := route(d, func(s jml.Step, mark string) (model.Hold, bool) {
			return model.Hold{Brake: plan.Brake, Text: plan.Reason}, waits(s, mark)
		}, model.ChangeHeld, func(h model.Hold) (string, error) {
			into, err := e.joinPlan(ctx, c, plan.Source, plan.Trigger, h, now)
			return into.ID, err
		})
		if err != nil {
			return err
		}
		for i, s := range d.steps {
			for _, item := range w.items {
				if s.Change.Target == item.Target && s.Change.Op == item.Op {
					d.steps[i].Change.Because, d.steps[i].Change.Source = item.Because, item.Source
				}
			}
		}
		e.stage(c, d, plan.RunID, now, to)
		return nil
	})
}

// empty ends the plan and withdraws what waits in it; each says what becomes of a person.
func (e *Engine) empty(ctx context.Context, plan model.Plan, state model.PlanState, each func(*Commit, waiter, time.Time) error) error {
	if err := e.end(ctx, plan, state, false); err != nil {
		return err
	}
	for found := true; found; {
		err := e.again(ctx, func() error {
			var people []waiter
			var err error
			if people, found, err = e.waiting(ctx, plan.ID); err != nil || len(people) == 0 {
				return err
			}
			c, now := &Commit{}, e.now()
			for _, w := range people {
				for _, item := range w.items {
					c.Decided = append(c.Decided, decided(item, model.ChangeWithdrawn, string(state), now))
					c.Accounts = append(c.Accounts, w.account(item.Target)...)
				}
				if w.Identity == nil {
					continue
				}
				if err := each(c, w, now); err != nil {
					return err
				}
			}
			return e.commit(ctx, c, plan.ID)
		})
		if err != nil {
			return err
		}
	}
	_, err := e.o.Store.SealPlan(ctx, plan.ID, "")
	return err
}

// tendPlans ends plans nobody approved in time, and finishes what a crash interrupted.
func (e *Engine) tendPlans(ctx context.Context) error {
	held, err := e.o.Store.Plans(ctx, []model.PlanState{model.PlanHeld}, 1000)
	if err != nil {
		return err
	}
	ended, err := e.o.Store.UnfinishedPlans(ctx, 200)
	if err != nil {
		return err
	}
	for _, id := range e.sealed.rest() {
		e.recountNow(ctx, id)
	}
	now := e.now()
	for _, p := range slices.Concat(held, ended) {
		switch {
		case p.State == model.PlanHeld && now.After(p.ExpiresAt):
			e.log.Warn("held plan expired", zap.String(model.FieldPlan, p.ID), zap.Int(model.FieldCount, p.Items))
			err = e.expire(ctx, p)
		case p.State == model.PlanHeld && p.Items == 0 && now.Sub(p.UpdatedAt) > time.Minute:
			err = e.retire(ctx, p.ID)
		case p.State == model.PlanHeld:
			continue
		case p.State == model.PlanExpired:
			err = e.expire(ctx, p)
		case p.State == model.PlanSuperseded:
			err = e.supersede(ctx, p, "")
		default:
			_, err = e.letGo(ctx, p, cmp.Or(p.ApprovedBy, "guard"))
		}
		switch {
		case err == nil, errors.Is(err, model.ErrStale): // stale: another replica or an operator was faster
		case errors.Is(err, model.ErrUnavailable), ctx.Err() != nil:
			return fmt.Errorf("plan %s: %w", p.ID, err)
		default: // the others must not wait for it
			e.log.Error("plan not tended", zap.String(model.FieldPlan, p.ID), zap.Error(err))
		}
	}
	return nil
}

// retire ends a held plan in which nothing waits any more.
func (e *Engine) retire(ctx context.Context, id string) error {
	plan, err := e.o.Store.SealPlan(ctx, id, "") // the count may be older than the last commit
	if err != nil || plan.State != model.PlanHeld || plan.Items > 0 {
		return err
	}
	return e.end(ctx, plan, model.PlanSuperseded, true)
}
