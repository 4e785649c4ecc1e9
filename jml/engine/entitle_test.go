package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/jml"
	"jmld/jml/access"
	"jmld/jml/engine"
	"jmld/jml/policy"
	"jmld/model"
)

// entitled has an account with the roles for whoever holds any; those whose title is Engineer develop by right, and who is on
// call operates; developing and operating are kept apart.
func entitled(h *house) {
	r := rules(h.t)
	p, bad := policy.Compile(policy.Config{
		Accounts: []policy.Rule{{Name: "held", Target: "platform", When: `access.roles.size() > 0`,
			Attributes: map[string]string{"userName": "person.userName", "roles": "access.roles", "entitlements": "access.permissions"}}},
		Roles: []policy.RoleRule{{Name: "engineers", Role: "developer", Place: "group:builders", When: `has(person.title) && person.title == "Engineer"`},
			{Name: "on call", Role: "operator", Place: "group:sales", When: `has(person.nickName) && person.nickName == "on call"`}},
	}, []string{"platform"})
	if len(bad) > 0 {
		h.t.Fatal(bad)
	}
	r.Policy = p
	r.Separation = []jml.Separation{{Name: "two hands", Things: []access.Thing{{Kind: access.KindRole, ID: "developer"}, {Kind: access.KindRole, ID: "operator"}}}}
	h.SetRules(r)
}

func titled(title string) map[string]any {
	attrs := number("1")
	attrs["title"] = title
	return attrs
}

// M-24, M-42: a right by rule follows a change of the tree, is seen by whoever looks at the tree, and what it is kept apart from is
// refused to an operator, by exception allowed, and gone with its end.
func TestRolesByRightAndSeparation(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		entitled(h)
		out, err := h.scim("entra", "e-ada", "ada", true, number("1"))
		if err != nil {
			t.Fatal(err)
		}
		ada := out.Record.IdentityID
		h.edit(func(s *access.State) { company(s, ada) })
		want := func(what string, want map[string]string) {
			t.Helper()
			h.settle()
			if diff := cmp.Diff(want, h.desired()); diff != "" {
				t.Errorf("%s: %s", what, diff)
			}
		}
		want("no title", map[string]string{})
		if _, err := h.scim("entra", "e-ada", "ada", true, titled("Engineer")); err != nil {
			t.Fatal(err)
		}
		want("by right", map[string]string{"ada": "Developer may project:edit"})
		h.wantRights(ada, "access.right.set rule engineers in group:builders as developer")
		h.edit(func(s *access.State) { s.Roles[0].Permissions = `{"project":["read"]}` })
		want("a change of a role reaches who has it by right", map[string]string{"ada": "Developer may project:read"})

		tree, state, err := h.Tree(h.ctx)
		if err != nil {
			t.Fatal(err)
		}
		right := model.AccessMember{Person: ada, Place: "group:builders", Role: "developer", Reason: "rule engineers", Approver: "policy", ManagedBy: "policy"}
		if diff := cmp.Diff([]model.AccessMember{right}, state.Given); diff != "" {
			t.Error(diff)
		}
		if got := tree.RolesOn(tree.Rows(ada), "app:crm", time.Now()); !cmp.Equal(got, []string{"Developer"}) {
			t.Errorf("on CRM by right: %v", got)
		}

		grant := func(more ...model.AccessMember) error {
			_, err := h.EditAccess(h.ctx, engine.AccessEdit{Actor: "operator ada", Manager: model.ManagedByOperator, Areas: access.Areas(),
				Edit: func(s *access.State, _ *access.Tree) error {
					for _, m := range more {
						s.Give(m)
					}
					return nil
				}})
			return err
		}
		operator := given(ada, "group:sales", "operator")
		if err := grant(operator); model.CodeOf(err) != model.CodeSeparated {
			t.Errorf("a forbidden pair: %v", err)
		}
		later := operator
		from := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
		later.ValidFrom = &from
		if err := grant(later); model.CodeOf(err) != model.CodeSeparated {
			t.Errorf("a forbidden pair from tomorrow: %v", err)
		}
		endless := given(ada, "separation:two hands", "")
		if err := grant(endless, operator); model.CodeOf(err) != model.CodeAccessRefused {
			t.Errorf("an exception without an end: %v", err)
		}
		exception := endless
		until := time.Now().Add(30 * 24 * time.Hour).UTC().Truncate(time.Microsecond)
		exception.ValidTo = &until
		if err := grant(exception, operator); err != nil {
			t.Fatal(err)
		}
		want("with an exception", map[string]string{"ada": "Developer+Operator may project:read"})
		h.edit(func(s *access.State) { s.Take(ada, "separation:two hands", "", true) })
		want("its end", map[string]string{"ada": "Developer may project:read"})
		if tree, _, err = h.Tree(h.ctx); err != nil || len(tree.Withheld(ada)) != 1 {
			t.Errorf("withheld: %v, %v", tree.Withheld(ada), err)
		}
		if _, err := h.scim("entra", "e-ada", "ada", true, number("1")); err != nil {
			t.Fatal(err)
		}
		want("the right is gone, and what it kept away is there", map[string]string{"ada": "Operator may "})
	})
}

