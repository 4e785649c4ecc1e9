package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jmld/jml"
	"jmld/jml/access"
	"jmld/model"
)

// instant reads a day or a time, UTC.
func instant(flag, text string) (*time.Time, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // no time is no mistake
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			t = t.UTC().Truncate(time.Microsecond)
			return &t, nil
		}
	}
	return nil, usage(fmt.Errorf("%s %s: a day such as 2026-05-01 or a time such as 2026-05-01T08:00:00Z is expected", flag, line(text)))
}

func newAccessGroup(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "group", Short: "Add, change and remove groups",
		Example: `  jmld access group add Builders --parent root --description "Build the apps" --admin ada@example.org --reason "request 7"
  jmld access group set Builders --parent Platform       move it, with all below it
  jmld access group remove Builders`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var parent, description string
	var admins []string
	var grant grantFlags
	var edit editFlags
	add := &cobra.Command{
		Use: "add NAME", Short: "A new group: its parent, what it is for, and its admins",
		Example: `  jmld access group add Builders --parent root --description "Build the apps" --admin ada@example.org --reason "request 7"`,
		Args:    exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			row, err := grant.row(a.operator(edit.by))
			if err != nil {
				return err
			}
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				g := model.AccessGroup{ID: access.ID(args[0]), Name: strings.TrimSpace(args[0]), Description: description, Parent: access.ID(parent), ManagedBy: model.ManagedByOperator}
				var rows []model.AccessMember
				for _, who := range admins {
					p, err := findPerson(ctx, s, who)
					if err != nil {
						return err
					}
					row.Person, row.Place, row.Admin = p.ID, access.KindGroup+":"+g.ID, true
					rows = append(rows, row)
				}
				if err := a.approveGrant(ctx, s, &grant, access.KindGroup+":"+g.Parent, rows, a.operator(edit.by)); err != nil {
					return err
				}
				return a.edit(ctx, s, "group:"+g.ID, edit, func(st *access.State, _ *access.Tree) error {
					if _, err := st.Group(g.Name); err == nil {
						return model.Errorf(model.CodeAccessRefused, "group %s is there already", g.Name)
					}
					st.PutGroup(g)
					for _, r := range rows {
						st.Give(r)
					}
					return nil
				})
			})
		},
	}
	add.Flags().StringVar(&parent, "parent", "", "`name` of the group above, or root (required)")
	add.Flags().StringVar(&description, "description", "", "`what` it is for (required)")
	add.Flags().StringArrayVar(&admins, "admin", nil, "`WHO` administers it; at least one")
	grant.add(add)
	edit.add(add)
	cmd.AddCommand(add, newGroupSet(a), newGroupRemove(a))
	return cmd
}

func newGroupSet(a *app) *cobra.Command {
	var name, parent, description string
	var edit editFlags
	cmd := &cobra.Command{
		Use: "set GROUP", Short: "Move a group, describe it anew, or write its name in another way",
		Example: `  jmld access group set Builders --parent Platform`,
		Args:    exactly("GROUP"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				return a.edit(ctx, s, place(args[0]), edit, func(st *access.State, _ *access.Tree) error {
					g, err := st.Group(args[0])
					if err != nil {
						return err
					}
					if cmd.Flags().Changed("parent") {
						g.Parent = access.ID(parent)
					}
					if cmd.Flags().Changed("description") {
						g.Description = description
					}
					if name != "" {
						if access.ID(name) != g.ID {
							return usage(errors.New("--name: only how the name is written can change; another name is another group"))
						}
						g.Name = strings.TrimSpace(name)
					}
					st.PutGroup(g)
					return nil
				})
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "the `name` with other capitals or spaces")
	cmd.Flags().StringVar(&parent, "parent", "", "`name` of the group above, or root")
	cmd.Flags().StringVar(&description, "description", "", "`what` it is for")
	edit.add(cmd)
	return cmd
}

func newGroupRemove(a *app) *cobra.Command {
	var edit editFlags
	cmd := &cobra.Command{
		Use: "remove GROUP", Short: "Remove a group that nothing is below and that has no resource, with its memberships",
		Example: `  jmld access group remove Builders --dry-run`,
		Args:    exactly("GROUP"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				return a.edit(ctx, s, place(args[0]), edit, func(st *access.State, _ *access.Tree) error { return st.DropGroup(args[0]) })
			})
		},
	}
	edit.add(cmd)
	return cmd
}

