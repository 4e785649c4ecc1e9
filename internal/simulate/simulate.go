package simulate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"jmld/jml"
	"jmld/jml/engine"
	"jmld/model"
)

// Store is a database whose clock can be put forward.
type Store interface {
	engine.Store
	SetClock(ctx context.Context, at time.Time) error
}

// Options say what is simulated. The rules name the sources and targets given here.
type Options struct {
	People, Days int
	Seed         uint64
	Pace         float64   // 1: as much happens in a year as in an ordinary company; 10: ten times as much
	Start        time.Time // midnight of the first day
	Store        Store
	Rules        *jml.Rules
	Guard        jml.Limits
	Directory    string              // name of the source that is read
	Provider     string              // name of the one that pushes
	Targets      []engine.TargetSpec // App and Platform
	Progress     func(day int)       // called each night; may be nil
}

// Report is what happened.
type Report struct {
	Schema        string         `json:"schema"`
	People        int            `json:"people"` // at the start
	Days          int            `json:"days"`
	Seed          uint64         `json:"seed"`
	Events        int            `json:"events"` // in the truth
	Kinds         map[string]int `json:"kinds"`  // events by kind
	Known         int            `json:"known"`  // people who were ever here
	Employed      int            `json:"employed"`
	Accounts      int            `json:"accounts"` // accounts that the oracle looked at when the days were over, active or not
	Active        int            `json:"active"`
	Disagreements int            `json:"disagreements"` // accounts that were not as the truth asked for then
	Mistakes      int            `json:"mistakes"`      // nights on which somebody had been without what they should have, or the reverse, for days
	Reads         int            `json:"reads"`
	Failed        int            `json:"failed"`   // reads that failed or proved nothing
	Held          int            `json:"held"`     // plans that the guard held
	Approved      int            `json:"approved"` // of them, those the operator found to be true
	Withdrawn     int            `json:"withdrawn"`
	Seconds       float64        `json:"seconds"`
	Weeks         []Week         `json:"weeks"`
	Differences   []Disagreement `json:"differences,omitempty"` // the first 100 disagreements and mistakes
}

// Week counts what happened in it.
type Week struct {
	Week     int `json:"week"`
	Employed int `json:"employed"`
	Joiners  int `json:"joiners"`
	Movers   int `json:"movers"`
	Leavers  int `json:"leavers"`
}

// settling is how many quiet days follow, for what was told late, missing for the first time, or held on the last day.
const settling = 6

// run is one simulation at work.
type run struct {
	o        Options
	company  *company
	dir      *directory
	provider *provider
	engine   *engine.Engine
	clock    time.Time
	held     map[string]bool // plans seen
	report   *Report
}

// Run simulates. Its error is of the engine or the database; what the oracle finds is in the report.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.People < 1 || o.Days < 1 || o.Pace < 0 {
		return nil, fmt.Errorf("%w: a simulation needs at least one person and one day, and a pace", model.ErrInvalid)
	}
	began := time.Now()
	r := &run{o: o, company: newCompany(o.Seed, o.Pace, o.Start), held: map[string]bool{}, clock: o.Start,
		report: &Report{Schema: "jmld.simulate/1", People: o.People, Days: o.Days, Seed: o.Seed}}
	r.dir = &directory{name: o.Directory, company: r.company}
	r.engine = engine.New(engine.Options{Store: o.Store, Rules: o.Rules, Guard: o.Guard, Targets: o.Targets, Replica: "simulation",
		Now:     func() time.Time { return r.clock },
		Sources: []engine.ReadSource{{Source: r.dir, Absence: engine.Absence{Runs: 2, After: 12 * time.Hour, Confirm: o.People + 1000}}}})
	r.provider = &provider{name: o.Provider, company: r.company, engine: r.engine, members: map[string]bool{}}
	for range o.People {
		r.company.tellProvider(r.company.hire(""), r.company.rand.IntN(3))
	}
	for day := range o.Days + settling {
		if err := r.day(ctx, day); err != nil {
			return nil, fmt.Errorf("day %d: %w", day+1, err)
		}
		if o.Progress != nil {
			o.Progress(day + 1)
		}
	}
	if err := r.conclude(ctx); err != nil {
		return nil, err
	}
	r.report.Seconds = time.Since(began).Seconds()
	return r.report, nil
}

