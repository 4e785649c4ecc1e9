package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

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
	access      *AccessEdit // that was adopted with it, or should have been
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
// has begun goes on with the new one, person by person. Of the targets new ones are taken up and no other changes; those
// that are not among them are worked on until the engine ends. Where the guard holds the edit (model.CodeAccessHeld) of an engine that has
// adopted nothing yet, the engine decides nothing until it has.
func (e *Engine) Adopt(ctx context.Context, p Policy, edit *AccessEdit) error {
	p.access = edit
	return e.inTurn(ctx, func() error { return e.adopt(ctx, &p) })
}

// adopt has room in turn.
func (e *Engine) adopt(ctx context.Context, p *Policy) error {
	noted := p.Fingerprint == ""
	if !noted { // before anybody sees the rules in force and asks whether somebody works by them
		if err := e.works(ctx, p.Fingerprint); err != nil {
			return err
		}
	}
	if p.access != nil {
		with := *p.access
		with.Rules = p.Fingerprint
		done, err := e.by(p).EditAccess(ctx, with)
		if err != nil {
			if model.CodeOf(err) == model.CodeAccessHeld && !e.begun.Swap(true) {
				e.behind.Store(true)
				e.current.Store(p)
			}
			return fmt.Errorf("groups and roles: %w", err)
		}
		noted = noted || done.Changes.Count() > 0
	}
	if !noted {
		if err := e.noteRules(ctx, p.Fingerprint); err != nil {
			return err
		}
	}
	now, err := e.o.Store.Now(ctx)
	if err == nil {
		err = e.o.Store.ForgetLeases(ctx, rulesLease, now.Add(-rulesKept))
	}
	if err != nil { // the next one who adopts does
		e.log.Warn("old leases not forgotten", zap.Error(err))
	}
	e.begun.Store(true)
	e.behind.Store(false)
	e.current.Store(p)
	select {
	case e.hire <- struct{}{}:
	default: // asked for already
	}
	e.wake.ring("")
	return nil
}

// begin adopts what the engine was made with, unless something was adopted already, or waits to be.
func (e *Engine) begin(ctx context.Context) {
	for !e.begun.Load() {
		err := e.inTurn(ctx, func() error {
			if p := e.policy(); !e.begun.Load() && p.Fingerprint != "" {
				return e.adopt(ctx, p)
			}
			return nil
		})
		if err == nil {
			return
		}
		e.log.Error("rules not adopted yet", zap.Error(err))
		if sleep(ctx, jitter(5*time.Second)) != nil {
			return // told to stop
		}
	}
}

