package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"
)

// request is one request of a client; clients have numbers from 0.
type request func(ctx context.Context, client int) error

// measured is what became of the requests of a kind.
type measured struct {
	took []time.Duration
	over time.Duration // how long clients were at it
}

// rate is requests a second.
func (m measured) rate() float64 { return float64(len(m.took)) / m.over.Seconds() }

// at is the time, in milliseconds, within which that share of the requests was answered.
func (m measured) at(share float64) float64 {
	slices.Sort(m.took)
	return float64(m.took[min(int(float64(len(m.took))*share), len(m.took)-1)].Microseconds()) / 1000
}

// against measures several kinds of request in turns, so that what else the machine does meets all of them. around has each turn
// of a kind in it; nil: nothing.
func against(ctx context.Context, clients int, round time.Duration, around func(kind int, do func() error) error, all ...request) ([]measured, error) {
	const turns = 4
	out := make([]measured, len(all))
	for turn := range turns {
		for i, do := range all {
			if turn == 0 { // caches and connections
				if err := drive(ctx, clients, round/5, do, &measured{}); err != nil {
					return nil, err
				}
			}
			measure := func() error { return drive(ctx, clients, round/turns, do, &out[i]) }
			if around != nil {
				plain := measure
				measure = func() error { return around(i, plain) }
			}
			if err := measure(); err != nil {
				return nil, err
			}
		}
	}
	for _, m := range out {
		if len(m.took) == 0 {
			return nil, fmt.Errorf("no request was answered within %s", round)
		}
	}
	return out, nil
}

// sparing has clients that ask another process ask it from one thread: several would wake each other for every answer, on
// processors that the other process needs.
func sparing(clients int, do func() error) error {
	if clients > 1 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	}
	return do()
}

// drive lets clients do one request after the other for a while.
func drive(ctx context.Context, clients int, round time.Duration, do request, to *measured) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	took := make([][]time.Duration, clients)
	begin := time.Now()
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for ctx.Err() == nil && time.Since(begin) < round {
				start := time.Now()
				if err := do(ctx, c); err != nil {
					cancel(fmt.Errorf("client %d: %w", c, err))
					return
				}
				took[c] = append(took[c], time.Since(start))
			}
		})
	}
	wg.Wait()
	to.over += time.Since(begin)
	to.took = append(to.took, slices.Concat(took...)...)
	return context.Cause(ctx)
}
