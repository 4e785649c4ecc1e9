package engine_test

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/testserver"
	"jmld/jml/engine"
	"jmld/model"
)

// dying is a store whose process dies: after so many writes nothing reaches it any more. With late set the last write reaches
// the database and its answer does not.
type dying struct {
	engine.Store
	left atomic.Int64
	late bool
}

var errDead = fmt.Errorf("killed: %w", model.ErrUnavailable)

func (d *dying) write(do func() error) error {
	switch left := d.left.Add(-1); {
	case left > 0:
		return do()
	case left == 0 && d.late:
		if err := do(); err != nil {
			return err
		}
	}
	return errDead
}

func (d *dying) dead() bool { return d.left.Load() <= 0 }

func (d *dying) Commit(ctx context.Context, c *engine.Commit) error {
	return d.write(func() error { return d.Store.Commit(ctx, c) })
}

func (d *dying) SealPlan(ctx context.Context, id string, s model.PlanState) (p model.Plan, err error) {
	err = d.write(func() error { p, err = d.Store.SealPlan(ctx, id, s); return err })
	return p, err
}

func (d *dying) DueReviews(ctx context.Context, by time.Time, lease time.Duration, limit int) (ids []string, err error) {
	err = d.write(func() error { ids, err = d.Store.DueReviews(ctx, by, lease, limit); return err })
	return ids, err
}

func (d *dying) UpdateRun(ctx context.Context, r *model.Run) error {
	return d.write(func() error { return d.Store.UpdateRun(ctx, r) })
}

func (d *dying) Release(ctx context.Context, name, owner string) error {
	return d.write(func() error { return d.Store.Release(ctx, name, owner) })
}

func (d *dying) Load(ctx context.Context, s []engine.Subject) ([]engine.Person, error) {
	if d.dead() {
		return nil, errDead
	}
	return d.Store.Load(ctx, s)
}

// doomed is the house's engine in a process that dies after n writes.
func (h *house) doomed(n int, late bool) (*engine.Engine, *dying) {
	d := &dying{Store: h.store, late: late}
	d.left.Store(int64(n))
	o := h.opts
	o.Store, o.Replica = d, "doomed"
	return engine.New(o), d
}

// bury ends the leases of dead runs, as time would.
func (h *house) bury() {
	h.t.Helper()
	if err := h.store.ForgetLeases(h.ctx, "source", time.Now().Add(24*time.Hour)); err != nil {
		h.t.Fatal(err)
	}
}

// tended runs the engine until the condition holds.
func (h *house) tended(what string, ok func() bool) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(h.ctx)
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Error(err)
		}
	}()
	for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			accounts, items := h.waiting()
			h.t.Fatalf("not in time: %s; %d accounts and %d items wait, app %v, platform %v", what, accounts, items, h.app.active(), h.plat.active())
		}
	}
}

// waiting counts accounts that wait in a plan, and the items of plans that can be approved.
func (h *house) waiting() (accounts, items int) {
	h.t.Helper()
	all, err := h.store.Accounts(h.ctx, model.AccountQuery{Limit: 1000})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, a := range all {
		if a.HeldPlan != "" {
			accounts++
		}
	}
	for _, p := range h.heldPlans() {
		items += p.Items
	}
	return accounts, items
}

func (h *house) heldPlans() []model.Plan {
	h.t.Helper()
	plans, err := h.store.Plans(h.ctx, []model.PlanState{model.PlanHeld}, 100)
	if err != nil {
		h.t.Fatal(err)
	}
	var out []model.Plan
	for _, p := range plans {
		if p.Items > 0 {
			out = append(out, p)
		}
	}
	return out
}

var eachWrite = flag.Bool("crash.all", false, "die at each write, before and after it") //nolint:gochecknoglobals // of this test binary

// crashes plays a test with a death after each number of writes, until the work is done before it. Without -crash.all a half of them are
// before the write and the other half after it.
func crashes(t *testing.T, test func(t *testing.T, h *house, n int, late bool) (died bool)) {
	t.Helper()
	for _, late := range []bool{false, true} {
		t.Run(fmt.Sprintf("sqlite/late=%v", late), func(t *testing.T) {
			t.Parallel()
			first, step := 1, 2
			switch {
			case *eachWrite:
				step = 1
			case late:
				first = 2
			}
			for n := first; n < 60; n += step {
				if died := test(t, newHouse(t, "sqlite:"+filepath.Join(t.TempDir(), "jmld.db")), n, late); !died || t.Failed() {
					return
				}
			}
			t.Error("never done")
		})
	}
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		for n := 2; n < 60; n += 5 {
			if died := test(t, newHouse(t, testserver.Postgres(t)), n, n%2 == 0); !died || t.Failed() {
				return
			}
		}
	})
}

