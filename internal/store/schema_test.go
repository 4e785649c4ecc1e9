package store

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"jmld/internal/testserver"
	"jmld/model"
)

// column is what both schemas and the structs say of a column.
type column struct {
	kind     string // text, integer, boolean, time, bytes
	nullable bool
}

// tables of structs, and the columns and tables that have none.
func wanted(t *testing.T) map[string]map[string]column {
	t.Helper()
	tables := map[string]map[string]column{
		"record_keys":   {"source": {kind: "text"}, "kind": {kind: "text"}, "attr": {kind: "text"}, "value": {kind: "text"}, "record_id": {kind: "text"}},
		"record_values": {"source": {kind: "text"}, "record_id": {kind: "text"}, "attr": {kind: "text"}, "type": {kind: "text"}, "value": {kind: "text"}},
		"members":       {"source": {kind: "text"}, "group_id": {kind: "text"}, "member_id": {kind: "text"}},
		"settings":      {"name": {kind: "text"}, "value": {kind: "text"}},
		"group_names":   {"source": {kind: "text"}, "name": {kind: "text"}, "group_id": {kind: "text"}, "number": {kind: "integer"}},
		"access_given":  {"identity_id": {kind: "text"}, "place": {kind: "text"}, "role": {kind: "text"}},
		"leases":        {"name": {kind: "text"}, "owner": {kind: "text"}, "fence": {kind: "integer"}, "until": {kind: "time"}},
	}
	var cache sync.Map
	for _, m := range []any{
		&model.Record{}, &model.Identity{}, &model.IdentityKey{}, &model.Account{}, &model.Plan{}, &model.Change{}, &model.Run{},
		&model.AuditEntry{}, &model.Token{}, &model.DialectUse{}, &model.PlatformUser{}, &model.AppUser{},
		&model.Checkpoint{}, &model.GroupLoss{}, &model.Capture{}, &model.CaptureLine{}, &model.Ruling{}, &model.Merge{}, &model.Wait{},
		&model.AccessRole{}, &model.AccessGroup{}, &model.AccessResource{}, &model.AccessLink{}, &model.AccessMember{}, &model.AccountName{}, &model.Task{}, &model.AccessRequest{},
	} {
		s, err := schema.Parse(m, &cache, schema.NamingStrategy{})
		if err != nil {
			t.Fatal(err)
		}
		tables[s.Table] = map[string]column{}
		for _, f := range s.Fields {
			c := column{nullable: f.FieldType.Kind() == reflect.Pointer}
			switch f.IndirectFieldType.Kind() {
			case reflect.String:
				c.kind = "text"
			case reflect.Bool:
				c.kind = "boolean"
			case reflect.Int, reflect.Int64:
				c.kind = "integer"
			case reflect.Slice:
				c.kind = "bytes"
			case reflect.Struct:
				if f.IndirectFieldType != reflect.TypeFor[time.Time]() {
					t.Fatalf("%s.%s", s.Table, f.DBName)
				}
				c.kind = "time"
			}
			tables[s.Table][f.DBName] = c
		}
		if strings.HasSuffix(s.Table, "_users") {
			tables[s.Table]["user_name_key"] = column{kind: "text"}
		}
	}
	return tables
}

var kinds = map[string]string{ //nolint:gochecknoglobals // a table of the test
	"text": "text", "bigint": "integer", "integer": "integer", "boolean": "boolean", "bytea": "bytes", "blob": "bytes",
	"timestamp with time zone": "time", "datetime": "time",
}

