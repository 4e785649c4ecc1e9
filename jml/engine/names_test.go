package engine_test

import (
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

// named is the engine with a rule that makes names in the app.
func (h *house) named(replica string, rename bool) *engine.Engine {
	o := h.opts
	o.Replica = replica
	r := *o.Rules
	r.Policy = compiled(h.t, policy.Rule{Name: "everybody", Target: "app", When: "true", Naming: &policy.Naming{
		Patterns: []string{`person.givenName.slug() + "." + person.familyName.slug()`}, Numbered: true, Rename: rename}})
	o.Rules = &r
	return engine.New(o)
}

func called(given, family string) map[string]any {
	return map[string]any{"name": map[string]any{"givenName": given, "familyName": family}}
}

func johns(n int) []string {
	out := []string{"john.smith"}
	for i := 2; i <= n; i++ {
		out = append(out, fmt.Sprintf("john.smith%d", i))
	}
	slices.Sort(out)
	return out
}

// TestTwoReplicasNeverGiveOneNameTwice: many people of one name join at once, by pushes to two replicas and by a read.
func TestTwoReplicasNeverGiveOneNameTwice(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		const pushed, read = 12, 8
		one, two := h.named("one", false), h.named("two", false)
		for i := range read { // in one transaction
			en := person(i)
			en.Attrs = jml.Canonical(map[string]any{"userName": en.UserName, "name": map[string]any{"givenName": "JOHN", "familyName": "Smith"}})
			h.dir.users = append(h.dir.users, en)
		}
		var wg sync.WaitGroup
		for i := range pushed {
			e := []*engine.Engine{one, two}[i%2]
			wg.Go(func() {
				side := *h
				side.Engine = e
				if _, err := side.scim("entra", fmt.Sprint("e", i), fmt.Sprint("john", i), true, called("John", []string{"Smith", "SMITH"}[i%2])); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Go(func() {
			if _, err := one.Sync(h.ctx, "corp", engine.SyncOptions{Trigger: "demand", Actor: "test"}); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		h.Engine = one
		h.work()
		if d := cmp.Diff(johns(pushed+read), h.app.active()); d != "" {
			t.Errorf("names (-want +got):\n%s", d)
		}
	})
}

// TestNamesOfBeforeTheRuleAreTaken: accounts that were there when the rule came keep their names, and nobody else gets one.
func TestNamesOfBeforeTheRuleAreTaken(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.say("entra", "e1", "John.Smith", "1")
		h.work()
		h.Engine = h.named("one", false)
		if _, err := h.scim("entra", "e2", "js", true, called("John", "Smith")); err != nil {
			t.Fatal(err)
		}
		if _, err := h.scim("entra", "e1", "renamed", true, called("John", "Smith")); err != nil {
			t.Fatal(err)
		}
		h.work()
		if d := cmp.Diff([]string{"John.Smith", "john.smith2"}, h.app.active()); d != "" {
			t.Errorf("names (-want +got):\n%s", d)
		}
	})
}

// TestNamesOfBeforeAreTakenWhateverTheirLetters: more than are noted at a time, and with letters that databases do not know in small.
func TestNamesOfBeforeAreTakenWhateverTheirLetters(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		c := &engine.Commit{}
		now := time.Now()
		var asked []jml.NameKey
		want := map[jml.NameKey]string{}
		for i := range 1203 {
			name := fmt.Sprintf("ÉVA.Lind%d", i)
			a := model.Account{IdentityID: model.NewID(now), Target: "app", State: model.AccountActive, UserName: name, Desired: "{}", CreatedAt: now, UpdatedAt: now}
			c.Accounts = append(c.Accounts, a)
			key := jml.KeyOfName("app", fmt.Sprintf("éva.lind%d", i))
			asked, want[key] = append(asked, key), a.IdentityID
		}
		if err := h.store.Commit(h.ctx, c); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time nothing is new
			if err := h.store.NoteNames(h.ctx, []string{"app"}); err != nil {
				t.Fatal(err)
			}
		}
		got, err := h.store.NameOwners(h.ctx, asked)
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%v: names (-want +got):\n%.2000s", err, d)
		}
	})
}

