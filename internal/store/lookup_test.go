package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"jmld/internal/testserver"
)

// crowd is a store whose one round trip at a time is under way until free is called: whoever asks now shares the next one.
type crowd struct {
	*Store
	t      *testing.T
	db     *pgDB
	free   func()
	before int64 // connections asked for before it was free
}

func newCrowd(t *testing.T) *crowd {
	c := &crowd{Store: openHere(t, testserver.Postgres(t)), t: t}
	c.db = c.Store.db.(*pgDB)
	c.db.lookups.most, c.db.lookups.patience = 1, time.Hour
	return c
}

// waiters are those of the database that wait for such a lock.
const waiters = "FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"

// lock takes a lock until unlock is called.
func (c *crowd) lock(key int) (unlock func()) {
	c.t.Helper()
	conn, err := c.db.pool.Acquire(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	unlock = sync.OnceFunc(func() {
		conn.Conn().Close(context.Background())
		conn.Release()
	})
	c.t.Cleanup(unlock) // the store cannot be closed before
	if _, err := conn.Exec(c.t.Context(), "SELECT pg_advisory_lock($1)", key); err != nil {
		c.t.Fatal(err)
	}
	return unlock
}

// hold begins a round trip that waits for a lock.
func (c *crowd) hold() {
	unlock := c.lock(7)
	held := make(chan error, 1)
	go func() {
		held <- c.lookup(c.t.Context(), op{text: "SELECT pg_advisory_lock_shared(7)", each: func(scanner) error { return nil }})
	}()
	c.until("SELECT count(*) "+waiters, 1)
	c.free = func() {
		c.before = c.db.pool.Stat().AcquireCount()
		unlock()
		if err := <-held; err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *crowd) until(count string, want int64) {
	c.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		var n int64
		if err := c.read(c.t.Context(), op{text: count, each: func(row scanner) error { return row.Scan(&n) }}); err != nil {
			c.t.Fatal(err)
		}
		if n == want {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("%s: %d, not %d", count, n, want)
		}
	}
}

// queued waits until so many wait for the next round trip.
func (c *crowd) queued(want int) {
	c.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		c.db.lookups.mu.Lock()
		n := len(c.db.lookups.waiting)
		c.db.lookups.mu.Unlock()
		if n == want {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("%d wait, not %d", n, want)
		}
	}
}

// fate is what became of a lookup.
type fate struct {
	rows  []int64
	err   error
	crash any
}

// ask lets each of the statements be asked by somebody, in this order, while a round trip is under way, and returns what they got.
func (c *crowd) ask(each func(n int64) error, statements ...[]op) []fate {
	c.hold()
	out := make([]fate, len(statements))
	var wg sync.WaitGroup
	for i, ops := range statements {
		for j := range ops {
			ops[j].each = func(row scanner) error {
				var n int64
				if err := row.Scan(&n); err != nil {
					return err
				}
				out[i].rows = append(out[i].rows, n)
				return each(n)
			}
		}
		wg.Go(func() {
			defer func() { out[i].crash = recover() }()
			out[i].err = c.lookup(c.t.Context(), ops...)
		})
		c.queued(i + 1)
	}
	c.free()
	wg.Wait()
	return out
}

func rowsOf(from, to int64) op {
	return op{text: "SELECT generate_series($1::bigint, $2::bigint)", args: []any{from, to}}
}

func nothing(int64) error { return nil }

// Everybody gets the own rows, however many share a round trip, and however many rows and statements the others have.
func TestLookupsThatShareARoundTripGetTheirOwn(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	var all [][]op
	for i := range int64(3*mostShared + 1) {
		all = append(all, []op{rowsOf(10*i, 10*i+i%4-1), rowsOf(1000+i, 1000+i)})
	}
	for i, got := range c.ask(nothing, all...) {
		var want []int64
		for n := range int64(i % 4) {
			want = append(want, 10*int64(i)+n)
		}
		want = append(want, 1000+int64(i))
		if got.err != nil || got.crash != nil || fmt.Sprint(got.rows) != fmt.Sprint(want) {
			t.Errorf("%d: %v %v %v, not %v", i, got.rows, got.err, got.crash, want)
		}
	}
	if n := c.db.pool.Stat().AcquireCount() - c.before; n != 4 {
		t.Errorf("%d round trips for %d lookups", n, len(all))
	}
}

