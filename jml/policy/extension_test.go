package policy_test

import (
	"strings"
	"testing"

	"jmld/jml/policy"
	"jmld/model"
)

const hrURN = "urn:example:params:scim:hr:2.0:User"

func hr() []model.Extension {
	return []model.Extension{{URN: hrURN, Kind: model.KindUser, Name: "hr", Attributes: []model.Attribute{
		{Name: "badge", Type: "string"}, {Name: "level", Type: "integer"}, {Name: "share", Type: "decimal"}, {Name: "union", Type: "boolean"},
		{Name: "skills", Type: "string", MultiValued: true}, {Name: "shifts", Type: "integer", MultiValued: true}, {Name: "not-a-name", Type: "string"},
		{Name: "site", Type: "complex", Attributes: []model.Attribute{{Name: "building", Type: "string"}, {Name: "floor", Type: "integer"}}},
		{Name: "phones", Type: "complex", MultiValued: true, Attributes: []model.Attribute{{Name: "value", Type: "string"}, {Name: "type", Type: "string"}}},
		{Name: "pairs", Type: "complex", MultiValued: true, Attributes: []model.Attribute{{Name: "left", Type: "string"}}},
	}}, {URN: "urn:example:params:scim:cost:2.0:Group", Kind: model.KindGroup, Name: "cost", Attributes: []model.Attribute{{Name: "centre", Type: "string"}}}}
}

// A rule sees what is declared by name and type; what nobody said is neither true nor false.
func TestRulesSeeDeclaredExtensions(t *testing.T) {
	t.Parallel()
	full := map[string]any{
		"badge": "b1", "level": 4.0, "share": 0.5, "union": true, "skills": []any{"Go", "CEL"}, "shifts": []any{1.0, 2.0},
		"site": map[string]any{"building": "A", "floor": -1.0}, "phones": []any{map[string]any{"value": "1", "type": "desk"}, map[string]any{"type": "x"}},
	}
	directory := map[string]any{"level": "4", "share": "0.5", "union": "TRUE", "skills": "Go", "shifts": []any{"1"}}
	for when, want := range map[string]struct{ full, directory, none string }{
		`person.hr.badge == "b1"`:                               {"yes", "person.hr.badge is unassigned", "person.hr.badge is unassigned"},
		`person.hr.level > 3`:                                   {"yes", "yes", "person.hr.level is unassigned"},
		`person.hr.share < 1.0 && person.hr.union`:              {"yes", "yes", "is unassigned"},
		`"Go" in person.hr.skills`:                              {"yes", "yes", "person.hr.skills is unassigned"},
		`person.hr.shifts.exists(s, s == 1)`:                    {"yes", "yes", "person.hr.shifts is unassigned"},
		`person.hr.site.building == "A"`:                        {"yes", "person.hr.site.building is unassigned", "person.hr.site.building is unassigned"},
		`person.hr.site.floor == -1`:                            {"yes", "person.hr.site.floor is unassigned", "person.hr.site.floor is unassigned"},
		`person.hr.phones == ["1"]`:                             {"yes", "person.hr.phones is unassigned", "person.hr.phones is unassigned"},
		`has(person.hr.badge)`:                                  {"yes", "no", "no"},
		`has(person.hr.site)`:                                   {"yes", "no", "no"},
		`has(person.hr.site.floor)`:                             {"yes", "no", "no"},
		`has(person.hr)`:                                        {"yes", "yes", "yes"},
		`dyn(person).hr.badge == "b1"`:                          {"yes", "is unassigned", "is unassigned"},
		`dyn(person.hr).level == 4 && has(dyn(person.hr).site)`: {"yes", "no", "no"},
	} {
		p, mistakes := policy.Compile(policy.Config{Extensions: hr(), Accounts: []policy.Rule{
			{Name: "r", Target: "app", When: when, Attributes: map[string]string{"userName": "person.userName"}},
		}}, []string{"app"})
		if len(mistakes) > 0 {
			t.Errorf("%s: %v", when, mistakes)
			continue
		}
		for _, tt := range []struct {
			name, want string
			attrs      any
		}{{"full", want.full, full}, {"directory", want.directory, directory}, {"none", want.none, nil}} {
			attrs := map[string]any{"userName": "ada"}
			if tt.attrs != nil {
				attrs[hrURN] = tt.attrs
			}
			out := p.Evaluate(policy.Person{ID: "1", Active: true, Attrs: attrs})
			got := "no"
			switch {
			case len(out.Findings) > 0:
				got = out.Findings[0].Text
			case len(out.Grants) > 0:
				got = "yes"
			}
			if got != tt.want && (len(tt.want) < 4 || !strings.Contains(got, tt.want)) {
				t.Errorf("%s, %s: %s, not %s", when, tt.name, got, tt.want)
			}
		}
	}
}

// What is not declared, or not of the type, is a mistake where it stands.
func TestRulesAboutDeclaredExtensionsAreChecked(t *testing.T) {
	t.Parallel()
	for when, want := range map[string]string{
		`person.hr.bagde == "x"`:        `unknown field "bagde"`,
		`person.hr.level == "x"`:        "no matching overload",
		`person.hr.pairs == []`:         `unknown field "pairs"`,
		`person.cost.centre == "x"`:     `unknown field "cost"`,
		`person.hr.badge`:               "yields text; expected a condition",
		`person.hr == person.hr.site`:   "no matching overload",
		`jmld.Person.hr{} == person.hr`: "makes no objects",
	} {
		_, mistakes := policy.Compile(policy.Config{Extensions: hr(), Accounts: []policy.Rule{{Name: "r", Target: "app", When: when}}}, []string{"app"})
		if len(mistakes) != 1 || !strings.Contains(mistakes[0].Text, want) {
			t.Errorf("%s: %v", when, mistakes)
		}
	}
}

// A value that a directory delivers wrongly is a finding, not a value.
func TestDeclaredTypesHoldForWhatWasStored(t *testing.T) {
	t.Parallel()
	p, mistakes := policy.Compile(policy.Config{Extensions: hr(), Accounts: []policy.Rule{{Name: "r", Target: "app", When: "person.hr.level > 1"}}}, []string{"app"})
	if len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	for _, v := range []any{"x", 1.5, true, []any{1.0}, 1e300} {
		out := p.Evaluate(policy.Person{ID: "1", Attrs: map[string]any{"userName": "ada", hrURN: map[string]any{"level": v}}})
		if len(out.Findings) != 1 || !strings.Contains(out.Findings[0].Text, "person.hr.level is ") {
			t.Errorf("%v: %v", v, out.Findings)
		}
	}
}
