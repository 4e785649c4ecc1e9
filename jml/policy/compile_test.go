package policy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/jml/policy"
)

// TestMistakes: each has its path, the place within the expression, and what is expected.
func TestMistakes(t *testing.T) {
	t.Parallel()
	type mistake struct {
		at        string
		line, col int
		text      string // the beginning
	}
	for name, c := range map[string]struct {
		expr string
		want []mistake
	}{
		"a field that is nearly one":    {"person.departement == 'x'", []mistake{{"when", 1, 8, `unknown field "departement"; did you mean department? expected one of id, userName, `}}},
		"in the second line":            {"person.active &&\n  person.activ", []mistake{{"when", 2, 10, `unknown field "activ"; did you mean active?`}}},
		"two at once":                   {"person.a1b2c3 && person.x9y8z7", []mistake{{"when", 1, 8, `unknown field "a1b2c3"; expected one of`}, {"when", 1, 25, `unknown field "x9y8z7"; expected one of`}}},
		"columns count characters":      {"'ü' == 'ü' && person.xyz123", []mistake{{"when", 1, 22, `unknown field`}}},
		"in has":                        {"has(person.titel)", []mistake{{"when", 1, 12, `unknown field "titel"; did you mean title?`}}},
		"another variable":              {"persn.active", []mistake{{"when", 1, 1, `unknown name "persn"; did you mean person?`}}},
		"another function":              {"frob(person.title)", []mistake{{"when", 1, 5, `unknown name "frob"; expected person.FIELD, access.FIELD, manager.FIELD or a function of CEL`}}},
		"types that do not go together": {"person.title == 3", []mistake{{"when", 1, 14, "found no matching overload for '_==_'"}}},
		"not a condition":               {"person.title", []mistake{{"when", 0, 0, "the expression yields text; expected a condition, true or false"}}},
		"a list is not a condition":     {"person.groups", []mistake{{"when", 0, 0, "the expression yields a list of text; expected a condition"}}},
		"a person is not a condition":   {"person", []mistake{{"when", 0, 0, "the expression yields a person; expected a condition"}}},
		"dyn is not a condition":        {"dyn(true)", []mistake{{"when", 0, 0, "the expression yields dyn; expected a condition"}}},
		"null is not a condition":       {"null", []mistake{{"when", 0, 0, "the expression yields null"}}},
		"unfinished":                    {"person.active &&", []mistake{{"when", 1, 17, "the expression ends too early"}}},
		"a letter too much":             {"person.active )", []mistake{{"when", 1, 15, "extraneous input ')'; expected a CEL expression"}}},
		"empty":                         {"", []mistake{{"when", 0, 0, "no expression; expected CEL"}}},
		"blank":                         {" \n ", []mistake{{"when", 0, 0, "no expression; expected CEL"}}},
		"a bad pattern":                 {"person.title.matches('(')", []mistake{{"when", 1, 22, "not a regular expression"}}},
		"a bad date":                    {"timestamp('x') > timestamp('y')", []mistake{{"when", 1, 11, "invalid timestamp argument"}, {"when", 1, 28, "invalid timestamp argument"}}},
		"an object":                     {"jmld.Person{} == person", []mistake{{"when", 1, 12, "an expression makes no objects"}}},
		"an object of CEL's":            {"google.protobuf.BoolValue{value: true}", []mistake{{"when", 1, 26, "an expression makes no objects"}}},
		"lists within lists":            {"person.groups.all(a, person.groups.all(b, a == b))", []mistake{{"when", 0, 0, "the expression could take too long"}}},
		"nested too deeply":             {strings.Repeat("(", 100) + "true" + strings.Repeat(")", 100), []mistake{{"when", 1, 1, "expression recursion limit exceeded: 50"}}},
		"too long":                      {"true" + strings.Repeat(" || true", 5000), []mistake{{"when", 1, 1, "expression code point size exceeds limit"}}},
		"not in the language":           {"person.title.startsWith('a') and true", []mistake{{"when", 1, 30, "mismatched input 'and'; expected a CEL expression"}}},
	} {
		_, got := policy.Compile(policy.Config{Accounts: []policy.Rule{{Name: "r", Target: "t", When: c.expr}}}, []string{"t"})
		for i, w := range c.want {
			if i >= len(got) {
				t.Errorf("%s: %q is missing", name, w.text)
				continue
			}
			m := got[i]
			if diff := cmp.Diff([]any{"accounts", 0, w.at}, m.Path); diff != "" || m.Line != w.line || m.Col != w.col ||
				!strings.HasPrefix(m.Text, w.text) {
				t.Errorf("%s: got %d:%d %q, want %d:%d %q %s", name, m.Line, m.Col, m.Text, w.line, w.col, w.text, diff)
			}
		}
		if len(got) == 0 {
			t.Errorf("%s: no mistake", name)
		}
	}
}

