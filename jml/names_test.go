package jml_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"jmld/jml"
	"jmld/jml/policy"
	"jmld/model"
)

// TestANameIsOnePersonsForEver plays people of few names who come, marry, leave and return.
func TestANameIsOnePersonsForEver(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		rules := usualRules(t)
		naming := &policy.Naming{Numbered: rapid.Bool().Draw(rt, "number"), Rename: rapid.Bool().Draw(rt, "rename"), Longest: rapid.SampledFrom([]int{0, 3, 8}).Draw(rt, "longest"),
			Patterns: []string{`person.givenName.first(1).slug() + person.familyName.slug()`, `person.givenName.slug() + "." + person.familyName.slug() + "@example.org"`}}
		c := usual()
		c.Accounts = []policy.Rule{{Name: "everybody", Target: "app", When: `has(person.givenName)`, Naming: naming}}
		rules.Policy = compile(t, c)
		w := newWorld(rules)
		owner := map[jml.NameKey]string{} // of every name that an account ever had
		first := map[string]string{}
		for i := range rapid.IntRange(2, 20).Draw(rt, "steps") {
			id := rapid.SampledFrom([]string{"1", "2", "3", "4"}).Draw(rt, "person")
			if rapid.IntRange(0, 4).Draw(rt, "what") == 0 {
				w.say("corp", id, nil, "deleted")
			} else {
				w.say("corp", id, &model.Record{Active: rapid.Bool().Draw(rt, "active"), UserName: id, Attrs: jml.Canonical(map[string]any{
					"userName": "user" + id, "name": map[string]any{"givenName": rapid.SampledFrom([]string{"Ada", "ADA", "Åda"}).Draw(rt, "given"),
						"familyName": rapid.SampledFrom([]string{"Kern", "kern", "Lind"}).Draw(rt, "family")}})}, "said")
			}
			for key, a := range w.accounts {
				name := jml.KeyOfName(key[1], a.UserName)
				if was, ok := owner[name]; ok && was != key[0] {
					rt.Fatalf("step %d: %q was %s's and is %s's", i, a.UserName, was, key[0])
				}
				owner[name] = key[0]
				if was := first[key[0]]; was != "" && was != a.UserName && !naming.Rename {
					rt.Fatalf("step %d: %s was %q and is %q without rename", i, key[0], was, a.UserName)
				}
				first[key[0]] = a.UserName
				if limit := naming.Longest; limit > 0 && len(a.UserName) > max(limit, len("a@example.org")+4) {
					rt.Fatalf("step %d: %q is longer than %d", i, a.UserName, limit)
				}
			}
			for id := range w.identities {
				if d := w.decide(id, jml.Cause{Text: "again"}); len(d.Steps)+len(d.Names) > 0 {
					rt.Fatalf("step %d: decided again, %s gets %s", i, id, fmt.Sprint(d.Steps, d.Names))
				}
			}
		}
	})
}
