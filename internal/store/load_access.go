package store

import (
	"strconv"

	"jmld/jml/engine"
	"jmld/model"
)

// What people were given directly in the tree of groups, by the keys a subject brings, and by the ids and the keys of the identities
// that matter. Rows come with the identity they were found by, "" for a key, and the revision of the tree.
const (
	accessByKey = "SELECT '', " + accessColumns + " FROM pairs($1, $2) JOIN EACH access_members m ON (m.person = p.a || ':' || p.b)"

	accessOf = ", names(iid, person) AS (SELECT ids.iid, ids.iid FROM ids UNION ALL " +
		"SELECT k.identity_id, k.name || ':' || k.value FROM ids JOIN EACH identity_keys k ON (k.identity_id = ids.iid) UNION ALL " +
		"SELECT g.into_id, g.identity_id FROM ids JOIN EACH merges g ON (g.into_id = ids.iid)) " +
		"SELECT names.iid, " + accessColumns + " FROM names JOIN EACH access_members m ON (m.person = names.person)"

	accessColumns = "(SELECT f.value FROM settings f WHERE f.name = 'access.frame'), m.person, m.place, m.role, m.admin, m.reason, " +
		"m.approver, m.valid_from, m.valid_to, m.ended_at, m.managed_by"
)

// granted is what was found, by identity or by key.
type granted struct {
	rows  map[string][]model.AccessMember
	frame int64
}

func (g *granted) row(row scanner) error {
	var m model.AccessMember
	var found string
	var frame string
	err := row.Scan(&found, &frame, &m.Person, &m.Place, &m.Role, &m.Admin, &m.Reason, &m.Approver, &m.ValidFrom, &m.ValidTo, &m.EndedAt, &m.ManagedBy)
	if err != nil {
		return err
	}
	m.ValidFrom, m.ValidTo, m.EndedAt = stampPtr(m.ValidFrom), stampPtr(m.ValidTo), stampPtr(m.EndedAt)
	if g.frame, err = strconv.ParseInt(frame, 10, 64); err != nil {
		return err
	}
	if found == "" {
		found = m.Person
	}
	g.rows[found] = append(g.rows[found], m)
	return nil
}

// of gives the person what is theirs: by their identity, and by keys of the subject that nobody has.
func (g *granted) of(p *engine.Person, sub *engine.Subject) {
	if len(g.rows) == 0 {
		return
	}
	if p.Identity != nil {
		p.Access = append(p.Access, g.rows[p.Identity.ID]...)
	}
	for _, k := range sub.Keys {
		if p.Owners[k] == "" {
			p.Access = append(p.Access, g.rows[k.Name+":"+k.Value]...)
		}
	}
	p.AccessFrame = g.frame
}
