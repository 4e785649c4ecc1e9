package engine

import (
	"context"
	"time"

	"go.uber.org/zap"

	"jmld/jml"
	"jmld/model"
)

// Options make an Engine.
type Options struct {
	Store   Store
	Rules   *jml.Rules // may be replaced while running with Engine.SetRules
	Guard   jml.Limits
	Sources []ReadSource
	Targets []TargetSpec
	Log     *zap.Logger
	Now     func() time.Time // nil: time.Now
	Replica string           // name of this process in leases and runs
}

// ReadSource is a directory with its calendar.
type ReadSource struct {
	Source   Source
	Schedule Schedule // nil: on demand only
	Timeout  time.Duration
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
	Source string
	Kind   model.Kind
	ID     string   // of the record; made by the caller for a create
	Actor  string   // "source entra, token laptop"
	Action string   // "scim.create", "scim.replace", "scim.patch", "scim.delete"
	Notes  []string // what was normalised in the request
	// Change makes the next record from the stored one, nil when there is none; next nil deletes. It fills the content
	// (Attrs, UserName, …, Active), not IdentityID, Link, Version or times. It may be called again when another writer
	// came first, so it must not keep state. Its error ends the push and is returned as it is.
	Change func(cur *model.Record) (next *model.Record, members MemberChange, err error)
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
}

// SyncOptions say how a source is read.
type SyncOptions struct {
	Trigger     string // "demand", "schedule", "start"
	Actor       string
	DryRun      bool // decide everything, commit nothing
	ScheduledAt *time.Time
	Progress    func(model.Funnel) // called now and then while reading; may be nil
}

// Synced is the outcome of reading a source.
type Synced struct {
	Run     model.Run
	Proof   model.Proof
	Funnel  model.Funnel
	Changes []model.Change // all of a dry run; of a real one ask the store
	Plan    *model.Plan    // what waits for approval, or nil
}

// Approval is the outcome of approving a plan.
type Approval struct {
	Plan      model.Plan
	Committed []model.Change
	Refused   []model.Change // no longer true: the situation changed since
}

// Engine decides and applies. Its methods may be called by several goroutines.
type Engine struct {
	o Options
}

// New makes an engine; Run starts its work.
func New(o Options) *Engine { return &Engine{o: o} }

// Run reads sources on their schedule, reviews people that are due and works off the accounts, until ctx ends.
func (e *Engine) Run(ctx context.Context) error { panic("not yet") }

// Push applies one write of a SCIM client: record, identity, desired accounts, explained changes and audit in one
// transaction. When it returns without error everything is durable; targets follow later.
func (e *Engine) Push(ctx context.Context, p Push) (Pushed, error) { panic("not yet") }

// Sync reads the source now. The error is set when the read failed; Synced then still says how far it came.
func (e *Engine) Sync(ctx context.Context, source string, o SyncOptions) (Synced, error) {
	panic("not yet")
}

// Approve lets go what waits in the plan, if its digest is still the one the approver saw (ErrStale otherwise). Each item is decided
// again first; items that would be decided differently now are refused.
func (e *Engine) Approve(ctx context.Context, plan, digest, actor string) (Approval, error) {
	panic("not yet")
}

// Retry takes accounts out of the dead letter, or makes waiting ones due now.
func (e *Engine) Retry(ctx context.Context, q model.AccountQuery, actor string) (int, error) {
	panic("not yet")
}

// Work settles due accounts of the targets that are not Resident until none is due now, or ctx ends. It returns how many it settled and how
// many failed. A daemon at work on the same database does no harm: each account is leased.
func (e *Engine) Work(ctx context.Context) (settled, failed int, err error) { panic("not yet") }

// Wake tells the workers that something may be due.
func (e *Engine) Wake() {}
