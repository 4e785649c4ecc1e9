package access_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"jmld/jml/access"
	"jmld/model"
)

// drawn is a random state that holds together.
func drawn(t *rapid.T) access.State {
	s := access.State{}
	var areas []access.Permission
	for _, a := range access.Areas() {
		for i := range 3 {
			areas = append(areas, access.Permission{Area: a, Name: fmt.Sprint("p", i)})
		}
	}
	for i := range rapid.IntRange(1, 4).Draw(t, "roles") {
		s.Roles = append(s.Roles, role(fmt.Sprint("R", i), rapid.SliceOfNDistinct(rapid.SampledFrom(areas), 0, 4, access.Permission.String).Draw(t, "permissions")...))
	}
	people := []string{"p0", "p1", "p2", "p3"}
	places := []string{"group:root"}
	names := []string{"root"}
	for i := range rapid.IntRange(0, 12).Draw(t, "groups") {
		name := fmt.Sprint("G", i)
		s.Groups = append(s.Groups, group(name, rapid.SampledFrom(names).Draw(t, "parent")))
		s.Members = append(s.Members, admin(rapid.SampledFrom(people).Draw(t, "admin"), access.Place(access.KindGroup, name)))
		names, places = append(names, name), append(places, access.Place(access.KindGroup, name))
	}
	for i := range rapid.IntRange(0, 5).Draw(t, "resources") {
		name := fmt.Sprint("X", i)
		if rapid.Bool().Draw(t, "app") {
			s.Resources, places = append(s.Resources, app(name)), append(places, access.Place(access.KindApp, name))
			if rapid.Bool().Draw(t, "owned") {
				s.Links = append(s.Links, owns(rapid.SampledFrom(names).Draw(t, "owner"), name))
			}
			continue
		}
		s.Resources, places = append(s.Resources, namespace(name)), append(places, access.Place(access.KindNamespace, name))
		for _, g := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 3, rapid.ID[string]).Draw(t, "associated") {
			s.Links = append(s.Links, uses(g, name))
		}
	}
	seen := map[string]bool{}
	for range rapid.IntRange(0, 15).Draw(t, "members") {
		m := member(rapid.SampledFrom(people).Draw(t, "person"), rapid.SampledFrom(places).Draw(t, "place"), rapid.SampledFrom(s.Roles).Draw(t, "role").Name)
		for _, end := range []**time.Time{&m.ValidFrom, &m.ValidTo} {
			if rapid.IntRange(0, 4).Draw(t, "bounded") == 0 {
				at := noon().Add(time.Duration(rapid.IntRange(-2, 2).Draw(t, "at")) * time.Hour)
				*end = &at
			}
		}
		ends := m.ValidFrom != nil && m.ValidTo != nil && !m.ValidFrom.Before(*m.ValidTo)
		if key := access.MemberKey(m); !seen[key] && !ends {
			seen[key] = true
			s.Members = append(s.Members, m)
		}
	}
	return s
}

// inherited is M-55 as it reads: the members of a group are its own and those of its parent, with the same roles.
func inherited(s access.State, group string, now time.Time) []model.AccessMember {
	var rows []model.AccessMember
	if group != model.AccessRoot {
		for _, g := range s.Groups {
			if g.ID == group {
				rows = inherited(s, g.Parent, now)
			}
		}
	}
	for _, m := range s.Members {
		if m.Place == "group:"+group && access.Holds(m, now) {
			rows = append(rows, m)
		}
	}
	return rows
}

// on are all rows that count on a resource.
func on(s access.State, place string, now time.Time) []model.AccessMember {
	var rows []model.AccessMember
	for _, m := range s.Members {
		if m.Place == place && access.Holds(m, now) {
			rows = append(rows, m)
		}
	}
	for _, l := range s.Links {
		if l.Place == place {
			rows = append(rows, inherited(s, l.Owner, now)...)
		}
	}
	return rows
}

