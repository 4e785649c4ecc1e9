package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"jmld/jml"
	"jmld/model"
)

// atOnce is a time due for everybody: the database's clock says what is due, and ours may be ahead of it.
func atOnce() time.Time { return time.Unix(0, 0).UTC() }

// reviewDue decides about people that are due, one transaction each, through the guard. It returns how many there were.
func (e *Engine) reviewDue(ctx context.Context) (int, error) {
	ids, err := e.o.Store.DueReviews(ctx, claimLease, chunk)
	if err != nil {
		return 0, fmt.Errorf("people due for review: %w", err)
	}
	if len(ids) == 0 {
		return 0, nil
	}
	leaving, err := e.leaving(ctx, ids)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		err := e.again(ctx, func() error { return e.review(ctx, id, leaving) })
		switch {
		case err == nil:
		case ctx.Err() != nil || errors.Is(err, model.ErrUnavailable):
			return 0, fmt.Errorf("review identity %s: %w", id, err)
		default: // one person must not stop the others; due again when the claim ends
			e.log.Error("person not reviewed", zap.String(model.FieldIdentity, id), zap.Error(err))
		}
	}
	e.log.Info("people reviewed", zap.Int(model.FieldCount, len(ids)))
	return len(ids), nil
}

// leaving counts, for each source, the people among ids who would lose something: a change that touches many is judged as a
// whole, not five people at a time.
func (e *Engine) leaving(ctx context.Context, ids []string) (map[string]int, error) {
	people, err := e.loadIdentities(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("people due for review: %w", err)
	}
	rules, now, count := e.rules(), e.now(), map[string]int{}
	for _, p := range people {
		if p.Identity == nil {
			continue
		}
		if d := e.derive(rules, p, nil, jml.Cause{}, now); d.leaves() {
			count[standsFor(rules, p)]++
		}
	}
	return count, nil
}

func (e *Engine) review(ctx context.Context, id string, leaving map[string]int) error {
	people, err := e.loadIdentities(ctx, []string{id})
	if err != nil || people[0].Identity == nil {
		return err
	}
	p, now, rules := people[0], e.now(), e.rules()
	source := standsFor(rules, p)
	cause := jml.Cause{Source: source, Text: "groups, rules or a date changed"}
	if p.Identity.ReviewRun == model.ReviewCorrelation {
		cause.Text = "a person decided whom records are about"
	}
	d := e.derive(rules, p, nil, cause, now)
	held, err := e.commitGuarded(ctx, &Commit{}, d, source, leaving[source], now)
	if err != nil {
		return err
	}
	if d.leaves() && !held { // counted as lost from now on
		leaving[source]--
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
