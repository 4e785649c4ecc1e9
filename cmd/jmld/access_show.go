package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jmld/jml/access"
	"jmld/jml/engine"
	"jmld/model"
)

type grantJSON struct {
	Person   string   `json:"person"`
	Name     string   `json:"name,omitempty"`
	Place    string   `json:"place"`
	Role     string   `json:"role,omitempty"`
	Admin    bool     `json:"admin,omitempty"`
	How      string   `json:"how"`
	Direct   bool     `json:"direct"`
	Origin   string   `json:"origin"`
	Path     []string `json:"path,omitempty"`
	Reason   string   `json:"reason"`
	Approver string   `json:"approver"`
	From     string   `json:"from,omitempty"`
	Until    string   `json:"until,omitempty"`
	Managed  string   `json:"managedBy"`
	Basis    string   `json:"basis"` // "requested", "declared" or "by right"
}

func grantView(g access.Grant, name string) grantJSON {
	v := grantJSON{Person: g.Person, Name: name, Place: g.Place, Role: g.Role, Admin: g.Row.Admin && g.Direct, How: g.How, Direct: g.Direct, Origin: g.Origin,
		Path: g.Path, Reason: g.Row.Reason, Approver: g.Row.Approver, Managed: g.Row.ManagedBy, Basis: basis(g.Row)}
	if t := g.Row.ValidFrom; t != nil {
		v.From = t.Format(timeJSON)
	}
	if t := g.Row.ValidTo; t != nil {
		v.Until = t.Format(timeJSON)
	}
	return v
}

// grantApprovers are the texts that say who approved.
func grantApprovers(list []access.Grant) []*string {
	out := make([]*string, len(list))
	for i := range list {
		out[i] = &list[i].Row.Approver
	}
	return out
}

// way is a grant in words.
func way(g access.Grant) string {
	if g.Direct {
		return g.How
	}
	return g.How + ": " + strings.Join(g.Path, " > ")
}

// grantedBy is why and by whom, and for how long.
func grantedBy(m model.AccessMember) string {
	if m.ManagedBy == model.ManagedByPolicy {
		return "by right: " + m.Reason
	}
	text := m.Reason + "; approved by " + m.Approver
	if m.ValidFrom != nil {
		text += ", from " + at(*m.ValidFrom)
	}
	if m.ValidTo != nil {
		text += ", until " + at(*m.ValidTo)
	}
	return text
}

type accessPersonJSON struct {
	Schema      string              `json:"schema"`
	Person      string              `json:"person"`
	Name        string              `json:"name"`
	Place       string              `json:"place,omitempty"`
	Groups      []string            `json:"groups"`
	Roles       []string            `json:"roles"`
	Permissions []access.Permission `json:"permissions"`
	Grants      []grantJSON         `json:"grants"`
	Aside       []roleJSON          `json:"aside"` // withheld, and exceptions from rules of separation
	Accounts    []accountJSON       `json:"accounts"`
}

func newAccessShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "show WHO [PLACE]", Short: "What one person may do, everywhere or in one place, and through what",
		Example: `  jmld access show bo@example.org
  jmld access show bo@example.org app:CRM
  jmld access show bo@example.org app:CRM -o json | jq '.grants[] | select(.direct | not)'`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return exactly("WHO")(cmd, args)
			}
			return atMost(2)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				p, err := findPerson(ctx, s, args[0])
				if err != nil {
					return err
				}
				tree, _, err := s.engine.Tree(ctx)
				if err != nil {
					return err
				}
				where := ""
				if len(args) == 2 {
					if where = place(args[1]); !tree.Has(where) {
						return notFound("there is no %s %q: `jmld access resources` and `jmld access groups` list them", strings.SplitN(where, ":", 2)[0], line(args[1]))
					}
				}
				accounts, err := s.store.Accounts(ctx, model.AccountQuery{IdentityID: p.ID})
				if err != nil {
					return err
				}
				people, err := s.store.Load(ctx, []engine.Subject{{Identity: p.ID}})
				if err != nil {
					return err
				}
				roles, err := rolesOf(&p, people[0].Access)
				if err != nil {
					return err
				}
				return a.showAccess(ctx, s, p, accounts, tree, where, roles)
			})
		},
	}
}