// allowed is the union of what the roles of a person's rows allow.
func allowed(s access.State, rows []model.AccessMember, person string) []string {
	var out []string
	for _, m := range rows {
		for _, r := range s.Roles {
			if m.Person != person || m.Role != r.ID {
				continue
			}
			list, err := access.Permissions(r)
			if err != nil {
				panic(err)
			}
			for _, p := range list {
				out = append(out, p.String())
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func texts(list []access.Permission) []string {
	var out []string
	for _, p := range list {
		out = append(out, p.String())
	}
	return out
}

// M-55, M-56: what is computed with intervals is what the words say, on random trees.
func TestEffectiveRightsAreTheUnionOfAllDirectAndInheritedRoles(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := drawn(t)
		if bad := access.Check(s, access.Areas()); bad != nil {
			t.Fatal(bad)
		}
		tr, err := access.New(s)
		if err != nil {
			t.Fatal(err)
		}
		now := noon()
		for _, person := range []string{"p0", "p1", "p2", "p3"} {
			rows := tr.Rows(person)
			var reach, groups []string
			for _, r := range s.Resources {
				want := on(s, r.Place, now)
				if diff := cmp.Diff(allowed(s, want, person), texts(tr.PermissionsOn(rows, r.Place, now))); diff != "" {
					t.Fatalf("%s on %s: %s", person, r.Place, diff)
				}
				holds := 0
				for _, m := range want {
					if m.Person == person {
						reach = append(reach, r.Place)
						if m.Role != "" || m.Place == r.Place {
							holds++
						}
					}
				}
				grants := tr.On(rows, r.Place, now)
				if len(grants) != holds {
					t.Fatalf("%s on %s: %d ways, want %d: %v", person, r.Place, len(grants), holds, grants)
				}
				for _, g := range grants {
					if g.Direct != (len(g.Path) == 0) || g.Direct != (g.Origin == r.Place) || g.Row.Person != person {
						t.Fatalf("%+v", g)
					}
				}
			}
			for _, g := range append([]model.AccessGroup{{ID: model.AccessRoot, Name: model.AccessRoot}}, s.Groups...) {
				for _, m := range inherited(s, g.ID, now) {
					if m.Person == person && !slices.Contains(groups, g.Name) {
						groups = append(groups, g.Name)
					}
				}
			}
			slices.Sort(reach)
			if diff := cmp.Diff(slices.Compact(reach), tr.Reach(rows, now), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("%s reaches: %s", person, diff)
			}
			names := tr.GroupNames(rows, now)
			slices.SortFunc(groups, func(a, b string) int { return strings.Compare(access.ID(a), access.ID(b)) })
			if diff := cmp.Diff(groups, names, cmpopts.EquateEmpty()); diff != "" || tr.CountGroups(rows, now) != len(groups) {
				t.Fatalf("%s is in: %s", person, diff)
			}
		}
	})
}

// M-51: every sequence of inserts and moves leaves a tree, because whatever would not is refused.
func TestMovesLeaveATreeOrAreRefused(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := drawn(t)
		if len(s.Groups) == 0 {
			return
		}
		i := rapid.IntRange(0, len(s.Groups)-1).Draw(t, "moved")
		to := rapid.SampledFrom(append([]model.AccessGroup{{ID: model.AccessRoot}}, s.Groups...)).Draw(t, "below").ID
		tr, err := access.New(s)
		if err != nil {
			t.Fatal(err)
		}
		cycle := tr.Above(s.Groups[i].ID, to)
		before := s
		s.Groups = slices.Clone(s.Groups)
		s.Groups[i].Parent = to
		bad := access.Check(s, access.Areas())
		if cycle != (len(bad) > 0) {
			t.Fatalf("%s below %s: %v", s.Groups[i].ID, to, bad)
		}
		after, err := access.New(s)
		if cycle != (err != nil) {
			t.Fatal(err)
		}
		if cycle {
			return
		}
		if got := after.Path(model.AccessRoot, s.Groups[i].ID); len(got) != after.Depth(s.Groups[i].ID)+1 || got[0] != model.AccessRoot {
			t.Fatal(got)
		}
		// M-57: whoever holds something else than before is named.
		affected := access.Affected(before, s, access.Diff(before, s))
		for _, person := range after.People() {
			rows := after.Rows(person)
			same := cmp.Equal(tr.Reach(rows, noon()), after.Reach(rows, noon())) && cmp.Equal(tr.GroupNames(rows, noon()), after.GroupNames(rows, noon()))
			if !same && !slices.Contains(affected, person) {
				t.Fatalf("%s has other rights and is not among %v", person, affected)
			}
		}
	})
}

// The difference between two states makes one of the other.
func TestDiffIsWhatHasToBeWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawn(t), drawn(t)
		c := access.Diff(a, b)
		if again := access.Diff(b, b); again.Count() != 0 || again.Frame() {
			t.Fatal(again)
		}
		drop := map[string]bool{}
		var got []model.AccessMember
		for _, m := range c.Members.Drop {
			drop[access.MemberKey(m)] = true
		}
		for _, m := range c.Members.Put {
			drop[access.MemberKey(m)] = true
		}
		for _, m := range a.Members {
			if !drop[access.MemberKey(m)] {
				got = append(got, m)
			}
		}
		got = append(got, c.Members.Put...)
		if d := access.Diff(access.State{Members: got}, access.State{Members: b.Members}); d.Count() != 0 {
			t.Fatal(d)
		}
	})
}

