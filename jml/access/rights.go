package access

import (
	"cmp"
	"slices"
	"time"

	"jmld/model"
)

// How a role is held on a resource or in a group.
const (
	Owner      = "owner"         // directly: owns the app
	Invited    = "invited"       // directly: was given a role on the resource itself
	Member     = "member"        // directly: of the group asked about
	OwnerGroup = "owner's group" // inherited: of the group that owns the app
	Associated = "associated"    // inherited: of a group that the namespace is associated with
	Parent     = "parent group"  // inherited: of a group above
)

// Grant is one way in which a person holds a role somewhere. Several are a union.
type Grant struct {
	Person string
	Place  string // where the role counts
	Role   string // its name; "": none, admin only
	How    string
	Direct bool
	Origin string   // place of the membership it comes from: what has to be changed to take it away
	Path   []string // names of the groups from the origin down to the one the place belongs to; empty when direct
	Row    model.AccessMember
}

// Rows are what the person was given directly.
func (t *Tree) Rows(person string) []model.AccessMember { return t.rows[person] }

// Withheld are the rows of the person that do not count.
func (t *Tree) Withheld(person string) []model.AccessMember { return t.withheld[person] }

// People are all who were given something, sorted.
func (t *Tree) People() []string {
	people := make([]string, 0, len(t.rows))
	for p := range t.rows {
		people = append(people, p)
	}
	slices.Sort(people)
	return people
}

// At are the direct rows of the place.
func (t *Tree) At(place string) []model.AccessMember { return t.at[place] }

// span is an interval of groups in which a person is a member.
type span struct{ from, to int32 }

// spans are the groups the rows reach, without overlaps, in order.
func (t *Tree) spans(rows []model.AccessMember, now time.Time) []span {
	var list []span
	for i := range rows {
		if kind, id := SplitPlace(rows[i].Place); kind == KindGroup && Holds(rows[i], now) {
			if n, ok := t.number[id]; ok {
				list = append(list, span{n, t.end[n]})
			}
		}
	}
	slices.SortFunc(list, func(a, b span) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.to, a.to)) })
	out := list[:0]
	for _, s := range list {
		if n := len(out); n == 0 || s.from >= out[n-1].to { // intervals of a tree lie within each other or apart
			out = append(out, s)
		}
	}
	return out
}

// CountGroups is how many groups the rows make a member of, directly or from above.
func (t *Tree) CountGroups(rows []model.AccessMember, now time.Time) int {
	n := 0
	for _, s := range t.spans(rows, now) {
		n += int(s.to - s.from)
	}
	return n
}

// GroupNames are the names of the groups that the rows make a member of, directly or from above, sorted by id.
func (t *Tree) GroupNames(rows []model.AccessMember, now time.Time) []string {
	found := newSet(len(t.groups))
	for _, s := range t.spans(rows, now) {
		for _, r := range t.rank[s.from:s.to] {
			found.add(int(r))
		}
	}
	return pick(found, t.names)
}

// Reach is the places of the resources that the rows give a role on, sorted.
func (t *Tree) Reach(rows []model.AccessMember, now time.Time) []string {
	found := newSet(len(t.resources))
	for _, s := range t.spans(rows, now) {
		for _, l := range t.between(s.from, s.to) {
			found.add(int(l.resource))
		}
	}
	for i := range rows {
		if r, ok := t.resource(rows[i].Place); ok && Holds(rows[i], now) {
			found.add(r)
		}
	}
	return pick(found, t.places)
}

// Permissions is the union of what the roles of the rows allow somewhere, sorted.
func (t *Tree) Permissions(rows []model.AccessMember, now time.Time) []Permission {
	all := newSet(len(t.perms))
	for i := range rows {
		if r := t.roles[rows[i].Role]; r != nil && Holds(rows[i], now) {
			all.union(r.perms)
		}
	}
	return t.list(all)
}

func (t *Tree) list(all set) []Permission {
	return pick(all, t.perms)
}

// RoleNames is the names of the roles of the rows, sorted by id.
func (t *Tree) RoleNames(rows []model.AccessMember, now time.Time) []string {
	all := newSet(len(t.roleNames))
	for i := range rows {
		if r := t.roles[rows[i].Role]; r != nil && Holds(rows[i], now) {
			all.add(int(r.index))
		}
	}
	return pick(all, t.roleNames)
}

