package engine

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

// The percentage is the process's: not beside other tests.
func TestTheLastLargeSnapshotSetsTheCollectorBack(t *testing.T) { //nolint:paralleltest // see above
	const usual = 87
	defer debug.SetGCPercent(debug.SetGCPercent(usual))
	var h Heap
	first, second := h.thrift(), h.thrift()
	first()
	if n := percentage(); n != thriftyPercent {
		t.Errorf("%d while one is left", n)
	}
	second()
	if n := percentage(); n != usual {
		t.Errorf("%d in the end, want %d", n, usual)
	}
}

func percentage() int {
	now := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(now)
	return int(now[0].Value.Uint64())
}

func TestASmallHeapIsLeftToFillAndALargeOneIsNot(t *testing.T) { //nolint:paralleltest // see above
	const usual = 87
	defer debug.SetGCPercent(debug.SetGCPercent(usual))
	var h Heap
	room := 8 * inUse()
	stop := h.Keep(room)
	defer stop()
	settles(t, "a small heap", func(n int) bool { return n > 2*usualPercent })

	end := h.thrift()
	runtime.GC()
	if n := percentage(); n != thriftyPercent {
		t.Errorf("%d beside a large snapshot", n)
	}
	end()
	settles(t, "a small heap, after a large snapshot", func(n int) bool { return n > 2*usualPercent })

	large := make([]byte, room)
	settles(t, "a large heap", func(n int) bool { return n == usualPercent })
	runtime.KeepAlive(large)
	settles(t, "a small heap again", func(n int) bool { return n > 2*usualPercent })

	stop()
	if n := percentage(); n != usual {
		t.Errorf("%d in the end, want %d", n, usual)
	}
}

func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// settles collects until the percentage is right: it follows each collection.
func settles(t *testing.T, what string, right func(int) bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		runtime.GC()
		n := percentage()
		if right(n) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %d", what, n)
		}
	}
}

func TestTheRoomOfAHeap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		live uint64
		want int
	}{{0, 3200}, {1 << 20, 3200}, {2 << 20, 3100}, {8 << 20, 700}, {10 << 20, 500}, {30 << 20, 100}, {64 << 20, 100}, {1 << 40, 100}} {
		if got := roomPercent(64<<20, c.live); got != c.want {
			t.Errorf("%d in use: %d, want %d", c.live, got, c.want)
		}
	}
}
