package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/jml/policy"
	"jmld/model"
)

const (
	enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	lifecycle  = "urn:ietf:params:scim:schemas:extension:jmld:2.0:User"
)

func compile(t testing.TB, c policy.Config, targets ...string) *policy.Policy {
	t.Helper()
	if len(targets) == 0 {
		for _, r := range c.Accounts {
			targets = append(targets, r.Target)
		}
	}
	p, mistakes := policy.Compile(c, targets)
	if len(mistakes) > 0 {
		t.Fatalf("mistakes: %+v", mistakes)
	}
	return p
}

// ada has every attribute there is.
func ada() policy.Person {
	return policy.Person{
		ID: "0190a000-0000-7000-8000-000000000001", Active: true,
		Groups: []string{"Builders", "Team Ü"}, Sources: []string{"corp", "entra"},
		Attrs: map[string]any{
			"userName": "ada", "displayName": "Ada Example", "nickName": "Ad", "title": "Engineer", "userType": "Employee",
			"externalId": "x-1", "preferredLanguage": "en", "locale": "en-GB", "timezone": "Europe/Berlin",
			"name": map[string]any{"givenName": "Ada", "familyName": "Example", "formatted": "Ms Ada Example"},
			"emails": []any{
				map[string]any{"value": "ada@home.example", "type": "home"},
				map[string]any{"value": "ada@example.org", "type": "work"},
			},
			"phoneNumbers": []any{map[string]any{"value": "+49 30 1", "type": "work"}},
			"roles":        []any{map[string]any{"value": "developer"}, "operator"},
			"entitlements": []any{map[string]any{"value": "vpn", "primary": true}},
			enterprise: map[string]any{
				"employeeNumber": "7", "costCenter": "c", "organization": "o", "division": "d", "department": "IT",
				"manager": map[string]any{"value": "m-1"},
			},
			lifecycle: map[string]any{
				"workerType": "employee", "startDate": "2026-01-01", "endDate": "2027-01-01", "sponsor": "s", "certification": "rapid",
			},
		},
	}
}

// TestFields reads every field of somebody who has all of them.
func TestFields(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"id": `"0190a000-0000-7000-8000-000000000001"`, "userName": `"ada"`, "displayName": `"Ada Example"`,
		"givenName": `"Ada"`, "familyName": `"Example"`, "formattedName": `"Ms Ada Example"`, "email": `"ada@example.org"`,
		"emails": `["ada@home.example", "ada@example.org"]`, "phone": `"+49 30 1"`, "title": `"Engineer"`,
		"userType": `"Employee"`, "externalId": `"x-1"`, "preferredLanguage": `"en"`, "locale": `"en-GB"`,
		"timezone": `"Europe/Berlin"`, "nickName": `"Ad"`, "employeeNumber": `"7"`, "costCenter": `"c"`, "organization": `"o"`,
		"division": `"d"`, "department": `"IT"`, "manager": `"m-1"`, "workerType": `"employee"`, "startDate": `"2026-01-01"`,
		"endDate": `"2027-01-01"`, "sponsor": `"s"`, "certification": `"rapid"`, "roles": `["developer", "operator"]`,
		"entitlements": `["vpn"]`, "groups": `["Builders", "Team Ü"]`, "sources": `["corp", "entra"]`, "active": "true",
		"organisation": `"Example"`, "external": "false", "categories": `["app"]`,
	}
	var rules []policy.Rule
	for name, value := range want {
		rules = append(rules, policy.Rule{
			Name: name, Target: name, When: fmt.Sprintf("has(person.%s) && person.%s == %s", name, name, value),
		})
	}
	p := compile(t, policy.Config{
		Organisations: []policy.Organisation{{Name: "Example", Own: true, Domains: []string{"example.org"}}},
		Categories:    []policy.Category{{Name: model.CategoryApp, When: "true"}},
		Accounts:      rules,
	})
	out := p.Evaluate(ada())
	if len(out.Findings) > 0 {
		t.Errorf("findings: %v", out.Findings)
	}
	for _, g := range out.Grants {
		delete(want, g.Target)
	}
	for name, value := range want {
		t.Errorf("person.%s is not %s", name, value)
	}
}

