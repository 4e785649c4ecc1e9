package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"jmld/model"
)

// stmt is one statement with its arguments.
type stmt struct {
	text string
	args []any
}

// database runs statements as plainly as its driver allows.
type database interface {
	// read runs queries and returns the last row of each, nil when there is none.
	read(ctx context.Context, queries []stmt) ([][]any, error)
	// write runs statements in one transaction, durable when it returns.
	write(ctx context.Context, statements []stmt) error
	// time is how the database keeps one.
	time(t time.Time) any
	// groupsOfAll asks for the groups of several.
	groupsOfAll(ids []string) stmt
}

// byHand does what the daemon does for a request, with the statements alone: no HTTP, no SCIM, no decision. Each
// read and each write that the daemon makes is here, written for this one case.
type byHand struct{ db database }

var errNobody = errors.New("floor: nobody has this id")

const (
	recordCols = "version, source, id, kind, user_name, user_name_key, display_name, display_name_key, external_id, active, unique_key, " +
		"identity_id, link, link_text, attrs, hash, missing_runs, missing_since, absent_since, created_at, updated_at"
	identityCols = "version, id, lifecycle, user_name, display_name, email, search_key, organisation, external, categories, attrs, " +
		"provenance, review_at, review_run, created_at, updated_at"
	accountCols = "desired_rev, identity_id, target, class, origin, state, user_name, desired, because, native_id, applied_state, applied, " +
		"applied_rev, applied_at, held_plan, due_at, priority, lease_owner, epoch, attempts, error_code, error_text, dead, created_at, updated_at"
	accessCols = "person, place, role, admin, reason, approver, valid_from, valid_to, ended_at, managed_by"
	groupsOf   = "WITH RECURSIVE up(group_id) AS (SELECT group_id FROM members WHERE source = $1 AND member_id = $2 " +
		"UNION SELECT m.group_id FROM up JOIN members m ON m.source = $1 AND m.member_id = up.group_id) " +
		"SELECT g.id, g.display_name FROM up JOIN records g ON g.source = $1 AND g.id = up.group_id"
)

// create: is anybody known by these keys or has the externalId, what is known of them; then the person with everything that explains it.
func (f byHand) create(ctx context.Context, n int64) error {
	now := time.Now().UTC().Truncate(time.Microsecond)
	at := f.db.time(now)
	id, iid, name := model.NewID(now), model.NewID(now), fmt.Sprintf("person%d@example.org", n)
	number := fmt.Sprint(n)
	keys := []any{"employeeNumber", number, "userName", name, "email", name}
	who := "SELECT identity_id FROM identity_keys WHERE name = $1 AND value = $2 OR name = $3 AND value = $4 OR name = $5 AND value = $6"
	if _, err := f.db.read(ctx, []stmt{
		{"SELECT name, value, identity_id FROM identity_keys WHERE name = $1 AND value = $2 OR name = $3 AND value = $4 OR name = $5 AND value = $6", keys},
		{"SELECT " + identityCols + " FROM identities WHERE id IN (" + who + ")", keys},
		{"SELECT " + recordCols + " FROM records WHERE source = $1 AND external_id = $2 AND external_id <> '' AND kind || '' = 'user' LIMIT 2",
			[]any{pushed, fmt.Sprintf("00000000-0000-4000-8000-%012d", n)}},
		{"SELECT " + accessCols + " FROM access_members WHERE person IN ($1, $2, $3)", []any{"employeeNumber:" + number, "userName:" + name, "email:" + name}},
		{"SELECT " + recordCols + " FROM records WHERE identity_id <> '' AND identity_id IN (" + who + ")", keys},
		{"SELECT name, value FROM identity_keys WHERE identity_id IN (" + who + ")", keys},
		{"SELECT " + accountCols + " FROM accounts WHERE identity_id IN (" + who + ")", keys},
		{groupsOf, []any{pushed, id}},
	}); err != nil {
		return err
	}
	p := texts(n, iid, id, now, true, titleOf(n))
	return f.db.write(ctx, []stmt{
		{"INSERT INTO identities (id, lifecycle, user_name, display_name, email, search_key, organisation, external, categories, attrs, provenance, " +
			"findings, version, review_at, review_run, suspect, entitlements, separated, rules, created_at, updated_at) " +
			"VALUES ($1, 'active', $2, $3, $2, $4, 'Example', false, 'app', $5, $6, '', 1, NULL, '', '', '', '', '', $7, $7)",
			[]any{iid, name, p.display, p.search, p.attrs, p.provenance, at}},
		{"INSERT INTO identity_keys (name, value, identity_id) VALUES ($1, $2, $7), ($3, $4, $7), ($5, $6, $7)",
			[]any{"employeeNumber", number, "userName", name, "email", name, iid}},
		{"INSERT INTO records (source, id, kind, user_name, user_name_key, display_name, display_name_key, external_id, active, unique_key, identity_id, " +
			"link, link_text, attrs, hash, version, missing_runs, absent_since, created_at, updated_at) " +
			"VALUES ($1, $2, 'user', $3, $3, $4, $5, $6, true, $3, $7, 'linked', '', $8, $9, 1, 0, NULL, $10, $10)",
			[]any{pushed, id, name, p.display, strings.ToLower(p.display), p.external, iid, p.attrs, p.hash, at}},
		{"INSERT INTO record_values (source, record_id, attr, type, value) VALUES ($1, $2, 'emails.value', 'work', $3), " +
			"($1, $2, 'phoneNumbers.value', 'mobile', $4), ($1, $2, $5, '', $6), ($1, $2, $7, '', $8)",
			[]any{pushed, id, name, "+49 30 5550 " + number, enterprise + ":employeeNumber", number, enterprise + ":department", "department"}},
		upsertAccount(iid, name, "active", 1, p, at),
		insertChange(iid, "+", "joiner", "", p.after, p, at, now),
		insertAudit("scim.create", id, at, now),
	})
}

