package access

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"

	"jmld/model"
)

// Tree is a State made quick to ask. It is read-only; several goroutines may use it.
//
// Groups are numbered so that those below one follow it: everything inherited from a group is an interval of numbers, however deep the
// tree is.
type Tree struct {
	groups    []model.AccessGroup // by number; 0 is the root
	parent    []int32
	end       []int32 // behind the last group below
	number    map[string]int32
	names     []string // of the groups, sorted by id
	rank      []int32  // by number: where a group's name is in names
	roles     map[string]*role
	roleNames []string // by role.index
	perms     []Permission
	resources []model.AccessResource // by place
	places    []string               // of the resources
	linked    [][]int32              // by resource: numbers of its groups, sorted
	links     []link                 // by group, then resource
	rows      map[string][]model.AccessMember
	at        map[string][]model.AccessMember // by place
	withheld  map[string][]model.AccessMember
}

type role struct {
	model.AccessRole
	index int32
	perms set
}

type link struct{ group, resource int32 }

// set is a set of small numbers.
type set []uint64

func newSet(n int) set { return make(set, (n+63)/64) }

func (s set) add(i int) { s[i/64] |= 1 << (i % 64) }

func (s set) union(o set) {
	for i, w := range o {
		s[i] |= w
	}
}

// pick lists the members of the set, in order; never nil.
func pick[T any](s set, all []T) []T {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	out := make([]T, 0, n)
	for i, w := range s {
		for ; w != 0; w &= w - 1 {
			out = append(out, all[i*64+bits.TrailingZeros64(w)])
		}
	}
	return out
}

// New makes the tree of a state that was checked when it was stored. An error says what is broken all the same.
func New(s State) (*Tree, error) {
	t := &Tree{number: make(map[string]int32, len(s.Groups)+1), roles: make(map[string]*role, len(s.Roles)),
		rows: make(map[string][]model.AccessMember, len(s.Members)), at: map[string][]model.AccessMember{},
		withheld: map[string][]model.AccessMember{}}
	if err := t.plant(s.Groups); err != nil {
		return nil, err
	}
	t.sortNames()
	if err := t.readRoles(s.Roles); err != nil {
		return nil, err
	}
	if err := t.link(s); err != nil {
		return nil, err
	}
	for _, m := range slices.Concat(s.Members, s.Given) {
		m.Person = s.who(m.Person)
		if s.Withheld[Row(m.Person, m.Place, m.Role)] {
			t.withheld[m.Person] = append(t.withheld[m.Person], m)
			continue
		}
		t.rows[m.Person] = append(t.rows[m.Person], m)
		t.at[m.Place] = append(t.at[m.Place], m)
	}
	return t, nil
}

// plant numbers the groups, parents before what is below them, siblings by id. It does not recurse: the depth is not limited.
func (t *Tree) plant(groups []model.AccessGroup) error {
	children := make(map[string][]int, len(groups))
	known := make(map[string]bool, len(groups)+1)
	known[model.AccessRoot] = true
	for i, g := range groups {
		if known[g.ID] {
			return fmt.Errorf("group %s is there twice: %w", g.ID, model.ErrInvalid)
		}
		known[g.ID] = true
		children[g.Parent] = append(children[g.Parent], i)
	}
	for _, list := range children {
		slices.SortFunc(list, func(a, b int) int { return cmp.Compare(groups[b].ID, groups[a].ID) }) // the last is taken first
	}
	add := func(g model.AccessGroup, parent int32) int32 {
		n := int32(len(t.groups))
		t.groups, t.parent, t.end = append(t.groups, g), append(t.parent, parent), append(t.end, n+1)
		t.number[g.ID] = n
		return n
	}
	type step struct {
		group  int
		parent int32
	}
	root := add(model.AccessGroup{ID: model.AccessRoot, Name: model.AccessRoot}, -1)
	var todo []step
	for _, i := range children[model.AccessRoot] {
		todo = append(todo, step{i, root})
	}
	for len(todo) > 0 {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		g := groups[s.group]
		n := add(g, s.parent)
		for _, i := range children[g.ID] {
			todo = append(todo, step{i, n})
		}
	}
	if len(t.groups) != len(groups)+1 {
		for _, g := range groups {
			if _, ok := t.number[g.ID]; !ok {
				return fmt.Errorf("group %s is not below the root: %w", g.ID, model.ErrInvalid)
			}
		}
	}
	for n := len(t.groups) - 1; n > 0; n-- {
		t.end[t.parent[n]] = max(t.end[t.parent[n]], t.end[n])
	}
	return nil
}

// sortNames gives lists of groups an order that does not depend on where they are in the tree.
func (t *Tree) sortNames() {
	order := make([]int32, len(t.groups))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return cmp.Compare(t.groups[a].ID, t.groups[b].ID) })
	t.names, t.rank = make([]string, len(order)), make([]int32, len(order))
	for i, n := range order {
		t.names[i], t.rank[n] = t.groups[n].Name, int32(i)
	}
}

