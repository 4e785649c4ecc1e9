package engine_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/jml"
	"jmld/jml/access"
	"jmld/jml/engine"
	"jmld/jml/policy"
	"jmld/model"
)

// byRole has an account in platform for whoever holds a role on CRM, with the roles.
func byRole(h *house) { h.SetRules(byRoles(h)) }

func byRoles(h *house) *jml.Rules {
	r := rules(h.t)
	r.Policy = compiled(h.t, policy.Rule{Name: "crm", Target: "platform", When: `access.rolesOn("CRM").size() > 0`,
		Attributes: map[string]string{"userName": "person.userName", "roles": `access.rolesOn("CRM")`, "entitlements": `access.permissionsOn("CRM")`}})
	return r
}

func given(person, place, role string) model.AccessMember {
	return model.AccessMember{Person: person, Place: place, Role: role, Reason: "request 7", Approver: "operator ada", ManagedBy: model.ManagedByOperator}
}

// edit changes the tree as an operator does.
func (h *house) edit(edit func(s *access.State)) engine.AccessEdited {
	h.t.Helper()
	done, err := h.EditAccess(h.ctx, engine.AccessEdit{Actor: "operator ada", Manager: model.ManagedByOperator, Areas: access.Areas(),
		Edit: func(s *access.State, _ *access.Tree) error { edit(s); return nil }})
	if err != nil {
		h.t.Fatal(err)
	}
	return done
}

// settle reviews whoever is due, and works.
func (h *house) settle() {
	h.t.Helper()
	for n := 1; n > 0; {
		var err error
		if n, err = h.Tend(h.ctx); err != nil {
			h.t.Fatal(err)
		}
	}
	h.work()
}

// company is a tree in which Berlin, below Builders, owns CRM.
func company(s *access.State, admin string) {
	by := model.ManagedByOperator
	s.Roles = []model.AccessRole{{ID: "developer", Name: "Developer", Permissions: `{"project":["edit"]}`, ManagedBy: by}, {ID: "operator", Name: "Operator", ManagedBy: by}}
	s.Groups = []model.AccessGroup{
		{ID: "builders", Name: "Builders", Description: "Build", Parent: "root", ManagedBy: by},
		{ID: "berlin", Name: "Berlin", Description: "Build there", Parent: "builders", ManagedBy: by},
		{ID: "sales", Name: "Sales", Description: "Sell", Parent: "root", ManagedBy: by},
	}
	s.Resources = []model.AccessResource{{Place: "app:crm", Name: "CRM", ManagedBy: by}}
	s.Links = []model.AccessLink{{Place: "app:crm", Owner: "berlin", Exclusive: true, ManagedBy: by}}
	for _, g := range s.Groups {
		m := given(admin, "group:"+g.ID, "")
		m.Admin = true
		s.Members = append(s.Members, m)
	}
}

// desired are the roles and entitlements of each active account in the platform, by user name.
func (h *house) desired() map[string]string {
	h.plat.mu.Lock()
	defer h.plat.mu.Unlock()
	out := map[string]string{}
	for _, a := range h.plat.has {
		if a.State == model.AccountActive {
			out[a.UserName] = values(a.Desired, "roles") + " may " + values(a.Desired, "entitlements")
		}
	}
	return out
}

