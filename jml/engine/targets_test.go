package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/store"
	"jmld/internal/testserver"
	"jmld/jml/engine"
	"jmld/model"
)

// account is the one account of the app.
func (h *house) account() model.Account {
	h.t.Helper()
	all, err := h.store.Accounts(h.ctx, model.AccountQuery{Target: "app", Limit: 10})
	if err != nil || len(all) != 1 {
		h.t.Fatal(all, err)
	}
	return all[0]
}

// failedBefore makes the account look as if it had been tried so often, with that answer; it is due.
func (h *house) failedBefore(attempts int, code model.Code) {
	h.t.Helper()
	got, err := h.store.Claim(h.ctx, "app", "before", time.Minute, 1)
	if err != nil || len(got) != 1 {
		h.t.Fatal(got, err)
	}
	got[0].Attempts, got[0].ErrorCode, got[0].ErrorText = attempts, code, "before"
	if err := h.store.Fail(h.ctx, got[0], 0); err != nil {
		h.t.Fatal(err)
	}
}

func TestWhatBecomesOfAnAnswer(t *testing.T) { // D-19
	t.Parallel()
	unreachable := model.Errorf(model.CodeTargetUnreachable, "connection refused")
	for _, c := range []struct {
		name     string
		attempts int
		code     model.Code
		answer   error
		dead     bool
		now      int // attempts afterwards
		wantCode model.Code
		from, to time.Duration // due
	}{
		{"away for long is tried again soon", 50, model.CodeTargetUnreachable, unreachable, false, 51, model.CodeTargetUnreachable, 0, 50 * time.Second},
		{"the tries while it was away are not the account's", 50, model.CodeTargetUnreachable, model.Errorf(model.CodeTargetBroken, "500"),
			false, 1, model.CodeTargetBroken, 0, 10 * time.Second},
		{"twelve odd answers are enough", 11, model.CodeTargetBroken, model.Errorf(model.CodeTargetBroken, "500"), true, 12, model.CodeTargetBroken, 0, 0},
		{"no for ever is no", 0, "", engine.Permanent(model.Errorf(model.CodeTargetRefused, "no")), true, 1, model.CodeTargetRefused, 0, 0},
		{"a pause asked for is kept", 0, "", engine.After(model.Errorf(model.CodeTargetThrottled, "429"), 2*time.Hour), false, 1,
			model.CodeTargetThrottled, 119 * time.Minute, 2 * time.Hour},
		{"a plain error is retried", 0, "", errors.New("odd"), false, 1, model.CodeInternal, 0, 10 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, h *house) {
				if _, err := h.scim("entra", "e1", "ada", true, nil); err != nil {
					t.Fatal(err)
				}
				if c.attempts > 0 {
					h.failedBefore(c.attempts, c.code)
				}
				h.app.set(func(model.Account) error { return c.answer })
				h.work()
				a := h.account()
				if a.Dead != c.dead || a.Attempts != c.now || a.ErrorCode != c.wantCode || (a.DueAt == nil) != c.dead {
					t.Fatalf("%+v", a)
				}
				if a.DueAt == nil {
					return
				}
				if in := time.Until(*a.DueAt); in < c.from-time.Minute || in > c.to {
					t.Errorf("due in %s, want %s to %s", in, c.from, c.to)
				}
			})
		})
	}
}

func TestAPanicIsOneAccountsTrouble(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.app.set(func(a model.Account) error {
			if a.UserName == "p01" {
				panic("odd account")
			}
			return nil
		})
		h.pushes(4)
		if d := cmp.Diff([]string{"p00", "p02", "p03"}, h.app.active()); d != "" {
			t.Error(d)
		}
		dead, err := h.store.Accounts(h.ctx, model.AccountQuery{Dead: true, Limit: 10})
		if err != nil || len(dead) != 1 || dead[0].ErrorText != "target app: panic: odd account" {
			t.Errorf("%+v %v", dead, err)
		}
	})
}