// M-42: somebody new by a split had nothing before the rules.
func TestASplitGivesNothingThatIsKeptApart(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		entitled(h)
		h.edit(func(s *access.State) { company(s, "employeeNumber:1") })
		attrs := titled("Engineer")
		attrs["nickName"] = "on call"
		var ada string
		for source, user := range map[string]string{"entra": "ada", "okta": "ada2"} {
			out, err := h.scim(source, "1", user, true, attrs)
			if err != nil {
				t.Fatal(err)
			}
			ada = out.Record.IdentityID
		}
		h.settle()
		h.split(ada, engine.RecordRef{Source: "okta", ID: "1"})
		h.settle()
		want := map[string]string{"ada": "Developer may project:edit", "ada2": "Developer may project:edit"}
		if diff := cmp.Diff(want, h.desired()); diff != "" {
			t.Error(diff)
		}
	})
}

// wantRights compares what the audit says of rights by rule.
func (h *house) wantRights(person string, want ...string) {
	h.t.Helper()
	entries, err := h.store.AuditList(h.ctx, person, 100)
	if err != nil {
		h.t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		if d := jml.Decode(e.Detail); strings.HasPrefix(e.Action, "access.right.") {
			got = append(got, fmt.Sprint(e.Action, " ", e.Actor, " in ", d["place"], " as ", d["role"]))
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		h.t.Error(diff)
	}
}

// M-24, M-41: what a rule gives, and what it gives no more, is in the audit log, once.
func TestRightsByRuleAreAudited(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		entitled(h)
		out, err := h.scim("entra", "e-ada", "ada", true, titled("Engineer"))
		if err != nil {
			t.Fatal(err)
		}
		ada := out.Record.IdentityID
		h.settle()
		if _, err := h.scim("entra", "e-ada", "ada", true, titled("Architect")); err != nil {
			t.Fatal(err)
		}
		h.settle()
		h.wantRights(ada, "access.right.remove rule engineers in group:builders as developer", "access.right.set rule engineers in group:builders as developer")
	})
}

// D-01, M-29: nobody loses a role that follows a group of a source by a read that proves nothing, nor by one in which the source cannot say
// whether the group is still there.
func TestARoleFromAGroupStaysWithoutProof(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.followingBuilders(t)
		want := func(what string, want ...string) {
			t.Helper()
			h.settle()
			if d := cmp.Diff(want, h.plat.active()); d != "" {
				t.Errorf("%s: %s", what, d)
			}
		}
		h.dir.users, h.dir.groups = people(4), []model.Entry{group("crew", "dir-person001"), group("builders", "dir-person000", "dir-crew")}
		h.sync()
		all := h.identities()
		h.edit(func(s *access.State) { company(s, all[len(all)-1].ID) })
		want("a member, and one through another group", "person000", "person001")

		whole := h.dir.groups
		h.dir.partial = true
		for what, groups := range map[string][]model.Entry{
			"no groups": nil, "only the inner one": {group("crew", "dir-person001")}, "both, without members": {group("crew"), group("builders")},
		} {
			h.dir.groups = groups
			h.sync()
			want(what, "person000", "person001")
		}
		h.dir.users, h.dir.groups = people(1), nil
		h.sync()
		want("nor most people", "person000", "person001")

		h.dir.partial, h.dir.users = false, people(4)
		h.dir.seen = map[string]model.SightingState{"dir-builders": model.SightNone, "dir-crew": model.SightNone}
		h.sync()
		want("nobody can say whether the groups are there", "person000", "person001")

		h.dir.groups = []model.Entry{group("crew"), whole[1]}
		h.sync()
		want("a complete read says who is in them", "person000")
		h.dir.groups, h.dir.seen = nil, nil
		h.sync()
		want("the groups were deleted")
	})
}

// followingBuilders lets members of the source's group Builders be developers, who have an account.
func (h *house) followingBuilders(t *testing.T) {
	t.Helper()
	p, bad := policy.Compile(policy.Config{
		Accounts: []policy.Rule{{Name: "held", Target: "platform", When: `"Developer" in access.roles`}},
		Roles:    []policy.RoleRule{{Name: "builders of corp", Role: "developer", Place: "group:builders", Source: "corp", Group: "Builders"}},
	}, []string{"platform"})
	if len(bad) > 0 {
		t.Fatal(bad)
	}
	r := *h.opts.Rules
	r.Policy = p
	h.SetRules(&r)
}
