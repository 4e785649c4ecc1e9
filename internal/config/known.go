package config

import (
	"slices"

	"jmld/jml/access"
	"jmld/jml/policy"
	"jmld/model"
)

// known are the names that expressions may speak of. Of groups, roles and resources, those that are declared here: where none of a
// kind is, operators make them, and nobody knows them now.
func (c *Config) known() policy.Known {
	out := policy.Known{Organisations: []string{}}
	for _, s := range c.Sources {
		out.Sources = append(out.Sources, s.Name)
	}
	for _, o := range c.Organisations {
		out.Organisations = append(out.Organisations, o.Name)
	}
	state := c.AccessState()
	for _, g := range state.Groups {
		out.Groups = append(out.Groups, g.Name)
		out.Resources = append(out.Resources, access.KindGroup+":"+g.ID)
	}
	for _, r := range state.Roles {
		out.Roles = append(out.Roles, r.Name)
		list, err := access.Permissions(r)
		if err != nil { // it was made a moment ago
			continue
		}
		for _, p := range list {
			out.Permissions = append(out.Permissions, p.String())
		}
	}
	if len(state.Resources) == 0 {
		out.Resources = nil
	}
	for _, r := range state.Resources {
		out.Resources = append(out.Resources, r.Place)
	}
	if out.Groups != nil {
		out.Groups = append(out.Groups, model.AccessRoot)
	}
	slices.Sort(out.Permissions)
	out.Permissions = slices.Compact(out.Permissions)
	return out
}
