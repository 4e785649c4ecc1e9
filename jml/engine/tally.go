package engine

import (
	"context"
	"slices"
	"time"

	"jmld/model"
)

// tally is what one transaction adds to the run's figures, once it is committed.
type tally struct {
	model.Funnel
	leaving []string // identities that would lose something
	staying []string // identities that keep it after all
	waiting []string // absent identities of whom something waits in an earlier plan
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

// stage adds a draft to the transaction; what takes something away waits in the run's plan until everything is known.
func (rd *reading) stage(ctx context.Context, c *Commit, d draft, now time.Time, t *tally) error {
	if err := rd.e.withdraw(ctx, c, d, now); err != nil {
		return err
	}
	plan := ""
	switch {
	case d.leaves():
		if rd.plan == nil {
			rd.plan = &model.Plan{ID: model.NewID(now), RunID: rd.run.ID, Source: rd.source, Trigger: triggerRead, State: model.PlanOpen,
				CreatedAt: now, UpdatedAt: now, ExpiresAt: now.Add(rd.e.o.Guard.Expiry)}
		}
		plan = rd.plan.ID
		for _, s := range d.due {
			if s != rd.source && !slices.Contains(rd.due, s) {
				rd.due = append(rd.due, s)
			}
		}
		switch {
		case len(c.Plans)+len(c.PlansWere) > 0:
		case rd.stored: // a run that took over has ended it: nothing may be added any more
			c.PlansWere = []model.Plan{{ID: plan, State: model.PlanOpen}}
		default:
			c.Plans = []model.Plan{*rd.plan}
		}
		t.leaving = append(t.leaving, d.identity.New.ID)
		rd.cautious = rd.cautious || d.cautious
	case d.identity != nil && len(d.settled) > 0:
		t.staying = append(t.staying, d.identity.New.ID)
	}
	rd.e.stage(c, d, rd.run.ID, now, plan, model.ChangePending)
	for _, s := range d.steps {
		t.Count(s.Change.Op)
	}
	t.Findings += len(d.findings)
	return nil
}

func (rd *reading) commit(ctx context.Context, c *Commit, t *tally) error {
	defer clock(&rd.phases.commit)()
	if err := rd.e.commit(ctx, c, nil); err != nil {
		return err
	}
	rd.stored = rd.stored || len(c.Plans) > 0
	rd.add(t)
	return nil
}