func (a *app) showAccess(ctx context.Context, s *site, p model.Identity, accounts []model.Account, t *access.Tree, where string, given []roleJSON) error {
	now, rows := a.now(), t.Rows(p.ID)
	v := accessPersonJSON{Schema: "jmld.access.person/1", Person: p.ID, Name: p.DisplayName, Place: where, Groups: t.GroupNames(rows, now),
		Roles: t.RoleNames(rows, now), Permissions: t.Permissions(rows, now), Grants: []grantJSON{}, Aside: []roleJSON{}, Accounts: []accountJSON{}}
	grants := t.Rights(rows, now)
	if where != "" {
		v.Roles, v.Permissions = t.RolesOn(rows, where, now), t.PermissionsOn(rows, where, now)
		grants = t.On(rows, where, now)
	}
	for _, acc := range accounts {
		v.Accounts = append(v.Accounts, accountView(acc))
	}
	for _, r := range given {
		if kind, _ := access.SplitPlace(r.Place); r.Withheld != "" || kind == access.KindException {
			v.Aside = append(v.Aside, r)
		}
	}
	if a.json() {
		for _, g := range grants {
			v.Grants = append(v.Grants, grantView(g, ""))
		}
		return a.printJSON(v)
	}
	if err := s.named(ctx, append(grantApprovers(grants), approvers(v.Aside)...)...); err != nil {
		return err
	}
	a.printf("%s\n", line(p.DisplayName))
	a.printf("  roles        %s\n", orElse(strings.Join(v.Roles, ", "), "none"))
	var texts []string
	for _, perm := range v.Permissions {
		texts = append(texts, perm.String())
	}
	a.printf("  permissions  %s\n", orElse(strings.Join(texts, ", "), "none"))
	const most = 20
	if n := len(v.Groups); n > most {
		v.Groups = append(v.Groups[:most:most], "…")
	}
	a.printf("  groups       %s\n", orElse(line(strings.Join(v.Groups, ", ")), "none"))
	for _, part := range []struct {
		title string
		right bool
	}{{"Held", false}, {"Held by right", true}} {
		tab, n := newTable(a.stdout), 0
		for _, g := range grants {
			if (g.Row.ManagedBy == model.ManagedByPolicy) != part.right {
				continue
			}
			if n++; n == 1 {
				a.printf("\n%s\n", part.title)
			}
			tab.indented(g.Place, strings.Join(held(directOnly(g), g.Role), ", "), directness(g), way(g), grantedBy(g.Row))
		}
		if err := tab.flush(); err != nil {
			return err
		}
	}
	if len(grants) == 0 {
		a.printf("\nHeld\n  nothing\n")
	}
	if err := a.printAside(v.Aside); err != nil {
		return err
	}
	return a.printAccounts(accounts)
}

// directOnly: who administers a group administers not what is inherited from it.
func directOnly(g access.Grant) model.AccessMember {
	m := g.Row
	m.Admin = m.Admin && g.Direct
	return m
}

func directness(g access.Grant) string {
	if g.Direct {
		return "direct"
	}
	return "inherited"
}

type accessTeamJSON struct {
	Schema string      `json:"schema"`
	Place  string      `json:"place"`
	Groups []string    `json:"groups,omitempty"` // of a resource
	Team   []grantJSON `json:"team"`
}

