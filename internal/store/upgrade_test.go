package store

import (
	"database/sql"
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/libtnb/sqlite"
	"github.com/pressly/goose/v3"

	"jmld/internal/testserver"
)

// oldIdentity inserts somebody as the schema before 00055 has them.
const oldIdentity = "INSERT INTO identities (id, lifecycle, user_name, display_name, email, search_key, organisation, external, categories, attrs, " +
	"provenance, findings, version, review_run, created_at, updated_at, suspect, entitlements, separated, rules) " +
	"VALUES ($1, 'active', '', '', '', '', '', false, '', '{}', '{}', '', 1, '', $3, $3, '', $2, '', '')"

// What people had by right before there was a table of it is in it: whoever changes the tree finds them.
func TestUpgradeOfWhoHasSomethingByRight(t *testing.T) {
	t.Parallel()
	for dir, open := range map[string]func(*testing.T) (*sql.DB, error){
		"sqlite": func(t *testing.T) (*sql.DB, error) {
			return sql.Open(sqlite.DriverName, filepath.Join(t.TempDir(), "u.db"))
		},
		"postgres": func(t *testing.T) (*sql.DB, error) { return sql.Open("pgx", testserver.Postgres(t)) },
	} {
		t.Run(dir, func(t *testing.T) {
			t.Parallel()
			db, err := open(t)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			files, err := fs.Sub(migrations, "migrations/"+dir)
			if err != nil {
				t.Fatal(err)
			}
			dialect, at := goose.DialectSQLite3, any(0)
			if dir == "postgres" {
				dialect, at = goose.DialectPostgres, time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
			}
			p, err := goose.NewProvider(dialect, db, files, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.UpTo(t.Context(), 54); err != nil {
				t.Fatal(err)
			}
			for id, text := range map[string]string{
				"nobody": "", "withheld": `{"withheld":[{"place":"group:a","code":"JML-3053","text":"x"}]}`,
				"ada": `{"given":[{"place":"group:a","role":"developer","rule":"one","since":"2026-11-01T00:00:00Z"},{"place":"group:a","role":"developer","rule":"two","since":"2026-11-01T00:00:00Z"},{"place":"group:b","role":"lead","rule":"one","since":"2026-11-01T00:00:00Z"}]}`,
			} {
				if _, err := db.ExecContext(t.Context(), oldIdentity, id, text, at); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := p.Up(t.Context()); err != nil {
				t.Fatal(err)
			}
			rows, err := db.QueryContext(t.Context(), "SELECT identity_id, place, role FROM access_given ORDER BY 1, 2, 3")
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			var got [][3]string
			for rows.Next() {
				var r [3]string
				if err := rows.Scan(&r[0], &r[1], &r[2]); err != nil {
					t.Fatal(err)
				}
				got = append(got, r)
			}
			if d := cmp.Diff([][3]string{{"ada", "group:a", "developer"}, {"ada", "group:b", "lead"}}, got); d != "" || rows.Err() != nil {
				t.Error(d, rows.Err())
			}
		})
	}
}
