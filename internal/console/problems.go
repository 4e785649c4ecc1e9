package console

import (
	"context"
	"net/http"
	"slices"
	"time"

	"jmld/model"
)

type problemsPage struct {
	Target   string
	Targets  []string
	Causes   []accountCause
	Sources  []sourceProblem
	Disputed int
	Decide   bool // disputes can be decided here
	Here     string
}

// accountCause is one code with all it keeps from being settled.
type accountCause struct {
	Code   model.Code
	Count  int
	Dead   int
	Oldest time.Time
	Rows   []model.Problem
}

type sourceProblem struct {
	Source string
	Run    model.Run
	Mark   mark
}

func (c *console) problems(ctx context.Context, r *http.Request) (view, error) {
	all, err := c.o.View.Problems(ctx)
	if err != nil {
		return view{}, err
	}
	tally, err := c.figures(ctx)
	if err != nil {
		return view{}, err
	}
	target := parameter(r, "target")
	p := problemsPage{Target: target, Targets: c.targetNames(), Disputed: tally.Disputed, Decide: c.o.Correlator != nil, Here: link("/problems", "target", target)}
	p.Causes = byCode(all, target)
	for _, s := range c.o.Sources {
		row, err := c.sourceRow(ctx, s)
		if err != nil {
			return view{}, err
		}
		if row.Last != nil && (row.Last.ErrorCode != "" || row.Mark.Tone == act) {
			p.Sources = append(p.Sources, sourceProblem{s.Name, *row.Last, row.Mark})
		}
	}
	return view{name: "problems", title: "Problems", section: "problems", notice: retried(r), data: p}, nil
}

// byCode groups by cause: what was given up on first, then what hits most.
func byCode(all []model.Problem, target string) []accountCause {
	var out []accountCause
	for _, pr := range all {
		if target != "" && pr.Target != target {
			continue
		}
		i := slices.IndexFunc(out, func(c accountCause) bool { return c.Code == pr.Code })
		if i < 0 {
			out = append(out, accountCause{Code: pr.Code, Oldest: pr.Oldest})
			i = len(out) - 1
		}
		k := &out[i]
		k.Rows = append(k.Rows, pr)
		k.Count += pr.Count
		if pr.Dead {
			k.Dead += pr.Count
		}
		if pr.Oldest.Before(k.Oldest) {
			k.Oldest = pr.Oldest
		}
	}
	slices.SortStableFunc(out, func(a, b accountCause) int {
		if a.Dead != b.Dead {
			return b.Dead - a.Dead
		}
		return b.Count - a.Count
	})
	return out
}
