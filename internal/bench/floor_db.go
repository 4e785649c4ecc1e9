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
)

// openFloor opens the database with its driver alone.
func openFloor(ctx context.Context, url string) (byHand, func(), error) {
	if strings.HasPrefix(url, "sqlite:") {
		db, close, err := openLite(ctx, url)
		return byHand{db}, close, err
	}
	db, close, err := openPg(ctx, url)
	return byHand{db}, close, err
}

// pg is pgx: a pool of the daemon's size, one round trip for all reads and one for a transaction.
type pg struct{ pool *pgxpool.Pool }

func openPg(ctx context.Context, url string) (pg, func(), error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return pg{}, nil, err
	}
	config.MaxConns = 16
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return pg{}, nil, err
	}
	return pg{pool}, pool.Close, nil
}

func (p pg) groupsOfAll(ids []string) stmt {
	return stmt{strings.Replace(groupsOf, "member_id = $2", "member_id = ANY($2::text[])", 1), []any{pushed, ids}}
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

func openLite(ctx context.Context, at string) (lite, func(), error) {
	var opened []*sql.DB
	close := func() {
		for _, db := range opened {
			db.Close()
		}
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
		opened = append(opened, db)
		return db, db.PingContext(ctx)
	}
	writer, err := open(1, "cache_size(-65536)")
	if err != nil {
		close()
		return lite{}, nil, err
	}
	readers, err := open(4, "cache_size(-16384)", "query_only(1)")
	if err != nil {
		close()
		return lite{}, nil, err
	}
	return lite{writer, readers, &sync.Map{}}, close, nil
}

func (l lite) groupsOfAll(ids []string) stmt {
	return stmt{strings.Replace(groupsOf, "member_id = $2", "member_id IN (SELECT value FROM json_each($2))", 1), []any{pushed, `["` + strings.Join(ids, `","`) + `"]`}}
}

func (l lite) time(t time.Time) any { return t.UnixMicro() }

// prepare: SQLite calls the numbered parameter ?1. CROSS JOIN keeps it from turning joins around, which without ANALYZE it does for
// the worse. What may be missing (LEFT JOIN) is not turned around.
func (l lite) prepare(ctx context.Context, db *sql.DB, text string) (*sql.Stmt, error) {
	key := fmt.Sprintf("%p %s", db, text)
	if s, ok := l.prepared.Load(key); ok {
		return s.(*sql.Stmt), nil
	}
	s, err := db.PrepareContext(ctx, strings.NewReplacer("$", "?", " LEFT JOIN ", " LEFT JOIN ", " JOIN ", " CROSS JOIN ").Replace(text))
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
