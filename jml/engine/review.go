package engine

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"jmld/jml"
	"jmld/model"
)

// reviewDue decides about people that are due, one transaction each, through the guard. It returns how many there were.
func (e *Engine) reviewDue(ctx context.Context) (int, error) {
	ids, err := e.o.Store.DueReviews(ctx, "", time.Minute, chunk)
	if err != nil {
		return 0, fmt.Errorf("people due for review: %w", err)
	}
	for _, id := range ids {
		if err := e.again(ctx, func() error { return e.review(ctx, id) }); err != nil {
			return 0, fmt.Errorf("review identity %s: %w", id, err)
		}
	}
	if len(ids) > 0 {
		e.log.Info("people reviewed", zap.Int(model.FieldCount, len(ids)))
		e.Wake()
	}
	return len(ids), nil
}

func (e *Engine) review(ctx context.Context, id string) error {
	people, err := e.loadIdentities(ctx, []string{id})
	if err != nil || people[0].Identity == nil {
		return err
	}
	p, now, rules := people[0], e.now(), e.rules()
	source := ""
	for _, s := range rules.Precedence { // the plan a held change joins is that of the person's first source
		for _, rec := range p.Records {
			if source == "" && rec.Source == s {
				source = s
			}
		}
	}
	c := &Commit{}
	d := e.derive(rules, p, nil, jml.Cause{Source: source, Text: "groups or rules changed"}, now)
	held, err := e.commitGuarded(ctx, c, d, source, now)
	if err != nil {
		return err
	}
	if err := e.o.Store.Commit(ctx, c); err != nil {
		return err
	}
	e.settlePlans(ctx, c, held)
	for _, ch := range c.Changes {
		e.logChange(ch)
	}
	return nil
}
