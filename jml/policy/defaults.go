package policy

import "fmt"

// defaults is the mapping of a rule without attributes: who the person is and where they work, as the sources said it;
// what nobody said is left out. externalId is jmld's own id of the person, so that the account is found again whatever
// else changes. Not mapped, because they mean something else in another system: groups, roles, entitlements, manager.
func defaults(paths []defaultPath, s *subject, attrs map[string]any, named bool) []error {
	var bad []error
	for i := range paths {
		m := &paths[i]
		if named && m.name == "userName" {
			continue
		}
		v, err := m.get(s)
		switch {
		case err != nil:
			bad = append(bad, fmt.Errorf("attribute %s %w", m.name, err))
		case v != nil:
			m.path.put(attrs, v)
		case m.name == "userName":
			bad = append(bad, fmt.Errorf("attribute userName: person.userName is unassigned"))
		}
	}
	for _, name := range []string{"emails", "phoneNumbers"} {
		es, err := elements(lookup(s.person.Attrs, name))
		if err != nil {
			bad = append(bad, fmt.Errorf("attribute %s %w", name, err))
			continue
		}
		if len(es) > 0 {
			attrs[name] = copyElements(es)
		}
	}
	return bad
}

type defaultPath struct {
	name string
	path path
	get  func(*subject) (any, error)
}

// defaultPaths are the single-valued attributes of the default mapping.
func defaultPaths() []defaultPath {
	list := []defaultPath{{"externalId", path{steps: []string{"externalId"}},
		func(s *subject) (any, error) { return s.person.ID, nil }}}
	for _, steps := range [][]string{
		{"userName"}, {"displayName"}, {"nickName"}, {"title"}, {"userType"}, {"preferredLanguage"}, {"locale"}, {"timezone"},
		{"name", "formatted"}, {"name", "familyName"}, {"name", "givenName"}, {"name", "middleName"},
		{"name", "honorificPrefix"}, {"name", "honorificSuffix"},
		{urnEnterprise, "employeeNumber"}, {urnEnterprise, "costCenter"}, {urnEnterprise, "organization"},
		{urnEnterprise, "division"}, {urnEnterprise, "department"},
	} {
		name := steps[len(steps)-1]
		list = append(list, defaultPath{name, path{steps: steps}, text(steps...)})
	}
	return list
}

func copyElements(es []element) []any {
	out := make([]any, len(es))
	for i, e := range es {
		m := map[string]any{"value": e.value}
		if e.typ != "" {
			m["type"] = e.typ
		}
		if e.primary {
			m["primary"] = true
		}
		out[i] = m
	}
	return out
}