// M-50, M-57, M-59: a change of a role, a group, a link or a membership reaches every account it touches by one review, and no
// membership is written for what is inherited.
func TestAChangeOfTheTreeReachesEveryAccount(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		byRole(h)
		ids := map[string]string{}
		for i, name := range []string{"ada", "bo", "cy"} {
			out, err := h.scim("entra", "e-"+name, name, true, number(fmt.Sprint(i)))
			if err != nil {
				t.Fatal(err)
			}
			ids[name] = out.Record.IdentityID
		}
		want := func(what string, want map[string]string) {
			t.Helper()
			h.settle()
			if diff := cmp.Diff(want, h.desired()); diff != "" {
				t.Errorf("%s: %s", what, diff)
			}
		}
		want("nothing given", map[string]string{})
		h.edit(func(s *access.State) {
			company(s, ids["ada"])
			s.Give(given(ids["bo"], "group:builders", "developer"))
			s.Give(given(ids["cy"], "group:sales", "operator"))
		})
		want("inherited from the parent group", map[string]string{"bo": "Developer may project:edit"})
		h.edit(func(s *access.State) { s.Roles[0].Permissions = `{"cicd":["build"],"project":["read"]}` })
		want("another role", map[string]string{"bo": "Developer may cicd:build+project:read"})
		h.edit(func(s *access.State) {
			s.Link(model.AccessLink{Place: "app:crm", Owner: "sales", Exclusive: true, ManagedBy: model.ManagedByOperator}, true)
		})
		want("another owner", map[string]string{"cy": "Operator may "})
		h.edit(func(s *access.State) {
			s.Groups[slices.IndexFunc(s.Groups, func(g model.AccessGroup) bool { return g.ID == "sales" })].Parent = "builders"
		})
		want("another parent", map[string]string{"bo": "Developer may cicd:build+project:read", "cy": "Operator may "})
		h.edit(func(s *access.State) {
			s.Take(ids["cy"], "group:sales", "", true)
			s.Give(given(ids["ada"], "app:crm", "operator"))
		})
		want("another member, and one invited", map[string]string{"ada": "Operator may ", "bo": "Developer may cicd:build+project:read"})
		s, err := h.store.Access(h.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Members) != 3+2 {
			t.Errorf("%d memberships are stored, want those that were given: %v", len(s.Members), s.Members)
		}
	})
}

// M-24: roles begin and end by themselves.
func TestARoleEndsByItself(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		var mu sync.Mutex
		now := time.Now().UTC().Truncate(time.Microsecond)
		h.opts.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
		h.Engine = engine.New(h.opts)
		byRole(h)
		out, err := h.scim("entra", "e1", "bo", true, nil)
		if err != nil {
			t.Fatal(err)
		}
		from, to := now.Add(-time.Hour), now.Add(300*time.Millisecond)
		h.edit(func(s *access.State) {
			company(s, out.Record.IdentityID)
			m := given(out.Record.IdentityID, "group:builders", "developer")
			m.ValidFrom, m.ValidTo = &from, &to
			s.Give(m)
		})
		if _, err := h.Tend(h.ctx); err != nil { // once: the database's clock may be behind the end by now, and ours stands still
			t.Fatal(err)
		}
		h.work()
		if got := h.plat.active(); len(got) != 1 {
			t.Fatal(got)
		}
		p, err := h.store.Identity(h.ctx, out.Record.IdentityID)
		if err != nil || p.ReviewAt == nil || !p.ReviewAt.Equal(to) {
			t.Fatalf("review at %v, want %v (%v)", p.ReviewAt, to, err)
		}
		mu.Lock()
		now = to
		mu.Unlock()
		time.Sleep(time.Until(to) + 50*time.Millisecond) // the database's clock says who is due
		h.settle()
		if got := h.plat.active(); len(got) != 0 {
			t.Error(got)
		}
	})
}

// Somebody who is named by a key before anybody knows them has the role from the first moment; another source's claim of
// the key does not give it to somebody else.
func TestWhoComesLaterHasWhatWaitedForThem(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		byRole(h)
		h.edit(func(s *access.State) {
			company(s, "employeeNumber:1")
			s.Give(given("employeeNumber:7", "group:builders", "developer"))
		})
		if _, err := h.scim("entra", "e1", "bo", true, number("7")); err != nil {
			t.Fatal(err)
		}
		if _, err := h.scim("entra", "e2", "eve", true, number("7")); err != nil { // disputed or short: not hers
			t.Fatal(err)
		}
		h.settle()
		if diff := cmp.Diff(map[string]string{"bo": "Developer may project:edit"}, h.desired()); diff != "" {
			t.Error(diff)
		}
	})
}

