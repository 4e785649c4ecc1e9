package store

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/libtnb/sqlite"

	"jmld/internal/testserver"
	"jmld/jml/engine"
	"jmld/model"
)

// Names that were unique by their beginning become so as a whole; who was stored with the same name since keeps it.
func TestUpgradeOfLongUserNames(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "jmld.db")
	for name, url := range map[string]string{"sqlite": "sqlite:" + file, "postgres": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			driver, dsn := sqlite.DriverName, file
			if name == "postgres" {
				url = testserver.Postgres(t)
				driver, dsn = "pgx", url
			}
			s := newHouse(t, url).store
			long := strings.Repeat("Ä", 1500)
			key := func(name string) string { return model.UniqueKey(model.FoldKey(name)) }
			names := map[string]string{"a": long + "1", "b": long + "2", "c": "short", "d": strings.Repeat("d", 2000)}
			want, cutKeys := map[string]string{}, map[string]string{}
			for id, n := range names {
				want[id], cutKeys[id] = key(n), model.Cut(model.FoldKey(n), model.MaxKey)
				r := model.Record{Source: "entra", ID: id, Kind: model.KindUser, UserName: n, UserNameKey: model.FoldKey(n), UniqueKey: want[id],
					Active: true, Attrs: "{}", Version: 1, CreatedAt: testTime(), UpdatedAt: testTime()}
				if err := s.Commit(t.Context(), &engine.Commit{Records: []engine.Write{{New: &r}}}); err != nil {
					t.Fatal(err)
				}
			}
			db, err := sql.Open(driver, dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			var version int
			if err := db.QueryRowContext(t.Context(), "SELECT max(version_id) FROM goose_db_version").Scan(&version); err != nil || version < rekeyed {
				t.Errorf("version %d, %v", version, err)
			}
			tx, err := db.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback() //nolint:errcheck // committed below
			set := func(id, key string) {
				t.Helper()
				if _, err := tx.ExecContext(t.Context(), "UPDATE records SET unique_key = $1 WHERE source = 'entra' AND id = $2", key, id); err != nil {
					t.Fatal(err)
				}
			}
			keys := func() map[string]string {
				t.Helper()
				got := map[string]string{}
				rows, err := tx.QueryContext(t.Context(), "SELECT id, unique_key FROM records WHERE source = 'entra'")
				if err != nil {
					t.Fatal(err)
				}
				defer rows.Close()
				for rows.Next() {
					var id, key string
					if err := rows.Scan(&id, &key); err != nil {
						t.Fatal(err)
					}
					got[id] = key
				}
				if err := rows.Err(); err != nil {
					t.Fatal(err)
				}
				return got
			}
			set("a", cutKeys["a"]) // as it was
			for range 2 {
				if err := rekey(t.Context(), tx); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, keys()); diff != "" {
					t.Error(diff)
				}
			}
			set("a", cutKeys["a"])
			set("b", want["a"]) // somebody with that name was stored since
			if err := rekey(t.Context(), tx); err != nil {
				t.Fatal(err)
			}
			want["a"], want["b"] = cutKeys["a"], want["a"]
			if diff := cmp.Diff(want, keys()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
