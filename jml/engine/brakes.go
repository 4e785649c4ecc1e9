package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"jmld/jml"
	"jmld/model"
)

// router says in which plan a step waits, and in which state; no plan: it goes. mark is one of an update's attributes.
type router func(s jml.Step, mark string) (plan string, state model.ChangeState)

// goes lets everything go.
func goes(jml.Step, string) (string, model.ChangeState) { return "", "" }

// verdict says why a step waits; mark is one of an update's attributes.
type verdict func(s jml.Step, mark string) (model.Hold, bool)

// route finds a plan for each brake that hit, with join, once.
func route(d draft, v verdict, state model.ChangeState, join func(model.Hold) (string, error)) (router, error) {
	plans := map[model.Brake]string{}
	for _, s := range d.steps {
		for _, mark := range marksOf(s) {
			h, held := v(s, mark)
			if _, joined := plans[h.Brake]; !held || joined {
				continue
			}
			plan, err := join(h)
			if err != nil {
				return nil, err
			}
			plans[h.Brake] = plan
		}
	}
	return func(s jml.Step, mark string) (string, model.ChangeState) {
		if h, held := v(s, mark); held {
			return plans[h.Brake], state
		}
		return "", ""
	}, nil
}

// marksOf are the marks of an update; of another step there is one, "".
func marksOf(s jml.Step) []string {
	if s.Change.Op == model.OpUpdate {
		return strings.Fields(s.Change.Attrs)
	}
	return []string{""}
}

// suspicion is what somebody's group lost: they lose nothing by it without approval.
func (d draft) suspicion() (model.Hold, bool) {
	if d.suspect == "" {
		return model.Hold{}, false
	}
	var h model.Hold
	if err := json.Unmarshal([]byte(d.suspect), &h); err != nil { // ours
		return model.Hold{Brake: model.BrakeGroup, Text: d.suspect}, true
	}
	return h, true
}

// takes says whether a step changes or ends an account that is there. What is new, or new of it, takes nothing away.
func takes(s jml.Step, mark string) bool {
	return s.Change.Op.Leaves() || s.Change.Op == model.OpUpdate && !strings.HasPrefix(mark, "+")
}

// move is one person's step that JudgeMoves looks at.
type move struct {
	identity string
	model.ChangeCount
}

// movesOf are the steps that JudgeMoves looks at.
func (d draft) movesOf() []move {
	var out []move
	for _, s := range d.steps {
		if op := s.Change.Op; op == model.OpUpdate || op == model.OpReactivate {
			out = append(out, move{s.Account.IdentityID, model.ChangeCount{Target: s.Change.Target, Op: op, Attrs: s.Change.Attrs, N: 1}})
		}
	}
	return out
}

// lostIn lists the targets in which the draft takes an account away.
func (d draft) lostIn() []string {
	var out []string
	for _, s := range d.steps {
		if s.Change.Op.Leaves() {
			out = append(out, s.Change.Target)
		}
	}
	return out
}

// ahead is what is about to be decided together, so that it is judged as a whole.
type ahead struct {
	lost  map[string]int // people who are about to lose something: for each target, and altogether as ""
	moves jml.Verdicts
}

// one is a draft by itself.
func (e *Engine) one(ctx context.Context, d draft, source string, now time.Time) (*ahead, error) {
	a := &ahead{lost: map[string]int{}}
	if lost := d.lostIn(); len(lost) > 0 {
		a.lost[""] = 1
		for _, t := range lost {
			a.lost[t] = 1
		}
	}
	moves := d.movesOf()
	if len(moves) == 0 || d.suspect != "" {
		return a, nil
	}
	var err error
	a.moves, err = e.judgeMoves(ctx, source, moves, now)
	return a, err
}

// figures are what the guard compares with. They cost counting, and are remembered for a while.
type figures struct {
	supported map[string]int
	recount   time.Time      // supported is good until then
	older     map[string]int // lost within seven days, before the window: for each target, and altogether as ""
	moved     []model.ChangeCount
	added     map[model.ChangeCount]int // gone since, N is 0 in the keys
	movers    map[move]bool             // and whose they were: who changes again counts once
	until     time.Time
}

