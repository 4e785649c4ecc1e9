package engine_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/jml"
	"jmld/jml/engine"
	"jmld/jml/policy"
	"jmld/model"
)

// guards gives the house a protection, and a rule that makes administrators.
func (h *house) guards() {
	r := *h.opts.Rules
	r.Policy = compiled(h.t,
		policy.Rule{Name: "admins", Target: "app", When: `has(person.title)`, Administrator: true},
		policy.Rule{Name: "everybody", Target: "app", When: "true"})
	r.Protect = jml.Protection{People: []jml.ProtectedPeople{{Name: "emergency", Key: jml.KeyUserName, Pattern: "breakglass-*"}},
		Accounts: []jml.ProtectedAccounts{{Name: "local", Target: "app", Pattern: "MxAdmin", Kind: jml.KindLocal}}}
	h.SetRules(&r)
}

func (h *house) says(id, user string, active bool, title string) {
	h.t.Helper()
	attrs := map[string]any{}
	if title != "" {
		attrs["title"] = title
	}
	if _, err := h.scim("entra", id, user, active, attrs); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) accountOf(user string) model.Account {
	h.t.Helper()
	all, err := h.store.Accounts(h.ctx, model.AccountQuery{Target: "app", Search: user, Limit: 2})
	if err != nil || len(all) != 1 {
		h.t.Fatal(user, all, err)
	}
	return all[0]
}

func TestWhatIsProtectedIsNotTakenAtTheLastStepEither(t *testing.T) { // D-21: whatever decided, approval and a changed row included
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.guards()
		h.says("1", "breakglass-1", true, "")
		h.says("2", "ada", true, "")
		h.says("3", "bob", true, "Admin")
		h.work()
		for _, user := range []string{"breakglass-1", "ada", "bob"} { // something else than a decision wants them away
			a := h.accountOf(user)
			a.State, a.DesiredRev, a.Priority = model.AccountInactive, a.DesiredRev+1, 0
			if err := h.store.Commit(h.ctx, &engine.Commit{Accounts: []model.Account{a}}); err != nil {
				t.Fatal(err)
			}
		}
		h.work()
		if d := cmp.Diff([]string{"bob", "breakglass-1"}, h.app.active()); d != "" {
			t.Error(d)
		}
		for user, want := range map[string]model.Code{"breakglass-1": model.CodeProtected, "bob": model.CodeLastAdministrator, "ada": ""} {
			if a := h.accountOf(user); a.ErrorCode != want || a.Dead != (want != "") {
				t.Errorf("%s: %s, dead %t", user, a.ErrorCode, a.Dead)
			}
		}
	})
}

// What a new configuration says of accounts that stay as they are is kept, too: later decisions go by it.
func TestANewProtectionMarksTheAccountsThereAre(t *testing.T) { // D-21
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		r := *h.opts.Rules
		r.Policy = compiled(t, policy.Rule{Name: "admins", Target: "app", When: `has(person.title)`}, policy.Rule{Name: "everybody", Target: "app", When: "true"})
		h.SetRules(&r)
		h.says("1", "breakglass-1", true, "")
		h.says("3", "bob", true, "Admin")
		h.work()
		h.guards()
		if _, err := h.store.AdoptRules(h.ctx, "guards"); err != nil {
			t.Fatal(err)
		}
		h.tend()
		if a := h.accountOf("breakglass-1"); a.ProtectedBy != "emergency" || a.Administrator {
			t.Errorf("%+v", a)
		}
		if a := h.accountOf("bob"); a.ProtectedBy != "" || !a.Administrator {
			t.Errorf("%+v", a)
		}
		h.says("3", "bob", false, "Admin") // nobody else administers the app
		h.work()
		if d := cmp.Diff([]string{"bob", "breakglass-1"}, h.app.active()); d != "" {
			t.Error(d)
		}
	})
}

func TestNobodyGetsTheAccountOfTheLocalAdministrator(t *testing.T) { // M-17, M-62
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.guards()
		h.says("1", "MXADMIN", true, "")
		h.work()
		if h.app.calls != 0 {
			t.Error("the target was asked about the local administrator")
		}
		found, err := h.store.Changes(h.ctx, model.ChangeQuery{Ops: []model.Op{model.OpFinding}, Limit: 10})
		if err != nil || len(found) != 1 || found[0].Code != model.CodeReserved {
			t.Error(found, err)
		}
	})
}

func TestTheLastAdministratorStays(t *testing.T) { // M-16, D-21: also when all of them leave at once
	t.Parallel()
	onBothCalendars(t, func(t *testing.T, c *calendarHouse) {
		h := c.house
		h.guards()
		for i := range 4 {
			h.says(fmt.Sprint(i), fmt.Sprintf("admin%d", i), true, "Admin")
		}
		h.work()
		for i := range 4 {
			h.says(fmt.Sprint(i), fmt.Sprintf("admin%d", i), false, "Admin")
		}
		h.work()
		if d := cmp.Diff([]string{"admin3"}, h.app.active()); d != "" {
			t.Fatal(d)
		}
		all, err := h.store.Accounts(h.ctx, model.AccountQuery{Privileged: true, Limit: 10})
		if err != nil || len(all) != 4 {
			t.Error(len(all), err)
		}
		h.says("9", "admin9", true, "Admin") // there is another one: the last but one leaves by itself
		h.work()
		c.later(c.at.Add(3600e9))
		if d := cmp.Diff([]string{"admin9"}, h.app.active()); d != "" {
			t.Error(d)
		}
	})
}

func TestAdministratorsWhoLeaveInOneReadOrPlan(t *testing.T) { // M-16, D-21
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		r := *h.opts.Rules
		r.Policy = compiled(t, policy.Rule{Name: "admins", Target: "app", When: "true", Administrator: true})
		h.SetRules(&r)
		h.dir.users = people(20)
		h.sync()
		h.dir.users = people(1)[:1]
		h.dir.users[0].Active = false // the one that is left is on leave
		plan := h.sync().Plan
		if plan == nil {
			t.Fatal("19 administrators left without approval")
		}
		if _, err := h.Approve(h.ctx, plan.ID, plan.Digest, "operator"); err != nil {
			t.Fatal(err)
		}
		h.work()
		if n := len(h.app.active()); n < 1 {
			t.Error("nobody administers the target any more")
		}
	})
}
