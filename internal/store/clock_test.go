package store_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"jmld/internal/store"
	"jmld/internal/testserver"
	"jmld/model"
)

// A simulated clock stands still where it was put, for every connection; what is due is due by it.
func TestASimulatedClockIsTheClock(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func() string{
		"sqlite":   func() string { return "sqlite:" + filepath.Join(t.TempDir(), "jmld.db") },
		"postgres": func() string { return testserver.Postgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			ctx := ctxOf(t)
			s, err := store.Open(ctx, store.Options{URL: url(), Simulated: true})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			at := time.Date(2031, 5, 17, 22, 30, 0, 123456000, time.UTC)
			if err := s.SetClock(ctx, at); err != nil {
				t.Fatal(err)
			}
			if now, err := s.Now(ctx); err != nil || !now.Equal(at) {
				t.Fatalf("%s, %v; it was put at %s", now, err, at)
			}
			acquire := func(owner string) bool {
				_, ok, err := s.Acquire(ctx, "sweep", owner, time.Hour)
				if err != nil {
					t.Fatal(err)
				}
				return ok
			}
			if !acquire("one") || acquire("two") {
				t.Fatal("one has the lease for an hour")
			}
			if err := s.SetClock(ctx, at.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			if !acquire("two") {
				t.Error("an hour has passed, and the lease has not ended")
			}
		})
	}
}

func TestTheClockOfARealDatabaseCannotBeSet(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		if err := s.SetClock(ctxOf(t), time.Now()); !errors.Is(err, model.ErrInvalid) {
			t.Errorf("%v", err)
		}
	})
}