// TestUnassignedIsNotFalse asks for every field of somebody about whom nothing is known: a finding, never a "no".
func TestUnassignedIsNotFalse(t *testing.T) {
	t.Parallel()
	always := []string{"id", "groups", "sources", "active", "lifecycle", "organisation", "external", "categories"}
	for _, name := range fieldNames(t) {
		for _, expr := range []string{"person.%s == person.%s", "!(person.%s == person.%s)", "person.%s != person.%s"} {
			p := compile(t, policy.Config{Accounts: []policy.Rule{
				{Name: "r", Target: "t", When: fmt.Sprintf(expr, name, name), Attributes: map[string]string{"userName": "person.id"}},
				{Name: "s", Target: "t", When: "true", Attributes: map[string]string{"userName": "person.id"}},
			}})
			out := p.Evaluate(policy.Person{ID: "1"})
			if slices.Contains(always, name) {
				if len(out.Findings) > 0 || len(out.Grants) != 1 {
					t.Errorf("%s: %+v", expr, out)
				}
				continue
			}
			want := []policy.Finding{{Target: "t", Rule: "r", Text: "person." + name + " is unassigned"}}
			if diff := cmp.Diff(want, out.Findings); diff != "" || len(out.Grants) > 0 {
				t.Errorf("%s: grants %v, findings (-want +got):\n%s", fmt.Sprintf(expr, name, name), out.Grants, diff)
			}
		}
		p := compile(t, policy.Config{Accounts: []policy.Rule{{
			Name: "r", Target: "t", When: "has(person." + name + ")", Attributes: map[string]string{"userName": "person.id"},
		}}})
		out := p.Evaluate(policy.Person{ID: "1"})
		if there := len(out.Grants) == 1; len(out.Findings) > 0 || there != slices.Contains(always, name) {
			t.Errorf("has(person.%s): %+v", name, out)
		}
	}
}

// fieldNames takes the list from the message about a field that is not there.
func fieldNames(t testing.TB) []string {
	t.Helper()
	_, mistakes := policy.Compile(policy.Config{Categories: []policy.Category{{Name: "app", When: "person.xxxxxxxxxx"}}}, nil)
	if len(mistakes) != 1 {
		t.Fatal(mistakes)
	}
	_, list, _ := strings.Cut(mistakes[0].Text, "expected one of ")
	names := strings.Split(list, ", ")
	if len(names) != 36 {
		t.Fatalf("%d fields: %s", len(names), list)
	}
	return names
}

