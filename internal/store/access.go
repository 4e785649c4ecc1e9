package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"jmld/jml/access"
	"jmld/jml/engine"
	"jmld/model"
)

// Settings of the tree: accessRev is bumped by every change, which makes them come one after the other; accessFrame is the revision
// of the last change of more than memberships; accessLock has no value.
const (
	accessRev   = "access"
	accessFrame = "access.frame"
	accessLock  = "access.lock"
)

// Whoever changes the tree, or memberships, locks accessLock before anything else: then nobody who has locked people waits for it. Whoever gives
// somebody a key shares the lock, so that what is given by that key at the same time is seen by one of the two. SQLite has one writer.
const (
	lockAccess  = "SELECT value FROM settings WHERE name = $1 FOR UPDATE"
	shareAccess = "SELECT value FROM settings WHERE name = $1 FOR SHARE"

	bumpAccess = "UPDATE settings SET value = (value::bigint + 1)::text WHERE name = $1"

	// byNewKeys marks those who were given something by a key that they have from now on. Most were not: that comes first.
	byNewKeys = "UPDATE identities SET version = version + 1, review_at = $3 WHERE id IN (SELECT k.identity_id FROM pairs($1, $2) " +
		"JOIN EACH access_members m ON (m.person = p.a || ':' || p.b) JOIN EACH identity_keys k ON (k.name = p.a AND k.value = p.b AND m.person <> ''))"
)

// markGiven marks those who have something by right.
const markGiven = "UPDATE identities SET version = version + 1, review_at = CASE WHEN review_at < $3 THEN review_at ELSE $3 END " +
	"WHERE id IN (SELECT i.id FROM (SELECT g.identity_id AS iid FROM items($1) JOIN EACH access_given g ON (g.place = p.a) UNION " +
	"SELECT g.identity_id FROM items($2) JOIN EACH access_given g ON (g.role = p.a)) AS x " +
	"JOIN EACH identities i ON (i.id = x.iid) ORDER BY i.id FOR UPDATE OF i)"

const (
	roleColumns     = "id, name, description, app, permissions, managed_by"
	groupColumns    = "id, name, description, parent, managed_by"
	resourceColumns = "place, name, description, managed_by"
	linkColumns     = "place, owner, exclusive, managed_by"
	memberColumns   = "person, place, role, admin, reason, approver, valid_from, valid_to, ended_at, managed_by"

	accessAround = "SELECT " + memberColumns + " FROM access_members WHERE person IN list($1) OR admin AND place IN list($2) ORDER BY place, role, person"
)

// Access is everything: all groups, roles and memberships of a company, in one snapshot; the people that are named by a key are
// looked up after it.
func (s *Store) Access(ctx context.Context) (access.State, error) {
	st := access.State{People: map[string]string{}}
	var keys [][2]string
	err := s.survey(ctx, append(s.frameOps(&st, accessRev),
		op{text: s.sql("SELECT " + memberColumns + " FROM access_members ORDER BY place, role, person"), each: func(row scanner) error {
			var m model.AccessMember
			err := scanMember(row, &m)
			if name, value, ok := strings.Cut(m.Person, ":"); ok {
				keys = append(keys, [2]string{name, value})
			}
			st.Members = append(st.Members, m)
			return err
		}},
		op{text: s.sql("SELECT id, entitlements FROM identities WHERE entitlements <> '' ORDER BY id"), each: func(row scanner) error {
			var id, text string
			if err := row.Scan(&id, &text); err != nil {
				return err
			}
			return entitle(&st, id, text)
		}})...)
	if err != nil || len(keys) == 0 {
		return st, err
	}
	a, b := s.pairs(keys)
	return st, s.read(ctx, op{text: s.sql(loadOwners), args: []any{a, b}, each: func(row scanner) error {
		var name, value, id string
		err := row.Scan(&name, &value, &id)
		st.People[name+":"+value] = id
		return err
	}})
}

// entitle adds what the last decision made of somebody's roles.
func entitle(st *access.State, id, text string) error {
	var e model.Entitlements
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		return fmt.Errorf("entitlements of identity %s: %w", id, err)
	}
	for _, b := range e.Given {
		st.Given = append(st.Given, access.Birthright(id, b))
	}
	if st.Withheld == nil && len(e.Withheld) > 0 {
		st.Withheld = map[string]bool{}
	}
	for _, w := range e.Withheld {
		st.Withheld[access.Row(id, w.Place, w.Role)] = true
	}
	return nil
}