// each calls do for every row that counts at the place, with the group of the place it comes through, -1 when it is direct.
func (t *Tree) each(rows []model.AccessMember, place string, now time.Time, do func(m *model.AccessMember, from, to int32)) {
	kind, id := SplitPlace(place)
	var targets []int32
	if kind == KindGroup {
		n, ok := t.number[id]
		if !ok {
			return
		}
		targets = []int32{n}
	} else if r, ok := t.resource(place); ok {
		targets = t.linked[r]
	} else {
		return
	}
	for i := range rows {
		m := &rows[i]
		if !Holds(*m, now) {
			continue
		}
		if m.Place == place {
			do(m, -1, -1)
			continue
		}
		at, group := SplitPlace(m.Place)
		if at != KindGroup {
			continue
		}
		n, ok := t.number[group]
		if !ok {
			continue
		}
		for _, g := range targets {
			if n <= g && g < t.end[n] {
				do(m, n, g)
			}
		}
	}
}

// On is every way in which the rows give a role at a place: a resource, or a group. Direct ones come first, then the nearest.
func (t *Tree) On(rows []model.AccessMember, place string, now time.Time) []Grant {
	kind, _ := SplitPlace(place)
	var out []Grant
	t.each(rows, place, now, func(m *model.AccessMember, from, to int32) {
		if m.Admin && m.Role == "" && from >= 0 {
			return // who administers a group has by that no role below it
		}
		g := Grant{Person: m.Person, Place: place, Role: t.RoleName(m.Role), Origin: m.Place, Row: *m}
		switch {
		case from < 0 && kind == KindGroup:
			g.How, g.Direct = Member, true
		case from < 0 && m.Admin:
			g.How, g.Direct = Owner, true
		case from < 0:
			g.How, g.Direct = Invited, true
		default:
			g.Path = t.path(from, to)
			switch {
			case from != to || kind == KindGroup:
				g.How = Parent
			case kind == KindApp:
				g.How = OwnerGroup
			default:
				g.How = Associated
			}
		}
		out = append(out, g)
	})
	slices.SortStableFunc(out, func(a, b Grant) int {
		return cmp.Or(cmp.Compare(len(a.Path), len(b.Path)), cmp.Compare(a.Role, b.Role), cmp.Compare(a.Origin, b.Origin))
	})
	return out
}

// Rights are all ways in which the rows give a role or administration somewhere: in each resource they reach, and in each group they name. They are
// sorted by place.
func (t *Tree) Rights(rows []model.AccessMember, now time.Time) []Grant {
	places := t.Reach(rows, now)
	for i := range rows {
		if kind, _ := SplitPlace(rows[i].Place); kind == KindGroup && !slices.Contains(places, rows[i].Place) {
			places = append(places, rows[i].Place)
		}
	}
	slices.Sort(places)
	var out []Grant
	for _, place := range places {
		out = append(out, t.On(rows, place, now)...)
	}
	return out
}

// Counting are the rows that count: those that are given, and by right, without those withheld.
func Counting(person string, rows []model.AccessMember, e model.Entitlements) []model.AccessMember {
	rows = slices.Clone(rows)
	for _, b := range e.Given {
		rows = append(rows, Birthright(person, b))
	}
	return slices.DeleteFunc(rows, func(m model.AccessMember) bool {
		return slices.ContainsFunc(e.Withheld, func(w model.Withheld) bool { return w.Place == m.Place && w.Role == m.Role })
	})
}

// RolesOn is the union of the names of the roles held at the place, sorted by id.
func (t *Tree) RolesOn(rows []model.AccessMember, place string, now time.Time) []string {
	all := newSet(len(t.roleNames))
	t.each(rows, place, now, func(m *model.AccessMember, _, _ int32) {
		if r := t.roles[m.Role]; r != nil {
			all.add(int(r.index))
		}
	})
	return pick(all, t.roleNames)
}

// PermissionsOn is the union of what the roles held at the place allow, sorted.
func (t *Tree) PermissionsOn(rows []model.AccessMember, place string, now time.Time) []Permission {
	all := newSet(len(t.perms))
	t.each(rows, place, now, func(m *model.AccessMember, _, _ int32) {
		if r := t.roles[m.Role]; r != nil {
			all.union(r.perms)
		}
	})
	return t.list(all)
}

