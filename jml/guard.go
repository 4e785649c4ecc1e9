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
	Lost      int // people who would lose an account or their record now
	Before    int // who lost one within the window, without a person's approval
	Supported int // people the source stands for
}

// Judge says whether a toll may go without a person's approval, and if not why not, in one sentence with its figures.
func (l Limits) Judge(t Toll) (held string) {
	if t.Lost == 0 {
		return ""
	}
	total := t.Lost + t.Before
	earlier := ""
	if t.Before > 0 {
		earlier = fmt.Sprintf(" (with %d in the last %s)", t.Before, l.Window)
	}
	limit := max(l.Count, int(math.Floor(l.Share*float64(t.Supported))))
	if total > limit {
		return fmt.Sprintf("%d of %d people would lose access%s; the limit is %d (the larger of %d and %.4g %%)",
			t.Lost, t.Supported, earlier, limit, l.Count, 100*l.Share)
	}
	if ceiling := l.Ceiling * float64(t.Supported); t.Supported >= l.Floor && float64(total) > ceiling {
		return fmt.Sprintf("%d of %d people would lose access%s; more than %.4g %% always needs approval",
			t.Lost, t.Supported, earlier, 100*l.Ceiling)
	}
	return ""
}
