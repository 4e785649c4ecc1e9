package store

import (
	"context"
	"encoding/json"
	"fmt"

	"jmld/model"
)

// Record is one record of the source and kind, or ErrNotFound.
func (s *Store) Record(ctx context.Context, source string, kind model.Kind, id string) (model.Record, error) {
	const text = "SELECT " + recordColumns + " FROM records WHERE source = $1 AND id = $2 AND kind || '' = $3"
	var found []model.Record
	err := s.lookup(ctx, op{text: s.sql(text), args: []any{source, id, string(kind)}, each: func(row scanner) error {
		var r model.Record
		err := scanRecord(row, &r)
		found = append(found, r)
		return err
	}})
	return first(found, err)
}

// belonging are the columns of the record r of the source $1, and the groups it is in itself: of each the id, the name where there is a
// record of it, and whether it is in another. Few groups are: to look these up with the record costs less than a recursion, which the
// database prepares for whether or not there is a group. As subselects they are looked up one by one, whatever the planner guesses.
const belonging = recordColumns + ", (SELECT jsons(d.group_id, d.name, d.deep) FROM (SELECT m.group_id, " +
	"(SELECT g.display_name FROM records g WHERE g.source = $1 AND g.id = m.group_id) AS name, " +
	"(SELECT 1 FROM members p WHERE p.source = $1 AND p.member_id = m.group_id LIMIT 1) AS deep " +
	"FROM members m WHERE m.source = $1 AND m.member_id = r.id) AS d)"

// scanBelonging reads a row of belonging. deep says that there may be more groups than these: inherited has them all.
func scanBelonging(row scanner, r *model.Record) (groups []model.Membership, deep bool, err error) {
	err = scanGroups(row, r, func(m model.Membership, known bool, in any) {
		m.Direct = true
		if known {
			groups = append(groups, m)
		}
		deep = deep || in != nil
	})
	sortGroups(groups)
	return groups, deep, err
}

// scanGroups reads a record and, of each of its groups, the id, whether there is a record of it, with its name, and a mark.
func scanGroups(row scanner, r *model.Record, each func(m model.Membership, known bool, mark any)) error {
	var text string
	if err := scanRecord(row, r, &text); err != nil || text == "[]" {
		return err
	}
	var rows [][]any
	if err := json.Unmarshal([]byte(text), &rows); err != nil {
		return fmt.Errorf("groups of record %s: %w", r.ID, err)
	}
	for _, row := range rows {
		m := model.Membership{Source: r.Source}
		m.GroupID, _ = row[0].(string)
		name, known := row[1].(string)
		m.DisplayName = name
		each(m, known, row[2])
	}
	return nil
}

// inherited is the record $2 of the source $1 with all its groups, in one statement, so that both are of one moment: the id and the name of
// each group, and whether the record is in it itself.
const inherited = "WITH RECURSIVE up(group_id, direct) AS (SELECT m.group_id, 1 FROM members m WHERE m.source = $1 AND m.member_id = $2 " +
	"UNION SELECT m.group_id, 0 FROM up JOIN SOME members m group_id ON (m.source = $1 AND m.member_id = up.group_id)) " +
	"SELECT " + recordColumns + ", (SELECT jsons(d.group_id, d.name, d.direct) FROM (SELECT up.group_id, g.display_name AS name, " +
	"max(up.direct) AS direct FROM up JOIN EACH records g ON (g.source = $1 AND g.id = up.group_id) " +
	"GROUP BY up.group_id, g.display_name) AS d) FROM records r WHERE r.source = $1 AND r.id = $2 AND r.kind || '' = 'user'"

// WithGroups is Record of a user, and the groups as GroupsOf has them at the same moment. Nearly nobody is in groups that are in others:
// only who is is read again with them.
func (s *Store) WithGroups(ctx context.Context, source, id string) (model.Record, []model.Membership, error) {
	const text = "SELECT " + belonging + " FROM records r WHERE r.source = $1 AND r.id = $2 AND r.kind || '' = 'user'"
	var found []model.Record
	var groups []model.Membership
	var deep bool
	err := s.lookup(ctx, op{text: s.sql(text), args: []any{source, id}, each: func(row scanner) (err error) {
		var r model.Record
		groups, deep, err = scanBelonging(row, &r)
		found = append(found, r)
		return err
	}})
	rec, err := first(found, err)
	if err != nil || !deep {
		return rec, groups, err
	}
	found = nil
	err = s.read(ctx, op{text: s.sql(inherited), args: []any{source, id}, each: func(row scanner) (err error) {
		var r model.Record
		groups = nil
		err = scanGroups(row, &r, func(m model.Membership, _ bool, direct any) {
			m.Direct = direct == 1.0
			groups = append(groups, m)
		})
		sortGroups(groups)
		found = append(found, r)
		return err
	}})
	rec, err = first(found, err)
	return rec, groups, err
}

