package scim

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	elimity "github.com/elimity-com/scim/errors"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"
)

const (
	maxClients   = 1000            // known to a limiter; those that have nothing under way are forgotten above it
	bodyPatience = 5 * time.Second // how long a large body waits for others of the same client
	smallBody    = 16 << 10        // does not wait
)

// limiter counts what the clients of one source do. Clients are let in before they are counted, so there are few of them.
type limiter struct {
	Limits
	maxBody int64
	now     func() time.Time

	mu      sync.Mutex
	clients map[string]*load
}

// load is what one client does now.
type load struct {
	rate    *rate.Limiter
	running int
	bodies  *semaphore.Weighted // bytes of large bodies: what they are decoded to is many times as large
}

func newLimiter(l Limits, maxBody int64, now func() time.Time) *limiter {
	return &limiter{Limits: l, maxBody: maxBody, now: now, clients: map[string]*load{}}
}

// enter counts a request in, or refuses it with the time after which to try again. leave has to be called once.
func (l *limiter) enter(id string) (leave func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.of(id)
	if l.Concurrent > 0 && c.running >= l.Concurrent {
		return nil, tooMany(time.Second, "More than %d requests are under way.", l.Concurrent)
	}
	if c.rate != nil {
		now := l.now()
		r := c.rate.ReserveN(now, 1)
		if wait := r.DelayFrom(now); wait > 0 {
			r.CancelAt(now)
			return nil, tooMany(wait, "More than %s requests in a second.", fmt.Sprint(math.Round(l.Rate*100)/100))
		}
	}
	c.running++
	return func() {
		l.mu.Lock()
		c.running--
		l.mu.Unlock()
	}, nil
}

func (l *limiter) of(id string) *load {
	if c := l.clients[id]; c != nil {
		return c
	}
	if len(l.clients) >= maxClients {
		for other, c := range l.clients {
			if c.running == 0 {
				delete(l.clients, other)
			}
		}
	}
	c := &load{bodies: semaphore.NewWeighted(l.maxBody)}
	if l.Rate > 0 {
		c.rate = rate.NewLimiter(rate.Limit(l.Rate), max(l.Burst, 1))
	}
	l.clients[id] = c
	return c
}

// carry waits until the client's large bodies under way leave room for n more bytes.
func (l *limiter) carry(ctx context.Context, id string, n int64) (leave func(), err error) {
	l.mu.Lock()
	c := l.of(id)
	l.mu.Unlock()
	n = min(n, l.maxBody)
	ctx, cancel := context.WithTimeout(ctx, bodyPatience)
	defer cancel()
	if c.bodies.Acquire(ctx, n) != nil {
		return nil, tooMany(time.Second, "Other large requests are under way.")
	}
	return func() { c.bodies.Release(n) }, nil
}

// tooMany is RFC 6585 §4.
func tooMany(wait time.Duration, format string, args ...any) error {
	return refusal{
		ScimError:  elimity.ScimError{Status: http.StatusTooManyRequests, Detail: fmt.Sprintf(format, args...)},
		retryAfter: wait,
	}
}
