package access

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"jmld/model"
)

// Problem is a reason why a state cannot be stored.
type Problem struct {
	Kind  string // "role", "group", "resource", "link", "member"
	Key   string // of the object, as RoleKey … have it
	Field string // "name", "parent", …; "": the object as a whole
	Text  string // what is wrong; what is expected
}

// The kinds of objects.
const (
	OfRole     = "role"
	OfGroup    = "group"
	OfResource = "resource"
	OfLink     = "link"
	OfMember   = "member"
)

// LinkKey and MemberKey name rows that have no id of their own.
func LinkKey(l model.AccessLink) string { return l.Place + " " + l.Owner }

// MemberKey is one person's role at one place.
func MemberKey(m model.AccessMember) string { return m.Place + "\n" + m.Role + "\n" + m.Person }

const maxName = 200 // bytes

// Check returns every reason why the state cannot be stored; areas are those that roles may have permissions in.
func Check(s State, areas []string) []Problem {
	c := &checker{State: s, roles: map[string]model.AccessRole{}, places: map[string]bool{"group:" + model.AccessRoot: true}}
	c.checkGroups()
	c.checkResources()
	c.checkRoles(areas)
	c.checkLinks()
	c.checkMembers()
	if !slices.ContainsFunc(c.bad, func(p Problem) bool { return p.Kind != OfMember }) {
		c.checkOwners()
	}
	return c.bad
}

type checker struct {
	State
	roles  map[string]model.AccessRole
	places map[string]bool
	bad    []Problem
}

func (c *checker) problem(kind, key, field, format string, args ...any) {
	c.bad = append(c.bad, Problem{kind, key, field, fmt.Sprintf(format, args...)})
}

func (c *checker) checkName(kind, key, name, id string) {
	switch {
	case id == "":
		c.problem(kind, key, "name", "no name; expected one")
	case len(name) > maxName || len(id) > maxName:
		c.problem(kind, key, "name", "the name is longer than %d bytes; expected a shorter one", maxName)
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		c.problem(kind, key, "name", "the name has something in it that cannot be printed; expected one line of text")
	}
}

func (c *checker) checkGroups() {
	parent := make(map[string]string, len(c.Groups))
	for _, g := range c.Groups {
		c.checkName(OfGroup, g.ID, g.Name, g.ID)
		switch _, twice := parent[g.ID]; {
		case g.ID == model.AccessRoot:
			c.problem(OfGroup, g.ID, "name", "the root is always there; expected another name")
		case twice && g.ID != "":
			c.problem(OfGroup, g.ID, "name", "group %s is there twice; expected one parent for each", g.Name)
		}
		if strings.TrimSpace(g.Description) == "" {
			c.problem(OfGroup, g.ID, "description", "group %s has no description; expected a sentence that says what it is for", g.Name)
		}
		if _, twice := parent[g.ID]; !twice {
			parent[g.ID] = g.Parent
		}
		c.places[KindGroup+":"+g.ID] = true
	}
	for _, g := range c.Groups {
		switch {
		case g.Parent == "":
			c.problem(OfGroup, g.ID, "parent", "group %s has no parent; expected the name of one, or %s", g.Name, model.AccessRoot)
		case !c.places[KindGroup+":"+g.Parent]:
			c.problem(OfGroup, g.ID, "parent", "unknown group %q; expected one that there is, or %s", g.Parent, model.AccessRoot)
		}
	}
	c.checkCycles(parent)
	admins := map[string]bool{}
	for _, m := range c.Members {
		if m.Admin && permanent(m) {
			admins[m.Place] = true
		}
	}
	for _, g := range c.Groups {
		if !admins[KindGroup+":"+g.ID] {
			c.problem(OfGroup, g.ID, "admins", "group %s has no admin without an end; expected at least one", g.Name)
		}
	}
}

// checkCycles follows the parents of each group once.
func (c *checker) checkCycles(parent map[string]string) {
	const shown = 10
	delete(parent, model.AccessRoot)            // however somebody calls a group
	passed := make(map[string]int, len(parent)) // in which round, from 1
	for i, g := range c.Groups {
		id, round := g.ID, i+1
		for parent[id] != "" && passed[id] == 0 {
			passed[id] = round
			id = parent[id]
		}
		if passed[id] != round {
			continue
		}
		cycle := id
		for n, at := 1, parent[id]; ; n, at = n+1, parent[at] {
			if n == shown && at != id {
				cycle += " -> …"
				break
			}
			if cycle += " -> " + at; at == id {
				break
			}
		}
		c.problem(OfGroup, id, "parent", "the parents go round in a circle (%s); expected a way to the root", cycle)
	}
}

func (c *checker) checkResources() {
	for _, r := range c.Resources {
		kind, id := SplitPlace(r.Place)
		c.checkName(OfResource, r.Place, r.Name, id)
		switch {
		case kind != KindApp && kind != KindNamespace:
			c.problem(OfResource, r.Place, "kind", "unknown kind %q; expected %s or %s", kind, KindApp, KindNamespace)
		case c.places[r.Place]:
			c.problem(OfResource, r.Place, "name", "%s %s is there twice; expected it once", kind, r.Name)
		}
		c.places[r.Place] = true
	}
}

