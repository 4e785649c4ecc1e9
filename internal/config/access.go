package config

import (
	"slices"
	"strings"
	"time"

	"jmld/jml/access"
	"jmld/model"
)

// Access is the part of the tree of groups that the configuration manages. What operators make at run time is beside it.
type Access struct {
	Approver  string           `yaml:"approver"` // the natural person who stands behind what is declared here
	Areas     []string         `yaml:"areas"`    // of permissions, beside the usual ones
	Roles     []AccessRole     `yaml:"roles"`
	Resources []AccessResource `yaml:"resources"`
	Groups    []AccessGroup    `yaml:"groups"`
	Requests  AccessRequests   `yaml:"requests"`
}

// AccessRequests says who decides about what people ask for.
type AccessRequests struct {
	Open       Duration `yaml:"open" default:"14d"`
	Longest    Duration `yaml:"longest" default:"366d"`
	Free       []string `yaml:"free"`       // roles on apps and namespaces that need no approval
	Privileged []string `yaml:"privileged"` // as Separation.Between, without accounts
	Approvals  int      `yaml:"approvals" default:"2" range:"2 10"`
	Approvers  string   `yaml:"approvers"` // a group
}

// Rules are what the engine goes by; what is wrong with them was said when the file was checked.
func (r *AccessRequests) Rules() access.RequestRules {
	out := access.RequestRules{Open: r.Open.Std(), Longest: r.Longest.Std(), Approvals: r.Approvals, Approvers: access.ID(r.Approvers)}
	for _, name := range r.Free {
		out.Free = append(out.Free, access.ID(name))
	}
	for _, text := range r.Privileged {
		if t, err := access.ParseThing(text); err == nil {
			out.Privileged = append(out.Privileged, t)
		}
	}
	return out
}

// AccessRole is a set of permissions by area.
type AccessRole struct {
	Name        string              `yaml:"name"`
	Description string              `yaml:"description"`
	App         string              `yaml:"app"` // whose own role it is; "": central
	Permissions map[string][]string `yaml:"permissions"`
}

// AccessResource is an app or a namespace: exactly one is set.
type AccessResource struct {
	App         string         `yaml:"app"`
	Namespace   string         `yaml:"namespace"`
	Description string         `yaml:"description"`
	Owner       string         `yaml:"owner"` // of an app: a person
	Members     []AccessMember `yaml:"members"`
}

// AccessGroup is a group with what belongs to it.
type AccessGroup struct {
	Name        string         `yaml:"name"`
	Description string         `yaml:"description"`
	Parent      string         `yaml:"parent"`
	Admins      []string       `yaml:"admins"`
	Members     []AccessMember `yaml:"members"`
	Owns        []string       `yaml:"owns"`       // apps
	Namespaces  []string       `yaml:"namespaces"` // that it is associated with
}

// AccessMember is a role somebody holds. A person is written KEY:VALUE, with one of the correlation keys.
type AccessMember struct {
	Person   string `yaml:"person,required"`
	Role     string `yaml:"role"`
	Reason   string `yaml:"reason" default:"declared in the configuration"`
	Approver string `yaml:"approver"` // default Access.Approver
	From     string `yaml:"from"`
	Until    string `yaml:"until"`
}

// AccessAreas are the areas roles may have permissions in.
func (c *Config) AccessAreas() []string {
	areas := slices.Concat(access.Areas(), c.Access.Areas)
	slices.Sort(areas)
	return slices.Compact(areas)
}

// AccessState is what the configuration declares.
func (c *Config) AccessState() access.State {
	s, _ := declared(c)
	return s
}

// declared makes the state, and says where in the file each part of it is.
func declared(c *Config) (access.State, map[string]route) {
	b := &declaring{places: map[string]route{}, approver: c.Access.Approver}
	root := route{"access"}
	for i, r := range c.Access.Roles {
		b.role(r, root.with("roles", i))
	}
	for i, r := range c.Access.Resources {
		b.resource(r, root.with("resources", i))
	}
	for i, g := range c.Access.Groups {
		b.group(g, root.with("groups", i))
	}
	for i, s := range c.Policy.Separation {
		b.exceptions(s, route{"policy", "separation", i})
	}
	return b.state, b.places
}

type declaring struct {
	state    access.State
	places   map[string]route // of kind, key and field
	approver string
}

