package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/jml"
	"jmld/jml/engine"
	"jmld/jml/policy"
	"jmld/model"
)

// with gives an entry other attributes; nil takes one away, and an extension attribute is named with its URN.
func with(en model.Entry, attrs map[string]any) model.Entry {
	all := jml.Decode(en.Attrs)
	for name, v := range attrs {
		at := all
		if urn, sub, ok := cutLast(name); ok {
			ext, _ := all[urn].(map[string]any)
			at, name = ext, sub
		}
		if at[name] = v; v == nil {
			delete(at, name)
		}
	}
	en.Attrs = jml.Canonical(all)
	return en
}

func cutLast(name string) (urn, sub string, ok bool) {
	i := strings.LastIndexByte(name, ':')
	if i < 0 {
		return "", name, false
	}
	return name[:i], name[i+1:], true
}

const managerAttr = jml.EnterpriseUser + ":manager"

func manager(name string) map[string]any {
	return map[string]any{managerAttr: map[string]any{"value": name}}
}

// wanted counts the values that accounts of the target have of an attribute.
func (h *house) wanted(target, attr string) map[string]int {
	h.t.Helper()
	accounts, err := h.store.Accounts(h.ctx, model.AccountQuery{Target: target, Limit: 1000})
	if err != nil {
		h.t.Fatal(err)
	}
	out := map[string]int{}
	for _, a := range accounts {
		v := jml.Decode(a.Desired)
		if urn, sub, ok := cutLast(attr); ok {
			v, _ = v[urn].(map[string]any)
			out[fmt.Sprint(v[sub])]++
			continue
		}
		out[fmt.Sprint(v[attr])]++
	}
	return out
}

// heldIs compares what is held with brakes and their figures.
func (h *house) heldIs(what string, want map[model.Brake]string) map[model.Brake]model.Plan {
	h.t.Helper()
	got, plans := map[model.Brake]string{}, map[model.Brake]model.Plan{}
	for _, p := range h.heldPlans() {
		p, err := h.store.SealPlan(h.ctx, p.ID, "")
		if err != nil {
			h.t.Fatal(err)
		}
		if p.Items > 0 {
			got[p.Brake], plans[p.Brake] = fmt.Sprintf("%d: %s", p.Items, p.Reason), p
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		h.t.Fatalf("%s: %s", what, d)
	}
	return plans
}

func (h *house) approve(p model.Plan) engine.Approval {
	h.t.Helper()
	done, err := h.Approve(h.ctx, p.ID, p.Digest, "operator ada")
	if err != nil {
		h.t.Fatal(err)
	}
	h.work()
	return done
}

// D-04, D-03, and pg-ldap-sync #32: a group that grew until the server answered with an empty member list lost everybody.
func TestAGroupEmptiedIsHeldWithItsOwnReason(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		members := func(n int) (ids []string) {
			for i := range n {
				ids = append(ids, person(i).ID)
			}
			return ids
		}
		h.dir.users = people(20)
		h.dir.groups = []model.Entry{group("builders", members(5)...), group("readers", members(3)...)}
		h.sync()
		h.dir.groups = []model.Entry{group("builders"), group("readers")} // fewer than the limit for leavers
		h.dir.users = append(people(20), person(30))
		h.dir.users[1] = with(person(1), map[string]any{"title": "Engineer"})
		out := h.sync()
		brake := model.BrakeGroup.About("dir-builders")
		want := map[model.Brake]string{brake: "5: group builders lost all of its 5 members; 5 or more need approval"}
		h.heldIs("emptied", want)
		if out.Run.State != model.RunHeld || out.Run.ErrorCode != model.CodeGuardGroup || len(out.Held) != 1 || out.Funnel.Held != 5 {
			t.Errorf("%+v, %+v", out.Run, out.Held)
		}
		if d := cmp.Diff(names(5), h.plat.active()); d != "" {
			t.Error("members left:", d)
		}
		if d := cmp.Diff(append(names(20), "person030"), h.app.active()); d != "" || h.wanted("app", "title")["Engineer"] != 1 {
			t.Error("a joiner, or an update of somebody else's, waited:", d)
		}
		if out := h.sync(); out.Run.State != model.RunSucceeded {
			t.Errorf("the same again: %+v", out.Run)
		}
		h.heldIs("the same again", want)

		h.dir.groups[0] = group("builders", members(2)...) // two are put back
		h.sync()
		plans := h.heldIs("some back", map[model.Brake]string{brake: "3: group builders lost all of its 5 members; 5 or more need approval"})
		if done := h.approve(plans[brake]); len(done.Committed) != 3 || len(done.Refused) != 0 {
			t.Errorf("%+v", done)
		}
		if d := cmp.Diff(names(2), h.plat.active()); d != "" {
			t.Error("after approval:", d)
		}
		h.dir.groups[0] = group("builders", members(1)...) // what was approved does not count any more
		h.sync()
		h.heldIs("one more leaves", map[model.Brake]string{})
		if d := cmp.Diff(names(1), h.plat.active()); d != "" {
			t.Error("one more:", d)
		}
	})
}