// One truth, and one owner for each object: nobody changes what somebody else manages, and nothing that would break the tree is written.
func TestEditsThatAreRefusedWriteNothing(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.edit(func(s *access.State) { company(s, "employeeNumber:1") })
		before, err := h.store.Access(h.ctx)
		if err != nil {
			t.Fatal(err)
		}
		for name, test := range map[string]struct {
			manager string
			edit    func(s *access.State)
			want    model.Code
			text    string
		}{
			"a circle": {model.ManagedByOperator, func(s *access.State) { s.Groups[1].Parent = "berlin" }, model.CodeAccessRefused, "round in a circle"},
			"no admin": {model.ManagedByOperator, func(s *access.State) { s.Members = s.Members[1:] }, model.CodeAccessRefused, "no admin"},
			"a second owner": {model.ManagedByOperator, func(s *access.State) {
				s.Links = append(s.Links, model.AccessLink{Place: "app:crm", Owner: "sales", Exclusive: true})
			}, model.CodeAccessRefused, "second owner"},
			"somebody else's":    {model.ManagedByConfig, func(s *access.State) { s.Groups[0].Description = "mine" }, model.CodeAccessForeign, "is managed by the operator"},
			"to take it away":    {model.ManagedByConfig, func(s *access.State) { s.Links = nil }, model.CodeAccessForeign, "is managed by the operator"},
			"an error of theirs": {model.ManagedByOperator, func(s *access.State) { s.Groups = nil }, model.CodeAccessRefused, "unknown group"},
		} {
			_, err := h.EditAccess(h.ctx, engine.AccessEdit{Actor: "x", Manager: test.manager, Areas: access.Areas(), Edit: func(s *access.State, _ *access.Tree) error {
				test.edit(s)
				return nil
			}})
			if model.CodeOf(err) != test.want || !strings.Contains(fmt.Sprint(err), test.text) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := h.EditAccess(h.ctx, engine.AccessEdit{Edit: func(*access.State, *access.Tree) error { return errRefused }}); !errors.Is(err, errRefused) {
			t.Error(err)
		}
		after, err := h.store.Access(h.ctx)
		if diff := cmp.Diff(before, after); diff != "" || err != nil {
			t.Error(diff, err)
		}
	})
}

// Why something was taken away stands in the audit beside what was taken.
func TestTheAuditSaysWhySomethingWasTakenAway(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.edit(func(s *access.State) {
			company(s, "employeeNumber:1")
			s.Give(given("p1", "group:builders", "developer"))
		})
		if _, err := h.EditAccess(h.ctx, engine.AccessEdit{Actor: "operator ada", Reason: "moved to Sales", Manager: model.ManagedByOperator, Areas: access.Areas(),
			Edit: func(s *access.State, _ *access.Tree) error {
				s.Take("p1", "group:builders", "developer", false)
				return nil
			}}); err != nil {
			h.t.Fatal(err)
		}
		entries, err := h.store.AuditList(h.ctx, "p1", 1)
		if err != nil || len(entries) != 1 {
			t.Fatal(entries, err)
		}
		d := jml.Decode(entries[0].Detail)
		got := []string{entries[0].Action, text(d["Role"]), text(d["Reason"]), text(d["Why"])}
		if diff := cmp.Diff([]string{"access.member.remove", "developer", "request 7", "moved to Sales"}, got); diff != "" {
			t.Error(diff)
		}
	})
}

// Operators who change different things at once both succeed; the second sees what the first did.
func TestOperatorsAtOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.edit(func(s *access.State) { company(s, "employeeNumber:1") })
		var wg sync.WaitGroup
		errs := make([]error, 6)
		for i := range errs {
			wg.Go(func() {
				_, errs[i] = h.EditAccess(h.ctx, engine.AccessEdit{Actor: "x", Manager: model.ManagedByOperator, Areas: access.Areas(), Edit: func(s *access.State, _ *access.Tree) error {
					s.Give(given(fmt.Sprint("p", i), "group:builders", "developer"))
					return nil
				}})
			})
		}
		wg.Wait()
		s, err := h.store.Access(h.ctx)
		if err := errors.Join(append(errs, err)...); err != nil || len(s.Members) != 3+len(errs) {
			t.Errorf("%d members, %v", len(s.Members), err)
		}
	})
}

