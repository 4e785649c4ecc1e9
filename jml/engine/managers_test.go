package engine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/jml"
	"jmld/jml/engine"
	"jmld/jml/policy"
	"jmld/model"
)

// byManager gives everybody in the platform the title of their manager's name, and who has none "nobody's".
func byManager(h *house) {
	r := *h.opts.Rules
	r.Policy = compiled(h.t, policy.Rule{Name: "everybody", Target: "platform", When: `!has(manager.active) || manager.active`,
		Attributes: map[string]string{"userName": "person.userName", "title": `has(manager.displayName) ? manager.displayName + " " + manager.employeeNumber : "nobody's"`}})
	h.opts.Rules = &r
	h.Engine = engine.New(h.opts)
}

func (h *house) titles() map[string]string {
	h.t.Helper()
	accounts, err := h.store.Accounts(h.ctx, model.AccountQuery{Target: "platform", Limit: 20000})
	if err != nil {
		h.t.Fatal(err)
	}
	out := map[string]string{}
	for _, a := range accounts {
		title, _ := jml.Decode(a.Desired)["title"].(string)
		if a.State != model.AccountActive || a.HeldPlan != "" {
			title = string(a.State) + " " + a.HeldPlan
		}
		out[a.UserName] = title
	}
	return out
}

func under(n, manager, name string) map[string]any {
	ext := map[string]any{"employeeNumber": n}
	if manager != "" {
		ext["manager"] = map[string]any{"value": manager}
	}
	return map[string]any{jml.EnterpriseUser: ext, "displayName": name}
}

// The manager is bound late: who reports to somebody not known yet has none, and is decided about again when they arrive, are called
// something else, leave their record, or somebody else is the manager.
func TestReportsFollowTheirManager(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		byManager(h)
		write := func(id, name string, active bool, attrs map[string]any) {
			t.Helper()
			if _, err := h.scim("entra", id, name, active, attrs); err != nil {
				t.Fatal(err)
			}
			h.settle()
		}
		is := func(what string, want map[string]string) {
			t.Helper()
			if diff := cmp.Diff(want, h.titles()); diff != "" {
				t.Errorf("%s: %s", what, diff)
			}
		}
		write("e-ada", "ada", true, under("1", "e-bo", "Ada"))
		write("e-cy", "cy", true, under("3", "e-bo", "Cy"))
		is("before the manager comes", map[string]string{"ada": "nobody's", "cy": "nobody's"})
		write("e-bo", "bo", true, under("2", "", "Bo"))
		is("the manager came", map[string]string{"ada": "Bo 2", "bo": "nobody's", "cy": "Bo 2"})
		write("e-bo", "bo", true, under("2", "", "Bo B."))
		is("and has another name", map[string]string{"ada": "Bo B. 2", "bo": "nobody's", "cy": "Bo B. 2"})
		write("e-ada", "ada", true, under("1", "e-cy", "Ada"))
		is("somebody else is the manager", map[string]string{"ada": "Cy 3", "bo": "nobody's", "cy": "Bo B. 2"})
		write("e-cy", "cy", true, under("3", "", "Cy"))
		is("nobody is", map[string]string{"ada": "Cy 3", "bo": "nobody's", "cy": "nobody's"})
		if err := h.gone("entra", "e-cy"); err != nil {
			t.Fatal(err)
		}
		h.settle()
		if got := h.titles()["ada"]; got != "nobody's" {
			t.Errorf("the manager's record is gone: %s", got)
		}
	})
}

// Many reports wait at the guard as any change of many does, and follow when somebody lets them.
func TestReportsOfOneManagerGoThroughTheGuard(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		byManager(h)
		const n = 40
		for i := range n {
			if _, err := h.scim("entra", fmt.Sprint("e-", i), fmt.Sprint("p", i), true, under(fmt.Sprint(100+i), "e-bo", "P")); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := h.scim("entra", "e-bo", "bo", true, under("2", "", "Bo")); err != nil {
			t.Fatal(err)
		}
		h.settle()
		count := func() map[string]int {
			has := map[string]int{}
			for _, title := range h.titles() {
				has[title]++
			}
			return has
		}
		if diff := cmp.Diff(map[string]int{"nobody's": n + 1}, count()); diff != "" {
			t.Errorf("held: %s", diff)
		}
		for _, p := range h.heldPlans() {
			h.approve(p)
		}
		if diff := cmp.Diff(map[string]int{"Bo 2": n, "nobody's": 1}, count()); diff != "" {
			t.Errorf("approved: %s", diff)
		}
	})
}

