package engine

import (
	"runtime/debug"
	"testing"
)

// The percentage is the process's: not beside other tests.
func TestTheLastLargeSnapshotSetsTheCollectorBack(t *testing.T) { //nolint:paralleltest // see above
	const usual = 87
	defer debug.SetGCPercent(debug.SetGCPercent(usual))
	now := func() int {
		n := debug.SetGCPercent(usual)
		debug.SetGCPercent(n)
		return n
	}
	var th thrift
	first, second := th.begin(), th.begin()
	first()
	if n := now(); n != 10 {
		t.Errorf("%d while one is left", n)
	}
	second()
	if n := now(); n != usual {
		t.Errorf("%d in the end, want %d", n, usual)
	}
}
