package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/libtnb/sqlite"
	"go.uber.org/zap"
	"gorm.io/gorm"
	sqlitedriver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"jmld/model"
)

const (
	liteReaders = liteSearches + liteStreams + 2
	liteGroup   = 64 // commits that share one transaction
)

// liteDB is one SQLite file: a writer that coalesces, and readers.
type liteDB struct {
	reading, writing *sql.DB
	readers          chan *liteConn // those not in use
	writer           *liteConn      // used by the goroutine of writeLoop only
	jobs             chan *liteJob
	quit             chan struct{}
	stop             sync.Once
	closed           error
	done             sync.WaitGroup
	log              *zap.Logger
}

// liteConn is one connection with its prepared statements and a GORM session.
type liteConn struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	gorm  *gorm.DB
}

func openLite(ctx context.Context, path string, o Options) (*liteDB, error) {
	if o.Empty {
		if err := emptyLite(ctx, path); err != nil {
			return nil, err
		}
	}
	// SQLite would make it readable for everybody.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", model.ErrUnavailable, err)
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	if err := migrateLite(ctx, path); err != nil {
		return nil, err
	}
	db := &liteDB{
		readers: make(chan *liteConn, liteReaders), jobs: make(chan *liteJob, 4*liteGroup), quit: make(chan struct{}), log: o.Log,
	}
	if db.writing, err = sql.Open(sqlite.DriverName, liteDSN(path, true)); err != nil {
		return nil, err
	}
	if db.reading, err = sql.Open(sqlite.DriverName, liteDSN(path, false)); err != nil {
		return nil, errors.Join(err, db.writing.Close())
	}
	if db.writer, err = newLiteConn(ctx, db.writing); err != nil {
		return nil, errors.Join(err, db.reading.Close(), db.writing.Close())
	}
	for range liteReaders {
		c, err := newLiteConn(ctx, db.reading)
		if err != nil {
			errs := []error{err, db.writer.close()}
			for len(db.readers) > 0 {
				errs = append(errs, (<-db.readers).close())
			}
			return nil, errors.Join(append(errs, db.reading.Close(), db.writing.Close())...)
		}
		db.readers <- c
	}
	db.done.Go(db.writeLoop)
	return db, nil
}

