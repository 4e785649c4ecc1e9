package trial

import (
	"slices"
	"strings"

	"jmld/jml/access"
	"jmld/model"
)

// roles compares names of roles; place "" is anywhere.
func (k *checker) roles(what, place string, want, got []string) {
	got = slices.Sorted(slices.Values(got))
	if slices.Equal(want, got) {
		return
	}
	var why []string
	for _, name := range slices.Sorted(slices.Values(slices.Concat(want, got))) {
		if slices.Contains(want, name) != slices.Contains(got, name) {
			why = append(why, k.whyRole(name, place, slices.Contains(got, name))...)
		}
	}
	k.found = append(k.found, Difference{what, orNone(strings.Join(want, ", ")), orNone(strings.Join(got, ", ")), strings.Join(slices.Compact(why), "; ")})
}

// whyRole says what gives a role that is held, and else what withholds it, or would give it.
func (k *checker) whyRole(name, place string, held bool) (out []string) {
	role := access.ID(name)
	if held {
		for _, m := range k.played.Access.Rows() {
			if m.Role == role {
				text := m.Reason
				if m.Place != place {
					text += ", on " + m.Place
				}
				out = append(out, name+": "+text)
			}
		}
		return out
	}
	for _, w := range k.played.Entitlements.Withheld {
		if w.Role == role {
			out = append(out, name+" is withheld: "+w.Text)
		}
	}
	if len(out) > 0 {
		return out
	}
	for _, r := range k.rules.Policy.RoleRules() {
		if r.Role == role && !slices.ContainsFunc(k.played.Entitlements.Given, func(b model.Birthright) bool { return b.Rule == r.Name }) {
			out = append(out, name+": rule "+r.Name+" does not hold")
		}
	}
	if len(out) == 0 {
		out = append(out, name+": nothing gives it")
	}
	return out
}