// RecordsAmong returns those of the ids that the source has records of the kind of, in no order.
func (s *Store) RecordsAmong(ctx context.Context, source string, kind model.Kind, ids []string) ([]model.Record, error) {
	const text = "SELECT " + recordColumns + " FROM items($2) JOIN EACH records r ON (r.source = $1 AND r.id = p.a)"
	var found []model.Record
	if len(ids) == 0 {
		return nil, nil
	}
	err := s.read(ctx, op{text: s.sql(text), args: []any{source, s.list(ids)}, each: func(row scanner) error {
		var r model.Record
		err := scanRecord(row, &r)
		if r.Kind == kind {
			found = append(found, r)
		}
		return err
	}})
	return found, err
}

// Members streams the members of a group, ordered by id, with the kind and the name of their records; both are empty
// for an id the source has no record of. When there are more than most, the error is ErrTooMany, at the price of counting that far
// in the index, and nothing is yielded. 0: any number; such streams take turns, because whoever they are for may be slow.
func (s *Store) Members(ctx context.Context, source, group string, most int, yield func(id string, kind model.Kind, name string) error) error {
	const name = "coalesce(r.kind, ''), coalesce(CASE WHEN r.display_name = '' THEN r.user_name ELSE r.display_name END, '')"
	const record = " LEFT JOIN records r ON r.source = $1 AND r.id = m.member_id"
	const all = "SELECT m.member_id, " + name + ", 0 FROM members m" + record + " WHERE m.source = $1 AND m.group_id = $2 ORDER BY m.member_id"
	// The bound stands in the text, so that the database knows how few rows there are: it then follows the index. When there are
	// more (none or one is looked at), one row says so, and nothing is joined.
	const bounded = "SELECT coalesce(m.member_id, ''), " + name + ", beyond.n " +
		"FROM (SELECT count(*) AS n FROM (SELECT 1 FROM members b WHERE b.source = $1 AND b.group_id = $2 LIMIT 1 OFFSET %[1]d) b) beyond " +
		"LEFT JOIN (SELECT m.member_id FROM members m WHERE m.source = $1 AND m.group_id = $2 ORDER BY m.member_id LIMIT %[1]d) m ON beyond.n = 0" +
		record + " WHERE m.member_id IS NOT NULL OR beyond.n > 0 ORDER BY m.member_id"
	each := func(row scanner) error {
		var id, kind, name string
		var more int64
		if err := row.Scan(&id, &kind, &name, &more); err != nil {
			return err
		}
		if more > 0 {
			return fmt.Errorf("more than %d members: %w", most, model.ErrTooMany)
		}
		return yield(id, model.Kind(kind), name)
	}
	if most > 0 {
		return s.read(ctx, op{text: s.sql(fmt.Sprintf(bounded, most)), args: []any{source, group}, each: each})
	}
	leave, err := s.streams.enter(ctx, source)
	if err != nil {
		return err
	}
	defer leave()
	return s.stream(ctx, op{text: s.sql(all), args: []any{source, group}, each: each})
}

// GroupsOf returns the groups each of the source's records is in, direct and inherited, ordered by display name.
func (s *Store) GroupsOf(ctx context.Context, source string, ids []string) (map[string][]model.Membership, error) {
	const up = "UNION SELECT up.rid, m.group_id, 0 FROM up JOIN SOME members m group_id ON (m.source = $1 AND m.member_id = up.group_id)) " +
		"SELECT up.rid, up.group_id, g.display_name, max(up.direct) FROM up " +
		"JOIN EACH records g ON (g.source = $1 AND g.id = up.group_id) GROUP BY up.rid, up.group_id, g.display_name"
	const many = "WITH RECURSIVE up(rid, group_id, direct) AS (" +
		"SELECT p.a, m.group_id, 1 FROM items($2) JOIN EACH members m ON (m.source = $1 AND m.member_id = p.a) " + up
	const one = "WITH RECURSIVE up(rid, group_id, direct) AS (" +
		"SELECT m.member_id, m.group_id, 1 FROM members m WHERE m.source = $1 AND m.member_id = $2 " + up
	groups := make(map[string][]model.Membership, len(ids))
	if len(ids) == 0 {
		return groups, nil
	}
	text, of := one, any(printable(ids[0]))
	if len(ids) > 1 {
		text, of = many, s.list(ids)
	}
	err := s.read(ctx, op{text: s.sql(text), args: []any{source, of}, each: func(row scanner) error {
		m := model.Membership{Source: source}
		var id string
		var direct int64
		err := row.Scan(&id, &m.GroupID, &m.DisplayName, &direct)
		m.Direct = direct == 1
		groups[id] = append(groups[id], m)
		return err
	}})
	if err != nil {
		return nil, err
	}
	for _, of := range groups {
		sortGroups(of)
	}
	return groups, nil
}
