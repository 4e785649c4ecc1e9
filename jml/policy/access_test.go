package policy_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/jml/access"
	"jmld/jml/policy"
	"jmld/model"
)

// M-29, M-56: rules see what somebody holds by groups and roles, and nobody's list is unknown.
func TestRulesSeeGroupsAndRoles(t *testing.T) {
	t.Parallel()
	row := func(place, role string) model.AccessMember {
		return model.AccessMember{Person: "ada", Place: place, Role: role}
	}
	tree, err := access.New(access.State{
		Roles:     []model.AccessRole{{ID: "developer", Name: "Developer", Permissions: `{"project":["edit"]}`}, {ID: "guest", Name: "Guest"}},
		Groups:    []model.AccessGroup{{ID: "builders", Name: "Builders", Parent: "root"}, {ID: "berlin", Name: "Berlin", Parent: "builders"}},
		Resources: []model.AccessResource{{Place: "app:crm", Name: "CRM"}, {Place: "app:hr", Name: "HR"}, {Place: "namespace:crm", Name: "crm"}},
		Links:     []model.AccessLink{{Place: "app:crm", Owner: "berlin", Exclusive: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	some := access.NewView(tree, []model.AccessMember{row("group:builders", "developer"), row("app:hr", "guest")}, time.Now())
	for expr, holds := range map[string][2]bool{ // of somebody who holds something, and of somebody who holds nothing
		`"Berlin" in access.groups`:                                   {true, false},
		`access.groups == ["Berlin", "Builders"]`:                     {true, false},
		`access.roles == ["Developer", "Guest"]`:                      {true, false},
		`access.permissions == ["project:edit"]`:                      {true, false},
		`access.resources == ["app:crm", "app:hr"]`:                   {true, false},
		`access.rolesOn("CRM") == ["Developer"]`:                      {true, false},
		`access.rolesOn("app:HR") == ["Guest"]`:                       {true, false},
		`access.rolesOn("namespace:crm") == []`:                       {true, true},
		`access.permissionsOn("crm").exists(p, p.startsWith("proj"))`: {true, false},
		`access.permissionsOn("hr").size() == 0`:                      {true, true},
		`has(access.groups) && access.groups.size() > 0`:              {true, false},
		`dyn(access).roles.size() == 2`:                               {true, false},
		`access.rolesOn(person.userName).size() > 0`:                  {false, false},
	} {
		p := compile(t, policy.Config{Accounts: []policy.Rule{{Name: "r", Target: "t", When: expr}}})
		for i, view := range []*access.View{some, nil} {
			person := ada()
			person.Access = view
			out := p.Evaluate(person)
			if len(out.Findings) > 0 || (len(out.Grants) == 1) != holds[i] {
				t.Errorf("%s: %d grants, findings %v", expr, len(out.Grants), out.Findings)
			}
		}
	}
	for expr, want := range map[string]string{
		"access.permission.size() > 0": `unknown field "permission"; did you mean permissions? expected one of groups, roles, permissions, resources`,
		"acces.roles.size() > 0":       `unknown name "acces"; did you mean access?`,
		"access":                       "the expression yields jmld.Access; expected a condition, true or false",
		`access.rolesOn("x").all(a, access.rolesOn("y").all(b, a == b))`: "the expression could take too long",
	} {
		_, mistakes := policy.Compile(policy.Config{Accounts: []policy.Rule{{Name: "r", Target: "t", When: expr}}}, []string{"t"})
		if len(mistakes) != 1 || !cmp.Equal(mistakes[0].Text[:min(len(want), len(mistakes[0].Text))], want) {
			t.Errorf("%s: %v", expr, fmt.Sprint(mistakes))
		}
	}
}
