package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"jmld/jml"
	"jmld/model"
)

// Stage is a copy of a store, to be thrown away, on which time passes when it is told to.
type Stage interface {
	Store
	// SetClock puts the database's clock to the time.
	SetClock(ctx context.Context, at time.Time) error
	// Cast marks everybody of the organisation as due for review, and returns who that is in the order of their ids. Dates of others count
	// only if they come at or after from.
	Cast(ctx context.Context, organisation string, from time.Time) ([]string, error)
	// NextReview is when somebody is due for review next, after the time; zero: nobody ever.
	NextReview(ctx context.Context, after time.Time) (time.Time, error)
	// Addressed lists, in order, the people of other organisations with a record in which there is an e-mail address of one of the domains,
	// written as in the configuration, behind after.
	Addressed(ctx context.Context, organisation string, domains []string, after string, limit int) ([]string, error)
}

// Trial is a question: what would become of the people of an organisation by other rules?
type Trial struct {
	Rules        *jml.Rules
	Organisation string
	Domains      []string  // of the organisation
	Until        time.Time // played up to then; not after now: what would happen at once
}

// Tried is the answer. Nothing of it happened.
type Tried struct {
	Before, After []Person       // of the organisation, in the same order
	Elsewhere     []Person       // whom one source calls the organisation's, and who count as another one's by what others say
	Changes       []model.Change // at their times, also of other people whom it concerns; the first one first
	Held          []model.Plan   // in which some of them would wait
}

// trialSteps bounds how often the clock of a trial is put forward. Where more dates come, those of some hours are decided together, which gives the
// same.
const trialSteps = 500

// settling is how long after the end a trial goes on: groups and roles end once accounts have, and reports are looked at when their manager has left.
const settling = 2 * time.Minute

// Try plays the time until then on a copy of the store: everybody of the organisation is reviewed by the trial's rules at once, and whoever is due
// later on their day, by this engine with its guard. Of other people only those count whose dates come while the guard remembers who left, up to the
// end. Targets are not asked, what waits already stays as it is, and no source says anything new.
func (e *Engine) Try(ctx context.Context, t Trial) (out Tried, err error) {
	r, ok := e.o.Store.(Rehearsal)
	if !ok {
		return Tried{}, fmt.Errorf("try rules for %s: this store cannot be copied: %w", t.Organisation, errors.ErrUnsupported)
	}
	stage, discard, err := r.Stage(ctx)
	if err != nil {
		return Tried{}, fmt.Errorf("try rules for %s: copy the store: %w", t.Organisation, err)
	}
	defer func() { err = errors.Join(err, discard()) }()
	began := e.now()
	clock := began
	opts := e.o
	opts.Store, opts.Log, opts.Now = stage, zap.NewNop(), func() time.Time { return clock }
	played := New(opts)
	played.strict = true // or it would say of somebody that nothing happens
	policy := *e.policy()
	policy.Rules, policy.Fingerprint = t.Rules, "" // what would be, whatever is in force
	played.current.Store(&policy)

	remembered := max(policy.Guard.Window, 7*24*time.Hour)
	ids, err := stage.Cast(ctx, t.Organisation, t.Until.Add(-remembered))
	if err != nil {
		return Tried{}, fmt.Errorf("try rules for %s: %w", t.Organisation, err)
	}
	if out.Before, err = played.everybody(ctx, ids); err != nil {
		return Tried{}, err
	}
	if out.Elsewhere, err = played.elsewhere(ctx, stage, t); err != nil {
		return Tried{}, fmt.Errorf("try rules for %s: %w", t.Organisation, err)
	}
	there, err := changesSince(ctx, stage, began, nil) // of this very moment
	if err != nil {
		return Tried{}, err
	}
	step, settled := t.Until.Sub(clock)/trialSteps, clock.Add(settling)
	if clock.Before(t.Until) {
		settled = t.Until.Add(settling)
	}
	for {
		if err := played.happens(ctx, stage, clock); err != nil {
			return Tried{}, fmt.Errorf("try rules for %s: at %s: %w", t.Organisation, clock.Format(time.RFC3339), err)
		}
		next, err := stage.NextReview(ctx, clock)
		if err != nil {
			return Tried{}, fmt.Errorf("try rules for %s: %w", t.Organisation, err)
		}
		due := !next.IsZero() && !next.After(settled)
		if !clock.Before(t.Until) { // what follows from the end
			if !due {
				break
			}
			step = time.Second
		}
		if soonest := clock.Add(step); next.Before(soonest) {
			next = soonest
		}
		if clock.Before(t.Until) && (!due || next.After(t.Until)) {
			next = t.Until
		}
		clock = next
	}
	if out.After, err = played.everybody(ctx, ids); err != nil {
		return Tried{}, err
	}
	if out.Changes, err = changesSince(ctx, stage, began, there); err != nil {
		return Tried{}, err
	}
	plans := map[string]bool{}
	for _, c := range out.Changes {
		if c.State != model.ChangeHeld || plans[c.PlanID] {
			continue
		}
		plans[c.PlanID] = true
		plan, err := stage.SealPlan(ctx, c.PlanID, "") // counted now: while many join a plan it is not counted for each
		if err != nil {
			return Tried{}, err
		}
		out.Held = append(out.Held, plan)
	}
	return out, nil
}

// happens has everything done that is due at the time.
func (e *Engine) happens(ctx context.Context, stage Stage, at time.Time) error {
	if err := stage.SetClock(ctx, at); err != nil {
		return err
	}
	for {
		if n, err := e.reviewDue(ctx); n == 0 || err != nil {
			return err
		}
	}
}

// everybody loads people as they are.
func (e *Engine) everybody(ctx context.Context, ids []string) (all []Person, err error) {
	for some := range slices.Chunk(ids, chunk) {
		people, err := e.identities(ctx, some)
		if err != nil {
			return nil, err
		}
		all = append(all, people...)
	}
	return all, nil
}

// elsewhere finds people of whom a record alone would make the organisation's.
func (e *Engine) elsewhere(ctx context.Context, stage Stage, t Trial) (out []Person, err error) {
	if len(t.Domains) == 0 || t.Rules.Policy == nil {
		return nil, nil
	}
	for last := ""; ; {
		ids, err := stage.Addressed(ctx, t.Organisation, t.Domains, last, chunk)
		if err != nil {
			return nil, err
		}
		people, err := e.identities(ctx, ids)
		if err != nil {
			return nil, err
		}
		for _, p := range people {
			if p.Identity != nil && p.Identity.Lifecycle != model.Archived && slices.ContainsFunc(p.Records, func(r model.Record) bool {
				home, _ := t.Rules.Policy.Home(t.Rules.Fuse([]model.Record{r}).Attrs)
				return r.AbsentSince == nil && home == t.Organisation
			}) {
				out = append(out, p)
			}
		}
		if len(ids) < chunk {
			return out, nil
		}
		last = ids[len(ids)-1]
	}
}

// changesSince are those but the ones that were there, the first one first.
func changesSince(ctx context.Context, s Store, since time.Time, there []model.Change) (out []model.Change, err error) {
	known := map[string]bool{}
	for _, c := range there {
		known[c.ID] = true
	}
	for q := (model.ChangeQuery{Limit: 500}); ; {
		page, err := s.Changes(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, c := range page {
			if q.Before = c.ID; c.At.Before(since) {
				page = nil
				break
			}
			if !known[c.ID] {
				out = append(out, c)
			}
		}
		if len(page) < q.Limit {
			slices.Reverse(out)
			return out, nil
		}
	}
}
