package config_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/config"
)

// What decisions rest on is refused, what only concerns how the daemon runs waits for a restart, and rules are neither.
func TestReloadNamesWhatNeedsARestart(t *testing.T) {
	t.Parallel()
	const base = `listen: {address: 127.0.0.1:8484}
sources:
  - {name: corp, scim: {}}
  - {name: entra, scim: {}}
policy: {accounts: [{name: all, target: app, when: person.active}]}
targets:
  - {name: app, class: app, local: {}}
`
	parse := func(text string) *config.Config {
		t.Helper()
		c, err := config.ParseElsewhere("config.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	from := parse(base)
	for _, c := range []struct {
		name           string
		change         []string
		refused, later []string
	}{
		{"nothing", nil, nil, nil},
		{"a rule", []string{"person.active", "person.external"}, nil, nil},
		{"the order of sources, and who creates people", []string{"  - {name: corp, scim: {}}\n  - {name: entra, scim: {}}", "  - {name: entra, scim: {}}\n  - {name: corp, creates_people: false, scim: {}}"}, nil, nil},
		{"a target more", []string{"targets:\n", "targets:\n  - {name: more, class: app, local: {}}\n"}, nil, nil},
		{"the address", []string{"8484", "8485"}, nil, []string{"listen"}},
		{"the database", []string{"listen:", "database: sqlite:other.db\nlisten:"}, []string{"database"}, nil},
		{"a source's name", []string{"entra", "okta"}, []string{"sources: entra is gone", "sources: okta is new"}, nil},
		{"a source's settings", []string{"entra, scim: {}", "entra, scim: {strict: true}"}, []string{"sources: entra has other settings"}, nil},
		{"a target's settings", []string{"local: {}", "concurrency: 8, local: {}"}, nil, []string{"targets: app has other settings"}},
		{"a target's class", []string{"class: app", "class: platform"}, []string{"targets: app is of another class or kind"}, nil},
	} {
		text := base
		if c.change != nil {
			text = strings.Replace(base, c.change[0], c.change[1], 1)
		}
		refused, later := from.Reload(parse(text))
		if d := cmp.Diff([][]string{c.refused, c.later}, [][]string{refused, later}); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
	example, err := os.ReadFile("../../config.example.yaml") // every key there is, read twice, is the same
	if err != nil {
		t.Fatal(err)
	}
	if refused, later := parse(string(example)).Reload(parse(string(example))); len(refused)+len(later) > 0 {
		t.Errorf("the same file: %v, %v", refused, later)
	}
}
