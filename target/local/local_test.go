package local_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"jmld/jml/engine"
	"jmld/model"
	"jmld/target/local"
	"jmld/target/targettest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, class := range []model.Class{model.ClassPlatform, model.ClassApp} {
		t.Run(string(class), func(t *testing.T) {
			t.Parallel()
			targettest.Run(t, func(testing.TB) engine.Target { return local.New("platform", class, newTable(class), time.Now) })
		})
	}
}

// What other software reads with plain SQL: the typed columns, and everything else as JSON.
func TestColumnsHoldWhatTheirNamesSay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, desired string
		want          model.PlatformUser
	}{
		{"everything", `{"displayName":"Ada L","emails":[{"type":"home","value":"a@example.net"},{"primary":true,"type":"work","value":"a@example.org"}],` +
			`"externalId":"7","name":{"familyName":"L","givenName":"Ada","middleName":"K"},"userName":"ada"}`,
			model.PlatformUser{UserName: "ada", Email: "a@example.org", DisplayName: "Ada L", GivenName: "Ada", FamilyName: "L", Active: true,
				Attributes: `{"emails":[{"type":"home","value":"a@example.net"},{"primary":true,"type":"work","value":"a@example.org"}],"externalId":"7","name":{"middleName":"K"}}`}},
		{"only a name", `{"userName":"ada"}`, model.PlatformUser{UserName: "ada", Active: true, Attributes: `{}`}},
		{"no primary address: the first", `{"emails":[{"value":"a@example.org"},{"value":"b@example.org"}],"userName":"ada"}`,
			model.PlatformUser{UserName: "ada", Email: "a@example.org", Active: true,
				Attributes: `{"emails":[{"value":"a@example.org"},{"value":"b@example.org"}]}`}},
		{"what is not text stays in attributes", `{"displayName":7,"emails":"a@example.org","name":"Ada","number":12345678901234567890,"userName":"ada"}`,
			model.PlatformUser{UserName: "ada", Active: true,
				Attributes: `{"displayName":7,"emails":"a@example.org","name":"Ada","number":12345678901234567890}`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			table := newTable(model.ClassPlatform)
			target := local.New("platform", model.ClassPlatform, table, time.Now)
			got, err := target.Ensure(t.Context(), model.Account{IdentityID: "i", Target: "platform", State: model.AccountActive, Desired: c.desired})
			if err != nil {
				t.Fatal(err)
			}
			if got.Applied != c.desired {
				t.Errorf("applied %s\nwant    %s", got.Applied, c.desired)
			}
			c.want.Target, c.want.ID = "platform", "i"
			row := table.rows["platform i"]
			if d := cmp.Diff(c.want, row, cmpopts.IgnoreFields(row, "CreatedAt", "UpdatedAt")); d != "" {
				t.Errorf("row (-want +got):\n%s", d)
			}
			if row.CreatedAt.IsZero() || !row.CreatedAt.Equal(row.UpdatedAt) {
				t.Errorf("times %v and %v", row.CreatedAt, row.UpdatedAt)
			}
		})
	}
}

func TestAnUnchangedRowIsNotWritten(t *testing.T) {
	t.Parallel()
	table := newTable(model.ClassPlatform)
	target := local.New("platform", model.ClassPlatform, table, time.Now)
	a, err := target.Ensure(t.Context(), targettest.Want("platform", "ada"))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if a, err = target.Ensure(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	if table.writes != 1 {
		t.Errorf("%d writes, want 1", table.writes)
	}
}

func TestADatabaseThatCannotIsTriedAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want model.Code
	}{
		{fmt.Errorf("disk full: %w", model.ErrUnavailable), model.CodeStoreUnavailable},
		{errors.New("some fault"), model.CodeTargetUnreachable},
	} {
		table := newTable(model.ClassPlatform)
		target := local.New("platform", model.ClassPlatform, table, time.Now)
		a, err := target.Ensure(t.Context(), targettest.Want("platform", "ada"))
		if err != nil {
			t.Fatal(err)
		}
		table.fault = c.err
		for _, state := range []model.AccountState{model.AccountActive, model.AccountAbsent} {
			a.State = state
			if _, err := target.Ensure(t.Context(), a); !errors.Is(err, c.err) || model.CodeOf(err) != c.want || engine.IsPermanent(err) {
				t.Errorf("%s: error %v (code %s), want %s, not permanent", state, err, model.CodeOf(err), c.want)
			}
		}
		for _, err := range target.Accounts(t.Context()) {
			if !errors.Is(err, c.err) {
				t.Errorf("listing: error %v, want %v", err, c.err)
			}
		}
	}
}

// table is a Store in memory with the promises of the real one.
type table struct {
	class model.Class

	mu     sync.Mutex
	rows   map[string]model.PlatformUser
	writes int
	fault  error
}

func newTable(class model.Class) *table {
	return &table{class: class, rows: map[string]model.PlatformUser{}}
}

func (s *table) check(ctx context.Context, class model.Class) error {
	if class != s.class {
		return fmt.Errorf("class %s, want %s", class, s.class)
	}
	if s.fault != nil {
		return s.fault
	}
	return ctx.Err()
}

func (s *table) PutLocal(ctx context.Context, class model.Class, row model.PlatformUser) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(ctx, class); err != nil {
		return err
	}
	for _, r := range s.rows {
		if r.Target == row.Target && r.ID != row.ID && model.FoldKey(r.UserName) == model.FoldKey(row.UserName) {
			return fmt.Errorf("user name of %s: %w", r.ID, model.ErrConflict)
		}
	}
	s.writes++
	s.rows[row.Target+" "+row.ID] = row
	return nil
}

func (s *table) GetLocal(ctx context.Context, class model.Class, target, id string) (model.PlatformUser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(ctx, class); err != nil {
		return model.PlatformUser{}, err
	}
	row, ok := s.rows[target+" "+id]
	if !ok {
		return row, model.ErrNotFound
	}
	return row, nil
}

func (s *table) DeleteLocal(ctx context.Context, class model.Class, target, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(ctx, class); err != nil {
		return err
	}
	delete(s.rows, target+" "+id)
	return nil
}

func (s *table) EachLocal(ctx context.Context, class model.Class, target string, yield func(model.PlatformUser) error) error {
	s.mu.Lock()
	rows := maps.Clone(s.rows)
	err := s.check(ctx, class)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	for _, k := range slices.Sorted(maps.Keys(rows)) {
		if rows[k].Target == target {
			if err := yield(rows[k]); err != nil {
				return err
			}
		}
	}
	return nil
}