// M-60: an app gets another owner, a member of the group that owns it, before its owner is gone; where nobody can be found nothing is
// lost silently.
func TestAnOwnerWhoLeavesHandsOverFirst(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		r := rules(t)
		r.Policy = deletes(t)
		h.SetRules(r)
		ids := map[string]string{}
		for i, name := range []string{"ada", "bo"} {
			out, err := h.scim("entra", "e-"+name, name, true, number(fmt.Sprint(i)))
			if err != nil {
				t.Fatal(err)
			}
			ids[name] = out.Record.IdentityID
		}
		h.edit(func(s *access.State) {
			company(s, ids["ada"])
			m := given(ids["ada"], "app:crm", "developer")
			m.Admin = true
			s.Give(m)
		})
		h.settle()
		if _, err := h.scim("entra", "e-ada", "ada", false, number("0")); err != nil {
			t.Fatal(err)
		}
		state := func() string {
			t.Helper()
			h.settle()
			p, err := h.store.Identity(h.ctx, ids["ada"])
			if err != nil {
				t.Fatal(err)
			}
			accounts, err := h.store.Accounts(h.ctx, model.AccountQuery{IdentityID: ids["ada"], Target: "app"})
			if err != nil || len(accounts) != 1 {
				t.Fatal(accounts, err)
			}
			s, err := h.store.Access(h.ctx)
			if err != nil {
				t.Fatal(err)
			}
			owner := "nobody"
			for _, m := range s.Members {
				for name, id := range ids {
					if m.Place == "app:crm" && m.Admin && m.Person == id {
						owner = name + " as " + m.Role
					}
				}
			}
			return fmt.Sprint(accounts[0].State, ", owned by ", owner, ", a finding: ", strings.Contains(p.Findings, string(model.CodeAccessOwner)))
		}
		if got, want := state(), "inactive, owned by ada as developer, a finding: true"; got != want {
			t.Fatalf("before there is anybody else: %s, want %s", got, want)
		}
		h.edit(func(s *access.State) { // makes her due for review, too
			m := given(ids["bo"], "group:builders", "")
			m.Admin = true
			s.Give(m)
			s.Resources[0].Description = "is in want of an owner"
		})
		if got, want := state(), "absent, owned by bo as developer, a finding: false"; got != want {
			t.Errorf("with an active admin above: %s, want %s", got, want)
		}
		entries, err := h.store.AuditList(h.ctx, ids["bo"], 10)
		if err != nil || !slices.ContainsFunc(entries, func(a model.AuditEntry) bool { return a.Actor == "hand-over" && a.Action == "access.member.set" }) {
			t.Error(entries, err)
		}
	})
}

// What is held may be a mistake of the source: as long as a person has not approved that the owner leaves, the app stays theirs.
func TestAnOwnerWhoseLeavingIsHeldHandsNothingOver(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.dir.users = people(30)
		h.sync()
		ids := map[string]string{}
		for _, p := range h.identities() {
			ids[p.UserName] = p.ID
		}
		owner, heir := ids[h.dir.users[25].UserName], ids[h.dir.users[0].UserName]
		h.edit(func(s *access.State) {
			company(s, heir)
			s.Give(given(owner, "group:berlin", "developer"))
			m := given(owner, "app:crm", "developer")
			m.Admin = true
			s.Give(m)
		})
		h.settle()
		ownedBy := func(what, want string) {
			t.Helper()
			h.edit(func(s *access.State) { s.Resources[0].Description = what }) // whoever holds something there is due for review
			h.settle()
			s, err := h.store.Access(h.ctx)
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(s.Members, func(m model.AccessMember) bool { return m.Place == "app:crm" && m.Admin })
			if i < 0 || s.Members[i].Person != want {
				t.Fatalf("%s: %+v; want %s", what, s.Members, want)
			}
		}
		h.dir.users = people(20)
		held := h.sync()
		if held.Plan == nil || held.Plan.Items == 0 {
			t.Fatalf("%+v", held)
		}
		ownedBy("held", owner)
		if _, err := h.Approve(h.ctx, held.Plan.ID, held.Plan.Digest, "operator ada"); err != nil {
			t.Fatal(err)
		}
		ownedBy("approved", heir)
	})
}