func newAccessTeam(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "team PLACE", Short: "Everybody who holds something in a group, on an app or a namespace, direct and inherited",
		Example: `  jmld access team app:CRM
  jmld access team Builders`,
		Args: exactly("PLACE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				tree, _, err := s.engine.Tree(ctx)
				if err != nil {
					return err
				}
				where := place(args[0])
				if !tree.Has(where) {
					return notFound("there is no %s: `jmld access resources` and `jmld access groups` list them", line(where))
				}
				team := tree.Team(where, a.now())
				names, err := namesOf(ctx, s, team)
				if err != nil {
					return err
				}
				v := accessTeamJSON{Schema: "jmld.access.team/1", Place: where, Team: []grantJSON{}}
				for _, g := range tree.GroupsOf(where) {
					v.Groups = append(v.Groups, g.Name)
				}
				if a.json() {
					for _, g := range team {
						v.Team = append(v.Team, grantView(g, names[g.Person]))
					}
					return a.printJSON(v)
				}
				if err := s.named(ctx, grantApprovers(team)...); err != nil {
					return err
				}
				if len(v.Groups) > 0 {
					a.printf("belongs to %s\n", line(strings.Join(v.Groups, ", ")))
				}
				t := newTable(a.stdout)
				for _, g := range team {
					t.row(orElse(names[g.Person], g.Person), strings.Join(held(directOnly(g), g.Role), ", "), directness(g), way(g), grantedBy(g.Row))
				}
				if len(team) == 0 {
					a.printf("nobody\n")
				}
				return t.flush()
			})
		},
	}
}

// namesOf looks people's names up, as many as anybody reads.
func namesOf(ctx context.Context, s *site, team []access.Grant) (map[string]string, error) {
	names := map[string]string{}
	for _, g := range team {
		if _, known := names[g.Person]; known || strings.Contains(g.Person, ":") || len(names) >= maxRows {
			continue
		}
		p, err := s.store.Identity(ctx, g.Person)
		if err != nil && errors.Is(err, model.ErrNotFound) {
			continue
		} else if err != nil {
			return nil, err
		}
		names[g.Person] = p.DisplayName
	}
	return names, nil
}

func newAccessStats(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "stats", Short: "How many groups, resources and members there are",
		Example: `  jmld access stats
  jmld access stats -o json | jq .averageMembers`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				tree, _, err := s.engine.Tree(ctx)
				if err != nil {
					return err
				}
				st := tree.Stats()
				if a.json() {
					return a.printJSON(struct {
						Schema string `json:"schema"`
						access.Stats
					}{"jmld.access.stats/1", st})
				}
				a.printf("groups       %d, up to %d deep\n", st.Groups, st.Depth)
				a.printf("roles        %d\n", st.Roles)
				a.printf("apps         %d, %d owned by a group\n", st.Apps, st.OwnedApps)
				a.printf("namespaces   %d, %d assigned, %s\n", st.Namespaces, st.Assigned, count(st.Associations, "association"))
				a.printf("members      %d in groups, %.1f in each on average; %s with a role\n", st.Memberships, st.AverageMembers, count(st.People, "person", "people"))
				return nil
			})
		},
	}
}

type accessGroupJSON struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Parent      string   `json:"parent,omitempty"`
	Depth       int      `json:"depth"`
	Members     int      `json:"members"` // direct
	Admins      []string `json:"admins"`
	Owns        []string `json:"owns"`
	Managed     string   `json:"managedBy,omitempty"`
}

func newAccessGroups(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "groups", Short: "The tree of groups",
		Example: `  jmld access groups
  jmld access groups -o json | jq '.groups[] | select(.members == 0)'`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				tree, _, err := s.engine.Tree(ctx)
				if err != nil {
					return err
				}
				list := groupViews(tree, a.now())
				if a.json() {
					return a.printJSON(struct {
						Schema string            `json:"schema"`
						Groups []accessGroupJSON `json:"groups"`
					}{"jmld.access.groups/1", list})
				}
				t := newTable(a.stdout)
				for _, g := range list {
					t.row(g.Name, count(g.Members, "member"), strings.Join(g.Owns, ", "), g.Managed, g.Description)
					last := t.rows[len(t.rows)-1]
					last[0] = strings.Repeat("  ", min(g.Depth, 40)) + last[0]
				}
				return t.flush()
			})
		},
	}
}