// AccessAround is the revision of Access with the memberships of a, and nothing else, in one snapshot.
func (s *Store) AccessAround(ctx context.Context, a engine.Around) (access.State, error) {
	var st access.State
	return st, s.survey(ctx, op{text: s.sql("SELECT value FROM settings WHERE name = $1"), args: []any{accessRev},
		each: func(row scanner) error { return scanRevision(row, &st.Revision) }},
		op{text: s.sql(accessAround), args: []any{s.list(a.Names), s.list(a.Places)}, each: func(row scanner) error {
			var m model.AccessMember
			err := scanMember(row, &m)
			st.Members = append(st.Members, m)
			return err
		}})
}

// AccessRevision is the revision of AccessFrame.
func (s *Store) AccessRevision(ctx context.Context) (int64, error) {
	var rev int64
	return rev, s.read(ctx, op{text: s.sql("SELECT value FROM settings WHERE name = $1"), args: []any{accessFrame},
		each: func(row scanner) error { return scanRevision(row, &rev) }})
}

// AccessFrame is everything but the memberships; its revision is that of the last change of it.
func (s *Store) AccessFrame(ctx context.Context) (access.State, error) {
	var st access.State
	return st, s.survey(ctx, s.frameOps(&st, accessFrame)...)
}

func (s *Store) frameOps(st *access.State, revision string) []op {
	return []op{
		{text: s.sql("SELECT value FROM settings WHERE name = $1"), args: []any{revision}, each: func(row scanner) error { return scanRevision(row, &st.Revision) }},
		{text: s.sql("SELECT " + roleColumns + " FROM access_roles ORDER BY id"), each: func(row scanner) error {
			var r model.AccessRole
			err := row.Scan(&r.ID, &r.Name, &r.Description, &r.App, &r.Permissions, &r.ManagedBy)
			st.Roles = append(st.Roles, r)
			return err
		}},
		{text: s.sql("SELECT " + groupColumns + " FROM access_groups ORDER BY id"), each: func(row scanner) error {
			var g model.AccessGroup
			err := row.Scan(&g.ID, &g.Name, &g.Description, &g.Parent, &g.ManagedBy)
			st.Groups = append(st.Groups, g)
			return err
		}},
		{text: s.sql("SELECT " + resourceColumns + " FROM access_resources ORDER BY place"), each: func(row scanner) error {
			var r model.AccessResource
			err := row.Scan(&r.Place, &r.Name, &r.Description, &r.ManagedBy)
			st.Resources = append(st.Resources, r)
			return err
		}},
		{text: s.sql("SELECT " + linkColumns + " FROM access_links ORDER BY place, owner"), each: func(row scanner) error {
			var l model.AccessLink
			err := row.Scan(&l.Place, &l.Owner, &l.Exclusive, &l.ManagedBy)
			st.Links = append(st.Links, l)
			return err
		}},
	}
}

func scanMember(row scanner, m *model.AccessMember) error {
	if err := row.Scan(&m.Person, &m.Place, &m.Role, &m.Admin, &m.Reason, &m.Approver, &m.ValidFrom, &m.ValidTo, &m.EndedAt, &m.ManagedBy); err != nil {
		return err
	}
	m.ValidFrom, m.ValidTo, m.EndedAt = stampPtr(m.ValidFrom), stampPtr(m.ValidTo), stampPtr(m.EndedAt)
	return nil
}

func scanRevision(row scanner, to *int64) error {
	var text string
	err := row.Scan(&text)
	if err == nil {
		*to, err = strconv.ParseInt(text, 10, 64)
	}
	return err
}

// ChangeAccess stores the change in one transaction and makes those it affects due for review in the same. ErrStale: somebody else
// changed something since c.Expect.
func (s *Store) ChangeAccess(ctx context.Context, c *engine.AccessChange) error {
	ops := s.requestOps(s.accessOps(s.lockOps(nil, lockAccess), c), c.Request)
	if c.Rules != "" {
		ops = s.adoptOps(ops, c.Rules)
	}
	return s.write(ctx, append(ops, s.rows(insertAudit(), len(c.Audit), func(i int, to []any) []any { return auditArgs(&c.Audit[i], to) })...)...)
}

