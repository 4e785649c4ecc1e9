package ldapsync_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"jmld/jml/entry"
	"jmld/model"
)

// fact is what is compared of one record: with what a plain client reads from the directory, and with what it was before.
type fact struct {
	Kind    model.Kind
	Name    string
	Title   string
	Manager string // id
	Active  bool
	Members []string           // ids
	Account model.AccountState // active, or nothing
}

// tree is a part of a directory with people and groups, changed by nobody else.
type tree struct {
	*estate
	t      testing.TB
	base   string
	people []string // DNs
	groups []string
	made   int
	conn   *ldap.Conn
	mu     sync.Mutex      // guards what changes, when a change comes in the middle of a run
	there  map[string]bool // by name, the people and groups that are there and are active
}

// plant makes a tree with people, two groups of some of them, and a group of groups.
func (e *estate) plant(t testing.TB, name string, people int) *tree {
	t.Helper()
	tr := &tree{estate: e, t: t, base: "ou=" + name + "," + e.root, there: map[string]bool{}}
	tr.do(func(c *ldap.Conn) error {
		for _, ou := range []string{tr.base, "ou=inner," + tr.base} {
			if err := addEntry(c, ou, map[string][]string{"objectClass": {"organizationalUnit"}}); err != nil {
				return err
			}
		}
		for range people {
			if err := tr.join(c); err != nil {
				return err
			}
		}
		for i, members := range [][]string{tr.people[:people/2], tr.people[people/3:], nil} {
			if members == nil {
				members = []string{tr.groups[0], tr.people[0]}
			}
			dn := fmt.Sprintf("cn=%s-g%d,%s", name, i, tr.base)
			if err := addEntry(c, dn, e.group(fmt.Sprintf("%s-g%d", name, i), members)); err != nil {
				return err
			}
			tr.groups = append(tr.groups, dn)
			tr.there[fmt.Sprintf("%s-g%d", name, i)] = true
		}
		return nil
	})
	return tr
}

// do does something as an administrator.
func (tr *tree) do(what func(*ldap.Conn) error) {
	tr.t.Helper()
	if tr.conn == nil {
		c, err := tr.Dial()
		if err != nil {
			tr.t.Fatal(err)
		}
		tr.conn = c
		tr.t.Cleanup(func() { c.Close() })
	}
	if err := what(tr.conn); err != nil {
		tr.t.Fatal(err)
	}
}

func addEntry(c *ldap.Conn, dn string, attrs map[string][]string) error {
	req := ldap.NewAddRequest(dn, nil)
	for name, values := range attrs {
		req.Attribute(name, values)
	}
	return c.Add(req)
}

func replaceAttr(c *ldap.Conn, dn, attr string, values ...string) error {
	req := ldap.NewModifyRequest(dn, nil)
	req.Replace(attr, values)
	return c.Modify(req)
}

// join adds a person whose manager is the one before.
func (tr *tree) join(c *ldap.Conn) error {
	name := fmt.Sprintf("%s-p%d", nameOf(tr.base), tr.made)
	tr.made++
	attrs := tr.person(name)
	attrs["title"] = []string{"Engineer"}
	if n := len(tr.people); n > 0 {
		attrs["manager"] = []string{tr.people[n-1]}
	}
	dn := tr.rdn + "=" + name + "," + tr.base
	if err := addEntry(c, dn, attrs); err != nil {
		return err
	}
	tr.people = append(tr.people, dn)
	tr.there[name] = true
	return nil
}

// nameOf is the value of a DN's first RDN.
func nameOf(dn string) string {
	first, _, _ := strings.Cut(dn, ",")
	_, name, _ := strings.Cut(first, "=")
	return name
}

// aboveOf is the DN of the superior.
func aboveOf(dn string) string {
	_, above, _ := strings.Cut(dn, ",")
	return above
}

// present are the names of people and groups that are there.
func (tr *tree) present() map[string]bool {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return maps.Clone(tr.there)
}