// TestShapesOfAttributes: what counts as unassigned, and what as an error (RFC 7643 §2.5).
func TestShapesOfAttributes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		attrs map[string]any
		expr  string
		want  string // "yes", "no", or the finding
	}{
		"null is unassigned":                {map[string]any{"title": nil}, "person.title == ''", "person.title is unassigned"},
		"an empty list is unassigned":       {map[string]any{"roles": []any{}}, "'x' in person.roles", "person.roles is unassigned"},
		"so are empty values":               {map[string]any{"emails": []any{map[string]any{"value": ""}}}, "has(person.emails)", "no"},
		"and e-mail without any":            {map[string]any{"emails": []any{map[string]any{}}}, "person.email == ''", "person.email is unassigned"},
		"empty text is text":                {map[string]any{"title": ""}, "person.title == ''", "yes"},
		"a number is not text":              {map[string]any{"title": 5.0}, "person.title == '5'", "person.title is a number, not text"},
		"an object is not text":             {map[string]any{"title": map[string]any{}}, "person.title == ''", "person.title is an object, not text"},
		"a number is there":                 {map[string]any{"title": 5.0}, "has(person.title)", "yes"},
		"a condition is no list":            {map[string]any{"emails": true}, "person.email == ''", "person.email is true or false, not a list of values"},
		"a value of the wrong type":         {map[string]any{"roles": []any{map[string]any{"value": 1.0}}}, "person.roles == []", "person.roles has a value that is a number, not text"},
		"an element of the wrong type":      {map[string]any{"roles": []any{true}}, "person.roles == []", "person.roles has a value that is true or false, not text"},
		"values as text":                    {map[string]any{"emails": []any{"a@example.org"}}, "person.email == 'a@example.org'", "yes"},
		"one value as text":                 {map[string]any{"emails": "a@example.org"}, "person.emails == ['a@example.org']", "yes"},
		"one value as object":               {map[string]any{"emails": map[string]any{"value": "a@example.org"}}, "person.emails == ['a@example.org']", "yes"},
		"values as a Go list":               {map[string]any{"roles": []string{"a", "", "b"}}, "person.roles == ['a', 'b']", "yes"},
		"the primary address comes first":   {map[string]any{"emails": []any{map[string]any{"value": "a", "type": "work"}, map[string]any{"value": "b", "primary": true}}}, "person.email == 'b'", "yes"},
		"then the first of work":            {map[string]any{"emails": []any{"c", map[string]any{"value": "a", "type": "Work"}, map[string]any{"value": "b", "type": "work"}}}, "person.email == 'a'", "yes"},
		"then the first":                    {map[string]any{"emails": []any{"c", "d"}}, "person.email == 'c'", "yes"},
		"manager as text":                   {map[string]any{enterprise: map[string]any{"manager": "m"}}, "person.manager == 'm'", "yes"},
		"manager without a value":           {map[string]any{enterprise: map[string]any{"manager": map[string]any{}}}, "has(person.manager)", "no"},
		"an extension that is no object":    {map[string]any{enterprise: "x"}, "has(person.department)", "no"},
		"case counts in expressions":        {map[string]any{"title": "DEV"}, "person.title == 'dev'", "no"},
		"lower knows letters beyond ASCII":  {map[string]any{"title": "ÄRZTIN"}, "person.title.lower() == 'ärztin'", "yes"},
		"the string extension is there":     {map[string]any{"title": " a,b "}, "person.title.trim().split(',') == ['a', 'b']", "yes"},
		"or is decided by one side":         {nil, "person.title == 'x' || true", "yes"},
		"or is not decided by the other":    {nil, "person.title == 'x' || false", "person.title is unassigned"},
		"and is decided by one side":        {nil, "person.title == 'x' && person.id == ''", "no"},
		"not of unknown is unknown":         {nil, "!(person.title == 'x')", "person.title is unassigned"},
		"a choice asks only what it needs":  {nil, "has(person.title) ? person.title == 'x' : true", "yes"},
		"exists with an error is an error":  {nil, "['a'].exists(x, x == person.title)", "person.title is unassigned"},
		"dyn is no way around":              {nil, "dyn(person).title == 'x'", "person.title is unassigned"},
		"dyn has no other fields":           {nil, "dyn(person).salary == 1", "person has no field salary"},
		"an index out of range is an error": {map[string]any{"emails": []any{"a"}}, "person.emails[1] == 'a'", "index out of bounds: 1"},
		"a bad date is an error":            {map[string]any{"title": "x"}, "timestamp(person.title) > timestamp('2026-01-01T00:00:00Z')", `invalid RFC 3339 timestamp "x"`},
		"a bad pattern is an error":         {map[string]any{"title": "("}, "'x'.matches(person.title)", "error parsing regexp: missing closing ): `(`"},
		"a person is itself":                {nil, "person == person && type(person) == type(person)", "yes"},
		"a person is nothing else":          {nil, "dyn(person) == dyn('x')", "no"},
		"a person is not a number":          {nil, "string(dyn(person)) == 'x'", "no such overload: string(jmld.Person)"},
	} {
		p := compile(t, policy.Config{Accounts: []policy.Rule{
			{Name: "r", Target: "t", When: c.expr, Attributes: map[string]string{"userName": "person.id"}},
		}})
		out := p.Evaluate(policy.Person{ID: "1", Attrs: c.attrs})
		got := "no"
		if len(out.Grants) == 1 {
			got = "yes"
		}
		if len(out.Findings) == 1 {
			got = out.Findings[0].Text
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", name, c.expr, diff)
		}
	}
}

