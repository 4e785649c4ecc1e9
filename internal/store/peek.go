package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/libtnb/sqlite"

	"jmld/model"
)

const peekRules = "SELECT value FROM settings WHERE name = '" + settingRules + "'"

// PeekRules is RulesInForce of a database as it is: nothing is created and its schema is not brought up to date. Where there is no database or
// schema yet, it is "".
func PeekRules(ctx context.Context, o Options) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	look := peekPostgres
	if path, lite := strings.CutPrefix(o.URL, "sqlite:"); lite {
		o.URL, look = path, peekLite
	}
	rules, err := look(ctx, o)
	if err != nil {
		return "", fmt.Errorf("look at the rules in force: %w", classify(ctx, err))
	}
	return rules, nil
}

func peekLite(ctx context.Context, o Options) (rules string, err error) {
	switch info, err := os.Stat(o.URL); {
	case errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0:
		return "", nil
	case err != nil:
		return "", fmt.Errorf("%w: %w", model.ErrUnavailable, err)
	}
	db, err := sql.Open(sqlite.DriverName, "file:"+(&url.URL{Path: o.URL}).EscapedPath()+"?mode=ro&_pragma=busy_timeout(5000)")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var there bool
	if err := db.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'settings')").Scan(&there); err != nil || !there {
		return "", err
	}
	err = db.QueryRowContext(ctx, peekRules).Scan(&rules)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return rules, err
}

func peekPostgres(ctx context.Context, o Options) (rules string, err error) {
	config, err := pgxpool.ParseConfig(o.URL) // as Open reads it
	if err != nil {
		return "", fmt.Errorf("%w: %w", model.ErrInvalid, err)
	}
	if o.Password != "" {
		config.ConnConfig.Password = o.Password
	}
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return "", err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, conn.Close(ctx))
	}()
	err = conn.QueryRow(ctx, peekRules).Scan(&rules)
	var refused *pgconn.PgError
	if errors.Is(err, pgx.ErrNoRows) || errors.As(err, &refused) && refused.Code == "42P01" { // undefined_table
		err = nil
	}
	return rules, err
}
