package config

import (
	"fmt"
	"reflect"
	"slices"
)

// Reload says what of another configuration needs a restart: refused are the keys that its decisions rest on, so that nothing of it can
// be adopted; later are those that change nothing but how the daemon runs. Targets that are new are neither.
func (c *Config) Reload(next *Config) (refused, later []string) {
	for _, part := range []struct {
		key      string
		was, is  any
		decisive bool
	}{
		{"database", c.Database, next.Database, true},
		{"database_password", c.DatabasePassword, next.DatabasePassword, false},
		{"listen", c.Listen, next.Listen, false},
		{"console", c.Console, next.Console, false},
		{"log", c.Log, next.Log, false},
		{"extensions", c.Extensions, next.Extensions, true},
	} {
		switch {
		case reflect.DeepEqual(part.was, part.is):
		case part.decisive:
			refused = append(refused, part.key)
		default:
			later = append(later, part.key)
		}
	}
	for _, s := range c.Sources {
		i := slices.IndexFunc(next.Sources, func(o Source) bool { return o.Name == s.Name })
		if i < 0 {
			refused = append(refused, fmt.Sprintf("sources: %s is gone", s.Name))
			continue
		}
		other := next.Sources[i]
		other.CreatesPeople = s.CreatesPeople // is a rule
		if !reflect.DeepEqual(s, other) {
			refused = append(refused, fmt.Sprintf("sources: %s has other settings", s.Name))
		}
	}
	for _, s := range next.Sources {
		if !slices.ContainsFunc(c.Sources, func(o Source) bool { return o.Name == s.Name }) {
			refused = append(refused, fmt.Sprintf("sources: %s is new", s.Name))
		}
	}
	for _, t := range c.Targets {
		i := slices.IndexFunc(next.Targets, func(o Target) bool { return o.Name == t.Name })
		switch {
		case i < 0:
			refused = append(refused, fmt.Sprintf("targets: %s is gone", t.Name))
		case t.Class != next.Targets[i].Class || t.Kind() != next.Targets[i].Kind():
			refused = append(refused, fmt.Sprintf("targets: %s is of another class or kind", t.Name))
		case !reflect.DeepEqual(t, next.Targets[i]):
			later = append(later, fmt.Sprintf("targets: %s has other settings", t.Name))
		}
	}
	return refused, later
}