// Team is everybody who holds something at the place, directly or inherited, sorted by person.
func (t *Tree) Team(place string, now time.Time) []Grant {
	rows := slices.Clone(t.at[place])
	kind, id := SplitPlace(place)
	groups := t.GroupsOf(place)
	if g, ok := t.Group(id); ok && kind == KindGroup {
		groups = []model.AccessGroup{g}
	}
	seen := map[int32]bool{}
	for _, g := range groups {
		for n := t.number[g.ID]; n >= 0 && !seen[n]; n = t.parent[n] {
			seen[n] = true
			if p := KindGroup + ":" + t.groups[n].ID; p != place {
				rows = append(rows, t.at[p]...)
			}
		}
	}
	team := t.On(rows, place, now)
	slices.SortStableFunc(team, func(a, b Grant) int { return cmp.Compare(a.Person, b.Person) })
	return team
}

// Administers says whether the rows make an admin of the group or of one above, or, for a resource, of one of its groups, or its
// owner: who may approve what is given there.
func (t *Tree) Administers(rows []model.AccessMember, place string, now time.Time) bool {
	found := false
	t.each(rows, place, now, func(m *model.AccessMember, _, _ int32) { found = found || m.Admin })
	return found
}

// Successors are the rows, without an end, of others who administer the groups of an app, the nearest groups first.
func (t *Tree) Successors(app, leaver string) []model.AccessMember {
	var out []model.AccessMember
	for _, g := range t.GroupsOf(app) {
		for n := t.number[g.ID]; n >= 0; n = t.parent[n] {
			rows := slices.DeleteFunc(slices.Clone(t.at[KindGroup+":"+t.groups[n].ID]), func(m model.AccessMember) bool {
				return !m.Admin || !permanent(m) || m.Person == leaver
			})
			slices.SortFunc(rows, func(a, b model.AccessMember) int {
				return cmp.Or(cmp.Compare(a.Person, b.Person), cmp.Compare(a.Role, b.Role))
			})
			out = append(out, rows...)
		}
	}
	return out
}

// Stats counts what there is.
type Stats struct {
	Groups         int     `json:"groups"` // without the root
	Depth          int     `json:"depth"`
	Roles          int     `json:"roles"`
	Apps           int     `json:"apps"`
	OwnedApps      int     `json:"ownedApps"` // by a group
	Namespaces     int     `json:"namespaces"`
	Assigned       int     `json:"assignedNamespaces"` // to at least one group
	Associations   int     `json:"associations"`
	People         int     `json:"people"`
	Memberships    int     `json:"memberships"` // of groups, direct
	AverageMembers float64 `json:"averageMembers"`
}

// holders counts who holds something: an exception is nothing.
func (t *Tree) holders() int {
	n := 0
	for _, rows := range t.rows {
		if slices.ContainsFunc(rows, func(m model.AccessMember) bool { kind, _ := SplitPlace(m.Place); return kind != KindException }) {
			n++
		}
	}
	return n
}

// Stats counts the tree: people are counted once in each group, directly.
func (t *Tree) Stats() Stats {
	s := Stats{Groups: len(t.groups) - 1, Roles: len(t.roles), People: t.holders()}
	depth := make([]int, len(t.groups))
	for n := 1; n < len(t.groups); n++ {
		depth[n] = depth[t.parent[n]] + 1
		s.Depth = max(s.Depth, depth[n])
	}
	for i, r := range t.resources {
		linked := len(t.linked[i])
		if kind, _ := SplitPlace(r.Place); kind == KindApp {
			s.Apps++
			s.OwnedApps += min(linked, 1)
			continue
		}
		s.Namespaces++
		s.Associations += linked
		s.Assigned += min(linked, 1)
	}
	for _, g := range t.groups[1:] {
		people := map[string]bool{}
		for _, m := range t.at[KindGroup+":"+g.ID] {
			if m.EndedAt == nil {
				people[m.Person] = true
			}
		}
		s.Memberships += len(people)
	}
	if s.Groups > 0 {
		s.AverageMembers = float64(s.Memberships) / float64(s.Groups)
	}
	return s
}
