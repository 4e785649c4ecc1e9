// Package manual makes tasks for people of steps. In a system without an API each step is one, and the account is what the last task that
// is done made of it. Beside an API they are the steps that it has none for, and the account is what the API shows.
package manual

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"jmld/jml/engine"
	"jmld/model"
)

// Store keeps the tasks.
type Store interface {
	Tasks(ctx context.Context, q model.TaskQuery) ([]model.Task, error)
	ReplaceTask(ctx context.Context, account model.Account, reason string, next *model.Task) error
	Accounts(ctx context.Context, q model.AccountQuery) ([]model.Account, error)
}

// Options make a Target.
type Options struct {
	Name         string
	Assignee     string // who gets the tasks
	Instructions string
	Due          time.Duration // from a task's beginning
	API          engine.Target // does what is no person's step, and says with an *engine.ByHandError which is; nil: there is none
	Store        Store
	Now          func() time.Time
}

// Target makes tasks. Its methods may be called by several goroutines.
type Target struct{ o Options }

// New makes the target.
func New(o Options) *Target { return &Target{o} }

// Name is the configured name.
func (t *Target) Name() string { return t.o.Name }

// Ensure opens the task that the account needs, unless it is open, and returns an error with model.CodeTaskOpen until it is done. A task
// that the account does not need any more is withdrawn; but who leaves while their account is being made has a task to see that it is not
// there. As long as what was done is not what is wanted there is a task: one that is
// lost is made again.
func (t *Target) Ensure(ctx context.Context, want model.Account) (model.Account, error) {
	if want.IdentityID == "" {
		return want, engine.Permanent(model.Errorf(model.CodeTargetRefused, "the account has no identity"))
	}
	open, err := t.o.Store.Tasks(ctx, model.TaskQuery{IdentityID: want.IdentityID, Target: t.o.Name, Status: model.TaskOpen, Limit: 1})
	if err != nil {
		return want, fmt.Errorf("tasks of target %s: %w", t.o.Name, err)
	}
	if t.o.API != nil {
		return t.beside(ctx, want, open)
	}
	op, err := step(want)
	if err != nil {
		return want, err
	}
	if op == "" && mayBeThere(want, open) {
		op = look(want)
	}
	if op != "" {
		return want, t.ask(ctx, want, op, open)
	}
	if err := t.withdraw(ctx, want, open); err != nil {
		return want, err
	}
	if want.AppliedState == model.AccountUnknown {
		want.AppliedState = model.AccountAbsent
	}
	return want, nil
}

// look is the step of who sees that a leaver's account is not there.
func look(want model.Account) model.Op {
	if want.State == model.AccountAbsent {
		return model.OpDelete
	}
	return model.OpDeactivate
}

func (t *Target) withdraw(ctx context.Context, want model.Account, open []model.Task) error {
	if len(open) == 0 {
		return nil
	}
	if err := t.o.Store.ReplaceTask(ctx, want, "the account is as it should be without it", nil); err != nil {
		return fmt.Errorf("withdraw task %s: %w", open[0].ID, err)
	}
	return nil
}

// ask opens the task, unless it is open, and says that it is waited for.
func (t *Target) ask(ctx context.Context, want model.Account, op model.Op, open []model.Task) error {
	next, why := t.task(want, op), "something else is wanted now: task "
	if len(open) > 0 && open[0].Revision == want.DesiredRev && open[0].Op == op {
		if open[0].Assignee == t.o.Assignee {
			return t.waits(open[0])
		}
		next.DueAt, why = open[0].DueAt, "it is somebody else's now: task " // who is new has no more time for it
	}
	if err := t.o.Store.ReplaceTask(ctx, want, why+next.ID, &next); err != nil {
		return fmt.Errorf("open a task in target %s: %w", t.o.Name, err)
	}
	return t.waits(next)
}

// mayBeThere says whether an account that is not to be active could be, although it is not known: somebody was asked to make it, and may
// have; or was asked to see that it is not there, and has not said so; or another kind of target made it. A person has to look.
func mayBeThere(want model.Account, open []model.Task) bool {
	if want.State == model.AccountActive {
		return false
	}
	return len(open) > 0 && open[0].Op != model.OpUpdate || want.AppliedState == model.AccountUnknown && want.NativeID != ""
}

func (t *Target) waits(task model.Task) error {
	code := model.CodeTaskOpen
	if t.o.Now().After(task.DueAt) {
		code = model.CodeTaskOverdue
	}
	return model.Errorf(code, "task %s of %s, due %s", task.ID, task.Assignee, task.DueAt.UTC().Format(time.RFC3339))
}

// step is what has to be done with the account as it is known; "": nothing.
func step(a model.Account) (model.Op, error) {
	has := a.AppliedState == model.AccountActive || a.AppliedState == model.AccountInactive
	switch a.State {
	case model.AccountActive:
		switch {
		case !has:
			return model.OpCreate, nil
		case a.AppliedState == model.AccountInactive:
			return model.OpReactivate, nil
		case a.Applied != a.Desired:
			return model.OpUpdate, nil
		}
	case model.AccountInactive:
		if a.AppliedState == model.AccountActive {
			return model.OpDeactivate, nil
		}
	case model.AccountAbsent:
		if has {
			return model.OpDelete, nil
		}
	default:
		return "", engine.Permanent(model.Errorf(model.CodeInternal, "account state %q cannot be ensured", a.State))
	}
	return "", nil
}

func (t *Target) task(a model.Account, op model.Op) model.Task {
	now := t.o.Now().UTC().Truncate(time.Microsecond)
	var attrs struct {
		DisplayName string `json:"displayName"`
	}
	_ = json.Unmarshal([]byte(a.Desired), &attrs) // it names the person, and need not
	who := attrs.DisplayName
	if who == "" {
		who = a.UserName
	}
	because := a.Because
	if because == "" {
		because = "{}"
	}
	return model.Task{ID: model.NewID(now), IdentityID: a.IdentityID, Target: t.o.Name, Who: who, UserName: a.UserName, Op: op, Revision: a.DesiredRev,
		State: a.State, Attributes: a.Desired, Before: a.Applied, Because: because, Assignee: t.o.Assignee, Instructions: t.o.Instructions,
		DueAt: now.Add(t.o.Due), Status: model.TaskOpen, CreatedAt: now, UpdatedAt: now}
}

// Accounts lists the accounts of the API, else those that tasks made, as they are known to be.
func (t *Target) Accounts(ctx context.Context) iter.Seq2[model.Account, error] {
	if t.o.API != nil {
		return t.o.API.Accounts(ctx)
	}
	return func(yield func(model.Account, error) bool) {
		const chunk = 500
		for last := ""; ; {
			list, err := t.o.Store.Accounts(ctx, model.AccountQuery{Target: t.o.Name, Limit: chunk, ByIdentity: true, After: last})
			if err != nil {
				yield(model.Account{}, fmt.Errorf("accounts of target %s: %w", t.o.Name, err))
				return
			}
			for _, a := range list {
				if (a.AppliedState == model.AccountActive || a.AppliedState == model.AccountInactive) && !yield(a, nil) {
					return
				}
			}
			if len(list) < chunk {
				return
			}
			last = list[chunk-1].IdentityID
		}
	}
}
