package store_test

import (
	"testing"
	"time"

	"jmld/internal/store"
)

// A lease that ended long ago is forgotten with those beside it; one that somebody has, and any with another name, is not.
func TestLeasesBelowANameAreFoundAndForgotten(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		for name, ttl := range map[string]time.Duration{"rules:a:one": time.Hour, "rules:b:one": -time.Hour, "rulesalike": -time.Hour} {
			_, _, err := s.Acquire(ctx, name, "one", ttl)
			must(t, err)
		}
		for name, want := range map[string]bool{"rules:a": true, "rules:a:one": true, "rules": true, "rules:b": false, "rule": false} {
			if got := get[bool](t)(s.Leased(ctx, name)); got != want {
				t.Errorf("%s is leased: %t", name, got)
			}
		}
		now, err := s.Now(ctx)
		must(t, err)
		must(t, s.ForgetLeases(ctx, "rules", now.Add(-time.Minute)))
		for name, want := range map[string]int64{"rules:a:one": 1, "rules:b:one": 1, "rulesalike": 2} {
			owner := "one"
			if name != "rules:a:one" {
				owner = "two"
			}
			fence, ok, err := s.Acquire(ctx, name, owner, time.Hour)
			if err != nil || !ok || fence != want {
				t.Errorf("%s: fence %d, %t, %v", name, fence, ok, err)
			}
		}
	})
}
