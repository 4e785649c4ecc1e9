package engine

import (
	"fmt"
	"testing"
	"time"
)

func TestJitterIsSpreadAndTheSameForAll(t *testing.T) {
	t.Parallel()
	p, at := Pace{Jitter: 10 * time.Minute}, time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	var quarter [4]int
	for i := range 400 {
		job := fmt.Sprint("read:", i)
		d := p.delay(job, at)
		if d < 0 || d >= p.Jitter {
			t.Fatalf("%s", d)
		}
		if again := p.delay(job, at.In(time.FixedZone("", 3600))); again != d {
			t.Fatalf("%s, then %s", d, again)
		}
		quarter[d*4/p.Jitter]++
	}
	for _, n := range quarter {
		if n < 60 {
			t.Errorf("unevenly spread: %v", quarter)
		}
	}
	if d := (Pace{}).delay("read:corp", at); d != 0 {
		t.Errorf("%s without jitter", d)
	}
}
