package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"jmld/jml"
	"jmld/model"
)

// Approve lets go what waits in the plan, if its digest is still the one the approver saw (ErrStale otherwise). Each item is
// decided again first; items that would be decided differently now are refused.
func (e *Engine) Approve(ctx context.Context, id, digest, actor string) (Approval, error) {
	if err := e.mayDecide(ctx); err != nil {
		return Approval{}, fmt.Errorf("approve plan %s: %w", id, err)
	}
	plan, err := e.o.Store.SealPlan(ctx, id, "") // the digest of this moment, not of the last count
	if err != nil {
		return Approval{}, fmt.Errorf("approve plan %s: %w", id, err)
	}
	now := e.now()
	stale := ""
	switch {
	case plan.State != model.PlanHeld:
		stale = fmt.Sprintf("the plan is %s, not held", plan.State)
	case now.After(plan.ExpiresAt):
		stale = "it expired " + plan.ExpiresAt.Format(time.RFC3339)
	case digest != plan.Digest:
		stale = fmt.Sprintf("it has digest %s now, not %s", plan.Digest, digest)
	}
	if stale != "" {
		return Approval{}, fmt.Errorf("approve plan %s: %w", id, model.Errorf(model.CodePlanStale, "%s: %w", stale, model.ErrStale))
	}
	was := plan
	plan.State, plan.ApprovedBy, plan.ApprovedAt, plan.UpdatedAt = model.PlanApproved, actor, &now, now
	err = e.o.Store.Commit(ctx, &Commit{PlansWere: []model.Plan{was}, Plans: []model.Plan{plan}, Losses: forget(plan), Audit: []model.AuditEntry{{
		ID: model.NewID(now), At: now, Actor: actor, Action: "plan.approve", Source: plan.Source, Subject: plan.ID,
		Detail: jml.Canonical(map[string]any{"digest": digest, "items": plan.Items})}}})
	if errors.Is(err, model.ErrStale) {
		err = model.Errorf(model.CodePlanStale, "it changed while it was approved: %w", err)
	}
	if err != nil {
		return Approval{}, fmt.Errorf("approve plan %s: %w", id, err)
	}
	out, err := e.letGo(ctx, plan, actor)
	if err != nil {
		return out, fmt.Errorf("approve plan %s: %w", id, err)
	}
	return out, nil
}

// letGo commits what waits in a plan that was released or approved; nothing joins such a plan any more. Run again after a crash
// it goes on with the rest.
func (e *Engine) letGo(ctx context.Context, plan model.Plan, by string) (Approval, error) {
	out := Approval{Plan: plan}
	for {
		var committed, refused []model.Change
		var found bool
		err := e.again(ctx, func() (err error) {
			committed, refused, found, err = e.letGoChunk(ctx, plan, by)
			return err
		})
		if err != nil {
			return out, err
		}
		if !found {
			break
		}
		out.Committed, out.Refused = append(out.Committed, committed...), append(out.Refused, refused...)
	}
	var err error
	out.Plan, err = e.o.Store.SealPlan(ctx, plan.ID, "")
	return out, err
}

