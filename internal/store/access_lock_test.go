package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"jmld/internal/store"
	"jmld/internal/testserver"
	"jmld/jml/access"
	"jmld/jml/engine"
	"jmld/model"
)

// onPostgres opens a store and a connection beside it. SQLite has one writer: there nobody waits for anybody.
func onPostgres(t *testing.T) (*store.Store, func() *pgx.Conn) {
	t.Helper()
	url := testserver.Postgres(t)
	s, err := store.Open(ctxOf(t), store.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, func() *pgx.Conn {
		c, err := pgx.Connect(ctxOf(t), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close(context.WithoutCancel(ctxOf(t))) })
		return c
	}
}

func execute(t *testing.T, c *pgx.Conn, text string, args ...any) {
	t.Helper()
	if _, err := c.Exec(ctxOf(t), text, args...); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// soon waits until it is so.
func soon(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// Whoever changes memberships has the lock before anybody's row, and so never waits in a circle with the other one who does.
func TestMembershipsAreLockedBeforePeople(t *testing.T) {
	t.Parallel()
	s, connect := onPostgres(t)
	ctx := ctxOf(t)
	must(t, s.Commit(ctx, joined("entra", "1", "ada")))
	changeTo(t, s, builders())
	row := get[access.State](t)(s.Access(ctx)).Members[0]
	for name, write := range map[string]func(p engine.IdentityWrite) error{
		"a merge": func(p engine.IdentityWrite) error {
			row.Reason += " merged"
			return s.Commit(ctx, &engine.Commit{Identities: []engine.IdentityWrite{p}, Members: access.Edits[model.AccessMember]{Put: []model.AccessMember{row}}})
		},
		"an edit": func(engine.IdentityWrite) error {
			before := get[access.State](t)(s.Access(ctx))
			row.Reason += " edited"
			return s.ChangeAccess(ctx, &engine.AccessChange{Expect: before.Revision, ReviewAt: at(0), Affected: []string{"i-1"},
				Changes: access.Changes{Members: access.Edits[model.AccessMember]{Put: []model.AccessMember{row}}}})
		},
		"a new key": func(p engine.IdentityWrite) error {
			p.AddKeys = []model.Key{{Name: "employeeNumber", Value: "7"}}
			return s.Commit(ctx, &engine.Commit{Identities: []engine.IdentityWrite{p}})
		},
	} {
		holder, other := connect(), connect()
		execute(t, holder, "BEGIN")
		execute(t, holder, "SELECT 1 FROM identities WHERE id = 'i-1' FOR UPDATE")
		p := get[model.Identity](t)(s.Identity(ctx, "i-1"))
		done := make(chan error, 1)
		go func() { done <- write(engine.IdentityWrite{New: p, Expect: p.Version}) }()
		soon(t, name+" has the lock", func() bool {
			_, err := other.Exec(ctx, "SELECT value FROM settings WHERE name = 'access.lock' FOR UPDATE NOWAIT")
			var pg *pgconn.PgError
			return errors.As(err, &pg) && pg.Code == "55P03"
		})
		execute(t, holder, "COMMIT")
		if err := <-done; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is given by a key while its person is just being created is seen by one of the two.
func TestWhatIsGivenWhileSomebodyIsCreatedIsNotMissed(t *testing.T) {
	t.Parallel()
	s, connect := onPostgres(t)
	ctx := ctxOf(t)
	changeTo(t, s, builders())
	giving := connect() // in the middle of ChangeAccess
	execute(t, giving, "BEGIN")
	execute(t, giving, "SELECT value FROM settings WHERE name = 'access.lock' FOR UPDATE")
	execute(t, giving, "INSERT INTO access_members (person, place, role, admin, reason, approver, managed_by) "+
		"VALUES ('userName:dan', 'group:builders', 'developer', false, 'r', 'a', 'operator')")
	done := make(chan error, 1)
	go func() { done <- s.Commit(ctx, joined("entra", "4", "dan")) }()
	look := connect()
	soon(t, "the commit waits", func() bool {
		var waits int
		if err := look.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&waits); err != nil {
			t.Fatal(err)
		}
		return waits > 0
	})
	execute(t, giving, "COMMIT")
	must(t, <-done)
	due := get[[]string](t)(s.DueReviews(ctx, time.Now(), time.Hour, 10))
	if diff := cmp.Diff([]string{"i-4"}, due); diff != "" {
		t.Error(diff)
	}
}
