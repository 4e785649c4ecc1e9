package jml

import (
	"fmt"
	"math"
	"time"
)

// DefaultLimits are the guard's limits where the configuration says nothing.
func DefaultLimits() Limits {
	return Limits{Count: 5, Share: 0.01, Ceiling: 0.10, Floor: 50, Window: 24 * time.Hour, Expiry: 72 * time.Hour}
}

// Toll is what is about to be taken away.
type Toll struct {
	Lost      int  // people who would lose an account or their record now
	Before    int  // who lost one within the window, without a person's approval
	Supported int  // people the source stands for
	Run       bool // one read of everything: Before counts against the ceiling only
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
	const rounding = 1e-9 // 0.29 × 100 is less than 29 in floating point
	limit := max(l.Count, int(math.Floor(l.Share*float64(t.Supported)+rounding)))
	if counted > limit {
		return fmt.Sprintf("%d of %d people would lose access%s; the limit is %d (the larger of %d and %.4g %%)",
			t.Lost, t.Supported, earlier, limit, l.Count, 100*l.Share)
	}
	if ceiling := l.Ceiling*float64(t.Supported) + rounding; t.Supported >= l.Floor && float64(total) > ceiling {
		return fmt.Sprintf("%d of %d people would lose access%s; more than %.4g %% always needs approval",
			t.Lost, t.Supported, l.earlier(t), 100*l.Ceiling)
	}
	return ""
}

func (l Limits) earlier(t Toll) string {
	if t.Before == 0 {
		return ""
	}
	return fmt.Sprintf(" (with %d in the last %s)", t.Before, l.Window)
}
