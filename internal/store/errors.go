package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"
	"gorm.io/gorm"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"jmld/jml/engine"
	"jmld/model"
)

// classify turns a database's error into one of model's sentinels, keeping the text. ctx is the caller's: when it has
// ended, that is the error.
func classify(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	for _, known := range [...]error{
		model.ErrStale, model.ErrConflict, model.ErrNotFound, model.ErrInvalid, model.ErrTooMany, model.ErrUnavailable,
	} {
		if errors.Is(err, known) {
			return err
		}
	}
	if errors.Is(err, gorm.ErrRecordNotFound) || errors.Is(err, sql.ErrNoRows) || errors.Is(err, pgx.ErrNoRows) {
		return model.ErrNotFound
	}
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("%w: %w", cause, err)
	}
	if kind := kindOf(err); kind != nil {
		return fmt.Errorf("%w: %w", kind, err)
	}
	return err
}

func kindOf(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pgKind(pg)
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return liteKind(lite)
	}
	if lost(err) || errors.Is(err, context.DeadlineExceeded) { // our own deadline: the caller's was looked at before
		return model.ErrUnavailable
	}
	return nil
}

// pgKind sorts SQLSTATEs.
func pgKind(e *pgconn.PgError) error {
	switch e.Code {
	case "23505": // unique_violation
		switch e.ConstraintName {
		case "records_unique", "record_keys_pkey", "runs_scheduled", "platform_users_name", "app_users_name", "captures_source":
			return model.ErrConflict
		}
		return model.ErrStale
	case "22012", // division_by_zero: the compare-and-set of dialect.must
		"40001", // serialization_failure
		"40P01": // deadlock_detected
		return model.ErrStale
	case "2201E": // invalid_argument_for_logarithm: see otherRulesHere
		return engine.ErrOtherRules
	case "22021", // character_not_in_repertoire: a NUL in a text
		"22P05", // untranslatable_character
		"54000": // program_limit_exceeded: an index entry too long
		return model.ErrInvalid
	case "25006", // read_only_sql_transaction: a standby
		"55P03", // lock_not_available
		"57014", // query_canceled: statement_timeout
		"57P01", "57P02", "57P03", "57P04", "57P05",
		"25P03": // idle_in_transaction_session_timeout
		return model.ErrUnavailable
	}
	switch e.Code[:min(2, len(e.Code))] {
	case "08", // connection
		"53", // insufficient resources: disk, memory, connections
		"58", // the system's own trouble: I/O
		"XX", // internal, corrupted
		"28", // authorization: the password was changed
		"3D": // no such database
		return model.ErrUnavailable
	}
	return nil
}

// liteKind sorts SQLite's result codes.
func liteKind(e *sqlite.Error) error {
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_CONSTRAINT:
		switch {
		case strings.Contains(e.Error(), "records.unique_key"), strings.Contains(e.Error(), "record_keys.value"), strings.Contains(e.Error(), "runs.scheduled_at"),
			strings.Contains(e.Error(), "_users.user_name_key"), strings.Contains(e.Error(), "captures.source"):
			return model.ErrConflict
		case e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE, e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
			return model.ErrStale
		}
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY,
		sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB,
		sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_PERM, sqlite3.SQLITE_INTERRUPT:
		return model.ErrUnavailable
	case sqlite3.SQLITE_TOOBIG:
		return model.ErrInvalid
	}
	return nil
}

// takesNoWrites reports whether every write would meet the same: no space, a file or a server that is only read.
func takesNoWrites(err error) bool {
	var pg *pgconn.PgError
	var lite *sqlite.Error
	switch {
	case errors.As(err, &pg):
		return pg.Code == "53100" || pg.Code == "25006" || pg.Code == "58030" // disk_full, read_only_sql_transaction, io_error
	case errors.As(err, &lite):
		kind := lite.Code() & 0xff
		return kind == sqlite3.SQLITE_FULL || kind == sqlite3.SQLITE_READONLY || kind == sqlite3.SQLITE_IOERR
	}
	return false
}

// lost reports whether the connection is gone, or cannot be made.
func lost(err error) bool {
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, puddle.ErrClosedPool) ||
		strings.Contains(err.Error(), "conn closed") // pgconn's own error for it is not exported
}
