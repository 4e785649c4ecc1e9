package conformance

import "context"

func memberChecks() []check {
	need := write | groups | patch
	// of is a check of: a group of three, a PATCH, and which of the three are left.
	of := func(ops func(set []*resource) []map[string]any, left ...int) func(context.Context, *probe) error {
		return func(ctx context.Context, p *probe) error {
			g, set, err := p.team(ctx, 3)
			if err != nil {
				return err
			}
			if _, err := p.patched(ctx, g, ops(set)...); err != nil {
				return err
			}
			var want []*resource
			for _, i := range left {
				want = append(want, set[i])
			}
			return p.members(ctx, g, want...)
		}
	}
	one := func(f func(set []*resource) map[string]any) func([]*resource) []map[string]any {
		return func(set []*resource) []map[string]any { return []map[string]any{f(set)} }
	}
	return []check{
		must("member-add", "7644 §3.5.2.1", "R108", need, "add of a member keeps the others",
			func(ctx context.Context, p *probe) error {
				u, err := p.newUser(ctx)
				if err != nil {
					return err
				}
				g, set, err := p.team(ctx, 2)
				if err != nil {
					return err
				}
				if _, err := p.patched(ctx, g, op("add", "members", values(u))); err != nil {
					return err
				}
				return p.members(ctx, g, append(set, u)...)
			}),
		must("member-add-again", "7644 §3.5.2.1", "R109", need, "add of somebody who is a member changes nothing",
			of(one(func(set []*resource) map[string]any { return op("add", "members", values(set[1])) }), 0, 1, 2)),
		must("member-remove-filter", "7644 §3.5.2.2", "R112", need, `remove of members[value eq "…"] takes that member and no other`,
			of(one(func(set []*resource) map[string]any {
				return op("remove", "members[value eq "+quoted(set[1].id)+"]", nil)
			}), 0, 2)),
		interop("member-remove-array", "7644 §3.5.2.2", "R114", need, "remove of members with a list takes those and never empties the group (Entra)",
			of(one(func(set []*resource) map[string]any { return op("Remove", "members", values(set[1])) }), 0, 2)),
		must("member-remove-all", "7644 §3.5.2.2", "R112", need, "remove of members takes them all",
			of(one(func([]*resource) map[string]any { return op("remove", "members", nil) }))),
		must("member-remove-stranger", "7644 §3.5.2.2", "R112", need, "remove of somebody who is no member takes nobody",
			func(ctx context.Context, p *probe) error {
				g, set, err := p.team(ctx, 3)
				if err != nil {
					return err
				}
				a, err := p.patch(ctx, g, op("remove", "members[value eq "+quoted(p.nobody())+"]", nil))
				if err != nil {
					return err
				}
				if err := a.is(200, 204, 400); err != nil {
					return err
				}
				return p.members(ctx, g, set...)
			}),
		must("member-replace", "7644 §3.5.2.3", "R116", need, "replace of members makes them those of the list",
			of(one(func(set []*resource) map[string]any { return op("replace", "members", values(set[2])) }), 2)),
		must("member-replace-none", "7644 §3.5.2.3, RFC 7643 §2.5", "R16 R116", need, "replace of members with an empty list empties the group (Okta)",
			of(one(func([]*resource) map[string]any { return op("replace", "members", []any{}) }))),
		interop("member-add-pathless", "7644 §3.5.2.1", "R108", need, "members are added without a path (Okta)",
			func(ctx context.Context, p *probe) error {
				g, set, err := p.team(ctx, 3)
				if err != nil {
					return err
				}
				if _, err := p.patched(ctx, g, op("remove", "members", nil)); err != nil {
					return err
				}
				if _, err := p.patched(ctx, g, op("add", "", map[string]any{"members": values(set[0])})); err != nil {
					return err
				}
				return p.members(ctx, g, set[0])
			}),
		must("member-swap", "7644 §3.5.2", "R103", need, "one PATCH takes one member and adds another (Okta)",
			func(ctx context.Context, p *probe) error {
				u, err := p.newUser(ctx)
				if err != nil {
					return err
				}
				g, set, err := p.team(ctx, 2)
				if err != nil {
					return err
				}
				if _, err := p.patched(ctx, g, op("remove", "members[value eq "+quoted(set[0].id)+"]", nil), op("add", "members", values(u))); err != nil {
					return err
				}
				return p.members(ctx, g, set[1], u)
			}),
		interop("member-null-ref", "7643 §2.5", "R16 R53", need, "$ref null beside a member's value does no harm (Entra)",
			func(ctx context.Context, p *probe) error {
				u, err := p.newUser(ctx)
				if err != nil {
					return err
				}
				g, err := p.newGroup(ctx)
				if err != nil {
					return err
				}
				if _, err := p.patched(ctx, g, op("Add", "members", []any{map[string]any{"$ref": nil, "value": u.id}})); err != nil {
					return err
				}
				return p.members(ctx, g, u)
			}),
	}
}
