package engine

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"jmld/jml"
	"jmld/model"
)

// names are user names that were given in one transaction, before it is stored.
type names map[jml.NameKey]string

// namesIn are those given by what is staged already.
func namesIn(c *Commit) names {
	given := names{}
	for _, n := range c.Names {
		given[jml.NameKey{Target: n.Target, Name: n.Name}] = n.IdentityID
	}
	return given
}

// mostAsks is how often one decision may ask for names; each time it asks for more of them.
const mostAsks = 12

// derive decides about one person. Whoever is to have a name that nobody else has gets it here: whose the candidates are is looked up,
// and given is what others of the same transaction were given. That two processes give the same name at once shows when it is stored:
// the second is stale, and looks again.
func (e *Engine) derive(ctx context.Context, given names, r *jml.Rules, p Person, next *model.Record, cause jml.Cause, now time.Time) (draft, error) {
	var known map[jml.NameKey]string
	p, err := e.withManager(ctx, r, p, next)
	if err != nil {
		return draft{}, err
	}
	for range mostAsks {
		d := e.decide(r, p, next, cause, now, known)
		if len(d.asks) == 0 {
			for _, n := range d.names {
				given[jml.NameKey{Target: n.Target, Name: n.Name}] = n.IdentityID
			}
			return d, nil
		}
		found, err := e.ownersOf(ctx, r, d.asks)
		if err != nil {
			return draft{}, err
		}
		if known == nil {
			known = map[jml.NameKey]string{}
		}
		for _, key := range d.asks {
			known[key] = found[key]
			if owner, ok := given[key]; ok {
				known[key] = owner
			}
		}
	}
	return draft{}, fmt.Errorf("a user name was looked for %d times: %w", mostAsks, model.ErrInvalid)
}

// ownersOf says whose names are. The first time, the names of accounts that there are already are noted.
func (e *Engine) ownersOf(ctx context.Context, r *jml.Rules, asks []jml.NameKey) (map[jml.NameKey]string, error) {
	if err := e.noted(ctx, r); err != nil {
		return nil, fmt.Errorf("user names there are: %w", err)
	}
	found, err := e.o.Store.NameOwners(ctx, asks)
	if err != nil {
		return nil, fmt.Errorf("user names: %w", err)
	}
	return found, nil
}

// named are the rules for whose targets the names of existing accounts were noted: the last ones, and those before them, by which a run may
// still go on. All accounts are looked at for it: one does so, and who comes meanwhile waits.
type named struct {
	rules, before atomic.Pointer[jml.Rules]
	early         atomic.Pointer[jml.Rules] // those that were not in force then: by others there may be more names since
	turn          chan struct{}             // has room for one
}

func (n *named) has(r *jml.Rules) bool { return n.rules.Load() == r || n.before.Load() == r }

func (e *Engine) noted(ctx context.Context, r *jml.Rules) error {
	if e.named.has(r) {
		return nil
	}
	select {
	case e.named.turn <- struct{}{}:
		defer func() { <-e.named.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if e.named.has(r) {
		return nil
	}
	err := e.mayDecide(ctx)
	early := errors.Is(err, ErrOtherRules)
	switch {
	case err != nil && !early:
		return err
	case early && e.named.early.Load() == r:
		return nil
	}
	if err := e.o.Store.NoteNames(ctx, r.Policy.NamingTargets()); err != nil {
		return err
	}
	if early {
		e.named.early.Store(r)
		return nil
	}
	e.named.before.Store(e.named.rules.Swap(r))
	return nil
}