func TestACrashAtAnyWriteOfARunRepeatsWork(t *testing.T) { // invariant 4
	t.Parallel()
	crashes(t, func(t *testing.T, h *house, n int, late bool) bool {
		h.dir.users = people(12)
		h.dir.groups = []model.Entry{group("builders", "dir-person000", "dir-person001", "dir-person002")}
		h.sync()
		h.dir.users = append(people(10), person(20)) // two are gone, one is new, one is inactive, one leaves the group
		h.dir.users[3].Active = false
		h.dir.groups = []model.Entry{group("builders", "dir-person000", "dir-person001", "dir-person020")}
		e, d := h.doomed(n, late)
		_, err := e.Sync(h.ctx, "corp", engine.SyncOptions{Trigger: "demand"})
		if died := d.dead(); died != (err != nil) && d.left.Load() < -1 {
			t.Logf("n=%d: dead %v and %v", n, died, err)
		}
		h.bury()
		h.sync()
		want := []string{"person000", "person001", "person002", "person004", "person005", "person006", "person007", "person008", "person009", "person020"}
		h.tended(fmt.Sprintf("the directory's state after %d writes", n), func() bool {
			accounts, items := h.waiting()
			return accounts+items == 0 && cmp.Equal(h.app.active(), want) &&
				cmp.Equal(h.plat.active(), []string{"person000", "person001", "person020"})
		})
		for id, n := range h.app.creates {
			if n != 1 {
				t.Errorf("account of %s created %d times", id, n)
			}
		}
		return d.dead()
	})
}

func TestACrashAtAnyWriteOfARunLetsNoHeldLeaverGo(t *testing.T) { // D-02, D-03
	t.Parallel()
	crashes(t, func(t *testing.T, h *house, n int, late bool) bool {
		h.dir.users = people(30)
		h.sync()
		h.dir.users = people(20)
		e, d := h.doomed(n, late)
		_, _ = e.Sync(h.ctx, "corp", engine.SyncOptions{Trigger: "demand"}) // dies somewhere
		h.bury()
		h.sync()
		h.tended("ten wait", func() bool {
			accounts, items := h.waiting()
			return accounts == 10 && items == 10
		})
		if diff := cmp.Diff(names(30), h.app.active()); diff != "" {
			t.Errorf("n=%d: held leavers left: %s", n, diff)
		}
		for _, p := range h.heldPlans() { // and an approval that dies is finished
			dead, dd := h.doomed(1+n%4, late)
			if _, err := dead.Approve(h.ctx, p.ID, p.Digest, "operator ada"); err != nil && !dd.dead() {
				t.Fatal(err)
			}
		}
		h.tended("approved or still held", func() bool {
			accounts, items := h.waiting()
			return accounts == items && accounts == 10*len(h.heldPlans()) // an approved plan that is not dealt with yet is neither
		})
		for _, p := range h.heldPlans() {
			if _, err := h.Approve(h.ctx, p.ID, p.Digest, "operator ada"); err != nil {
				t.Fatal(err)
			}
		}
		// What a worker had in hand when its engine was told to stop waits for the end of its lease.
		for end := time.Now().Add(3 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
			h.work()
			diff := cmp.Diff(names(20), h.app.active())
			if diff == "" {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("n=%d: after approval: %s", n, diff)
			}
		}
		return d.dead()
	})
}

// What a read under another configuration had stored when it died lets nobody go, whoever decides about it.
func TestACrashInANewEpochLetsNobodyGo(t *testing.T) { // D-07
	t.Parallel()
	crashes(t, func(t *testing.T, h *house, n int, late bool) bool {
		h.dir.profile = `{"groups.filter":"(a=b)"}`
		h.dir.users = people(10)
		h.dir.groups = []model.Entry{group("builders", "dir-person000", "dir-person001", "dir-person002")}
		h.sync()
		h.dir.profile = `{"groups.filter":"(a=c)"}`
		h.dir.groups[0].Members = h.dir.groups[0].Members[:1]
		e, d := h.doomed(n, late)
		_, _ = e.Sync(h.ctx, "corp", engine.SyncOptions{Trigger: "demand"}) // dies somewhere
		all := h.identities()
		c := &engine.Commit{}
		now := time.Now()
		for _, id := range all { // the marks come due
			if id.ReviewAt == nil {
				continue
			}
			next, past := id, now.Add(-time.Hour)
			next.ReviewAt = &past
			c.Identities = append(c.Identities, engine.IdentityWrite{New: next, Expect: id.Version})
		}
		if err := h.store.Commit(h.ctx, c); err != nil {
			t.Fatal(err)
		}
		h.tended("reviewed", func() bool {
			for _, id := range h.identities() {
				if id.ReviewAt != nil {
					return false
				}
			}
			return true
		})
		h.bury()
		h.sync()
		h.work()
		want := names(3)
		if diff := cmp.Diff(want, h.plat.active()); diff != "" {
			t.Errorf("n=%d: somebody left without approval: %s", n, diff)
		}
		return d.dead()
	})
}
