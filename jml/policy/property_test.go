package policy_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"jmld/jml/policy"
)

// condition draws an expression, and what it is worth in logic with three values.
func condition(t *rapid.T, depth int) (string, func(map[string]string) truth) {
	switch n := rapid.IntRange(0, 6).Draw(t, "kind"); {
	case depth <= 0 || n < 3:
		field := rapid.SampledFrom([]string{"title", "locale", "nickName"}).Draw(t, "field")
		value := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "value")
		return fmt.Sprintf("person.%s == %q", field, value), func(attrs map[string]string) truth {
			v, ok := attrs[field]
			switch {
			case !ok:
				return unknown
			case v == value:
				return yes
			}
			return no
		}
	case n == 3:
		a, fa := condition(t, depth-1)
		return "!(" + a + ")", func(m map[string]string) truth { return 2 - fa(m) }
	case n == 4:
		a, fa := condition(t, depth-1)
		b, fb := condition(t, depth-1)
		return "(" + a + ") && (" + b + ")", func(m map[string]string) truth { return min(fa(m), fb(m)) }
	case n == 5:
		a, fa := condition(t, depth-1)
		b, fb := condition(t, depth-1)
		return "(" + a + ") || (" + b + ")", func(m map[string]string) truth { return max(fa(m), fb(m)) }
	default:
		a, fa := condition(t, depth-1)
		b, fb := condition(t, depth-1)
		return "has(person.title) ? (" + a + ") : (" + b + ")", func(m map[string]string) truth {
			if _, ok := m["title"]; ok {
				return fa(m)
			}
			return fb(m)
		}
	}
}

// truth orders no < unknown < yes, so that "and" is the least and "or" the greatest (Kleene).
type truth int

const (
	no truth = iota
	unknown
	yes
)

// TestUnknownIsNeverNo: whatever the expressions and whoever the person, a rule grants when it is true, and makes a
// finding when it cannot be told; and the same input has the same outcome.
func TestUnknownIsNeverNo(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var cfg policy.Config
		var worth [][]func(map[string]string) truth
		targets := []string{"t0", "t1", "t2"}
		for i := range targets {
			worth = append(worth, nil)
			for j := range rapid.IntRange(0, 3).Draw(t, "rules") {
				expr, f := condition(t, 3)
				cfg.Accounts = append(cfg.Accounts, policy.Rule{
					Name: fmt.Sprintf("%d.%d", i, j), Target: targets[i], When: "(" + expr + `) || person.id == ""`, // one that cannot hold would be refused

					Attributes: map[string]string{"userName": "person.id"},
				})
				worth[i] = append(worth[i], f)
			}
		}
		p, mistakes := policy.Compile(cfg, targets)
		if len(mistakes) > 0 {
			t.Fatalf("%+v", mistakes)
		}
		attrs, plain := map[string]any{}, map[string]string{}
		for _, f := range []string{"title", "locale", "nickName"} {
			if v := rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, f); v != "" {
				attrs[f], plain[f] = v, v
			}
		}
		want := policy.Outcome{External: true}
		for i := range targets {
			for j, f := range worth[i] {
				w := f(plain)
				if w == yes {
					want.Grants = append(want.Grants, policy.Grant{
						Target: targets[i], Rule: fmt.Sprintf("%d.%d", i, j), Attrs: map[string]any{"userName": "1"},
					})
				}
				if w == unknown {
					want.Findings = append(want.Findings, policy.Finding{Target: targets[i], Rule: fmt.Sprintf("%d.%d", i, j)})
				}
				if w != no {
					break
				}
			}
		}
		person := policy.Person{ID: "1", Attrs: attrs}
		got := p.Evaluate(person)
		if diff := cmp.Diff(got, p.Evaluate(person)); diff != "" {
			t.Fatalf("not the same twice:\n%s", diff)
		}
		for i := range got.Findings {
			if !strings.HasSuffix(got.Findings[i].Text, " is unassigned") {
				t.Fatalf("finding: %+v", got.Findings[i])
			}
			got.Findings[i].Text = ""
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%+v\n%v (-want +got):\n%s", cfg.Accounts, plain, diff)
		}
	})
}