// D-04: a manager attribute changed for 90 %. Everything else of the same people goes on.
func TestAnAttributeChangedForManyIsHeldWithItsOwnReason(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		rules := rules(t)
		rules.Policy = compiled(t, policy.Rule{Name: "everybody", Target: "app", When: "true", Attributes: map[string]string{"userName": "person.userName",
			"displayName": "person.displayName", "title": `has(person.title) ? person.title : ""`, "nickName": `has(person.nickName) ? person.nickName : ""`, "manager": "person.manager"}})
		h.SetRules(rules)
		h.dir.users = people(20)
		for i := range h.dir.users {
			h.dir.users[i] = with(h.dir.users[i], manager("ada"))
		}
		h.sync()
		for i := range h.dir.users[:18] {
			h.dir.users[i] = with(h.dir.users[i], manager("mallory"))
			h.dir.users[i] = with(h.dir.users[i], map[string]any{"title": fmt.Sprint(i)})
		}
		h.dir.users[2] = with(h.dir.users[2], map[string]any{"displayName": "Another"})
		out := h.sync()
		if out.Run.State != model.RunHeld || out.Run.ErrorCode != model.CodeGuardAttribute {
			t.Errorf("%+v", out.Run)
		}
		brake := model.BrakeChanged.About("app", managerAttr)
		const why = "manager would change for 18 of 20 accounts in app; the limit is 10 (the larger of 10 and 20 %)"
		plans := h.heldIs("90 %", map[model.Brake]string{brake: "18: " + why})
		keep := fmt.Sprint(map[string]any{"value": "ada"})
		if got := h.wanted("app", managerAttr); got[keep] != 20 {
			t.Errorf("managers: %v", got)
		}
		if got := h.wanted("app", "title"); len(got) != 19 || h.wanted("app", "displayName")["Another"] != 1 {
			t.Errorf("titles and names waited: %v", got)
		}
		changes, err := h.store.Changes(h.ctx, model.ChangeQuery{PlanID: plans[brake].ID, Limit: 1})
		if err != nil || changes[0].Attrs != managerAttr || strings.Contains(changes[0].After, "title") || !strings.Contains(changes[0].After, "mallory") {
			t.Errorf("%+v, %v", changes, err)
		}

		h.dir.users[0] = with(h.dir.users[0], manager("ada"))                     // back by itself
		h.dir.users[1] = with(h.dir.users[1], manager("eve"))                     // a third value is no other way through
		h.dir.users[3] = with(h.dir.users[3], map[string]any{"nickName": "Nick"}) // goes on
		h.sync()
		total := 0
		for _, p := range h.heldPlans() {
			total += p.Items
		}
		if got := h.wanted("app", managerAttr); got[keep] != 20 || total != 17 || h.wanted("app", "nickName")["Nick"] != 1 {
			t.Fatalf("managers %v, %d wait", got, total)
		}
		again, err := h.store.SealPlan(h.ctx, plans[brake].ID, "")
		if err != nil || again.Items != 16 {
			t.Fatalf("%+v, %v", again, err)
		}
		h.dir.users = h.dir.users[:20]
		done := h.approve(again)
		if got := h.wanted("app", managerAttr); len(done.Committed) != 16 || len(done.Refused) != 0 || got[keep] != 4 {
			t.Errorf("%d committed, %d refused, %v", len(done.Committed), len(done.Refused), got)
		}
		if got := h.wanted("app", "title"); len(got) != 19 {
			t.Errorf("the approval changed something else: %v", got)
		}
	})
}

