package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// A store is filled by statements of its own: people with numbers from 1, as newUser describes them and the daemon would have
// stored them, and groups of two sizes. What each of them has been through (changes, audit) is left out.
const smallGroup = 10

func recordID(n int64) string { return fmt.Sprintf("01900000-0000-7000-8000-%d", 100_000_000_000+n) }

// groupID is a group with so many members, of which there are some.
func groupID(size, k int64) string { return fmt.Sprintf("01900000-0000-7000-a000-%06d%06d", size, k) }

// How many clients there are at most, and groups of each size. The clients that change a group have each their own, so there are
// fewer of them.
const (
	mostClients   = 16
	groupsOfASize = 4
)

// filling are the statements, for one range of people. $1, $2: first and last number. at is SQL for when i was made.
func filling(numbers, at string) []string {
	text := func(s string) string { return "CAST(" + s + " AS text)" }
	id := func(group string) string { return "'01900000-0000-7000-" + group + "-' || " + text("100000000000 + i") }
	name, title, department := "'person' || "+text("i")+" || '@example.org'", "'Engineer ' || "+text("i % 7"), "'Department ' || "+text("i % 40")
	display, phone := "'Invented Person ' || "+text("i"), "'+49 30 5550 ' || "+text("i")
	external := "'00000000-0000-4000-8000-' || substr(" + text("1000000000000 + i") + ", 2)"
	front := `"displayName":"' || ` + display + ` || '","emails":[{"primary":true,"type":"work","value":"' || ` + name + ` || '"}],`
	common := `"name":{"familyName":"Person ' || ` + text("i") + ` || '","formatted":"' || ` + display + ` || '","givenName":"Invented"},` +
		`"phoneNumbers":[{"type":"mobile","value":"' || ` + phone + ` || '"}],"preferredLanguage":"en-GB","title":"' || ` + title + ` || '",` +
		`"` + enterprise + `":{"department":"' || ` + department + ` || '","employeeNumber":"' || ` + text("i") + ` || '"},"userName":"' || ` + name + ` || '"}`
	attrs := `'{"active":true,` + front + `"externalId":"' || ` + external + ` || '",` + common + `'`
	desired := `'{` + front + `"externalId":"' || ` + id("9000") + ` || '",` + common + `'`
	provenance := `'{"*":{"winner":"` + pushed + `","rule":"the only source"}}'`
	because := `'{"text":"rule everybody holds; created by ` + pushed + `","rule":"everybody","source":"` + pushed + `"}'`
	search := "lower(" + display + ") || '\n' || " + name + " || '\n' || " + name
	from := " FROM " + numbers
	value := func(attr, typ, v string) string {
		return "INSERT INTO record_values (source, record_id, attr, type, value) SELECT '" + pushed + "', " + id("8000") + ", '" + attr + "', '" + typ + "', " + v + from
	}
	key := func(name, v string) string {
		return "INSERT INTO identity_keys (name, value, identity_id) SELECT '" + name + "', " + v + ", " + id("9000") + from
	}
	return []string{
		"INSERT INTO identities (id, lifecycle, user_name, display_name, email, search_key, organisation, external, categories, attrs, provenance, " +
			"findings, version, review_at, review_run, suspect, entitlements, separated, rules, created_at, updated_at) SELECT " + id("9000") + ", 'active', " + name + ", " + display + ", " + name + ", " +
			search + ", 'Example', false, 'app', " + attrs + ", " + provenance + ", '', 1, NULL, '', '', '', '', '', " + at + ", " + at + from,
		key("email", name), key("employeeNumber", text("i")), key("userName", name),
		"INSERT INTO records (source, id, kind, user_name, user_name_key, display_name, display_name_key, external_id, active, unique_key, identity_id, " +
			"link, link_text, attrs, hash, version, missing_runs, absent_since, created_at, updated_at) SELECT '" + pushed + "', " + id("8000") + ", 'user', " + name + ", " + name +
			", " + display + ", lower(" + display + "), " + external + ", true, " + name + ", " + id("9000") + ", 'linked', '', " + attrs +
			", hash, 1, 0, NULL, " + at + ", " + at + from,
		value("emails.value", "work", name), value("phoneNumbers.value", "mobile", phone),
		value(enterprise+":department", "", "lower("+department+")"), value(enterprise+":employeeNumber", "", text("i")),
		"INSERT INTO accounts (identity_id, target, class, origin, state, user_name, desired, desired_rev, because, held_plan, held_attrs, priority, created_at, " +
			"updated_at, due_at, native_id, applied_state, applied, applied_rev, lease_owner, epoch, attempts, error_code, error_text, dead, administrator, applied_administrator, protected_by) SELECT " + id("9000") +
			", '" + appName + "', 'app', 'ours', 'active', " + name + ", " + desired + ", 1, " + because + ", '', '', 1, " + at + ", " + at + ", NULL, " + name +
			", 'active', " + desired + ", 1, '', 1, 0, '', '', false, false, false, ''" + from,
	}
}

