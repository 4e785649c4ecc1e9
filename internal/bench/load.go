package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// measured is what became of a round of requests.
type measured struct {
	rate     float64 // a second
	p50, p99 float64 // milliseconds
}

// drive lets clients do one request after the other for a while. do gets the client and a number no other request has.
func drive(ctx context.Context, clients int, round time.Duration, do func(ctx context.Context, client int, n int64) error) (measured, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var serial atomic.Int64
	took := make([][]time.Duration, clients)
	var wg sync.WaitGroup
	warm := time.Now().Add(round / 5)
	end := warm.Add(round)
	for c := range clients {
		wg.Go(func() {
			for ctx.Err() == nil {
				start := time.Now()
				if start.After(end) {
					return
				}
				if err := do(ctx, c, serial.Add(1)); err != nil {
					cancel(fmt.Errorf("client %d: %w", c, err))
					return
				}
				if start.After(warm) {
					took[c] = append(took[c], time.Since(start))
				}
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return measured{}, err
	}
	all := slices.Concat(took...)
	if len(all) == 0 {
		return measured{}, fmt.Errorf("no request ended within %s", round)
	}
	slices.Sort(all)
	at := func(share float64) float64 {
		return float64(all[min(int(float64(len(all))*share), len(all)-1)].Microseconds()) / 1000
	}
	return measured{float64(len(all)) / time.Since(warm).Seconds(), at(0.50), at(0.99)}, nil
}
