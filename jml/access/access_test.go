package access_test

import (
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/jml/access"
	"jmld/model"
)

func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func role(name string, permissions ...access.Permission) model.AccessRole {
	return model.AccessRole{ID: access.ID(name), Name: name, Permissions: access.EncodePermissions(permissions)}
}

func group(name, parent string) model.AccessGroup {
	return model.AccessGroup{ID: access.ID(name), Name: name, Description: "Group " + name, Parent: access.ID(parent)}
}

func member(person, place, role string) model.AccessMember {
	return model.AccessMember{Person: person, Place: place, Role: access.ID(role), Reason: "request 7", Approver: "operator ada"}
}

func admin(person, place string) model.AccessMember {
	m := member(person, place, "")
	m.Admin = true
	return m
}

func app(name string) model.AccessResource {
	return model.AccessResource{Place: access.Place(access.KindApp, name), Name: name}
}

func namespace(name string) model.AccessResource {
	return model.AccessResource{Place: access.Place(access.KindNamespace, name), Name: name}
}

func owns(group, app string) model.AccessLink {
	return model.AccessLink{Place: access.Place(access.KindApp, app), Owner: access.ID(group), Exclusive: true}
}

func uses(group, namespace string) model.AccessLink {
	return model.AccessLink{Place: access.Place(access.KindNamespace, namespace), Owner: access.ID(group)}
}

// company is a small tree that holds together:
//
//	root — Platform — Builders — Berlin     Builders owns CRM, Berlin is associated with crm-prod, as is Operations
//	     — Operations
func company() access.State {
	return access.State{
		Roles: []model.AccessRole{
			role("Developer", access.Permission{Area: "project", Name: "edit"}, access.Permission{Area: "cicd", Name: "build"}),
			role("Operator", access.Permission{Area: "cluster", Name: "deploy"}, access.Permission{Area: "cicd", Name: "build"}),
			{ID: "auditor", Name: "Auditor", App: "app:crm", Permissions: "{}"},
		},
		Groups:    []model.AccessGroup{group("Platform", "root"), group("Builders", "Platform"), group("Berlin", "builders"), group("Operations", "root")},
		Resources: []model.AccessResource{app("CRM"), namespace("crm-prod")},
		Links:     []model.AccessLink{owns("Builders", "CRM"), uses("Berlin", "crm-prod"), uses("Operations", "crm-prod")},
		Members: []model.AccessMember{
			admin("lena", "group:platform"), admin("lena", "group:builders"), admin("lena", "group:berlin"), admin("omar", "group:operations"),
			member("ada", "group:platform", "Developer"), member("bo", "group:builders", "Developer"), member("omar", "group:operations", "Operator"),
			admin("ada", "app:crm"), member("cy", "app:crm", "Auditor"),
		},
	}
}

