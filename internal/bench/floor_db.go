package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "modernc.org/sqlite" // the driver the store uses

	"jmld/internal/store"
)

// schema makes the tables as the daemon does.
func schema(ctx context.Context, url string) error {
	db, err := store.Open(ctx, store.Options{URL: url})
	if err != nil {
		return err
	}
	return db.Close()
}

// pg is pgx: a pool of the daemon's size, one round trip for all reads and one for a transaction.
type pg struct{ pool *pgxpool.Pool }

func pgFloor(ctx context.Context, t *tb, url string) (floor, error) {
	if err := schema(ctx, url); err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.MaxConns = 16
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	t.Cleanup(pool.Close)
	return newOverHTTP(t, byHand{pg{pool}})
}

func (p pg) time(t time.Time) any { return t }

func (p pg) read(ctx context.Context, queries []stmt) (out [][]any, err error) {
	b := &pgx.Batch{}
	for _, q := range queries {
		b.Queue(q.text, q.args...)
	}
	res := p.pool.SendBatch(ctx, b)
	defer func() { err = errors.Join(err, res.Close()) }()
	for range queries {
		rows, err := res.Query()
		if err != nil {
			return nil, err
		}
		var last []any
		for rows.Next() {
			if last, err = rows.Values(); err != nil {
				return nil, err
			}
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
		out = append(out, last)
	}
	return out, nil
}

// write: a batch without BEGIN is one transaction.
func (p pg) write(ctx context.Context, statements []stmt) (err error) {
	b := &pgx.Batch{}
	for _, s := range statements {
		b.Queue(s.text, s.args...)
	}
	res := p.pool.SendBatch(ctx, b)
	defer func() { err = errors.Join(err, res.Close()) }()
	for range statements {
		tag, err := res.Exec()
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return errNobody
		}
	}
	return nil
}

// lite is database/sql on SQLite: one connection that writes, four that read, statements prepared once.
type lite struct {
	writer, readers *sql.DB
	prepared        *sync.Map // text and pool -> *sql.Stmt
}

func liteFloor(ctx context.Context, t *tb, at string) (floor, error) {
	if err := schema(ctx, at); err != nil {
		return nil, err
	}
	open := func(max int, more ...string) (*sql.DB, error) {
		q := url.Values{"_pragma": append([]string{"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "journal_size_limit(67108864)"}, more...)}
		if max == 1 {
			q.Set("_txlock", "immediate")
		}
		db, err := sql.Open("sqlite", "file:"+strings.TrimPrefix(at, "sqlite:")+"?"+q.Encode())
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(max)
		db.SetMaxIdleConns(max)
		t.Cleanup(func() { db.Close() })
		return db, db.PingContext(ctx)
	}
	writer, err := open(1, "cache_size(-65536)")
	if err != nil {
		return nil, err
	}
	readers, err := open(4, "cache_size(-16384)", "query_only(1)")
	if err != nil {
		return nil, err
	}
	return newOverHTTP(t, byHand{lite{writer, readers, &sync.Map{}}})
}

func (l lite) time(t time.Time) any { return t.UnixMicro() }

// prepare: SQLite calls the numbered parameter ?1.
func (l lite) prepare(ctx context.Context, db *sql.DB, text string) (*sql.Stmt, error) {
	key := fmt.Sprintf("%p %s", db, text)
	if s, ok := l.prepared.Load(key); ok {
		return s.(*sql.Stmt), nil
	}
	s, err := db.PrepareContext(ctx, strings.ReplaceAll(text, "$", "?"))
	if err != nil {
		return nil, err
	}
	if other, loaded := l.prepared.LoadOrStore(key, s); loaded {
		return other.(*sql.Stmt), s.Close()
	}
	return s, nil
}

func (l lite) read(ctx context.Context, queries []stmt) ([][]any, error) {
	var out [][]any
	for _, q := range queries {
		s, err := l.prepare(ctx, l.readers, q.text)
		if err != nil {
			return nil, err
		}
		last, err := lastRow(s.QueryContext(ctx, q.args...))
		if err != nil {
			return nil, err
		}
		out = append(out, last)
	}
	return out, nil
}

func lastRow(rows *sql.Rows, err error) ([]any, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	cols, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var last []any
	for rows.Next() {
		last = make([]any, len(cols))
		to := make([]any, len(cols))
		for i := range last {
			to[i] = &last[i]
		}
		if err := rows.Scan(to...); err != nil {
			return nil, err
		}
	}
	return last, rows.Err()
}

func (l lite) write(ctx context.Context, statements []stmt) (err error) {
	prepared := make([]*sql.Stmt, len(statements)) // the one connection is the transaction's once it has begun
	for i, s := range statements {
		if prepared[i], err = l.prepare(ctx, l.writer, s.text); err != nil {
			return err
		}
	}
	tx, err := l.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for i, s := range statements {
		res, err := tx.StmtContext(ctx, prepared[i]).ExecContext(ctx, s.args...)
		if err != nil {
			return errors.Join(err, tx.Rollback())
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, errNobody, tx.Rollback())
		}
	}
	return tx.Commit()
}
