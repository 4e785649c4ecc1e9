package store

import (
	"encoding/json"
	"slices"
	"strings"

	"jmld/jml/engine"
	"jmld/model"
)

// Of one person what comes with something else is worth no statement of its own: keys come with the identity, and with each record the groups
// that it is in itself, and whether there are others above those. For nearly everybody that is all.
const (
	identityKeyed = " SELECT " + identityColumns + ", (SELECT jsons(k.name, k.value) FROM identity_keys k WHERE k.identity_id = i.id) " +
		"FROM ids JOIN EACH identities i ON (i.id = ids.iid)"

	grouped = " SELECT " + recordColumns + ", (SELECT jsons(m.group_id, m.name, m.former, m.above) FROM (SELECT m.group_id, " +
		"(SELECT g.display_name FROM records g WHERE g.source = m.source AND g.id = m.group_id) AS name, " +
		"coalesce((SELECT string_agg(n.name, '\n') FROM group_names n WHERE n.source = m.source AND n.group_id = m.group_id), '') AS former, " +
		"CASE WHEN EXISTS (SELECT 1 FROM members p WHERE p.source = m.source AND p.member_id = m.group_id LIMIT 1 OFFSET 0) THEN 1 ELSE 0 END AS above " +
		"FROM members m WHERE m.source = l.source AND m.member_id = l.id) AS m) FROM ("

	// The record itself comes with the others of its person; on SQLite it is there already.
	andLinkedOf = grouped + oneRecord + " UNION ALL" + linkedOf + " WHERE NOT (r.source = $1 AND r.id = $2) OFFSET 0) AS l"
	othersOf    = grouped + linkedOf + " WHERE NOT (r.source = $2 AND r.id = $3)) AS l"
	itself      = grouped + oneRecord + ") AS l"

	// Where nobody was given anything in the tree, nothing is looked up.
	accessAtAll = " WHERE EXISTS (SELECT 1 FROM access_members)"
)

// askingOne is asking about the person of one record, who is one at most: nothing can lead PostgreSQL's planner astray.
func (d *dialect) askingOne() about {
	ids, join, linked, access := loadOne, "JOIN", andLinkedOf, accessOf+accessAtAll
	if d.lite {
		ids, join, linked, access = liteOne, "JOIN EACH", othersOf, accessOf
	}
	text := func(with, rest string) string {
		return d.sql(with + ids + strings.ReplaceAll(rest, "FROM ids JOIN EACH ", "FROM ids "+join+" "))
	}
	return about{
		identities: text("WITH ", identityKeyed), linked: text("WITH ", linked), accounts: text("WITH ", accountsOf),
		groups: text("WITH RECURSIVE ", groupsOf), access: text("WITH ", access),
	}
}

// loadOne are the statements about one record and whose it is. above is for all groups there are, in the place of the direct ones, when
// got.deep says so; on SQLite it is among the others.
func (s *Store) loadOne(got *loaded, ref engine.RecordRef) (ops []op, above op) {
	a, key := &s.aboutOne, []any{ref.Source, ref.ID}
	linked := func(row scanner) error { return got.grouped(row, ref) }
	ops = []op{ // the identity first: see Load
		{text: a.identities, args: key, each: got.keyed}, {text: a.linked, args: key, each: linked},
		{text: a.accounts, args: key, each: got.account}, {text: a.access, args: key, each: got.access.row},
	}
	above = op{text: a.groups, args: key, each: got.group}
	if !s.lite {
		return ops, above
	}
	last := len(ops)
	ops = append(ops, above)
	for i := range ops {
		ops[i].late = func() []any {
			r := got.records[ref]
			switch {
			case r == nil || r.IdentityID == "":
				return nil
			case i == 1:
				return []any{r.IdentityID, ref.Source, ref.ID}
			case i == last && !got.deep:
				return nil
			case i == last:
				clear(got.groups)
			}
			return []any{r.IdentityID}
		}
	}
	return append([]op{{text: s.sql(itself), args: key, each: linked}}, ops...), above
}

// keyed reads a row of identityKeyed.
func (l *loaded) keyed(row scanner) error {
	var i model.Identity
	var text string
	if err := scanIdentity(row, &i, &text); err != nil {
		return err
	}
	var keys [][2]string
	if err := json.Unmarshal([]byte(text), &keys); err != nil {
		return err
	}
	l.identities[i.ID] = &i
	for _, k := range keys {
		l.keys[i.ID] = append(l.keys[i.ID], model.Key{Name: k[0], Value: k[1]})
	}
	return nil
}

// grouped reads a record with the groups that it is in. One without a record is none, but may be in one; two records of a person may be in
// the same.
func (l *loaded) grouped(row scanner, ref engine.RecordRef) error {
	var r model.Record
	var text string
	if err := scanRecord(row, &r, &text); err != nil {
		return err
	}
	if r.Source == ref.Source && r.ID == ref.ID {
		l.records[ref] = &r
	}
	if r.IdentityID == "" || r.Kind != model.KindUser {
		return nil
	}
	l.linked[r.IdentityID] = append(l.linked[r.IdentityID], r)
	if text == "[]" {
		return nil
	}
	var groups []json.RawMessage
	if err := json.Unmarshal([]byte(text), &groups); err != nil {
		return err
	}
	for _, g := range groups {
		m := model.Membership{Source: r.Source, Direct: true}
		var name *string
		var above int
		if err := json.Unmarshal(g, &[...]any{&m.GroupID, &name, &m.Former, &above}); err != nil {
			return err
		}
		l.deep = l.deep || above > 0
		known := func(o model.Membership) bool { return o.Source == m.Source && o.GroupID == m.GroupID }
		if name == nil || slices.ContainsFunc(l.groups[r.IdentityID], known) {
			continue
		}
		m.DisplayName = *name
		l.groups[r.IdentityID] = append(l.groups[r.IdentityID], m)
	}
	return nil
}
