package engine_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"jmld/jml/engine"
	"jmld/model"
)

// A read is stopped from another process: it ends, proves nothing, says who stopped it, and takes nothing from anybody.
func TestARunningReadIsStopped(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		late := h.opts
		late.Now = func() time.Time { return time.Now().Add(-10 * time.Minute) } // whose clock is behind the database's
		h.Engine = engine.New(late)
		h.dir.users = people(20)
		h.sync()
		if _, err := h.Engine.Stop(h.ctx, "corp", "ada"); !errors.Is(err, model.ErrNotFound) {
			t.Errorf("nobody reads: %v", err)
		}
		other := h.opts
		other.Replica = "two"
		stopper := engine.New(other)
		var stopped model.Run
		var stopErr error
		done := make(chan struct{})
		began := false
		h.dir.users = h.dir.users[:10]
		h.dir.during = func() {
			if began {
				return
			}
			began = true
			go func() { stopped, stopErr = stopper.Stop(h.ctx, "corp", "ada"); close(done) }()
		}
		h.dir.hold = func(ctx context.Context) {
			select {
			case <-ctx.Done():
			case <-time.After(time.Minute):
				t.Error("nobody stops the read")
			}
		}
		out, err := h.Sync(h.ctx, "corp", engine.SyncOptions{Trigger: "schedule"})
		if <-done; stopErr != nil {
			t.Fatal(stopErr)
		}
		if model.CodeOf(err) != model.CodeSourceStopped || !strings.Contains(err.Error(), "stopped by ada") || out.Run.Verdict != model.VerdictIncomplete {
			t.Errorf("the read: %v, %s", err, out.Run.Verdict)
		}
		if stopped.ID != out.Run.ID || stopped.State != model.RunFailed || stopped.ErrorCode != model.CodeSourceStopped ||
			stopped.Verdict != model.VerdictIncomplete || !strings.Contains(stopped.ErrorText, "stopped by ada") {
			t.Errorf("the run: %+v", stopped)
		}
		h.dir.during, h.dir.hold, h.dir.users = nil, nil, people(20)
		if out := h.sync(); !out.Proof.Complete || out.Funnel.Unchanged != 20 {
			t.Errorf("afterwards: %+v", out.Funnel)
		}
	})
}

// Ctrl-C and the end of the daemon are written down as what they are.
func TestAReadThatIsCancelledSaysByWhom(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "sqlite:"+t.TempDir()+"/jmld.db")
	h.dir.users = people(5)
	for trigger, want := range map[string]string{"demand": "stopped by ada", "schedule": "the daemon was told to end"} {
		ctx, cancel := context.WithCancel(h.ctx)
		h.dir.during = cancel
		out, err := h.Sync(ctx, "corp", engine.SyncOptions{Trigger: trigger, Actor: "ada"})
		cancel()
		if !errors.Is(err, context.Canceled) || out.Run.ErrorCode != model.CodeSourceStopped || !strings.Contains(out.Run.ErrorText, want) {
			t.Errorf("%s: %v, run %s %s", trigger, err, out.Run.ErrorCode, out.Run.ErrorText)
		}
	}
}

// A scheduled read that was cut short by the end of its daemon is made up for once, by the next daemon; also when a read of changes found it dead, or
// when the one that made up for it was cut short, too. One that always is, is given up.
func TestAReadThatWasCutShortIsMadeUpFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		state model.RunState
		code  model.Code
		text  string
		tries int // that were cut short like it
		again int64
	}{
		{"told to end", model.RunFailed, model.CodeSourceStopped, "the daemon was told to end: interrupted", 0, 1},
		{"found dead", model.RunAbandoned, "", "", 0, 1},
		{"dead", model.RunRunning, "", "", 0, 1},
		{"found dead twice", model.RunAbandoned, "", "", 1, 1},
		{"found dead again and again", model.RunAbandoned, "", "", 3, 0},
		{"stopped by a person", model.RunFailed, model.CodeSourceStopped, "stopped by ada", 0, 0},
		{"failed", model.RunFailed, model.CodeSourceTLS, "no certificate", 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, h *house) {
				h.dir.users = people(3)
				var reads atomic.Int64
				h.dir.during = func() { reads.Add(1) }
				at := time.Now().UTC().Add(-2 * time.Minute).Truncate(time.Millisecond)
				cut := model.Run{ID: model.NewID(at), Job: "read:corp", Source: "corp", Trigger: "schedule", ScheduledAt: &at, State: c.state, ErrorCode: c.code,
					ErrorText: c.text, StartedAt: at, HeartbeatAt: at, FinishedAt: &at}
				for i := range c.tries + 1 {
					if err := h.store.StartRun(h.ctx, &cut); err != nil {
						t.Fatal(err)
					}
					cut.ID, cut.Trigger, cut.ScheduledAt = model.NewID(at.Add(time.Duration(i+1)*time.Second)), "start", nil
				}
				h.opts.Sources[0].Schedule = shifted(time.Now().UTC().Add(30 * time.Minute).Sub(time.Now().UTC().Add(30 * time.Minute).Truncate(time.Hour)))
				h.Engine = engine.New(h.opts)
				if c.again > 0 {
					h.tended("the read", func() bool { return len(h.finished()) == c.tries+2 })
					h.Engine = engine.New(h.opts)
				}
				h.runs(3 * time.Second)
				if n := reads.Load(); n != c.again {
					t.Errorf("%d reads, want %d", n, c.again)
				}
			})
		})
	}
}

