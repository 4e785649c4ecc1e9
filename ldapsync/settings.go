package ldapsync

import (
	"slices"
	"strconv"
	"strings"
)

// Setting is one thing that is in force: said by the options, or by the preset.
type Setting struct{ Key, Value string }

// Settings lists what is in force, under the keys of the configuration. Those of attributes are SCIM paths.
func (s *Source) Settings() (settings, attributes []Setting) {
	add := func(key, value string) { settings = append(settings, Setting{key, value}) }
	add("id", s.o.ID)
	add("people.base", s.o.People.Base)
	add("people.filter", s.o.People.Filter)
	if g := s.o.Groups; g != nil {
		add("groups.base", g.Base)
		add("groups.filter", g.Filter)
		add("groups.name", g.Name)
		members := strings.Join(s.preset.Members, ", ")
		if s.preset.Primary {
			members += ", and primaryGroupID of people"
		}
		add("groups.member", members)
	}
	for _, r := range s.preset.Status {
		if slices.Contains(s.preset.Inactive, r.Name) {
			add("inactive", r.Name+": "+r.String())
		}
	}
	add("page_size", strconv.Itoa(s.o.PageSize))
	add("incremental", string(s.o.Incremental))
	for i := range s.people.fields {
		f := &s.people.fields[i]
		value := f.says()
		if f.from.Type != "" {
			value += " as " + string(f.from.Type)
		}
		attributes = append(attributes, Setting{f.path, value})
	}
	return settings, attributes
}
