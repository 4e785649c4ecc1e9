package capture

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"jmld/model"
)

// Bounds of the state that is kept.
const (
	maxKnown   = 200_000 // resources and memberships that one capture remembers
	maxBefore  = 10_000  // new ones in one exchange
	maxParents = 200     // groups looked up because somebody is in them
)

// session is one capture in this process.
type session struct {
	model.Capture
	redact *Pseudonyms
	lost   atomic.Int64
	told   int64 // of lost, in the file

	mu      sync.Mutex
	records map[string]bool    // id -> whole; false: only its name
	pairs   map[[2]string]bool // group and member: whether it was one is known
	closed  map[string]bool    // groups all of whose members are known, or of whom no more can be found out
	settled map[string]bool    // members all of whose groups are known
}

func newSession(c model.Capture) *session {
	return &session{
		Capture: c, redact: NewPseudonyms(c.Key),
		records: map[string]bool{}, pairs: map[[2]string]bool{}, closed: map[string]bool{}, settled: map[string]bool{},
	}
}

// exchange is one while it goes on.
type exchange struct {
	session *session
	begin   time.Time
	took    time.Duration
	request request
	answer  answer
	before  before
	partial bool // the answer is a part of what there is
	looked  time.Duration
	size    int64
}

// before is the state as it was read, not redacted yet.
type before struct {
	records []model.Record
	names   []model.Record // of which only ID, Kind and DisplayName are known
	in, out map[string][]string
	bounded bool
}

func (b *before) empty() bool {
	return len(b.records)+len(b.names)+len(b.in)+len(b.out) == 0 && !b.bounded
}

// Watch notes what a request that is captured reads from the store. A nil Watch notes nothing.
type Watch struct{ x *exchange }

type watchKey struct{}

// Of is the watch of the request, or nil.
func Of(ctx context.Context) *Watch {
	w, _ := ctx.Value(watchKey{}).(*Watch)
	return w
}

// Record notes a resource as it is stored before the request changes it.
func (w *Watch) Record(rec *model.Record) {
	if w == nil || rec == nil {
		return
	}
	s, b := w.x.session, &w.x.before
	s.mu.Lock()
	defer s.mu.Unlock()
	if whole := s.records[rec.ID]; whole || !s.room(b, len(b.records)) {
		return
	}
	s.records[rec.ID] = true
	b.records = append(b.records, *rec)
}

// Named notes a resource of which only kind and name are known.
func (w *Watch) Named(id string, kind model.Kind, name string) {
	if w == nil || kind == "" {
		return
	}
	s, b := w.x.session, &w.x.before
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.records[id]; known || !s.room(b, len(b.names)) {
		return
	}
	s.records[id] = false
	b.names = append(b.names, model.Record{ID: id, Kind: kind, DisplayName: name})
}

// Made notes that the resource is made by the capture itself: there is nothing before.
func (w *Watch) Made(id string) {
	if w == nil {
		return
	}
	s := w.x.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.records)+len(s.pairs) < maxKnown {
		s.records[id] = true
	}
	if len(s.closed) < maxKnown {
		s.closed[id] = true
	}
	if len(s.settled) < maxKnown {
		s.settled[id] = true
	}
}

// Member notes whether somebody is in a group before the request changes that.
func (w *Watch) Member(group, id string, is bool) {
	if w == nil {
		return
	}
	s, b := w.x.session, &w.x.before
	s.mu.Lock()
	defer s.mu.Unlock()
	pair := [2]string{group, id}
	if s.closed[group] || s.settled[id] || s.pairs[pair] || !s.room(b, len(b.in[group])+len(b.out[group])) {
		return
	}
	s.pairs[pair] = true
	list := &b.out
	if is {
		list = &b.in
	}
	if *list == nil {
		*list = map[string][]string{}
	}
	(*list)[group] = append((*list)[group], id)
}

// Settled notes that all groups of the member were noted: what it is in later, it was put in later.
func (w *Watch) Settled(id string) {
	if w == nil {
		return
	}
	s := w.x.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.settled) < maxKnown {
		s.settled[id] = true
	}
}

// Closed notes that all members of the group were noted, or, when some are missing, that a request changes more of them than
// can be noted: in both cases a later look at them says nothing about before.
func (w *Watch) Closed(group string, missing bool) {
	if w == nil {
		return
	}
	s := w.x.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.closed) < maxKnown {
		s.closed[group] = true
	} else {
		missing = true
	}
	w.x.before.bounded = w.x.before.bounded || missing
}

// lookTime is how long one request may wait for what only the capture wants to know.
const lookTime = 500 * time.Millisecond

// Look finds out something that only the capture wants to know. All looks of a request together have half a second; then
// they end with an error.
func (w *Watch) Look(ctx context.Context, look func(ctx context.Context) error) error {
	s := w.x.session
	s.mu.Lock()
	left := lookTime - w.x.looked
	s.mu.Unlock()
	if left <= 0 {
		return context.DeadlineExceeded
	}
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	start := time.Now()
	err := look(ctx)
	s.mu.Lock()
	w.x.looked += time.Since(start)
	s.mu.Unlock()
	return err
}

// Missing notes that there was more before than could be found out.
func (w *Watch) Missing() {
	s := w.x.session
	s.mu.Lock()
	defer s.mu.Unlock()
	w.x.before.bounded = true
}

// Partial notes that the answer has a part of what there is: the rest is not known.
func (w *Watch) Partial() {
	if w != nil {
		w.x.partial = true
	}
}

// Unknown returns those of the members of the group about whom nothing is known yet.
func (w *Watch) Unknown(group string, ids []string) []string {
	if w == nil {
		return nil
	}
	s := w.x.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed[group] {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return s.settled[id] || s.pairs[[2]string{group, id}] })
}

// knows says whether the resource needs no look.
func (w *Watch) knows(id string) bool {
	s := w.x.session
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.records[id]
}

// room says whether n more may be noted. The caller holds the lock.
func (s *session) room(b *before, n int) bool {
	if n >= maxBefore || len(s.records)+len(s.pairs) >= maxKnown {
		b.bounded = true
		return false
	}
	return true
}