func groupViews(t *access.Tree, now time.Time) []accessGroupJSON {
	var list []accessGroupJSON
	depth := map[string]int{}
	for _, g := range t.Groups() {
		if g.Parent != "" {
			depth[g.ID] = depth[g.Parent] + 1
		}
		v := accessGroupJSON{Name: g.Name, Description: g.Description, Depth: depth[g.ID], Admins: []string{}, Owns: []string{}, Managed: g.ManagedBy}
		if g.Parent != "" {
			v.Parent = t.Name(access.KindGroup + ":" + g.Parent)
		}
		people := map[string]bool{}
		for _, m := range t.At(access.KindGroup + ":" + g.ID) {
			if m.EndedAt == nil && !people[m.Person] {
				people[m.Person] = true
				v.Members++
			}
			if m.Admin && access.Holds(m, now) && !slices.Contains(v.Admins, m.Person) {
				v.Admins = append(v.Admins, m.Person)
			}
		}
		for _, r := range t.ResourcesOf(g.ID) {
			v.Owns = append(v.Owns, r.Place)
		}
		list = append(list, v)
	}
	return list
}

type accessRoleJSON struct {
	Name        string              `json:"name"`
	Description string              `json:"description,omitempty"`
	App         string              `json:"app,omitempty"`
	Permissions []access.Permission `json:"permissions"`
	Managed     string              `json:"managedBy"`
}

func newAccessRoles(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "roles", Short: "The roles and what they allow",
		Example: `  jmld access roles
  jmld access roles -o json`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				st, err := s.store.AccessFrame(ctx)
				if err != nil {
					return err
				}
				list := []accessRoleJSON{}
				t := newTable(a.stdout)
				for _, r := range st.Roles {
					permissions, err := access.Permissions(r)
					if err != nil {
						return err
					}
					list = append(list, accessRoleJSON{r.Name, r.Description, r.App, append([]access.Permission{}, permissions...), r.ManagedBy})
					var texts []string
					for _, p := range permissions {
						texts = append(texts, p.String())
					}
					t.row(r.Name, orElse(r.App, "everywhere"), r.ManagedBy, strings.Join(texts, ", "))
				}
				if a.json() {
					return a.printJSON(struct {
						Schema string           `json:"schema"`
						Roles  []accessRoleJSON `json:"roles"`
					}{"jmld.access.roles/1", list})
				}
				return t.flush()
			})
		},
	}
}

type accessResourceJSON struct {
	Place       string   `json:"place"`
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	Groups      []string `json:"groups"`
	Owner       string   `json:"owner,omitempty"` // a person
	Managed     string   `json:"managedBy"`
}

func newAccessResources(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "resources", Short: "The apps and namespaces, and the groups they belong to",
		Example: `  jmld access resources
  jmld access resources -o json | jq '.resources[] | select(.groups == [])'`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				tree, _, err := s.engine.Tree(ctx)
				if err != nil {
					return err
				}
				list := []accessResourceJSON{}
				t := newTable(a.stdout)
				for _, r := range tree.Resources() {
					v := accessResourceJSON{Place: r.Place, Name: r.Name, Description: r.Description, Groups: []string{}, Managed: r.ManagedBy}
					for _, g := range tree.GroupsOf(r.Place) {
						v.Groups = append(v.Groups, g.Name)
					}
					for _, m := range tree.At(r.Place) {
						if m.Admin {
							v.Owner = m.Person
						}
					}
					list = append(list, v)
					t.row(r.Place, r.Name, orElse(strings.Join(v.Groups, ", "), "no group"), v.Managed, v.Owner)
				}
				if a.json() {
					return a.printJSON(struct {
						Schema    string               `json:"schema"`
						Resources []accessResourceJSON `json:"resources"`
					}{"jmld.access.resources/1", list})
				}
				return t.flush()
			})
		},
	}
}