func newAccessRole(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "role", Short: "Set and remove roles",
		Example: `  jmld access role set Developer --allow project:edit --allow cicd:build
  jmld access role set Auditor --app CRM                 one of the app's own roles
  jmld access role remove Auditor`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var description, app string
	var allow []string
	var edit editFlags
	set := &cobra.Command{
		Use: "set NAME", Short: "A role and everything it allows; who holds it has that from now on",
		Example: `  jmld access role set Developer --allow project:edit --allow cicd:build`,
		Args:    exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			r := model.AccessRole{ID: access.ID(args[0]), Name: strings.TrimSpace(args[0]), Description: description, ManagedBy: model.ManagedByOperator}
			if app != "" {
				r.App = access.Place(access.KindApp, app)
			}
			var list []access.Permission
			for _, text := range allow {
				area, name, ok := strings.Cut(text, ":")
				if !ok {
					return usage(fmt.Errorf("--allow %s: AREA:PERMISSION is expected, such as project:edit", line(text)))
				}
				list = append(list, access.Permission{Area: area, Name: name})
			}
			r.Permissions = access.EncodePermissions(list)
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				return a.edit(ctx, s, "role:"+r.ID, edit, func(st *access.State, _ *access.Tree) error {
					st.PutRole(r)
					return nil
				})
			})
		},
	}
	set.Flags().StringVar(&description, "description", "", "`what` it is for")
	set.Flags().StringVar(&app, "app", "", "`name` of the app whose own role it is")
	set.Flags().StringArrayVar(&allow, "allow", nil, "`AREA:PERMISSION` that it gives; all of them, each time")
	edit.add(set)
	var gone editFlags
	remove := &cobra.Command{
		Use: "remove NAME", Short: "Remove a role that nobody holds",
		Example: `  jmld access role remove Auditor`,
		Args:    exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				return a.edit(ctx, s, "role:"+access.ID(args[0]), gone, func(st *access.State, _ *access.Tree) error { return st.DropRole(args[0]) })
			})
		},
	}
	gone.add(remove)
	cmd.AddCommand(set, remove)
	return cmd
}

func newAccessResource(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "resource", Short: "Add and remove apps and namespaces",
		Example: `  jmld access resource add app:CRM --description "Customers"
  jmld access resource remove namespace:crm-test`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var description string
	var edit, gone editFlags
	add := &cobra.Command{
		Use: "add app:NAME|namespace:NAME", Short: "A resource that roles can be held on",
		Example: `  jmld access resource add app:CRM`,
		Args:    exactly("app:NAME or namespace:NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			at, name, err := resourcePlace(args[0])
			if err != nil {
				return err
			}
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				return a.edit(ctx, s, at, edit, func(st *access.State, _ *access.Tree) error {
					st.PutResource(model.AccessResource{Place: at, Name: name, Description: description, ManagedBy: model.ManagedByOperator})
					return nil
				})
			})
		},
	}
	add.Flags().StringVar(&description, "description", "", "`what` it is")
	edit.add(add)
	remove := &cobra.Command{
		Use: "remove app:NAME|namespace:NAME", Short: "Remove a resource with all that was given on it",
		Example: `  jmld access resource remove app:CRM --dry-run`,
		Args:    exactly("app:NAME or namespace:NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			at, _, err := resourcePlace(args[0])
			if err != nil {
				return err
			}
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				return a.edit(ctx, s, at, gone, func(st *access.State, _ *access.Tree) error { return st.DropResource(at) })
			})
		},
	}
	gone.add(remove)
	cmd.AddCommand(add, remove)
	return cmd
}

func newAccessLink(a *app) *cobra.Command {
	var move bool
	var edit editFlags
	cmd := &cobra.Command{
		Use: "link GROUP app:NAME|namespace:NAME", Short: "Let a group own an app, or associate a namespace with it",
		Long: "An app has one owner: one that another group owns needs --move. A namespace may be associated with many groups.",
		Example: `  jmld access link Builders app:CRM
  jmld access link Operations namespace:crm-prod
  jmld access link Sales app:CRM --move`,
		Args: exactly("GROUP", "app:NAME or namespace:NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			at, _, err := resourcePlace(args[1])
			if err != nil {
				return err
			}
			kind, _ := access.SplitPlace(at)
			if move && kind != access.KindApp {
				return usage(errors.New("--move is for apps: a namespace may be associated with many groups"))
			}
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				return a.edit(ctx, s, at, edit, func(st *access.State, _ *access.Tree) error {
					st.Link(model.AccessLink{Place: at, Owner: access.ID(args[0]), Exclusive: kind == access.KindApp, ManagedBy: model.ManagedByOperator}, move)
					return nil
				})
			})
		},
	}
	cmd.Flags().BoolVar(&move, "move", false, "take the app from the group that owns it")
	edit.add(cmd)
	return cmd
}

