package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"jmld/internal/store"
	"jmld/internal/testserver"
	"jmld/jml/engine"
	"jmld/ldapsync"
)

// readOnce brings the directory into the database, as the daemon does on schedule.
func readOnce(ctx context.Context, ldapURL, dbURL string) (res childResult, err error) {
	db, err := store.Open(ctx, store.Options{URL: dbURL})
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	source, err := directory(ldapURL)
	if err != nil {
		return res, err
	}
	heap := &engine.Heap{}
	defer roomy(heap)()
	e, err := assemble(db, heap, engine.ReadSource{Source: source, Timeout: 25 * time.Minute})
	if err != nil {
		return res, err
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu := processor()
	start := time.Now()
	done, err := e.Sync(ctx, read, engine.SyncOptions{Trigger: "demand", Actor: "bench"})
	if err != nil {
		return res, err
	}
	res = childResult{Seconds: time.Since(start).Seconds(), Funnel: done.Funnel, Verdict: done.Run.Verdict, Phases: done.Proof.Phases}
	res.CPU = processor() - cpu
	runtime.ReadMemStats(&after)
	res.Allocs = after.Mallocs - before.Mallocs
	res.PeakKiB, err = peak()
	return res, err
}

func directory(url string) (*ldapsync.Source, error) {
	return ldapsync.New(ldapsync.Options{
		Name: read, URL: url, BindDN: testserver.SyncDN, Password: func() (string, error) { return testserver.Password, nil },
		Base: testserver.Base, ID: "entryUUID", People: ldapsync.People{Base: testserver.PeopleBase}, Groups: &ldapsync.Groups{Base: testserver.GroupsBase},
		PageSize: 1000, Timeouts: ldapsync.Timeouts{Run: 25 * time.Minute},
	})
}

// contents are the tables that say something about people; runs and leases are about the run itself.
func contents() []string {
	return []string{
		"records", "record_values", "members", "identities", "identity_keys", "accounts", "plans", "changes", "audit", "platform_users", "app_users",
	}
}

// liteWrites counts, by triggers, the rows written until the function it returns is called.
func liteWrites(ctx context.Context, url string) (func() (int64, error), error) {
	db, err := sql.Open("sqlite", "file:"+strings.TrimPrefix(url, "sqlite:")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		return nil, err
	}
	texts := []string{"CREATE TABLE bench_writes (n integer NOT NULL)", "INSERT INTO bench_writes VALUES (0)"}
	for _, table := range contents() {
		for _, event := range []string{"INSERT", "UPDATE", "DELETE"} {
			texts = append(texts, fmt.Sprintf("CREATE TRIGGER bench_%s_%s AFTER %s ON %s BEGIN UPDATE bench_writes SET n = n + 1; END", table, event, event, table))
		}
	}
	for _, text := range texts {
		if _, err := db.ExecContext(ctx, text); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	return func() (n int64, err error) {
		err = db.QueryRowContext(ctx, "SELECT n FROM bench_writes").Scan(&n)
		return n, errors.Join(err, db.Close())
	}, nil
}

// pgWrites asks the server's statistics, which a session that has ended has reported.
func pgWrites(ctx context.Context, url string) (func() (int64, error), error) {
	count := func() (n int64, err error) {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, conn.Close(ctx)) }()
		err = conn.QueryRow(ctx, "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del)::bigint FROM pg_stat_user_tables WHERE relname = ANY($1)", contents()).Scan(&n)
		return n, err
	}
	settled := func() (int64, error) { // the reports of sessions come a moment later
		last := int64(-1)
		for range 20 {
			n, err := count()
			if err != nil || n == last {
				return n, err
			}
			last = n
			select {
			case <-ctx.Done():
				return 0, ctx.Err()
			case <-time.After(500 * time.Millisecond):
			}
		}
		return 0, errors.New("the server's statistics do not settle")
	}
	before, err := settled()
	if err != nil {
		return nil, err
	}
	return func() (int64, error) {
		after, err := settled()
		return after - before, err
	}, nil
}

// processor is the processor time of this process so far, in seconds.
func processor() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
