package engine

import (
	"time"

	"jmld/model"
)

// phases is the stopwatch of a run: what the source did not say it used for connecting and reading, and did not go into one of these,
// was deciding.
type phases struct {
	began           time.Time
	confirm, commit time.Duration
}

// clock adds the time until its result is called.
func clock(d *time.Duration) func() {
	start := time.Now()
	return func() { *d += time.Since(start) }
}

// after lists the phases of the whole run; read are the source's.
func (p *phases) after(read []model.Phase) []model.Phase {
	rest := time.Since(p.began) - p.confirm - p.commit
	for _, ph := range read {
		rest -= time.Duration(ph.Took) * time.Millisecond
	}
	if len(read) == 0 { // it never came to anything
		return nil
	}
	return append(read, model.Phase{Name: "confirm", Took: p.confirm.Milliseconds()}, model.Phase{Name: "decide", Took: max(0, rest.Milliseconds())},
		model.Phase{Name: "commit", Took: p.commit.Milliseconds()})
}
