package store

import (
	"context"
	"errors"
	"sync/atomic"

	"go.uber.org/zap"
	sqlitedriver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// liteJob is one transaction that waits for the writer.
type liteJob struct {
	fn    func(*liteConn) error
	state atomic.Int32 // queued -> taken by the writer, or left by its caller
	err   error
	done  chan struct{}
}

const (
	jobQueued = iota
	jobTaken
	jobLeft
)

// submit hands fn to the writer and returns when its transaction is on disk or undone. A caller whose context ends
// leaves the queue; once the writer has begun, the answer is waited for, so that it is always the truth.
func (db *liteDB) submit(ctx context.Context, fn func(*liteConn) error) error {
	j := &liteJob{fn: fn, done: make(chan struct{})}
	select {
	case <-db.quit:
		return errClosed
	default:
	}
	select {
	case db.jobs <- j:
	case <-ctx.Done():
		return ctx.Err()
	case <-db.quit:
		return errClosed
	}
	select {
	case <-j.done:
		return j.err
	case <-ctx.Done():
		if j.state.CompareAndSwap(jobQueued, jobLeft) {
			return ctx.Err()
		}
	case <-db.quit:
		if j.state.CompareAndSwap(jobQueued, jobLeft) {
			return errClosed
		}
	}
	<-j.done
	return j.err
}

// writeLoop takes what waits, at most liteGroup jobs, and writes it in one transaction: one fsync for all.
func (db *liteDB) writeLoop() {
	group := make([]*liteJob, 0, liteGroup)
	for {
		group = group[:0]
		select {
		case j := <-db.jobs:
			group = take(group, j)
		case <-db.quit:
			return // jobs still queued are left by their callers
		}
	more:
		for len(group) < liteGroup {
			select {
			case j := <-db.jobs:
				group = take(group, j)
			default:
				break more
			}
		}
		if len(group) == 0 {
			continue
		}
		db.commit(group)
		for _, j := range group {
			close(j.done)
		}
	}
}

func take(group []*liteJob, j *liteJob) []*liteJob {
	if j.state.CompareAndSwap(jobQueued, jobTaken) {
		return append(group, j)
	}
	return group
}

// commit runs a group. A job that fails is undone alone, unless SQLite gives up the whole transaction (disk full, I/O
// error): then all of the group failed.
func (db *liteDB) commit(group []*liteJob) {
	fail := func(err error) {
		for _, j := range group {
			if j.err == nil {
				j.err = err
			}
		}
	}
	if err := db.plain("BEGIN IMMEDIATE"); err != nil {
		fail(err)
		return
	}
	if len(group) == 1 { // a savepoint keeps the old state of every page
		if group[0].err = group[0].fn(db.writer); group[0].err != nil {
			db.rollback()
			return
		}
	} else {
		for _, j := range group {
			if err := db.inSavepoint(j); err != nil {
				fail(err)
				db.rollback()
				return
			}
		}
	}
	if err := db.plain("COMMIT"); err != nil {
		fail(err)
		db.rollback()
	}
}

// inSavepoint returns an error when the whole transaction is lost; the job's own is in the job.
func (db *liteDB) inSavepoint(j *liteJob) error {
	if err := db.plain("SAVEPOINT job"); err != nil {
		return err
	}
	if j.err = j.fn(db.writer); j.err != nil {
		if err := db.plain("ROLLBACK TO job"); err != nil {
			return errors.Join(j.err, err)
		}
		if fatal(j.err) {
			return j.err
		}
	}
	return db.plain("RELEASE job")
}

// fatal: SQLite may have ended the transaction, or will not be able to commit it.
func fatal(err error) bool {
	var e *sqlitedriver.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_INTERRUPT,
		sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_READONLY:
		return true
	}
	return false
}

func (db *liteDB) plain(text string) error {
	return db.writer.one(context.Background(), &op{text: text})
}

func (db *liteDB) rollback() {
	err := db.plain("ROLLBACK")
	var e *sqlitedriver.Error
	if err != nil && !(errors.As(err, &e) && e.Code() == sqlite3.SQLITE_ERROR) { // SQLITE_ERROR: there is none any more
		db.log.Error("undo a transaction", zap.Error(err))
	}
}
