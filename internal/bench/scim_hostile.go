package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"jmld/internal/testserver"
)

// What a second of whatever a client can think of may cost.
const (
	hostileMiB = 200
	hostileP99 = 250 // ms, of another client
)

// hostile lets a client with a token do its worst, on as many connections as it may have, while another one looks people up.
func (b *bench) hostile(ctx context.Context, t *tb, url, name string) error {
	s, err := b.spawn(ctx, t, url, usual())
	if err != nil {
		return err
	}
	base := s.base + "/scim/" + pushed + "/v2"
	other, err := newClient(base, 4)
	if err != nil {
		return err
	}
	defer other.close()
	watch, err := s.client("", 1)
	if err != nil {
		return err
	}
	defer watch.close()
	var quiet, got measured
	var k int64
	// at a pace below the limit of its rate
	drive := func(over time.Duration, to *measured) error {
		for begin := time.Now(); time.Since(begin) < over; time.Sleep(4 * time.Millisecond) {
			k++
			start := time.Now()
			if err := other.one(ctx, fmt.Sprintf(`userName eq "person%d@example.org"`, 1+k%97)); err != nil {
				return err
			}
			to.took = append(to.took, time.Since(start))
		}
		return nil
	}
	if err := drive(time.Second, &quiet); err != nil {
		return err
	}
	before, err := s.memory(ctx, watch)
	if err != nil {
		return err
	}
	stop, end := context.WithCancel(ctx)
	defer end()
	var wg sync.WaitGroup
	var sent atomic.Int64
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	defer transport.CloseIdleConnections()
	evil := &http.Client{Transport: transport, Timeout: 40 * time.Second}
	for _, shape := range testserver.Hostile(groupID(b.scim.group, 0)) {
		for range 4 {
			wg.Go(func() {
				for stop.Err() == nil {
					r, err := shape.Request(stop, base)
					if err != nil {
						return // a shape that cannot be made is found by the tests
					}
					r.Header.Set("Authorization", "Bearer "+hostileToken)
					if resp, err := evil.Do(r); err == nil {
						_, _ = io.Copy(io.Discard, resp.Body) // cut at the end
						resp.Body.Close()
					}
					sent.Add(1)
				}
			})
		}
	}
	most := before.InUse
	var watching error
	wg.Go(func() {
		for stop.Err() == nil {
			m, err := s.memory(ctx, watch)
			if err != nil {
				watching = err
				return
			}
			most = max(most, m.InUse)
			time.Sleep(20 * time.Millisecond)
		}
	})
	err = drive(time.Second, &got)
	end()
	wg.Wait()
	if err != nil || watching != nil {
		return fmt.Errorf("another client: %w", firstError(err, watching))
	}
	f := figure{
		Name: name, Value: got.at(0.99), Unit: "ms, p99 of another client", Floor: quiet.at(0.99), FloorName: "nobody else there",
		Ratio: quiet.at(0.99) / got.at(0.99), P50: got.at(0.50), P99: got.at(0.99), FloorP99: quiet.at(0.99),
		PeakMiB: float64(most-before.InUse) / (1 << 20), Note: fmt.Sprintf("%d hostile requests", sent.Load()),
	}
	f.reach(fmt.Sprintf("<= %d ms, %d MiB", hostileP99, hostileMiB), f.Value <= hostileP99 && f.PeakMiB <= hostileMiB)
	b.figures = append(b.figures, f)
	b.say("%s: p99 of another client %s ms, %.0f MiB more, %d requests", name, number(f.Value), f.PeakMiB, sent.Load())
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
