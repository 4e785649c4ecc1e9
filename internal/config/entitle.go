package config

import (
	"slices"
	"strings"

	"jmld/jml"
	"jmld/jml/access"
	"jmld/jml/policy"
	"jmld/model"
)

// RoleRule gives a role by right, as long as it holds.
type RoleRule struct {
	Name  string `yaml:"name,required"`
	Role  string `yaml:"role,required"`
	Place string `yaml:"place,required"` // a group, app:NAME or namespace:NAME
	When  string `yaml:"when"`
	// From is a source's group, in the place of When.
	From *RoleFrom `yaml:"from" json:",omitempty"`
}

// RoleFrom gives a role to the members of a source's group.
type RoleFrom struct {
	Source string `yaml:"source,required"`
	Group  string `yaml:"group,required"` // display name
}

// Separation says what nobody may have together.
type Separation struct {
	Name       string      `yaml:"name,required"`
	Between    []string    `yaml:"between,required"` // role:NAME, permission:AREA:NAME, group:NAME, account:TARGET
	Existing   string      `yaml:"existing" default:"keep" oneof:"keep remove"`
	Exceptions []Exception `yaml:"exceptions"`
}

// Exception lets one person have what a rule keeps apart, for a time.
type Exception struct {
	Person   string `yaml:"person,required"`
	Reason   string `yaml:"reason,required"`
	Approver string `yaml:"approver,required"`
	Until    string `yaml:"until,required"`
}

// Certification says what needs which level.
type Certification struct {
	Levels    []string          `yaml:"levels,required"` // the lowest first
	Attribute string            `yaml:"attribute" default:"certification"`
	End       string            `yaml:"end"`      // attribute with the date at which it ends
	Required  map[string]string `yaml:"required"` // as Separation.Between -> level
}

// accessPlace is a place as it is written.
func accessPlace(text string) string {
	kind, name, ok := strings.Cut(strings.TrimSpace(text), ":")
	if ok && (kind == access.KindApp || kind == access.KindNamespace || kind == access.KindGroup) {
		return access.Place(kind, name)
	}
	return access.Place(access.KindGroup, text)
}

func (r RoleRule) rule() policy.RoleRule {
	out := policy.RoleRule{Name: r.Name, Role: access.ID(r.Role), Place: accessPlace(r.Place), When: r.When}
	if r.From != nil {
		out.When, out.Source, out.Group = "", r.From.Source, strings.TrimSpace(r.From.Group)
	}
	return out
}

// separation is the rule as the core takes it; what is wrong with it was said when the file was checked.
func (s Separation) separation() jml.Separation {
	out := jml.Separation{Name: s.Name, Remove: s.Existing == "remove"}
	for _, text := range s.Between {
		if t, err := access.ParseThing(text); err == nil {
			out.Things = append(out.Things, t)
		}
	}
	return out
}

func (c *Certification) certification() jml.Certification {
	if c == nil {
		return jml.Certification{}
	}
	out := jml.Certification{Levels: c.Levels, Attribute: steps(c.Attribute), End: steps(c.End)}
	for text, level := range c.Required {
		t, err := access.ParseThing(text)
		n := slices.IndexFunc(c.Levels, func(l string) bool { return jml.Fold(l) == jml.Fold(level) })
		if err == nil && n >= 0 {
			out.Required = append(out.Required, jml.Requirement{Thing: t, Level: n + 1})
		}
	}
	slices.SortFunc(out.Required, func(a, b jml.Requirement) int { return strings.Compare(a.Thing.String(), b.Thing.String()) })
	return out
}

// steps are the way to an attribute; nil when there is none of that name.
func steps(attribute string) []string {
	full, err := policy.CanonicalPath(attribute)
	if attribute == "" || err != nil {
		return nil
	}
	if strings.HasPrefix(full, "urn:") {
		i := strings.LastIndexByte(full, ':')
		return []string{full[:i], full[i+1:]}
	}
	return strings.Split(full, ".")
}

// exceptions are the rows of those that are declared.
func (b *declaring) exceptions(s Separation, at route) {
	for i, e := range s.Exceptions {
		row := model.AccessMember{Person: person(e.Person), Place: access.Place(access.KindException, s.Name), Reason: e.Reason, Approver: e.Approver,
			ValidTo: day(e.Until), ManagedBy: model.ManagedByConfig}
		b.state.Members = append(b.state.Members, row)
		here := at.with("exceptions", i)
		key := access.MemberKey(row)
		b.at(access.OfMember, key, "", here)
		for field, name := range map[string]string{"person": "person", "reason": "reason", "approver": "approver", "to": "until"} {
			b.at(access.OfMember, key, field, here.with(name))
		}
	}
}
