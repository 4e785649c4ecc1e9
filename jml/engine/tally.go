package engine

import (
	"cmp"
	"context"
	"slices"
	"time"

	"jmld/jml"
	"jmld/model"
)

// tally is what one transaction adds to the run's figures, once it is committed.
type tally struct {
	model.Funnel
	leaving []string // identities that would lose something
	staying []string // identities that keep it after all
	waiting []string // absent identities of whom something waits in an earlier plan
	renewed int      // people who came back under another id
}

func (rd *reading) add(t *tally) {
	f := &rd.funnel
	f.New += t.New
	f.Changed += t.Changed
	f.Missing += t.Missing
	f.Absent += t.Absent
	f.Disputed += t.Disputed
	f.Reviewed += t.Reviewed
	f.Create += t.Create
	f.Update += t.Update
	f.Deactivate += t.Deactivate
	f.Reactivate += t.Reactivate
	f.Delete += t.Delete
	f.Findings += t.Findings
	rd.renewed += t.renewed
	for _, id := range t.leaving {
		rd.leaving[id] = true
	}
	for _, id := range t.staying {
		delete(rd.leaving, id)
	}
	for _, id := range t.waiting {
		rd.waiting[id] = true
	}
}

// stage adds a draft to the transaction. What takes something away, and what changes accounts that exist, waits in the run's plans
// until everything is known; what a group's loss took away is held at once.
func (rd *reading) stage(ctx context.Context, c *Commit, d draft, now time.Time, t *tally) error {
	if err := rd.e.withdraw(ctx, c, d, now); err != nil {
		return err
	}
	suspicion, suspect := d.suspicion()
	held, err := route(d, func(s jml.Step, mark string) (model.Hold, bool) { return suspicion, suspect && takes(s, mark) }, model.ChangeHeld,
		func(h model.Hold) (string, error) { return rd.join(ctx, c, h, now) })
	if err != nil {
		return err
	}
	leaves := false
	rd.e.stage(c, d, rd.run.ID, now, func(s jml.Step, mark string) (string, model.ChangeState) {
		if plan, state := held(s, mark); plan != "" {
			return plan, state
		}
		switch op := s.Change.Op; {
		case op.Leaves():
			leaves = true
			return rd.leavers.in(rd, c, now), model.ChangePending
		case op == model.OpReactivate, takes(s, mark):
			return rd.moves.in(rd, c, now), model.ChangePending
		case op == model.OpCreate && !rd.epoch.never: // of a source that is new everybody joins
			return rd.joins.in(rd, c, now), model.ChangePending
		}
		return "", ""
	})
	switch {
	case leaves:
		for _, s := range d.due {
			if s != rd.source && !slices.Contains(rd.due, s) {
				rd.due = append(rd.due, s)
			}
		}
		t.leaving = append(t.leaving, d.identity.New.ID)
		rd.cautious = rd.cautious || d.cautious
	case slices.ContainsFunc(d.settled, func(s jml.Settled) bool { return s.State }):
		t.staying = append(t.staying, d.identity.New.ID)
	}
	for _, s := range d.steps {
		t.Count(s.Change.Op)
	}
	t.Findings += len(d.findings)
	return nil
}

func (rd *reading) commit(ctx context.Context, c *Commit, t *tally) error {
	return rd.store(ctx, &staged{c: c, t: t})
}

func (rd *reading) store(ctx context.Context, s *staged) error {
	defer clock(&rd.phases.commit)()
	err := rd.e.commit(ctx, s.c, rd.heldIDs()...)
	if err == nil {
		rd.book(s)
	}
	return err
}

// heldIDs are the plans whose items are counted when the run ends.
func (rd *reading) heldIDs() []string {
	ids := make([]string, len(rd.held))
	for i := range rd.held {
		ids[i] = rd.held[i].ID
	}
	return ids
}

// collection is a plan in which a run collects what it decides, until everything is known.
type collection struct{ plan *model.Plan }

// in is the plan's id, for a commit that adds to it.
func (k *collection) in(rd *reading, c *Commit, now time.Time) string {
	if k.plan == nil {
		k.plan = rd.newPlan(model.Hold{Brake: model.BrakeLeavers}, model.PlanOpen, now)
	}
	rd.relyOn(c, *k.plan)
	return k.plan.ID
}

func (rd *reading) newPlan(h model.Hold, state model.PlanState, now time.Time) *model.Plan {
	return &model.Plan{ID: model.NewID(now), RunID: rd.run.ID, Source: cmp.Or(h.Source, rd.source), Trigger: triggerRead, State: state, Brake: h.Brake, Reason: h.Text,
		CreatedAt: now, UpdatedAt: now, ExpiresAt: now.Add(rd.e.policy().Guard.Expiry)}
}

// relyOn has the commit make the plan, or fail when it has ended: by a run that took over, or because somebody approved it.
func (rd *reading) relyOn(c *Commit, plan model.Plan) {
	same := func(p model.Plan) bool { return p.ID == plan.ID }
	switch {
	case slices.ContainsFunc(c.Plans, same) || slices.ContainsFunc(c.PlansWere, same):
	case rd.stored[plan.ID]:
		c.PlansWere = append(c.PlansWere, model.Plan{ID: plan.ID, State: plan.State})
	default:
		c.Plans = append(c.Plans, plan)
	}
}

// join is the plan in which the run's changes wait that a brake stopped. One that was approved meanwhile takes nobody any more.
func (rd *reading) join(ctx context.Context, c *Commit, h model.Hold, now time.Time) (string, error) {
	i := slices.IndexFunc(rd.held, func(p model.Plan) bool {
		return p.Brake == h.Brake && p.Source == cmp.Or(h.Source, rd.source) && p.State == model.PlanHeld
	})
	if i >= 0 && rd.stored[rd.held[i].ID] {
		is, err := rd.e.o.Store.Plan(ctx, rd.held[i].ID)
		if err != nil {
			return "", err
		}
		if rd.held[i].State = is.State; is.State != model.PlanHeld {
			i = -1
		}
	}
	if i < 0 {
		rd.held = append(rd.held, *rd.newPlan(h, model.PlanHeld, now))
		i = len(rd.held) - 1
	}
	rd.relyOn(c, rd.held[i])
	return rd.held[i].ID, nil
}