func newAccessUnlink(a *app) *cobra.Command {
	var edit editFlags
	cmd := &cobra.Command{
		Use: "unlink GROUP app:NAME|namespace:NAME", Short: "Take a resource from a group",
		Example: `  jmld access unlink Operations namespace:crm-prod`,
		Args:    exactly("GROUP", "app:NAME or namespace:NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			at, _, err := resourcePlace(args[1])
			if err != nil {
				return err
			}
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				return a.edit(ctx, s, at, edit, func(st *access.State, _ *access.Tree) error { return st.Unlink(at, access.ID(args[0])) })
			})
		},
	}
	edit.add(cmd)
	return cmd
}

// approveGrant puts the approver into the rows. Somebody who is named has to be an admin there; an attempt without that is audited.
func (a *app) approveGrant(ctx context.Context, s *site, f *grantFlags, at string, rows []model.AccessMember, operator string) error {
	if f.approver == "" {
		return nil
	}
	p, err := findPerson(ctx, s, f.approver)
	if err != nil {
		return err
	}
	tree, _, err := s.engine.Tree(ctx)
	if err != nil {
		return err
	}
	switch {
	case slices.ContainsFunc(rows, func(m model.AccessMember) bool { return m.Person == p.ID }):
		return a.denied(ctx, s, operator, p.ID, at, "%s cannot approve what they get themselves; expected somebody else", line(p.DisplayName))
	case p.Lifecycle != model.Active || !tree.Administers(tree.Rows(p.ID), at, a.now()):
		return a.denied(ctx, s, operator, p.ID, at, "%s does not administer %s or a group above it", line(p.DisplayName), tree.Name(at))
	}
	for i := range rows {
		rows[i].Approver = "person " + p.ID
	}
	return nil
}

// denied says why somebody cannot approve, and notes that it was tried.
func (a *app) denied(ctx context.Context, s *site, operator, approver, at, format string, args ...any) error {
	now := a.now().UTC().Truncate(time.Microsecond)
	err := model.Errorf(model.CodeAccessDenied, format, args...)
	entry := model.AuditEntry{ID: model.NewID(now), At: now, Actor: operator, Action: "access.denied", Subject: approver,
		Detail: jml.Canonical(map[string]string{"place": at, "text": err.Error()})}
	return errors.Join(err, s.store.AddAudit(ctx, entry))
}

func newAccessMember(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "member", Short: "Give people roles, and take them away",
		Example: `  jmld access member add Builders bo@example.org --role Developer --reason "request 8" --until 2026-12-31
  jmld access member add app:CRM cy@example.org --role Auditor --reason "audit 2026"
  jmld access member remove Builders bo@example.org --reason "moved to Sales"`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newMemberAdd(a), newMemberRemove(a))
	return cmd
}

func newMemberAdd(a *app) *cobra.Command {
	var role string
	var admin bool
	var grant grantFlags
	var edit editFlags
	cmd := &cobra.Command{
		Use: "add PLACE WHO", Short: "Make somebody a member of a group, or invite them to an app or a namespace",
		Long: "Who holds the role there already through another group is not given it once more: the answer says through which.",
		Example: `  jmld access member add Builders bo@example.org --role Developer --reason "request 8" --approver ada@example.org
  jmld access member add Builders cy@example.org --admin --reason "second admin"
  jmld access member add app:CRM ada@example.org --admin --role Administrator --reason "made it"     its owner`,
		Args: exactly("PLACE", "WHO"),
		RunE: func(cmd *cobra.Command, args []string) error {
			row, err := grant.row(a.operator(edit.by))
			if err != nil {
				return err
			}
			if role == "" && !admin {
				return usage(errors.New("say which: --role or --admin"))
			}
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				p, err := findPerson(ctx, s, args[1])
				if err != nil {
					return err
				}
				row.Person, row.Place, row.Role, row.Admin = p.ID, place(args[0]), access.ID(role), admin
				rows := []model.AccessMember{row}
				if err := a.approveGrant(ctx, s, &grant, row.Place, rows, a.operator(edit.by)); err != nil {
					return err
				}
				return a.edit(ctx, s, p.ID, edit, func(st *access.State, t *access.Tree) error {
					if way := inheritedRole(t, rows[0], a.now()); way != nil && !admin && row.ValidTo == nil {
						if !a.json() {
							a.printf("%s holds %s in %s through %s\n", line(p.DisplayName), way.Role, t.Name(row.Place), strings.Join(way.Path, " > "))
						}
						return nil
					}
					row := rows[0]
					row.Admin = row.Admin || slices.ContainsFunc(t.At(row.Place), func(m model.AccessMember) bool { // that is not taken away by giving
						return m.Admin && m.Person == row.Person && m.Role == row.Role
					})
					st.Give(row)
					return nil
				})
			})
		},
	}
	cmd.Flags().StringVar(&role, "role", "", "`name` of the role")
	cmd.Flags().BoolVar(&admin, "admin", false, "administers the group, or owns the app")
	grant.add(cmd)
	grant.addTimes(cmd)
	edit.add(cmd)
	return cmd
}