func (s *Store) accessOps(ops []op, c *engine.AccessChange) []op {
	const (
		first = "INSERT INTO settings (name, value) VALUES ($1, $2)"
		next  = "UPDATE settings SET value = $2 WHERE name = $1 AND value = $3"
		frame = "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
	)
	rev := strconv.FormatInt(c.Expect+1, 10)
	if c.Expect == 0 { // the key is unique: whoever comes second is stale
		ops = append(ops, op{text: s.sql(first), args: []any{accessRev, rev}})
	} else {
		ops = append(ops, op{text: s.must(next), must: true, args: []any{accessRev, rev, strconv.FormatInt(c.Expect, 10)}})
	}
	if c.Changes.Frame() {
		ops = append(ops, op{text: s.sql(frame), args: []any{accessFrame, rev}})
	}
	ops = s.dropAccess(ops, &c.Changes)
	ops = s.putAccess(ops, &c.Changes)
	if len(c.Affected)+len(c.Places)+len(c.Roles) == 0 {
		return ops
	}
	var keys [][2]string
	for _, person := range c.Affected {
		if name, value, ok := strings.Cut(person, ":"); ok {
			keys = append(keys, [2]string{name, value})
		}
	}
	// In the order of their ids: two commits that mark the same people wait for each other, none is a deadlock.
	const mark = "UPDATE identities SET version = version + 1, review_at = CASE WHEN review_at < $4 THEN review_at ELSE $4 END " +
		"WHERE id IN (SELECT i.id FROM (SELECT p.a AS iid FROM items($1) UNION " +
		"SELECT k.identity_id FROM pairs($2, $3) JOIN EACH identity_keys k ON (k.name = p.a AND k.value = p.b)) AS x " +
		"JOIN EACH identities i ON (i.id = x.iid) ORDER BY i.id FOR UPDATE OF i)"
	a, b := s.pairs(keys)
	ops = append(ops, op{text: s.sql(mark), args: []any{s.list(c.Affected), a, b, stamp(c.ReviewAt)}})
	if len(c.Places)+len(c.Roles) == 0 {
		return ops
	}
	return append(ops, op{text: s.sql(markGiven), args: []any{s.list(c.Places), s.list(c.Roles), stamp(c.ReviewAt)}})
}

// givenOps store what people have by right. More than before is stored only as long as the tree is the one that it was decided by: the lock,
// which is shared, is held by whoever changes the tree, and finds what is stored before.
func (s *Store) givenOps(ops []op, writes []engine.IdentityWrite) []op {
	const (
		drop = "DELETE FROM access_given WHERE identity_id IN list($1)"
		is   = "UPDATE settings SET value = value WHERE name = $1 AND value = $2" // SQLite has one writer
		is1  = "SELECT 1 / count(*) FROM settings WHERE name = $1 AND value = $2"
	)
	type row struct{ id, place, role string }
	var known []string
	var rows []row
	frames := map[int64]bool{}
	for i := range writes {
		w := &writes[i]
		if w.Given == nil {
			continue
		}
		if w.Expect > 0 {
			known = append(known, w.New.ID)
		}
		for _, b := range w.Given.Rows {
			rows = append(rows, row{w.New.ID, b.Place, b.Role})
		}
		frames[w.Given.Frame] = frames[w.Given.Frame] || w.Given.More
	}
	for frame, more := range frames {
		text := op{text: is1}
		if s.lite {
			text = op{text: is, must: true}
		}
		if more {
			ops = append(ops, op{text: s.sql(text.text), must: text.must, args: []any{accessFrame, strconv.FormatInt(frame, 10)}})
		}
	}
	if len(known) > 0 {
		ops = append(ops, op{text: s.sql(drop), args: []any{s.list(known)}})
	}
	given := insert{into: "access_given (identity_id, place, role)", tuple: tuple(3), tail: "ON CONFLICT (identity_id, place, role) DO NOTHING"}
	return append(ops, s.rows(given, len(rows), func(i int, to []any) []any { return append(to, rows[i].id, rows[i].place, rows[i].role) })...)
}

// givesMore says whether somebody gets something by right.
func givesMore(writes []engine.IdentityWrite) bool {
	return slices.ContainsFunc(writes, func(w engine.IdentityWrite) bool { return w.Given != nil && w.Given.More })
}

func (s *Store) lockOps(ops []op, lock string) []op {
	if s.lite {
		return ops
	}
	return append(ops, op{text: s.sql(lock), args: []any{accessLock}})
}

