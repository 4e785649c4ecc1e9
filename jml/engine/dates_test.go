package engine_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/store"
	"jmld/internal/testserver"
	"jmld/jml"
	"jmld/jml/engine"
	"jmld/jml/policy"
	"jmld/model"
)

// calendarHouse is a house in which time passes when the test says so.
type calendarHouse struct {
	*house
	at time.Time
}

func onBothCalendars(t *testing.T, test func(t *testing.T, h *calendarHouse)) {
	t.Helper()
	for name, url := range map[string]func(t *testing.T) string{
		"sqlite":   func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "jmld.db") },
		"postgres": func(t *testing.T) string { return testserver.Postgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := url(t)
			first, err := store.Open(t.Context(), store.Options{URL: at, Simulated: true}) // before anything else: it makes the clock
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { first.Close() })
			h := &calendarHouse{house: newHouse(t, at)}
			h.store, h.opts.Store = first, first
			h.opts.Now = func() time.Time { return h.at }
			h.Engine = engine.New(h.opts)
			h.later(time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC))
			test(t, h)
		})
	}
}

// later lets time pass while nobody looks, and then has everything done that is due.
func (h *calendarHouse) later(at time.Time) int {
	h.t.Helper()
	h.at = at
	if err := h.store.SetClock(h.ctx, at); err != nil {
		h.t.Fatal(err)
	}
	n, err := h.Tend(h.ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	h.work()
	return n
}

func (h *calendarHouse) joins(id, email, start, end string) {
	h.t.Helper()
	dates := map[string]any{}
	if start != "" {
		dates["startDate"] = start
	}
	if end != "" {
		dates["endDate"] = end
	}
	attrs := map[string]any{"emails": []any{map[string]any{"value": email}}, jml.LifecycleUser: dates}
	if _, err := h.scim("entra", id, id, true, attrs); err != nil {
		h.t.Fatal(err)
	}
}

func TestDatesComeWhileTheDaemonIsOff(t *testing.T) { // D-11, M-18: a week later all leavers of the week leave, once
	t.Parallel()
	for _, c := range []struct {
		leavers int
		held    bool
	}{{5, false}, {12, true}} {
		t.Run(fmt.Sprintf("%d leavers", c.leavers), func(t *testing.T) {
			t.Parallel()
			onBothCalendars(t, func(t *testing.T, h *calendarHouse) {
				for i := range 30 {
					end := "2027-12-31"
					if i < c.leavers {
						end = fmt.Sprintf("2026-11-%d", 23+i%6)
					}
					h.joins(fmt.Sprintf("p%02d", i), fmt.Sprintf("p%02d@example.org", i), "", end)
				}
				h.work()
				if n := len(h.app.active()); n != 30 {
					t.Fatal(n)
				}
				if n := h.later(h.at.AddDate(0, 0, 7)); n != c.leavers {
					t.Errorf("%d people were looked at, %d were due", n, c.leavers)
				}
				plans, err := h.store.Plans(h.ctx, []model.PlanState{model.PlanHeld}, 10)
				if err != nil || (len(plans) == 1) != c.held {
					t.Fatal(plans, err)
				}
				if c.held {
					if n := len(h.app.active()); n != 30 || plans[0].Items != c.leavers {
						t.Fatalf("%d active, %d held", n, plans[0].Items)
					}
					if out, err := h.Approve(h.ctx, plans[0].ID, plans[0].Digest, "operator"); err != nil || len(out.Committed) != c.leavers {
						t.Fatal(out, err)
					}
					h.work()
				}
				if n := len(h.app.active()); n != 30-c.leavers {
					t.Errorf("%d still active", n)
				}
				if n := h.later(h.at.AddDate(0, 0, 1)); n != 0 {
					t.Errorf("%d looked at again, and nobody was due", n)
				}
				changes, err := h.store.Changes(h.ctx, model.ChangeQuery{Ops: []model.Op{model.OpDeactivate}, Limit: 1000})
				if err != nil || len(changes) != c.leavers {
					t.Errorf("%d deactivations, %v", len(changes), err)
				}
			})
		})
	}
}

func TestPreHireAndRetention(t *testing.T) { // M-34, M-37
	t.Parallel()
	onBothCalendars(t, func(t *testing.T, h *calendarHouse) {
		r := *h.opts.Rules
		p := policy.Rule{Name: "everybody", Target: "app", When: "true"}
		p.BeforeStart, p.DeleteAfter = 7*24*time.Hour, 30*24*time.Hour
		r.Policy = compiled(t, p)
		h.SetRules(&r)
		h.joins("ada", "ada@example.org", "2026-12-10", "2027-03-31")
		states := func() string {
			all, err := h.store.Accounts(h.ctx, model.AccountQuery{Limit: 10})
			if err != nil {
				t.Fatal(err)
			}
			var out []string
			for _, a := range all {
				out = append(out, string(a.State+"/"+a.AppliedState))
			}
			return string(h.identities()[0].Lifecycle) + " " + strings.Join(out, ",")
		}
		for _, c := range []struct {
			at, want string
		}{
			{"2026-12-02T23:59:59Z", "established "},
			{"2026-12-03T00:00:00Z", "established active/active"},
			{"2026-12-10T00:00:00Z", "active active/active"},
			{"2027-03-31T23:59:59Z", "active active/active"},
			{"2027-04-01T00:00:00Z", "archived inactive/inactive"},
			{"2027-04-30T00:00:00Z", "archived inactive/inactive"},
			{"2027-05-02T00:00:00Z", "archived absent/absent"}, // applied by the database's clock, which the test sets
		} {
			at, err := time.Parse(time.RFC3339, c.at)
			if err != nil {
				t.Fatal(err)
			}
			h.later(at)
			if d := cmp.Diff(c.want, states()); d != "" {
				t.Errorf("at %s: %s", c.at, d)
			}
		}
	})
}

func TestAnEngagementEndsForTheWholeTeam(t *testing.T) { // M-22
	t.Parallel()
	onBothCalendars(t, func(t *testing.T, h *calendarHouse) {
		r := *h.opts.Rules
		r.Calendar.Engagements = map[string][]jml.Engagement{"Partner": {{Until: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}}}
		h.SetRules(&r)
		for i := range 8 {
			h.joins(fmt.Sprintf("partner%d", i), fmt.Sprintf("partner%d@partner.example", i), "", "")
			h.joins(fmt.Sprintf("own%d", i), fmt.Sprintf("own%d@example.org", i), "", "")
		}
		h.joins("own8", "own8@example.org", "", "2026-12-31")
		h.later(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))
		plans, err := h.store.Plans(h.ctx, []model.PlanState{model.PlanHeld}, 10)
		if err != nil {
			t.Fatal(err)
		}
		held := map[string]int{}
		for _, p := range plans {
			held[p.Trigger] = p.Items
			if p.Trigger == "end of Partner" {
				if !strings.HasPrefix(p.Reason, "the engagement of Partner is over: 9 of 17 people would lose access") {
					t.Error(p.Reason)
				}
				if _, err := h.Approve(h.ctx, p.ID, p.Digest, "operator"); err != nil {
					t.Fatal(err)
				}
			}
		}
		if d := cmp.Diff(map[string]int{"end of Partner": 8, "push": 1}, held); d != "" {
			t.Fatal(d)
		}
		h.work()
		want := []string{"own0", "own1", "own2", "own3", "own4", "own5", "own6", "own7", "own8"}
		if d := cmp.Diff(want, h.app.active()); d != "" {
			t.Error(d)
		}
	})
}
