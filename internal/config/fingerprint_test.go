package config_test

import (
	"strings"
	"testing"

	"jmld/internal/config"
)

func TestFingerprintIsOfWhatDecides(t *testing.T) {
	t.Parallel()
	const base = `database: sqlite:/tmp/x.db
sources:
  - {name: entra, scim: {}}
targets:
  - {name: app, class: app, memory: {}}
policy:
  accounts:
    - {name: all, target: app, when: 'person.active'}
`
	print := func(text string) string {
		t.Helper()
		c, err := config.Parse("c.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		sum, err := c.Fingerprint()
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	was := print(base)
	// A version that knows more keys takes the same file for the same rules. Where this one is changed, everybody is reviewed by the upgrade, and
	// doubtful rules do not start (JML-1004): only for a change of what the same file means.
	if want := "0156242be79b00e13f3e2ddcd8379e4041d30af55f610d06694ce8a6db5416fc"; was != want {
		t.Errorf("%s, want %s", was, want)
	}
	if print("# a comment\nlog: {level: debug}\n"+base) != was {
		t.Error("what does not decide changed the fingerprint")
	}
	for old, now := range map[string]string{"person.active": "!person.active", "name: entra": "name: okta", "class: app": "class: platform", "name: all": "name: some"} {
		if print(strings.Replace(base, old, now, 1)) == was {
			t.Errorf("%q for %q changed nothing", now, old)
		}
	}
}
