package store

import (
	"slices"

	"jmld/model"
)

// The groups that the records are in themselves, and whether there are others above. Of one person that is nearly always all, and costs
// a third.
const directOf = " SELECT ids.iid, r.source, m.group_id, (SELECT g.display_name FROM records g WHERE g.source = r.source AND g.id = m.group_id), " +
	"coalesce((SELECT string_agg(n.name, '\n') FROM group_names n WHERE n.source = r.source AND n.group_id = m.group_id), ''), " +
	"EXISTS (SELECT 1 FROM members p WHERE p.source = r.source AND p.member_id = m.group_id LIMIT 1 OFFSET 0) FROM ids " +
	"JOIN EACH records r ON (r.identity_id = ids.iid AND r.identity_id <> '' AND r.kind || '' = 'user') " +
	"JOIN EACH members m ON (m.source = r.source AND m.member_id = r.id)"

// direct reads a row of directOf. A group without a record is none, but may be in one; two records of a person may be in the same.
func (l *loaded) direct(row scanner) error {
	m := model.Membership{Direct: true}
	var owner string
	var name *string
	var above bool
	if err := row.Scan(&owner, &m.Source, &m.GroupID, &name, &m.Former, &above); err != nil {
		return err
	}
	l.deep = l.deep || above
	if name == nil {
		return nil
	}
	m.DisplayName = *name
	if !slices.ContainsFunc(l.groups[owner], func(o model.Membership) bool { return o.Source == m.Source && o.GroupID == m.GroupID }) {
		l.groups[owner] = append(l.groups[owner], m)
	}
	return nil
}
