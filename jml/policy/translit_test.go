package policy_test

import (
	"testing"

	"jmld/jml/policy"
)

// TestNamesInASCII: what names are made with, for letters of several languages.
func TestNamesInASCII(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ expr, given, family, want string }{
		{`person.givenName.translit()`, "Jürgen", "", "Jurgen"},
		{`person.givenName.translit("de")`, "Jürgen", "", "Juergen"},
		{`person.familyName.translit("de")`, "", "Ößler", "Oessler"},
		{`person.familyName.translit("de")`, "", "Mu\u0308ller", "Mueller"}, // a letter and its mark
		{`person.familyName.translit()`, "", "Groß", "Gross"},
		{`person.givenName.translit("nordic") + person.familyName.translit("nordic")`, "Åse", "Bjørnø", "AaseBjoernoe"},
		{`person.givenName.translit()`, "Åse", "", "Ase"},
		{`person.familyName.translit()`, "", "Łukasiewicz-Đorđević", "Lukasiewicz-Dordevic"},
		{`person.givenName.translit()`, "Юрий", "", "Iurii"},
		{`person.familyName.translit()`, "", "Щербаков", "Shcherbakov"},
		{`person.familyName.translit()`, "", "Їжак", "Izhak"},
		{`person.familyName.translit()`, "", "Παπαδοπούλου", "Papadopoulou"},
		{`person.givenName.translit()`, "Þór", "", "Thor"},
		{`person.givenName.translit()`, "Nguyễn", "", "Nguyen"},
		{`person.givenName.translit()`, "王", "", ""},
		{`person.givenName.slug()`, "Anna  Maria", "", "anna-maria"},
		{`person.familyName.slug()`, "", "O'Neil Jr.", "oneil-jr"},
		{`person.familyName.slug()`, "", " von der Straße ", "von-der-strasse"},
		{`person.givenName.first(1) + person.familyName.first(3)`, "Özil", "Li", "ÖLi"},
		{`person.givenName.first(0)`, "Ada", "", ""},
		{`person.givenName.first(-1)`, "Ada", "", ""},
	} {
		p, bad := policy.Compile(policy.Config{Accounts: []policy.Rule{{Name: "r", Target: "app", When: "true",
			Attributes: map[string]string{"userName": `"x"`, "title": c.expr}}}}, []string{"app"})
		if len(bad) > 0 {
			t.Fatalf("%s: %v", c.expr, bad)
		}
		out := p.Evaluate(policy.Person{Attrs: map[string]any{"name": map[string]any{"givenName": c.given, "familyName": c.family}}})
		if len(out.Findings) > 0 || len(out.Grants) != 1 {
			t.Fatalf("%s: %+v", c.expr, out)
		}
		got, _ := out.Grants[0].Attrs["title"].(string)
		if got != c.want {
			t.Errorf("%s of %q %q is %q, want %q", c.expr, c.given, c.family, got, c.want)
		}
	}
}
