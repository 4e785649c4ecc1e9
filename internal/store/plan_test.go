package store

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"jmld/internal/testserver"
	"jmld/jml/engine"
	"jmld/model"
)

// hot are the statements whose cost must not grow with the database.
func hot(s *Store) map[string]op {
	one := s.list([]string{"i77"})
	a, b := s.pairs([][2]string{{"entra", "r77"}})
	c, d := s.pairs([][2]string{{"userName", "u77"}})
	group, id := s.pairs([][2]string{{"entra", "g7"}})
	all := []any{a, b, c, d, one}
	if s.lite {
		all = []any{one}
	}
	ops := map[string]op{
		"owners": {text: s.sql(loadOwners), args: []any{c, d}}, "records": {text: s.sql(loadRecords), args: []any{a, b}},
		"identities": {text: s.sql("WITH " + loadIDs + identitiesOf), args: all}, "linked": {text: s.sql("WITH " + loadIDs + linkedOf), args: all},
		"keys": {text: s.sql("WITH " + loadIDs + keysOf), args: all}, "accounts": {text: s.sql("WITH " + loadIDs + accountsOf), args: all},
		"groups":   {text: s.sql("WITH RECURSIVE " + loadIDs + groupsOf), args: all},
		"names":    {text: s.sql(nameOwners), args: []any{c, d}},
		"claim":    {text: s.sql(claim), args: []any{"app", "w", 1, 10}},
		"settle":   {text: s.must(settle), args: []any{"i77", "app", 1, 1, "n", "active", "{}", "ours", false}},
		"review":   {text: s.sql(review), args: []any{group, id, stamp(testTime()), "", ""}},
		"twins":    {text: s.sql(twinsOf), args: []any{"entra", "x77", "user"}},
		"people":   {text: s.sql(reviewPeople), args: []any{a, b, stamp(testTime()), "", ""}},
		"person":   {text: s.sql(reviewPerson), args: []any{"entra", "r77", stamp(testTime()), "", ""}},
		"renamed":  {text: s.sql(reviewRenamed()), args: []any{group, id, stamp(testTime()), "", ""}},
		"by right": {text: s.sql(markGiven), args: []any{s.list([]string{"group:berlin"}), s.list([]string{"developer"}), stamp(testTime())}},
		"around":   {text: s.sql(accessAround), args: []any{one, s.list([]string{"group:g7"})}},
		"given":    {text: s.sql(byNewKeys), args: []any{c, d, stamp(testTime())}},
		"long key": {text: giveKey, args: []any{"u77", "entra", "r78"}},
		"nested":   {text: s.sql(inherited), args: []any{"entra", "r77"}},
		"group":    {text: s.sql(fmt.Sprintf(oneGroup, 400)), args: []any{"entra", "g7", one}},
	}
	ref := engine.RecordRef{Source: "entra", ID: "r77"}
	found := &loaded{records: map[engine.RecordRef]*model.Record{ref: {IdentityID: "i77"}}}
	found.deep = true
	of, above := s.loadOne(found, ref)
	if !s.lite { // else it is one of them
		of = append(of, above)
	}
	for i, o := range of {
		if o.late != nil {
			o.args = o.late()
		}
		ops[fmt.Sprint("of one record ", i)] = op{text: o.text, args: o.args}
	}
	attr := func(name string, exact bool) model.AttrRef {
		return model.AttrRef{Path: strings.Split(name, "."), CaseExact: exact}
	}
	value := model.Compare{Attr: attr("value", false), Op: model.OpEq, Value: "u77@example.org"}
	for name, q := range map[string]model.Query{
		"id eq":          {Kind: model.KindUser, Filter: model.Compare{Attr: attr("id", true), Op: model.OpEq, Value: "r77"}},
		"userName eq":    {Kind: model.KindUser, Filter: model.Compare{Attr: attr("userName", false), Op: model.OpEq, Value: "u77"}},
		"userName sw":    {Kind: model.KindUser, Filter: model.Compare{Attr: attr("userName", false), Op: model.OpSw, Value: "u77"}},
		"externalId eq":  {Kind: model.KindUser, Filter: model.Compare{Attr: attr("externalId", true), Op: model.OpEq, Value: "x77"}},
		"displayName eq": {Kind: model.KindGroup, Filter: model.Compare{Attr: attr("displayName", false), Op: model.OpEq, Value: "d77"}},
		"emails.value":   {Kind: model.KindUser, Filter: model.Compare{Attr: attr("emails.value", false), Op: model.OpEq, Value: "u77@example.org"}},
		"emails[]":       {Kind: model.KindUser, Filter: model.ValuePath{Attr: attr("emails", false), Term: value}},
		"userName and title": {Kind: model.KindUser, Filter: model.And{Terms: []model.Filter{
			model.Compare{Attr: attr("userName", false), Op: model.OpEq, Value: "u77"},
			model.Compare{Attr: attr("title", false), Op: model.OpEq, Value: "x"},
		}}},
		"first page": {Kind: model.KindUser},
	} {
		b := &query{Store: s}
		q.Source = "entra"
		where, err := b.where(q)
		if err != nil {
			panic(err)
		}
		columns, order := recordColumns, b.order(q)
		if where.few {
			columns, order = belonging, ""
		}
		ops[name] = b.op(b.rows(columns, where, order, 101, 0), nil)
	}
	return ops
}

