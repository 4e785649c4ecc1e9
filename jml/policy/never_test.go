package policy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"jmld/jml/policy"
)

// TestWhatCanNeverHoldIsRefused, and where it says so.
func TestWhatCanNeverHoldIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		expr string
		want string // "": accepted
	}{
		{`false`, `0:0 the condition is never true; expected one that can hold, or no rule`},
		{`1 == 2`, `0:0 the condition is never true`},
		{`person.active && 1 > 2`, `0:0 the condition is never true`},
		{`!(person.active || "a" in ["a"])`, `0:0 the condition is never true`},
		{`person.title == "A" && person.title == "B"`, `1:37 person.title would have to be "A" and be "B" at once; expected a condition that can hold`},
		{`person.title == "A" && (person.active && person.title == "B")`, `1:55 person.title would have to be "A" and be "B" at once`},
		{`person.title == "A" && "B" == person.title`, `1:28 person.title would have to be "A" and be "B" at once`},
		{`person.title == "A" && person.title != "A"`, `1:37 person.title would have to be "A" and not be "A" at once`},
		{`person.title in ["A", "B"] && person.title == "C"`, `1:44 person.title would have to be "A" and be "C" at once`},
		{`person.title in ["A"] && !(person.title in ["A", "B"])`, `1:41 person.title would have to be "A" and not be "A" at once`},
		{`!(person.title != "A") && person.title == "B"`, `1:40 person.title would have to be "A" and be "B" at once`},
		{`person.active && !person.active`, `1:25 person.active would have to be true and false at once`},
		{`person.active == false && person.active`, `1:33 person.active would have to be true and false at once`},
		{`has(person.title) && !has(person.title)`, `would have to be true and false at once`},
		{`"a" in person.groups && !("a" in person.groups)`, `would have to be true and false at once`},
		{`(person.title == "A" || person.title == "B") && person.title == "C"`, `1:62 person.title would have to be "A" and be "C" at once`},
		{"person.active &&\n  !person.active", `2:10 person.active would have to be true and false at once`},
		{`"platform" in person.categories`, `1:1 unknown category, or one that no category rule yields, "platform"; expected one of app`},
		{`person.lifecycle == "gone"`, `1:21 unknown phase "gone"`},
		{`person.lifecycle in ["active", "activ"]`, `1:32 unknown phase "activ"; did you mean active?`},
		{`person.organisation != "Exampel"`, `1:24 unknown organisation "Exampel"; did you mean Example?`},
		{`"crop" in person.sources`, `1:1 unknown source "crop"; did you mean corp?`},
		{`"Builder" in access.groups`, `1:1 unknown group "Builder"; did you mean Builders?`},
		{`"developer" in access.roles`, `1:1 unknown role "developer"; did you mean Developer?`},
		{`"project:delete" in access.permissions`, `1:1 unknown permission "project:delete"`},
		{`"namespace:crm" in access.resources`, `1:1 unknown resource "namespace:crm"`},
		{`access.rolesOn("CMR").size() > 0`, `1:16 unknown resource "CMR"`},
		{`person.title.translit("fr") == "x"`, `1:23 unknown custom of transliteration "fr"`},

		{`person.title == "A" || person.title == "B"`, ""},
		{`person.title in ["A", "B"] && person.title != "A"`, ""},
		{`(person.title == "A" || person.title == "B") && person.title == "B"`, ""},
		{`person.title == "A" && person.locale == "B"`, ""},
		{`"a" in person.groups && "b" in person.groups`, ""},
		{`person.groups.exists(g, g == "a") && person.groups.exists(g, g == "b")`, ""},
		{`person.active ? person.title == "A" : person.title == "B"`, ""},
		{`person.organisation == "" && person.lifecycle == "active" && "app" in person.categories`, ""},
		{`access.rolesOn("app:crm").size() > 0 && access.permissionsOn("group:builders").size() > 0 && "Developer" in access.roles`, ""},
		{`person.title.translit("de") == "x"`, ""},
	} {
		_, got := policy.Compile(policy.Config{
			Organisations: []policy.Organisation{{Name: "Example", Domains: []string{"example.org"}}},
			Categories:    []policy.Category{{Name: "app", When: "true"}},
			Known: policy.Known{Sources: []string{"corp", "entra"}, Organisations: []string{"Example"}, Groups: []string{"Builders"},
				Roles: []string{"Developer"}, Resources: []string{"app:crm", "group:builders"}, Permissions: []string{"project:edit"}},
			Accounts: []policy.Rule{{Name: "r", Target: "t", When: c.expr, Attributes: map[string]string{"userName": "person.id"}}},
		}, []string{"t"})
		said := ""
		for _, m := range got {
			said += fmt.Sprintf("%d:%d %s\n", m.Line, m.Col, m.Text)
			if d := cmp.Diff([]any{"accounts", 0, "when"}, m.Path); d != "" {
				t.Errorf("%s: %s", c.expr, d)
			}
		}
		if c.want == "" && said != "" || c.want != "" && (len(got) != 1 || !strings.Contains(said, c.want)) {
			t.Errorf("%s: %q, want %q", c.expr, said, c.want)
		}
	}
}

