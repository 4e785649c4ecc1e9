package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"jmld/jml"
	"jmld/model"
)

// judge asks the guard about the run as a whole: who would lose something, and how accounts would change. What is held waits in plans,
// one for each brake; the rest is let go.
func (rd *reading) judge(ctx context.Context) error {
	rd.follow()
	if err := rd.judgeLeavers(ctx); err != nil {
		return err
	}
	if err := rd.judgeMoves(ctx); err != nil {
		return err
	}
	if err := rd.judgeJoins(ctx); err != nil {
		return err
	}
	rd.held = slices.DeleteFunc(rd.held, func(p model.Plan) bool { return !rd.stored[p.ID] }) // what should have waited there was decided anew
	for i := range rd.held {
		plan, err := rd.e.o.Store.SealPlan(ctx, rd.held[i].ID, "")
		if err != nil {
			return err
		}
		rd.held[i] = plan
	}
	rd.held = slices.DeleteFunc(rd.held, func(p model.Plan) bool { return p.State != model.PlanHeld || p.Items == 0 }) // came to nothing
	for _, p := range rd.held {
		rd.funnel.Held += p.Items
	}
	return nil
}

// figures are counted once for the whole run, as they are before anybody of it leaves.
func (rd *reading) figures(ctx context.Context, now time.Time) (*figures, error) {
	if rd.counted == nil {
		var err error
		if rd.counted, err = rd.e.figures(ctx, rd.source, now, nil); err != nil {
			return nil, err
		}
	}
	return rd.counted, nil
}

// judgeLeavers: the plan's count and its end as open are one statement, so that a crash leaves it open, or complete.
func (rd *reading) judgeLeavers(ctx context.Context) error {
	plan := rd.leavers.plan
	if plan == nil || !rd.stored[plan.ID] {
		return nil
	}
	e, now := rd.e, rd.e.now()
	hold, err := rd.whyHeld(ctx, now)
	if err != nil {
		return err
	}
	if hold.Text == "" {
		return rd.release(ctx, plan)
	}
	held := *plan
	held.Brake, held.Reason, held.UpdatedAt = hold.Brake, hold.Text, now
	if err := e.o.Store.Commit(ctx, &Commit{PlansWere: []model.Plan{{ID: plan.ID, State: model.PlanOpen}}, Plans: []model.Plan{held}}); err != nil {
		return err
	}
	if *plan, err = e.o.Store.SealPlan(ctx, plan.ID, model.PlanHeld); err != nil {
		return err
	}
	rd.held = slices.Insert(rd.held, 0, *plan)
	e.log.Warn("held by the guard", zap.String(model.FieldPlan, plan.ID), zap.String(model.FieldSource, rd.source),
		zap.String(model.FieldRun, rd.run.ID), zap.String(model.FieldCode, string(hold.Brake.Code())),
		zap.Int(model.FieldCount, plan.Items), zap.String("reason", hold.Text))
	return nil
}

// release lets go what is left in a plan of the run.
func (rd *reading) release(ctx context.Context, plan *model.Plan) error {
	var err error
	if *plan, err = rd.e.o.Store.SealPlan(ctx, plan.ID, model.PlanReleased); err != nil {
		return err
	}
	out, err := rd.engine.letGo(ctx, *plan, "guard")
	*plan = out.Plan
	return err
}

// whyHeld says why those who would lose something have to wait; no text: they need not.
func (rd *reading) whyHeld(ctx context.Context, now time.Time) (model.Hold, error) {
	e, lost := rd.e, map[string]int{}
	counts, err := e.o.Store.Waiting(ctx, rd.leavers.plan.ID)
	if err != nil {
		return model.Hold{}, err
	}
	for _, c := range counts {
		lost[c.Target] += c.N
	}
	if lost[""] = len(rd.leaving); lost[""] == 0 {
		return model.Hold{}, nil
	}
	for id := range rd.waiting { // nobody let them go yet: they belong to the picture
		if !rd.leaving[id] {
			lost[""]++
		}
	}
	if rd.epoch.changed != "" { // whoever changed it sees what it does before it is done
		return model.Hold{Brake: model.BrakeLeavers, Text: fmt.Sprintf("%s of the source changed: %d joined, %d moved and %d would leave by it; nobody leaves by this first read without approval",
			rd.epoch.changed, rd.funnel.Create+rd.funnel.Reactivate, rd.funnel.Update, lost[""])}, nil
	}
	f, err := rd.figures(ctx, now)
	if err != nil {
		return model.Hold{}, err
	}
	reason, err := e.judge(ctx, rd.source, f, lost, 0, rd.mode == model.ModeFull, now)
	if err == nil && reason == "" {
		reason, err = e.unsettled(ctx, rd.due)
	}
	if err != nil || reason != "" {
		return model.Hold{Brake: model.BrakeLeavers, Text: reason}, err
	}
	seen, err := rd.circumstances(ctx, f.supported[""], now)
	if err != nil {
		return model.Hold{}, err
	}
	hold, held := e.policy().Guard.JudgeRead(seen)
	if !held && rd.cautious {
		hold = model.Hold{Brake: model.BrakeLeavers, Text: correlationHold}
	}
	return hold, nil
}

