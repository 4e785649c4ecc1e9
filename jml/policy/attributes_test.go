package policy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/jml/policy"
)

// TestDefaultMapping: who the person is and where they work, nothing about their rights elsewhere.
func TestDefaultMapping(t *testing.T) {
	t.Parallel()
	p := compile(t, policy.Config{Accounts: []policy.Rule{{Name: "r", Target: "t", When: "true"}}})
	got := p.Evaluate(ada())
	want := policy.Outcome{External: true, Grants: []policy.Grant{{Target: "t", Rule: "r", Attrs: map[string]any{
		"userName": "ada", "externalId": "0190a000-0000-7000-8000-000000000001", "displayName": "Ada Example",
		"nickName": "Ad", "title": "Engineer", "userType": "Employee", "preferredLanguage": "en", "locale": "en-GB",
		"timezone": "Europe/Berlin",
		"name":     map[string]any{"givenName": "Ada", "familyName": "Example", "formatted": "Ms Ada Example"},
		"emails": []any{
			map[string]any{"value": "ada@home.example", "type": "home"}, map[string]any{"value": "ada@example.org", "type": "work"},
		},
		"phoneNumbers": []any{map[string]any{"value": "+49 30 1", "type": "work"}},
		enterprise: map[string]any{
			"employeeNumber": "7", "costCenter": "c", "organization": "o", "division": "d", "department": "IT",
		},
	}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}

	got = p.Evaluate(policy.Person{ID: "1", Attrs: map[string]any{"userName": "u", "title": "", "emails": []any{}}})
	want = policy.Outcome{External: true, Grants: []policy.Grant{{Target: "t", Rule: "r",
		Attrs: map[string]any{"userName": "u", "externalId": "1"}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what nobody said is left out (-want +got):\n%s", diff)
	}

	for text, attrs := range map[string]map[string]any{
		"attribute userName: person.userName is unassigned":      nil,
		"attribute userName: is empty, and an account needs one": {"userName": ""},
		"attribute title is a list, not text":                    {"userName": "u", "title": []any{"x"}},
		"attribute emails is a number, not a list of values":     {"userName": "u", "emails": 1.0},
		"attribute emails has a value that is a list, not text":  {"userName": "u", "emails": []any{[]any{}}},
		"attribute displayName is true or false, not text":       {"userName": "u", "displayName": true},
		"attribute department is an object, not text":            {"userName": "u", enterprise: map[string]any{"department": map[string]any{}}},
		"attribute givenName is a number, not text":              {"userName": "u", "name": map[string]any{"givenName": 1.0}},
		"attribute phoneNumbers has a value that is a list, not text": {"userName": "u", "phoneNumbers": []any{
			map[string]any{"value": []any{}}}},
	} {
		out := p.Evaluate(policy.Person{ID: "1", Attrs: attrs})
		want := []policy.Finding{{Target: "t", Rule: "r", Text: text}}
		if diff := cmp.Diff(want, out.Findings); diff != "" || len(out.Grants) > 0 {
			t.Errorf("%v: grants %v, findings (-want +got):\n%s", attrs, out.Grants, diff)
		}
	}
}

// TestMapping: what expressions yield becomes SCIM's shapes.
func TestMapping(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path, expr string
		want       map[string]any // besides userName
	}{
		"text":                    {"title", "'x'", map[string]any{"title": "x"}},
		"empty text is left out":  {"title", "''", map[string]any{}},
		"part of name":            {"name.givenName", "person.givenName", map[string]any{"name": map[string]any{"givenName": "Ada"}}},
		"address as text":         {"emails", "person.email", map[string]any{"emails": []any{map[string]any{"value": "ada@example.org", "type": "work", "primary": true}}}},
		"empty address":           {"emails", "''", map[string]any{}},
		"empty list":              {"emails", "[]", nil}, // a list of nothing has no type
		"filtered to nothing":     {"emails", "person.emails.filter(e, false)", map[string]any{}},
		"addresses as list":       {"emails", "['', 'a', 'b']", map[string]any{"emails": []any{map[string]any{"value": "a", "type": "work", "primary": true}, map[string]any{"value": "b", "type": "other"}}}},
		"phones":                  {"phoneNumbers", "person.phone", map[string]any{"phoneNumbers": []any{map[string]any{"value": "+49 30 1", "type": "work"}}}},
		"roles":                   {"roles", "person.roles", map[string]any{"roles": []any{map[string]any{"value": "developer"}, map[string]any{"value": "operator"}}}},
		"groups":                  {"groups", "person.groups", map[string]any{"groups": []any{map[string]any{"display": "Builders"}, map[string]any{"display": "Team Ü"}}}},
		"extension, short":        {"department", "person.department", map[string]any{enterprise: map[string]any{"department": "IT"}}},
		"extension, in full":      {enterprise + ":department", "person.department", map[string]any{enterprise: map[string]any{"department": "IT"}}},
		"manager":                 {"manager", "person.manager", map[string]any{enterprise: map[string]any{"manager": map[string]any{"value": "m-1"}}}},
		"no manager":              {"manager", "''", map[string]any{}},
		"lifecycle extension":     {"endDate", "person.endDate", map[string]any{lifecycle: map[string]any{"endDate": "2027-01-01"}}},
		"another extension, bool": {"urn:example:scim:badge", "person.active", map[string]any{"urn:example:scim": map[string]any{"badge": true}}},
		"another extension, text": {"urn:example:scim:badge", "'x'", map[string]any{"urn:example:scim": map[string]any{"badge": "x"}}},
		"another extension, list": {"urn:example:scim:badge", "['x', '']", map[string]any{"urn:example:scim": map[string]any{"badge": []any{"x"}}}},
	} {
		cfg := policy.Config{Accounts: []policy.Rule{{Name: "r", Target: "t", When: "true",
			Attributes: map[string]string{"userName": "person.userName", c.path: c.expr}}}}
		if c.want == nil {
			if _, bad := policy.Compile(cfg, []string{"t"}); len(bad) != 1 {
				t.Errorf("%s: mistakes %v", name, bad)
			}
			continue
		}
		c.want["userName"] = "ada"
		out := compile(t, cfg).Evaluate(ada())
		if diff := cmp.Diff([]policy.Grant{{Target: "t", Rule: "r", Attrs: c.want}}, out.Grants); diff != "" {
			t.Errorf("%s: findings %v (-want +got):\n%s", name, out.Findings, diff)
		}
	}
}

// TestMappingThatCannotBeEvaluated: no half-filled account; everything that is wrong is said, in order.
func TestMappingThatCannotBeEvaluated(t *testing.T) {
	t.Parallel()
	p := compile(t, policy.Config{Accounts: []policy.Rule{
		{Name: "r", Target: "t", When: "person.id != ''", Attributes: map[string]string{
			"userName": "person.userName", "title": "person.title", "department": "person.department",
			"displayName": `has(person.displayName) ? person.displayName : ""`,
		}},
		{Name: "s", Target: "t", When: "true"},
		{Name: "empty", Target: "u", When: "true", Attributes: map[string]string{"userName": "''"}},
	}})
	got := p.Evaluate(policy.Person{ID: "1", Attrs: map[string]any{"userName": "u"}})
	want := policy.Outcome{External: true, Findings: []policy.Finding{
		{Target: "t", Rule: "r", Text: "attribute department: person.department is unassigned"},
		{Target: "t", Rule: "r", Text: "attribute title: person.title is unassigned"},
		{Target: "u", Rule: "empty", Text: "attribute userName: is empty, and an account needs one"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestGrantsShareNothing: changing what was returned changes neither the person nor the next outcome.
func TestGrantsShareNothing(t *testing.T) {
	t.Parallel()
	p := compile(t, policy.Config{Accounts: []policy.Rule{{Name: "r", Target: "t", When: "true"}}})
	person := ada()
	first := p.Evaluate(person)
	first.Grants[0].Attrs["emails"].([]any)[0].(map[string]any)["value"] = "changed"
	first.Grants[0].Attrs["name"].(map[string]any)["givenName"] = "changed"
	if diff := cmp.Diff(ada(), person); diff != "" {
		t.Errorf("the person was changed:\n%s", diff)
	}
	again := p.Evaluate(person)
	if diff := cmp.Diff(first.Grants, again.Grants); diff == "" {
		t.Error("the outcome was changed")
	}
}