// big is a tree of so many groups, of which so many lie below each other, with people in them.
func big(groups, depth, members int) access.State {
	s := access.State{Roles: []model.AccessRole{
		role("Developer", access.Permission{Area: "project", Name: "edit"}), role("Operator", access.Permission{Area: "cluster", Name: "deploy"}),
		role("Administrator", access.Permission{Area: "project", Name: "admin"}, access.Permission{Area: "cicd", Name: "admin"}),
	}}
	for i := range groups {
		parent := "root"
		switch {
		case i > 0 && i < depth:
			parent = fmt.Sprint("g", i-1)
		case i >= depth:
			parent = fmt.Sprint("g", i*7919%i)
			if i%3 > 0 {
				parent = fmt.Sprint("g", i/2)
			}
		}
		name := fmt.Sprint("g", i)
		s.Groups = append(s.Groups, group(name, parent))
		s.Members = append(s.Members, admin(fmt.Sprint("p", i), access.Place(access.KindGroup, name)))
		if i%2 == 0 {
			s.Resources, s.Links = append(s.Resources, app(name)), append(s.Links, owns(name, name))
		} else {
			s.Resources, s.Links = append(s.Resources, namespace(name)), append(s.Links, uses(name, name), uses(fmt.Sprint("g", i-1), name))
		}
	}
	for i := len(s.Members); i < members; i++ {
		s.Members = append(s.Members, member(fmt.Sprint("p", i%(members/4)), fmt.Sprint("group:g", i*31%groups), s.Roles[i%3].ID))
	}
	return s
}

// Depth costs no stack, and the deepest member of the tree is found through all of it.
func TestATreeMayBeAsDeepAsItLikes(t *testing.T) {
	t.Parallel()
	const depth = 20_000
	s := access.State{Roles: []model.AccessRole{role("Developer", access.Permission{Area: "project", Name: "edit"})}, Resources: []model.AccessResource{app("CRM")}}
	for i := range depth {
		parent := "root"
		if i > 0 {
			parent = fmt.Sprint("g", i-1)
		}
		s.Groups = append(s.Groups, group(fmt.Sprint("g", i), parent))
		s.Members = append(s.Members, admin("ada", fmt.Sprint("group:g", i)))
	}
	s.Links = []model.AccessLink{owns(fmt.Sprint("g", depth-1), "CRM")}
	s.Members = append(s.Members, member("bo", "group:root", "Developer"))
	tr := tree(t, s)
	grants := tr.On(tr.Rows("bo"), "app:crm", noon())
	if len(grants) != 1 || len(grants[0].Path) != depth+1 || tr.Depth(fmt.Sprint("g", depth-1)) != depth {
		t.Fatalf("%d grants", len(grants))
	}
	s.Groups[0].Parent = fmt.Sprint("g", depth-1)
	if bad := access.Check(s, access.Areas()); len(bad) != 1 {
		t.Fatal(bad)
	}
}

var sink int //nolint:gochecknoglobals // keeps the compiler from leaving the work out

// BenchmarkRights: a tree of 10,000 groups, 1,000 deep, with 100,000 memberships.
func BenchmarkRights(b *testing.B) {
	s := big(10_000, 1_000, 100_000)
	s.Members = append(s.Members, member("everywhere", "group:root", "administrator"))
	tr, err := access.New(s)
	if err != nil {
		b.Fatal(err)
	}
	all := func(person string) {
		rows := tr.Rows(person)
		sink += len(tr.Permissions(rows, noon())) + len(tr.Reach(rows, noon())) + len(tr.GroupNames(rows, noon())) + len(tr.RoleNames(rows, noon()))
	}
	b.Run("one person", func(b *testing.B) {
		for b.Loop() {
			all("p17")
		}
	})
	b.Run("one person at the root", func(b *testing.B) {
		for b.Loop() {
			all("everywhere")
		}
	})
	b.Run("one person on one app", func(b *testing.B) {
		for b.Loop() {
			sink += len(tr.On(tr.Rows("p17"), "app:g998", noon())) + len(tr.PermissionsOn(tr.Rows("p17"), "app:g998", noon()))
		}
	})
	b.Run("everybody", func(b *testing.B) {
		people := tr.People()
		for b.Loop() {
			for _, p := range people {
				sink += len(tr.Permissions(tr.Rows(p), noon()))
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(people)), "ns/person")
	})
	b.Run("tree", func(b *testing.B) {
		for b.Loop() {
			if _, err := access.New(s); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("check", func(b *testing.B) {
		for b.Loop() {
			sink += len(access.Check(s, access.Areas()))
		}
	})
}
