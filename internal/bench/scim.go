package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"jmld/internal/store"
	"jmld/internal/testserver"
	"jmld/jml/engine"
	"jmld/scim"
)

// scimChoice is what of the SCIM part is wanted, as on the command line.
type scimChoice struct {
	databases, sizes, clients, only string
	group                           int64 // members of the large groups
}

func (c scimChoice) wants(name string) bool { return strings.Contains(name, c.only) }

func numbers(list string) ([]int, error) {
	var out []int
	for s := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is not a list of numbers", list)
		}
		out = append(out, n)
	}
	return out, nil
}

// scimPart measures what a SCIM client waits for.
func scimPart(ctx context.Context, b *bench) error {
	return with(func(t *tb) error {
		t.Cleanup(roomy(&engine.Heap{}))
		return eachDatabase(t, b.scim.databases, func(name string, open func() string) error { return b.scimOn(ctx, t, name, open) })
	})
}

// eachDatabase calls do for each of the list; open makes an empty one.
func eachDatabase(t *tb, list string, do func(name string, open func() string) error) error {
	for name := range strings.SplitSeq(list, ",") {
		var open func() string
		switch name {
		case "sqlite":
			open = func() string { return "sqlite:" + filepath.Join(t.TempDir(), "jmld.db") }
		case "postgres":
			pg := testserver.StartPostgres(t, testserver.PostgresOptions{Durable: true})
			open = func() string { return pg.Database(t) }
		default:
			return fmt.Errorf("%q is no database: sqlite or postgres", name)
		}
		if err := do(name, open); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// stocked is a store with so many people, and the process that serves it.
type stocked struct {
	served
	people  int
	ops     []*scimOp
	daemon  *client
	plain   *client // the floor behind net/http
	carry   *client // see carry
	hand    byHand
	ordinal map[*scimOp]*turns
}

func (b *bench) stock(ctx context.Context, t *tb, url string, people int) (*stocked, error) {
	start := time.Now()
	db, err := store.Open(ctx, store.Options{URL: url}) // makes the tables as the daemon does
	if err != nil {
		return nil, err
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	if err := fill(ctx, url, int64(people), b.scim.group); err != nil {
		return nil, fmt.Errorf("fill with %d: %w", people, err)
	}
	b.say("%d resources in %s", people, time.Since(start).Round(time.Second))
	next := &atomic.Int64{}
	next.Store(int64(people))
	s := &stocked{people: people, ops: scimOps(next, b.scim.group), ordinal: map[*scimOp]*turns{}}
	if s.served, err = b.spawn(ctx, t, url, scim.Limits{}); err != nil {
		return nil, err
	}
	if s.daemon, err = s.client("/scim/"+pushed+"/v2", 64); err != nil {
		return nil, err
	}
	t.Cleanup(s.daemon.close)
	if s.plain, err = s.client("", 64); err != nil {
		return nil, err
	}
	t.Cleanup(s.plain.close)
	if s.carry, err = newClient(s.carrier, 64); err != nil {
		return nil, err
	}
	t.Cleanup(s.carry.close)
	var closeFloor func()
	if s.hand, closeFloor, err = openFloor(ctx, url); err != nil {
		return nil, err
	}
	t.Cleanup(closeFloor)
	return s, nil
}

// side is o, done by one of the three.
func (s *stocked) side(o *scimOp, side int) request {
	at := s.ordinal[o]
	if at == nil {
		at = &turns{}
		s.ordinal[o] = at
	}
	d := [sides]doer{
		func(ctx context.Context, o *scimOp, n, turn int64) error { return o.ours(ctx, s.daemon, n, turn) },
		func(ctx context.Context, o *scimOp, n, turn int64) error {
			_, err := o.floor(ctx, s.hand, n, turn)
			return err
		},
		func(ctx context.Context, o *scimOp, n, turn int64) error {
			return s.plain.do(ctx, "GET", fmt.Sprintf("/floor?op=%s&n=%d&turn=%d", strings.ReplaceAll(o.name, " ", "+"), n, turn), "", anySuccess, nil)
		},
	}[side]
	return o.request(d, side, int64(s.people), at)
}

func (b *bench) scimOn(ctx context.Context, t *tb, db string, open func() string) error {
	sizes, err := numbers(b.scim.sizes)
	if err != nil {
		return err
	}
	clients, err := numbers(b.scim.clients)
	if err != nil {
		return err
	}
	against := map[string]string{"sqlite": "database/sql", "postgres": "pgx"}[db] + ", the same statements"
	var stores []*stocked
	for _, people := range sizes {
		url := open()
		s, err := b.stock(ctx, t, url, people)
		if err != nil {
			return err
		}
		stores = append(stores, s)
		for _, most := range clients {
			for _, o := range s.ops {
				n := most
				if !b.scim.wants(o.name) {
					continue
				}
				if n = min(n, mostClients); o.pair {
					n = min(n, groupsOfASize)
				}
				if err := b.operation(ctx, s, o, n, fmt.Sprintf("scim %s, %s, %d resources, %d clients", o.name, db, people, n), against); err != nil {
					return fmt.Errorf("%s, %d resources, %d clients: %w", o.name, people, n, err)
				}
			}
			if b.scim.wants("carrying alone") {
				if err := b.carrying(ctx, s, most, fmt.Sprintf("scim carrying alone, %s, %d resources, %d clients", db, people, most)); err != nil {
					return fmt.Errorf("carrying alone: %w", err)
				}
			}
		}
		if b.scim.wants("hostile") {
			if err := b.hostile(ctx, t, url, fmt.Sprintf("scim hostile second, %s, %d resources", db, people)); err != nil {
				return fmt.Errorf("hostile second: %w", err)
			}
		}
	}
	return b.scale(ctx, db, stores)
}

// operation measures one kind of request beside both floors.
func (b *bench) operation(ctx context.Context, s *stocked, o *scimOp, clients int, name, floor string) error {
	var allocs, bytes float64
	s.daemon.alone(s.apart && clients == 1)
	s.plain.alone(s.apart && clients == 1)
	around := func(side int, do func() error) error {
		switch side {
		case sideBare:
			return do()
		case sideHTTP:
			return sparing(clients, do)
		}
		before, err := s.memory(ctx, s.plain)
		if err != nil {
			return err
		}
		if err := sparing(clients, do); err != nil {
			return err
		}
		after, err := s.memory(ctx, s.plain)
		allocs, bytes = allocs+float64(after.Mallocs-before.Mallocs), bytes+float64(after.Bytes-before.Bytes)
		return err
	}
	m, err := against(ctx, clients, b.round, around, s.side(o, sideOurs), s.side(o, sideBare), s.side(o, sideHTTP))
	if err != nil {
		return err
	}
	got, bare, behind := m[sideOurs], m[sideBare], m[sideHTTP]
	f := figure{
		Name: name, Value: got.rate(), Unit: "requests/s", Floor: bare.rate(), FloorName: floor, Ratio: got.rate() / bare.rate(),
		Behind: behind.rate(), BehindRatio: got.rate() / behind.rate(), P50: got.at(0.50), P99: got.at(0.99), FloorP99: bare.at(0.99),
		Allocs: allocs / float64(len(got.took)), KiB: bytes / 1024 / float64(len(got.took)),
	}
	f.reach(fmt.Sprintf(">= %g", o.target), f.Ratio >= o.target)
	b.figures = append(b.figures, f)
	b.say("%s: %s, %.2f of %s, %.2f behind net/http; p99 %s ms, %.0f allocations", name, number(f.Value), f.Ratio, number(f.Floor), f.BehindRatio, number(f.P99), f.Allocs)
	return nil
}

// carrying measures answers that nothing is done for, beside getting somebody by id by hand. Whoever does both after one another cannot
// reach more than the share in the note.
func (b *bench) carrying(ctx context.Context, s *stocked, clients int, name string) error {
	s.carry.alone(s.apart && clients == 1)
	around := func(kind int, do func() error) error {
		if kind == 0 {
			return sparing(clients, do)
		}
		return do()
	}
	alone := func(ctx context.Context, _ int) error {
		return s.carry.do(ctx, http.MethodGet, "/Users/"+recordID(1), "", http.StatusOK, nil)
	}
	o := s.ops[slices.IndexFunc(s.ops, func(o *scimOp) bool { return o.name == getByID })]
	m, err := against(ctx, clients, b.round, around, alone, s.side(o, sideBare))
	if err != nil {
		return err
	}
	b.add(name, "answers/s", m[0], m[1], getByID+" by hand")
	f := &b.figures[len(b.figures)-1]
	f.Note = fmt.Sprintf("both after one another: %.2f of it", f.Ratio/(1+f.Ratio))
	return nil
}

func (f *figure) reach(target string, met bool) { f.Target, f.Met = target, &met }

// scale measures what must not grow: a lookup with the number of resources, the change of a member with the size of the group.
func (b *bench) scale(ctx context.Context, db string, stores []*stocked) error {
	pair := func(name, beside, target string, least float64, large, small request) error {
		if !b.scim.wants(name) {
			return nil
		}
		m, err := against(ctx, 1, b.round, nil, large, small)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		f := figure{
			Name: "scim " + name + ", " + db, Value: m[0].rate(), Unit: "requests/s", Floor: m[1].rate(), FloorName: beside,
			Ratio: m[0].rate() / m[1].rate(), P50: m[0].at(0.50), P99: m[0].at(0.99), FloorP99: m[1].at(0.99),
		}
		f.reach(target, f.Ratio >= least)
		b.figures = append(b.figures, f)
		b.say("%s, %s: %.2f", name, db, f.Ratio)
		return nil
	}
	for _, s := range stores {
		s.daemon.alone(s.apart)
	}
	large, small := stores[len(stores)-1], stores[0]
	if large != small {
		for i, o := range large.ops {
			if !strings.HasPrefix(o.name, "lookup") {
				continue
			}
			if err := pair(fmt.Sprintf("%s among %d", o.name, large.people), fmt.Sprintf("the same among %d", small.people), ">= 1/1.5", 1/1.5,
				large.side(o, sideOurs), small.side(small.ops[i], sideOurs)); err != nil {
				return err
			}
		}
	}
	few := memberOp(smallGroup)
	for _, o := range large.ops {
		if o.name == memberOp(b.scim.group).name {
			return pair(o.name, fmt.Sprintf("the same in a group of %d", smallGroup), "the same (>= 0.8)", 0.8, large.side(o, sideOurs), large.side(few, sideOurs))
		}
	}
	return nil
}
