package engine_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"jmld/jml"
	"jmld/jml/engine"
	"jmld/jml/policy"
	"jmld/model"
)

// outcomes are changes without ids: what, when, why, and for what it waits.
func (h *calendarHouse) outcomes(changes []model.Change, reasons map[string]string) []string {
	slices.SortStableFunc(changes, func(a, b model.Change) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Who, b.Who)) })
	var out []string
	for _, c := range changes {
		text := jml.Decode(c.Because)["text"].(string)
		out = append(out, strings.Join([]string{c.At.Format(time.DateOnly), string(c.Op), c.Who, c.Target, string(c.State), text, reasons[c.PlanID]}, " "))
	}
	return out
}

// What is said to come by the end of a partner is what comes when the day is there: the whole team ends, each at its time, held where the guard
// holds it; who is protected stays. Nothing is stored by asking. (M-18, M-22)
func TestTheEndOfAPartnerIsWhatWasSaid(t *testing.T) {
	t.Parallel()
	for name, team := range map[string]int{"a small team": 3, "a team that the guard holds": 8} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBothCalendars(t, func(t *testing.T, h *calendarHouse) {
				day := func(month, day int) time.Time { return time.Date(2026, time.Month(month), day, 0, 0, 0, 0, time.UTC) }
				until := func(end time.Time) *jml.Rules {
					r := *h.opts.Rules
					r.Calendar.Grace = 24 * time.Hour
					r.Calendar.Engagements = map[string][]jml.Engagement{"Partner": {{Until: end}}}
					r.Protect.People = []jml.ProtectedPeople{{Name: "lead", Key: jml.KeyUserName, Pattern: "lead"}}
					return &r
				}
				adopt := func(r *jml.Rules, fingerprint string) {
					if err := h.Adopt(h.ctx, engine.Policy{Rules: r, Fingerprint: fingerprint, Guard: h.opts.Guard, Targets: h.opts.Targets}, nil); err != nil {
						t.Fatal(err)
					}
				}
				adopt(until(day(12, 31).AddDate(1, 0, 0)), "one")
				names := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
				for _, n := range names[:team] {
					h.joins("p-"+n, "p-"+n+"@partner.example", "", "")
				}
				for _, n := range names {
					h.joins("o-"+n, "o-"+n+"@example.org", "", "")
				}
				h.joins("lead", "lead@partner.example", "", "")
				h.joins("early", "early@partner.example", "", "2026-12-03")     // goes two days later, with the grace
				h.joins("own", "own@example.org", "", "2026-12-08")             // on the same day as the team
				h.joins("own-early", "own-early@example.org", "", "2026-12-04") // while the guard remembers it
				both := map[string]any{"emails": []any{map[string]any{"value": "both@partner.example"}}, jml.EnterpriseUser: map[string]any{"employeeNumber": "7"}}
				if _, err := h.scim("okta", "both-2", "both-2", true, both); err != nil {
					t.Fatal(err)
				}
				both["emails"] = []any{map[string]any{"value": "both@example.org"}}
				if _, err := h.scim("entra", "both-1", "both-1", true, both); err != nil {
					t.Fatal(err)
				}
				h.later(h.at.Add(time.Minute))

				trial := engine.Trial{Rules: until(day(12, 9)), Organisation: "Partner", Domains: []string{"partner.example"}, Until: day(12, 10)}
				was, err := h.store.Changes(h.ctx, model.ChangeQuery{Limit: 1000})
				if err != nil {
					t.Fatal(err)
				}
				people := h.identities()
				tried, err := h.Try(h.ctx, trial)
				if err != nil {
					t.Fatal(err)
				}
				if now, err := h.store.Changes(h.ctx, model.ChangeQuery{Limit: 1000}); err != nil || !gocmp.Equal(was, now) || !gocmp.Equal(people, h.identities()) {
					t.Error("asking changed something", err)
				}
				if len(tried.Elsewhere) != 1 || tried.Elsewhere[0].Identity.UserName != "both-1" {
					t.Errorf("of another organisation: %+v", tried.Elsewhere)
				}
				reasons := map[string]string{}
				for _, p := range tried.Held {
					reasons[p.ID] = p.Reason
				}
				said := h.outcomes(tried.Changes, reasons)
				var stays []string
				for _, p := range tried.After {
					for _, a := range p.Accounts {
						if a.State == model.AccountActive {
							stays = append(stays, a.UserName)
						}
					}
				}

				adopt(trial.Rules, "two")
				for _, at := range []time.Time{h.at.Add(time.Minute), day(12, 5), day(12, 6), day(12, 10)} {
					h.later(at)
				}
				all, err := h.store.Changes(h.ctx, model.ChangeQuery{Limit: 1000})
				if err != nil {
					t.Fatal(err)
				}
				came := slices.DeleteFunc(all, func(c model.Change) bool {
					return slices.ContainsFunc(was, func(o model.Change) bool { return o.ID == c.ID })
				})
				plans, err := h.store.Plans(h.ctx, []model.PlanState{model.PlanHeld}, 100)
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range plans {
					reasons[p.ID] = p.Reason
				}
				if d := gocmp.Diff(h.outcomes(came, reasons), said); d != "" {
					t.Errorf("what came (-) and what was said (+):\n%s", d)
				}
				want := team + 4 // early, the finding about lead, and the two who are ours
				if len(said) != want || (len(tried.Held) > 0) != (team == 8) {
					t.Errorf("%d changes, %d plans: %s", len(said), len(tried.Held), strings.Join(said, "\n"))
				}
				if held := team == 8; !slices.Contains(stays, "lead") || slices.Contains(stays, "p-a") != held {
					t.Errorf("who stays: %v", stays)
				}
			})
		})
	}
}