// TestOrganisations: e-mail domain to organisation, several domains each, unknown is external (M-02).
func TestOrganisations(t *testing.T) {
	t.Parallel()
	p := compile(t, policy.Config{Organisations: []policy.Organisation{
		{Name: "Example", Own: true, Domains: []string{"example.org", "Example.COM", "*.example.org"}},
		{Name: "Partner", Domains: []string{"partner.example", "labs.example.org", "*.deep.example.org"}},
		{Name: "Bücher", Domains: []string{"bücher.example"}},
	}})
	for _, c := range []struct {
		address, want string
		external      bool
	}{
		{"ada@example.org", "Example", false},
		{"ada@example.com", "Example", false},
		{"ADA@EXAMPLE.ORG", "Example", false},
		{"ada@example.org.", "Example", false},
		{" ada@example.org ", "Example", false},
		{"ada@dev.example.org", "Example", false},
		{"ada@a.b.example.org", "Example", false},
		{"ada@labs.example.org", "Partner", true},         // exact before wildcard
		{"ada@x.labs.example.org", "Example", false},      // labs alone says nothing about what is below
		{"ada@x.deep.example.org", "Partner", true},       // the longer wildcard wins
		{"ada@deep.example.org", "Example", false},        // a wildcard is not the domain itself
		{"ada@dev.example.com", "", true},                 // no wildcard for this one
		{"bob@partner.example", "Partner", true},          // known and external
		{"bob@notpartner.example", "", true},              // not a suffix of letters
		{"bob@example.org.evil.example", "", true},        // nor a prefix
		{`"x@example.org"@evil.example`, "", true},        // the last @ counts
		{"eve@example.net", "", true},                     // unknown domain = external
		{"leser@BÜCHER.example", "Bücher", true},          // case of other letters
		{"nobody", "", true},                              // no address at all
		{"@", "", true}, {"a@", "", true}, {"", "", true}, // nothing
	} {
		out := p.Evaluate(policy.Person{ID: "1", Attrs: map[string]any{"emails": []any{map[string]any{"value": c.address}}}})
		if out.Organisation != c.want || out.External != c.external {
			t.Errorf("%q: %q, external %v; want %q, %v", c.address, out.Organisation, out.External, c.want, c.external)
		}
	}
	out := p.Evaluate(policy.Person{ID: "1"})
	if out.Organisation != "" || !out.External {
		t.Errorf("without an address: %+v; want external", out)
	}
	out = p.Evaluate(policy.Person{ID: "1", Attrs: map[string]any{"emails": []any{
		map[string]any{"value": "ada@home.example", "type": "home"}, map[string]any{"value": "ada@example.org", "type": "work"},
	}}})
	if out.Organisation != "Example" {
		t.Errorf("the business address does not decide: %+v", out)
	}
}