// circumstances are what the read as a whole shows.
func (rd *reading) circumstances(ctx context.Context, supported int, now time.Time) (jml.Circumstances, error) {
	theirs, err := rd.e.o.Store.Now(ctx)
	if err != nil {
		return jml.Circumstances{}, err
	}
	c := jml.Circumstances{Renewed: rd.renewed, Supported: supported, Ahead: now.Sub(theirs), Clock: "the database's"}
	if was := rd.epoch.UpdatedAt; c.Ahead.Abs() <= rd.e.policy().Guard.Clock && now.Before(was) {
		c.Ahead, c.Clock = now.Sub(was), "its own at the last complete read"
	}
	if theirs := rd.proof.Clock; c.Ahead.Abs() <= rd.e.policy().Guard.Clock && theirs != nil {
		c.Ahead, c.Clock = -time.Duration(*theirs)*time.Millisecond, "the directory's"
	}
	if rd.proof.Complete && rd.proof.Mode == model.ModeFull {
		c.Listed = rd.proof.Users
		if c.Before, err = rd.lastListed(ctx); err != nil {
			return c, err
		}
		for _, s := range rd.sightings {
			if s.State == model.SightDeleted {
				c.Explained++
			}
		}
	}
	return c, nil
}

// judgeMoves sets aside what brakes stop of the changes of existing accounts, while the plan is open still, and lets the rest go. A run that
// dies between is decided anew by the next one, which counts what waits.
func (rd *reading) judgeMoves(ctx context.Context) error {
	plan := rd.moves.plan
	if plan == nil || !rd.stored[plan.ID] {
		return nil
	}
	e, now := rd.e, rd.e.now()
	counts, err := e.o.Store.Waiting(ctx, plan.ID)
	if err != nil {
		return err
	}
	f, err := rd.figures(ctx, now)
	if err != nil {
		return err
	}
	for _, c := range f.moved {
		if c.Held || rd.mode != model.ModeFull { // a read of everything is counted by itself
			counts = append(counts, c)
		}
	}
	return rd.settle(ctx, plan, e.policy().Guard.JudgeMoves(jml.Figures{Supported: f.supported, Counts: counts}))
}

// judgeJoins is judgeMoves for who gets an account.
func (rd *reading) judgeJoins(ctx context.Context) error {
	plan := rd.joins.plan
	if plan == nil || !rd.stored[plan.ID] {
		return nil
	}
	counts, err := rd.e.o.Store.Waiting(ctx, plan.ID)
	if err != nil {
		return err
	}
	f, err := rd.figures(ctx, rd.e.now())
	if err != nil {
		return err
	}
	return rd.settle(ctx, plan, rd.e.policy().Guard.JudgeJoins(counts, f.supported[""], rd.epoch.changed))
}

// settle sets aside what has to wait of a plan of the run, and lets the rest go.
func (rd *reading) settle(ctx context.Context, plan *model.Plan, v jml.Verdicts) error {
	if !v.None() {
		if err := rd.setAside(ctx, *plan, v); err != nil {
			return err
		}
	}
	return rd.release(ctx, plan)
}

// setAside moves what has to wait from the run's plan into those of the brakes.
func (rd *reading) setAside(ctx context.Context, plan model.Plan, v jml.Verdicts) error {
	for before := ""; ; {
		q := model.ChangeQuery{PlanID: plan.ID, States: []model.ChangeState{model.ChangePending}, Before: before, Limit: chunk}
		var last string
		err := rd.again(ctx, func() (err error) {
			last, err = rd.setAsideChunk(ctx, plan, q, v)
			return err
		})
		if err != nil || last == "" {
			return err
		}
		before = last
	}
}

