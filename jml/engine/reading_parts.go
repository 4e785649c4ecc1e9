package engine

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"jmld/jml"
	"jmld/model"
)

// tally is what one transaction adds to the run's figures, once it is committed.
type tally struct {
	model.Funnel
	leaving []string
}

func (rd *reading) add(t *tally) {
	f := &rd.funnel
	f.New += t.New
	f.Changed += t.Changed
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
}

// stage adds a draft to the transaction; what takes something away waits in the run's plan until everything is known.
func (rd *reading) stage(c *Commit, d draft, now time.Time, t *tally) {
	plan := ""
	if d.leaves() {
		if rd.plan == nil {
			rd.plan = &model.Plan{ID: model.NewID(now), RunID: rd.run.ID, Source: rd.source, Trigger: triggerRead, State: model.PlanOpen,
				CreatedAt: now, UpdatedAt: now, ExpiresAt: now.Add(rd.e.o.Guard.Expiry)}
		}
		plan = rd.plan.ID
		if !slices.ContainsFunc(c.Plans, func(p model.Plan) bool { return p.ID == plan }) {
			c.Plans = append(c.Plans, *rd.plan)
		}
		t.leaving = append(t.leaving, d.identity.New.ID)
	}
	rd.e.stage(c, d, rd.run.ID, now, plan, model.ChangePending)
	for _, s := range d.steps {
		t.Count(s.Change.Op)
	}
	t.Findings += len(d.findings)
}

func (rd *reading) commit(ctx context.Context, c *Commit) error {
	if err := rd.e.o.Store.Commit(ctx, c); err != nil {
		return err
	}
	rd.e.settlePlans(ctx, c, nil)
	for _, ch := range c.Changes {
		rd.e.logChange(ch)
	}
	return nil
}

// storeGroups stores the changed groups, one transaction each. Without the proof members are only added, and the group is
// looked at again by the next run.
func (rd *reading) storeGroups(ctx context.Context) error {
	for _, en := range rd.groups {
		if err := rd.isolate(ctx, []model.Entry{en}, rd.storeGroup); err != nil {
			return err
		}
	}
	rd.groups = nil
	if !rd.proof.Complete {
		return nil
	}
	var gone []string
	for id, k := range rd.known {
		if k.kind == model.KindGroup {
			gone = append(gone, id)
		}
	}
	slices.Sort(gone)
	for _, id := range gone {
		if err := rd.e.again(ctx, func() error { return rd.dropGroup(ctx, id) }); err != nil {
			return err
		}
	}
	return nil
}

func (rd *reading) storeGroup(ctx context.Context, entries []model.Entry) error {
	e, now, en := rd.e, rd.e.now(), entries[0]
	people, err := e.o.Store.Load(ctx, []Subject{{Source: rd.source, Record: en.ID}})
	if err != nil {
		return err
	}
	cur, next := people[0].Record, en.Record
	next.Source = rd.source
	add, drop, err := e.memberDiff(ctx, rd.source, en.ID, cur == nil, MemberChange{Replace: true, Add: en.Members})
	if err != nil {
		return err
	}
	if !rd.proof.Complete {
		drop, next.Hash = nil, nil
	}
	w := e.write(cur, &next, now)
	w.AddMembers, w.DropMembers = add, drop
	c := &Commit{Records: []Write{w}, ReviewAt: now.Add(reviewLease), ReviewRun: rd.run.ID}
	for _, id := range slices.Concat(add, drop) {
		c.Review = append(c.Review, RecordRef{rd.source, id})
	}
	if cur != nil && cur.DisplayName != next.DisplayName {
		c.Review = append(c.Review, RecordRef{rd.source, en.ID})
	}
	if err := e.o.Store.Commit(ctx, c); err != nil {
		return err
	}
	if cur == nil {
		rd.funnel.New++
	} else {
		rd.funnel.Changed++
	}
	return nil
}

func (rd *reading) dropGroup(ctx context.Context, id string) error {
	people, err := rd.e.o.Store.Load(ctx, []Subject{{Source: rd.source, Record: id}})
	if err != nil || people[0].Record == nil {
		return err
	}
	err = rd.e.o.Store.Commit(ctx, &Commit{Records: []Write{{Old: people[0].Record}}, Review: []RecordRef{{rd.source, id}},
		ReviewAt: rd.e.now().Add(reviewLease), ReviewRun: rd.run.ID})
	if err == nil {
		rd.funnel.Absent++
	}
	return err
}

// storeAbsent marks the users that a complete read did not list, and decides about them as if they were gone. Their records go
// when the guard lets their accounts go.
func (rd *reading) storeAbsent(ctx context.Context) error {
	for id, k := range rd.known {
		if k.kind == model.KindUser {
			rd.gone = append(rd.gone, id)
		}
	}
	slices.Sort(rd.gone)
	for part := range slices.Chunk(rd.gone, chunk) {
		if err := rd.e.again(ctx, func() error { return rd.storeAbsentChunk(ctx, part) }); err != nil {
			return err
		}
	}
	return nil
}

