package engine_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"jmld/jml"
	"jmld/jml/engine"
	"jmld/jml/policy"
	"jmld/model"
)

// limits gives the house an engine with other limits, and other rules unless they are nil.
func (h *house) limits(set func(*jml.Limits), rules *jml.Rules) {
	set(&h.opts.Guard)
	if rules != nil {
		h.opts.Rules = rules
	}
	h.Engine = engine.New(h.opts)
}

func TestTwoChangesOfAnAccountInOnePlanAreBothLetGo(t *testing.T) { // D-03
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.limits(func(l *jml.Limits) { l.Movers = jml.Limit{} }, nil) // every change waits
		push := func(title, nick string) {
			t.Helper()
			if _, err := h.scim("entra", "1", "ada", true, map[string]any{"title": title, "nickName": nick}); err != nil {
				t.Fatal(err)
			}
		}
		push("a", "a")
		push("b", "a")
		push("b", "b")
		brake := model.BrakeMovers.About("app")
		plans := h.heldIs("one after the other", map[model.Brake]string{brake: "2: 1 of 1 accounts in app would change; the limit is 0 (the larger of 0 and 0 %)"})
		if done := h.approve(plans[brake]); len(done.Committed) != 2 || len(done.Refused) != 0 {
			t.Errorf("%+v", done)
		}
		a := h.accountOf("ada")
		if is := jml.Decode(a.Desired); is["title"] != "b" || is["nickName"] != "b" || a.Waits() || h.identities()[0].ReviewAt != nil {
			t.Errorf("approved, and not done: %s, waits %t", a.Desired, a.Waits())
		}

		push("c", "b")
		push("c", "c")
		push("d", "c") // the third value is another item, and takes what waited with it
		for _, p := range h.heldPlans() {
			h.approve(p)
		}
		if _, err := h.Tend(h.ctx); err != nil {
			t.Fatal(err)
		}
		if n := len(h.heldPlans()); n != 0 {
			t.Errorf("%d plans are left", n)
		}
	})
}

func TestWhatAPersonMovedStaysCautiousWhenAPlanIsLetGo(t *testing.T) { // D-03
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		everybody := policy.Rule{Name: "everybody", Target: "app", When: "true"}
		r := *h.opts.Rules
		r.Policy = compiled(t, everybody)
		h.limits(func(l *jml.Limits) { l.Movers = jml.Limit{} }, &r)
		for _, title := range []string{"a", "b"} {
			if _, err := h.scim("entra", "1", "ada", true, map[string]any{"title": title}); err != nil {
				t.Fatal(err)
			}
		}
		who, at := h.identities()[0], time.Unix(0, 0).UTC()
		who.ReviewRun, who.ReviewAt = model.ReviewCorrelation, &at
		if err := h.store.Commit(h.ctx, &engine.Commit{Identities: []engine.IdentityWrite{{New: who, Expect: who.Version}}}); err != nil {
			t.Fatal(err)
		}
		more := r // something else is due than what was approved
		more.Policy = compiled(t, everybody, policy.Rule{Name: "too", Target: "platform", When: "true"})
		h.SetRules(&more)
		for _, p := range h.heldPlans() {
			h.approve(p)
		}
		if who := h.identities()[0]; who.ReviewRun != model.ReviewCorrelation || who.ReviewAt == nil {
			t.Errorf("looked at again by %q at %v", who.ReviewRun, who.ReviewAt)
		}
	})
}

// held11 pushes eleven changes of one account, one after the other, all of which wait in one plan.
func (h *house) held11() model.Plan {
	h.t.Helper()
	r := *h.opts.Rules
	r.Policy = compiled(h.t, policy.Rule{Name: "ada", Target: "app", When: `person.userName == "ada"`})
	h.limits(func(l *jml.Limits) { l.Movers = jml.Limit{} }, &r)
	for n := range 12 {
		if _, err := h.scim("entra", "1", "ada", true, eleven(n)); err != nil {
			h.t.Fatal(err)
		}
		h.work()
	}
	brake := model.BrakeMovers.About("app")
	return h.heldIs("eleven", map[model.Brake]string{brake: "11: 1 of 1 accounts in app would change; the limit is 0 (the larger of 0 and 0 %)"})[brake]
}

// eleven are attributes of which the first so many have another value.
func eleven(changed int) map[string]any {
	work := map[string]any{"employeeNumber": "1"}
	all := map[string]any{jml.EnterpriseUser: work}
	for i, name := range strings.Fields("title nickName displayName userType locale timezone preferredLanguage costCenter division department organization") {
		in := all
		if i >= 7 && i < 11 {
			in = work
		}
		in[name] = fmt.Sprint("value ", i < changed)
	}
	return all
}

func TestAllThatWaitsOfAnAccountIsWithdrawn(t *testing.T) { // D-03
	t.Parallel()
	waiting := func(h *house, plan model.Plan, who string) int {
		h.t.Helper()
		left, err := h.store.Changes(h.ctx, model.ChangeQuery{PlanID: plan.ID, IdentityID: who, States: []model.ChangeState{model.ChangeHeld}, Limit: 100})
		if err != nil {
			h.t.Fatal(err)
		}
		return len(left)
	}
	t.Run("when its cause goes away", func(t *testing.T) {
		t.Parallel()
		onBoth(t, func(t *testing.T, h *house) {
			plan := h.held11()
			if _, err := h.scim("entra", "1", "ada", true, eleven(0)); err != nil {
				t.Fatal(err)
			}
			if n := waiting(h, plan, ""); n != 0 {
				t.Errorf("%d still wait", n)
			}
		})
	})
	t.Run("when the account moves", func(t *testing.T) {
		t.Parallel()
		onBoth(t, func(t *testing.T, h *house) {
			plan := h.held11()
			ada := h.accountOf("ada").IdentityID
			h.merge(h.say("okta", "o1", "twin", "9").IdentityID, ada)
			if n := waiting(h, plan, ada); n != 0 {
				t.Errorf("%d still wait", n)
			}
		})
	})
}