// The bind account lost the right to read the mail addresses (ldap.md: "an attribute ≥ 95 % filled before, now ≤ 50 %").
func TestAnAttributeEmptiedForManyKeepsItsValues(t *testing.T) { // D-04
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.dir.users = people(20)
		h.sync()
		for i := range h.dir.users {
			h.dir.users[i] = with(h.dir.users[i], map[string]any{"emails": nil})
		}
		h.sync()
		brake := model.BrakeEmptied.About("app", "emails")
		plans := h.heldIs("emptied", map[model.Brake]string{brake: "20: emails would be emptied for 20 of 20 accounts in app; the limit is 5 (the larger of 5 and 5 %)"})
		if got := h.wanted("app", "emails"); got["<nil>"] != 0 {
			t.Errorf("%v", got)
		}
		h.dir.users = people(20) // the right is back: nobody has to approve anything
		if out := h.sync(); out.Run.State != model.RunSucceeded {
			t.Errorf("%+v", out.Run)
		}
		h.heldIs("back", map[model.Brake]string{})
		if _, err := h.Approve(h.ctx, plans[brake].ID, plans[brake].Digest, "operator ada"); model.CodeOf(err) != model.CodePlanStale {
			t.Errorf("%v", err)
		}
		for i := range 5 { // few are never held
			h.dir.users[i] = with(h.dir.users[i], map[string]any{"emails": nil})
		}
		h.sync()
		h.heldIs("five", map[model.Brake]string{})
		if got := h.wanted("app", "emails"); got["<nil>"] != 5 {
			t.Errorf("%v", got)
		}
	})
}

// D-04, glpi #984 and gitea #3675: a status flipped for many, in either direction.
func TestAStatusFlippedForManyIsHeld(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.dir.users = people(40)
		for i := 20; i < 40; i++ {
			h.dir.users[i].Active = false
		}
		h.sync()
		for i := range 40 {
			h.dir.users[i].Active = true
		}
		h.sync() // those who never had an account join
		if n := len(h.app.active()); n != 40 {
			t.Fatalf("%d active", n)
		}
		for i := range 8 {
			h.dir.users[i].Active = false
		}
		h.sync()
		plans := h.heldIs("off", map[model.Brake]string{model.BrakeLeavers: "8: 8 of 40 people would lose access; the limit is 5 (the larger of 5 and 1 %)"})
		h.approve(plans[model.BrakeLeavers])
		if n := len(h.app.active()); n != 32 {
			t.Fatalf("%d active", n)
		}
		for i := range 8 { // the attribute cannot be read any more: everybody looks active
			h.dir.users[i].Active = true
		}
		h.sync()
		brake := model.BrakeReturns.About("app")
		want := map[model.Brake]string{brake: "8: 8 people would come back at once to app, where 32 accounts are active; the limit is 5 (the larger of 5 and 2 %)"}
		h.heldIs("on", want)
		h.sync()
		plans = h.heldIs("on, again", want)
		if n := len(h.app.active()); n != 32 {
			t.Fatalf("%d active", n)
		}
		h.dir.users[0].Active = false // one does not come back
		h.sync()
		plans = h.heldIs("one less", map[model.Brake]string{brake: "7: " + plans[brake].Reason})
		if done := h.approve(plans[brake]); len(done.Committed) != 7 || len(h.app.active()) != 39 {
			t.Errorf("%d, %d active", len(done.Committed), len(h.app.active()))
		}
	})
}

// D-04: "5 % leavers", and each target by itself.
func TestLeaversAreHeldForEachTarget(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.dir.users = people(120)
		var builders []string
		for i := range 12 {
			builders = append(builders, person(i).ID)
		}
		h.dir.groups = []model.Entry{group("builders", builders...)}
		h.sync()
		h.dir.users = people(120)[6:] // 5 %
		h.dir.groups = []model.Entry{group("builders", builders[6:]...)}
		h.sync()
		h.heldIs("5 %", map[model.Brake]string{model.BrakeLeavers: "12: 6 of 120 people would lose access; the limit is 5 (the larger of 5 and 1 %)"})
		if len(h.app.active()) != 120 || len(h.plat.active()) != 12 {
			t.Errorf("%d and %d active", len(h.app.active()), len(h.plat.active()))
		}
	})
}