type figuresCache struct {
	mu       sync.Mutex
	of       map[string]*figures
	counting map[string]chan struct{} // closed when the count of the source ends
}

// rememberedFigures are at most so old that pushes need not count for themselves. One counts, the others wait for it as long as they may.
func (e *Engine) rememberedFigures(ctx context.Context, source string, now time.Time) (*figures, error) {
	for {
		f, others := e.cache.look(source, e.o.Now())
		switch {
		case f != nil:
			return f, nil
		case others == nil:
			return e.countFigures(ctx, source, now)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-others:
		}
	}
}

// look returns what is remembered, or who counts at the moment; with neither the caller has to count.
func (c *figuresCache) look(source string, now time.Time) (f *figures, others <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f, ok := c.of[source]; ok && now.Before(f.until) {
		return f, nil
	}
	if ch, ok := c.counting[source]; ok {
		return nil, ch
	}
	if c.counting == nil {
		c.of, c.counting = map[string]*figures{}, map[string]chan struct{}{}
	}
	c.counting[source] = make(chan struct{})
	return nil, nil
}

// freshFigures is how long figures are remembered.
const freshFigures = 10 * time.Second

func (e *Engine) countFigures(ctx context.Context, source string, now time.Time) (*figures, error) {
	c := &e.cache
	c.mu.Lock()
	old := c.of[source]
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		close(c.counting[source])
		delete(c.counting, source)
	}()
	f, err := e.figures(ctx, source, now, old) // not under the lock
	if err != nil {
		return nil, err
	}
	f.until = e.o.Now().Add(freshFigures)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of[source] = f
	return f, nil
}

// figures counts. How many people there are costs the more the more there are, and a share of them hardly changes: so old is believed, if
// there is any, for as long as counting stays a small part of the work.
func (e *Engine) figures(ctx context.Context, source string, now time.Time, old *figures) (*figures, error) {
	const part = 50
	f := &figures{added: map[model.ChangeCount]int{}, movers: map[move]bool{}}
	var err error
	if old != nil && e.o.Now().Before(old.recount) {
		f.supported, f.recount = old.supported, old.recount
	} else {
		began := time.Now()
		f.supported, err = e.o.Store.Supported(ctx, source)
		f.recount = e.o.Now().Add(max(freshFigures, part*time.Since(began)))
	}
	if err == nil {
		f.moved, err = e.o.Store.Moved(ctx, source, now.Add(-e.policy().Guard.Window))
	}
	if err == nil {
		f.older, err = e.older(ctx, source, now)
	}
	if err != nil {
		return nil, fmt.Errorf("guard of source %s: %w", source, err)
	}
	return f, nil
}

// older counts who lost something in the seven days, but for those within the window, who are counted each time. Whoever is lost between the two
// counts is in both.
func (e *Engine) older(ctx context.Context, source string, now time.Time) (map[string]int, error) {
	window, err := e.o.Store.Lost(ctx, source, now.Add(-e.policy().Guard.Window))
	if err != nil {
		return nil, err
	}
	week, err := e.o.Store.Lost(ctx, source, now.Add(-7*24*time.Hour))
	for target, n := range week {
		week[target] = max(0, n-window[target])
	}
	return week, err
}

// judgeMoves asks the guard about updates and reactivations, with those within the window and those that wait. What may go is counted
// from now on.
func (e *Engine) judgeMoves(ctx context.Context, source string, moves []move, now time.Time) (jml.Verdicts, error) {
	if len(moves) == 0 {
		return jml.Verdicts{}, nil
	}
	f, err := e.rememberedFigures(ctx, source, now)
	if err != nil {
		return jml.Verdicts{}, err
	}
	e.cache.mu.Lock()
	defer e.cache.mu.Unlock()
	counts := slices.Clone(f.moved)
	for _, m := range moves {
		counts = append(counts, m.ChangeCount)
	}
	for c, n := range f.added {
		c.N = n
		counts = append(counts, c)
	}
	v := e.policy().Guard.JudgeMoves(jml.Figures{Supported: f.supported, Counts: counts})
	for _, m := range moves {
		if m.Op == model.OpUpdate {
			m.Attrs = strings.Join(slices.DeleteFunc(strings.Fields(m.Attrs), func(mark string) bool {
				_, held := v.Hold(m.Target, m.Op, mark)
				return held
			}), " ")
		}
		if _, held := v.Hold(m.Target, m.Op, ""); held || m.Op == model.OpUpdate && m.Attrs == "" {
			continue
		}
		if f.movers[m] {
			continue
		}
		f.movers[m] = true
		n := m.N
		m.N = 0
		f.added[m.ChangeCount] += n
	}
	return v, nil
}

