package config

import (
	"maps"
	"reflect"
	"slices"

	"github.com/goccy/go-yaml/ast"

	"jmld/jml/access"
	"jmld/jml/trial"
)

// role is the name of a role, however it is written.
func (b *caseBuilder) role(text string, at route) string {
	name, known := b.roles[access.ID(text)]
	if !known {
		b.wrong(at, "unknown role %q%s", text, meant(text, slices.Sorted(maps.Values(b.roles))))
	}
	return name
}

// exception is one from a rule of separation, which has an end.
func (b *caseBuilder) exception(m memberFile, at route) {
	var names []string
	for _, s := range b.config.Policy.Separation {
		names = append(names, s.Name)
	}
	if !slices.ContainsFunc(names, func(n string) bool { return access.ID(n) == access.ID(m.Exception) }) {
		b.wrong(at.with("exception"), "unknown rule of separation %q%s", m.Exception, meant(m.Exception, names))
	}
	if m.Until == "" {
		b.wrong(at, "an exception ends; expected until beside it")
	}
	if m.Role != "" || m.Owner {
		b.wrong(at, "an exception is from a rule, and gives no role; expected it without role and owner")
	}
}

func (b *caseBuilder) expectedRoles(w wantedRoles, at route, out *trial.Expect) {
	switch {
	case !w.said:
	case w.places == nil:
		out.Roles = b.roleList(w.names, at)
	default:
		out.RolesOn = map[string][]string{}
	}
	for _, v := range w.places {
		place := accessPlace(v.name)
		if !b.tree.Has(place) {
			b.mistake(b.keyPlace(v.at), "there is no %s; expected a group, an app or a namespace that access declares", place)
			continue
		}
		if _, twice := out.RolesOn[place]; twice {
			b.mistake(b.keyPlace(v.at), "%s is there twice; expected it once", place)
		}
		if word, ok := plain(v.node); ok && word == "none" {
			out.RolesOn[place] = []string{}
			continue
		}
		out.RolesOn[place] = b.roleList(v.node, v.at)
	}
}

// roleList is never nil.
func (b *caseBuilder) roleList(n ast.Node, at route) []string {
	out := []string{}
	if n == nil {
		return out
	}
	var list []string
	b.checks = false
	b.value(n, reflect.ValueOf(&list).Elem(), at, "")
	b.checks = true
	for i, text := range list {
		if text != "" {
			out = append(out, b.role(text, at.with(i)))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