// dropAccess comes first, so that what was owned by one can be owned by another.
func (s *Store) dropAccess(ops []op, c *access.Changes) []op {
	for i := range c.Members.Drop {
		m := &c.Members.Drop[i]
		ops = append(ops, op{text: s.sql("DELETE FROM access_members WHERE person = $1 AND place = $2 AND role = $3"), args: []any{m.Person, m.Place, m.Role}})
	}
	for i := range c.Links.Drop {
		l := &c.Links.Drop[i]
		ops = append(ops, op{text: s.sql("DELETE FROM access_links WHERE place = $1 AND owner = $2"), args: []any{l.Place, l.Owner}})
	}
	var roles, groups, resources []string
	for _, r := range c.Roles.Drop {
		roles = append(roles, r.ID)
	}
	for _, g := range c.Groups.Drop {
		groups = append(groups, g.ID)
	}
	for _, r := range c.Resources.Drop {
		resources = append(resources, r.Place)
	}
	for _, d := range []struct {
		text string
		ids  []string
	}{
		{"DELETE FROM access_roles WHERE id IN list($1)", roles}, {"DELETE FROM access_groups WHERE id IN list($1)", groups},
		{"DELETE FROM access_resources WHERE place IN list($1)", resources},
	} {
		if len(d.ids) > 0 {
			ops = append(ops, op{text: s.sql(d.text), args: []any{s.list(d.ids)}})
		}
	}
	return ops
}

func (s *Store) putAccess(ops []op, c *access.Changes) []op {
	roles := insert{into: "access_roles (" + roleColumns + ")", tuple: tuple(6), tail: "ON CONFLICT (id) DO UPDATE SET name = excluded.name, " +
		"description = excluded.description, app = excluded.app, permissions = excluded.permissions, managed_by = excluded.managed_by"}
	ops = append(ops, s.rows(roles, len(c.Roles.Put), func(i int, to []any) []any {
		r := &c.Roles.Put[i]
		return append(to, r.ID, r.Name, r.Description, r.App, r.Permissions, r.ManagedBy)
	})...)
	groups := insert{into: "access_groups (" + groupColumns + ")", tuple: tuple(5), tail: "ON CONFLICT (id) DO UPDATE SET name = excluded.name, " +
		"description = excluded.description, parent = excluded.parent, managed_by = excluded.managed_by"}
	ops = append(ops, s.rows(groups, len(c.Groups.Put), func(i int, to []any) []any {
		g := &c.Groups.Put[i]
		return append(to, g.ID, g.Name, g.Description, g.Parent, g.ManagedBy)
	})...)
	resources := insert{into: "access_resources (" + resourceColumns + ")", tuple: tuple(4), tail: "ON CONFLICT (place) DO UPDATE SET " +
		"name = excluded.name, description = excluded.description, managed_by = excluded.managed_by"}
	ops = append(ops, s.rows(resources, len(c.Resources.Put), func(i int, to []any) []any {
		r := &c.Resources.Put[i]
		return append(to, r.Place, r.Name, r.Description, r.ManagedBy)
	})...)
	links := insert{into: "access_links (" + linkColumns + ")", tuple: tuple(4), tail: "ON CONFLICT (place, owner) DO UPDATE SET " +
		"exclusive = excluded.exclusive, managed_by = excluded.managed_by"}
	ops = append(ops, s.rows(links, len(c.Links.Put), func(i int, to []any) []any {
		l := &c.Links.Put[i]
		return append(to, l.Place, l.Owner, l.Exclusive, l.ManagedBy)
	})...)
	members := insert{into: "access_members (" + memberColumns + ")", tuple: tuple(10), tail: "ON CONFLICT (person, place, role) DO UPDATE SET " +
		"admin = excluded.admin, reason = excluded.reason, approver = excluded.approver, valid_from = excluded.valid_from, " +
		"valid_to = excluded.valid_to, ended_at = excluded.ended_at, managed_by = excluded.managed_by"}
	return append(ops, s.rows(members, len(c.Members.Put), func(i int, to []any) []any {
		m := &c.Members.Put[i]
		return append(to, m.Person, m.Place, m.Role, m.Admin, m.Reason, m.Approver, timeArg(m.ValidFrom), timeArg(m.ValidTo), timeArg(m.EndedAt), m.ManagedBy)
	})...)
}
