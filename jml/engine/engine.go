package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"jmld/jml"
	"jmld/jml/access"
	"jmld/model"
)

// Options make an Engine.
type Options struct {
	Store Store
	Rules *jml.Rules // these five are the policy, until another one is adopted
	// Fingerprint is of the configuration behind Rules. Run reviews everybody who was decided about under another one.
	Fingerprint string
	Guard       jml.Limits
	Requests    access.RequestRules // of Engine.RequestAccess and Engine.DecideAccess
	Targets     []TargetSpec
	Sources     []ReadSource
	Log         *zap.Logger
	Now         func() time.Time // nil: time.Now
	Replica     string           // name of this process in leases and runs
	Heap        *Heap            // of the process; nil: one that is nobody else's
}

// ReadSource is a directory with its calendar.
type ReadSource struct {
	Source   Source
	Schedule Schedule // of full reads; nil: on demand only
	Delta    Schedule // of reads of what changed; nil: never. Source is an Incremental then
	Census   Schedule // of reads of the ids; the same
	Pace     Pace
	Timeout  time.Duration
	Absence  Absence
}

// Absence says when an entry that is merely missing counts as gone: when Runs complete reads found it nowhere and After has
// passed since the first of them.
type Absence struct {
	Runs    int           // less than 2: 2
	After   time.Duration // 0 is as soon as Runs allows
	Confirm int           // at most so many are looked for one by one; with more missing, nobody of them leaves. 0: 1000
}

// Schedule is robfig/cron's Schedule.
type Schedule interface {
	Next(time.Time) time.Time
}

// TargetSpec is a target with its class and pace.
type TargetSpec struct {
	Target      Target
	Class       model.Class
	Concurrency int           // workers; 0: 4
	Timeout     time.Duration // of one Ensure; 0: 30 s
	Resident    bool          // its accounts live in the daemon's memory: only the daemon works on it
}

// Push is one write of a SCIM client.
type Push struct {
	Source  string
	Kind    model.Kind
	ID      string   // of the record; made by the caller for a create
	Create  bool     // ID is new: nothing is stored under it
	Actor   string   // "source entra, token laptop"
	Action  string   // "scim.create", "scim.replace", "scim.patch", "scim.delete"
	Afresh  bool     // somebody inactive is sent as new: they are in no group of the source any more
	Dialect string   // of the request
	Notes   []string // what was normalised in the request
	// Change makes the next record from the stored one, nil when there is none; next nil deletes. It fills the content
	// (Attrs, UserName, …, Active), not IdentityID, Link, Version or times. It may be called again when another writer
	// came first, so it must not keep state. Its error ends the push and is returned as it is.
	Change func(cur *model.Record) (next *model.Record, members MemberChange, err error)
	// Add and Drop are the members of a group that Change will add or drop: looked up with the group, at no cost of their own. It may
	// name others.
	Add, Drop []string
	// Most asks, of a group with Add or Drop, whether it has more members than that; 0: nobody wants to know.
	Most int
	// Twins is shown, before a Create is decided, up to two records of the kind that have the ExternalID already; its error ends the push
	// and is returned as it is. nil: nobody looks.
	Twins      func(found []model.Record) error
	ExternalID string
	// Index is of records of the push; nil: what model.Values has, and nothing that is unique beside UniqueKey.
	Index func(*model.Record) Index
}

// MemberChange changes the members of a group. With Replace, Add is the whole set.
type MemberChange struct {
	Replace   bool
	Add, Drop []string
}

// Pushed is what became of a push.
type Pushed struct {
	Record  model.Record // as stored; the deleted one for a delete
	Changed bool         // false: nothing was different, nothing was written
	Changes []model.Change
	More    bool // the group has more members than Push.Most; false: it may have all the same
	// Groups are those that a user is in, in the source, if GroupsKnown.
	Groups      []model.Membership
	GroupsKnown bool
}

// SyncOptions say how a source is read.
type SyncOptions struct {
	Trigger     string // "demand", "schedule", "start"
	Actor       string
	Mode        model.Mode // "": full
	DryRun      bool       // decide everything, commit nothing
	ScheduledAt *time.Time
	Progress    func(model.Funnel) // called now and then while reading; may be nil
}