// liteDSN: a commit is durable (FULL), times are microseconds, and a reader cannot write.
func liteDSN(path string, write bool) string {
	q := url.Values{
		"_pragma": {
			"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "journal_size_limit(67108864)",
		},
		"_time_integer_format": {"unix_micro"},
		"_inttotime":           {"1"},
		"_timezone":            {"UTC"},
	}
	if write {
		q.Set("_txlock", "immediate")
		q.Add("_pragma", "cache_size(-65536)")
		q.Add("_pragma", "wal_autocheckpoint(8192)") // 32 MiB: what is written often goes into the file once
	} else {
		q.Add("_pragma", "cache_size(-16384)")
		q.Add("_pragma", "query_only(1)")
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// newLiteConn waits up to ten seconds for a file that another process is just making.
func newLiteConn(ctx context.Context, db *sql.DB) (*liteConn, error) {
	deadline := time.Now().Add(10 * time.Second)
	for {
		conn, err := db.Conn(ctx)
		if err == nil {
			g, err := gorm.Open(sqlite.New(sqlite.Config{Conn: conn}), gormConfig())
			if err != nil {
				return nil, errors.Join(err, conn.Close())
			}
			return &liteConn{conn: conn, stmts: map[string]*sql.Stmt{}, gorm: g}, nil
		}
		if !busy(err) || time.Now().After(deadline) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// close closes the statements, too: those of one connection database/sql leaves to who prepared them, and SQLite keeps the files open until
// the last one is gone.
func (c *liteConn) close() error {
	var errs []error
	for _, st := range c.stmts {
		errs = append(errs, st.Close())
	}
	return errors.Join(append(errs, c.conn.Close())...)
}

func busy(err error) bool {
	var e *sqlitedriver.Error
	return errors.As(err, &e) && (e.Code()&0xff == sqlite3.SQLITE_BUSY || e.Code()&0xff == sqlite3.SQLITE_LOCKED)
}

// run runs statements one after the other.
func (c *liteConn) run(ctx context.Context, ops []op) error {
	for i := range ops {
		for o := &ops[i]; ; {
			if o.late != nil {
				if o.args = o.late(); o.args == nil {
					break
				}
			}
			if err := c.one(ctx, o); err != nil {
				return err
			}
			if !o.more {
				break
			}
		}
	}
	return nil
}

func (c *liteConn) one(ctx context.Context, o *op) error {
	st, err := c.stmt(ctx, o.text)
	if err != nil {
		return err
	}
	if o.each == nil {
		res, err := st.ExecContext(ctx, o.args...)
		if err != nil || !o.must {
			return err
		}
		n, err := res.RowsAffected()
		if err == nil && n == 0 {
			err = errMissed
		}
		return err
	}
	rows, err := st.QueryContext(ctx, o.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := o.each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// stmt prepares a statement once. The number of different statements is bounded but for searches.
func (c *liteConn) stmt(ctx context.Context, text string) (*sql.Stmt, error) {
	if st := c.stmts[text]; st != nil {
		return st, nil
	}
	if len(c.stmts) > 500 {
		for key, st := range c.stmts {
			delete(c.stmts, key)
			if err := st.Close(); err != nil {
				return nil, err
			}
		}
	}
	st, err := c.conn.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	c.stmts[text] = st
	return st, nil
}

// borrow gives fn a reader and, with snapshot, one state of the database for all it reads.
func (db *liteDB) borrow(ctx context.Context, snapshot bool, fn func(*liteConn) error) (err error) {
	var c *liteConn
	select {
	case c = <-db.readers:
	case <-ctx.Done():
		return ctx.Err()
	case <-db.quit:
		return errClosed
	}
	defer func() { db.readers <- c }()
	if c == nil {
		return errClosed
	}
	if !snapshot {
		return fn(c)
	}
	// Begin and end are not interrupted: the connection must come back without a transaction.
	if err := c.one(context.Background(), &op{text: "BEGIN"}); err != nil {
		return err
	}
	defer func() {
		if e := c.one(context.Background(), &op{text: "COMMIT"}); err == nil {
			err = e
		}
	}()
	return fn(c)
}

func (db *liteDB) read(ctx context.Context, ops []op) error {
	return db.borrow(ctx, len(ops) > 1, func(c *liteConn) error { return c.run(ctx, ops) })
}

func (db *liteDB) lookup(ctx context.Context, ops []op) error { return db.read(ctx, ops) }

func (db *liteDB) search(ctx context.Context, ops []op) error { return db.read(ctx, ops) }

func (db *liteDB) survey(ctx context.Context, ops []op) error { return db.read(ctx, ops) }

func (db *liteDB) view(ctx context.Context, fn func(*gorm.DB) error) error {
	return db.borrow(ctx, true, func(c *liteConn) error { return fn(c.gorm.WithContext(ctx)) })
}

func (db *liteDB) write(ctx context.Context, ops []op) error {
	return db.submit(ctx, func(c *liteConn) error { return c.run(context.Background(), ops) })
}

func (db *liteDB) update(ctx context.Context, fn func(*gorm.DB) error) error {
	return db.submit(ctx, func(c *liteConn) error { return fn(c.gorm.WithContext(context.Background())) })
}

func (db *liteDB) ping(ctx context.Context) error {
	return db.borrow(ctx, false, func(c *liteConn) error {
		return c.one(ctx, &op{text: "SELECT count(*) FROM leases", each: func(scanner) error { return nil }})
	})
}

func (db *liteDB) close() error {
	db.stop.Do(func() {
		close(db.quit)
		db.done.Wait()
		var errs []error
		for range liteReaders { // waits for those in use
			errs = append(errs, (<-db.readers).close())
		}
		for range liteReaders {
			db.readers <- nil
		}
		db.closed = errors.Join(append(errs, db.reading.Close(), db.writer.close(), db.writing.Close())...)
	})
	return db.closed
}