// D-04: an identity provider removes members one by one. It is answered as always, and what its former members lose waits.
func TestAGroupEmptiedByPushesIsHeld(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		var ids []string
		for i := range 12 {
			ids = append(ids, fmt.Sprint("u", i))
			if _, err := h.scim("entra", ids[i], fmt.Sprintf("p%02d", i), true, nil); err != nil {
				t.Fatal(err)
			}
		}
		push := func(change engine.MemberChange) {
			t.Helper()
			_, err := h.Push(h.ctx, engine.Push{Source: "entra", Kind: model.KindGroup, ID: "g", Actor: "test", Action: "scim.patch",
				Change: func(cur *model.Record) (*model.Record, engine.MemberChange, error) {
					next := model.Record{DisplayName: "builders", DisplayNameKey: "builders", Active: true, Attrs: `{"displayName":"builders"}`}
					if cur != nil {
						next.Version = cur.Version
					}
					return &next, change, nil
				}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := h.Tend(h.ctx); err != nil {
				t.Fatal(err)
			}
			h.work()
		}
		push(engine.MemberChange{Replace: true, Add: ids[:5]})
		if n := len(h.plat.active()); n != 5 {
			t.Fatalf("%d builders", n)
		}
		for _, id := range ids[:5] {
			push(engine.MemberChange{Drop: []string{id}})
		}
		brake := model.BrakeGroup.About("g")
		h.heldIs("one by one", map[model.Brake]string{brake: "1: group builders lost all of its 5 members; 5 or more need approval"})
		if d := cmp.Diff([]string{"p04"}, h.plat.active()); d != "" {
			t.Error(d)
		}
		push(engine.MemberChange{Add: ids[:12]})
		h.heldIs("filled again", map[model.Brake]string{})
		push(engine.MemberChange{Replace: true})
		plans := h.heldIs("replaced by nobody", map[model.Brake]string{brake: "12: group builders lost all of its 17 members; 5 or more need approval"})
		if n := len(h.plat.active()); n != 12 {
			t.Errorf("%d builders", n)
		}
		h.approve(plans[brake])
		if n := len(h.plat.active()); n != 0 {
			t.Errorf("%d builders", n)
		}
	})
}

// D-04: a group belongs to its source, whichever stands for the people who were in it: the approval of its loss ends the count of that group.
func TestTheLossOfAGroupOfAnotherSourceIsApproved(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.dir.users = people(6)
		h.sync()
		var ids []string
		for i := range 6 {
			ids = append(ids, fmt.Sprint("u", i))
			if _, err := h.scim("entra", ids[i], person(i).UserName, true, nil); err != nil {
				t.Fatal(err)
			}
		}
		push := func(change engine.MemberChange) {
			t.Helper()
			_, err := h.Push(h.ctx, engine.Push{Source: "entra", Kind: model.KindGroup, ID: "g", Actor: "test", Action: "scim.patch",
				Change: func(cur *model.Record) (*model.Record, engine.MemberChange, error) {
					next := model.Record{DisplayName: "builders", DisplayNameKey: "builders", Active: true, Attrs: `{"displayName":"builders"}`}
					if cur != nil {
						next.Version = cur.Version
					}
					return &next, change, nil
				}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := h.Tend(h.ctx); err != nil {
				t.Fatal(err)
			}
			h.work()
		}
		push(engine.MemberChange{Replace: true, Add: ids})
		if n := len(h.plat.active()); n != 6 {
			t.Fatalf("%d builders", n)
		}
		push(engine.MemberChange{Replace: true})
		plans := h.heldPlans()
		if len(plans) != 1 || plans[0].Brake != model.BrakeGroup.About("g") || plans[0].Source != "entra" || plans[0].Items != 6 {
			t.Fatalf("%+v", plans)
		}
		h.approve(plans[0])
		losing, err := h.store.Losing(h.ctx, "entra", "g", 0)
		if n := len(h.plat.active()); n != 0 || err != nil || losing.Was.Lost != 0 {
			t.Errorf("%d builders, %+v, %v", n, losing, err)
		}
	})
}

// D-04: who is changed again and again is one person.
func TestOnePersonChangedManyTimesIsNoMass(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		for i := range 25 {
			if _, err := h.scim("entra", fmt.Sprint(i), fmt.Sprintf("p%02d", i), true, map[string]any{"title": "a"}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 30 {
			if _, err := h.scim("entra", "0", "p00", true, map[string]any{"title": fmt.Sprint("t", i)}); err != nil {
				t.Fatal(err)
			}
		}
		if plans := h.heldPlans(); len(plans) > 0 {
			t.Errorf("%+v", plans)
		}
	})
}

