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

// doer does what is measured: over HTTP against the daemon, or by hand against the database. People have numbers, from
// 1 without gaps, and the id that create returns.
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
	daemon, err := newClient(base, 64)
	if err != nil {
		return err
	}
	t.Cleanup(daemon.close)
	var a, z people
	// The reads and changes of people need some: the same number on both sides.
	for _, side := range []struct {
		d doer
		p *people
	}{{daemon, &a}, {plain, &z}} {
		if err := side.p.fill(ctx, side.d, b.people); err != nil {
			return err
		}
	}
	for _, clients := range []int{1, 8, 32} {
		for _, kind := range []struct {
			name string
			of   func(d doer, p *people, clients int) request
		}{{"create", create}, {"PATCH active", patch}, {"lookup by userName", lookup}} {
			got, base, err := against(ctx, clients, b.round, kind.of(daemon, &a, clients), kind.of(plain, &z, clients))
			if err != nil {
				return fmt.Errorf("%s: %w", kind.name, err)
			}
			floor := what + ", the same statements"
			if kind.name == "lookup by userName" {
				floor += ", behind net/http"
			}
			b.add(fmt.Sprintf("scim %s, %s, %d clients", kind.name, name, clients), "requests/s", got, base, floor)
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

func create(d doer, p *people, _ int) request {
	return func(ctx context.Context, _ int) error {
		id, err := d.create(ctx, p.next.Add(1))
		if err == nil {
			p.add(id)
		}
		return err
	}
}

// patch turns people off and on again, each client its own.
func patch(d doer, p *people, clients int) request {
	turn := make([]int, clients)
	return func(ctx context.Context, client int) error {
		mine := client + turn[client]*clients
		if mine >= len(p.ids) {
			turn[client], mine = 0, client
		}
		turn[client]++
		p.active[mine] = !p.active[mine]
		return d.setActive(ctx, p.ids[mine], p.active[mine])
	}
}

// lookup asks for everybody, in no order that a cache would like.
func lookup(d doer, p *people, _ int) request {
	known := p.next.Load()
	var serial atomic.Int64
	return func(ctx context.Context, _ int) error { return d.lookup(ctx, serial.Add(1)*7919%known+1) }
}