// After refused binds scheduled reads leave the account alone for longer and longer, whoever runs them; an operator may try, and
// success ends it.
func TestRefusedBindsPause(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		now := time.Now()
		opts := h.opts
		opts.Now = func() time.Time { return now }
		e := engine.New(opts)
		h.dir.users = people(3)
		refusal := model.Errorf(model.CodeSourceLocked, "the account is locked")
		h.dir.fail, h.dir.stop = refusal, 0
		read := func(trigger string) model.Code {
			now = now.Add(time.Second)
			out, err := e.Sync(h.ctx, "corp", engine.SyncOptions{Trigger: trigger})
			if err == nil && out.Run.ErrorCode != "" {
				t.Fatalf("no error, and %s", out.Run.ErrorCode)
			}
			return model.CodeOf(err)
		}
		for _, pause := range []time.Duration{30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 8 * time.Hour} {
			if code := read("schedule"); code != model.CodeSourceLocked {
				t.Fatalf("before a pause of %s: %s", pause, code)
			}
			for range 3 {
				now = now.Add(pause/3 - 2*time.Second)
				if code := read("schedule"); code != model.CodeSourcePaused {
					t.Fatalf("in a pause of %s: %s", pause, code)
				}
			}
			now = now.Add(10 * time.Second)
		}
		for i := range 205 { // a read every minute leaves many
			at := now.Add(time.Duration(i) * time.Millisecond)
			paused := model.Run{ID: model.NewID(at), Job: "delta:corp", Source: "corp", State: model.RunFailed, ErrorCode: model.CodeSourcePaused,
				StartedAt: at, HeartbeatAt: at, FinishedAt: &at}
			if err := h.store.StartRun(h.ctx, &paused); err != nil {
				t.Fatal(err)
			}
		}
		if code := read("schedule"); code != model.CodeSourceLocked {
			t.Fatalf("after a pause with many reads: %s", code)
		}
		now = now.Add(7 * time.Hour)
		if code := read("schedule"); code != model.CodeSourcePaused {
			t.Errorf("refusals are out of sight: %s", code)
		}
		if code := read("demand"); code != model.CodeSourceLocked {
			t.Errorf("an operator: %s", code)
		}
		if code := read("schedule"); code != model.CodeSourcePaused {
			t.Errorf("after that: %s", code)
		}
		h.dir.fail = nil
		if code := read("demand"); code != model.CodeInternal { // no error
			t.Errorf("mended: %s", code)
		}
		h.dir.fail = refusal
		if code := read("schedule"); code != model.CodeSourceLocked {
			t.Errorf("success ends the pause: %s", code)
		}
	})
}

// queued lets somebody else's read end while the lease is waited for.
type queued struct {
	engine.Store
	before func() error
}

func (q *queued) Acquire(ctx context.Context, name, owner string, ttl time.Duration) (int64, bool, error) {
	if err := q.before(); err != nil {
		return 0, false, err
	}
	return q.Store.Acquire(ctx, name, owner, ttl)
}

// A run begins when it may read, not when it began to wait: it is never listed as having run beside another one, nor before it.
func TestARunBeginsWithItsLease(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.dir.users = people(3)
		var first engine.Synced
		o := h.opts
		o.Replica = "two"
		o.Store = &queued{Store: h.store, before: sync.OnceValue(func() (err error) {
			first, err = h.Sync(h.ctx, "corp", engine.SyncOptions{Trigger: "demand"})
			return err
		})}
		second, err := engine.New(o).Sync(h.ctx, "corp", engine.SyncOptions{Trigger: "demand"})
		if err != nil {
			t.Fatal(err)
		}
		runs, err := h.store.RunList(h.ctx, "corp", 10, "")
		if err != nil {
			t.Fatal(err)
		}
		if len(runs) != 2 || runs[0].ID != second.Run.ID || runs[1].ID != first.Run.ID || runs[1].FinishedAt.After(runs[0].StartedAt) {
			t.Errorf("the newest first: %+v", runs)
		}
	})
}