func TestARefusalKeepsTheMarkOfAMovedPerson(t *testing.T) { // D-03
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		plan := h.held11()
		who, at := h.identities()[0], time.Unix(0, 0).UTC()
		who.ReviewRun, who.ReviewAt = model.ReviewCorrelation, &at
		if err := h.store.Commit(h.ctx, &engine.Commit{Identities: []engine.IdentityWrite{{New: who, Expect: who.Version}}}); err != nil {
			t.Fatal(err)
		}
		r := *h.opts.Rules // the rule gives another value than the one that waits
		r.Policy = compiled(t, policy.Rule{Name: "everybody", Target: "app", When: "true", Attributes: map[string]string{"userName": "person.userName"}})
		h.SetRules(&r)
		if done := h.approve(plan); len(done.Refused) == 0 {
			t.Fatalf("%+v", done)
		}
		if who := h.identities()[0]; who.ReviewRun != model.ReviewCorrelation || who.ReviewAt == nil {
			t.Errorf("looked at again by %q at %v", who.ReviewRun, who.ReviewAt)
		}
	})
}

// overtaken has somebody else decide about the people of the first commit in which a group's loss waits.
type overtaken struct {
	engine.Store
	done bool
}

func (o *overtaken) Commit(ctx context.Context, c *engine.Commit) error {
	for _, p := range c.Plans {
		if kind, _ := p.Brake.Kind(); kind == model.BrakeGroup && !o.done {
			o.done = true
			if err := o.Store.Commit(ctx, &engine.Commit{Identities: c.Identities}); err != nil {
				return err
			}
		}
	}
	return o.Store.Commit(ctx, c)
}

func TestARunOfWhichAHeldPlanCameToNothingIsFinished(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.dir.users = people(20)
		h.dir.groups = []model.Entry{group("builders", person(0).ID, person(1).ID, person(2).ID, person(3).ID, person(4).ID)}
		h.sync()
		o := &overtaken{Store: h.store}
		h.opts.Store = o
		h.Engine = engine.New(h.opts)
		h.dir.groups[0] = group("builders")
		if out := h.sync(); out.Run.State != model.RunSucceeded || !o.done {
			t.Errorf("overtaken %t: %+v", o.done, out.Run)
		}
	})
}

func TestWhoComesBackIsNotKeptOutByADeletionThatWaits(t *testing.T) { // D-03, M-37
	t.Parallel()
	onBothCalendars(t, func(t *testing.T, h *calendarHouse) {
		r := *h.opts.Rules
		r.Policy = compiled(t, policy.Rule{Name: "everybody", Target: "app", When: "true", DeleteAfter: 30 * 24 * time.Hour})
		h.limits(func(*jml.Limits) {}, &r)
		h.joins("ada", "ada@example.org", "", "")
		h.work()
		if err := h.gone("entra", "ada"); err != nil {
			t.Fatal(err)
		}
		h.work()
		h.limits(func(l *jml.Limits) { l.Count, l.Share = 0, 0 }, nil)
		h.later(h.at.Add(40 * 24 * time.Hour))
		if plans := h.heldPlans(); len(plans) != 1 || plans[0].Items != 1 || h.accountOf("ada").State != model.AccountInactive {
			t.Fatalf("the deletion does not wait: %+v", plans)
		}
		h.joins("ada", "ada@example.org", "", "")
		h.work()
		if d := cmp.Diff([]string{"ada"}, h.app.active()); d != "" {
			t.Error("came back:", d)
		}
		h.heldIs("came back", map[model.Brake]string{})
	})
}

// counts counts how often the figures are counted, slowly.
type counts struct {
	engine.Store
	n atomic.Int64
}

func (c *counts) Supported(ctx context.Context, source string) (map[string]int, error) {
	c.n.Add(1)
	time.Sleep(200 * time.Millisecond)
	return c.Store.Supported(ctx, source)
}

func TestPushesAtOnceCountTheFiguresOnce(t *testing.T) { // D-18: they look at all accounts of the source
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		c := &counts{Store: h.store}
		h.opts.Store = c
		h.Engine = engine.New(h.opts)
		say := func(i int, title string) error {
			_, err := h.scim("entra", fmt.Sprint(i), fmt.Sprintf("p%02d", i), true, map[string]any{"title": title})
			return err
		}
		const n = 8
		var g errgroup.Group
		for i := range n {
			if err := say(i, "a"); err != nil {
				t.Fatal(err)
			}
		}
		for i := range n {
			g.Go(func() error { return say(i, "b") })
		}
		if err := g.Wait(); err != nil || c.n.Load() != 1 || h.wanted("app", "title")["b"] != n {
			t.Errorf("counted %d times, %v", c.n.Load(), err)
		}
	})
}
