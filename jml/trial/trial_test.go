package trial_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/jml"
	"jmld/jml/access"
	"jmld/jml/policy"
	"jmld/jml/trial"
	"jmld/model"
)

func rules(t *testing.T) *jml.Rules {
	t.Helper()
	p, bad := policy.Compile(policy.Config{Accounts: []policy.Rule{
		{Name: "builders", Target: "platform", When: `"Developer" in access.roles`, DeleteAfter: 30 * 24 * time.Hour},
		{Name: "everybody", Target: "app", When: `true`, Leaver: policy.LeaverDelete, Attributes: map[string]string{
			"userName": "person.userName", "emails": "person.emails", "title": `has(person.title) ? person.title : ""`}},
	}}, []string{"app", "platform"})
	if len(bad) > 0 {
		t.Fatal(bad)
	}
	return &jml.Rules{Precedence: []string{"corp"}, Correlation: []string{jml.KeyUserName}, Policy: p, Targets: []string{"app", "platform"}}
}

func day(text string) time.Time {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	return t
}

func ada(attrs string) []model.Record {
	return []model.Record{{Source: "corp", ID: "1", Kind: model.KindUser, Link: model.Linked, IdentityID: trial.Person, Active: true,
		UserName: "ada", Attrs: attrs}}
}

func value(t *testing.T, path string, want any) trial.Value {
	t.Helper()
	a, err := policy.ParseAttribute(path)
	if err != nil {
		t.Fatal(err)
	}
	return trial.Value{Name: path, Path: a, Want: want}
}

const attrs = `{"emails":[{"primary":true,"type":"work","value":"b@example.org"},{"type":"home","value":"a@example.org"}],"userName":"ada"}`

// TestDifferencesNameTheRule plays a membership by key that ends, and lets expectations fail in every way.
func TestDifferencesNameTheRule(t *testing.T) { // M-34
	t.Parallel()
	until := day("2026-12-01")
	groups := access.State{Roles: []model.AccessRole{{ID: "developer", Name: "Developer"}},
		Groups:  []model.AccessGroup{{ID: "builders", Name: "Builders", Parent: model.AccessRoot}},
		Members: []model.AccessMember{{Person: "userName:ada", Place: "group:builders", Role: "developer", ValidTo: &until}}}
	moments := []trial.Moment{{At: day("2026-11-01"), Records: ada(attrs)}, {At: day("2027-02-01"), Records: ada(attrs)}}
	no, elsewhere := true, "Elsewhere"
	for _, c := range []struct {
		name   string
		expect trial.Expect
		want   []trial.Difference
	}{
		{"what happens", trial.Expect{Lifecycle: "active", Accounts: map[string]trial.Account{
			"platform": {State: "deleted"},
			"app":      {State: "active", Name: "ada", Rule: "everybody", Attributes: []trial.Value{value(t, "emails", []any{"a@example.org", "b@example.org"}), value(t, "title", nil)}},
		}}, nil},
		{"deleted is none", trial.Expect{Accounts: map[string]trial.Account{"platform": {State: "none"}}}, nil},
		{"everything else", trial.Expect{Lifecycle: "archived", Organisation: &elsewhere, External: new(bool), Categories: []string{"app"},
			Attributes: []trial.Value{value(t, "title", "Lead")}, NoAccounts: true, Findings: []string{"no end"},
			Accounts: map[string]trial.Account{
				"platform": {State: "inactive"},
				"app":      {State: "active", Name: "eva", Rule: "nobody", Administrator: &no, Attributes: []trial.Value{value(t, "emails", "a@example.org")}},
			}}, []trial.Difference{
			{"lifecycle", "archived", "active", ""},
			{"organisation", "Elsewhere", "none", ""},
			{"external", "false", "true", ""},
			{"categories", "app", "none", ""},
			{"person title", `"Lead"`, "nothing", "corp says so: the only source"},
			{"app", "none", `active, "ada"`, "rule everybody holds; the sources say so"},
			{"app name", `"eva"`, `"ada"`, "rule everybody holds; the sources say so"},
			{"app rule", "nobody", "everybody", "rule everybody holds; the sources say so"},
			{"app administrator", "true", "false", "rule everybody holds; the sources say so"},
			{"app emails", `"a@example.org"`, `"a@example.org", "b@example.org"`, "rule everybody holds; the sources say so"},
			{"platform", "inactive", `deleted, "ada"`, "deactivated since 2026-12-01, and rule builders keeps such accounts for 30 days"},
			{"finding", "no end", "none", ""},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := rules(t)
			one := trial.Case{Name: c.name, Moments: moments, Expect: c.expect}
			played, err := trial.Play(r, groups, one)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, one.Check(r, played)); d != "" {
				t.Errorf("differences (-want +got):\n%s", d)
			}
		})
	}
}

