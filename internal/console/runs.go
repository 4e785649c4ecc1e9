package console

import (
	"context"
	"net/http"
	"slices"
	"time"

	"jmld/model"
)

const (
	runSamples  = 25  // changes of one kind shown with a run
	runFindings = 500 // findings of a run grouped by cause
)

type runsPage struct {
	Source  string
	Sources []string
	Ops     []model.Op
	Rows    []runRow
	Pager   pager
}

type runRow struct {
	model.Run
	Funnel model.Funnel
	Took   string
	Steps  []opCount
	None   bool // it changed nothing
}

type opCount struct {
	Op model.Op
	N  int
}

func (c *console) runRow(r model.Run) runRow {
	row := runRow{Run: r, Funnel: funnelOf(r), Took: took(r.HeartbeatAt.Sub(r.StartedAt))}
	switch {
	case r.FinishedAt != nil:
		row.Took = took(r.FinishedAt.Sub(r.StartedAt))
	case r.State == model.RunRunning || r.State == model.RunStopping:
		row.Took = took(c.now().Sub(r.StartedAt).Truncate(time.Second))
	}
	row.Steps = steps(row.Funnel)
	row.None = len(row.Steps) == 0
	return row
}

func steps(f model.Funnel) []opCount {
	var out []opCount
	for _, s := range []opCount{{model.OpCreate, f.Create}, {model.OpUpdate, f.Update}, {model.OpDeactivate, f.Deactivate},
		{model.OpReactivate, f.Reactivate}, {model.OpDelete, f.Delete}, {model.OpFinding, f.Findings}} {
		if s.N > 0 {
			out = append(out, s)
		}
	}
	return out
}

// funnelOf is empty while a run has not counted anything.
func funnelOf(r model.Run) model.Funnel {
	var f model.Funnel
	if r.Funnel != "" && decode(r.Funnel, &f) != nil {
		return model.Funnel{}
	}
	return f
}

func (c *console) runs(ctx context.Context, r *http.Request) (view, error) {
	source, before := parameter(r, "source"), parameter(r, "before")
	all, err := c.o.View.RunList(ctx, source, pageRows+1, before)
	if err != nil {
		return view{}, err
	}
	all, next := more(all, pageRows)
	p := runsPage{Source: source, Ops: ops()}
	for _, s := range c.o.Sources {
		if s.Reads() {
			p.Sources = append(p.Sources, s.Name)
		}
	}
	for _, run := range all {
		p.Rows = append(p.Rows, c.runRow(run))
	}
	if before != "" {
		p.Pager.First = link("/runs", "source", source)
	}
	if next {
		p.Pager.Next = link("/runs", "source", source, "before", all[len(all)-1].ID)
	}
	return view{name: "runs", title: "Runs", section: "runs", data: p}, nil
}

type runPage struct {
	runRow
	Proof    model.Proof
	Unproven bool // nothing was proven or disproven: the read never got that far
	Groups   []changeGroup
	Causes   []cause
	Plan     *model.Plan
	Listed   int
	Compared []segment
}

// changeGroup is the changes of one kind, the first of them.
type changeGroup struct {
	Op    model.Op
	Count int
	Rows  []changeRow
	All   string // "" when all are here
}

// cause is an error code and everything it hit.
type cause struct {
	Code    model.Code
	Count   int
	Samples []sample
	More    int
}

type sample struct{ Text, Who, Link string }

func (c *console) run(ctx context.Context, r *http.Request) (view, error) {
	run, err := c.o.View.Run(ctx, clean(r.PathValue("id")))
	if err != nil {
		return view{}, err
	}
	p := runPage{runRow: c.runRow(run)}
	if run.Proof != "" {
		if err := decode(run.Proof, &p.Proof); err != nil {
			return view{}, err
		}
	}
	p.Unproven = len(p.Proof.Conditions) == 0
	p.Listed = p.Funnel.Users + p.Funnel.Groups
	p.Compared = bar([]int{p.Funnel.Unchanged, p.Funnel.New, p.Funnel.Changed, p.Funnel.Absent, p.Funnel.Skipped},
		[]string{"unchanged", "new", "changed", "absent", "skipped"})
	var findings []model.Change
	for _, s := range orderedSteps(p.Steps) {
		limit := runSamples + 1
		if s.Op == model.OpFinding {
			limit = runFindings
		}
		all, err := c.o.View.Changes(ctx, model.ChangeQuery{RunID: run.ID, Ops: []model.Op{s.Op}, Limit: limit})
		if err != nil {
			return view{}, err
		}
		if s.Op == model.OpFinding {
			findings = all
			continue
		}
		all, cut := more(all, runSamples)
		g := changeGroup{Op: s.Op, Count: s.N, Rows: changeRows(all)}
		if cut {
			g.All = link("/changes", "run", run.ID, "op", operation(s.Op).Word)
		}
		p.Groups = append(p.Groups, g)
	}
	p.Causes = causes(p.Proof, findings, p.Funnel.Findings)
	if p.Plan, err = c.planOf(ctx, p.Groups); err != nil {
		return view{}, err
	}
	return view{name: "run", title: "Run of " + run.Source, section: "runs", data: p}, nil
}

// orderedSteps puts what takes something away first.
func orderedSteps(s []opCount) []opCount {
	order := ops()
	out := slices.Clone(s)
	slices.SortFunc(out, func(a, b opCount) int { return slices.Index(order, a.Op) - slices.Index(order, b.Op) })
	return out
}

// planOf finds the plan in which changes of the run wait.
func (c *console) planOf(ctx context.Context, groups []changeGroup) (*model.Plan, error) {
	for _, g := range groups {
		for _, ch := range g.Rows {
			if ch.State == model.ChangeHeld && ch.PlanID != "" {
				p, err := c.o.View.Plan(ctx, ch.PlanID)
				if err != nil {
					return nil, err
				}
				return &p, nil
			}
		}
	}
	return nil, nil
}

// causes groups what went wrong in a run by code: entries that could not be used first, then findings. What ended the run
// itself stands above everything else on the page.
func causes(proof model.Proof, findings []model.Change, total int) []cause {
	const samples = 5
	var out []cause
	add := func(code model.Code, n int, s sample) {
		i := slices.IndexFunc(out, func(c cause) bool { return c.Code == code })
		if i < 0 {
			out = append(out, cause{Code: code})
			i = len(out) - 1
		}
		out[i].Count += n
		if len(out[i].Samples) < samples {
			out[i].Samples = append(out[i].Samples, s)
		} else {
			out[i].More += n
		}
	}
	for _, s := range proof.Skipped {
		add(model.CodeSourceEntry, 1, sample{Text: s.Text, Who: s.Name})
	}
	for _, s := range proof.UnknownAt {
		add(model.CodeSourceEntry, 1, sample{Text: "kept, since it cannot be told: " + s.Text, Who: s.Name})
	}
	for _, f := range findings {
		s := sample{Text: reason(f.Because).Text, Who: f.Who}
		if f.IdentityID != "" {
			s.Link = "/people/" + f.IdentityID
		}
		add(f.Code, 1, s)
	}
	if left := total - len(findings); left > 0 && len(findings) == runFindings && len(out) > 0 {
		out[len(out)-1].More += left // of some cause; the list of changes has them all
	}
	return out
}
