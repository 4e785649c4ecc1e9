package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"time"

	"github.com/libtnb/sqlite"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"jmld/model"
)

//go:embed migrations
var migrations embed.FS

// migratePostgres applies what is missing. Processes that start at once take turns with a table, not with an advisory
// lock, which distributed databases do not have.
func migratePostgres(ctx context.Context, db *sql.DB) error {
	if current(ctx, db, "postgres") {
		return nil
	}
	locker, err := lock.NewPostgresTableLocker(
		lock.WithTableLockTimeout(200*time.Millisecond, 600),
		lock.WithTableUnlockTimeout(200*time.Millisecond, 25),
	)
	if err != nil {
		return err
	}
	// Several processes may make the table of the lock at once, which PostgreSQL answers with an error to all but one.
	err = migrate(ctx, db, goose.DialectPostgres, "postgres", locker)
	for try := 0; try < 5 && err != nil && ctx.Err() == nil && errors.Is(classify(ctx, err), model.ErrStale); try++ {
		err = migrate(ctx, db, goose.DialectPostgres, "postgres", locker)
	}
	return err
}

// isEmpty is ErrConflict when the query finds tables.
func isEmpty(ctx context.Context, db *sql.DB, query string) error {
	var some bool
	if err := db.QueryRowContext(ctx, query).Scan(&some); err != nil {
		return err
	}
	if some {
		return fmt.Errorf("%w: the database has tables", model.ErrConflict)
	}
	return nil
}

// emptyLite looks at a file without changing it, or making one.
func emptyLite(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w", model.ErrUnavailable, err)
	}
	db, err := sql.Open(sqlite.DriverName, "file:"+(&url.URL{Path: path}).EscapedPath()+"?mode=ro&_pragma=busy_timeout(5000)")
	if err != nil {
		return err
	}
	return errors.Join(isEmpty(ctx, db, "SELECT EXISTS (SELECT 1 FROM sqlite_master)"), db.Close())
}

func migrateLite(ctx context.Context, path string) error {
	db, err := sql.Open(sqlite.DriverName, liteDSN(path, true))
	if err != nil {
		return err
	}
	defer db.Close()
	conn, err := newLiteConn(ctx, db) // waits while another process makes the file
	if err != nil {
		return err
	}
	if err := conn.conn.Close(); err != nil {
		return err
	}
	if current(ctx, db, "sqlite") {
		return nil
	}
	return migrate(ctx, db, goose.DialectSQLite3, "sqlite", &liteLocker{owner: model.NewID(time.Now())})
}

func migrate(ctx context.Context, db *sql.DB, dialect goose.Dialect, dir string, locker lock.Locker) error {
	files, err := fs.Sub(migrations, "migrations/"+dir)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(dialect, db, files, goose.WithLocker(locker), goose.WithDisableGlobalRegistry(true),
		goose.WithLogger(goose.NopLogger()), goose.WithGoMigrations(rekeying()))
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("bring the schema up to date: %w", err)
	}
	return nil
}

// current reports whether the newest migration is applied, without taking the lock. Any doubt is no.
func current(ctx context.Context, db *sql.DB, dir string) bool {
	names, err := fs.Glob(migrations, "migrations/"+dir+"/*.sql")
	if err != nil || len(names) == 0 {
		return false
	}
	newest, err := goose.NumericComponent(names[len(names)-1])
	if err != nil {
		return false
	}
	var applied int64
	err = db.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&applied)
	return err == nil && applied >= max(newest, rekeyed)
}

// liteLocker lets one process migrate a SQLite file. A process that dies holding it keeps the others waiting a minute.
type liteLocker struct{ owner string }

// Lock waits for the lock.
func (l *liteLocker) Lock(ctx context.Context, db *sql.DB) error {
	const (
		create = "CREATE TABLE IF NOT EXISTS schema_lock (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, until INTEGER NOT NULL)"
		take   = "INSERT INTO schema_lock VALUES (1, ?1, unixepoch() + 60) ON CONFLICT (id) " +
			"DO UPDATE SET owner = excluded.owner, until = excluded.until WHERE until < unixepoch()"
	)
	if _, err := db.ExecContext(ctx, create); err != nil {
		return err
	}
	deadline := time.Now().Add(2 * time.Minute)
	for {
		res, err := db.ExecContext(ctx, take, l.owner)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 1 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w: another process is changing the schema", model.ErrUnavailable)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Unlock gives the lock back.
func (l *liteLocker) Unlock(ctx context.Context, db *sql.DB) error {
	_, err := db.ExecContext(context.WithoutCancel(ctx), "DELETE FROM schema_lock WHERE owner = ?1", l.owner)
	return err
}