// What is wrong with one of them is nobody else's, and nobody gets a row twice.
func TestALookupThatFailsFailsAlone(t *testing.T) {
	t.Parallel()
	const own, crash = "no such row", "in a row"
	bad := op{text: "SELECT 1 / $1::bigint", args: []any{int64(0)}}
	late := op{text: "SELECT 3 / (2 - n) FROM generate_series(1::bigint, 3) AS n"} // after its first row
	type want struct{ rows, err, crash string }
	one, two, three := want{rows: "[1]"}, want{rows: "[2]"}, want{rows: "[3 4]"}
	for name, tt := range map[string]struct {
		odd  []op
		want want
	}{
		"the statement":           {[]op{bad}, want{"[]", "division by zero", ""}},
		"the second statement":    {[]op{rowsOf(5, 5), bad}, want{"[5]", "division by zero", ""}},
		"after a row":             {[]op{late}, want{"[3]", "division by zero", ""}},
		"what is done with a row": {[]op{rowsOf(8, 9)}, want{"[8]", own, ""}},
		"before another":          {[]op{rowsOf(8, 9), rowsOf(10, 10)}, want{"[8]", own, ""}},
		"a panic":                 {[]op{rowsOf(66, 67)}, want{"[66]", "", crash}},
		"a panic before another":  {[]op{rowsOf(66, 67), rowsOf(10, 10)}, want{"[66]", "", crash}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := newCrowd(t).ask(func(n int64) error {
				switch n {
				case 8:
					return errors.New(own)
				case 66:
					panic(crash)
				}
				return nil
			}, []op{rowsOf(1, 1)}, []op{rowsOf(2, 2)}, tt.odd, []op{rowsOf(3, 4)}, []op{rowsOf(1, 1)})
			for i, want := range []want{one, two, tt.want, three, one} {
				g := got[i]
				if fmt.Sprint(g.rows) != want.rows || (g.err == nil) != (want.err == "") || g.err != nil && !strings.Contains(g.err.Error(), want.err) ||
					(g.crash == nil) != (want.crash == "") || g.crash != nil && !strings.Contains(fmt.Sprint(g.crash), want.crash) {
					t.Errorf("%d: %v %v %v", i, g.rows, g.err, g.crash)
				}
			}
		})
	}
}

// Who goes does not wait for the others, and gets no row afterwards.
func TestWhoLeavesALookupGetsNothing(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	c.hold()
	leaving := func(queue int, texts ...string) (leave func()) {
		var gone bool
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		var ops []op
		for _, text := range texts {
			ops = append(ops, op{text: text, each: func(scanner) error {
				if gone {
					t.Error("a row for somebody who has gone")
				}
				return nil
			}})
		}
		go func() { done <- c.lookup(ctx, ops...) }()
		c.queued(queue)
		return func() {
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("who left got %v", err)
			}
			gone = true
		}
	}
	early := leaving(1, "SELECT 1")
	late := leaving(2, "SELECT pg_advisory_lock_shared(8)", "SELECT 2")
	stays := make(chan error, 1)
	go func() { stays <- c.lookup(t.Context(), op{text: "SELECT 3", each: func(scanner) error { return nil }}) }()
	c.queued(3)
	early()
	unlock := c.lock(8)
	c.free()
	c.until("SELECT count(*) "+waiters, 1)
	late() // while its round trip is under way
	unlock()
	if err := <-stays; err != nil {
		t.Error(err)
	}
	c.idle()
}

// idle waits until no round trip is under way any more.
func (c *crowd) idle() {
	c.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		c.db.lookups.mu.Lock()
		under, waiting := c.db.lookups.underway, len(c.db.lookups.waiting)
		c.db.lookups.mu.Unlock()
		if under == 0 && waiting == 0 {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("%d round trips under way, %d wait", under, waiting)
		}
	}
}

// A connection that is cut below a shared round trip costs nobody an answer.
func TestLookupsOutliveTheirConnection(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	c.hold()
	const askers = mostShared + 5
	var wg sync.WaitGroup
	for i := range askers {
		wg.Go(func() {
			var n int64
			ops := []op{{text: "SELECT pg_advisory_lock_shared(8), pg_advisory_unlock_shared(8)", each: func(scanner) error { return nil }},
				{text: "SELECT $1::bigint", args: []any{int64(i)}, each: func(row scanner) error { return row.Scan(&n) }}}
			if i > 0 {
				ops = ops[1:]
			}
			err := c.lookup(t.Context(), ops...)
			if err != nil || n != int64(i) {
				t.Errorf("%d: %d %v", i, n, err)
			}
		})
		c.queued(i + 1)
	}
	unlock := c.lock(8)
	c.free()
	c.until("SELECT count(*) "+waiters, 1)
	if err := c.read(t.Context(), op{text: "SELECT pg_terminate_backend(pid) " + waiters}); err != nil {
		t.Fatal(err)
	}
	unlock()
	wg.Wait()
	c.idle()
}

// Who waits long for others asks alone, unless the answer has begun: a connection that says nothing any more is not everybody's.
func TestALookupDoesNotWaitForOneThatHangs(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	c.db.lookups.patience = time.Second
	c.hold()
	ask := func(queue int, texts ...string) <-chan error {
		var rows []int64
		var ops []op
		for _, text := range texts {
			ops = append(ops, op{text: text, each: func(row scanner) error {
				rows = append(rows, 0)
				return row.Scan(&rows[len(rows)-1])
			}})
		}
		done := make(chan error, 1)
		go func() {
			err := c.lookup(t.Context(), ops...)
			if want := []int64{1, 2}; err == nil && !slices.Equal(rows, want) {
				err = fmt.Errorf("%d, not %d", rows, want)
			}
			done <- err
		}()
		c.queued(queue)
		return done
	}
	hangs := ask(1, "SELECT 1::bigint", "SELECT 2::bigint FROM pg_advisory_lock_shared(8)")
	beside := ask(2, "SELECT 1::bigint", "SELECT 2::bigint")
	unlock := c.lock(8)
	c.free()
	c.until("SELECT count(*) "+waiters, 1)
	for _, answer := range []<-chan error{beside, ask(1, "SELECT 1::bigint", "SELECT 2::bigint")} {
		if err := <-answer; err != nil {
			t.Error(err)
		}
	}
	select {
	case err := <-hangs:
		t.Error("it hangs no more:", err)
	default:
	}
	unlock()
	if err := <-hangs; err != nil {
		t.Error(err)
	}
	c.idle()
}
