package console

import (
	"context"
	"net/http"
	"time"

	"jmld/model"
)

const (
	overviewRuns    = 30  // runs of one source among which the last complete one is looked for
	overviewChanges = 8   // newest changes shown
	overviewNewest  = 200 // newest changes among which each source's last is looked for: one cheap question for all
	leaverRows      = 100 // leavers on their way that are looked at for the oldest
	unreadRuns      = 3   // incomplete reads in a row before somebody must act
)

type overviewPage struct {
	Todo     []todo
	Sources  []sourceRow
	Targets  []targetRow
	Figures  model.Tally
	Disputes string // where disputed records are shown
	People   int
	Phases   []phase
	Leavers  leavers
	Changes  []changeRow
	Push     []string // sources that wait for a client
	HasReads bool
}

// todo is something only a human can do.
type todo struct{ Text, Advice, Link, Verb string }

type phase struct {
	Lifecycle model.Lifecycle
	Count     int
}

type leavers struct {
	Count  int
	More   bool // there are more than were counted
	Oldest time.Time
}

type sourceRow struct {
	Source
	Mark     mark
	Last     *model.Run // newest that was no dry run
	Complete *model.Run // newest complete one
	Funnel   model.Funnel
	Next     time.Time
	Overdue  bool
	Moved    time.Time // newest change that its evidence made, if it is among the newest of all
	Quiet    bool      // there may be an older one
}

type targetRow struct {
	Target
	model.AccountTally
	Known bool // still configured
	Mark  mark
	Total int
	Share int // percent settled
	Bar   []segment
}

// segment is a part of a bar of width 100.
type segment struct {
	X, W  float64
	Class string
}

func (c *console) overview(ctx context.Context, _ *http.Request) (view, error) {
	c.forget() // the page of figures shows them as they are
	tally, err := c.figures(ctx)
	if err != nil {
		return view{}, err
	}
	p := overviewPage{Figures: tally, Disputes: "/changes?op=finding"}
	if c.o.Correlator != nil {
		p.Disputes = "/disputed"
	}
	for _, l := range lifecycles() {
		p.Phases = append(p.Phases, phase{l, tally.Identities[l]})
		p.People += tally.Identities[l]
	}
	newest, err := c.o.View.Changes(ctx, model.ChangeQuery{Limit: overviewNewest})
	if err != nil {
		return view{}, err
	}
	p.Changes = changeRows(newest[:min(len(newest), overviewChanges)])
	for _, s := range c.o.Sources {
		row, err := c.sourceRow(ctx, s)
		if err != nil {
			return view{}, err
		}
		row.Moved, row.Quiet = lastOf(newest, s.Name)
		p.Sources = append(p.Sources, row)
		if s.Reads() {
			p.HasReads = true
		} else {
			p.Push = append(p.Push, s.Name)
		}
	}
	p.Targets = c.targetRows(tally)
	if p.Leavers, err = c.leavers(ctx); err != nil {
		return view{}, err
	}
	p.Todo = todos(p)
	return view{name: "overview", title: "Overview", section: "overview", data: p}, nil
}

// lastOf finds the newest change of the source. When there are more changes than were looked at, not finding one does not mean
// that there is none.
func lastOf(newest []model.Change, source string) (at time.Time, quiet bool) {
	for _, ch := range newest {
		if ch.Source == source {
			return ch.At, false
		}
	}
	return time.Time{}, len(newest) == overviewNewest
}

func lifecycles() []model.Lifecycle {
	return []model.Lifecycle{model.Active, model.Established, model.Suspended, model.Archived}
}

func (c *console) sourceRow(ctx context.Context, s Source) (sourceRow, error) {
	row := sourceRow{Source: s}
	if !s.Reads() {
		row.Mark = mark{"listening", fine}
		return row, nil
	}
	runs, err := c.o.View.RunList(ctx, s.Name, overviewRuns, "")
	if err != nil {
		return row, err
	}
	incomplete := 0
	for i := range runs {
		if runs[i].DryRun {
			continue
		}
		if row.Last == nil {
			row.Last, row.Funnel = &runs[i], funnelOf(runs[i])
		}
		if runs[i].Verdict == model.VerdictComplete && finished(runs[i]) {
			row.Complete = &runs[i]
			break
		}
		if runs[i].Verdict == model.VerdictIncomplete {
			incomplete++
		}
	}
	now := c.now()
	if s.Next != nil {
		row.Next = s.Next(now)
		row.Overdue = row.Complete != nil && overdue(s.Next, row.Complete.StartedAt, now)
	}
	row.Mark = sourceMark(row, incomplete)
	return row, nil
}

// overdue says that two scheduled reads in a row brought nothing complete.
func overdue(next func(time.Time) time.Time, last, now time.Time) bool {
	first := next(last)
	if first.IsZero() {
		return false
	}
	second := next(first)
	return !second.IsZero() && second.Before(now)
}

func finished(r model.Run) bool { return r.State == model.RunSucceeded || r.State == model.RunHeld }