// grouping are the statements for the groups of one size. $1: the size, $2: the number of the group.
func grouping(numbers, at string) []string {
	const id = "'01900000-0000-7000-a000-' || substr(CAST(1000000 + size AS text), 2) || substr(CAST(1000000 + k AS text), 2)"
	const display = "'Group ' || CAST(k AS text) || ' of ' || CAST(size AS text)"
	return []string{
		"INSERT INTO records (source, id, kind, user_name, user_name_key, display_name, display_name_key, external_id, active, unique_key, identity_id, " +
			"link, link_text, attrs, hash, version, missing_runs, absent_since, created_at, updated_at) SELECT '" + pushed + "', " + id + ", 'group', '', '', " + display +
			", lower(" + display + "), '', true, '', '', '', '', '{\"displayName\":\"' || " + display + " || '\"}', hash, 1, 0, NULL, " + at + ", " + at +
			" FROM " + numbers + " WHERE i = 1",
		// the members have numbers beyond those of the people: a source may name whom it has not told us about
		"INSERT INTO members (source, group_id, member_id) SELECT '" + pushed + "', " + id + ", '01900000-0000-7000-8000-' || " +
			"CAST(500000000000 + i AS text) FROM " + numbers,
	}
}

// fill puts people 1 to n and the groups into the database, and has it analysed, as its own maintenance would.
func fill(ctx context.Context, at string, n, group int64) error {
	hash, epoch := make([]byte, 16), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if path, ok := strings.CutPrefix(at, "sqlite:"); ok {
		return fillLite(ctx, path, n, group, hash, epoch)
	}
	return fillPostgres(ctx, at, n, group, hash, epoch)
}

func eachGroup(large int64, do func(size, k int64) error) error {
	for _, size := range []int64{smallGroup, large} {
		for k := range int64(groupsOfASize) {
			if err := do(size, k); err != nil {
				return fmt.Errorf("group of %d: %w", size, err)
			}
		}
	}
	return nil
}