// TestACategoryIsKnownToLaterRulesOnly: categories are asked in order.
func TestACategoryIsKnownToLaterRulesOnly(t *testing.T) {
	t.Parallel()
	_, got := policy.Compile(policy.Config{Categories: []policy.Category{
		{Name: "platform", When: `"app" in person.categories`}, {Name: "app", When: "true"}, {Name: "extended", When: `"app" in person.categories`},
	}}, nil)
	want := []policy.Mistake{{Path: []any{"categories", "platform"}, Line: 1, Col: 1, Text: `unknown category, or one that no category rule yields, "app"; there is none`, Lint: true}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestARuleBehindOneThatAlwaysHolds never counts.
func TestARuleBehindOneThatAlwaysHolds(t *testing.T) {
	t.Parallel()
	_, got := policy.Compile(policy.Config{Accounts: []policy.Rule{
		{Name: "a", Target: "t", When: "true || person.active"}, {Name: "b", Target: "u", When: "person.active"}, {Name: "c", Target: "t", When: "person.active"},
	}}, []string{"t", "u"})
	want := []policy.Mistake{{Path: []any{"accounts", 2, "when"}, Text: "rule a comes before and always holds, so that this one never counts; expected it behind this one", Lint: true}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestNothingThatCouldHoldIsRefused draws conditions, and tries those that are refused with every person.
func TestNothingThatCouldHoldIsRefused(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		expr, worth := condition(t, 4)
		_, bad := policy.Compile(policy.Config{Accounts: []policy.Rule{{Name: "r", Target: "t", When: expr,
			Attributes: map[string]string{"userName": "person.id"}}}}, []string{"t"})
		if len(bad) == 0 {
			return
		}
		for n := range 4 * 4 * 4 {
			attrs := map[string]string{}
			for i, f := range []string{"title", "locale", "nickName"} {
				if v := []string{"", "a", "b", "c"}[n>>(2*i)&3]; v != "" {
					attrs[f] = v
				}
			}
			if worth(attrs) == yes {
				t.Fatalf("%s is refused (%s) and holds for %v", expr, bad[0].Text, attrs)
			}
		}
	})
}

// TestAConditionWithinAConditionIsBounded: each is needed as true and as false, which doubles what is looked at.
func TestAConditionWithinAConditionIsBounded(t *testing.T) {
	t.Parallel()
	expr := "person.active"
	for range 12 { // the parser takes no more
		expr = "(" + expr + ` ? person.title == "A" : person.title == "B")`
	}
	for range 4 {
		expr = "(" + expr + " ? person.external : person.active)"
	}
	begun := time.Now()
	_, mistakes := policy.Compile(policy.Config{Accounts: []policy.Rule{{Name: "r", Target: "t", When: expr}}}, []string{"t"})
	if len(mistakes) > 0 {
		t.Errorf("%+v", mistakes)
	}
	if took := time.Since(begun); took > time.Minute {
		t.Errorf("it took %s", took)
	}
}
