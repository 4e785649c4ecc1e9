package jml

import (
	"fmt"
	"time"
)

// DefaultLimits are the guard's limits where the configuration says nothing.
func DefaultLimits() Limits {
	return Limits{
		Count: 5, Share: 0.01, Week: Limit{15, 0.03}, Joiners: Limit{50, 0.50}, Ceiling: 0.10, Floor: 50, Window: 24 * time.Hour, Expiry: 72 * time.Hour,
		Changed: Limit{10, 0.20}, Emptied: Limit{5, 0.05}, Movers: Limit{20, 0.30}, Returns: Limit{5, 0.02},
		Group: Limit{10, 0.25}, GroupEmptied: 5, Shrink: Limit{5, 0.02}, Renewed: Limit{5, 0.10}, Clock: 5 * time.Minute,
	}
}

// Toll is what is about to be taken away.
type Toll struct {
	Lost      int    // people who would lose an account or their record now
	Before    int    // who lost one within the window, without a person's approval
	Week      int    // and within seven days, those of the window among them
	Supported int    // people the source stands for
	Target    string // "": of all targets together
	Run       bool   // one read of everything: Before counts against the ceiling only
}

// Judge says whether a toll may go without a person's approval, and if not why not, in one sentence with its figures.
func (l Limits) Judge(t Toll) (held string) {
	if t.Lost == 0 {
		return ""
	}
	total := t.Lost + t.Before
	counted, earlier := total, ""
	if t.Run {
		counted = t.Lost
	} else if t.Before > 0 {
		earlier = l.earlier(t)
	}
	limit := Limit{l.Count, l.Share}
	what := "access"
	if t.Target != "" {
		what = "their account in " + t.Target
	}
	if counted > limit.Most(t.Supported) {
		return fmt.Sprintf("%d of %d people would lose %s%s; %s", t.Lost, t.Supported, what, earlier, limit.words(t.Supported))
	}
	if most := (Limit{Share: l.Ceiling}).Most(t.Supported); t.Supported >= l.Floor && total > most {
		return fmt.Sprintf("%d of %d people would lose %s%s; more than %.4g %% always needs approval",
			t.Lost, t.Supported, what, l.earlier(t), 100*l.Ceiling)
	}
	if of := t.Supported + max(0, t.Week-t.Before); t.Lost+t.Week > l.Week.Most(of) {
		return fmt.Sprintf("%d of %d people would lose %s (with %d in the last 7 days); %s", t.Lost, of, what, t.Week, l.Week.words(of))
	}
	return ""
}

func (l Limits) earlier(t Toll) string {
	if t.Before == 0 {
		return ""
	}
	return fmt.Sprintf(" (with %d in the last %s)", t.Before, l.Window)
}
