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
	if print("# a comment\nlog: {level: debug}\n"+base) != was {
		t.Error("what does not decide changed the fingerprint")
	}
	for old, now := range map[string]string{"person.active": "!person.active", "name: entra": "name: okta", "class: app": "class: platform", "name: all": "name: some"} {
		if print(strings.Replace(base, old, now, 1)) == was {
			t.Errorf("%q for %q changed nothing", now, old)
		}
	}
}