// Synced is the outcome of reading a source.
type Synced struct {
	Run     model.Run
	Proof   model.Proof
	Funnel  model.Funnel
	Changes []model.Change // all of a dry run; of a real one ask the store
	Plan    *model.Plan    // what takes accounts away: waits for approval or was let go; else the first of Held; nil: nothing of it
	Held    []model.Plan   // what waits for approval, one plan for each brake
}

// Approval is the outcome of approving a plan.
type Approval struct {
	Plan      model.Plan
	Committed []model.Change
	Refused   []model.Change // no longer true: the situation changed since
}

// Engine decides and applies. Its methods may be called by several goroutines.
type Engine struct {
	o       Options
	log     *zap.Logger
	current *atomic.Pointer[Policy]
	strict  bool // one person who cannot be reviewed ends a review of many: nobody reads the log
	*shared
}

// shared is what an engine and those that are pinned to its policy have in common.
type shared struct {
	wake   bells
	cache  figuresCache
	flight flight
	frame  frameCache
	sealed sealed
	named  named
	behind atomic.Bool   // other rules are in force
	begun  atomic.Bool   // a policy was adopted, or waits to be
	hire   chan struct{} // the policy may have new targets
	turn   chan struct{} // has room for one: who reviews, or adopts another policy
}

// New makes an engine; Run starts its work.
func New(o Options) *Engine {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rules == nil {
		o.Rules = &jml.Rules{}
	}
	if o.Heap == nil {
		o.Heap = &Heap{}
	}
	first := &Policy{Rules: o.Rules, Fingerprint: o.Fingerprint, Guard: o.Guard, Requests: o.Requests, Targets: o.Targets}
	o.Rules, o.Fingerprint, o.Guard, o.Requests, o.Targets = nil, "", jml.Limits{}, access.RequestRules{}, nil // from here on they are the policy's
	e := &Engine{o: o, log: o.Log, current: new(atomic.Pointer[Policy]),
		shared: &shared{named: named{turn: make(chan struct{}, 1)}, hire: make(chan struct{}, 1), turn: make(chan struct{}, 1)}}
	e.current.Store(first)
	return e
}

// Run reads sources on their schedule, reviews people that are due and works off the accounts, until ctx ends. Failures of a
// source, a target or the database are logged and tried again; they do not end it.
func (e *Engine) Run(ctx context.Context) error {
	e.begin(ctx)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return e.staff(ctx, g) })
	for _, s := range e.o.Sources {
		for mode, times := range map[model.Mode]Schedule{model.ModeFull: s.Schedule, model.ModeDelta: s.Delta, model.ModeCensus: s.Census} {
			if times != nil {
				s := s
				if mode != model.ModeFull { // the others come often, and ask for little
					s.Pace.Jitter = 0
				}
				g.Go(func() error { return e.calendar(ctx, s, mode, times) })
			}
		}
	}
	g.Go(func() error { return e.tend(ctx) })
	err := g.Wait()
	e.leave(ctx)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// Wake tells the workers that something may be due.
func (e *Engine) Wake() {
	e.wake.ringAll()
}

// wakeFor wakes the workers of the accounts a commit made due, and the review when it marked people.
func (e *Engine) wakeFor(c *Commit) {
	for _, a := range c.Accounts {
		e.wake.ring(a.Target)
	}
	if len(c.Review)+len(c.People) > 0 {
		e.wake.ring("")
	}
}

// SetRules replaces the rules for decisions from now on.
func (e *Engine) SetRules(r *jml.Rules) {
	p := *e.policy()
	p.Rules = r
	e.current.Store(&p)
}

func (e *Engine) rules() *jml.Rules { return e.policy().Rules }

// now is the injected clock as the databases keep it.
func (e *Engine) now() time.Time { return e.o.Now().UTC().Truncate(time.Microsecond) }

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// jitter spreads d over half to one and a half of it.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d+1) }
