package ldapsync

import (
	"fmt"
	"slices"
	"strings"

	"jmld/jml/entry"
)

// applyPreset fills what the options leave open with what is usual in the directory, and returns what is in force.
func (o *Options) applyPreset() (entry.Preset, error) {
	p, ok := entry.PresetOf(o.Preset)
	if !ok {
		return p, fmt.Errorf("preset: %q is none of %s", o.Preset, strings.Join(entry.Presets(), ", "))
	}
	set := func(s *string, def string) {
		if *s == "" {
			*s = def
		}
	}
	set(&o.ID, p.ID)
	if o.ID == "" {
		return p, fmt.Errorf("id: the preset %s leaves it open; which attribute never changes?", p.Name)
	}
	set(&o.People.Filter, p.People)
	if o.Groups != nil {
		g := *o.Groups // the caller's stays as it is
		set(&g.Filter, p.Groups)
		set(&g.Name, p.GroupName)
		if g.Member != "" {
			p.Members = []string{g.Member}
		}
		g.Member = strings.Join(p.Members, ", ")
		o.Groups = &g
	}
	if o.PageSize == 0 {
		o.PageSize = p.PageSize
	}
	if o.Incremental == "" {
		o.Incremental = p.Incremental
	}
	p.ID, p.People, p.PageSize, p.Incremental = o.ID, o.People.Filter, o.PageSize, o.Incremental
	// The ids of other servers than OpenLDAP are those of other schemas.
	p.NeedsMember = p.NeedsMember && strings.EqualFold(p.ID, "entryUUID")
	return p, o.Inactive.apply(&p)
}

// apply replaces the preset's rules, or chooses which of them count.
func (i Inactive) apply(p *entry.Preset) error {
	switch {
	case i.Attribute != "" && len(i.When) > 0:
		return fmt.Errorf("inactive: attribute and when are two ways to say who is not active; one of them")
	case i.Attribute != "":
		p.Status = []entry.Rule{{Name: entry.Disabled, Attribute: i.Attribute, Values: i.Values, Any: len(i.Values) == 0}}
		p.Inactive = []string{entry.Disabled}
	case len(i.When) > 0:
		for _, name := range i.When {
			if !slices.Contains(p.RuleNames(), name) {
				return fmt.Errorf("inactive.when: %q is none of %s", name, strings.Join(p.RuleNames(), ", "))
			}
		}
		p.Inactive = i.When
	}
	return nil
}