func fillPostgres(ctx context.Context, at string, n, group int64, hash []byte, epoch time.Time) (err error) {
	conn, err := pgx.Connect(ctx, at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	// The tables are made empty and whole again in one go: indexes are quicker built at the end.
	const made = "($%d::timestamptz + i * interval '1 millisecond')"
	numbers := "(SELECT i, $3::bytea AS hash, $4::timestamptz AS epoch FROM generate_series($1::bigint, $2::bigint) AS g(i)) AS n"
	if _, err := conn.Exec(ctx, "SET maintenance_work_mem = '512MB'; SET synchronous_commit = off; SET jit = off"); err != nil {
		return err
	}
	rebuild, err := dropIndexes(ctx, conn)
	if err != nil {
		return err
	}
	for _, text := range filling(numbers, strings.Replace(made, "$%d::timestamptz", "epoch", 1)) {
		if _, err := conn.Exec(ctx, text, int64(1), n, hash, epoch); err != nil {
			return fmt.Errorf("%.60s: %w", text, err)
		}
	}
	members := "(SELECT i, $1::bigint AS size, $2::bigint AS k, $3::bytea AS hash, $4::timestamptz AS epoch FROM generate_series(1, $1::bigint) AS g(i)) AS n"
	if err := eachGroup(group, func(size, k int64) error {
		for _, text := range grouping(members, "epoch") {
			if _, err := conn.Exec(ctx, text, size, k, hash, epoch); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	for _, text := range rebuild {
		if _, err := conn.Exec(ctx, text); err != nil {
			return fmt.Errorf("%.60s: %w", text, err)
		}
	}
	_, err = conn.Exec(ctx, "VACUUM ANALYZE") // what autovacuum does after so many rows
	return errors.Join(err, checkpoint(ctx, conn))
}

func checkpoint(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "CHECKPOINT")
	return err
}

// dropIndexes drops the indexes that no constraint needs, and returns the statements that make them again.
func dropIndexes(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	rows, err := conn.Query(ctx, "SELECT i.indexname, i.indexdef FROM pg_indexes i WHERE i.schemaname = current_schema() "+
		"AND i.tablename IN ('records', 'record_values', 'identities', 'identity_keys', 'accounts', 'members') "+
		"AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conname = i.indexname) ORDER BY 1")
	if err != nil {
		return nil, err
	}
	var rebuild, names []string
	var name, text string
	if _, err := pgx.ForEachRow(rows, []any{&name, &text}, func() error {
		names, rebuild = append(names, name), append(rebuild, text)
		return nil
	}); err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, err := conn.Exec(ctx, "DROP INDEX "+pgx.Identifier{name}.Sanitize()); err != nil {
			return nil, err
		}
	}
	return rebuild, nil
}

func fillLite(ctx context.Context, path string, n, group int64, hash []byte, epoch time.Time) (err error) {
	q := url.Values{"_pragma": {"busy_timeout(5000)", "locking_mode(EXCLUSIVE)", "journal_mode(OFF)", "synchronous(OFF)", "cache_size(-1048576)", "temp_store(MEMORY)"}}
	db, err := sql.Open("sqlite", "file:"+path+"?"+q.Encode())
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, db.Close()) }()
	run := func(text string, args ...any) error {
		for i := len(args); i > 0; i-- {
			text = strings.ReplaceAll(text, fmt.Sprintf("$%d", i), fmt.Sprintf("?%d", i))
		}
		if _, err := db.ExecContext(ctx, text, args...); err != nil {
			return fmt.Errorf("%.60s: %w", text, err)
		}
		return nil
	}
	var rebuild []string
	rows, err := db.QueryContext(ctx, "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL "+
		"AND tbl_name IN ('records', 'record_values', 'identities', 'identity_keys', 'accounts', 'members') ORDER BY name")
	if err != nil {
		return err
	}
	var names []string
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			return errors.Join(err, rows.Close())
		}
		names, rebuild = append(names, name), append(rebuild, text)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, name := range names {
		if err := run(`DROP INDEX "` + name + `"`); err != nil {
			return err
		}
	}
	const count = "(WITH RECURSIVE c(i) AS (SELECT %s UNION ALL SELECT i + 1 FROM c WHERE i < %s) SELECT i, %s $3 AS hash, $4 AS epoch FROM c) AS n"
	for _, text := range filling(fmt.Sprintf(count, "$1", "$2", ""), "(epoch + i * 1000)") {
		if err := run(text, int64(1), n, hash, epoch.UnixMicro()); err != nil {
			return err
		}
	}
	if err := eachGroup(group, func(size, k int64) error {
		for _, text := range grouping(fmt.Sprintf(count, "1", "$1", "$1 AS size, $2 AS k,"), "epoch") {
			if err := run(text, size, k, hash, epoch.UnixMicro()); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	for _, text := range rebuild {
		if err := run(text); err != nil {
			return err
		}
	}
	if err := run("PRAGMA journal_mode = WAL"); err != nil { // as it was
		return err
	}
	return onDisk(path)
}

// onDisk waits until the file is: else whoever makes the first checkpoint waits for what was filled.
func onDisk(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