// setAsideChunk is one transaction. last is the item it came to, "" when there was none.
func (rd *reading) setAsideChunk(ctx context.Context, plan model.Plan, q model.ChangeQuery, v jml.Verdicts) (last string, err error) {
	e, now := rd.e, rd.e.now()
	items, err := e.o.Store.Changes(ctx, q)
	if err != nil || len(items) == 0 {
		return "", err
	}
	ids := identitiesOf(items)
	people, err := e.loadIdentities(ctx, ids)
	if err != nil {
		return "", err
	}
	if items, err = e.o.Store.Changes(ctx, q); err != nil || len(items) == 0 { // what is decided after they were loaded makes the commit stale
		return "", err
	}
	c := &Commit{PlansWere: []model.Plan{{ID: plan.ID, State: model.PlanOpen}}}
	touched := map[string]bool{}
	for _, item := range items {
		k := slices.Index(ids, item.IdentityID)
		if k < 0 || people[k].Identity == nil {
			continue
		}
		parts, holds := map[model.Brake][]string{}, map[model.Brake]model.Hold{}
		var stay []string
		for _, mark := range marksOf(jml.Step{Change: item}) {
			h, held := v.Hold(item.Target, item.Op, mark)
			if !held {
				stay = append(stay, mark)
				continue
			}
			parts[h.Brake], holds[h.Brake] = append(parts[h.Brake], mark), h
		}
		if len(parts) == 0 {
			continue
		}
		i := slices.IndexFunc(people[k].Accounts, func(a model.Account) bool { return a.Target == item.Target })
		if i < 0 {
			return "", fmt.Errorf("account of %s in %s: %w", item.IdentityID, item.Target, model.ErrNotFound)
		}
		acct := &people[k].Accounts[i]
		moved := len(stay) > 0
		if moved {
			c.Moved = append(c.Moved, jml.Part(item, stay))
		}
		for _, brake := range sortedBrakes(parts) {
			into, err := rd.join(ctx, c, holds[brake], now)
			if err != nil {
				return "", err
			}
			part := item
			if item.Op == model.OpUpdate {
				part = jml.Part(item, parts[brake])
				*acct = jml.Rehold(*acct, parts[brake], into)
			} else {
				*acct = jml.Rehold(*acct, nil, into)
			}
			part.PlanID, part.State = into, model.ChangeHeld
			if moved {
				part.ID = model.NewID(now)
				c.Changes = append(c.Changes, part)
			} else {
				c.Moved, moved = append(c.Moved, part), true
			}
		}
		c.Accounts = append(c.Accounts, *acct)
		if !touched[item.IdentityID] {
			touched[item.IdentityID] = true
			c.Identities = append(c.Identities, IdentityWrite{New: *people[k].Identity, Expect: people[k].Identity.Version})
		}
	}
	last = items[len(items)-1].ID
	if len(c.Accounts) == 0 {
		return last, nil
	}
	return last, rd.commit(ctx, c, &tally{})
}

func sortedBrakes(parts map[model.Brake][]string) []model.Brake {
	out := make([]model.Brake, 0, len(parts))
	for b := range parts {
		out = append(out, b)
	}
	slices.Sort(out)
	return out
}

// outcome is the plan that the run made, and in words what is held.
func (rd *reading) outcome() (plan *model.Plan, code model.Code, text string) {
	plan = rd.leavers.plan
	if plan != nil && !rd.stored[plan.ID] {
		plan = nil
	}
	if len(rd.held) == 0 {
		return plan, "", ""
	}
	reasons := make([]string, len(rd.held))
	for i, p := range rd.held {
		reasons[i] = p.Reason
	}
	if plan == nil || plan.State != model.PlanHeld {
		plan = &rd.held[0]
	}
	return plan, rd.held[0].Brake.Code(), strings.Join(reasons, "; and ")
}

// lastListed is how many people the last complete read of everything listed.
func (rd *reading) lastListed(ctx context.Context) (int, error) {
	const back = 200 // reads of changes come between
	runs, err := rd.e.o.Store.RunList(ctx, rd.source, back, rd.run.ID)
	if err != nil && !errors.Is(err, model.ErrNotFound) {
		return 0, err
	}
	for _, r := range runs {
		if r.Verdict != model.VerdictComplete || r.DryRun {
			continue
		}
		var proof model.Proof
		if err := json.Unmarshal([]byte(r.Proof), &proof); err != nil {
			return 0, fmt.Errorf("proof of run %s: %w", r.ID, err)
		}
		if !proof.Unlisted && (proof.Mode == model.ModeFull || proof.Mode == "") {
			return proof.Users, nil
		}
	}
	return 0, nil
}