// at remembers a place. Of something that is there twice it is the second that is too much, and the first that the rest is about.
func (b *declaring) at(kind, key, field string, r route) {
	full := kind + "\x00" + key + "\x00" + field
	if _, twice := b.places[full]; !twice || field == "name" || field == "" {
		b.places[full] = r
	}
}

func (b *declaring) role(r AccessRole, at route) {
	out := model.AccessRole{ID: access.ID(r.Name), Name: strings.TrimSpace(r.Name), Description: r.Description, ManagedBy: model.ManagedByConfig}
	if r.App != "" {
		out.App = access.Place(access.KindApp, r.App)
	}
	var list []access.Permission
	for area, names := range r.Permissions {
		for _, name := range names {
			list = append(list, access.Permission{Area: area, Name: name})
		}
	}
	out.Permissions = access.EncodePermissions(list)
	b.state.Roles = append(b.state.Roles, out)
	for _, field := range []string{"name", "app", "permissions"} {
		b.at(access.OfRole, out.ID, field, at.with(field))
	}
}

func (b *declaring) resource(r AccessResource, at route) {
	kind, name := access.KindApp, r.App
	if r.App == "" {
		kind, name = access.KindNamespace, r.Namespace
	}
	place := access.Place(kind, name)
	b.state.Resources = append(b.state.Resources, model.AccessResource{Place: place, Name: strings.TrimSpace(name), Description: r.Description, ManagedBy: model.ManagedByConfig})
	b.at(access.OfResource, place, "name", at.with(kind))
	if r.Owner != "" {
		b.member(AccessMember{Person: r.Owner, Reason: "owner declared in the configuration"}, place, true, at.with("owner"), false)
	}
	for i, m := range r.Members {
		b.member(m, place, false, at.with("members", i), true)
	}
}

func (b *declaring) group(g AccessGroup, at route) {
	out := model.AccessGroup{ID: access.ID(g.Name), Name: strings.TrimSpace(g.Name), Description: g.Description, Parent: access.ID(g.Parent), ManagedBy: model.ManagedByConfig}
	b.state.Groups = append(b.state.Groups, out)
	for _, field := range []string{"name", "description", "parent", "admins"} {
		b.at(access.OfGroup, out.ID, field, at.with(field))
	}
	place := access.KindGroup + ":" + out.ID
	for i, who := range g.Admins {
		b.member(AccessMember{Person: who, Reason: "admin declared in the configuration"}, place, true, at.with("admins", i), false)
	}
	for i, m := range g.Members {
		b.member(m, place, false, at.with("members", i), true)
	}
	link := func(kind string, names []string, key string) {
		for i, name := range names {
			l := model.AccessLink{Place: access.Place(kind, name), Owner: out.ID, Exclusive: kind == access.KindApp, ManagedBy: model.ManagedByConfig}
			b.state.Links = append(b.state.Links, l)
			b.at(access.OfLink, access.LinkKey(l), "", at.with(key, i))
		}
	}
	link(access.KindApp, g.Owns, "owns")
	link(access.KindNamespace, g.Namespaces, "namespaces")
}

func (b *declaring) member(m AccessMember, place string, admin bool, at route, fields bool) {
	row := model.AccessMember{Person: person(m.Person), Place: place, Role: access.ID(m.Role), Admin: admin, Reason: m.Reason, Approver: m.Approver,
		ValidFrom: day(m.From), ValidTo: day(m.Until), ManagedBy: model.ManagedByConfig}
	if row.Approver == "" {
		row.Approver = b.approver
	}
	b.state.Members = append(b.state.Members, row)
	key := access.MemberKey(row)
	b.at(access.OfMember, key, "", at)
	for field, name := range map[string]string{"person": "person", "role": "role", "reason": "reason", "to": "until"} {
		to := at
		if fields {
			to = at.with(name)
		}
		b.at(access.OfMember, key, field, to)
	}
	b.at(access.OfMember, key, "approver", route{"access"})
}

// person is KEY:VALUE as rows have it, folded like the keys of people.
func person(text string) string {
	key, value, ok := strings.Cut(text, ":")
	if !ok || access.ID(value) == "" {
		return ""
	}
	return strings.TrimSpace(key) + ":" + access.ID(value)
}

// day reads a day or a time, UTC; nil for none, or for what the check refuses.
func day(text string) *time.Time {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			t = t.UTC().Truncate(time.Microsecond)
			return &t
		}
	}
	return nil
}