func (rd *reading) storeAbsentChunk(ctx context.Context, ids []string) error {
	e, now := rd.e, rd.e.now()
	subjects := make([]Subject, len(ids))
	for i, id := range ids {
		subjects[i] = Subject{Source: rd.source, Record: id}
	}
	people, err := e.o.Store.Load(ctx, subjects)
	if err != nil {
		return err
	}
	c, t := &Commit{}, &tally{}
	for _, p := range people {
		if p.Record == nil {
			continue
		}
		t.Absent++
		if p.Record.Link != model.Linked { // nobody's: nothing hangs on it
			c.Records = append(c.Records, Write{Old: p.Record})
			continue
		}
		next := *p.Record
		if next.AbsentSince == nil {
			next.AbsentSince = &now
		}
		next.Hash = nil // whatever comes back is a change
		d := e.derive(rd.rules, p, &next, jml.Cause{Source: rd.source, Record: next.ID, Absent: true,
			Text: "missing in a complete read of " + rd.source}, now)
		if len(d.steps) == 0 && len(d.settled) == 0 && p.Record.AbsentSince != nil {
			continue // known, and nothing new follows
		}
		if err := e.withdraw(ctx, c, d, now); err != nil {
			return err
		}
		c.Records = append(c.Records, e.write(p.Record, d.record, now))
		rd.stage(c, d, now, t)
	}
	if err := rd.commit(ctx, c); err != nil {
		return err
	}
	rd.add(t)
	return nil
}

// review decides about the people whose groups the run changed.
func (rd *reading) review(ctx context.Context) error {
	for {
		ids, err := rd.e.o.Store.DueReviews(ctx, rd.run.ID, reviewLease, chunk)
		if err != nil || len(ids) == 0 {
			return err
		}
		if err := rd.e.again(ctx, func() error { return rd.reviewChunk(ctx, ids) }); err != nil {
			return err
		}
	}
}

func (rd *reading) reviewChunk(ctx context.Context, ids []string) error {
	e, now := rd.e, rd.e.now()
	people, err := e.loadIdentities(ctx, ids)
	if err != nil {
		return err
	}
	c, t := &Commit{}, &tally{}
	for _, p := range people {
		if p.Identity == nil {
			continue
		}
		t.Reviewed++
		d := e.derive(rd.rules, p, nil, jml.Cause{Source: rd.source, Text: "groups changed in " + rd.source}, now)
		if err := e.withdraw(ctx, c, d, now); err != nil {
			return err
		}
		rd.stage(c, d, now, t)
	}
	if err := rd.commit(ctx, c); err != nil {
		return err
	}
	rd.add(t)
	return nil
}

// judge asks the guard about the run as a whole.
func (rd *reading) judge(ctx context.Context) error {
	e := rd.e
	if rd.plan != nil {
		now := e.now()
		reason, err := e.judge(ctx, rd.source, len(rd.leaving), now)
		if err != nil {
			return err
		}
		plan, err := e.o.Store.Plan(ctx, rd.plan.ID)
		if err != nil {
			return err
		}
		plan.State, plan.Reason, plan.UpdatedAt = model.PlanReleased, reason, now
		if reason != "" {
			plan.State = model.PlanHeld
		}
		if err := e.o.Store.Commit(ctx, &Commit{Plans: []model.Plan{plan}}); err != nil {
			return err
		}
		rd.plan = &plan
		if reason != "" {
			if plan, err = e.o.Store.SealPlan(ctx, plan.ID, ""); err != nil {
				return err
			}
			rd.funnel.Held = plan.Items
			e.log.Warn("held by the guard", zap.String(model.FieldPlan, plan.ID), zap.String(model.FieldSource, rd.source),
				zap.String(model.FieldRun, rd.run.ID), zap.String(model.FieldCode, string(model.CodeGuardHeld)),
				zap.Int(model.FieldCount, plan.Items), zap.String("reason", reason))
		} else {
			out, err := e.letGo(ctx, plan, "guard")
			if err != nil {
				return err
			}
			plan = out.Plan
		}
	}
	return rd.dropAbsent(ctx)
}

// dropAbsent deletes the records of absent people nothing of whom waits any more.
func (rd *reading) dropAbsent(ctx context.Context) error {
	for part := range slices.Chunk(rd.gone, chunk) {
		err := rd.e.again(ctx, func() error {
			subjects := make([]Subject, len(part))
			for i, id := range part {
				subjects[i] = Subject{Source: rd.source, Record: id}
			}
			people, err := rd.e.o.Store.Load(ctx, subjects)
			if err != nil {
				return err
			}
			c := &Commit{}
			for _, p := range people {
				waits := slices.ContainsFunc(p.Accounts, func(a model.Account) bool { return a.HeldPlan != "" })
				if p.Record != nil && p.Record.AbsentSince != nil && !waits {
					c.Records = append(c.Records, Write{Old: p.Record})
				}
			}
			if len(c.Records) == 0 {
				return nil
			}
			return rd.e.o.Store.Commit(ctx, c)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