// day plays the truth, reads the directory at night, lets the provider push by day and the operator look at what is held.
func (r *run) day(ctx context.Context, day int) error {
	quiet := day >= r.o.Days
	if r.dir.fault = sound; !quiet {
		r.company.live(day)
		r.dir.fault = fault(day)
	} else {
		r.company.day = day
	}
	if r.dir.fault != sound {
		r.company.happen(Incident, nil)
	}
	for _, step := range []struct {
		hour time.Duration
		do   func(context.Context) error
	}{
		{3 * time.Hour, r.read},
		{10 * time.Hour, func(ctx context.Context) error { return r.provider.tell(ctx, day) }},
		{16 * time.Hour, r.operate},
		{17 * time.Hour, r.operate}, // what was decided anew
	} {
		r.clock = r.o.Start.AddDate(0, 0, day).Add(step.hour)
		if err := r.o.Store.SetClock(ctx, r.clock); err != nil {
			return err
		}
		if err := step.do(ctx); err != nil {
			return err
		}
		if _, err := r.engine.Tend(ctx); err != nil {
			return err
		}
		if _, failed, err := r.engine.Work(ctx); err != nil || failed > 0 {
			return errors.Join(err, failures(failed))
		}
	}
	all, err := r.look(ctx)
	if err != nil {
		return err
	}
	r.note(r.mistakes(all, day), &r.report.Mistakes)
	r.company.week().Employed = r.employed()
	return nil
}

// fault is how the directory is broken on a day.
func fault(day int) int {
	switch day % 90 {
	case 33:
		return cut
	case 61, 62, 63: // longer than an absence has to last
		return blind
	case 80:
		return amnesia
	}
	return sound
}

func failures(n int) error {
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%d accounts could not be applied", n)
}

func (r *run) read(ctx context.Context) error {
	r.report.Reads++
	done, err := r.engine.Sync(ctx, r.o.Directory, engine.SyncOptions{Trigger: "schedule", Actor: "schedule"})
	if err != nil && r.dir.fault == sound {
		return err
	}
	if err != nil || !done.Proof.Complete {
		r.report.Failed++
	}
	return nil
}

// operate is the operator's look at what is held: they approve a list of which every line is true.
func (r *run) operate(ctx context.Context) error {
	plans, err := r.o.Store.Plans(ctx, []model.PlanState{model.PlanHeld}, 100)
	if err != nil {
		return err
	}
	for _, p := range plans {
		if !r.held[p.ID] {
			r.held[p.ID] = true
			r.report.Held++
		}
		sealed, err := r.o.Store.SealPlan(ctx, p.ID, "")
		if err != nil {
			return err
		}
		right, err := r.right(ctx, p.ID)
		if err != nil {
			return err
		}
		if !right || sealed.Items == 0 {
			continue
		}
		if _, err := r.engine.Approve(ctx, p.ID, sealed.Digest, "operator"); err != nil {
			return err
		}
		r.report.Approved++
	}
	return nil
}

// right says whether everything that waits in a plan is so in truth.
func (r *run) right(ctx context.Context, plan string) (bool, error) {
	people := map[string]*person{}
	for _, p := range r.company.people {
		people[p.userName()] = p
	}
	for before := ""; ; {
		page, err := r.o.Store.Changes(ctx, model.ChangeQuery{PlanID: plan, States: []model.ChangeState{model.ChangeHeld}, Before: before, Limit: 500})
		if err != nil || len(page) == 0 {
			return err == nil, err
		}
		for _, c := range page {
			var was, will model.Snapshot
			if err := errors.Join(unmarshal(c.Before, &was), unmarshal(c.After, &will)); err != nil {
				return false, err
			}
			p := people[text(was.Attributes["userName"])]
			if p == nil {
				return false, fmt.Errorf("a held change is about %q, whom nobody knows", c.Who)
			}
			if may(p, c.Target) != (will.State == model.AccountActive) || may(p, c.Target) && described(will.Attributes) != description(p) {
				return false, nil
			}
		}
		before = page[len(page)-1].ID
	}
}

func (r *run) employed() int {
	n := 0
	for _, p := range r.company.people {
		if p.employed {
			n++
		}
	}
	return n
}

func (r *run) conclude(ctx context.Context) error {
	all, err := r.look(ctx)
	if err != nil {
		return err
	}
	rep := r.report
	wrong, err := r.judge(all)
	if err != nil {
		return err
	}
	r.note(wrong, &rep.Disagreements)
	for _, list := range all {
		for _, a := range list {
			rep.Accounts++
			if a.active {
				rep.Active++
			}
		}
	}
	rep.Kinds, rep.Weeks, rep.Known, rep.Employed = r.company.events, r.company.weeks, len(r.company.people), r.employed()
	for _, n := range rep.Kinds {
		rep.Events += n
	}
	withdrawn, err := r.o.Store.Plans(ctx, []model.PlanState{model.PlanSuperseded, model.PlanExpired}, 10_000)
	rep.Withdrawn = len(withdrawn)
	return err
}

// note counts differences and keeps the first of them.
func (r *run) note(found []Disagreement, count *int) {
	const most = 100
	*count += len(found)
	r.report.Differences = append(r.report.Differences, found[:min(len(found), max(0, most-len(r.report.Differences)))]...)
}