// TestUnexpectedFindingFails: a rule that could not be evaluated is never passed over.
func TestUnexpectedFindingFails(t *testing.T) {
	t.Parallel()
	r := rules(t)
	c := trial.Case{Moments: []trial.Moment{{At: day("2026-11-01"), Records: ada(`{"userName":"ada"}`)}}}
	played, err := trial.Play(r, access.State{}, c)
	if err != nil {
		t.Fatal(err)
	}
	want := []trial.Difference{{"finding", "none", "app: rule everybody: JML-3001: attribute emails: person.emails is unassigned", "everybody"}}
	if d := cmp.Diff(want, c.Check(r, played)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// M-28, M-42: a case sees the roles that people and rules gave, where, and what was withheld.
func TestRolesByRightAndByHand(t *testing.T) {
	t.Parallel()
	p, bad := policy.Compile(policy.Config{Roles: []policy.RoleRule{
		{Name: "engineers", Role: "developer", Place: "group:builders", When: `has(person.title) && person.title == "Engineer"`},
		{Name: "followed", Role: "auditor", Place: "app:crm", Source: "corp", Group: "Auditors"},
	}}, nil)
	if len(bad) > 0 {
		t.Fatal(bad)
	}
	rules := &jml.Rules{Precedence: []string{"corp"}, Correlation: []string{jml.KeyUserName}, Policy: p,
		Separation: []jml.Separation{{Name: "apart", Things: []access.Thing{{Kind: access.KindRole, ID: "developer"}, {Kind: access.KindRole, ID: "auditor"}}}}}
	groups := access.State{
		Roles:     []model.AccessRole{{ID: "developer", Name: "Developer"}, {ID: "auditor", Name: "Auditor"}, {ID: "guest", Name: "Guest"}},
		Groups:    []model.AccessGroup{{ID: "builders", Name: "Builders", Parent: model.AccessRoot}, {ID: "inner", Name: "Inner", Parent: "builders"}},
		Resources: []model.AccessResource{{Place: "app:crm", Name: "CRM"}},
		Members:   []model.AccessMember{{Person: "userName:ada", Place: "app:crm", Role: "guest", Reason: "invited"}}}
	in := []model.Membership{{Source: "corp", GroupID: "g", DisplayName: "auditors"}}
	for _, c := range []struct {
		name   string
		attrs  string
		groups []model.Membership
		expect trial.Expect
		want   []trial.Difference
	}{
		{"by right, inherited below, and by hand", `{"title":"Engineer"}`, nil, trial.Expect{Roles: []string{"Developer", "Guest"},
			RolesOn: map[string][]string{"group:builders": {"Developer"}, "group:inner": {"Developer"}, "app:crm": {"Guest"}}}, nil},
		{"a group of a source", `{}`, in, trial.Expect{Roles: []string{"Auditor", "Guest"}, RolesOn: map[string][]string{"group:builders": {}}}, nil},
		{"the second is withheld", `{"title":"Engineer"}`, in, trial.Expect{Roles: []string{"Auditor"}, Findings: []string{"apart"}}, []trial.Difference{
			{"roles", "Auditor", "Developer, Guest", "Auditor is withheld: has role:developer, and may not have role:auditor as well (rule apart); " +
				"Developer: rule engineers, on group:builders; Guest: invited, on app:crm"}}},
		{"a rule that does not hold", `{}`, nil, trial.Expect{RolesOn: map[string][]string{"group:builders": {"Developer"}, "app:crm": {}}}, []trial.Difference{
			{"roles on app:crm", "none", "Guest", "Guest: invited"},
			{"roles on group:builders", "Developer", "none", "Developer: rule engineers does not hold"}}},
		{"nothing is expected", `{}`, nil, trial.Expect{Roles: []string{}}, []trial.Difference{{"roles", "none", "Guest", "Guest: invited, on app:crm"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			one := trial.Case{Moments: []trial.Moment{{At: day("2026-11-01"), Records: ada(c.attrs), Groups: c.groups}}, Expect: c.expect}
			played, err := trial.Play(rules, groups, one)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, one.Check(rules, played)); d != "" {
				t.Error(d)
			}
		})
	}
}