// change is what a PATCH of active (op "!" or "^") or a PUT with another title (op "~") says.
type change struct {
	op     string
	active bool
	title  string
}

// alter: everything about the person, where somebody leaves the guard's count; then the person and what explains the change.
func (f byHand) alter(ctx context.Context, action, id string, ch change) (string, error) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	at := f.db.time(now)
	key := []any{pushed, id}
	const who = "(SELECT identity_id FROM records WHERE source = $1 AND id = $2 AND identity_id <> '')"
	got, err := f.db.read(ctx, []stmt{
		{"SELECT " + identityCols + ", (SELECT string_agg(k.name || ' ' || k.value, ',') FROM identity_keys k WHERE k.identity_id = identities.id) " +
			"FROM identities WHERE id IN " + who, key},
		{withGroups("id = $2"), key},
		{"SELECT " + recordCols + " FROM records WHERE identity_id <> '' AND identity_id IN " + who, key},
		{"SELECT " + accountCols + " FROM accounts WHERE identity_id IN " + who, key},
		{"SELECT " + accessCols + " FROM access_members WHERE person IN (SELECT identity_id FROM records WHERE source = $1 AND id = $2 " +
			"UNION ALL SELECT name || ':' || value FROM identity_keys WHERE identity_id IN " + who + ")", key},
	})
	if err != nil {
		return "", err
	}
	if got[0] == nil || got[1] == nil || got[3] == nil {
		return "", errNobody
	}
	identity, record, account := whole(got[0][0]), whole(got[1][0]), whole(got[3][0])
	iid, name := got[0][1].(string), got[0][3].(string)
	if !ch.active {
		if _, err := f.db.read(ctx, []stmt{{"SELECT count(DISTINCT identity_id) FROM changes WHERE source = $1 AND at >= $2 AND state = 'committed' " +
			"AND op IN ('!', '-') AND decided_by IN ('', 'guard')", []any{pushed, f.db.time(now.Add(-24 * time.Hour))}}}); err != nil {
			return "", err
		}
	}
	var n int64
	if _, err := fmt.Sscanf(name, "person%d@", &n); err != nil {
		return "", err
	}
	p := texts(n, iid, id, now, ch.active, ch.title)
	state, event, before, lifecycle := "inactive", "leaver", texts(n, iid, id, now, true, ch.title).after, "suspended"
	switch {
	case ch.op == "~":
		state, event, lifecycle = "active", "mover", "active"
	case ch.active:
		state, event, before, lifecycle = "active", "rehire", texts(n, iid, id, now, false, ch.title).after, "active"
	}
	return p.attrs, f.db.write(ctx, []stmt{
		{"UPDATE identities SET lifecycle = $2, user_name = $3, display_name = $4, email = $3, search_key = $5, attrs = $6, provenance = $7, " +
			"version = $8, updated_at = $9 WHERE id = $1 AND version = $10",
			[]any{iid, lifecycle, name, p.display, p.search, p.attrs, p.provenance, identity + 1, at, identity}},
		{"UPDATE records SET user_name = $3, user_name_key = $3, display_name = $4, external_id = $5, active = $6, attrs = $7, hash = $8, version = $9, " +
			"updated_at = $10 WHERE source = $1 AND id = $2 AND version = $11",
			[]any{pushed, id, name, p.display, p.external, ch.active, p.attrs, p.hash, record + 1, at, record}},
		upsertAccount(iid, name, state, account+1, p, at),
		insertChange(iid, ch.op, event, before, p.after, p, at, now),
		insertAudit(action, id, at, now),
	})
}

