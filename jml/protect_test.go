package jml_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"jmld/jml"
	"jmld/model"
)

// TestWhatIsProtectedSurvives any sequence of inputs, dates, approvals and changes of the rules: an account that was active while an
// entry was about it stays active as long as the entry is there, and a target that has an administrator never loses the last one. D-21, M-15, M-16
func TestWhatIsProtectedSurvives(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := dated(t, rt)
		c := usual()
		c.Accounts[1].Administrator = true
		w.rules.Policy = compile(t, c)
		w.rules.Protect = jml.Protection{
			People: []jml.ProtectedPeople{{Name: "people", Key: rapid.SampledFrom([]string{jml.KeyUserName, jml.KeyEmail, jml.KeyEmployeeNumber}).Draw(rt, "key"),
				Pattern: rapid.SampledFrom([]string{"a*", "*@example.org", "1", "*"}).Draw(rt, "pattern")}},
			Accounts: []jml.ProtectedAccounts{{Name: "accounts", Target: "app", Pattern: "b*", Kind: jml.KindCredentials},
				{Name: "demo", Pattern: "eve", Kind: jml.KindDemo}},
		}
		w.everybody("rules changed")
		safe := map[[2]string]bool{}
		administered := map[string]bool{}
		look := func() {
			left := map[string]bool{}
			for key, a := range w.accounts {
				if safe[key] && a.State != model.AccountActive {
					rt.Fatalf("%v of the protected %s is %s", key, w.identities[key[0]].DisplayName, a.State)
				}
				if a.ProtectedBy != "" && a.State == model.AccountActive {
					safe[key] = true
				}
				if a.Administrator && a.State == model.AccountActive {
					left[key[1]] = true
				}
			}
			for target := range administered {
				if !left[target] {
					rt.Fatalf("nobody administers %s any more", target)
				}
			}
			administered = left
		}
		look()
		for range rapid.IntRange(1, 15).Draw(rt, "steps") {
			source := rapid.SampledFrom([]string{"corp", "entra", "okta"}).Draw(rt, "source")
			id := rapid.SampledFrom([]string{"1", "2", "3"}).Draw(rt, "record")
			switch rapid.IntRange(0, 6).Draw(rt, "what") {
			case 0:
				w.say(source, id, nil, "deleted by "+source)
			case 1:
				w.wait(w.now.Add(time.Duration(rapid.IntRange(1, 1000).Draw(rt, "hours")) * time.Hour))
			case 2:
				w.holding = !w.holding
			case 3:
				w.approve()
			case 4:
				c.Accounts[0].When = rapid.SampledFrom([]string{"true", `person.id == ""`, `"builders" in person.groups`}).Draw(rt, "builders")
				c.Accounts[1].When = rapid.SampledFrom([]string{"true", `person.id == ""`, `person.department == "A"`}).Draw(rt, "everybody")
				c.Accounts[1].DeleteAfter = time.Duration(rapid.IntRange(0, 3).Draw(rt, "delete after")) * 24 * time.Hour
				w.rules.Policy = compile(t, c)
				w.everybody("rules changed")
			default:
				w.say(source, id, drawRecord(rt), "said by "+source)
			}
			look()
		}
	})
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, name string
		is            bool
	}{
		{"MxAdmin", "mxadmin", true}, {"MxAdmin", "mxadmin2", false}, {"demo_*", "DEMO_ada", true}, {"demo_*", "demo", false},
		{"*@example.org", "ada@example.org", true}, {"*@example.org", "ada@example.org.evil.example", false},
		{"a*b*c", "abc", true}, {"a*b*c", "aXXbYYbc", true}, {"a*b*c", "acb", false}, {"ab*ba", "aba", false}, {"*", "x", true}, {"*", "", false},
		{"", "", false}, {"ﬁ*", "FIx", true}, {"*a*", "bab", true}, {"**", "a", true},
	} {
		r := jml.Rules{Protect: jml.Protection{Accounts: []jml.ProtectedAccounts{{Name: "p", Pattern: c.pattern, Kind: jml.KindLocal}}}}
		if _, is := r.Reserved(model.Account{Target: "app", UserName: c.name}); is != c.is {
			t.Errorf("%q is like %q: %t", c.name, c.pattern, is)
		}
	}
}