func (t *Tree) readRoles(roles []model.AccessRole) error {
	all := map[Permission]bool{}
	lists := make([][]Permission, len(roles))
	for i, r := range roles {
		list, err := Permissions(r)
		if err != nil {
			return err
		}
		lists[i] = list
		for _, p := range list {
			all[p] = true
		}
	}
	for p := range all {
		t.perms = append(t.perms, p)
	}
	slices.SortFunc(t.perms, comparePermissions)
	at := make(map[Permission]int, len(t.perms))
	for i, p := range t.perms {
		at[p] = i
	}
	roles = slices.Clone(roles)
	order := make([]int, len(roles))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(roles[a].ID, roles[b].ID) })
	for n, i := range order {
		r := &role{AccessRole: roles[i], index: int32(n), perms: newSet(len(t.perms))}
		for _, p := range lists[i] {
			r.perms.add(at[p])
		}
		t.roles[r.ID] = r
		t.roleNames = append(t.roleNames, r.Name)
	}
	return nil
}

func (t *Tree) link(s State) error {
	t.resources = slices.SortedFunc(slices.Values(s.Resources), func(a, b model.AccessResource) int { return cmp.Compare(a.Place, b.Place) })
	for _, r := range t.resources {
		t.places = append(t.places, r.Place)
	}
	t.linked = make([][]int32, len(t.resources))
	for _, l := range s.Links {
		r, there := t.resource(l.Place)
		g, ok := t.number[l.Owner]
		if !ok || !there {
			return fmt.Errorf("%s and group %s belong together, and one of them is not there: %w", l.Place, l.Owner, model.ErrInvalid)
		}
		t.linked[r] = append(t.linked[r], g)
		t.links = append(t.links, link{g, int32(r)})
	}
	for _, list := range t.linked {
		slices.Sort(list)
	}
	slices.SortFunc(t.links, func(a, b link) int { return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.resource, b.resource)) })
	return nil
}

func (t *Tree) resource(place string) (int, bool) {
	return slices.BinarySearchFunc(t.resources, place, func(r model.AccessResource, p string) int { return cmp.Compare(r.Place, p) })
}

// Group finds a group; the root is one, too.
func (t *Tree) Group(id string) (model.AccessGroup, bool) {
	n, ok := t.number[id]
	if !ok {
		return model.AccessGroup{}, false
	}
	return t.groups[n], true
}

// Has says whether there is such a place.
func (t *Tree) Has(place string) bool {
	kind, id := SplitPlace(place)
	if kind == KindGroup {
		_, ok := t.number[id]
		return ok
	}
	_, ok := t.resource(place)
	return ok
}

// Above says whether the group is the other one or above it.
func (t *Tree) Above(id, other string) bool {
	a, ok := t.number[id]
	b, there := t.number[other]
	return ok && there && a <= b && b < t.end[a]
}

// Path is the names of the groups from one down to another below it, both included.
func (t *Tree) Path(from, to string) []string {
	a, ok := t.number[from]
	b, there := t.number[to]
	if !ok || !there || b < a || b >= t.end[a] {
		return nil
	}
	return t.path(a, b)
}

func (t *Tree) path(from, to int32) []string {
	var names []string
	for n := to; ; n = t.parent[n] {
		names = append(names, t.groups[n].Name)
		if n == from {
			break
		}
	}
	slices.Reverse(names)
	return names
}

// Depth is how many groups are above it; 0 is the root.
func (t *Tree) Depth(id string) int {
	depth := 0
	for n := t.number[id]; n > 0; n = t.parent[n] {
		depth++
	}
	return depth
}

// Name is how a place or role is shown.
func (t *Tree) Name(place string) string {
	kind, id := SplitPlace(place)
	if kind == KindGroup {
		if n, ok := t.number[id]; ok {
			return t.groups[n].Name
		}
	}
	if r, ok := t.resource(place); ok {
		return t.resources[r].Name
	}
	return id
}

// Groups are all of them, the root first, each before those below it.
func (t *Tree) Groups() []model.AccessGroup { return t.groups }

// Resources are sorted by place.
func (t *Tree) Resources() []model.AccessResource { return t.resources }

// GroupsOf are the groups a resource belongs to.
func (t *Tree) GroupsOf(place string) []model.AccessGroup {
	r, ok := t.resource(place)
	if !ok {
		return nil
	}
	out := make([]model.AccessGroup, len(t.linked[r]))
	for i, n := range t.linked[r] {
		out[i] = t.groups[n]
	}
	return out
}

// ResourcesOf are the resources that belong to the group itself.
func (t *Tree) ResourcesOf(group string) []model.AccessResource {
	n, ok := t.number[group]
	if !ok {
		return nil
	}
	var out []model.AccessResource
	for _, l := range t.between(n, n+1) {
		out = append(out, t.resources[l.resource])
	}
	return out
}

// between are the links of the groups from one number up to before another.
func (t *Tree) between(from, to int32) []link {
	first, _ := slices.BinarySearchFunc(t.links, from, func(l link, n int32) int { return cmp.Compare(l.group, n) })
	last, _ := slices.BinarySearchFunc(t.links[first:], to, func(l link, n int32) int { return cmp.Compare(l.group, n) })
	return t.links[first : first+last]
}

// RoleName is how a role is shown.
func (t *Tree) RoleName(id string) string {
	if r := t.roles[id]; r != nil {
		return r.Name
	}
	return id
}