func TestATargetThatIsAwayCatchesUp(t *testing.T) { // D-19
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		var away atomic.Bool
		away.Store(true)
		h.app.set(func(model.Account) error {
			if away.Load() {
				return model.Errorf(model.CodeTargetUnreachable, "connection refused")
			}
			return nil
		})
		ctx, cancel := context.WithCancel(h.ctx)
		done := make(chan error, 1)
		go func() { done <- h.Run(ctx) }()
		for i := range 60 {
			if _, err := h.scim("entra", fmt.Sprint(i), fmt.Sprintf("p%02d", i), true, nil); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(4 * time.Second)
		h.app.mu.Lock()
		calls := h.app.calls
		h.app.mu.Unlock()
		if calls == 0 || calls > 60 {
			t.Errorf("%d calls of a target that is away: the circuit should have opened", calls)
		}
		away.Store(false)
		up := time.Now()
		for len(h.app.active()) < 60 && time.Since(up) < 3*time.Minute {
			time.Sleep(20 * time.Millisecond)
		}
		if n := len(h.app.active()); n != 60 {
			t.Errorf("%d of 60 accounts %s after the target came back", n, time.Since(up))
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// slow is a target that answers only when the call ends.
type slow struct{ *target }

func (s slow) Ensure(ctx context.Context, _ model.Account) (model.Account, error) {
	<-ctx.Done()
	return model.Account{}, ctx.Err()
}

func TestATargetThatIsTooSlowIsNotTheAccountsFault(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		if _, err := h.scim("entra", "e1", "ada", true, nil); err != nil {
			t.Fatal(err)
		}
		h.opts.Targets = []engine.TargetSpec{{Target: slow{h.app}, Class: model.ClassApp, Timeout: 50 * time.Millisecond}}
		h.Engine = engine.New(h.opts)
		h.failedBefore(30, model.CodeTargetUnreachable)
		h.work()
		if a := h.account(); a.Dead || a.ErrorCode != model.CodeTargetUnreachable || a.Attempts != 31 {
			t.Errorf("%+v", a)
		}
	})
}

func TestAWorkerThatDiesIsFollowedAndFenced(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		if _, err := h.scim("entra", "e1", "ada", true, nil); err != nil {
			t.Fatal(err)
		}
		dead, err := h.store.Claim(h.ctx, "app", "dead", time.Second, 10)
		if err != nil || len(dead) != 1 {
			t.Fatal(dead, err)
		}
		h.work()
		if len(h.app.active()) != 0 {
			t.Error("somebody else's claim was not respected")
		}
		h.tended("settled after the lease", func() bool { return len(h.app.active()) == 1 && h.account().AppliedRev == 1 })
		late := dead[0]
		late.AppliedState, late.Applied, late.NativeID = model.AccountInactive, "{}", "old"
		if err := h.store.Settle(h.ctx, late); !errors.Is(err, model.ErrStale) {
			t.Errorf("the dead worker's answer was stored: %v", err)
		}
	})
}

func TestAChangeWhileTheTargetWorksIsAppliedToo(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		var once atomic.Bool
		h.app.set(func(model.Account) error {
			if once.CompareAndSwap(false, true) { // deactivated in the middle of the create
				if _, err := h.scim("entra", "e1", "ada", false, nil); err != nil {
					t.Error(err)
				}
			}
			return nil
		})
		if _, err := h.scim("entra", "e1", "ada", true, nil); err != nil {
			t.Fatal(err)
		}
		h.work()
		if a := h.account(); a.AppliedState != model.AccountInactive || a.AppliedRev != a.DesiredRev {
			t.Errorf("%+v", a)
		}
	})
}

// often is a schedule with a time every two seconds.
type often struct{}

func (often) Next(t time.Time) time.Time { return t.Truncate(2 * time.Second).Add(2 * time.Second) }