// TestCategories: three categories, several at once, and a change of category (M-01).
func TestCategories(t *testing.T) {
	t.Parallel()
	p := compile(t, policy.Config{
		Organisations: []policy.Organisation{{Name: "Example", Own: true, Domains: []string{"example.org"}}},
		Categories: []policy.Category{
			{Name: model.CategoryPlatform, When: `!person.external && "Builders" in person.groups`},
			{Name: model.CategoryExtended, When: `person.external && "Builders" in person.groups`},
			{Name: model.CategoryApp, When: `!("extended" in person.categories) && "Readers" in person.groups`},
		},
		Accounts: []policy.Rule{
			{Name: "app", Target: "app", When: `"app" in person.categories`},
			{Name: "builders", Target: "platform", When: `person.categories.exists(c, c in ["platform", "extended"])`},
		},
	})
	for _, c := range []struct {
		address    string
		groups     []string
		categories []string
		targets    []string
	}{
		{"a@example.org", nil, nil, nil},
		{"a@example.org", []string{"Readers"}, []string{"app"}, []string{"app"}},
		{"a@example.org", []string{"Builders"}, []string{"platform"}, []string{"platform"}},
		{"a@example.org", []string{"Builders", "Readers"}, []string{"app", "platform"}, []string{"app", "platform"}},
		{"a@example.net", []string{"Builders", "Readers"}, []string{"extended"}, []string{"platform"}},
	} {
		out := p.Evaluate(policy.Person{ID: "1", Groups: c.groups, Attrs: map[string]any{
			"userName": "a", "emails": []any{map[string]any{"value": c.address}},
		}})
		var targets []string
		for _, g := range out.Grants {
			targets = append(targets, g.Target)
		}
		if diff := cmp.Diff(c.categories, out.Categories) + cmp.Diff(c.targets, targets); diff != "" || len(out.Findings) > 0 {
			t.Errorf("%s in %v: findings %v (-want +got):\n%s", c.address, c.groups, out.Findings, diff)
		}
	}
}

