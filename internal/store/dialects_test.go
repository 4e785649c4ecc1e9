package store_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/store"
	"jmld/model"
)

// D-15: what several replicas saw adds up, the first and the last time are those of all, and the example is the last one.
func TestDialectsAddUp(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		at := func(sec int) time.Time { return time.Date(2026, 11, 22, 10, 0, sec, 123000, time.UTC) }
		use := func(source, dialect, note string, n int, first, last int, id string) model.DialectUse {
			return model.DialectUse{Source: source, Dialect: dialect, Note: note, Requests: n, FirstAt: at(first), LastAt: at(last),
				RequestID: "request " + id, RecordID: "record " + id}
		}
		must(t, s.CountDialects(ctx, nil))
		must(t, s.CountDialects(ctx, []model.DialectUse{
			use("entra", "RFC 7644", "", 3, 10, 20, "a"), use("entra", "Entra legacy PATCH", "", 5, 10, 30, "b"),
			use("entra", "Entra legacy PATCH", "x", 1, 30, 30, "b"), use("okta", "Okta", "", 1, 1, 1, "c"),
		}))
		must(t, s.CountDialects(ctx, []model.DialectUse{ // of a replica that was slower
			use("entra", "Entra legacy PATCH", "x", 2, 5, 25, "d"), use("entra", "Entra legacy PATCH", "y", 9, 6, 31, "e"),
			use("entra", "RFC 7644", "", 1, 15, 40, "f"),
		}))
		want := []model.DialectUse{
			use("entra", "Entra legacy PATCH", "", 5, 10, 30, "b"), use("entra", "Entra legacy PATCH", "y", 9, 6, 31, "e"),
			use("entra", "Entra legacy PATCH", "x", 3, 5, 30, "b"), use("entra", "RFC 7644", "", 4, 10, 40, "f"),
		}
		got, err := s.Dialects(ctx, "entra")
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		got, err = s.Dialects(ctx, "")
		must(t, err)
		if diff := cmp.Diff(append(want, use("okta", "Okta", "", 1, 1, 1, "c")), got); diff != "" {
			t.Error(diff)
		}
	})
}

// Replicas that count the same at once lose nothing, and of what a client makes up only the last is kept.
func TestDialectsAreCountedAtOnceAndBounded(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 5 {
					for {
						err := s.CountDialects(ctx, []model.DialectUse{
							{Source: "okta", Dialect: "b", Requests: 1, FirstAt: now, LastAt: now}, {Source: "okta", Dialect: "a", Requests: 1, FirstAt: now, LastAt: now},
						})
						if err == nil {
							break
						}
						if ctx.Err() != nil {
							t.Error(err)
							return
						}
					}
				}
			})
		}
		wg.Wait()
		for i := range 3 {
			var uses []model.DialectUse
			for n := range 300 {
				uses = append(uses, model.DialectUse{Source: "entra", Dialect: "unknown", Note: fmt.Sprintf("made up %d.%03d", i, n), Requests: 1,
					FirstAt: now.Add(time.Duration(i) * time.Second), LastAt: now.Add(time.Duration(i) * time.Second)})
			}
			must(t, s.CountDialects(ctx, uses))
		}
		got, err := s.Dialects(ctx, "")
		must(t, err)
		if len(got) != 502 || got[500].Requests != 20 || got[501].Requests != 20 || got[499].Note != "made up 2.299" || got[0].Note != "made up 1.000" {
			t.Errorf("%d rows, %+v", len(got), got[len(got)-3:])
		}
	})
}
