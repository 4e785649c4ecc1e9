package policy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/jml/policy"
)

func TestManagerInRules(t *testing.T) {
	t.Parallel()
	bo := map[string]any{"userName": "bo", "email": "bo@example.org", "active": true}
	for name, tt := range map[string]struct {
		when    string
		manager map[string]any
		want    string
	}{
		"holds":                 {`manager.userName == "bo" && manager.active`, bo, "yes"},
		"does not":              {`manager.email.endsWith("@example.com")`, bo, "no"},
		"is asked for":          {`has(manager.userName)`, bo, "yes"},
		"nobody is asked for":   {`has(manager.userName)`, nil, "no"},
		"has no such thing":     {`has(manager.employeeNumber)`, bo, "no"},
		"nobody is unknown":     {`manager.active`, nil, "manager.active is unassigned"},
		"something is unknown":  {`manager.displayName == "Bo"`, bo, "manager.displayName is unassigned"},
		"one side is enough":    {`person.active || manager.active`, nil, "yes"},
		"the id is still there": {`has(person.manager)`, bo, "no"},
	} {
		p, mistakes := policy.Compile(policy.Config{Accounts: []policy.Rule{{Name: "r", Target: "app", When: tt.when}}}, []string{"app"})
		if len(mistakes) > 0 {
			t.Fatal(name, mistakes)
		}
		out := p.Evaluate(policy.Person{ID: "1", Active: true, Attrs: map[string]any{"userName": "ada"}, Manager: tt.manager})
		got := "no"
		switch {
		case len(out.Findings) > 0:
			got = out.Findings[0].Text
		case len(out.Grants) > 0:
			got = "yes"
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if asks := strings.Contains(strings.ReplaceAll(tt.when, "person.manager", ""), "manager"); p.AsksManagers() != asks {
			t.Errorf("%s: asks for managers: %v", name, p.AsksManagers())
		}
	}
}

func TestMistakesAboutManagers(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string]string{
		`manager.usrName == "x"`: `unknown field "usrName"; did you mean userName? expected one of userName, displayName, email, employeeNumber, active`,
		`has( manager . titel )`: `unknown field "titel"; expected one of userName, displayName, email, employeeNumber, active`,
		`manager.active == "x"`:  "no matching overload",
		`manger.active`:          `unknown name "manger"; did you mean manager?`,
		`manager == "bo"`:        "no matching overload",
	} {
		_, mistakes := policy.Compile(policy.Config{Accounts: []policy.Rule{{Name: "r", Target: "app", When: expr}}}, []string{"app"})
		if len(mistakes) != 1 || !strings.Contains(mistakes[0].Text, want) {
			t.Errorf("%s: %v", expr, mistakes)
		}
	}
	for _, expr := range []string{`person.usrName == "x"`, "person\n.usrName == 'x'"} { // whose field it is can be told in one line only
		_, mistakes := policy.Compile(policy.Config{Accounts: []policy.Rule{{Name: "r", Target: "app", When: expr}}}, []string{"app"})
		if len(mistakes) != 1 || !strings.Contains(mistakes[0].Text, "did you mean userName? expected one of id, userName, ") ||
			strings.Contains(mistakes[0].Text, "manager.") != strings.Contains(expr, "\n") {
			t.Errorf("%q: %v", expr, mistakes)
		}
	}
	_, mistakes := policy.Compile(policy.Config{Conditions: []string{"manager.active"}}, nil)
	if len(mistakes) != 1 || !strings.Contains(mistakes[0].Text, "manager is not known here") {
		t.Errorf("authority: %v", mistakes)
	}
}
