package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"jmld/internal/store"
)

// copied is how long PostgreSQL takes to COPY the rows that a first import has made into a database without any, with the same
// indexes, durably. Members, plans and what belongs to the run itself come along where the import wrote them.
func copied(ctx context.Context, from, to, dir string) (seconds float64, rows int64, err error) {
	db, err := store.Open(ctx, store.Options{URL: to}) // makes the tables
	if err != nil {
		return 0, 0, err
	}
	if err := db.Close(); err != nil {
		return 0, 0, err
	}
	source, err := pgx.Connect(ctx, from)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, source.Close(ctx)) }()
	target, err := pgx.Connect(ctx, to)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, target.Close(ctx)) }()
	files := make([]*os.File, 0, len(contents()))
	defer func() {
		for _, f := range files {
			err = errors.Join(err, f.Close())
		}
	}()
	for _, table := range contents() {
		f, err := os.Create(filepath.Join(dir, table+".copy"))
		if err != nil {
			return 0, 0, err
		}
		files = append(files, f)
		if _, err := source.PgConn().CopyTo(ctx, f, "COPY "+table+" TO STDOUT (FORMAT binary)"); err != nil {
			return 0, 0, fmt.Errorf("copy out of %s: %w", table, err)
		}
		if _, err := f.Seek(0, 0); err != nil {
			return 0, 0, err
		}
	}
	start := time.Now()
	if _, err := target.Exec(ctx, "BEGIN"); err != nil {
		return 0, 0, err
	}
	for i, table := range contents() {
		tag, err := target.PgConn().CopyFrom(ctx, files[i], "COPY "+table+" FROM STDIN (FORMAT binary)")
		if err != nil {
			return 0, 0, fmt.Errorf("copy into %s: %w", table, err)
		}
		rows += tag.RowsAffected()
	}
	if _, err := target.Exec(ctx, "COMMIT"); err != nil {
		return 0, 0, err
	}
	return time.Since(start).Seconds(), rows, nil
}
