package console

import (
	"context"

	"jmld/jml/access"
	"jmld/jml/engine"
	"jmld/model"
)

// View is everything the console shows; the store implements it. A missing row is model.ErrNotFound.
type View interface {
	RunView
	PlanView
	PeopleView
	AccountView
	SourceView
}

// SourceView is how the clients of a source speak.
type SourceView interface {
	// Dialects lists what was seen of a source: each dialect's requests (Note "") and what was read differently.
	Dialects(ctx context.Context, source string) ([]model.DialectUse, error)
}

// RunView is the log of reads.
type RunView interface {
	// RunList returns the runs of a source, or of all when it is empty, newest first; before is the id of the last run of
	// the page before, or "".
	RunList(ctx context.Context, source string, limit int, before string) ([]model.Run, error)
	Run(ctx context.Context, id string) (model.Run, error)
}

// PlanView is what changed and what waits.
type PlanView interface {
	Plans(ctx context.Context, states []model.PlanState, limit int) ([]model.Plan, error)
	Plan(ctx context.Context, id string) (model.Plan, error)
	Changes(ctx context.Context, q model.ChangeQuery) ([]model.Change, error)
}

// PeopleView is who is known.
type PeopleView interface {
	People(ctx context.Context, q model.PeopleQuery) ([]model.Identity, error)
	Identity(ctx context.Context, id string) (model.Identity, error)
	Load(ctx context.Context, subjects []engine.Subject) ([]engine.Person, error)
	AuditList(ctx context.Context, subject string, limit int) ([]model.AuditEntry, error)
	// AccessFrame is the tree of groups without its members.
	AccessFrame(ctx context.Context) (access.State, error)
}

// AccountView is what the targets hold and what keeps them from it.
type AccountView interface {
	Accounts(ctx context.Context, q model.AccountQuery) ([]model.Account, error)
	Problems(ctx context.Context) ([]model.Problem, error)
	Tally(ctx context.Context) (model.Tally, error)
}

// Approver takes an operator's decisions; the engine implements it.
type Approver interface {
	// Approve lets go what waits in the plan if its digest is still the one given (model.ErrStale otherwise).
	Approve(ctx context.Context, plan, digest, actor string) (engine.Approval, error)
	Retry(ctx context.Context, q model.AccountQuery, actor string) (int, error)
}
