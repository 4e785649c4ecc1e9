// Package local is the target whose accounts live in jmld's own database, as rows of platform_users or app_users, for
// platforms that read a table. Columns: target, id (the identity's id), user_name, email, display_name, given_name,
// family_name, active, attributes (everything else the policy says, canonical JSON), created_at and updated_at.
package local

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"time"

	"jmld/jml/engine"
	"jmld/model"
)

// Store keeps the rows. The class says in which table: platform_users or app_users.
type Store interface {
	// PutLocal inserts or replaces the row. model.ErrConflict: another id of the target has the same user name,
	// compared with model.FoldKey.
	PutLocal(ctx context.Context, class model.Class, row model.PlatformUser) error
	// GetLocal returns the row, or model.ErrNotFound.
	GetLocal(ctx context.Context, class model.Class, target, id string) (model.PlatformUser, error)
	// DeleteLocal removes the row if there is one; that there is none is no error.
	DeleteLocal(ctx context.Context, class model.Class, target, id string) error
	// EachLocal streams the target's rows, ordered by id, and ends with the first error of yield.
	EachLocal(ctx context.Context, class model.Class, target string, yield func(model.PlatformUser) error) error
}

// Target keeps accounts as rows. Its methods may be called by several goroutines.
type Target struct {
	name  string
	class model.Class
	store Store
	now   func() time.Time
}

// New makes the target of that name and class. now dates the rows.
func New(name string, class model.Class, store Store, now func() time.Time) *Target {
	return &Target{name: name, class: class, store: store, now: now}
}

// Name is the configured name.
func (t *Target) Name() string { return t.name }

// Ensure brings the row to what is wanted and returns it as read back. A row that is as wanted is not written. The
// identity's id is the row's, so an account is found again whatever it was called before.
func (t *Target) Ensure(ctx context.Context, want model.Account) (model.Account, error) {
	if want.IdentityID == "" {
		return want, engine.Permanent(model.Errorf(model.CodeTargetRefused, "the account has no identity"))
	}
	cur, err := t.store.GetLocal(ctx, t.class, t.name, rowID(want))
	exists := err == nil
	if err != nil && !errors.Is(err, model.ErrNotFound) {
		return want, t.wrap("read", err)
	}

	switch want.State {
	case model.AccountAbsent:
		if !exists {
			return absent(want), nil
		}
		if err := t.store.DeleteLocal(ctx, t.class, t.name, rowID(want)); err != nil {
			return want, t.wrap("delete", err)
		}
	case model.AccountInactive, model.AccountActive:
		if !exists && want.State == model.AccountInactive {
			return absent(want), nil // nothing to deactivate
		}
		if err := t.write(ctx, want, cur); err != nil {
			return want, err
		}
	default:
		return want, engine.Permanent(model.Errorf(model.CodeInternal, "account state %q cannot be ensured", want.State))
	}
	return t.readBack(ctx, want)
}

// Accounts lists the rows, ordered by id.
func (t *Target) Accounts(ctx context.Context) iter.Seq2[model.Account, error] {
	return func(yield func(model.Account, error) bool) {
		stop := errors.New("the listing is not wanted any more")
		err := t.store.EachLocal(ctx, t.class, t.name, func(row model.PlatformUser) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			a, err := account(model.Account{IdentityID: row.ID, Target: t.name, Class: t.class, UserName: row.UserName}, row)
			if err != nil {
				return err
			}
			if !yield(a, nil) {
				return stop
			}
			return nil
		})
		if err != nil && !errors.Is(err, stop) {
			yield(model.Account{}, t.wrap("list", err))
		}
	}
}

func (t *Target) write(ctx context.Context, want model.Account, cur model.PlatformUser) error {
	next, err := row(t.name, want, cur)
	if err != nil {
		return engine.Permanent(err)
	}
	if next == cur {
		return nil
	}
	now := t.now().UTC().Truncate(time.Microsecond)
	next.UpdatedAt = now
	if next.CreatedAt.IsZero() {
		next.CreatedAt = now
	}
	err = t.store.PutLocal(ctx, t.class, next)
	switch {
	case errors.Is(err, model.ErrConflict):
		return engine.Permanent(model.Errorf(model.CodeTargetConflict,
			"target %s has another account with this userName: %w", t.name, err))
	case err != nil:
		return t.wrap("write", err)
	}
	return nil
}

func (t *Target) readBack(ctx context.Context, want model.Account) (model.Account, error) {
	row, err := t.store.GetLocal(ctx, t.class, t.name, rowID(want))
	switch {
	case errors.Is(err, model.ErrNotFound) && want.State == model.AccountAbsent:
		return absent(want), nil
	case errors.Is(err, model.ErrNotFound):
		return want, model.Errorf(model.CodeTargetReadBack, "target %s: the row was written and is gone", t.name)
	case err != nil:
		return want, t.wrap("read back", err)
	}
	got, err := account(want, row)
	if err != nil {
		return want, err
	}
	if got.AppliedState != want.State {
		return want, model.Errorf(model.CodeTargetReadBack, "target %s: the row is %s after it was made %s",
			t.name, got.AppliedState, want.State)
	}
	return got, nil
}

// wrap says what was being done; the cause keeps its code (the database's, as the target is the database).
func (t *Target) wrap(op string, err error) error {
	if code := model.CodeOf(err); code != model.CodeInternal {
		return model.Errorf(code, "%s account in target %s: %w", op, t.name, err)
	}
	return model.Errorf(model.CodeTargetUnreachable, "%s account in target %s: %w", op, t.name, err)
}

// rowID is the row's id: the identity's it was made for. An account that changed hands, because two identities were found to be one
// person, keeps its row.
func rowID(a model.Account) string { return cmp.Or(a.NativeID, a.IdentityID) }

func absent(a model.Account) model.Account {
	a.NativeID, a.AppliedState, a.Applied = "", model.AccountAbsent, ""
	return a
}