// Rules that do not ask for managers cost nothing for it.
func TestNobodyIsMarkedForRulesWithoutManagers(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		if _, err := h.scim("entra", "e-ada", "ada", true, under("1", "e-bo", "Ada")); err != nil {
			t.Fatal(err)
		}
		if _, err := h.scim("entra", "e-bo", "bo", true, under("2", "", "Bo")); err != nil {
			t.Fatal(err)
		}
		if n, err := h.Tend(h.ctx); n != 0 || err != nil {
			t.Errorf("%d reviewed, %v", n, err)
		}
	})
}

// Who is reviewed and keeps all they have may be another manager than before all the same.
func TestReportsFollowAManagerToWhomNothingElseHappens(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		byManager(h)
		for _, r := range []struct {
			source, id, name string
			attrs            map[string]any
		}{{"entra", "e-bo", "bo", under("2", "", "Bo")}, {"okta", "o-bo", "bo", under("2", "", "Robert")}, {"entra", "e-ada", "ada", under("1", "e-bo", "Ada")}} {
			if _, err := h.scim(r.source, r.id, r.name, true, r.attrs); err != nil {
				t.Fatal(err)
			}
		}
		h.settle()
		r := *h.opts.Rules
		r.Authority = map[string][]string{"displayName": {"okta"}}
		h.opts.Rules = &r
		h.Engine = engine.New(h.opts)
		if err := h.store.Commit(h.ctx, &engine.Commit{ReviewAt: time.Unix(0, 0), People: []engine.RecordRef{{Source: "entra", ID: "e-bo"}}}); err != nil {
			t.Fatal(err)
		}
		h.settle()
		if diff := cmp.Diff(map[string]string{"ada": "Robert 2", "bo": "nobody's"}, h.titles()); diff != "" {
			t.Error(diff)
		}
	})
}

// A directory may have ids with capital letters: whoever is named by one exactly is found. Where the id has none, case does not count.
func TestManagersAreFoundWhateverTheLettersOfTheirIDs(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		byManager(h)
		entry := func(id, name, n, manager, display string) model.Entry {
			attrs := under(n, manager, display)
			attrs["userName"] = name
			return model.Entry{Record: model.Record{ID: id, Kind: model.KindUser, UserName: name, UserNameKey: name, DisplayName: display, Active: true, Attrs: jml.Canonical(attrs)}}
		}
		is := func(what string, want map[string]string) {
			t.Helper()
			h.settle()
			if diff := cmp.Diff(want, h.titles()); diff != "" {
				t.Errorf("%s: %s", what, diff)
			}
		}
		h.dir.users = []model.Entry{entry("E1", "ada", "1", "E2", "Ada"), entry("E2", "bo", "2", "", "Bo"), entry("e2", "cy", "3", "", "Cy"),
			entry("E4", "di", "4", "e2", "Di"), entry("E5", "ed", "5", "E6", "Ed"), entry("e6", "fay", "6", "", "Fay")}
		h.sync()
		is("the first read", map[string]string{"ada": "Bo 2", "bo": "nobody's", "cy": "nobody's", "di": "Cy 3", "ed": "Fay 6", "fay": "nobody's"})
		h.dir.users[1] = entry("E2", "bo", "2", "", "Bo B.")
		h.sync()
		is("a manager has another name", map[string]string{"ada": "Bo B. 2", "bo": "nobody's", "cy": "nobody's", "di": "Cy 3", "ed": "Fay 6", "fay": "nobody's"})
	})
}
