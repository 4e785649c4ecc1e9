package store

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"jmld/internal/testserver"
	"jmld/model"
)

// A statement ends with the request it was for, and what it held is free again.
func TestDeadlineEndsTheStatement(t *testing.T) {
	t.Parallel()
	const mark = "/* slow one */"
	for name, tt := range map[string]struct{ url, text string }{
		"sqlite": {"sqlite:" + filepath.Join(t.TempDir(), "jmld.db"),
			"WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 1000000000000) SELECT count(*) " + mark + " FROM c"},
		"postgres": {"", "SELECT count(*) " + mark + " FROM generate_series(1, 1000000000000)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.url == "" {
				tt.url = testserver.Postgres(t)
			}
			s := openHere(t, tt.url)
			var n int64
			each := func(row scanner) error { return row.Scan(&n) }
			for _, how := range []func(context.Context, ...op) error{s.read, s.survey, s.stream} {
				for range 2 * liteReaders { // each connection at least once
					ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
					start := time.Now()
					err := how(ctx, op{text: tt.text, each: each})
					cancel()
					if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took > time.Minute {
						t.Fatalf("%v after %s", err, took)
					}
				}
			}
			if err := s.read(t.Context(), op{text: "SELECT count(*) FROM records", each: each}); err != nil || n != 0 {
				t.Fatal(n, err)
			}
			if s.lite {
				return
			}
			for end := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
				if err := s.read(t.Context(), op{text: "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() " +
					"AND query LIKE '%' || $1::text || '%'", args: []any{"slow " + "one"}, each: each}); err != nil {
					t.Fatal(err)
				}
				if n == 0 {
					return
				}
				if time.Now().After(end) {
					t.Fatalf("%d statements of requests that have ended still run", n)
				}
			}
		})
	}
}

// Who asks and goes costs no connection, and the statement is over when the call is: what waits for its turn would come on top of it.
func TestWhoGoesCostsNoConnection(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]func(*Store, context.Context, ...op) error{
		"read": (*Store).read, "lookup": (*Store).lookup, "search": (*Store).search, "survey": (*Store).survey, "stream": (*Store).stream, "write": (*Store).write,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openHere(t, testserver.Postgres(t))
			pool := s.db.(*pgDB).pool
			var n int64
			each := func(row scanner) error { return row.Scan(&n) }
			if err := s.read(t.Context(), op{text: "SELECT 0", each: each}); err != nil {
				t.Fatal(err)
			}
			before := pool.Stat().NewConnsCount()
			for range 5 {
				ctx, cancel := context.WithCancel(t.Context())
				held := make(chan error, 1)
				go func() {
					held <- how(s, ctx, op{text: "SELECT 1 FROM pg_sleep(3600) /* of nobody */", each: each})
				}()
				const running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND datname = current_database() " +
					"AND query LIKE '%' || $1::text || '%'"
				look := func() int64 {
					if err := s.read(t.Context(), op{text: running, args: []any{"of nobody"}, each: each}); err != nil {
						t.Fatal(err)
					}
					return n
				}
				for end := time.Now().Add(time.Minute); look() == 0; time.Sleep(time.Millisecond) {
					if time.Now().After(end) {
						t.Fatal("the statement does not run")
					}
				}
				cancel()
				if err := <-held; !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
				if look() != 0 {
					t.Error("a statement of somebody who has gone still runs")
				}
			}
			if after := pool.Stat().NewConnsCount(); after > before+1 { // two are in use at a time
				t.Errorf("%d new connections", after-before)
			}
		})
	}
}

// SQLite's driver can stop a statement only until its first row: a search that looks at many records has found all of its page by
// then. One that an index answers needs no detour.
func TestSearchesOfSQLiteFindBeforeTheyRead(t *testing.T) {
	t.Parallel()
	s := openHere(t, "sqlite:"+filepath.Join(t.TempDir(), "jmld.db"))
	path := func(names ...string) model.AttrRef { return model.AttrRef{Path: names} }
	for name, tt := range map[string]struct {
		filter model.Filter
		detour bool
	}{
		"everybody":   {nil, false},
		"a name":      {model.Compare{Attr: path("userName"), Op: model.OpEq, Value: "ada"}, false},
		"an address":  {model.Compare{Attr: path("emails", "value"), Op: model.OpEq, Value: "ada@example.org"}, false},
		"a part":      {model.Compare{Attr: path("displayName"), Op: model.OpCo, Value: "ada"}, true},
		"a role":      {model.Compare{Attr: path("roles", "value"), Op: model.OpEq, Value: "x"}, true},
		"all but one": {model.Not{Term: model.Compare{Attr: path("userName"), Op: model.OpEq, Value: "ada"}}, true},
		"one of two kinds": {model.Or{Terms: []model.Filter{
			model.Compare{Attr: path("userName"), Op: model.OpEq, Value: "ada"}, model.Compare{Attr: path("userName"), Op: model.OpSw, Value: "b"},
		}}, true},
		"both": {model.And{Terms: []model.Filter{
			model.Compare{Attr: path("displayName"), Op: model.OpCo, Value: "ada"}, model.Compare{Attr: path("userName"), Op: model.OpEq, Value: "ada"},
		}}, false},
	} {
		q := model.Query{Source: "entra", Kind: model.KindUser, Filter: tt.filter, Limit: 100}
		b := &query{Store: s}
		where, err := b.where(q)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(b.rows(recordColumns, where, b.order(q), 101, 0), "r.id IN (SELECT r.id FROM records r WHERE"); got != tt.detour {
			t.Errorf("%s: identifiers first is %t, want %t", name, got, tt.detour)
		}
	}
}

// Searches and streams leave connections to those who look one record up, and one that waits too long is told so.
func TestSearchesLeaveConnections(t *testing.T) {
	t.Parallel()
	s := openHere(t, "sqlite:"+filepath.Join(t.TempDir(), "jmld.db"))
	all := model.Query{Source: "entra", Kind: model.KindUser, Limit: 1}
	for i := range cap(s.searches.all) {
		leave, err := s.searches.enter(t.Context(), strconv.Itoa(i))
		if err != nil {
			t.Fatal(err)
		}
		defer leave()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Query(ctx, all); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a search beside %d others: %v", cap(s.searches.all), err)
	}
	one := all
	one.Filter = model.Compare{Attr: model.AttrRef{Path: []string{"userName"}}, Op: model.OpEq, Value: "ada"}
	if _, err := s.Query(t.Context(), one); err != nil {
		t.Errorf("a lookup beside %d searches: %v", cap(s.searches.all), err)
	}
	if liteSearches+liteStreams >= liteReaders {
		t.Errorf("%d searches and %d streams take all of %d connections", liteSearches, liteStreams, liteReaders)
	}
	if _, err := s.Query(t.Context(), all); !errors.Is(err, model.ErrUnavailable) {
		t.Errorf("a search that waited: %v", err)
	}
}