// FuzzExpression: whatever is written, it is refused or it ends soon, without a panic, and every mistake has a place in
// the expression.
func FuzzExpression(f *testing.F) {
	for _, s := range []string{
		"true", `person.groups.exists(g, g.startsWith("x"))`, `person.email.lower().split("@")[1] in ["a"]`,
		`[1,2,3].map(x, [1,2,3].map(y, x*y)).size() > 0`, `"%d %s".format([1, person.id]) == ""`, `"a".replace("", "bbbb", 9) == ""`,
		`person.groups.map(g, person.groups.map(h, g + h)).size() == 1`, `duration("1h") > duration("2h")`, `{"a": 1}["b"] == 1`,
		`"x".matches("(a+)+$")`, `dyn(person).groups`, `person.categories.all(c, c != "")`, "b'abc' == b'\\xff'", `person`, `has(person.id)`,
		"// comment\ntrue", `person.title in {"a": 1}`, `type(person)`, `optional.of(1)`, `1/0 == 1`, "person\n.\nactive", `"\u0000" == ""`,
		`[person].map(p, p.groups).exists(g, g.size() > 1)`, `person.groups.join(",").charAt(3) == "x"`,
	} {
		f.Add(s)
	}
	person := ada()
	for i := range 200 {
		person.Groups = append(person.Groups, fmt.Sprintf("group %d of many", i))
	}
	f.Fuzz(func(t *testing.T, expr string) {
		begin := time.Now()
		cfg := policy.Config{
			Categories: []policy.Category{{Name: "app", When: expr}},
			Accounts: []policy.Rule{
				{Name: "r", Target: "t", When: expr},
				{Name: "s", Target: "u", When: "true", Attributes: map[string]string{"userName": "person.id", "emails": expr}},
			},
		}
		for _, c := range []policy.Config{
			cfg, {Accounts: cfg.Accounts[:1]}, {Accounts: cfg.Accounts[1:]},
		} {
			p, mistakes := policy.Compile(c, []string{"t", "u"})
			grave := slices.ContainsFunc(mistakes, func(m policy.Mistake) bool { return !m.Lint && !m.May })
			if (p == nil) != grave {
				t.Fatalf("policy %v, mistakes %v", p, mistakes)
			}
			lines := strings.Count(expr, "\n") + 1
			for _, m := range mistakes {
				if m.Text == "" || len(m.Path) == 0 || m.Line < 0 || m.Line > lines+1 || m.Line > 0 && m.Col < 1 {
					t.Errorf("%q: a mistake without a place: %+v", expr, m)
				}
			}
			if p == nil {
				continue
			}
			for _, who := range []policy.Person{person, {ID: "1"}} {
				if diff := cmp.Diff(p.Evaluate(who), p.Evaluate(who)); diff != "" {
					t.Errorf("%q: not the same twice:\n%s", expr, diff)
				}
			}
		}
		if d := time.Since(begin); d > time.Minute {
			t.Errorf("%q took %s", expr, d)
		}
	})
}

func benchmarkPolicy(b *testing.B) *policy.Policy {
	cfg := policy.Config{
		Organisations: []policy.Organisation{{Name: "Example", Own: true, Domains: []string{"example.org"}}},
		Categories: []policy.Category{
			{Name: "platform", When: `!person.external && "Builders" in person.groups`}, {Name: "app", When: "true"},
		},
	}
	for i := range 20 {
		cfg.Accounts = append(cfg.Accounts, policy.Rule{
			Name: fmt.Sprint(i), Target: fmt.Sprintf("t%d", i/5),
			When: fmt.Sprintf(`"platform" in person.categories && person.department == "d%d" || person.title == "Engineer %d"`, i, i),
		})
	}
	cfg.Accounts[19].When = "true"
	return compile(b, cfg)
}

// BenchmarkEvaluate is one person under 20 rules of four targets, two categories and an organisation; one grant.
func BenchmarkEvaluate(b *testing.B) {
	p, person := benchmarkPolicy(b), ada()
	b.ReportAllocs()
	for b.Loop() {
		out := p.Evaluate(person)
		if len(out.Grants) != 1 || len(out.Findings) != 0 {
			b.Fatal(out)
		}
	}
}

// BenchmarkWorst is the dearest expression that the limits allow, over people in 2000 groups.
func BenchmarkWorst(b *testing.B) {
	for name, expr := range map[string]string{
		"regexp": `person.groups.exists(g, g.matches("(a|b|c)*d(e|f)+$"))`,
		"lower":  `person.groups.map(g, g.lower()).exists(g, g.contains("zzzz"))`,
		"twice":  `person.emails.exists(a, person.emails.exists(b, a + b == "x"))`,
	} {
		b.Run(name, func(b *testing.B) {
			p := compile(b, policy.Config{Accounts: []policy.Rule{{Name: "r", Target: "t", When: expr}}})
			person := ada()
			person.Groups = nil
			for i := range 2000 {
				person.Groups = append(person.Groups, fmt.Sprintf("%s %d", strings.Repeat("abc", 60), i))
			}
			var emails []any
			for i := range 100 {
				emails = append(emails, fmt.Sprintf("%s %d", strings.Repeat("abc", 60), i))
			}
			person.Attrs["emails"] = emails
			b.ReportAllocs()
			for b.Loop() {
				runtime.KeepAlive(p.Evaluate(person))
			}
		})
	}
}