func tree(t *testing.T, s access.State) *access.Tree {
	t.Helper()
	if bad := access.Check(s, access.Areas()); bad != nil {
		t.Fatal(bad)
	}
	tr, err := access.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// M-58: who is on a resource, and how: directly as owner or invited, or inherited from the owner's group or a parent group, with the path.
func TestATeamSaysHowEachRoleIsHeld(t *testing.T) {
	t.Parallel()
	type held struct {
		Person, Role, How, Origin string
		Direct                    bool
		Path                      string
	}
	tr := tree(t, company())
	for place, want := range map[string][]held{
		"app:crm": {
			{"ada", "", access.Owner, "app:crm", true, ""},
			{"ada", "Developer", access.Parent, "group:platform", false, "Platform > Builders"},
			{"bo", "Developer", access.OwnerGroup, "group:builders", false, "Builders"},
			{"cy", "Auditor", access.Invited, "app:crm", true, ""},
		},
		"namespace:crm-prod": {
			{"ada", "Developer", access.Parent, "group:platform", false, "Platform > Builders > Berlin"},
			{"bo", "Developer", access.Parent, "group:builders", false, "Builders > Berlin"},
			{"omar", "Operator", access.Associated, "group:operations", false, "Operations"},
		},
		"group:builders": {
			{"ada", "Developer", access.Parent, "group:platform", false, "Platform > Builders"},
			{"bo", "Developer", access.Member, "group:builders", true, ""},
			{"lena", "", access.Member, "group:builders", true, ""},
		},
	} {
		var got []held
		for _, g := range tr.Team(place, noon()) {
			got = append(got, held{g.Person, g.Role, g.How, g.Origin, g.Direct, strings.Join(g.Path, " > ")})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", place, diff)
		}
	}
}

// M-50: what a role allows changes for everybody who holds it, and no membership does.
func TestPermissionsOfARoleChangeAtOnceForItsHolders(t *testing.T) {
	t.Parallel()
	s := company()
	before := tree(t, s)
	s.Roles = append([]model.AccessRole{role("Developer", access.Permission{Area: "project", Name: "read"})}, s.Roles[1:]...)
	after := tree(t, s)
	texts := func(tr *access.Tree) (out []string) {
		for _, p := range tr.PermissionsOn(tr.Rows("bo"), "app:crm", noon()) {
			out = append(out, p.String())
		}
		return out
	}
	if diff := cmp.Diff([]string{"cicd:build", "project:edit"}, texts(before)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"project:read"}, texts(after)); diff != "" {
		t.Error(diff)
	}
	changes := access.Diff(company(), s)
	if changes.Count() != 1 || len(changes.Members.Put) != 0 {
		t.Errorf("%+v", changes)
	}
	if diff := cmp.Diff([]string{"ada", "bo"}, access.Affected(company(), s, changes)); diff != "" {
		t.Error(diff)
	}
}

// M-54, M-28: a group has no role, and nothing here knows roles of modules.
func TestOnlyMembersHaveRoles(t *testing.T) {
	t.Parallel()
	for _, typ := range []reflect.Type{reflect.TypeFor[model.AccessGroup](), reflect.TypeFor[model.AccessLink](), reflect.TypeFor[model.AccessResource]()} {
		for i := range typ.NumField() {
			if name := typ.Field(i).Name; strings.Contains(name, "Role") || strings.Contains(name, "Permission") {
				t.Errorf("%s.%s", typ, name)
			}
		}
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[model.AccessRole](), reflect.TypeFor[model.AccessMember]()} {
		for i := range typ.NumField() {
			if strings.Contains(typ.Field(i).Name, "Module") {
				t.Errorf("%s.%s", typ, typ.Field(i).Name)
			}
		}
	}
}

