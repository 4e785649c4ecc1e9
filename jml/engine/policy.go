package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"jmld/jml"
	"jmld/jml/access"
	"jmld/model"
)

// Policy is what decisions follow, all of it replaced at once. It is read-only.
type Policy struct {
	Rules *jml.Rules
	// Fingerprint is of the configuration behind Rules.
	Fingerprint string
	Guard       jml.Limits
	Requests    access.RequestRules // of Engine.RequestAccess and Engine.DecideAccess
	Targets     []TargetSpec
}

func (e *Engine) policy() *Policy { return e.current.Load() }

// pinned is the engine with the policy of this moment: whatever takes several steps begins and ends with the same rules.
func (e *Engine) pinned() *Engine { return e.by(e.policy()) }

func (e *Engine) by(policy *Policy) *Engine {
	p := *e
	p.current = new(atomic.Pointer[Policy])
	p.current.Store(policy)
	return &p
}

// Adopt replaces the policy while the engine runs, and with it the groups and roles of edit, unless it is nil: both or, on an error, none.
// The edit is judged by the new policy. Everybody who was decided about by another one is reviewed, through the guard; what
// has begun ends as it began, and its people are among them. Of the targets new ones are taken up and no other changes; those
// that are not among them are worked on until the engine ends.
func (e *Engine) Adopt(ctx context.Context, p Policy, edit *AccessEdit) error {
	select {
	case e.turn <- struct{}{}:
		defer func() { <-e.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	noted := p.Fingerprint == ""
	if edit != nil {
		with := *edit
		with.Rules = p.Fingerprint
		done, err := e.by(&p).EditAccess(ctx, with)
		if err != nil {
			return fmt.Errorf("groups and roles: %w", err)
		}
		noted = noted || done.Changes.Count() > 0
	}
	if !noted {
		if err := e.noteRules(ctx, p.Fingerprint); err != nil {
			return err
		}
	}
	e.current.Store(&p)
	select {
	case e.hire <- struct{}{}:
	default: // asked for already
	}
	e.wake.ring("")
	return nil
}

// noteRules has everybody reviewed, through the guard, who was decided about by other rules.
func (e *Engine) noteRules(ctx context.Context, fingerprint string) error {
	n, err := e.o.Store.AdoptRules(ctx, fingerprint)
	if err == nil && n > 0 {
		e.log.Info("the rules changed: everybody whom others decided about is reviewed", zap.Int(model.FieldCount, n))
	}
	return err
}

// staff starts workers for the targets, and for those that come with another policy.
func (e *Engine) staff(ctx context.Context, g *errgroup.Group) error {
	var known []string
	for {
		for _, t := range e.policy().Targets {
			if name := t.Target.Name(); !slices.Contains(known, name) {
				known = append(known, name)
				g.Go(func() error { return e.work(ctx, t) })
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-e.hire:
		}
	}
}

// bells wake who waits for work: one for each target, and "" for reviews.
type bells struct {
	mu sync.Mutex
	of map[string]chan struct{}
}

func (b *bells) hear(name string) chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.of == nil {
		b.of = map[string]chan struct{}{}
	}
	if b.of[name] == nil {
		b.of[name] = make(chan struct{}, 1)
	}
	return b.of[name]
}

func (b *bells) ring(name string) {
	select {
	case b.hear(name) <- struct{}{}:
	default: // it has been rung
	}
}

func (b *bells) ringAll() {
	b.mu.Lock()
	names := make([]string, 0, len(b.of))
	for name := range b.of {
		names = append(names, name)
	}
	b.mu.Unlock()
	for _, name := range names {
		b.ring(name)
	}
}