// TestAllMistakesAtOnce: in the order of the configuration.
func TestAllMistakesAtOnce(t *testing.T) {
	t.Parallel()
	got, mistakes := policy.Compile(policy.Config{
		Organisations: []policy.Organisation{{Name: "A", Domains: []string{"a.example", "x"}}, {Name: "A"}, {Domains: []string{"A.EXAMPLE"}}},
		Categories:    []policy.Category{{Name: "apps", When: "true"}, {Name: "app", When: "1"}, {Name: "app", When: "true"}},
		Accounts: []policy.Rule{
			{Target: "t", When: "person.active"},
			{Name: "a", Target: "u", When: "true", Leaver: "archive"},
			{Name: "a", Target: "t", When: "true", Attributes: map[string]string{
				"displayName": "person.active", "title": "person.titel", "urn:x": "''", "active": "true", "emails": "1",
				"department": "''", enterprise + ":department": "''", enterprise + ":departement": "''", "phoneNumbers[0]": "''",
				"urn:ietf:params:scim:schemas:core:2.0:User:title": "''", "givenName": "''", "members": "''", "manager": "['x']",
			}},
		},
	}, []string{"t"})
	if got != nil {
		t.Error("there is a policy all the same")
	}
	var said []string
	for _, m := range mistakes {
		text, _, _ := strings.Cut(m.Text, "; ")
		said = append(said, text)
	}
	want := []string{
		`"x" is not an e-mail domain`,
		`organisation "A" is there twice`,
		`no domains`,
		`an organisation needs a name`,
		`domain a.example belongs to A already`,
		`unknown category "apps"`,
		`the expression yields int`,
		`category app is there twice`,
		`a rule needs a name`,
		`unknown target "u"`,
		`unknown way "archive"`,
		`rule "a" is there twice`,
		`userName is missing`,
		`active is set by jmld itself`,
		`the expression yields true or false`,
		`the expression yields int`,
		`unknown SCIM attribute "givenName"`,
		`the expression yields a list of text`,
		`members belongs to the target`,
		`"phoneNumbers[0]" is part of phoneNumbers`,
		`unknown field "titel"`,
		`attributes of the core schema have no prefix`,
		`unknown attribute "departement" of ` + enterprise,
		`department and ` + enterprise + `:department are the same attribute`,
		`"urn:x" is not an attribute of an extension`,
	}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestCanonicalPath(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"userName": "userName", "name.givenName": "name.givenName", "department": enterprise + ":department",
		"endDate": lifecycle + ":endDate", enterprise + ":manager": enterprise + ":manager", "urn:a:b:c": "urn:a:b:c",
	} {
		got, err := policy.CanonicalPath(in)
		if err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", in, got, err, want)
		}
	}
	for _, p := range policy.AttributePaths() {
		if _, err := policy.CanonicalPath(p); err != nil {
			t.Error(err)
		}
	}
	for _, in := range []string{"", "name", "name.", "username", "urn:", "urn:a", "urn:a:b", "urn:a:b:", "urn:a:b:c d", "URN:a:b:c", "password", "id", "schemas", "meta", "emails.value"} {
		if got, err := policy.CanonicalPath(in); err == nil {
			t.Errorf("%q is accepted as %s", in, got)
		}
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	words := []string{"password", "page_size", "people", "url", "base"}
	for in, want := range map[string]string{
		"pasword": "password", "PASSWORD": "password", "passwrod": "password", "pagesize": "page_size", "peple": "people",
		"ulr": "url", "bsae": "base", "zzz": "", "": "", "completely": "",
	} {
		if got := policy.Nearest(in, words); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
