package engine

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// Roomy is up to which size a daemon's heap may fill before garbage is collected. A request leaves a hundred kilobytes behind and next
// to nothing is kept: a collector that waits for the heap to double would run after every thirty of them.
const Roomy = 64 << 20

// Heap says when the process collects garbage. It is a matter of the whole process, so there is one of it. The zero value leaves
// it to the runtime, but for large snapshots.
type Heap struct {
	mu      sync.Mutex
	room    uint64 // to be kept; 0: none
	percent int    // that keeps it
	thrifty int    // who needs every megabyte
	before  int    // the percentage while there was neither
}

const (
	usualPercent   = 100 // the runtime's: the heap may double
	thriftyPercent = 10
)

// Keep lets the heap fill up to so many bytes before garbage is collected, until stop is called. A heap of which more than half of that is
// in use is collected as usual: large reads take no more memory than without.
func (h *Heap) Keep(room uint64) (stop func()) {
	h.change(func() { h.room, h.percent = room, usualPercent })
	h.adjust()
	return func() { h.change(func() { h.room = 0 }) }
}

// adjust makes a percentage of what is in use now, and again after each collection, which takes what nobody holds.
func (h *Heap) adjust() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	kept := true
	h.change(func() {
		h.percent = roomPercent(h.room, live[0].Value.Uint64())
		kept = h.room > 0
	})
	if kept {
		type nobodys struct{ _ *Heap } // with a pointer it shares no memory with what somebody holds
		runtime.AddCleanup(new(nobodys), (*Heap).adjust, h)
	}
}

// roomPercent is the percentage by which a heap with so much in use may grow. It has few values, because setting another one stops the
// world.
func roomPercent(room, live uint64) int {
	const step, most = 50, 3200
	if live >= room {
		return usualPercent
	}
	return int(min(max((room-live)*100/max(live, 1)/step*step, usualPercent), most))
}

// thrift has garbage collected early while snapshots are large. They are free of pointers, so that this costs little, and the
// process needs not twice the memory that is in use. The first snapshot sets it, the last one sets it back.
func (h *Heap) thrift() (end func()) {
	h.change(func() { h.thrifty++ })
	return func() { h.change(func() { h.thrifty-- }) }
}

func (h *Heap) change(how func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.wanted()
	how()
	is := h.wanted()
	switch {
	case is == was:
	case is == 0:
		debug.SetGCPercent(h.before)
	default:
		if old := debug.SetGCPercent(is); was == 0 {
			h.before = old
		}
	}
}

// wanted is the percentage; 0: whatever it is without us.
func (h *Heap) wanted() int {
	switch {
	case h.thrifty > 0:
		return thriftyPercent
	case h.room > 0:
		return h.percent
	}
	return 0
}
