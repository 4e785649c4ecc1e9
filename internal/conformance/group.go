package conformance

import (
	"context"
	"net/http"
	"slices"
)

func groupChecks() []check {
	need := write | groups
	return []check{
		must("group-create", "7644 §3.3, RFC 7643 §4.2", "R57 R53", need, "a group is created with its members",
			func(ctx context.Context, p *probe) error {
				g, set, err := p.team(ctx, 2)
				if err != nil {
					return err
				}
				if err := same("meta.resourceType", at(g.answer.doc, "meta", "resourceType"), any("Group")); err != nil {
					return err
				}
				return p.members(ctx, g, set...)
			}),
		must("group-required", "7643 §4.2", "R52 R33", need, "a group without displayName is 400",
			func(ctx context.Context, p *probe) error {
				a, _, err := p.post(ctx, request{path: "/Groups"}, map[string]any{"schemas": []any{urnGroup}, "externalId": p.nobody()})
				if err != nil {
					return err
				}
				return a.refused("invalidValue")
			}),
		must("group-unknown", "7644 §3.4.1", "R63", groups, "a group that does not exist is 404",
			func(ctx context.Context, p *probe) error { return p.missing(ctx, "/Groups/"+p.nobody()) }),
		must("group-filter", "7644 §3.4.2.2", "R71", need|filter, `displayName eq "…" finds the group`,
			func(ctx context.Context, p *probe) error {
				g, _, err := p.team(ctx, 0)
				if err != nil {
					return err
				}
				return p.findsGroup(ctx, g, "displayName eq "+quoted(g.name))
			}),
		interop("group-filter-member", "7644 §3.4.2.2", "R78", need|filter, `id eq "…" and members eq "…" tells whether somebody is a member (Entra)`,
			func(ctx context.Context, p *probe) error {
				g, set, err := p.team(ctx, 1)
				if err != nil {
					return err
				}
				f := "id eq " + quoted(g.id) + " and members eq "
				if err := p.findsGroup(ctx, g, f+quoted(set[0].id)); err != nil {
					return err
				}
				return p.findsGroup(ctx, nil, f+quoted(p.nobody()))
			}),
		must("group-excluded-members", "7644 §3.9", "R89", need, "excludedAttributes=members leaves the members out",
			func(ctx context.Context, p *probe) error {
				g, _, err := p.team(ctx, 2)
				if err != nil {
					return err
				}
				a, err := p.get(ctx, query(g.path(), "excludedAttributes", "members"))
				if err != nil {
					return err
				}
				if err := a.found(); err != nil {
					return err
				}
				return firstOf(same("displayName", a.doc["displayName"], any(g.name)), unassigned("members, which were excluded,", a.doc["members"]))
			}),
		must("group-excluded-members-list", "7644 §3.4.2.5", "R89", need|filter, "excludedAttributes=members leaves the members out of lists (Entra)",
			func(ctx context.Context, p *probe) error {
				g, _, err := p.team(ctx, 1)
				if err != nil {
					return err
				}
				a, err := p.get(ctx, query("/Groups", "excludedAttributes", "members", "filter", "displayName eq "+quoted(g.name)))
				if err != nil {
					return err
				}
				list, err := a.list()
				if err != nil {
					return err
				}
				for _, doc := range list {
					if doc["id"] == g.id {
						return unassigned("members, which were excluded,", doc["members"])
					}
				}
				return skip("the group was not found by a filter on displayName")
			}),
		must("group-rename", "7644 §3.5.2.3", "R116", need|patch, "a group is renamed and keeps its members",
			func(ctx context.Context, p *probe) error {
				return p.renamed(ctx, func(_ *resource, name string) map[string]any { return op("replace", "displayName", name) })
			}),
		interop("group-rename-pathless", "7644 §3.5.2.3", "R115", need|patch, "a group is renamed without a path, with its id beside the name (Okta)",
			func(ctx context.Context, p *probe) error {
				return p.renamed(ctx, func(g *resource, name string) map[string]any {
					return op("replace", "", map[string]any{"id": g.id, "displayName": name})
				})
			}),
		interop("group-external-id", "7643 §3.1", "R26", need|patch, "a group's externalId can be changed (Entra)",
			func(ctx context.Context, p *probe) error {
				g, _, err := p.team(ctx, 0)
				if err != nil {
					return err
				}
				id := "Ext-" + p.nobody()
				doc, err := p.patched(ctx, g, op("Replace", "externalId", id))
				if err != nil {
					return err
				}
				return same("externalId", doc["externalId"], any(id))
			}),
		must("group-put", "7644 §3.5.1", "R93", need, "PUT of a group makes its members those of the request",
			func(ctx context.Context, p *probe) error {
				g, set, err := p.team(ctx, 3)
				if err != nil {
					return err
				}
				a, err := p.put(ctx, g, with(g.doc, "members", values(set[0], set[2])))
				if err != nil {
					return err
				}
				if err := a.is(200, 204); err != nil {
					return err
				}
				return p.members(ctx, g, set[0], set[2])
			}),
		should("group-member-ref", "7643 §4.2", "R43 R53", need, "a member has a $ref that leads to it",
			func(ctx context.Context, p *probe) error {
				g, set, err := p.team(ctx, 1)
				if err != nil {
					return err
				}
				doc, err := p.read(ctx, g)
				if err != nil {
					return err
				}
				m := element(doc, "members", "value", set[0].id)
				if m == nil {
					return skip("the member is not there")
				}
				ref, _ := m["$ref"].(string)
				if len(ref) < len(set[0].path()) || ref[len(ref)-len(set[0].path()):] != set[0].path() {
					return wrong("$ref ends with "+set[0].path(), "it is %s", show(m["$ref"]))
				}
				return nil
			}),
		should("group-of-user", "7643 §4.1.2", "R51", need, "a user's groups are those it is a member of",
			func(ctx context.Context, p *probe) error {
				u, err := p.newUser(ctx)
				if err != nil {
					return err
				}
				g, err := p.newGroup(ctx, u)
				if err != nil {
					return err
				}
				doc, err := p.read(ctx, u)
				if err != nil {
					return err
				}
				return same("groups.value", texts(doc, "groups", "value"), []string{g.id})
			}),
		should("group-nested", "7643 §4.2", "R54", need|patch, "groups that are members of each other are refused, or do no harm", nested),
		should("group-member-gone", "7644 §3.6", "R123", need, "a user that is deleted is no member any more",
			func(ctx context.Context, p *probe) error {
				u, err := p.newUser(ctx)
				if err != nil {
					return err
				}
				g, err := p.newGroup(ctx, u)
				if err != nil {
					return err
				}
				if err := p.remove(ctx, u); err != nil {
					return err
				}
				return p.members(ctx, g)
			}),
	}
}