// Both schemas have exactly the columns of the structs, with their types, and NULL only where the struct has a pointer.
func TestSchemasAreTheStructs(t *testing.T) {
	t.Parallel()
	const pg = "SELECT table_name, column_name, data_type, is_nullable = 'YES' FROM information_schema.columns WHERE table_schema = 'public'"
	const lite = `SELECT m.name, c.name, lower(c.type), NOT (c."notnull" OR c.pk > 0) FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'`
	for name, test := range map[string]struct{ url, query string }{
		"sqlite":   {"sqlite:" + filepath.Join(t.TempDir(), "jmld.db"), lite},
		"postgres": {testserver.Postgres(t), pg},
	} {
		t.Run(name, func(t *testing.T) {
			s := openHere(t, test.url)
			got := map[string]map[string]column{}
			read(t, s, test.query, func(rows *sql.Rows) error {
				var table, name, kind string
				var nullable bool
				err := rows.Scan(&table, &name, &kind, &nullable)
				if strings.HasPrefix(table, "goose_") || strings.HasPrefix(table, "sqlite_") || table == "schema_lock" {
					return err
				}
				if kinds[kind] == "" {
					t.Errorf("%s.%s is %q", table, name, kind)
				}
				if got[table] == nil {
					got[table] = map[string]column{}
				}
				got[table][name] = column{kinds[kind], nullable}
				return err
			})
			want := wanted(t)
			if s.lite { // others read these, with their own tools
				for _, table := range []string{"platform_users", "app_users"} {
					want[table]["created_at"], want[table]["updated_at"] = column{kind: "text"}, column{kind: "text"}
				}
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(column{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Names order alike on both databases, and nothing is used that distributed PostgreSQL databases lack.
func TestPostgresSchemaIsPortable(t *testing.T) {
	t.Parallel()
	s := openHere(t, testserver.Postgres(t))
	for what, query := range map[string]string{
		"sequence": "SELECT sequence_name FROM information_schema.sequences WHERE sequence_name NOT LIKE 'goose%'",
		"trigger":  "SELECT trigger_name FROM information_schema.triggers",
		"generated column": "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE 'goose%' " +
			"AND (is_generated = 'ALWAYS' OR is_identity = 'YES' OR column_default IS NOT NULL)",
		"index that is no B-tree": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND indexdef NOT LIKE '%USING btree%'",
		"key not in C collation": "SELECT a.attrelid::regclass || '.' || a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) " +
			"JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace " +
			"WHERE n.nspname = 'public' AND a.atttypid = 'text'::regtype AND c.relname NOT LIKE 'goose%' AND a.attcollation <> 'pg_catalog.\"C\"'::regcollation",
	} {
		read(t, s, query, func(rows *sql.Rows) error {
			var name string
			err := rows.Scan(&name)
			t.Errorf("%s: %s", what, name)
			return err
		})
	}
}

// docs/local-tables.md is for those who read the tables: it has every column.
func TestLocalTablesAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/local-tables.md")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\|").FindAllStringSubmatch(string(page), -1) {
		got = append(got, row[1])
	}
	var want []string
	for name := range wanted(t)["platform_users"] {
		want = append(want, name)
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The column lists of the hot paths are those of the structs.
func TestColumnListsAreComplete(t *testing.T) {
	t.Parallel()
	want := wanted(t)
	for table, columns := range map[string]string{
		"records": recordColumns, "identities": identityColumns, "accounts": accountColumns, "changes": changeColumns,
		"plans": planColumns, "audit": auditColumns, "access_roles": roleColumns, "access_groups": groupColumns,
		"access_resources": resourceColumns, "access_links": linkColumns, "access_members": memberColumns, "access_requests": requestColumns, "platform_users": localColumns + ", user_name_key", "app_users": localColumns + ", user_name_key",
	} {
		got := strings.Split(strings.ReplaceAll(columns, `"`, ""), ", ")
		var all []string
		for name := range want[table] {
			all = append(all, name)
		}
		slices.Sort(got)
		slices.Sort(all)
		if diff := cmp.Diff(all, got); diff != "" {
			t.Errorf("%s: %s", table, diff)
		}
	}
}

func openHere(t *testing.T, url string) *Store {
	t.Helper()
	s, err := Open(context.Background(), Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func read(t *testing.T, s *Store, query string, each func(*sql.Rows) error) {
	t.Helper()
	n := 0
	err := s.view(context.Background(), func(db *gorm.DB) error {
		rows, err := db.Raw(query).Rows()
		if err != nil {
			return err
		}
		defer rows.Close()
		for ; rows.Next(); n++ {
			if err := each(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w", query, err))
	}
}
