package console

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"

	"jmld/model"
)

const heldPlans = 100 // waiting at once that are shown; each source has a few at most for each brake

type heldPage struct {
	Waiting []model.Plan
	Past    []model.Plan
}

func (c *console) held(ctx context.Context, _ *http.Request) (view, error) {
	waiting, err := c.o.View.Plans(ctx, []model.PlanState{model.PlanHeld}, heldPlans)
	if err != nil {
		return view{}, err
	}
	past, err := c.o.View.Plans(ctx, []model.PlanState{model.PlanApproved, model.PlanExpired, model.PlanSuperseded}, 20)
	if err != nil {
		return view{}, err
	}
	return view{name: "held", title: "Held changes", section: "held", data: heldPage{waiting, past}}, nil
}

type planPage struct {
	model.Plan
	Waits     bool
	Expired   bool
	Rows      []changeRow
	First     int
	Pager     pager
	Approve   bool // the form is shown: on the first page, with everything counted
	Committed []changeRow
	Refused   []changeRow
	Withdrawn []changeRow
	Cut       bool // the lists above are cut off
	Stale     bool
	Summary   []opCount
}

func (c *console) plan(ctx context.Context, r *http.Request) (view, error) {
	p, err := c.planPage(ctx, clean(r.PathValue("plan")), parameter(r, "before"))
	if err != nil {
		return view{}, err
	}
	v := view{name: "plan", title: "Held changes of " + p.Source, section: "held", data: p}
	if n, err := strconv.Atoi(parameter(r, "committed")); err == nil && n >= 0 && p.State == model.PlanApproved {
		v.notice = count(n, "change", "changes") + " let go."
		if m, err := strconv.Atoi(parameter(r, "refused")); err == nil && m > 0 {
			v.notice += " " + count(m, "was", "were") + " refused, because the situation has changed since."
		}
	}
	return v, nil
}

func (c *console) planPage(ctx context.Context, id, before string) (planPage, error) {
	plan, err := c.o.View.Plan(ctx, id)
	if err != nil {
		return planPage{}, err
	}
	p := planPage{Plan: plan, Waits: plan.State == model.PlanHeld}
	p.Expired = p.Waits && !plan.ExpiresAt.IsZero() && !c.now().Before(plan.ExpiresAt)
	if p.Waits {
		all, err := c.o.View.Changes(ctx, model.ChangeQuery{PlanID: id, States: []model.ChangeState{model.ChangeHeld},
			Before: before, Limit: heldRows + 1})
		if err != nil {
			return p, err
		}
		all, next := more(all, heldRows)
		p.Rows = changeRows(all)
		if before != "" {
			p.Pager.First = "/held/" + id
		}
		if next {
			p.Pager.Next = link("/held/"+id, "before", all[len(all)-1].ID)
		}
		p.Approve = before == "" && plan.Digest != "" && !p.Expired && len(all) > 0
		p.Summary = summary(all)
		if next || before != "" {
			p.Summary = nil // of one page it would mislead
		}
	}
	for _, part := range []struct {
		state model.ChangeState
		into  *[]changeRow
	}{{model.ChangeCommitted, &p.Committed}, {model.ChangeRefused, &p.Refused}, {model.ChangeWithdrawn, &p.Withdrawn}} {
		all, err := c.o.View.Changes(ctx, model.ChangeQuery{PlanID: id, States: []model.ChangeState{part.state}, Limit: heldRows + 1})
		if err != nil {
			return p, err
		}
		all, cut := more(all, heldRows)
		p.Cut = p.Cut || cut
		*part.into = changeRows(all)
	}
	return p, nil
}

func summary(all []model.Change) []opCount {
	n := map[model.Op]int{}
	for _, ch := range all {
		n[ch.Op]++
	}
	var out []opCount
	for _, o := range ops() {
		if n[o] > 0 {
			out = append(out, opCount{o, n[o]})
		}
	}
	return out
}

// approve lets go exactly what the approver saw: the form carries the digest of the list.
func (c *console) approve(ctx context.Context, r *http.Request) (view, error) {
	id := clean(r.PathValue("plan"))
	form, err := posted(r)
	if err != nil {
		return view{}, err
	}
	digest := form("digest")
	if digest == "" {
		return view{}, badRequest("An approval names the digest of the list that was seen. Open the plan and use its form.")
	}
	if form("seen") == "" {
		return view{}, wrong{http.StatusBadRequest, "Nothing was approved", "Tick the box that says you have looked at the list, then approve."}
	}
	start := time.Now()
	done, err := c.o.Approver.Approve(ctx, id, digest, actor(r))
	c.forget()
	if errors.Is(err, model.ErrStale) && model.CodeOf(err) != model.CodeRulesOther {
		return c.stale(ctx, id)
	}
	if err != nil {
		return view{}, err
	}
	c.log.Info("plan approved", zap.String(model.FieldPlan, id), zap.String(model.FieldActor, actor(r)),
		zap.Int(model.FieldCount, len(done.Committed)), zap.Int("refused", len(done.Refused)),
		zap.Duration(model.FieldDuration, time.Since(start)))
	return view{to: link("/held/"+id, "committed", strconv.Itoa(len(done.Committed)), "refused", strconv.Itoa(len(done.Refused)))}, nil
}

// stale shows the list as it is now.
func (c *console) stale(ctx context.Context, id string) (view, error) {
	p, err := c.planPage(ctx, id, "")
	if err != nil {
		return view{}, err
	}
	p.Stale = true
	return view{name: "plan", title: "Held changes of " + p.Source, section: "held", status: http.StatusConflict, data: p}, nil
}