// inheritedRole is a way without an end in which the role of the row is held already.
func inheritedRole(t *access.Tree, m model.AccessMember, now time.Time) *access.Grant {
	ways := t.On(t.Rows(m.Person), m.Place, now)
	i := slices.IndexFunc(ways, func(g access.Grant) bool {
		return !g.Direct && g.Row.Role == m.Role && g.Row.ValidTo == nil && g.Row.ManagedBy != model.ManagedByPolicy // that ends by itself
	})
	if i < 0 {
		return nil
	}
	return &ways[i]
}

func newMemberRemove(a *app) *cobra.Command {
	var role string
	var edit editFlags
	cmd := &cobra.Command{
		Use: "remove PLACE WHO", Short: "Take from somebody what they were given directly there",
		Long: "What is inherited is taken away where it comes from; the answer says where that is.",
		Example: `  jmld access member remove Builders bo@example.org --reason "moved to Sales"
  jmld access member remove Builders bo@example.org --role Developer`,
		Args: exactly("PLACE", "WHO"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				p, err := findPerson(ctx, s, args[1])
				if err != nil {
					return err
				}
				at := place(args[0])
				return a.edit(ctx, s, p.ID, edit, func(st *access.State, t *access.Tree) error {
					if st.Take(p.ID, at, access.ID(role), !cmd.Flags().Changed("role")) > 0 {
						return nil
					}
					for _, g := range t.On(t.Rows(p.ID), at, a.now()) {
						if g.Direct && g.Row.ManagedBy == model.ManagedByPolicy {
							return model.Errorf(model.CodeAccessRefused, "%s holds %s in %s by right (%s); it ends when the rule no longer holds",
								line(p.DisplayName), g.Role, t.Name(at), g.Row.Reason)
						}
						if !g.Direct {
							return model.Errorf(model.CodeAccessRefused, "%s holds %s in %s only through group %s (%s); take it away there",
								line(p.DisplayName), orElse(g.Role, "it"), t.Name(at), t.Name(g.Origin), strings.Join(g.Path, " > "))
						}
					}
					return notFound("%s was given nothing like that in %s", line(p.DisplayName), t.Name(at))
				})
			})
		},
	}
	cmd.Flags().StringVar(&role, "role", "", "only this `role`")
	edit.add(cmd)
	return cmd
}

func newAccessHandOver(a *app) *cobra.Command {
	var role string
	var grant grantFlags
	var edit editFlags
	cmd := &cobra.Command{
		Use: "hand-over APP WHO", Short: "Make somebody the owner of an app in the place of whoever is it",
		Long:    "The new owner belongs to the group that owns the app. Whoever owns one cannot leave that group before.",
		Example: `  jmld access hand-over CRM bo@example.org --reason "Ada moves to Sales"`,
		Args:    exactly("APP", "WHO"),
		RunE: func(cmd *cobra.Command, args []string) error {
			row, err := grant.row(a.operator(edit.by))
			if err != nil {
				return err
			}
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				p, err := findPerson(ctx, s, args[1])
				if err != nil {
					return err
				}
				at := access.Place(access.KindApp, strings.TrimPrefix(args[0], access.KindApp+":"))
				row.Person, row.Place, row.Role = p.ID, at, access.ID(role)
				rows := []model.AccessMember{row}
				if err := a.approveGrant(ctx, s, &grant, at, rows, a.operator(edit.by)); err != nil {
					return err
				}
				return a.edit(ctx, s, p.ID, edit, func(st *access.State, _ *access.Tree) error {
					st.HandOver(at, rows[0])
					return nil
				})
			})
		},
	}
	cmd.Flags().StringVar(&role, "role", "", "`name` of the role the owner holds on the app")
	grant.add(cmd)
	edit.add(cmd)
	return cmd
}
