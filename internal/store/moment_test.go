package store_test

import (
	"fmt"
	"testing"

	"golang.org/x/sync/errgroup"

	"jmld/internal/store"
	"jmld/jml/engine"
	"jmld/model"
)

// A user and the groups, those in groups too, are of one moment: what one transaction wrote is seen as a whole.
func TestUserAndInheritedGroupsAreOfOneMoment(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		must(t, s.Commit(ctx, joined("entra", "1", "ada")))
		rec := get[model.Record](t)(s.Record(ctx, "entra", model.KindUser, "r-1"))
		outer, inner := group("entra", "outer", "state 0"), group("entra", "inner", "Inner")
		first := rec
		first.Attrs, first.Version = `{"title":"state 0"}`, rec.Version+1
		must(t, s.Commit(ctx, &engine.Commit{Records: []engine.Write{
			{Old: &rec, New: &first}, {New: &outer, AddMembers: []string{"inner"}}, {New: &inner, AddMembers: []string{"r-1"}},
		}}))
		var work errgroup.Group
		done := make(chan struct{})
		work.Go(func() error {
			defer close(done)
			was, above := first, outer
			for i := range 150 {
				state := fmt.Sprintf("state %d", i+1)
				now, next := was, above
				now.Attrs, now.Version = `{"title":"`+state+`"}`, was.Version+1
				next.DisplayName, next.DisplayNameKey, next.Version = state, state, above.Version+1
				old, oldAbove := was, above
				if err := s.Commit(ctx, &engine.Commit{Records: []engine.Write{{Old: &old, New: &now}, {Old: &oldAbove, New: &next}}}); err != nil {
					return err
				}
				was, above = now, next
			}
			return nil
		})
		for range 2 {
			work.Go(func() error {
				for {
					got, groups, err := s.WithGroups(ctx, "entra", "r-1")
					if err != nil {
						return err
					}
					if len(groups) != 2 || got.Attrs != `{"title":"`+groups[1].DisplayName+`"}` {
						return fmt.Errorf("%s in %+v", got.Attrs, groups)
					}
					select {
					case <-done:
						return nil
					default:
					}
				}
			})
		}
		if err := work.Wait(); err != nil {
			t.Error(err)
		}
	})
}
