package access

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"jmld/model"
)

// Edits is what becomes of one kind of rows.
type Edits[T any] struct {
	Put  []T // new, or another content
	Drop []T
	Was  []T // of Put and Drop, as they were
}

// Changes is the difference between two states.
type Changes struct {
	Roles     Edits[model.AccessRole]
	Groups    Edits[model.AccessGroup]
	Resources Edits[model.AccessResource]
	Links     Edits[model.AccessLink]
	Members   Edits[model.AccessMember]
}

// Diff is what has to be written to make one state of another, sorted.
func Diff(before, after State) Changes {
	return Changes{
		Roles:     diff(before.Roles, after.Roles, func(r model.AccessRole) string { return r.ID }, same[model.AccessRole]),
		Groups:    diff(before.Groups, after.Groups, func(g model.AccessGroup) string { return g.ID }, same[model.AccessGroup]),
		Resources: diff(before.Resources, after.Resources, func(r model.AccessResource) string { return r.Place }, same[model.AccessResource]),
		Links:     diff(before.Links, after.Links, LinkKey, same[model.AccessLink]),
		Members:   diff(before.Members, after.Members, MemberKey, sameMember),
	}
}

func same[T comparable](a, b T) bool { return a == b }

func sameMember(a, b model.AccessMember) bool {
	times := sameTime(a.ValidFrom, b.ValidFrom) && sameTime(a.ValidTo, b.ValidTo) && sameTime(a.EndedAt, b.EndedAt)
	a.ValidFrom, a.ValidTo, a.EndedAt, b.ValidFrom, b.ValidTo, b.EndedAt = nil, nil, nil, nil, nil, nil
	return times && a == b
}

func sameTime(a, b *time.Time) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Equal(*b)
}

func diff[T any](before, after []T, key func(T) string, same func(a, b T) bool) Edits[T] {
	was := make(map[string]T, len(before))
	for _, x := range before {
		was[key(x)] = x
	}
	var e Edits[T]
	for _, x := range after {
		old, there := was[key(x)]
		delete(was, key(x))
		if there && same(old, x) {
			continue
		}
		e.Put = append(e.Put, x)
		if there {
			e.Was = append(e.Was, old)
		}
	}
	for _, x := range before {
		if _, gone := was[key(x)]; gone {
			e.Drop = append(e.Drop, x)
			e.Was = append(e.Was, x)
		}
	}
	order := func(a, b T) int { return cmp.Compare(key(a), key(b)) }
	slices.SortFunc(e.Put, order)
	slices.SortFunc(e.Drop, order)
	return e
}

func (e Edits[T]) empty() bool { return len(e.Put)+len(e.Drop) == 0 }

// Count is how many rows change.
func (c Changes) Count() int {
	return len(c.Roles.Put) + len(c.Roles.Drop) + len(c.Groups.Put) + len(c.Groups.Drop) + len(c.Resources.Put) + len(c.Resources.Drop) +
		len(c.Links.Put) + len(c.Links.Drop) + len(c.Members.Put) + len(c.Members.Drop)
}

// Frame says whether more than memberships changes.
func (c Changes) Frame() bool {
	return !c.Roles.empty() || !c.Groups.empty() || !c.Resources.empty() || !c.Links.empty()
}

// Foreign names what would change and is not managed by the one who asks.
func (c Changes) Foreign(by string) []string {
	var out []string
	add := func(what, name, manager string) {
		if manager != by {
			out = append(out, what+" "+name+" is managed by the "+manager)
		}
	}
	for _, r := range c.Roles.Was {
		add("role", r.Name, r.ManagedBy)
	}
	for _, g := range c.Groups.Was {
		add("group", g.Name, g.ManagedBy)
	}
	for _, r := range c.Resources.Was {
		add("resource", r.Place, r.ManagedBy)
	}
	for _, l := range c.Links.Was {
		add("the link of "+l.Place+" with group", l.Owner, l.ManagedBy)
	}
	put := make(map[string]model.AccessMember, len(c.Members.Put))
	for _, m := range c.Members.Put {
		put[MemberKey(m)] = m
	}
	for _, m := range c.Members.Was {
		now, there := put[MemberKey(m)]
		now.EndedAt = m.EndedAt
		if there && sameMember(m, now) { // that its person left or is back is nobody's to manage
			continue
		}
		add("the membership of "+m.Person+" in", m.Place, m.ManagedBy)
	}
	return out
}

// Touched are the places and the roles of which something is another than before for whoever has them: those that change, and of
// groups all above them. It names too many rather than too few.
func Touched(before, after State, c Changes) (places, roles []string) {
	p, r := touched(before, after, c)
	return slices.Sorted(maps.Keys(p)), slices.Sorted(maps.Keys(r))
}

func touched(before, after State, c Changes) (places, roles map[string]bool) {
	places, roles = map[string]bool{}, map[string]bool{}
	for _, list := range [][]model.AccessRole{c.Roles.Put, c.Roles.Was} {
		for _, r := range list {
			roles[r.ID] = true
		}
	}
	for _, list := range [][]model.AccessResource{c.Resources.Put, c.Resources.Was} {
		for _, r := range list {
			places[r.Place] = true
		}
	}
	groups := map[string]bool{}
	for _, list := range [][]model.AccessGroup{c.Groups.Put, c.Groups.Was} {
		for _, g := range list {
			groups[g.ID] = true
		}
	}
	for _, list := range [][]model.AccessLink{c.Links.Put, c.Links.Was} {
		for _, l := range list {
			groups[l.Owner] = true
		}
	}
	for _, s := range []State{before, after} {
		for _, l := range s.Links {
			if places[l.Place] { // renamed
				groups[l.Owner] = true
			}
		}
	}
	for _, s := range []State{before, after} {
		for id := range climb(s.Groups, groups) {
			places[KindGroup+":"+id] = true
		}
	}
	return places, roles
}

// Affected are the people, as rows name them, for whom something may be another than before. It names too many rather than too few.
func Affected(before, after State, c Changes) []string {
	people := map[string]bool{}
	for _, list := range [][]model.AccessMember{c.Members.Put, c.Members.Was} {
		for _, m := range list {
			people[m.Person] = true
		}
	}
	places, roles := touched(before, after, c)
	for _, s := range []State{before, after} {
		for _, m := range slices.Concat(s.Members, s.Given) {
			if roles[m.Role] || places[m.Place] {
				people[m.Person] = true
			}
		}
	}
	out := make([]string, 0, len(people))
	for p := range people {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

// climb is the groups and all above them.
func climb(all []model.AccessGroup, groups map[string]bool) map[string]bool {
	up := map[string]bool{}
	if len(groups) == 0 {
		return up
	}
	parent := make(map[string]string, len(all))
	for _, g := range all {
		parent[g.ID] = g.Parent
	}
	for id := range groups {
		for ; id != "" && !up[id]; id = parent[id] {
			up[id] = true
		}
	}
	return up
}