// letGoChunk decides anew about some of the people who wait, and lets go what is still the same. found is false when none waits.
func (e *Engine) letGoChunk(ctx context.Context, plan model.Plan, by string) (committed, refused []model.Change, found bool, err error) {
	e = e.pinned()
	waiting, found, err := e.waiting(ctx, plan.ID)
	if err != nil || len(waiting) == 0 {
		return nil, nil, found, err
	}
	rules, now := e.rules(), e.now()
	c, given := &Commit{}, names{}
	for _, w := range waiting {
		if w.Identity == nil { // identities are never deleted; if one were, its change would have nobody to go to
			for _, item := range w.items {
				refused = append(refused, decided(item, model.ChangeRefused, by, now))
			}
			continue
		}
		d, err := e.derive(ctx, given, rules, w.Person, nil, jml.Cause{Source: plan.Source, Text: "let go by " + by}, now)
		if err != nil {
			return nil, nil, true, err
		}
		ok := draft{identity: d.identity, findings: d.findings, settled: d.settled, marks: d.marks, names: d.names, demoted: d.demoted, managed: d.managed}
		if err := e.withdraw(ctx, c, ok, now); err != nil {
			return nil, nil, true, err
		}
		e.stage(c, ok, "", now, goes)
		let := map[string][]string{} // of each target, the marks of all its items: an account may have several in one plan
		var accounts []model.Account
		whole := true
		for _, item := range w.items {
			s, same := sameStep(d.steps, item)
			if !same && plan.State == model.PlanReleased && item.Op == model.OpCreate && s.Change.Op == item.Op {
				item.After, same = s.Change.After, true // the guard lets people join, whatever the same read said of them later
				c.Moved = append(c.Moved, item)
			}
			if !same {
				refused, whole = append(refused, decided(item, model.ChangeRefused, by, now)), false
				if !slices.ContainsFunc(d.settled, func(s jml.Settled) bool { return s.Account.Target == item.Target }) {
					c.Accounts = append(c.Accounts, w.account(item.Target)...)
				}
				continue
			}
			let[item.Target] = append(let[item.Target], strings.Fields(item.Attrs)...)
			if rest := without(strings.Fields(s.Change.Attrs), let[item.Target]); len(rest) > 0 {
				s, _ = s.Divide(rest, "")
			}
			s.Account.Because = item.Because // the reason is the one that was held
			s.Account.Class = e.class(s.Account.Target)
			accounts = append(accounts, s.Account)
			if s.Before != nil && demotes(*s.Before, s.Account) {
				c.Administrators = append(c.Administrators, s.Account.Target)
			}
			committed = append(committed, decided(item, model.ChangeCommitted, by, now))
		}
		c.Accounts = append(c.Accounts, accounts...) // behind those of which an item was refused: the last of each counts
		for _, s := range d.steps {
			marks, ok := let[s.Change.Target]
			whole = whole && ok && len(without(strings.Fields(s.Change.Attrs), marks)) == 0
		}
		// The rest of what waits of the person may come with the next items, and be refused.
		whole = whole && !slices.ContainsFunc(w.Accounts, func(a model.Account) bool { return slices.Contains(jml.HeldIn(a), plan.ID) })
		if !whole { // something else is due: decided anew, through the guard
			id := &c.Identities[len(c.Identities)-1]
			draft{identity: id}.reviewBy(atOnce(), "")
			id.New.Suspect = d.suspect
			if d.cautious {
				id.New.ReviewRun = model.ReviewCorrelation
			}
		}
		for _, rec := range w.Records {
			if rec.Source == plan.Source && rec.AbsentSince != nil {
				c.Records = append(c.Records, Write{Old: &rec})
			}
		}
	}
	c.Decided = slices.Concat(c.Decided, committed, refused)
	if err := e.commit(ctx, c, plan.ID); err != nil {
		return nil, nil, true, err
	}
	for _, ch := range slices.Concat(committed, refused) {
		e.logChange(ch)
	}
	return committed, refused, true, nil
}

// sameStep finds the step that does what the item says: an update's must do it to each of the item's attributes.
func sameStep(steps []jml.Step, item model.Change) (jml.Step, bool) {
	for _, s := range steps {
		switch {
		case s.Change.Target != item.Target || s.Change.Op != item.Op:
		case item.Op != model.OpUpdate || item.Attrs == "":
			return s, s.Change.After == item.After
		default:
			marks := strings.Fields(item.Attrs)
			if len(without(marks, strings.Fields(s.Change.Attrs))) > 0 {
				return s, false
			}
			return s, jml.Part(s.Change, marks).After == jml.Part(item, marks).After
		}
	}
	return jml.Step{}, false
}

// waiter is a person of whom changes wait in a plan.
type waiter struct {
	Person
	items []model.Change
}

// account is the person's account in the target, as it is without the plan.
func (w waiter) account(target string) []model.Account {
	for _, a := range w.Accounts {
		if a.Target == target {
			return []model.Account{a}
		}
	}
	return nil
}

// waiting loads some of the people who wait in the plan, their accounts freed from it; found says whether anybody waits. What
// waits is looked at again after the people are loaded: whoever decides about an item later bumps the version of its person.
func (e *Engine) waiting(ctx context.Context, plan string) (people []waiter, found bool, err error) {
	q := model.ChangeQuery{PlanID: plan, States: []model.ChangeState{model.ChangePending, model.ChangeHeld}, Limit: chunk}
	items, err := e.o.Store.Changes(ctx, q)
	if err != nil || len(items) == 0 {
		return nil, false, err
	}
	ids := identitiesOf(items)
	loaded, err := e.loadIdentities(ctx, ids)
	if err != nil {
		return nil, true, err
	}
	if items, err = e.o.Store.Changes(ctx, q); err != nil {
		return nil, true, err
	}
	for i, p := range loaded {
		w := waiter{Person: p}
		for _, item := range items {
			if item.IdentityID != ids[i] {
				continue
			}
			w.items = append(w.items, item)
			for j := range w.Accounts {
				if w.Accounts[j].Target == item.Target {
					w.Accounts[j] = jml.Freed(w.Accounts[j], plan)
				}
			}
		}
		if len(w.items) > 0 {
			people = append(people, w)
		}
	}
	return people, true, nil
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