// A trial of an end that is past says what comes at once.
func TestAnEndThatIsPastComesAtOnce(t *testing.T) {
	t.Parallel()
	onBothCalendars(t, func(t *testing.T, h *calendarHouse) {
		h.joins("pat", "pat@partner.example", "", "")
		r := *h.opts.Rules
		r.Calendar.Engagements = map[string][]jml.Engagement{"Partner": {{Until: h.at.AddDate(0, 0, -3)}}}
		tried, err := h.Try(h.ctx, engine.Trial{Rules: &r, Organisation: "Partner", Until: h.at.AddDate(0, 0, -3)})
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"2026-11-22 ! pat app committed the engagement of Partner is over "}
		if d := gocmp.Diff(want, h.outcomes(tried.Changes, nil)); d != "" {
			t.Error(d)
		}
		if len(tried.Before) != 1 || tried.Before[0].Accounts[0].State != model.AccountActive || tried.After[0].Accounts[0].State != model.AccountInactive {
			t.Errorf("%+v", tried)
		}
	})
}

// What follows from the end is said, too: the reports of a manager who goes with the partner are looked at again, and nobody else's accounts.
func TestWhatFollowsFromAnEndIsSaid(t *testing.T) {
	t.Parallel()
	onBothCalendars(t, func(t *testing.T, h *calendarHouse) {
		r := *h.opts.Rules
		var bad []policy.Mistake
		r.Policy, bad = policy.Compile(policy.Config{Organisations: []policy.Organisation{{Name: "Partner", Domains: []string{"partner.example"}}},
			Accounts: []policy.Rule{{Name: "led", Target: "platform", When: `has(manager.active) && manager.active`}, {Name: "everybody", Target: "app", When: "true"}}}, r.Targets)
		if len(bad) > 0 {
			t.Fatal(bad)
		}
		h.SetRules(&r)
		for _, p := range [][3]string{{"boss", "boss@partner.example", ""}, {"rep", "rep@example.org", "boss"}, {"other", "other@example.org", ""}} {
			attrs := under("n-"+p[0], p[2], p[0])
			attrs["emails"] = []any{map[string]any{"value": p[1]}}
			if _, err := h.scim("entra", p[0], p[0], true, attrs); err != nil {
				t.Fatal(err)
			}
		}
		h.later(h.at.Add(2 * time.Minute))
		end := h.at.AddDate(0, 0, 20)
		ends := r
		ends.Calendar.Engagements = map[string][]jml.Engagement{"Partner": {{Until: end}}}
		tried, err := h.Try(h.ctx, engine.Trial{Rules: &ends, Organisation: "Partner", Until: end})
		if err != nil {
			t.Fatal(err)
		}
		want := []string{
			"2026-12-12 ! boss app committed the engagement of Partner is over ",
			"2026-12-12 ! rep platform committed rule led no longer holds; groups, rules or a date changed ",
		}
		if d := gocmp.Diff(want, h.outcomes(tried.Changes, nil)); d != "" {
			t.Error(d)
		}
	})
}