// M-49: the platform's predefined roles and custom ones are found by name, however it is written, and shown as they were declared.
func TestRolesAreFoundByName(t *testing.T) {
	t.Parallel()
	s := access.State{}
	for _, name := range []string{"Developer", "Contributor", "Operator", "Administrator", "Release Manager"} {
		s.Roles = append(s.Roles, role(name))
	}
	tr := tree(t, s)
	for in, want := range map[string]string{"developer": "Developer", "OPERATOR": "Operator", " release  manager": "Release Manager"} {
		if got := tr.RoleName(access.ID(in)); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

// M-08, M-48, M-51–M-54, M-24, M-60: what cannot be stored, and why.
func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	soon, later := noon(), noon().Add(time.Hour)
	for name, test := range map[string]struct {
		spoil func(*access.State)
		want  string
	}{
		"a cycle": {func(s *access.State) { s.Groups[0].Parent = "berlin" },
			"group platform parent: the parents go round in a circle (platform -> berlin -> builders -> platform); expected a way to the root"},
		"a group below itself": {func(s *access.State) { s.Groups[3].Parent = "operations" },
			"group operations parent: the parents go round in a circle (operations -> operations); expected a way to the root"},
		"no parent":      {func(s *access.State) { s.Groups[3].Parent = "" }, "group operations parent: group Operations has no parent; expected the name of one, or root"},
		"an unknown one": {func(s *access.State) { s.Groups[3].Parent = "oops" }, `group operations parent: unknown group "oops"; expected one that there is, or root`},
		"two parents":    {func(s *access.State) { s.Groups = append(s.Groups, group("Berlin", "Operations")) }, "group berlin name: group Berlin is there twice; expected one parent for each"},
		"another root": {func(s *access.State) {
			s.Groups[3] = group("Root", "Platform")
			s.Links = s.Links[:2]
			s.Members[3].Place, s.Members[6].Place = "group:berlin", "group:berlin"
		}, "group root name: the root is always there; expected another name\ngroup root admins: group Root has no admin without an end; expected at least one"},
		"no description":   {func(s *access.State) { s.Groups[2].Description = " " }, "group berlin description: group Berlin has no description; expected a sentence that says what it is for"},
		"no admin":         {func(s *access.State) { s.Members = s.Members[1:] }, "group platform admins: group Platform has no admin without an end; expected at least one"},
		"an admin for now": {func(s *access.State) { s.Members[0].ValidTo = &soon }, "group platform admins: group Platform has no admin without an end; expected at least one"},
		"a second owner": {func(s *access.State) { s.Links = append(s.Links, owns("Operations", "crm")) },
			"link app:crm operations : app crm has a second owner: it is owned by group builders; expected one of them"},
		"two people own":          {func(s *access.State) { s.Members = append(s.Members, admin("bo", "app:crm")) }, "member app:crm||bo person: app crm has a second owner; expected one person"},
		"a namespace owned":       {func(s *access.State) { s.Members = append(s.Members, admin("bo", "namespace:crm-prod")) }, "member namespace:crm-prod||bo : a namespace has no owner; expected a role"},
		"a stranger owns":         {func(s *access.State) { s.Members[7].Person = "omar" }, "member app:crm||omar person: the owner of app crm does not belong to group Builders, which owns it; expected one of its members (hand the app over before its owner leaves the group)"},
		"the owner left":          {func(s *access.State) { s.Members[4].Person = "dee" }, "member app:crm||ada person: the owner of app crm does not belong to group Builders, which owns it; expected one of its members (hand the app over before its owner leaves the group)"},
		"an undeclared role":      {func(s *access.State) { s.Members[5].Role = "wizard" }, `member group:builders|wizard|bo role: unknown role "wizard"; expected one that there is`},
		"another app's role":      {func(s *access.State) { s.Members[5].Role = "auditor" }, "member group:builders|auditor|bo role: role Auditor is one of app:crm; expected a central role, or one of this app"},
		"a role of no app":        {func(s *access.State) { s.Roles[2].App = "app:hr"; s.Members = s.Members[:8] }, `role auditor app: unknown app "hr"; expected one that there is`},
		"an undeclared area":      {func(s *access.State) { s.Roles[0] = role("Developer", access.Permission{Area: "hr", Name: "x"}) }, `role developer permissions: unknown area "hr"; expected one of cicd, cluster, project`},
		"no reason":               {func(s *access.State) { s.Members[5].Reason = "" }, "member group:builders|developer|bo reason: no reason; expected why the person holds the role"},
		"no approver":             {func(s *access.State) { s.Members[5].Approver = "" }, "member group:builders|developer|bo approver: no approver; expected a natural person"},
		"an end before the begin": {func(s *access.State) { s.Members[5].ValidFrom, s.Members[5].ValidTo = &later, &soon }, "member group:builders|developer|bo to: it ends before it begins; expected a later end"},
		"one person under two keys": {func(s *access.State) {
			s.People = map[string]string{"email:bo@example.org": "bo"}
			s.Members = append(s.Members, member("email:bo@example.org", "group:builders", "developer"))
		}, "member group:builders|developer|email:bo@example.org : the person has this role here twice; expected it once"},
		"a place that is not there": {func(s *access.State) { s.Members = append(s.Members, member("bo", "app:hr", "developer")) }, `member app:hr|developer|bo : unknown app "hr"; expected one that there is`},
		"a name of two lines":       {func(s *access.State) { s.Roles[1].Name = "a\nb" }, "role operator name: the name has something in it that cannot be printed; expected one line of text"},
	} {
		s := company()
		test.spoil(&s)
		var got []string
		for _, p := range access.Check(s, access.Areas()) {
			got = append(got, p.Kind+" "+strings.ReplaceAll(p.Key, "\n", "|")+" "+p.Field+": "+p.Text)
		}
		if diff := cmp.Diff(test.want, strings.Join(got, "\n")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// M-61
func TestStats(t *testing.T) {
	t.Parallel()
	s := company()
	s.Resources = append(s.Resources, app("HR"), namespace("idle"))
	want := access.Stats{Groups: 4, Depth: 3, Roles: 3, Apps: 2, OwnedApps: 1, Namespaces: 2, Assigned: 1, Associations: 2, People: 5, Memberships: 6, AverageMembers: 1.5}
	if diff := cmp.Diff(want, tree(t, s).Stats()); diff != "" {
		t.Error(diff)
	}
}

// M-24: roles count from their begin and up to their end, and it is known when that changes.
func TestValidity(t *testing.T) {
	t.Parallel()
	from, to := noon().Add(time.Hour), noon().Add(2*time.Hour)
	s := company()
	s.Members[5].ValidFrom, s.Members[5].ValidTo = &from, &to
	tr := tree(t, s)
	rows := tr.Rows("bo")
	for at, want := range map[time.Time]int{noon(): 0, from: 1, to.Add(-time.Microsecond): 1, to: 0} {
		if got := len(tr.On(rows, "app:crm", at)); got != want {
			t.Errorf("%v: %d grants, want %d", at, got, want)
		}
	}
	for at, want := range map[time.Time]*time.Time{noon(): &from, from: &to, to: nil} {
		if diff := cmp.Diff(want, access.NextChange(rows, at)); diff != "" {
			t.Errorf("%v: %s", at, diff)
		}
	}
}

// What a change touches: everybody who may hold something else than before.
func TestAffected(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*access.State)
		want   []string
	}{
		"nothing":               {func(*access.State) {}, []string{}},
		"a group moves":         {func(s *access.State) { s.Groups[2].Parent = "operations" }, []string{"ada", "bo", "lena", "omar"}},
		"a namespace is linked": {func(s *access.State) { s.Links = append(s.Links, uses("Platform", "crm-prod")) }, []string{"ada", "lena"}},
		"an app is renamed":     {func(s *access.State) { s.Resources[0].Name = "crm" }, []string{"ada", "bo", "cy", "lena"}},
		"a member goes":         {func(s *access.State) { s.Members = append(s.Members[:5:5], s.Members[6:]...) }, []string{"bo"}},
		"an owner changes":      {func(s *access.State) { s.Members[7].Person = "bo" }, []string{"ada", "bo"}},
	} {
		before, after := company(), company()
		test.change(&after)
		if diff := cmp.Diff(test.want, access.Affected(before, after, access.Diff(before, after))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// M-25: who decides, by what is asked for. Whoever administers the approvers' group, or is above it, does not decide alone by that.
func TestWhoseApprovalsAreEnough(t *testing.T) {
	t.Parallel()
	s := company()
	s.Groups = append(s.Groups, group("Security", "root"))
	for _, m := range []model.AccessMember{admin("a", "group:builders"), admin("b", "group:platform"), admin("root", "group:root"),
		admin("head", "group:security"), member("sam", "group:security", "Developer"), member("x", "group:berlin", "Developer")} {
		s.Give(m)
	}
	tree, err := access.New(s)
	if err != nil {
		t.Fatal(err)
	}
	r := access.RequestRules{Privileged: []access.Thing{{Kind: access.KindPermission, ID: "cluster:deploy"}, {Kind: access.KindGroup, ID: "operations"}},
		Approvers: "security", Free: []string{"auditor"}}
	for _, test := range []struct {
		row        model.AccessMember
		by         string
		want       bool
		privileged bool
	}{
		{member("p", "group:builders", "Developer"), "", false, false},
		{member("p", "group:builders", "Developer"), "a", true, false},
		{member("p", "group:builders", "Developer"), "b", true, false},
		{member("p", "group:builders", "Developer"), "x", false, false},
		{member("p", "group:builders", "Developer"), "head", false, false},
		{member("p", "group:builders", "Developer"), "sam", true, false},
		{member("p", "app:crm", "Operator"), "a", false, true},
		{member("p", "app:crm", "Operator"), "a x", false, true},
		{member("p", "app:crm", "Operator"), "a b", true, true},
		{member("p", "app:crm", "Operator"), "sam", true, true},
		{member("p", "app:crm", "Operator"), "root", false, true},
		{admin("p", "group:builders"), "a", false, true},
		{member("p", "group:operations", "Developer"), "root", false, true},
		{member("p", "group:root", "Developer"), "root", false, true}, // reaches Operations
		{member("p", "group:security", "Developer"), "head", false, true},
	} {
		if got := r.IsPrivileged(tree, test.row); got != test.privileged {
			t.Errorf("%+v is privileged: %t", test.row, got)
		}
		if got := r.Enough(tree, test.row, false, strings.Fields(test.by), noon()); got != test.want {
			t.Errorf("%s at %s by %q: %t, want %t", test.row.Role, test.row.Place, test.by, got, test.want)
		}
	}
	if !r.IsFree(tree, member("p", "app:crm", "Auditor")) || r.IsFree(tree, member("p", "group:builders", "Auditor")) {
		t.Error("a free role is free on an app, and nowhere else")
	}
}

// What is given for a request goes on where something ends, and takes nothing from anybody.
func TestAGrantTakesNothingAway(t *testing.T) {
	t.Parallel()
	day := func(n int) *time.Time { d := noon().AddDate(0, 0, n); return &d }
	row := func(from, to *time.Time) model.AccessMember {
		m := member("p", "group:builders", "Developer")
		m.ValidFrom, m.ValidTo = from, to
		return m
	}
	ended, asAdmin := row(nil, nil), row(nil, day(5))
	ended.EndedAt, asAdmin.Admin = day(-1), true
	for name, test := range map[string]struct {
		is   []model.AccessMember
		asks model.AccessMember
		want string // error, or from and to
	}{
		"nothing there":       {nil, row(nil, day(9)), "always 9"},
		"for longer already":  {[]model.AccessMember{row(nil, nil)}, row(nil, day(9)), "already"},
		"by inheritance":      {[]model.AccessMember{member("p", "group:platform", "Developer")}, row(nil, day(9)), "already, through Platform > Builders"},
		"goes on":             {[]model.AccessMember{row(day(-5), day(5))}, row(day(3), day(9)), "-5 9"},
		"is over":             {[]model.AccessMember{row(nil, day(-1))}, row(nil, day(9)), "always 9"},
		"with a gap":          {[]model.AccessMember{row(nil, day(2))}, row(day(4), day(9)), "expected no gap"},
		"as an admin":         {[]model.AccessMember{asAdmin}, row(nil, day(9)), "expected a request to administer"},
		"to administer by it": {[]model.AccessMember{row(nil, nil)}, func() model.AccessMember { m := row(nil, day(9)); m.Admin = true; return m }(), "without a role"},
		"before they left":    {[]model.AccessMember{ended}, row(nil, day(9)), "settled first"},
	} {
		s := company()
		s.Members = append(s.Members, test.is...)
		tree, err := access.New(s)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := s.Grant(tree, test.asks, noon()); err != nil {
			got = err.Error()
		} else {
			m := s.Members[len(s.Members)-1]
			days := func(at *time.Time) string {
				if at == nil {
					return "always"
				}
				return strconv.Itoa(int(at.Sub(noon()).Hours() / 24))
			}
			got = days(m.ValidFrom) + " " + days(m.ValidTo)
		}
		if !strings.Contains(got, test.want) {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}
