package manual

import (
	"context"
	"errors"
	"fmt"

	"jmld/jml/engine"
	"jmld/model"
)

// beside lets the API do what it can and makes a task of the rest. What the API shows is what counts: a step that is said to be done and is
// not to be seen there is asked for again.
func (t *Target) beside(ctx context.Context, want model.Account, open []model.Task) (model.Account, error) {
	got, err := t.o.API.Ensure(ctx, want)
	var rest *engine.ByHandError
	switch {
	case errors.As(err, &rest):
		again, err := t.doubt(ctx, want, rest)
		if err != nil {
			return want, err
		}
		asked := want
		asked.Applied = rest.Found.Applied
		if id := rest.Found.NativeID; id != "" && rest.Found.Origin != model.OriginAdopted {
			asked.NativeID = id // of what the API made just now: found again without it, it would count as somebody else's work
		}
		if err = t.ask(ctx, asked, rest.Op, open); again != "" {
			err = fmt.Errorf("%w; %s", err, again)
		}
		return want, err
	case err != nil:
		return got, err
	case got.AppliedState == model.AccountAbsent && !there(want) && mayBeThere(want, open):
		return want, t.ask(ctx, want, look(want), open) // it is not there, and whoever was asked to make it may be about to
	}
	if got.Origin == model.OriginAdopted {
		ours, err := t.made(ctx, want)
		if err != nil {
			return got, err
		}
		if ours {
			got.Origin = model.OriginOurs
		}
	}
	return got, t.withdraw(ctx, want, open)
}

// there: the account was there when the API was asked last.
func there(want model.Account) bool {
	return want.AppliedState == model.AccountActive || want.AppliedState == model.AccountInactive
}

// doubt says why a step is needed although somebody said that it is done; "": nobody did.
func (t *Target) doubt(ctx context.Context, want model.Account, rest *engine.ByHandError) (string, error) {
	done, err := t.done(ctx, want)
	if err != nil {
		return "", err
	}
	for _, d := range done {
		if d.Op != rest.Op || d.Revision != want.DesiredRev {
			continue
		}
		why := rest.Why
		switch {
		case why != "":
		case rest.Op == model.OpCreate:
			why = "the target has no account of this user name: `jmld tasks done --native-id` names the one that was made"
		default:
			why = "the target does not show it"
		}
		return fmt.Sprintf("task %s is said to be done, and %s", d.ID, why), nil
	}
	return "", nil
}

// made says whether the account that is there is one that a person made for us: they said so after it was read back last.
func (t *Target) made(ctx context.Context, want model.Account) (bool, error) {
	done, err := t.done(ctx, want)
	for _, d := range done {
		if d.Op == model.OpCreate && (want.AppliedAt == nil || d.DecidedAt.After(*want.AppliedAt)) {
			return true, err
		}
	}
	return false, err
}

// done are the tasks of the account that are done.
func (t *Target) done(ctx context.Context, want model.Account) ([]model.Task, error) {
	tasks, err := t.o.Store.Tasks(ctx, model.TaskQuery{IdentityID: want.IdentityID, Target: t.o.Name, Status: model.TaskDone})
	if err != nil {
		return nil, fmt.Errorf("tasks of target %s: %w", t.o.Name, err)
	}
	return tasks, nil
}