// TestNamesGoWithTheAccount: who is merged brings their account and all names it ever had.
func TestNamesGoWithTheAccount(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.Engine = h.named("one", true)
		says := func(id, given, family string) string {
			t.Helper()
			got, err := h.scim("entra", id, id, true, called(given, family))
			if err != nil {
				t.Fatal(err)
			}
			return got.Record.IdentityID
		}
		eva := says("e1", "Eva", "Lind")
		says("e1", "Eva", "Brandt")
		h.work()
		owners := func() map[string]string {
			t.Helper()
			found, err := h.store.NameOwners(h.ctx, []jml.NameKey{{Target: "app", Name: "eva.lind"}, {Target: "app", Name: "eva.brandt"}, {Target: "platform", Name: "eva.lind"}})
			if err != nil {
				t.Fatal(err)
			}
			out := map[string]string{}
			for k, owner := range found {
				out[k.Target+" "+k.Name] = owner
			}
			return out
		}
		if d := cmp.Diff(map[string]string{"app eva.lind": eva, "app eva.brandt": eva}, owners()); d != "" {
			t.Errorf("before (-want +got):\n%s", d)
		}
		other := model.NewID(time.Now())
		never := model.Account{IdentityID: other, Target: "app", Origin: model.OriginOurs, Desired: "{}"} // waited for approval, and does so no more
		if err := h.store.Commit(h.ctx, &engine.Commit{Accounts: []model.Account{never}}); err != nil {
			t.Fatal(err)
		}
		names, err := h.store.Names(h.ctx, []string{eva})
		if err != nil {
			t.Fatal(err)
		}
		move := &engine.Commit{MoveAccounts: []engine.AccountMove{{From: eva, To: other, Target: "app"}}}
		for _, n := range names {
			move.MoveNames = append(move.MoveNames, engine.NameMove{AccountName: n, To: other})
		}
		if err := h.store.Commit(h.ctx, move); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(map[string]string{"app eva.lind": other, "app eva.brandt": other}, owners()); d != "" {
			t.Errorf("after (-want +got):\n%s", d)
		}
		if got := h.app.active(); len(got) != 1 || !strings.HasPrefix(got[0], "eva.brandt") {
			t.Error(got)
		}
	})
}

// TestADryRunKnowsNamesAndRoles: what a preview says is what the run does, also where it follows from names that were given and from groups.
func TestADryRunKnowsNamesAndRoles(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		title := `has(person.title) ? person.title : ""`
		r := rules(t)
		r.Policy = compiled(t, policy.Rule{Name: "everybody", Target: "app", When: "true", Attributes: map[string]string{"title": title}, Naming: &policy.Naming{
			Patterns: []string{`person.givenName.slug() + "." + person.familyName.slug()`}, Numbered: true, Rename: true}},
			policy.Rule{Name: "crm", Target: "platform", When: `access.rolesOn("CRM").size() > 0`,
				Attributes: map[string]string{"userName": "person.userName", "title": title, "roles": `access.rolesOn("CRM")`}})
		h.SetRules(r)
		eva := func(i int, family, title string) model.Entry {
			en := person(i)
			en.Attrs = jml.Canonical(map[string]any{"userName": en.UserName, "title": title, "name": map[string]any{"givenName": "Eva", "familyName": family}})
			return en
		}
		h.dir.users = []model.Entry{eva(0, "Lind", "Clerk")}
		h.sync()
		id := h.identities()[0].ID
		h.edit(func(s *access.State) {
			company(s, id)
			s.Give(given(id, "group:builders", "developer"))
		})
		h.settle()
		h.dir.users = []model.Entry{eva(0, "Brandt", "Clerk")}
		h.sync()
		h.dir.users = []model.Entry{eva(0, "Brandt", "Chief"), eva(1, "Lind", "Clerk")}
		told := func(changes []model.Change) []string {
			var out []string
			for _, c := range changes {
				out = append(out, fmt.Sprint(c.Op, " ", c.Target, " ", c.After))
			}
			slices.Sort(out)
			return out
		}
		dry, err := h.Sync(h.ctx, "corp", engine.SyncOptions{Trigger: "demand", DryRun: true})
		if err != nil {
			t.Fatal(err)
		}
		wet := h.sync()
		real, err := h.store.Changes(h.ctx, model.ChangeQuery{RunID: wet.Run.ID, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(told(dry.Changes), told(real)); d != "" || len(real) != 3 {
			t.Error("preview and run differ:", d, told(real))
		}
	})
}