// change makes real changes before the n-th run: somebody gets a title, somebody joins, a group changes, and now and then
// somebody is deleted.
func (tr *tree) change(n int, leave bool) {
	tr.t.Helper()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.do(func(c *ldap.Conn) error {
		if err := replaceAttr(c, tr.people[n%len(tr.people)], "title", fmt.Sprintf("Title %d", n)); err != nil {
			return err
		}
		if leave {
			gone := tr.people[len(tr.people)-1]
			if err := tr.leaveGroups(c, gone); err != nil {
				return err
			}
			if err := c.Del(ldap.NewDelRequest(gone, nil)); err != nil {
				return err
			}
			tr.people = tr.people[:len(tr.people)-1]
			delete(tr.there, nameOf(gone))
			if err := tr.join(c); err != nil {
				return err
			}
		}
		members := []string{tr.people[n%len(tr.people)], tr.people[(n+1)%len(tr.people)], tr.people[(n+3)%len(tr.people)]}
		slices.Sort(members)
		return replaceAttr(c, tr.groups[n%2], "member", slices.Compact(members)...)
	})
}

// leaveGroups takes the person out of the groups and away from those who have them as manager, as directories do that keep
// references whole; OpenLDAP does not by itself.
func (tr *tree) leaveGroups(c *ldap.Conn, dn string) error {
	r, err := c.Search(ldap.NewSearchRequest(tr.base, ldap.ScopeWholeSubtree, 0, 0, 0, false,
		fmt.Sprintf("(|(member=%[1]s)(manager=%[1]s))", ldap.EscapeFilter(dn)), []string{"member", "manager"}, nil))
	if err != nil {
		return err
	}
	for _, e := range r.Entries {
		for _, attr := range []string{"member", "manager"} {
			values := e.GetAttributeValues(attr)
			left := slices.DeleteFunc(slices.Clone(values), func(v string) bool { return strings.EqualFold(v, dn) })
			if len(left) == len(values) {
				continue
			}
			if attr == "member" && len(left) == 0 {
				left = []string{tr.people[0]}
			}
			if err := replaceAttr(c, e.DN, attr, left...); err != nil {
				return err
			}
		}
	}
	return nil
}

// truth reads the tree as a plain client does, with go-ldap and without pages.
func (tr *tree) truth() map[string]fact {
	tr.t.Helper()
	all, ids, members, managers := map[string]fact{}, map[string]string{}, map[string][]string{}, map[string]string{}
	tr.do(func(c *ldap.Conn) error {
		r, err := c.Search(ldap.NewSearchRequest(tr.base, ldap.ScopeWholeSubtree, 0, 0, 0, false,
			"(|(&(|(objectClass=inetOrgPerson)(objectClass=user))(!(employeeType=former)))(objectClass=groupOfNames)(objectClass=group))",
			[]string{tr.idAttr, "uid", "cn", "userPrincipalName", "title", "manager", "member", "objectClass", tr.off[0]}, nil))
		if err != nil {
			return err
		}
		for _, e := range r.Entries {
			id := e.GetAttributeValue(tr.idAttr)
			if tr.idAttr == "objectGUID" {
				if id, err = entry.GUID.Convert(e.GetRawAttributeValue(tr.idAttr)); err != nil {
					return err
				}
			}
			ids[strings.ToLower(e.DN)] = id
			f := fact{Kind: model.KindUser, Name: e.GetAttributeValue("uid") + e.GetAttributeValue("userPrincipalName"), Title: e.GetAttributeValue("title"),
				Active: !slices.Contains(e.GetAttributeValues(tr.off[0]), tr.off[1])}
			if f.Active {
				f.Account = model.AccountActive
			}
			if classes := e.GetAttributeValues("objectClass"); slices.Contains(classes, "groupOfNames") || slices.Contains(classes, "group") {
				f = fact{Kind: model.KindGroup, Name: e.GetAttributeValue("cn"), Active: true}
			}
			all[id], members[id], managers[id] = f, e.GetAttributeValues("member"), e.GetAttributeValue("manager")
		}
		return nil
	})
	for id, f := range all {
		f.Manager = ids[strings.ToLower(managers[id])]
		for _, dn := range members[id] {
			if m, ok := ids[strings.ToLower(dn)]; ok && f.Kind == model.KindGroup {
				f.Members = append(f.Members, m)
			}
		}
		slices.Sort(f.Members)
		all[id] = f
	}
	return all
}