// What waits of one person in a plan of thousands, how many people a source supports, and the hashes of all it has.
func TestGuardsStatementsOfSQLiteReadOnlyWhatTheyNeed(t *testing.T) {
	t.Parallel()
	s := openHere(t, "sqlite:"+filepath.Join(t.TempDir(), "jmld.db"))
	q := model.ChangeQuery{PlanID: "p1", IdentityID: "i77", Target: "app", States: []model.ChangeState{model.ChangePending, model.ChangeHeld}, Limit: 200}
	var waiting string
	err := s.view(context.Background(), func(db *gorm.DB) error {
		waiting = db.ToSQL(func(tx *gorm.DB) *gorm.DB { return changesOf(tx, q).Find(&[]model.Change{}) })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		waiting: "SEARCH changes USING INDEX changes_identity (identity_id=?)",
		strings.NewReplacer("?1", "'corp'", "?2", "''", "?3", "400", "?4", "1").Replace(s.sql(manyHashes)): "SEARCH records USING COVERING INDEX " +
			"records_hashes (source=? AND id>?)",
		strings.ReplaceAll(s.sql(supported), "?1", "'entra'"): "SCAN a USING COVERING INDEX accounts_active; " +
			"SEARCH r EXISTS USING COVERING INDEX records_identity (identity_id=? AND source=?)",
	} {
		var found []string
		err := s.read(context.Background(), op{text: "EXPLAIN QUERY PLAN " + text, each: func(row scanner) error {
			var id, parent, unused int
			var line string
			err := row.Scan(&id, &parent, &unused, &line)
			if strings.Contains(line, " INDEX ") {
				found = append(found, line)
			}
			return err
		}})
		if got := strings.Join(found, "; "); err != nil || got != want {
			t.Errorf("%v, %s\n%s\nwant %s", err, text, got, want)
		}
	}
}

func TestHotStatementsOfSQLiteUseIndexes(t *testing.T) {
	t.Parallel()
	s := openHere(t, "sqlite:"+filepath.Join(t.TempDir(), "jmld.db"))
	// A scan is of a parameter or of what was found before, never of a table; an index is used by more than the source.
	allowed := regexp.MustCompile(`^SCAN (json_each|up|down|x|ids|a|b|d|ids\.\w+|names|CONSTANT ROW)\b`)
	for name, o := range hot(s) {
		o.text = "EXPLAIN QUERY PLAN " + o.text
		o.each = func(row scanner) error {
			var id, parent, unused int
			var line string
			if err := row.Scan(&id, &parent, &unused, &line); err != nil {
				return err
			}
			wholeSource := strings.HasPrefix(line, "SEARCH r ") && regexp.MustCompile(`\(source=\?( AND kind=\?)?\)`).MatchString(line)
			if strings.HasPrefix(line, "SCAN") && !allowed.MatchString(line) || wholeSource && name != "first page" ||
				strings.Contains(line, "AUTOMATIC") || name == "first page" && strings.Contains(line, "TEMP B-TREE FOR ORDER BY") {
				t.Errorf("%s: %s", name, line)
			}
			return nil
		}
		if err := s.read(context.Background(), o); err != nil {
			t.Error(name, err)
		}
	}
}

// The plans of prepared statements, which do not know their parameters, with some thousand rows: enough that reading all
// of them hurts, few enough that the planner is tempted.
func TestHotStatementsOfPostgresUseIndexes(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := openHere(t, testserver.Postgres(t))
	conn, err := s.db.(*pgDB).pool.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, "SET plan_cache_mode = force_generic_plan"); err != nil {
		t.Fatal(err)
	}
	lookAtPlans(t, conn.Conn(), s, "empty") // prepared before the first import, and kept
	for _, text := range []string{
		"INSERT INTO identities SELECT 'i' || g, 'active', 'u' || g, 'd' || g, '', 's' || g, '', false, '', repeat('x', 500), '', '', 1, null, '', now(), now(), '', '', '', '' FROM generate_series(1, 5000) g",
		"INSERT INTO identity_keys SELECT k, 'u' || g, 'i' || g FROM generate_series(1, 5000) g, (VALUES ('userName'), ('email')) v(k)",
		"INSERT INTO records SELECT 'entra', 'r' || g, 'user', 'u' || g, 'u' || g, 'd' || g, 'd' || g, 'x' || g, true, 'u' || g, 'i' || g, 'linked', '', repeat('x', 500), '', 1, null, now(), now(), 0, null FROM generate_series(1, 5000) g",
		"INSERT INTO records SELECT 'entra', 'g' || g, 'group', '', '', 'd' || g, 'd' || g, '', true, '', '', '', '', '{}', '', 1, null, now(), now(), 0, null FROM generate_series(1, 500) g",
		"INSERT INTO members SELECT 'entra', 'g' || (1 + g % 500), 'r' || g FROM generate_series(1, 5000) g",
		"INSERT INTO accounts SELECT 'i' || g, t, 'app', 'ours', 'active', 'u' || g, '{}', 1, '', '', 'active', '{}', 1, now(), '', CASE WHEN g % 10 = 0 THEN now() END, 1, '', 1, 0, '', '', false, now(), now(), '', false, '', false FROM generate_series(1, 5000) g, (VALUES ('app'), ('platform')) v(t)",
		"INSERT INTO record_values SELECT 'entra', 'r' || g, 'emails.value', 'work', 'u' || g || '@example.org' FROM generate_series(1, 5000) g",
		"ANALYZE",
	} {
		if _, err := conn.Exec(ctx, text); err != nil {
			t.Fatal(text, err)
		}
	}
	lookAtPlans(t, conn.Conn(), s, "full")
}

func lookAtPlans(t *testing.T, conn *pgx.Conn, s *Store, when string) {
	t.Helper()
	ctx := context.Background()
	n := 0
	for name, o := range hot(s) {
		n++
		statement := fmt.Sprint("hot_", when, n)
		if _, err := conn.Prepare(ctx, statement, o.text); err != nil {
			t.Fatal(name, err)
		}
		nulls := strings.TrimSuffix(strings.Repeat("NULL, ", len(o.args)), ", ")
		rows, err := conn.Query(ctx, "EXPLAIN EXECUTE "+statement+" ("+nulls+")", pgx.QueryExecModeSimpleProtocol)
		if err != nil {
			t.Fatal(name, err)
		}
		plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(name, err)
		}
		for _, line := range plan {
			if strings.Contains(line, "Seq Scan") || name != "first page" && strings.Contains(line, "records_created") {
				t.Errorf("%s, %s:\n%s", when, name, strings.Join(plan, "\n"))
				break
			}
		}
	}
}

func testTime() time.Time { return time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC) }