// inTurn does something while nobody reviews or adopts.
func (e *Engine) inTurn(ctx context.Context, do func() error) error {
	select {
	case e.turn <- struct{}{}:
		defer func() { <-e.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	return do()
}

const (
	// A lease for each fingerprint and replica says that it works by these rules: rules:FINGERPRINT:REPLICA.
	rulesLease = "rules"
	rulesKept  = 24 * time.Hour // for which a lease is kept that ended
	rulesTTL   = time.Minute
	rulesAlone = time.Minute // for which nobody has it before another replica takes over
)

// followRules has those reviewed about whom it was decided by other rules, before these were adopted or by a replica with older ones. Or it
// finds that this is such a replica, which stores what it is told and leaves every decision to the others. It is called in turn.
func (e *Engine) followRules(ctx context.Context) error {
	p := e.policy()
	if p.Fingerprint == "" {
		return nil
	}
	inForce, n, err := e.o.Store.FollowRules(ctx, p.Fingerprint, e.now().Add(claimLease))
	if err == nil && inForce {
		err = e.works(ctx, p.Fingerprint)
	}
	if err != nil {
		return fmt.Errorf("rules of other replicas: %w", err)
	}
	if e.behind.Swap(!inForce) == inForce {
		if inForce {
			e.log.Info("the rules of this replica are in force again")
		} else {
			e.log.Warn("another replica has adopted other rules: this one leaves the decisions to it",
				zap.String(model.FieldCode, string(model.CodeRulesOther)))
		}
	}
	if n > 0 {
		e.log.Info("people were decided about by other rules: they are reviewed", zap.Int(model.FieldCount, n))
		e.wake.ring("")
	}
	return nil
}

// works says that this replica works by the rules.
func (e *Engine) works(ctx context.Context, fingerprint string) error {
	_, _, err := e.o.Store.Acquire(ctx, rulesOf(fingerprint)+":"+e.o.Replica, e.o.Replica, rulesTTL)
	if err == nil { // nobody's, and not free: replicas of the version before look at no other, and would take over beside this one
		_, _, err = e.o.Store.Acquire(ctx, rulesOf(fingerprint), "", rulesTTL)
	}
	return err
}

func rulesOf(fingerprint string) string { return rulesLease + ":" + fingerprint }

// TakeOver adopts the engine's rules with the groups and roles of edit, through the guard, when others are in force and nobody works by them.
func (e *Engine) TakeOver(ctx context.Context, edit *AccessEdit) error {
	p := *e.policy()
	if p.access = edit; p.Fingerprint == "" {
		return nil
	}
	return e.inTurn(ctx, func() error {
		alone, err := e.alone(ctx, p.Fingerprint)
		if err != nil || !alone {
			return err
		}
		return e.adopt(ctx, &p)
	})
}

// alone says whether others are in force and nobody works by them.
func (e *Engine) alone(ctx context.Context, fingerprint string) (bool, error) {
	inForce, err := e.o.Store.RulesInForce(ctx)
	if err != nil || inForce == "" || inForce == fingerprint {
		return false, err
	}
	leased, err := e.o.Store.Leased(ctx, rulesOf(inForce))
	return !leased, err
}

// heir takes over from replicas that are gone.
type heir struct{ since, tried time.Time }

func (h *heir) look(ctx context.Context, e *Engine) error {
	p := e.policy()
	alone := false
	if e.behind.Load() {
		var err error
		if alone, err = e.alone(ctx, p.Fingerprint); err != nil {
			return err
		}
	}
	now := time.Now()
	switch {
	case !alone:
		h.since = time.Time{}
		return nil
	case h.since.IsZero():
		h.since = now
	}
	if now.Sub(h.since) < rulesAlone || now.Sub(h.tried) < rulesAlone {
		return nil
	}
	h.tried = now
	e.log.Warn("no replica with the rules in force is left: this one adopts its own again", zap.String(model.FieldCode, string(model.CodeRulesOther)))
	edit := p.access
	if edit != nil {
		again := *edit
		again.Brake = true // that somebody approved of it was long ago
		edit = &again
	}
	if err := e.TakeOver(ctx, edit); err != nil {
		e.log.Error("rules not adopted yet", zap.String(model.FieldCode, string(model.CodeOf(err))), zap.Error(err))
	}
	return nil
}

// leave tells the others that this replica works no longer by its rules.
func (e *Engine) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	p := e.policy()
	if p.Fingerprint == "" || e.behind.Load() {
		return
	}
	if err := e.o.Store.Release(ctx, rulesOf(p.Fingerprint)+":"+e.o.Replica, e.o.Replica); err != nil { // it ends by itself
		e.log.Warn("lease not released", zap.Error(err))
	}
}

// InForce says whether the engine's rules were those in force when it looked last, a moment ago. Where they are not it decides nothing.
func (e *Engine) InForce() bool { return !e.behind.Load() }

// mayDecide is ErrOtherRules when others are in force, or none are because the guard holds what came with these.
func (e *Engine) mayDecide(ctx context.Context) error {
	p := e.policy()
	if p.Fingerprint == "" {
		return nil
	}
	inForce, err := e.o.Store.RulesInForce(ctx)
	if err == nil && inForce != p.Fingerprint && (inForce != "" || e.behind.Load()) {
		err = ErrOtherRules
	}
	return err
}

// noteRules has everybody reviewed, through the guard, who was decided about by other rules.
func (e *Engine) noteRules(ctx context.Context, fingerprint string) error {
	n, err := e.o.Store.AdoptRules(ctx, fingerprint)
	if err == nil && n > 0 {
		e.log.Info("the rules changed: everybody whom others decided about is reviewed, these first", zap.Int(model.FieldCount, n))
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
