package store_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/store"
	"jmld/jml/engine"
	"jmld/model"
)

// D-18: what a change of one member needs to know of the group comes with the group.
func TestLoadSaysOfAGroupWhoIsInItAndWhetherItIsLarge(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		must(t, s.Commit(ctx, joined("entra", "0", "in")))
		must(t, s.Commit(ctx, joined("entra", "1", "out")))
		g, h := group("entra", "g", "G"), group("entra", "h", "H")
		must(t, s.Commit(ctx, &engine.Commit{Records: []engine.Write{{New: &g, AddMembers: []string{"r-0", "h", "unknown"}}, {New: &h}}}))
		for _, most := range []int{0, 2, 3} {
			got := get[[]engine.Person](t)(s.Load(ctx, []engine.Subject{{
				Source: "entra", Record: "g", Alone: true, Most: most, Members: []string{"r-0", "r-1", "h", "g", "unknown", "nobody"},
			}}))[0]
			want := engine.Person{Record: &g, Owners: map[model.Key]string{}, More: most == 2, Members: map[string]engine.Member{
				"r-0": {In: true, Kind: model.KindUser}, "r-1": {Kind: model.KindUser}, "h": {In: true, Kind: model.KindGroup},
				"g": {Kind: model.KindGroup}, "unknown": {In: true}, "nobody": {},
			}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("most %d: %s", most, diff)
			}
		}
	})
}

func TestReviewOfPeopleMarksThemAndNobodyElse(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		for i := range 4 {
			must(t, s.Commit(ctx, joined("entra", fmt.Sprint(i), fmt.Sprint("u", i))))
		}
		mark := func(second int, run string, ids ...string) {
			c := &engine.Commit{ReviewAt: at(second), ReviewRun: run}
			for _, id := range ids {
				c.People = append(c.People, engine.RecordRef{Source: "entra", ID: id})
			}
			must(t, s.Commit(ctx, c))
		}
		mark(30, "run-1", "r-0")
		mark(20, "", "r-0", "r-1", "nobody")
		mark(40, "run-2", "r-1", "r-2")
		mark(10, "", "nobody")
		type state struct {
			Version int64
			Review  string
			Run     string
		}
		got := map[string]state{}
		for _, p := range get[[]model.Identity](t)(s.People(ctx, model.PeopleQuery{})) {
			review := ""
			if p.ReviewAt != nil {
				review = p.ReviewAt.Sub(at(0)).String()
			}
			got[p.UserName] = state{p.Version, review, p.ReviewRun}
		}
		want := map[string]state{"u0": {3, "20s", "run-1"}, "u1": {3, "20s", "run-2"}, "u2": {2, "40s", "run-2"}, "u3": {1, "", ""}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}