// member: the group, whether the person is in it, what it is (below a group there may be others to be marked), and whether the group
// is too large to be the answer, and, where somebody goes, what it lost lately and how large it is; then the group's version, the member, the
// loss, the person marked for review, and the audit. Loss, mark and audit are the daemon's duty in the same transaction. The review itself is made later, by whoever runs the daemon's workers,
// and is on neither side.
func (f byHand) member(ctx context.Context, group, id string, add bool) error {
	now := time.Now().UTC().Truncate(time.Microsecond)
	at := f.db.time(now)
	reads := []stmt{
		{"SELECT " + recordCols + " FROM records WHERE source = $1 AND id = $2", []any{pushed, group}},
		{"SELECT member_id FROM members WHERE source = $1 AND group_id = $2 AND member_id = $3", []any{pushed, group, id}},
		{"SELECT kind FROM records WHERE source = $1 AND id = $2", []any{pushed, id}},
		{"SELECT 1 FROM members WHERE source = $1 AND group_id = $2 LIMIT 1 OFFSET 201", []any{pushed, group}},
		{"SELECT l.since, coalesce(l.had, 0), coalesce(l.lost, 0), n.members FROM (SELECT count(*) AS members FROM (SELECT 1 FROM members " +
			"WHERE source = $1 AND group_id = $2 LIMIT 100) m) n LEFT JOIN group_losses l ON l.source = $1 AND l.group_id = $2", []any{pushed, group}},
	}
	if add { // then nothing is lost
		reads = reads[:4]
	}
	got, err := f.db.read(ctx, reads)
	if err != nil {
		return err
	}
	if got[0] == nil || (got[1] != nil) == add {
		return errNobody
	}
	version := whole(got[0][0])
	change := stmt{"DELETE FROM members WHERE source = $1 AND group_id = $2 AND member_id = $3", []any{pushed, group, id}}
	if add {
		change.text = "INSERT INTO members (source, group_id, member_id) VALUES ($1, $2, $3)"
	}
	writes := []stmt{
		{"UPDATE records SET version = $3, updated_at = $4 WHERE source = $1 AND id = $2 AND version = $5", []any{pushed, group, version + 1, at, version}},
		change,
		insertAudit("scim.patch", group, at, now),
		{"UPDATE identities SET version = version + 1, review_at = $3 WHERE id IN (SELECT identity_id FROM records WHERE source = $1 AND id = $2)",
			[]any{pushed, id, at}},
	}
	if !add {
		lost, members := whole(got[4][2]), whole(got[4][3])
		writes = append(writes, stmt{"INSERT INTO group_losses (source, group_id, since, had, lost) VALUES ($1, $2, $3, $4, $5) " +
			"ON CONFLICT (source, group_id) DO UPDATE SET since = excluded.since, had = excluded.had, lost = excluded.lost", []any{pushed, group, at, members + lost, lost + 1}})
	}
	return f.db.write(ctx, writes)
}

// get: the record, and the groups the answer lists.
func (f byHand) get(ctx context.Context, id string) (string, error) {
	return f.find(ctx, "id = $2", id)
}

// name and email find by index. The kind is kept out of the index condition, as the daemon does: on a database that was never
// analysed the planner would look at everybody.
func (f byHand) name(ctx context.Context, n int64) (string, error) {
	return f.find(ctx, "user_name_key = $2 AND user_name_key <> '' AND kind || '' = 'user' LIMIT 101", fmt.Sprintf("person%d@example.org", n))
}

func (f byHand) email(ctx context.Context, n int64) (string, error) {
	return f.find(ctx, "kind || '' = 'user' AND id IN (SELECT record_id FROM record_values WHERE source = $1 AND attr = 'emails.value' AND value = $2 "+
		"AND type = 'work') LIMIT 101", fmt.Sprintf("person%d@example.org", n))
}

// withGroups is a record with its groups in one statement, as the daemon reads it: nobody in here is in a group that is in another.
func withGroups(where string) string {
	return "SELECT found.*, m.group_id, (SELECT g.display_name FROM records g WHERE g.source = $1 AND g.id = m.group_id), " +
		"(SELECT 1 FROM members p WHERE p.source = $1 AND p.member_id = m.group_id LIMIT 1) FROM (SELECT " + recordCols +
		" FROM records WHERE source = $1 AND " + where + ") found LEFT JOIN members m ON m.source = $1 AND m.member_id = found.id"
}

func (f byHand) find(ctx context.Context, where string, value any) (string, error) {
	got, err := f.db.read(ctx, []stmt{{withGroups(where), []any{pushed, value}}})
	if err != nil {
		return "", err
	}
	if got[0] == nil {
		return "", errNobody
	}
	attrs, _ := got[0][14].(string)
	return attrs, nil
}

