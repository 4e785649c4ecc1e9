package store_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/libtnb/sqlite"

	"jmld/internal/store"
	"jmld/internal/testserver"
	"jmld/model"
)

// A database that somebody uses is not opened when an empty one is wanted, and nothing in it is changed; an empty one is.
func TestOpenOfAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]func(*testing.T) (url, driver, dsn, tables string){
		"sqlite": func(t *testing.T) (url, driver, dsn, tables string) {
			path := filepath.Join(t.TempDir(), "theirs.db")
			return "sqlite:" + path, sqlite.DriverName, path, "SELECT count(*) FROM sqlite_master"
		},
		"postgres": func(t *testing.T) (url, driver, dsn, tables string) {
			url = testserver.Postgres(t)
			return url, "pgx", url, "SELECT count(*) FROM information_schema.tables WHERE table_schema = ANY (current_schemas(false))"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, driver, dsn, tables := at(t)
			db, err := sql.Open(driver, dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.ExecContext(t.Context(), "CREATE TABLE theirs (a int)"); err != nil {
				t.Fatal(err)
			}
			if s, err := store.Open(t.Context(), store.Options{URL: url, Empty: true}); !errors.Is(err, model.ErrConflict) {
				t.Errorf("%v, %v", s, err)
			}
			var n int
			if err := db.QueryRowContext(t.Context(), tables).Scan(&n); err != nil || n != 1 {
				t.Errorf("%d tables, %v", n, err)
			}
			if _, err := db.ExecContext(t.Context(), "DROP TABLE theirs"); err != nil {
				t.Fatal(err)
			}
			s, err := store.Open(t.Context(), store.Options{URL: url, Empty: true})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
