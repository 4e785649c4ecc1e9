package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"jmld/jml"
	"jmld/model"
)

// chunk is how many people are decided in one transaction of a read, a review or a plan.
const chunk = 200

var waitingStates = []model.ChangeState{model.ChangePending, model.ChangeHeld}

// Approve lets go what waits in the plan, if its digest is still the one the approver saw (ErrStale otherwise). Each item is
// decided again first; items that would be decided differently now are refused.
func (e *Engine) Approve(ctx context.Context, id, digest, actor string) (Approval, error) {
	plan, err := e.o.Store.Plan(ctx, id)
	if err != nil {
		return Approval{}, fmt.Errorf("approve plan %s: %w", id, err)
	}
	if plan.State != model.PlanHeld {
		return Approval{}, fmt.Errorf("approve plan %s: %w", id, model.Errorf(model.CodePlanStale, "the plan is %s, not held: %w", plan.State, model.ErrStale))
	}
	now := e.now()
	if now.After(plan.ExpiresAt) {
		return Approval{}, fmt.Errorf("approve plan %s: %w", id, model.Errorf(model.CodePlanStale, "it expired %s: %w",
			plan.ExpiresAt.Format(time.RFC3339), model.ErrStale))
	}
	if digest != plan.Digest {
		return Approval{}, fmt.Errorf("approve plan %s: %w", id, model.Errorf(model.CodePlanStale,
			"it has digest %s now, not %s: %w", plan.Digest, digest, model.ErrStale))
	}
	plan.State, plan.ApprovedBy, plan.ApprovedAt, plan.UpdatedAt = model.PlanApproved, actor, &now, now
	err = e.o.Store.Commit(ctx, &Commit{Plans: []model.Plan{plan}, Audit: []model.AuditEntry{{ID: model.NewID(now), At: now, Actor: actor,
		Action: "plan.approve", Source: plan.Source, Subject: plan.ID, Detail: jml.Canonical(map[string]any{"digest": digest, "items": plan.Items})}}})
	if err != nil {
		return Approval{}, fmt.Errorf("approve plan %s: %w", id, err)
	}
	out, err := e.letGo(ctx, plan, actor)
	if err != nil {
		return out, fmt.Errorf("approve plan %s: %w", id, err)
	}
	e.Wake()
	return out, nil
}

// letGo commits what waits in a plan that was released or approved. Run again after a crash it goes on with the rest.
func (e *Engine) letGo(ctx context.Context, plan model.Plan, by string) (Approval, error) {
	out := Approval{Plan: plan}
	for {
		waiting, err := e.o.Store.Changes(ctx, model.ChangeQuery{PlanID: plan.ID, States: waitingStates, Limit: chunk})
		if err != nil {
			return out, err
		}
		if len(waiting) == 0 {
			break
		}
		var committed, refused []model.Change
		err = e.again(ctx, func() error {
			var err error
			committed, refused, err = e.letGoChunk(ctx, plan, waiting, by)
			return err
		})
		if err != nil {
			return out, err
		}
		out.Committed, out.Refused = append(out.Committed, committed...), append(out.Refused, refused...)
	}
	var err error
	out.Plan, err = e.o.Store.SealPlan(ctx, plan.ID, "")
	return out, err
}

func (e *Engine) letGoChunk(ctx context.Context, plan model.Plan, waiting []model.Change, by string) (committed, refused []model.Change, err error) {
	rules, now := e.rules(), e.now()
	people, err := e.loadIdentities(ctx, identitiesOf(waiting))
	if err != nil {
		return nil, nil, err
	}
	c := &Commit{ReviewAt: now}
	for i, p := range people {
		var mine []model.Change
		for _, w := range waiting {
			if p.Identity != nil && w.IdentityID == p.Identity.ID {
				mine = append(mine, w)
			}
		}
		if p.Identity == nil { // cannot happen while identities are never deleted; the change has nobody to go to
			for _, w := range waiting {
				if w.IdentityID == identitiesOf(waiting)[i] {
					refused = append(refused, decided(w, model.ChangeRefused, by, now))
				}
			}
			continue
		}
		for j := range p.Accounts {
			if p.Accounts[j].HeldPlan == plan.ID {
				p.Accounts[j].HeldPlan = ""
			}
		}
		cause := jml.Cause{Source: plan.Source, Text: "let go by " + by}
		d := e.derive(rules, p, nil, cause, now)
		ok := draft{identity: d.identity, findings: d.findings, accounts: p.Accounts}
		for _, w := range mine {
			k := slices.IndexFunc(d.steps, func(s jml.Step) bool { return s.Change.Target == w.Target })
			if k >= 0 && d.steps[k].Change.Op == w.Op && d.steps[k].Change.After == w.After {
				s := d.steps[k]
				s.Account.Because = w.Because // the reason is the one that was held
				s.Account.Class = e.class(s.Account.Target)
				c.Accounts = append(c.Accounts, s.Account)
				committed = append(committed, decided(w, model.ChangeCommitted, by, now))
				continue
			}
			refused = append(refused, decided(w, model.ChangeRefused, by, now))
			if acct := slices.IndexFunc(p.Accounts, func(a model.Account) bool { return a.Target == w.Target }); acct >= 0 {
				c.Accounts = append(c.Accounts, p.Accounts[acct])
			}
			ok.identity.New.ReviewAt = &now // decided anew, through the guard
		}
		if ok.identity.New.ReviewAt == nil && len(d.steps) > len(mine) {
			ok.identity.New.ReviewAt = &now
		}
		e.stage(c, ok, "", now, "", "")
		for _, rec := range p.Records {
			if rec.Source == plan.Source && rec.AbsentSince != nil {
				c.Records = append(c.Records, Write{Old: &rec})
			}
		}
	}
	c.Decided = slices.Concat(committed, refused)
	if err := e.o.Store.Commit(ctx, c); err != nil {
		return nil, nil, err
	}
	for _, ch := range c.Decided {
		e.logChange(ch)
	}
	return committed, refused, nil
}