// staged is a store with copies that are made something else of.
type staged struct {
	engine.Store
	engine.Rehearsal
	wrap func(engine.Stage) engine.Stage
}

func (s staged) Stage(ctx context.Context) (engine.Stage, func() error, error) {
	stage, discard, err := s.Rehearsal.Stage(ctx)
	return s.wrap(stage), discard, err
}

// brokenStage cannot store one person.
type brokenStage struct {
	engine.Stage
	person string
}

var errBroken = errors.New("this one cannot be stored")

func (b brokenStage) Commit(ctx context.Context, c *engine.Commit) error {
	if slices.ContainsFunc(c.Identities, func(w engine.IdentityWrite) bool { return w.New.ID == b.person }) {
		return errBroken
	}
	return b.Stage.Commit(ctx, c)
}

// Of somebody who cannot be decided about nobody says that they stay.
func TestATrialThatCannotDecideAboutSomebodySaysSo(t *testing.T) {
	t.Parallel()
	onBothCalendars(t, func(t *testing.T, h *calendarHouse) {
		h.joins("pat", "pat@partner.example", "", "")
		h.joins("bo", "bo@partner.example", "", "")
		r := *h.opts.Rules
		r.Calendar.Engagements = map[string][]jml.Engagement{"Partner": {{Until: h.at.AddDate(0, 0, -3)}}}
		opts := h.opts
		opts.Store = staged{h.store, h.store, func(s engine.Stage) engine.Stage { return brokenStage{s, h.identities()[0].ID} }}
		_, err := engine.New(opts).Try(h.ctx, engine.Trial{Rules: &r, Organisation: "Partner", Until: h.at.AddDate(0, 0, -3)})
		if !errors.Is(err, errBroken) {
			t.Errorf("got %v", err)
		}
	})
}

// vastStage says once of a plan that more waits in it than is counted often.
type vastStage struct {
	engine.Stage
	said bool
}

func (v *vastStage) SealPlan(ctx context.Context, id string, state model.PlanState) (model.Plan, error) {
	p, err := v.Stage.SealPlan(ctx, id, state)
	if !v.said {
		v.said, p.Items = true, 1_000_000
	}
	return p, err
}

// However many wait, all of them are counted in the end.
func TestATrialCountsEverythingThatWouldWait(t *testing.T) {
	t.Parallel()
	onBothCalendars(t, func(t *testing.T, h *calendarHouse) {
		for i := range 8 {
			h.joins(fmt.Sprint("p", i), fmt.Sprint("p", i, "@partner.example"), "", "")
		}
		r := *h.opts.Rules
		r.Calendar.Engagements = map[string][]jml.Engagement{"Partner": {{Until: h.at.AddDate(0, 0, -3)}}}
		opts := h.opts
		opts.Store = staged{h.store, h.store, func(s engine.Stage) engine.Stage { return &vastStage{Stage: s} }}
		tried, err := engine.New(opts).Try(h.ctx, engine.Trial{Rules: &r, Organisation: "Partner", Until: h.at.AddDate(0, 0, -3)})
		if err != nil {
			t.Fatal(err)
		}
		if len(tried.Held) != 1 || tried.Held[0].Items != 8 || len(tried.Changes) != 8 {
			t.Errorf("%d changes, held: %+v", len(tried.Changes), tried.Held)
		}
	})
}