// D-04: a mapping of the identity provider changed, and it pushes everybody anew.
func TestAnAttributeChangedByPushesIsHeldBeyondTheLimit(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		push := func(i int, title, nick string) {
			t.Helper()
			if _, err := h.scim("entra", fmt.Sprint(i), fmt.Sprintf("p%02d", i), true, map[string]any{"title": title, "nickName": nick}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 30 {
			push(i, "Engineer", "a")
		}
		for i := range 30 {
			push(i, "", fmt.Sprint("n", i%2))
		}
		h.work()
		if got := h.wanted("app", "title"); got["Engineer"] < 20 || got["Engineer"] > 29 {
			t.Errorf("%v: more went than may", got)
		}
		for i := range 30 {
			push(i, "Engineer", fmt.Sprint("n", i%2))
		}
		h.work()
		for _, p := range h.heldPlans() {
			if kind, subject := p.Brake.Kind(); kind == model.BrakeChanged && subject == "app:title" {
				if now, err := h.store.SealPlan(h.ctx, p.ID, ""); err != nil || now.Items > 10 {
					t.Errorf("what came back waits: %+v, %v", now, err)
				}
			}
		}
	})
}

// D-04: an identity provider sends null for what it has no mapping for, one person after the other, and other sources know better.
func TestWhatPushesEmptyIsHeldBeyondTheLimit(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		r := *h.opts.Rules
		r.Authority = map[string][]string{"title": {"entra"}}
		h.SetRules(&r)
		for i := range 30 {
			en := person(i)
			h.dir.users = append(h.dir.users, with(en, map[string]any{"title": "Engineer"}))
		}
		h.sync()
		for i := range 30 {
			attrs := jml.Decode(h.dir.users[i].Attrs)
			delete(attrs, "active")
			attrs["title"] = nil
			if _, err := h.scim("entra", fmt.Sprint("e", i), h.dir.users[i].UserName, true, attrs); err != nil {
				t.Fatal(err)
			}
		}
		h.work()
		if got := h.wanted("app", "title"); len(got) != 2 || got["Engineer"] < 20 {
			t.Errorf("%v: more was emptied than may", got)
		}
		brake := model.BrakeEmptied.About("app", "title")
		if !slices.ContainsFunc(h.heldPlans(), func(p model.Plan) bool { return p.Brake == brake && p.Source == "entra" }) {
			t.Errorf("no plan of the brake %s: %+v", brake, h.heldPlans())
		}
	})
}

// A read that is suspect as a whole lets nobody leave, however few they are: ids that changed, a clock that went back, a
// directory that lists fewer people.
func TestNobodyLeavesByASuspectRead(t *testing.T) { // D-04
	t.Parallel()
	for name, c := range map[string]struct {
		brake  model.Brake
		before func(h *house)
	}{
		"renewed ids": {model.BrakeRenewed, func(h *house) {
			h.dir.users = people(100)[1:]
			for i := range 20 {
				h.dir.users[i].ID = "new-" + h.dir.users[i].UserName
			}
		}},
		"a clock": {model.BrakeClock, func(h *house) {
			h.dir.users = people(100)[1:]
			h.opts.Guard.Clock = 5 * time.Minute
			h.opts.Now = func() time.Time { return time.Now().Add(-10 * time.Minute) }
			h.Engine = engine.New(h.opts)
		}},
		"the directory's clock": {model.BrakeClock, func(h *house) {
			h.dir.users = people(100)[1:]
			h.opts.Guard.Clock = 5 * time.Minute
			h.Engine = engine.New(h.opts)
			h.dir.clock = new((6 * time.Minute).Milliseconds())
		}},
		"fewer people": {model.BrakeShrunk, func(h *house) {
			h.dir.users = people(100)[9:]
			h.dir.seen = map[string]model.SightingState{}
			for i := range 9 {
				h.dir.seen[person(i).ID] = model.SightNowhere
			}
			h.dir.seen[person(0).ID] = model.SightElsewhere
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, h *house) {
				h.dir.users = people(100)
				h.sync()
				c.before(h)
				out := h.sync()
				plans := h.heldPlans()
				if len(plans) != 1 || plans[0].Brake != c.brake || plans[0].Items != 1 || out.Run.ErrorCode != c.brake.Code() {
					t.Fatalf("%+v, %+v", plans, out.Run)
				}
				if n := len(h.app.active()); n != 100 {
					t.Errorf("%d active", n)
				}
			})
		})
	}
}
