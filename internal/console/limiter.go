package console

import (
	"net/netip"
	"sync"
	"time"
)

// Wrong tokens within a minute before an address, and before everybody, has to wait for the next one.
const (
	missesByAddress = 10
	missesByAll     = 200
	missWindow      = time.Minute
	missAddresses   = 4096 // remembered at once
)

// limiter counts wrong tokens.
type limiter struct {
	now func() time.Time

	mu    sync.Mutex
	start time.Time // of the window
	all   int
	by    map[netip.Prefix]int
}

func newLimiter(now func() time.Time) *limiter {
	return &limiter{now: now, by: map[netip.Prefix]int{}}
}

func (l *limiter) allowed(a netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn()
	return l.all < missesByAll && l.by[network(a)] < missesByAddress
}

func (l *limiter) missed(a netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn()
	l.all++
	if _, known := l.by[network(a)]; known || len(l.by) < missAddresses {
		l.by[network(a)]++
	}
}

func (l *limiter) turn() {
	if now := l.now(); now.Sub(l.start) >= missWindow || now.Before(l.start) {
		l.start, l.all = now, 0
		clear(l.by)
	}
}

// network is what one caller can choose addresses from: an IPv6 host usually has a whole /64.
func network(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() && !a.Is4In6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
