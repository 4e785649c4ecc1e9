package engine_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/jml/engine"
	"jmld/jml/policy"
	"jmld/model"
)

// owners are whose the names are.
func (h *house) owners(ids ...string) map[string]string {
	h.t.Helper()
	found, err := h.store.Names(h.ctx, ids)
	if err != nil {
		h.t.Fatal(err)
	}
	out := map[string]string{}
	for _, n := range found {
		out[n.Target+" "+n.Name] = n.IdentityID
	}
	return out
}

// TestASplitGivesBackTheNamesThatCame: a merge brings the account and all names of it, and those of accounts that are no more; a split gives them
// back with those that were given since, and leaves to the other person what was theirs.
func TestASplitGivesBackTheNamesThatCame(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		r := rules(t)
		r.Policy = compiled(t, policy.Rule{Name: "titled", Target: "app", When: "has(person.title)", Naming: &policy.Naming{
			Patterns: []string{`person.givenName.slug() + "." + person.familyName.slug()`}, Numbered: true, Rename: true}})
		h.SetRules(r)
		says := func(source, id, family string, more map[string]any) string {
			t.Helper()
			attrs := called("Eva", family)
			for k, v := range more {
				attrs[k] = v
			}
			got, err := h.scim(source, id, id, true, attrs)
			if err != nil {
				t.Fatal(err)
			}
			return got.Record.IdentityID
		}
		titled := map[string]any{"title": "Clerk"}
		eva := says("entra", "e1", "Lind", titled)
		says("entra", "e1", "Brandt", titled)
		jit := says("okta", "o1", "Lind", nil)
		h.work()
		now := time.Now()
		if err := h.store.Commit(h.ctx, &engine.Commit{Names: []model.AccountName{ // of accounts that are no more
			{Target: "app", Name: "eva.old", IdentityID: jit, GivenAt: now}, {Target: "platform", Name: "eva.gone", IdentityID: eva, GivenAt: now},
		}}); err != nil {
			t.Fatal(err)
		}
		before := map[string]string{"app eva.lind": eva, "app eva.brandt": eva, "app eva.old": jit, "platform eva.gone": eva}
		if d := cmp.Diff(before, h.owners(eva, jit)); d != "" {
			t.Fatalf("before (-want +got):\n%s", d)
		}
		h.merge(jit, eva)
		if d := cmp.Diff(map[string]string{"app eva.lind": jit, "app eva.brandt": jit, "app eva.old": jit, "platform eva.gone": jit}, h.owners(eva, jit)); d != "" {
			t.Errorf("merged (-want +got):\n%s", d)
		}
		says("entra", "e1", "Kern", titled)
		h.tend()
		h.split(jit, engine.RecordRef{Source: "entra", ID: "e1"})
		before["app eva.kern"] = eva
		if d := cmp.Diff(before, h.owners(eva, jit)); d != "" {
			t.Errorf("split (-want +got):\n%s", d)
		}
		h.tend()
		if d := cmp.Diff([]string{"eva.kern"}, h.app.active()); d != "" {
			t.Errorf("accounts (-want +got):\n%s", d)
		}
	})
}

// TestNamesOfAfterTheRuleWasSwitchedOffAreTheirs: without the rule somebody got a name that was another's once. When it is back, they keep it.
func TestNamesOfAfterTheRuleWasSwitchedOffAreTheirs(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		says := func(id, user string, active bool) string {
			t.Helper()
			got, err := h.scim("entra", id, user, active, called("John", "Smith"))
			if err != nil {
				t.Fatal(err)
			}
			return got.Record.IdentityID
		}
		on, off := *h.opts.Rules, *h.opts.Rules
		on.Policy = compiled(t, policy.Rule{Name: "everybody", Target: "app", When: "true", Naming: &policy.Naming{
			Patterns: []string{`person.givenName.slug() + "." + person.familyName.slug()`}, Numbered: true, Rename: true}})
		off.Policy = compiled(t, policy.Rule{Name: "everybody", Target: "app", When: "true", Attributes: map[string]string{"userName": "person.userName"}})
		one := says("e1", "js", true)
		h.SetRules(&on)
		says("e1", "js1", true)
		h.work()
		h.SetRules(&off)
		says("e1", "js", true)
		two := says("e2", "John.Smith", true)
		h.work()
		if d := cmp.Diff([]string{"John.Smith", "js"}, h.app.active()); d != "" {
			t.Fatalf("without the rule (-want +got):\n%s", d)
		}
		again := on
		h.SetRules(&again)
		says("e1", "js1", true)
		says("e2", "js2", true)
		h.work()
		if d := cmp.Diff([]string{"John.Smith", "john.smith2"}, h.app.active()); d != "" {
			t.Errorf("with the rule again (-want +got):\n%s", d)
		}
		if d := cmp.Diff(map[string]string{"app john.smith": two, "app john.smith2": one, "app js": one}, h.owners(one, two)); d != "" {
			t.Errorf("names (-want +got):\n%s", d)
		}
	})
}