// unknown stands for a number of members that nobody has counted.
const unknown = -1

// groupLoss judges what a group of had members loses, notes it in the commit, and makes those who are dropped suspect when it is too
// much. With had unknown they are counted, as far as it matters: the cost is in proportion to what is lost. losing is nil where nobody has looked.
func (e *Engine) groupLoss(ctx context.Context, c *Commit, group *model.Record, had int, losing *Losing, drop []string, now time.Time) error {
	if len(drop) == 0 {
		return nil
	}
	limits, count := e.policy().Guard, had == unknown
	var err error
	if losing == nil {
		upTo := 0
		if count {
			upTo = limits.GroupMatters(model.GroupLoss{}, len(drop), now)
		}
		losing, err = e.losing(ctx, group, upTo)
	}
	if err == nil && count {
		if more := limits.GroupMatters(losing.Was, len(drop), now); losing.Members == losing.Count && more > losing.Count { // it has lost others
			losing, err = e.losing(ctx, group, more)
		}
	}
	if err != nil {
		return fmt.Errorf("losses of group %s: %w", group.ID, err)
	}
	if count {
		had = losing.Members
	}
	next, text := limits.GroupLoss(losing.Was, group.DisplayName, had, len(drop), now)
	if next.Had >= limits.GroupEmptied || next.Had > limits.Group.Count || count && had == losing.Count { // a smaller group cannot lose too many
		c.Losses = append(c.Losses, next)
	}
	if text == "" {
		return nil
	}
	hold := model.Hold{Brake: model.BrakeGroup.About(group.ID), Text: text, Source: group.Source}
	refs := make([]RecordRef, len(drop))
	for i, id := range drop {
		refs[i] = RecordRef{group.Source, id}
	}
	c.Suspects = append(c.Suspects, Suspicion{Records: refs, Hold: jml.Canonical(hold)})
	return nil
}

func (e *Engine) losing(ctx context.Context, group *model.Record, count int) (*Losing, error) {
	l, err := e.o.Store.Losing(ctx, group.Source, group.ID, count)
	return &l, err
}

// forget ends the count of what a group lost when a person approved it.
func forget(plan model.Plan) []model.GroupLoss {
	kind, group := plan.Brake.Kind()
	if kind != model.BrakeGroup {
		return nil
	}
	return []model.GroupLoss{{Source: plan.Source, GroupID: group}}
}

// sealed remembers when plans were counted last: the more wait in one that grows by pushes, the more seldom it is counted.
type sealed struct {
	mu    sync.Mutex
	until map[string]time.Time // not counted again before
	later map[string]bool
}

// due says whether the plan may be counted now; if not it is among the rest later.
func (s *sealed) due(plan string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.until == nil {
		s.until, s.later = map[string]time.Time{}, map[string]bool{}
	}
	now := time.Now()
	if now.Before(s.until[plan]) {
		s.later[plan] = true
		return false
	}
	maps.DeleteFunc(s.until, func(_ string, t time.Time) bool { return now.After(t) })
	return true
}

// counted notes that the plan was, with so many items.
func (s *sealed) counted(plan string, items int) {
	const few, each, most = 100, 200 * time.Microsecond, 10 * time.Second
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.until == nil {
		s.until, s.later = map[string]time.Time{}, map[string]bool{}
	}
	s.until[plan] = time.Now().Add(min(most, time.Duration(max(0, items-few))*each))
	delete(s.later, plan)
}

// rest are the plans that still have to be counted.
func (s *sealed) rest() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := slices.Sorted(maps.Keys(s.later))
	clear(s.later)
	return out
}