func decided(c model.Change, state model.ChangeState, by string, now time.Time) model.Change {
	c.State, c.DecidedBy, c.DecidedAt = state, by, &now
	return c
}

func identitiesOf(changes []model.Change) []string {
	var ids []string
	for _, c := range changes {
		if !slices.Contains(ids, c.IdentityID) {
			ids = append(ids, c.IdentityID)
		}
	}
	return ids
}

func (e *Engine) loadIdentities(ctx context.Context, ids []string) ([]Person, error) {
	subjects := make([]Subject, len(ids))
	for i, id := range ids {
		subjects[i].Identity = id
	}
	return e.o.Store.Load(ctx, subjects)
}

// dissolve ends a plan without letting anything go: what waited is withdrawn and its people are reviewed anew, by the run if
// one is named.
func (e *Engine) dissolve(ctx context.Context, plan model.Plan, state model.PlanState, run string, reviewAt time.Time) error {
	for {
		waiting, err := e.o.Store.Changes(ctx, model.ChangeQuery{PlanID: plan.ID, States: waitingStates, Limit: chunk})
		if err != nil {
			return err
		}
		if len(waiting) == 0 {
			_, err := e.o.Store.SealPlan(ctx, plan.ID, state)
			return err
		}
		err = e.again(ctx, func() error {
			now := e.now()
			people, err := e.loadIdentities(ctx, identitiesOf(waiting))
			if err != nil {
				return err
			}
			c := &Commit{}
			for _, p := range people {
				if p.Identity == nil {
					continue
				}
				id := *p.Identity
				id.ReviewAt, id.ReviewRun = &reviewAt, run
				c.Identities = append(c.Identities, IdentityWrite{New: id, Expect: p.Identity.Version})
				for _, a := range p.Accounts {
					if a.HeldPlan == plan.ID {
						a.HeldPlan = ""
						c.Accounts = append(c.Accounts, a)
					}
				}
			}
			for _, w := range waiting {
				c.Decided = append(c.Decided, decided(w, model.ChangeWithdrawn, string(state), now))
			}
			return e.o.Store.Commit(ctx, c)
		})
		if err != nil {
			return err
		}
	}
}

// tendPlans ends plans nobody approved in time, and finishes what a crash interrupted.
func (e *Engine) tendPlans(ctx context.Context) error {
	plans, err := e.o.Store.Plans(ctx, []model.PlanState{model.PlanHeld, model.PlanApproved, model.PlanReleased}, 200)
	if err != nil {
		return err
	}
	now := e.now()
	for _, p := range plans {
		switch {
		case p.State == model.PlanHeld && now.After(p.ExpiresAt):
			e.log.Info("held plan expired", zap.String(model.FieldPlan, p.ID), zap.Int(model.FieldCount, p.Items))
			err = e.dissolve(ctx, p, model.PlanExpired, "", now)
		case p.State == model.PlanHeld && p.Items == 0 && now.Sub(p.UpdatedAt) > time.Minute:
			_, err = e.o.Store.SealPlan(ctx, p.ID, model.PlanSuperseded)
		case p.State != model.PlanHeld && p.Items > 0:
			_, err = e.letGo(ctx, p, cmpOr(p.ApprovedBy, "guard"))
		}
		if err != nil {
			return fmt.Errorf("plan %s: %w", p.ID, err)
		}
	}
	return nil
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
