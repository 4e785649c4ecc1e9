package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"jmld/model"
)

type planJSON struct {
	ID      string          `json:"id"`
	Source  string          `json:"source"`
	Run     string          `json:"run,omitempty"`
	Trigger string          `json:"trigger"`
	State   model.PlanState `json:"state"`
	Brake   model.Brake     `json:"brake"`
	Code    model.Code      `json:"code"`
	Reason  string          `json:"reason"`
	Digest  string          `json:"digest"`
	Items   int             `json:"items"`
	Created string          `json:"created"`
	Expires string          `json:"expires"`
	By      string          `json:"by,omitempty"`
}

type plansJSON struct {
	Schema string     `json:"schema"`
	Plans  []planJSON `json:"plans"`
}

type planDocument struct {
	Schema  string       `json:"schema"`
	Plan    planJSON     `json:"plan"`
	Changes []changeJSON `json:"changes"`
}

func planView(p model.Plan) planJSON {
	return planJSON{
		ID: p.ID, Source: p.Source, Run: p.RunID, Trigger: p.Trigger, State: p.State, Brake: p.Brake, Code: p.Brake.Code(), Reason: p.Reason, Digest: p.Digest, Items: p.Items,
		Created: p.CreatedAt.UTC().Format(timeJSON), Expires: p.ExpiresAt.UTC().Format(timeJSON), By: p.ApprovedBy,
	}
}

func newHeld(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "held [PLAN]",
		Short: "What the guard holds, and who is in it",
		Long: "held lists the plans that wait for approval, one for each brake that hit: leavers, group, changed, emptied, movers, returns, shrunk,\n" +
			"renewed, clock. Everything else went on. docs/operations.md says what each of them means and what to do.",
		Example: `  jmld held                                        the plans that wait
  jmld held 01980f3c-6c1e-7b56-a1b2-5a7f3c6d8e90   one of them, with every change and its reason
  jmld held -o json | jq -r '.plans[].id'`,
		Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				if len(args) == 1 {
					return a.showPlan(ctx, s, args[0])
				}
				return a.listHeld(ctx, s)
			})
		},
	}
}

func (a *app) listHeld(ctx context.Context, s *site) error {
	plans, err := s.store.Plans(ctx, []model.PlanState{model.PlanHeld}, maxRows)
	if err != nil {
		return err
	}
	if a.json() {
		doc := plansJSON{Schema: "jmld.plans/1", Plans: []planJSON{}}
		for _, p := range plans {
			doc.Plans = append(doc.Plans, planView(p))
		}
		return a.printJSON(doc)
	}
	if len(plans) == 0 {
		a.printf("nothing is held\n")
		return nil
	}
	t := newTable(a.stdout)
	t.row("PLAN", "SOURCE", "BRAKE", "SINCE", "EXPIRES", "CHANGES", "REASON")
	for _, p := range plans {
		kind, _ := p.Brake.Kind()
		t.row(p.ID, p.Source, string(kind), at(p.CreatedAt), at(p.ExpiresAt), strconv.Itoa(p.Items), p.Reason)
	}
	return t.flush()
}

func (a *app) showPlan(ctx context.Context, s *site, id string) error {
	p, changes, err := waiting(ctx, s, id)
	if err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(planDocument{"jmld.plan/1", planView(p), changesJSON(changes)})
	}
	return a.printPlan(p, changes)
}

// waiting loads a plan with the changes that wait in it; all of them once it has been decided.
func waiting(ctx context.Context, s *site, id string) (model.Plan, []model.Change, error) {
	p, err := s.store.Plan(ctx, id)
	if err != nil {
		return model.Plan{}, nil, missing(err, "plan", id, "jmld held")
	}
	q := model.ChangeQuery{PlanID: p.ID, Limit: maxRows}
	if p.State == model.PlanHeld {
		q.States = []model.ChangeState{model.ChangeHeld}
	}
	changes, err := s.store.Changes(ctx, q)
	return p, changes, err
}

func (a *app) printPlan(p model.Plan, changes []model.Change) error {
	a.printf("plan     %s\n", p.ID)
	a.printf("source   %s\n", p.Source)
	a.printf("state    %s, since %s\n", p.State, at(p.CreatedAt))
	a.printf("brake    %s (%s)\n", line(string(p.Brake)), p.Brake.Code())
	a.printf("reason   %s\n", line(p.Reason))
	if p.ApprovedBy != "" {
		a.printf("approved %s, %s\n", line(p.ApprovedBy), atPtr(p.ApprovedAt))
	}
	a.printf("expires  %s\n\n", at(p.ExpiresAt))
	if err := a.printChanges(byPerson(changes)); err != nil {
		return err
	}
	if p.State == model.PlanHeld {
		a.printf("\n%s.  Approve exactly this list:\n  jmld approve %s --digest %s\n", count(len(changes), "change waits", "changes wait"), p.ID, p.Digest)
	}
	return nil
}