// Two rows turn out to be one person's: that is to be mended, and keeps nobody from changing the rest, nor the daemon from starting.
func TestWhatWasWrongBeforeRefusesNoOtherEdit(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.edit(func(s *access.State) {
			company(s, "userName:ada")
			s.Give(given("userName:bo", "group:sales", "operator"))
			s.Give(given("employeeNumber:7", "group:sales", "operator"))
		})
		if _, err := h.scim("entra", "e1", "bo", true, number("7")); err != nil {
			t.Fatal(err)
		}
		s, err := h.store.Access(h.ctx)
		if err != nil || len(access.Check(s, access.Areas())) == 0 {
			t.Fatalf("nothing is wrong: %v, %v", s, err)
		}
		h.edit(func(*access.State) {})
		h.edit(func(s *access.State) { s.Give(given("userName:cy", "group:sales", "operator")) })
		_, err = h.EditAccess(h.ctx, engine.AccessEdit{Actor: "x", Manager: model.ManagedByOperator, Edit: func(s *access.State, _ *access.Tree) error {
			s.Give(given("userName:dan", "group:sales", "no such role"))
			return nil
		}})
		if model.CodeOf(err) != model.CodeAccessRefused || strings.Contains(fmt.Sprint(err), "twice") {
			t.Errorf("what this edit breaks: %v", err)
		}
	})
}

// values are those of a multi-valued attribute, joined by a plus.
func values(text, attr string) string {
	var attrs map[string]any
	if err := json.Unmarshal([]byte(text), &attrs); err != nil {
		return err.Error()
	}
	list, _ := attrs[attr].([]any)
	var out []string
	for _, v := range list {
		out = append(out, fmt.Sprint(v.(map[string]any)["value"]))
	}
	return strings.Join(out, "+")
}

// M-50: an emptied section, or a file of which much is missing, takes nothing from anybody without a person.
func TestWhatIsDeclaredTakesNothingAwayByMistake(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		declare := func(members int, brake, dryRun bool) (engine.AccessEdited, error) {
			return h.EditAccess(h.ctx, engine.AccessEdit{Actor: "configuration", Manager: model.ManagedByConfig, Brake: brake, DryRun: dryRun,
				Edit: func(s *access.State, _ *access.Tree) error {
					*s = access.State{Revision: s.Revision, People: s.People}
					if members == 0 {
						return nil
					}
					company(s, "employeeNumber:1")
					for i := range members {
						s.Give(given(fmt.Sprint("employeeNumber:", 100+i), "group:sales", "developer"))
					}
					for i := range s.Members {
						s.Members[i].ManagedBy = model.ManagedByConfig
					}
					for i := range s.Groups {
						s.Groups[i].ManagedBy = model.ManagedByConfig
					}
					for i := range s.Roles {
						s.Roles[i].ManagedBy = model.ManagedByConfig
					}
					s.Resources[0].ManagedBy, s.Links[0].ManagedBy = model.ManagedByConfig, model.ManagedByConfig
					return nil
				}})
		}
		for _, step := range []struct {
			members int
			brake   bool
			want    string
		}{
			{20, true, ""}, {15, true, ""}, {9, true, "6 of 16 people would lose something they hold; the limit is 5"}, {9, false, ""},
			{4, true, ""}, {0, true, "nothing is declared any more, and 5 of 5 people would lose what they hold by it"}, {0, false, ""},
		} {
			before, err := h.store.Access(h.ctx)
			if err != nil {
				t.Fatal(err)
			}
			tried, err := declare(step.members, step.brake, true)
			if err != nil || tried.Held != step.want {
				t.Errorf("%+v: %q %v", step, tried.Held, err)
			}
			_, err = declare(step.members, step.brake, false)
			after, lerr := h.store.Access(h.ctx)
			if lerr != nil {
				t.Fatal(lerr)
			}
			switch {
			case step.want == "" && err != nil, step.want != "" && model.CodeOf(err) != model.CodeAccessHeld:
				t.Errorf("%+v: %v", step, err)
			case step.want != "" && !cmp.Equal(before, after):
				t.Errorf("%+v: something was written", step)
			case step.want == "" && len(after.Members) != step.members+min(step.members, 3):
				t.Errorf("%+v: %d members", step, len(after.Members))
			}
		}
	})
}