// team is a new group with the first n of the set as members. It returns the whole set.
func (p *probe) team(ctx context.Context, n int) (*resource, []*resource, error) {
	set, err := p.people(ctx)
	if err != nil {
		return nil, nil, err
	}
	g, err := p.newGroup(ctx, set[:n]...)
	return g, set[:max(n, 1)], err
}

// members wants exactly these members.
func (p *probe) members(ctx context.Context, g *resource, want ...*resource) error {
	doc, err := p.read(ctx, g)
	if err != nil {
		return err
	}
	got, wanted := texts(doc, "members", "value"), []string{}
	for _, r := range want {
		wanted = append(wanted, r.id)
	}
	slices.Sort(wanted)
	if slices.Equal(got, wanted) {
		return nil
	}
	return wrong(counted(len(wanted))+": "+show(wanted), "%s: %s", counted(len(got)), show(got))
}

func counted(n int) string {
	switch n {
	case 0:
		return "no members"
	case 1:
		return "1 member"
	}
	return show(n) + " members"
}

// findsGroup wants the group and nothing else; nil: nothing.
func (p *probe) findsGroup(ctx context.Context, g *resource, f string) error {
	a, err := p.get(ctx, query("/Groups", "filter", f, "count", "5"))
	if err != nil {
		return err
	}
	if g == nil && a.status == http.StatusNotFound {
		return nil
	}
	list, err := a.list()
	if err != nil {
		return err
	}
	if g == nil {
		return same("the number of groups", len(list), 0)
	}
	if len(list) != 1 || list[0]["id"] != g.id {
		return wrong("the group alone", "%d groups", len(list))
	}
	return nil
}

func (p *probe) renamed(ctx context.Context, change func(g *resource, name string) map[string]any) error {
	g, set, err := p.team(ctx, 2)
	if err != nil {
		return err
	}
	name := g.name + "-renamed"
	doc, err := p.patched(ctx, g, change(g, name))
	if err != nil {
		return err
	}
	if err := same("displayName", doc["displayName"], any(name)); err != nil {
		return err
	}
	return p.members(ctx, g, set...)
}

func nested(ctx context.Context, p *probe) error {
	a, err := p.newGroup(ctx)
	if err != nil {
		return err
	}
	b, err := p.newGroup(ctx, a)
	if err != nil {
		return skip("groups in groups are not taken")
	}
	if _, err := p.patch(ctx, a, op("add", "members", values(b))); err != nil {
		return err
	}
	for _, g := range []*resource{a, b} {
		got, err := p.get(ctx, g.path())
		if err != nil {
			return err
		}
		if err := got.is(http.StatusOK); err != nil {
			return err
		}
	}
	return p.alive(ctx)
}
