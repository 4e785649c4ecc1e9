package engine

import (
	"hash/fnv"
	"time"
)

// Pace bends the calendars of a source.
type Pace struct {
	// Jitter: a full read begins up to so much after its time, so that the sources of many daemons do not ask a server at once. How much
	// depends on the calendar and the time, and is the same in every replica.
	Jitter time.Duration
	// SkipMissed passes over a time at which no daemon ran; otherwise one read, at once, stands for all that were missed. A read that
	// died half-way is made up for in any case.
	SkipMissed bool
	// SkipOverlap passes over a time at which the source is still being read; otherwise the read begins when the other has ended.
	SkipOverlap bool
}

// missedAfter is how late a read may begin and be in time.
const missedAfter = 2 * calendarStep

// delay is the jitter of the read of a job at a time.
func (p Pace) delay(job string, at time.Time) time.Duration {
	if p.Jitter <= 0 {
		return 0
	}
	h := fnv.New64a()
	h.Write([]byte(job + at.UTC().Format(time.RFC3339))) //nolint:errcheck // it has no error
	return time.Duration(h.Sum64() % uint64(p.Jitter))
}

// missed says whether the time is to be passed over.
func (p Pace) missed(job string, at, now time.Time) bool {
	return p.SkipMissed && now.Sub(at.Add(p.delay(job, at))) > missedAfter
}
