package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
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

// commitGuarded commits a draft that came by push or review. What takes something away, and what changes accounts that exist, goes
// through the guard, which counts over its window; what it stops waits in held plans of the source, and the rest goes on. all is
// what is decided together with it, nil: it is decided by itself. held says whether the draft takes something away and that waits.
func (e *Engine) commitGuarded(ctx context.Context, c *Commit, d draft, source string, all *ahead, now time.Time) (held bool, err error) {
	if err := e.withdraw(ctx, c, d, now); err != nil {
		return false, err
	}
	if all == nil {
		if all, err = e.one(ctx, d, source, now); err != nil {
			return false, err
		}
	}
	suspicion, suspect := d.suspicion()
	reason, trigger := "", triggerPush
	if d.leaves() && d.cautious {
		reason, trigger = correlationHold, triggerCorrelation
	}
	if d.leaves() && !suspect && !d.cautious {
		others, landed := e.flight.begin(source)
		defer landed()
		f, err := e.rememberedFigures(ctx, source, now)
		if err != nil {
			return false, err
		}
		if reason, err = e.judge(ctx, source, f, all.lost, others, false, now); err != nil {
			return false, err
		}
		if reason == "" {
			if reason, err = e.unsettled(ctx, d.due); err != nil {
				return false, err
			}
		}
	}
	if d.ended != "" && reason != "" && !d.cautious { // a team leaves as one: its plan is approved as one
		trigger, reason = "end of "+d.ended, jml.EngagementOver(d.ended)+": "+reason
	}
	to, err := route(d, func(s jml.Step, mark string) (model.Hold, bool) {
		switch {
		case suspect && takes(s, mark):
			return suspicion, true
		case s.Change.Op.Leaves():
			return model.Hold{Brake: model.BrakeLeavers, Text: reason}, reason != ""
		}
		return all.moves.Hold(s.Change.Target, s.Change.Op, mark)
	}, model.ChangeHeld, func(h model.Hold) (string, error) {
		into := triggerPush
		if h.Brake == model.BrakeLeavers {
			into = trigger
		}
		plan, err := e.joinPlan(ctx, c, cmp.Or(h.Source, source), into, h, now)
		return plan.ID, err
	})
	if err != nil {
		return false, err
	}
	e.stage(c, d, "", now, to)
	return d.leaves() && (suspect || reason != ""), e.commit(ctx, c)
}

// commit stores c, wakes whoever has work by it, and brings the plans it touched up to date, except those that are counted by
// the caller.
func (e *Engine) commit(ctx context.Context, c *Commit, counted ...string) error {
	if err := e.o.Store.Commit(ctx, c); err != nil {
		return err
	}
	e.wakeFor(c)
	e.recount(ctx, c, counted)
	for _, ch := range c.Changes {
		e.logChange(ch)
	}
	return nil
}

// recount brings the count and the digest of plans up to date after a commit that touched them. What waits is durable already; a
// count that could not be renewed, or was a moment ago, is renewed soon, and before every approval.
func (e *Engine) recount(ctx context.Context, c *Commit, counted []string) {
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
		if e.sealed.due(id) {
			e.recountNow(ctx, id)
		}
	}
	for _, p := range c.Plans {
		if p.State == model.PlanHeld {
			e.log.Warn("held by the guard", zap.String(model.FieldPlan, p.ID), zap.String(model.FieldSource, p.Source),
				zap.String(model.FieldCode, string(p.Brake.Code())), zap.String("reason", p.Reason))
		}
	}
}

func (e *Engine) recountNow(ctx context.Context, plan string) {
	p, err := e.o.Store.SealPlan(ctx, plan, "")
	if err != nil {
		e.log.Warn("plan not recounted", zap.String(model.FieldPlan, plan), zap.Error(err))
		return
	}
	e.sealed.counted(plan, p.Items)
}

// judge asks the guard about people of a source who are about to lose something: for each target, and altogether as "". What was
// lost within the window, and others that are on their way, are added. run: they are those of a read of everything.
func (e *Engine) judge(ctx context.Context, source string, f *figures, lost map[string]int, others int, run bool, now time.Time) (string, error) {
	before, err := e.o.Store.Lost(ctx, source, now.Add(-e.policy().Guard.Window))
	if err != nil {
		return "", fmt.Errorf("guard of source %s: %w", source, err)
	}
	for _, target := range slices.Sorted(maps.Keys(lost)) { // "" first
		toll := jml.Toll{Lost: lost[target], Before: before[target] + others, Supported: f.supported[target] + before[target], Target: target, Run: run}
		toll.Week = toll.Before + f.older[target]
		if reason := e.policy().Guard.Judge(toll); reason != "" {
			return reason, nil
		}
	}
	return "", nil
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

// withdraw marks the waiting changes whose cause went away.
func (e *Engine) withdraw(ctx context.Context, c *Commit, d draft, now time.Time) error {
	for _, over := range d.settled {
		waiting, err := e.waitingOf(ctx, over.Plan, over.Account.IdentityID, over.Account.Target)
		if err != nil {
			return err
		}
		for _, w := range waiting {
			c.Decided = append(c.Decided, decided(w, model.ChangeWithdrawn, "cause went away", now))
		}
	}
	return nil
}

// waitingOf is everything of one account that waits in the plan.
func (e *Engine) waitingOf(ctx context.Context, plan, identity, target string) ([]model.Change, error) {
	q := model.ChangeQuery{PlanID: plan, IdentityID: identity, Target: target, States: []model.ChangeState{model.ChangePending, model.ChangeHeld},
		Limit: chunk}
	var all []model.Change
	for {
		page, err := e.o.Store.Changes(ctx, q)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(page) < q.Limit {
			return all, nil
		}
		q.Before = page[len(page)-1].ID
	}
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
