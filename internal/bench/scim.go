package main

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"

	"jmld/internal/store"
	"jmld/internal/testserver"
)

// scimPart measures what a SCIM client waits for.
func scimPart(ctx context.Context, b *bench) error {
	return with(func(t *tb) error {
		pg := testserver.StartPostgres(t, testserver.PostgresOptions{Durable: true})
		for _, db := range []struct {
			name  string
			open  func() string
			floor func(ctx context.Context, t *tb, url string) (floor, error)
			what  string
		}{
			{"sqlite", func() string { return "sqlite:" + filepath.Join(t.TempDir(), "jmld.db") }, liteFloor, "database/sql"},
			{"postgres", func() string { return pg.Database(t) }, pgFloor, "pgx"},
		} {
			if err := b.scimOn(ctx, t, db.name, db.open(), db.open(), db.floor, db.what); err != nil {
				return fmt.Errorf("%s: %w", db.name, err)
			}
		}
		return nil
	})
}

// doer does what is measured: over HTTP against the daemon, or by hand against the database. Numbers are never reused;
// known returns the id of a person made before.
type doer interface {
	create(ctx context.Context, n int64) (string, error)
	setActive(ctx context.Context, id string, active bool) error
	lookup(ctx context.Context, n int64) error
}

// floor is a doer without the daemon.
type floor = doer

// people are those made so far; each client patches its own, so that no two writers meet.
type people struct {
	mu     sync.Mutex
	ids    []string
	active []bool
	next   atomic.Int64
}

func (p *people) add(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ids, p.active = append(p.ids, id), append(p.active, true)
}

func (b *bench) scimOn(ctx context.Context, t *tb, name, url, floorURL string,
	open func(context.Context, *tb, string) (floor, error), what string,
) error {
	db, err := store.Open(ctx, store.Options{URL: url})
	if err != nil {
		return err
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Logf("close store: %v", err)
		}
	})
	base, err := serve(ctx, t, db)
	if err != nil {
		return err
	}
	plain, err := open(ctx, t, floorURL)
	if err != nil {
		return fmt.Errorf("floor: %w", err)
	}
	daemon := newClient(base, 64)
	var a, z people
	// The reads and changes of people need some: the same number on both sides.
	for _, side := range []struct {
		d doer
		p *people
	}{{daemon, &a}, {plain, &z}} {
		if err := side.p.fill(ctx, side.d, 1000); err != nil {
			return err
		}
	}
	for _, clients := range []int{1, 8, 32} {
		for _, kind := range []struct {
			name string
			do   func(d doer, p *people) func(ctx context.Context, client int, n int64) error
		}{
			{"create", create}, {"PATCH active", func(d doer, p *people) func(context.Context, int, int64) error { return patch(d, p, clients) }}, {"lookup by userName", lookup},
		} {
			got, err := drive(ctx, clients, b.round, kind.do(daemon, &a))
			if err != nil {
				return fmt.Errorf("%s: %w", kind.name, err)
			}
			base, err := drive(ctx, clients, b.round, kind.do(plain, &z))
			if err != nil {
				return fmt.Errorf("floor of %s: %w", kind.name, err)
			}
			b.figures = append(b.figures, figure{
				Name: fmt.Sprintf("scim %s, %s, %d clients", kind.name, name, clients), Value: got.rate, Unit: "requests/s",
				Floor: base.rate, FloorName: what + ", the same statements", Ratio: got.rate / base.rate, P50: got.p50, P99: got.p99, FloorP99: base.p99,
			})
			b.say("%s %s, %d clients: %.0f of %.0f/s", name, kind.name, clients, got.rate, base.rate)
		}
	}
	return nil
}

// fill makes the first people.
func (p *people) fill(ctx context.Context, d doer, n int) error {
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for c := range errs {
		wg.Go(func() {
			for range n / len(errs) {
				id, err := d.create(ctx, p.next.Add(1))
				if err != nil {
					errs[c] = err
					return
				}
				p.add(id)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func create(d doer, p *people) func(context.Context, int, int64) error {
	return func(ctx context.Context, _ int, _ int64) error {
		id, err := d.create(ctx, p.next.Add(1))
		if err == nil {
			p.add(id)
		}
		return err
	}
}

// patch turns people off and on again, each client its own.
func patch(d doer, p *people, clients int) func(context.Context, int, int64) error {
	turn := make([]int, clients)
	return func(ctx context.Context, client int, _ int64) error {
		mine := client + turn[client]*clients
		if mine >= len(p.ids) {
			turn[client], mine = 0, client
		}
		turn[client]++
		p.active[mine] = !p.active[mine]
		return d.setActive(ctx, p.ids[mine], p.active[mine])
	}
}

func lookup(d doer, p *people) func(context.Context, int, int64) error {
	known := p.next.Load()
	return func(ctx context.Context, _ int, n int64) error { return d.lookup(ctx, n*7919%known+1) }
}