// sourceMark is red where waiting does not help: what the next run may mend by itself is only worth a look.
func sourceMark(row sourceRow, incomplete int) mark {
	switch {
	case row.Last == nil:
		return mark{"not read yet", plain}
	case row.Last.State == model.RunFailed && (row.Overdue || !passing(row.Last.ErrorCode)):
		return mark{"failing", act}
	case row.Last.State == model.RunFailed:
		return mark{"failed, will retry", watch}
	case row.Overdue:
		return mark{"overdue", act}
	case row.Last.State == model.RunRunning || row.Last.State == model.RunStopping:
		return mark{"reading", plain}
	case row.Last.State == model.RunAbandoned:
		return mark{"interrupted", watch}
	case row.Last.Verdict == model.VerdictIncomplete && incomplete >= unreadRuns:
		return mark{"never complete", act}
	case row.Last.Verdict == model.VerdictIncomplete:
		return mark{"incomplete", watch}
	}
	return mark{"complete", fine}
}

// passing errors often go away by themselves.
func passing(code model.Code) bool {
	switch code { //nolint:exhaustive // every other one needs a human
	case model.CodeSourceUnreachable, model.CodeSourceInterrupted, model.CodeSourceBusy, model.CodeStoreUnavailable:
		return true
	}
	return false
}

func (c *console) targetRows(t model.Tally) []targetRow {
	by := map[string]model.AccountTally{}
	for _, a := range t.Accounts {
		by[a.Target] = a
	}
	var rows []targetRow
	for _, target := range c.targets() {
		a := by[target.Name]
		delete(by, target.Name)
		rows = append(rows, targetRow{Target: target, AccountTally: a, Known: true})
	}
	for _, a := range t.Accounts { // of targets that are configured no more, in the store's order
		if _, left := by[a.Target]; left {
			rows = append(rows, targetRow{Target: Target{Name: a.Target, Class: a.Class}, AccountTally: a})
		}
	}
	for i := range rows {
		rows[i].finish()
	}
	return rows
}

func (r *targetRow) finish() {
	waiting := r.Due + r.Retrying + r.Dead
	r.Total = r.Settled + waiting
	r.Share = 100
	if r.Total > 0 {
		r.Share = r.Settled * 100 / r.Total // rounded down: 100 means all
	}
	r.Bar = bar([]int{r.Settled, r.Due, r.Retrying, r.Dead}, []string{"settled", "due", "retrying", "dead"})
	switch {
	case !r.Known:
		r.Mark = mark{"not configured", watch}
	case r.Dead > 0:
		r.Mark = mark{"given up on some", act}
	case r.Retrying > 0:
		r.Mark = mark{"retrying", watch}
	case r.Due > 0:
		r.Mark = mark{"catching up", plain}
	case r.Total == 0:
		r.Mark = mark{"no accounts yet", plain}
	default:
		r.Mark = mark{"settled", fine}
	}
}

// bar makes parts that fill 100, each visible however small its share.
func bar(counts []int, classes []string) []segment {
	total, parts := 0, 0
	for _, n := range counts {
		total += n
		if n > 0 {
			parts++
		}
	}
	const least = 1.5
	var out []segment
	x := 0.0
	for i, n := range counts {
		if n == 0 {
			continue
		}
		w := least + float64(n)/float64(total)*(100-least*float64(parts))
		out = append(out, segment{x, w, classes[i]})
		x += w
	}
	return out
}

// leavers are people whose account should be gone and is not yet.
func (c *console) leavers(ctx context.Context) (leavers, error) {
	var l leavers
	for _, state := range []model.AccountState{model.AccountInactive, model.AccountAbsent} {
		all, err := c.o.View.Accounts(ctx, model.AccountQuery{State: state, Unsettled: true, Limit: leaverRows + 1})
		if err != nil {
			return l, err
		}
		all, over := more(all, leaverRows)
		l.Count += len(all)
		l.More = l.More || over
		for _, a := range all {
			if l.Oldest.IsZero() || a.UpdatedAt.Before(l.Oldest) {
				l.Oldest = a.UpdatedAt
			}
		}
	}
	return l, nil
}

func todos(p overviewPage) []todo {
	var out []todo
	if n := p.Figures.Held; n > 0 {
		out = append(out, todo{count(n, "change is", "changes are") + " held by the guard",
			"Look at the list, then approve exactly it, or correct the source: what comes back is withdrawn by itself.", "/held", "Review"})
	}
	for _, t := range p.Targets {
		if t.Dead > 0 {
			out = append(out, todo{count(t.Dead, "account", "accounts") + " given up on in " + t.Name,
				"The target keeps saying no. The causes are listed with what to do about each.", link("/problems", "target", t.Name), "See causes"})
		}
	}
	for _, s := range p.Sources {
		if s.Mark.Tone != act {
			continue
		}
		d := todo{Text: "Source " + s.Name + " is " + s.Mark.Word, Link: link("/runs", "source", s.Name), Verb: "See runs",
			Advice: model.CodeSourceUnproven.Advice()}
		switch {
		case s.Last.ErrorCode != "":
			d.Advice, d.Link, d.Verb = s.Last.ErrorCode.Advice(), "/runs/"+s.Last.ID, "See run"
		case s.Overdue:
			d.Advice = "Two scheduled reads brought nothing complete. People stay as they are meanwhile."
		}
		out = append(out, d)
	}
	if n := p.Figures.Disputed; n > 0 {
		out = append(out, todo{count(n, "record is", "records are") + " disputed",
			model.CodeCorrelationDisputed.Advice(), p.Disputes, "Look"})
	}
	return out
}