func TestThreeReplicasDoEachPieceOfWorkOnce(t *testing.T) { // DESIGN: several processes on one PostgreSQL
	t.Parallel()
	url := testserver.Postgres(t)
	h := newHouse(t, url)
	h.dir.users = people(60)
	h.dir.groups = []model.Entry{group("builders", "dir-person000", "dir-person001")}
	var reads atomic.Int64
	h.dir.during = func() { reads.Add(1) }
	h.opts.Sources[0].Schedule = often{}
	ctx, cancel := context.WithCancel(h.ctx)
	done := make(chan error, 3)
	for _, name := range []string{"one", "two", "three"} {
		s, err := store.Open(ctx, store.Options{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		o := h.opts
		o.Store, o.Replica = s, name
		e := engine.New(o)
		go func() { done <- e.Run(ctx) }()
	}
	time.Sleep(9 * time.Second)
	cancel()
	for range 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if d := cmp.Diff(names(60), h.app.active()); d != "" {
		t.Error(d)
	}
	for id, n := range h.app.creates {
		if n != 1 {
			t.Errorf("account of %s created %d times", id, n)
		}
	}
	if want := 62; h.app.calls+h.plat.calls != want {
		t.Errorf("%d calls, want %d", h.app.calls+h.plat.calls, want)
	}
	runs, err := h.store.RunList(h.ctx, "corp", 100, "")
	if err != nil {
		t.Fatal(err)
	}
	times := map[time.Time]bool{}
	for _, r := range runs {
		if r.ScheduledAt == nil || times[*r.ScheduledAt] {
			t.Errorf("run twice, or without a time: %+v", r)
			continue
		}
		times[*r.ScheduledAt] = true
	}
	if n := int(reads.Load()); n < 3 || n > len(runs) {
		t.Errorf("%d reads, %d runs", n, len(runs))
	}
}

// hourly is a schedule of full hours.
type hourly struct{}

func (hourly) Next(t time.Time) time.Time { return t.Truncate(time.Hour).Add(time.Hour) }

// never is a schedule without times.
type never struct{}

func (never) Next(time.Time) time.Time { return time.Time{} }

// Keycloak #43752: several nodes read at once, and a read that died kept all others out.
func TestMissedAndInterruptedReadsAreMadeUpForOnce(t *testing.T) { // D-11
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.dir.users = people(3)
		var reads atomic.Int64
		h.dir.during = func() { reads.Add(1) }
		h.opts.Sources[0].Schedule = never{}
		h.Engine = engine.New(h.opts)
		ctx, cancel := context.WithTimeout(h.ctx, time.Second)
		if err := h.Run(ctx); reads.Load() != 0 || err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a schedule without times read %d times: %v", reads.Load(), err)
		}
		cancel()
		then := time.Now().UTC().Add(-100 * time.Hour).Truncate(time.Hour)
		dead := model.Run{ID: model.NewID(then), Job: "read:corp", Source: "corp", Trigger: "schedule", ScheduledAt: &then,
			State: model.RunRunning, StartedAt: then, HeartbeatAt: then}
		if err := h.store.StartRun(h.ctx, &dead); err != nil {
			t.Fatal(err)
		}
		h.opts.Sources[0].Schedule = hourly{}
		h.Engine = engine.New(h.opts)
		h.tended("the dead run and the missed ones", func() bool {
			runs, err := h.store.RunList(h.ctx, "corp", 10, "")
			return err == nil && reads.Load() >= 2 && !slices.ContainsFunc(runs, func(r model.Run) bool { return r.FinishedAt == nil && r.ID != dead.ID })
		})
		runs, err := h.store.RunList(h.ctx, "corp", 10, "")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range runs {
			got = append(got, r.Trigger+" "+string(r.State))
		}
		slices.Sort(got)
		if d := cmp.Diff([]string{"schedule abandoned", "schedule succeeded", "start succeeded"}, got); d != "" {
			t.Error(d)
		}
	})
}

func TestTheDatabaseGoesAwayAndComesBack(t *testing.T) { // nothing accepted is lost
	t.Parallel()
	server := testserver.StartPostgres(t, testserver.PostgresOptions{})
	h := newHouse(t, server.Database(t))
	h.dir.users = people(10)
	h.sync()
	ctx, cancel := context.WithCancel(h.ctx)
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	accepted := map[string]bool{}
	push := func(i int) error {
		_, err := h.scim("entra", fmt.Sprint(i), fmt.Sprintf("p%02d", i), true, nil)
		if err == nil {
			accepted[fmt.Sprintf("p%02d", i)] = true
		}
		return err
	}
	for i := range 10 {
		if err := push(i); err != nil {
			t.Fatal(err)
		}
	}
	h.dir.users = people(8)
	h.dir.during = func() { server.Stop(t) } // in the middle of a read
	if _, err := h.Sync(h.ctx, "corp", engine.SyncOptions{Trigger: "demand"}); !errors.Is(err, model.ErrUnavailable) {
		t.Errorf("read without a database: %v", err)
	}
	h.dir.during = nil
	if err := push(10); !errors.Is(err, model.ErrUnavailable) {
		t.Errorf("push without a database: %v", err)
	}
	server.Start(t)
	for i := 11; i < 14; i++ {
		for end := time.Now().Add(2 * time.Minute); push(i) != nil; time.Sleep(100 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the database is back and pushes fail")
			}
		}
	}
	h.bury()
	if _, err := h.Sync(h.ctx, "corp", engine.SyncOptions{Trigger: "demand"}); err != nil {
		t.Fatal(err)
	}
	want := names(8)
	for name := range accepted {
		want = append(want, name)
	}
	slices.Sort(want)
	for end := time.Now().Add(3 * time.Minute); !cmp.Equal(want, h.app.active()) && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	if d := cmp.Diff(want, h.app.active()); d != "" {
		t.Error(d)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