// TestUnknownCategory: nobody knows the categories when one of their rules cannot be evaluated.
func TestUnknownCategory(t *testing.T) {
	t.Parallel()
	p := compile(t, policy.Config{
		Categories: []policy.Category{{Name: "platform", When: "person.department == 'IT'"}, {Name: "app", When: "true"}},
		Accounts: []policy.Rule{
			{Name: "a", Target: "a", When: `"platform" in person.categories`},
			{Name: "b", Target: "b", When: "true"},
		},
	})
	got := p.Evaluate(policy.Person{ID: "1", Attrs: map[string]any{"userName": "u"}})
	want := policy.Outcome{
		External: true, Categories: []string{"app"},
		Grants: []policy.Grant{{Target: "b", Rule: "b", Attrs: map[string]any{"userName": "u", "externalId": "1"}}},
		Findings: []policy.Finding{
			{Rule: "platform", Text: "person.department is unassigned"},
			{Target: "a", Rule: "a", Text: "person.categories is unknown, because the rule of category platform could not be evaluated"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestFirstRuleWins: the table of Evaluate.
func TestFirstRuleWins(t *testing.T) {
	t.Parallel()
	expr := map[string]string{"yes": "person.id == '1'", "no": "person.id == '2'", "error": "person.title == 'x'"}
	for _, c := range []struct {
		rules []string
		want  string
	}{
		{[]string{"no", "yes", "yes"}, "grant 1"},
		{[]string{"yes", "error"}, "grant 0"},
		{[]string{"no", "error", "yes"}, "finding 1"},
		{[]string{"error"}, "finding 0"},
		{[]string{"no", "yes", "error"}, "grant 1"},
		{[]string{"no", "no"}, "nothing"},
	} {
		var cfg policy.Config
		for i, r := range c.rules {
			cfg.Accounts = append(cfg.Accounts, policy.Rule{Name: fmt.Sprint(i), Target: "t", When: expr[r]})
		}
		cfg.Accounts = append(cfg.Accounts, policy.Rule{Name: "other", Target: "other", When: "true"})
		out := compile(t, cfg).Evaluate(policy.Person{ID: "1", Attrs: map[string]any{"userName": "u"}})
		got := "nothing"
		for _, g := range out.Grants {
			if g.Target == "t" {
				got = "grant " + g.Rule
			}
		}
		for _, f := range out.Findings {
			got = "finding " + f.Rule
		}
		if got != c.want || len(out.Grants) == 0 || out.Grants[0].Target != "other" {
			t.Errorf("%v: %s, want %s; %+v", c.rules, got, c.want, out)
		}
	}
}

func TestLeaver(t *testing.T) {
	t.Parallel()
	p := compile(t, policy.Config{Accounts: []policy.Rule{
		{Name: "a", Target: "t", When: "!person.active && person.external"}, {Name: "b", Target: "t", When: "true", Leaver: policy.LeaverDelete},
	}})
	for _, c := range []struct {
		target, rule string
		want         policy.Leaver
	}{
		{"t", "a", policy.LeaverDeactivate},
		{"t", "b", policy.LeaverDelete},
		{"t", "gone", policy.LeaverDeactivate},
		{"u", "b", policy.LeaverDeactivate},
	} {
		if got := p.Leaver(c.target, c.rule); got != c.want {
			t.Errorf("%s/%s: %q, want %q", c.target, c.rule, got, c.want)
		}
	}
	if got := p.Evaluate(ada()).Grants[0].Leaver; got != policy.LeaverDelete {
		t.Errorf("the grant says %q", got)
	}
}

// TestInactivePeopleAreEvaluated: it is for the caller to draw the conclusion.
func TestInactivePeopleAreEvaluated(t *testing.T) {
	t.Parallel()
	p := compile(t, policy.Config{Accounts: []policy.Rule{
		{Name: "a", Target: "a", When: "true"}, {Name: "b", Target: "b", When: "person.active"},
	}})
	person := ada()
	person.Active = false
	out := p.Evaluate(person)
	if len(out.Grants) != 1 || out.Grants[0].Target != "a" {
		t.Errorf("%+v", out.Grants)
	}
}

// TestCostIsBounded: an expression that passes the estimate and still meets somebody enormous ends with a finding.
func TestCostIsBounded(t *testing.T) {
	t.Parallel()
	p := compile(t, policy.Config{Accounts: []policy.Rule{{
		Name: "r", Target: "t", When: `person.groups.filter(g, g.lower().contains("x")).size() == 1`,
	}}})
	person := policy.Person{ID: "1", Attrs: map[string]any{"userName": "u"}}
	for i := range 300_000 {
		person.Groups = append(person.Groups, strings.Repeat("y", 200)+fmt.Sprint(i))
	}
	begin := time.Now()
	out := p.Evaluate(person)
	if d := time.Since(begin); d > 50*time.Second {
		t.Errorf("took %s", d)
	}
	want := []policy.Finding{{Target: "t", Rule: "r", Text: "actual cost limit exceeded"}}
	if diff := cmp.Diff(want, out.Findings); diff != "" || len(out.Grants) > 0 {
		t.Errorf("grants %d, findings (-want +got):\n%s", len(out.Grants), diff)
	}
}

// TestOnePolicyForAll: several goroutines evaluate different people at once (run with -race).
func TestOnePolicyForAll(t *testing.T) {
	t.Parallel()
	p := compile(t, policy.Config{
		Organisations: []policy.Organisation{{Name: "Example", Own: true, Domains: []string{"example.org"}}},
		Categories:    []policy.Category{{Name: "app", When: "person.department == 'IT'"}},
		Accounts:      []policy.Rule{{Name: "r", Target: "t", When: `"app" in person.categories && person.title.matches("^E.*r$")`}},
	})
	want, wantNobody := p.Evaluate(ada()), p.Evaluate(policy.Person{ID: "1"})
	var g sync.WaitGroup
	for range 4 {
		g.Go(func() {
			for range 200 {
				if diff := cmp.Diff(want, p.Evaluate(ada())) + cmp.Diff(wantNobody, p.Evaluate(policy.Person{ID: "1"})); diff != "" {
					t.Error(diff)
					return
				}
			}
		})
	}
	g.Wait()
}