// page: a hundred records, how many there are, the groups of the hundred.
func (f byHand) page(ctx context.Context) error {
	got, err := f.db.read(ctx, []stmt{
		{"SELECT " + recordCols + " FROM records WHERE source = $1 AND kind = 'user' ORDER BY created_at, id LIMIT 101", []any{pushed}},
		{"SELECT count(*) FROM records WHERE source = $1 AND kind = 'user'", []any{pushed}},
	})
	if err != nil {
		return err
	}
	if got[0] == nil || got[1] == nil {
		return errNobody
	}
	ids := make([]string, 100)
	for i := range ids {
		ids[i] = recordID(int64(i + 1))
	}
	_, err = f.db.read(ctx, []stmt{f.db.groupsOfAll(ids)})
	return err
}

func upsertAccount(iid, name, state string, rev int64, p written, at any) stmt {
	return stmt{
		"INSERT INTO accounts (identity_id, target, class, origin, state, user_name, desired, desired_rev, because, held_plan, held_attrs, priority, created_at, " +
			"updated_at, due_at, native_id, applied_state, applied, applied_rev, lease_owner, epoch, attempts, error_code, error_text, dead, administrator, applied_administrator, protected_by) " +
			"VALUES ($1, $2, 'app', 'ours', $3, $4, $5, $6, $7, '', '', 1, $8, $8, $8, '', '', '', 0, '', 0, 0, '', '', false, false, false, '') " +
			"ON CONFLICT (identity_id, target) DO UPDATE SET state = excluded.state, user_name = excluded.user_name, desired = excluded.desired, " +
			"desired_rev = excluded.desired_rev, because = excluded.because, due_at = excluded.due_at, updated_at = excluded.updated_at",
		[]any{iid, appName, state, name, p.desired, rev, p.because, at},
	}
}

func insertChange(iid, op, event, before, after string, p written, at any, now time.Time) stmt {
	return stmt{
		`INSERT INTO changes (id, plan_id, run_id, source, identity_id, who, target, op, event, "before", "after", because, attrs, code, state, at, decided_by, decided_at) ` +
			"VALUES ($1, '', '', $2, $3, $4, $5, $6, $7, $8, $9, $10, '', '', 'committed', $11, '', NULL)",
		[]any{model.NewID(now), pushed, iid, p.display, appName, op, event, before, after, p.because, at},
	}
}

func insertAudit(action, id string, at any, now time.Time) stmt {
	return stmt{
		"INSERT INTO audit (id, at, actor, action, source, subject, detail) VALUES ($1, $2, 'source entra, token bench', $3, $4, $5, '{\"kind\":\"user\"}')",
		[]any{model.NewID(now), at, action, pushed, id},
	}
}

const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

// written are the texts of a person's rows, as long as the daemon's.
type written struct {
	display, external, search, attrs, desired, provenance, because, after string
	hash                                                                  []byte
}

func texts(n int64, iid, record string, now time.Time, active bool, title string) written {
	common := fmt.Sprintf(`"name":{"familyName":"Person %d","formatted":"Invented Person %d","givenName":"Invented"},`+
		`"phoneNumbers":[{"type":"mobile","value":"+49 30 5550 %d"}],"preferredLanguage":"en-GB","title":"%s",`+
		`"%s":{"department":"Department %d","employeeNumber":"%d"},"userName":"person%d@example.org"}`, n, n, n, title, enterprise, n%40, n, n)
	front := fmt.Sprintf(`"displayName":"Invented Person %d","emails":[{"primary":true,"type":"work","value":"person%d@example.org"}],`, n, n)
	w := written{
		display:    fmt.Sprintf("Invented Person %d", n),
		external:   fmt.Sprintf("00000000-0000-4000-8000-%012d", n),
		search:     fmt.Sprintf("invented person %d\nperson%d@example.org\nperson%d@example.org", n, n, n),
		provenance: `{"*":{"winner":"entra","rule":"the only source"}}`,
		because: fmt.Sprintf(`{"text":"rule everybody holds; created by entra","rule":"everybody","source":"entra","record":"%s","at":"%s"}`,
			record, now.Format(time.RFC3339Nano)),
		hash: []byte(record)[:16],
	}
	w.attrs = fmt.Sprintf(`{"active":%t,%s"externalId":"%s",%s`, active, front, w.external, common)
	w.desired = fmt.Sprintf(`{%s"externalId":"%s",%s`, front, iid, common)
	state := "inactive"
	if active {
		state = "active"
	}
	w.after = fmt.Sprintf(`{"state":"%s","attributes":%s}`, state, w.desired)
	return w
}

func whole(v any) int64 {
	switch v := v.(type) {
	case int64:
		return v
	case int32:
		return int64(v)
	}
	return 0
}
