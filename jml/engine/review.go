package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"jmld/jml"
	"jmld/jml/access"
	"jmld/model"
)

// atOnce is a time due for everybody: the database's clock says what is due, and ours may be ahead of it.
func atOnce() time.Time { return time.Unix(0, 0).UTC() }

// reviewDue decides about people that are due: all to whom nothing happens in one transaction, the others in one each, through the
// guard. It returns how many there were.
func (e *Engine) reviewDue(ctx context.Context) (int, error) {
	select { // a policy is adopted with its groups and roles: nobody is decided about by one without the other
	case e.turn <- struct{}{}:
		defer func() { <-e.turn }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if e.behind.Load() { // those with the rules in force do
		return 0, nil
	}
	e = e.pinned()
	switch err := e.mayDecide(ctx); { // nobody is claimed who is left to others
	case errors.Is(err, ErrOtherRules):
		return 0, e.followRules(ctx)
	case err != nil:
		return 0, fmt.Errorf("rules in force: %w", err)
	}
	by := e.now()
	ids, err := e.o.Store.DueReviews(ctx, by, claimLease, chunk)
	if err != nil {
		return 0, fmt.Errorf("people due for review: %w", err)
	}
	if len(ids) == 0 {
		return 0, nil
	}
	together, quiet, moved, err := e.weigh(ctx, ids)
	if err != nil {
		return 0, err
	}
	if len(quiet.Identities) > 0 {
		quiet.Rules = e.policy().Fingerprint
		switch err := e.o.Store.Commit(ctx, quiet); {
		case err == nil:
		case errors.Is(err, ErrOtherRules):
			return 0, e.followRules(ctx)
		case ctx.Err() != nil || errors.Is(err, model.ErrUnavailable):
			return 0, fmt.Errorf("review %d identities: %w", len(quiet.Identities), err)
		default: // one of them changed meanwhile, or cannot be stored
			moved = ids
		}
	}
	for _, id := range moved {
		err := e.again(ctx, func() error { return e.review(ctx, id, together) })
		switch {
		case err == nil:
		case errors.Is(err, ErrOtherRules): // adopted by another replica: the claim ends, and it decides
			return 0, e.followRules(ctx)
		case ctx.Err() != nil || errors.Is(err, model.ErrUnavailable) || e.strict:
			return 0, fmt.Errorf("review identity %s: %w", id, err)
		default: // one person must not stop the others; due again when the claim ends
			e.log.Error("person not reviewed", zap.String(model.FieldIdentity, id), zap.Error(err))
		}
	}
	e.log.Info("people reviewed", zap.Int(model.FieldCount, len(ids)))
	return len(ids), nil
}

// weigh decides about all at once, and judges, for each source, those who would lose something or whose accounts would change as a
// whole: a change that touches many must not go five people at a time. quiet stores those to whom nothing happens; moved are the
// others.
func (e *Engine) weigh(ctx context.Context, ids []string) (together map[string]*ahead, quiet *Commit, moved []string, err error) {
	people, err := e.loadIdentities(ctx, ids)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("people due for review: %w", err)
	}
	rules, now, moves := e.rules(), e.now(), map[string][]move{}
	together, quiet = map[string]*ahead{}, &Commit{}
	given, crowd := names{}, administering(people)
	for i, p := range people {
		if p.Identity == nil {
			continue
		}
		source := standsFor(rules, p)
		d, err := e.derive(ctx, given, rules, p, nil, lookedAt(p, source), now)
		if err != nil {
			return nil, nil, nil, err
		}
		if d.identity != nil && len(d.steps)+len(d.settled)+len(d.findings)+len(d.marks)+len(d.owned) == 0 && d.wait == nil && d.members == access.Stays && !crowd.hides(p) {
			quiet.Identities, quiet.Reports = append(quiet.Identities, *d.identity), append(quiet.Reports, d.managed...)
			continue
		}
		moved = append(moved, ids[i])
		if together[source] == nil {
			together[source] = &ahead{lost: map[string]int{}}
		}
		if d.suspect != "" { // waits anyway
			continue
		}
		if lost := d.lostIn(); len(lost) > 0 {
			for _, t := range append(lost, "") {
				together[source].lost[t]++
			}
		}
		moves[source] = append(moves[source], d.movesOf()...)
	}
	for source, a := range together {
		if a.moves, err = e.judgeMoves(ctx, source, moves[source], now); err != nil {
			return nil, nil, nil, err
		}
	}
	return together, quiet, moved, nil
}

// lookedAt says why somebody was looked at again.
func lookedAt(p Person, source string) jml.Cause {
	cause := jml.Cause{Source: source, Text: "groups, rules or a date changed"}
	if p.Identity.ReviewRun == model.ReviewCorrelation {
		cause.Text = "a person decided whom records are about"
	}
	return cause
}

func (e *Engine) review(ctx context.Context, id string, together map[string]*ahead) error {
	people, err := e.loadIdentities(ctx, []string{id})
	if err != nil || people[0].Identity == nil {
		return err
	}
	p, now, rules := people[0], e.now(), e.rules()
	source := standsFor(rules, p)
	d, err := e.derive(ctx, names{}, rules, p, nil, lookedAt(p, source), now)
	if err != nil {
		return err
	}
	if len(d.owned) > 0 && hasLeft(p) {
		handed, err := e.handOver(ctx, p, d.owned)
		switch {
		case err != nil:
			return err
		case handed: // decided again, without what was handed over
			return fmt.Errorf("apps were handed over: %w", model.ErrStale)
		}
	}
	if d.members != access.Stays && (d.members != access.Ends || hasLeft(p)) {
		switch changed, err := e.settleMemberships(ctx, p, d.members, now); {
		case err != nil:
			return err
		case changed: // decided again, with what the person has now
			return fmt.Errorf("memberships were settled: %w", model.ErrStale)
		}
	}
	var all *ahead // nil: became due between
	if a := together[source]; a != nil {
		all = &ahead{lost: map[string]int{}, moves: a.moves}
		for _, t := range d.lostIn() {
			all.lost[t], all.lost[""] = max(a.lost[t], 1), max(a.lost[""], 1)
		}
	}
	held, err := e.commitGuarded(ctx, &Commit{}, d, source, all, now)
	if err != nil {
		return err
	}
	if a := together[source]; a != nil && !held {
		for t := range all.lost { // counted as lost from now on
			a.lost[t]--
		}
	}
	return nil
}

// standsFor is the source whose guard and plan a review's change belongs to: the person's first one, else the one that made
// their accounts what they are.
func standsFor(rules *jml.Rules, p Person) string {
	for _, s := range rules.Precedence {
		for _, rec := range p.Records {
			if rec.Source == s {
				return s
			}
		}
	}
	for _, a := range p.Accounts {
		var why model.Reason
		if err := json.Unmarshal([]byte(a.Because), &why); err == nil && why.Source != "" {
			return why.Source
		}
	}
	return ""
}