func (c *checker) checkRoles(areas []string) {
	for _, r := range c.Roles {
		c.checkName(OfRole, r.ID, r.Name, r.ID)
		if _, twice := c.roles[r.ID]; twice && r.ID != "" {
			c.problem(OfRole, r.ID, "name", "role %s is there twice; expected one set of permissions for each name", r.Name)
		}
		c.roles[r.ID] = r
		if kind, _ := SplitPlace(r.App); r.App != "" && (kind != KindApp || !c.places[r.App]) {
			c.problem(OfRole, r.ID, "app", "unknown app %q; expected one that there is", strings.TrimPrefix(r.App, KindApp+":"))
		}
		list, err := Permissions(r)
		if err != nil {
			c.problem(OfRole, r.ID, "permissions", "%s; expected lists of permissions by area", err)
		}
		for _, p := range list {
			switch {
			case !slices.Contains(areas, p.Area):
				c.problem(OfRole, r.ID, "permissions", "unknown area %q; expected one of %s", p.Area, strings.Join(areas, ", "))
			case strings.TrimSpace(p.Name) == "":
				c.problem(OfRole, r.ID, "permissions", "area %s has a permission without a name; expected one", p.Area)
			}
		}
	}
}

func (c *checker) checkLinks() {
	owner := map[string]string{}
	for _, l := range c.Links {
		kind, id := SplitPlace(l.Place)
		first, twice := owner[l.Place]
		switch {
		case !c.places[l.Place]:
			c.problem(OfLink, LinkKey(l), "", "unknown %s %q; expected one that there is", kind, id)
		case !c.places[KindGroup+":"+l.Owner]:
			c.problem(OfLink, LinkKey(l), "", "unknown group %q; expected one that there is", l.Owner)
		case l.Exclusive != (kind == KindApp):
			c.problem(OfLink, LinkKey(l), "", "only apps are owned by one group; %s is no app, or is not owned", l.Place)
		case kind == KindApp && twice:
			c.problem(OfLink, LinkKey(l), "", "app %s has a second owner: it is owned by group %s; expected one of them", id, first)
		}
		if !twice {
			owner[l.Place] = l.Owner
		}
	}
}

func (c *checker) checkMembers() {
	seen := make(map[string]bool, len(c.Members))
	owner := map[string]string{}
	for i := range c.Members {
		m := &c.Members[i]
		key := MemberKey(*m)
		kind, id := SplitPlace(m.Place)
		r, known := c.roles[m.Role]
		switch {
		case m.Person == "":
			c.problem(OfMember, key, "person", "nobody is named; expected a person")
		case kind == KindException && (m.Role != "" || m.Admin):
			c.problem(OfMember, key, "role", "an exception gives no role; expected none")
		case kind == KindException && m.ValidTo == nil:
			c.problem(OfMember, key, "to", "an exception has an end; expected a time")
		case kind == KindException:
		case !c.places[m.Place]:
			c.problem(OfMember, key, "", "unknown %s %q; expected one that there is", kind, id)
		case m.Role == "" && !m.Admin:
			c.problem(OfMember, key, "role", "no role; expected one")
		case m.Role != "" && !known:
			c.problem(OfMember, key, "role", "unknown role %q; expected one that there is", m.Role)
		case known && r.App != "" && r.App != m.Place:
			c.problem(OfMember, key, "role", "role %s is one of %s; expected a central role, or one of this app", r.Name, r.App)
		case m.Admin && kind == KindNamespace:
			c.problem(OfMember, key, "", "a namespace has no owner; expected a role")
		case seen[c.who(m.Person)+"\n"+m.Place+"\n"+m.Role]:
			c.problem(OfMember, key, "", "the person has this role here twice; expected it once")
		}
		seen[c.who(m.Person)+"\n"+m.Place+"\n"+m.Role] = true
		if strings.TrimSpace(m.Reason) == "" {
			c.problem(OfMember, key, "reason", "no reason; expected why the person holds the role")
		}
		if strings.TrimSpace(m.Approver) == "" {
			c.problem(OfMember, key, "approver", "no approver; expected a natural person")
		}
		if m.ValidFrom != nil && m.ValidTo != nil && !m.ValidFrom.Before(*m.ValidTo) {
			c.problem(OfMember, key, "to", "it ends before it begins; expected a later end")
		}
		if kind == KindApp && m.Admin {
			who := c.who(m.Person)
			if first := owner[m.Place]; first != "" && first != who {
				c.problem(OfMember, key, "person", "app %s has a second owner; expected one person", id)
			}
			owner[m.Place] = who
			if !permanent(*m) {
				c.problem(OfMember, key, "to", "an owner has no end; expected a hand-over instead")
			}
		}
	}
}

// checkOwners: the owner of an app that a group owns belongs to the group.
func (c *checker) checkOwners() {
	s := c.State
	s.Given, s.Withheld = nil, nil // what rules give and take comes and goes; an owner belongs to the group by what a person decided
	t, err := New(s)
	if err != nil {
		c.problem(OfGroup, "", "", "%s", err)
		return
	}
	for i := range c.Members {
		m := &c.Members[i]
		kind, id := SplitPlace(m.Place)
		if kind != KindApp || !m.Admin {
			continue
		}
		for _, g := range t.GroupsOf(m.Place) {
			if !t.belongs(c.who(m.Person), g.ID) {
				c.problem(OfMember, MemberKey(*m), "person", "the owner of app %s does not belong to group %s, which owns it; expected one of its members"+
					" (hand the app over before its owner leaves the group)", id, g.Name)
			}
		}
	}
}

// belongs: without an end, directly or from above.
func (t *Tree) belongs(person, group string) bool {
	for _, m := range t.rows[person] {
		if kind, id := SplitPlace(m.Place); kind == KindGroup && permanent(m) && t.Above(id, group) {
			return true
		}
	}
	return false
}
