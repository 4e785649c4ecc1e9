package store_test

import (
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"jmld/internal/store"
	"jmld/jml/engine"
	"jmld/model"
)

// One record is loaded by statements of its own.
func TestLoadFindsTheSameForOneRecordAsForSeveral(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		must(t, s.Commit(ctx, joined("entra", "1", "ada")))
		must(t, s.Commit(ctx, joined("entra", "2", "bob")))
		must(t, s.Commit(ctx, joined("entra", "3", "eve")))
		must(t, s.Commit(ctx, joined("entra", "4", "joe")))
		ada := *get[[]engine.Person](t)(s.Load(ctx, []engine.Subject{{Source: "entra", Record: "r-1"}}))[0].Identity
		must(t, s.Commit(ctx, &engine.Commit{Identities: []engine.IdentityWrite{{New: ada, Expect: ada.Version,
			AddKeys: []model.Key{{Name: "employeeNumber", Value: "7\"ü\\,\n\u2028"}}}}}))
		first := ada.ID
		second := user("entra", "r-1b", "ada2", first)
		top, mid, cycle, flat := group("entra", "g", "Top"), group("entra", "h", "mid"), group("entra", "z", "Cycle"), group("entra", "f", "Flat")
		must(t, s.Commit(ctx, &engine.Commit{Records: []engine.Write{
			{New: &second}, {New: &top, AddMembers: []string{"h"}}, {New: &mid, AddMembers: []string{"r-1", "z"}},
			{New: &cycle, AddMembers: []string{"h"}}, {New: &flat, AddMembers: []string{"r-1", "r-1b", "r-2", "unknown"}},
		}}))
		unknown := group("entra", "unknown", "Unknown")
		must(t, s.Commit(ctx, &engine.Commit{Records: []engine.Write{{New: &unknown, AddMembers: []string{"r-3"}}}}))
		renamed := mid
		renamed.DisplayName, renamed.DisplayNameKey, renamed.Version = "middle", "middle", 2
		must(t, s.Commit(ctx, &engine.Commit{Records: []engine.Write{{Old: &mid, New: &renamed}}}))
		for id, want := range map[string]int{"r-1": 4, "r-1b": 4, "r-2": 1, "r-3": 2, "r-4": 0} {
			one := get[[]engine.Person](t)(s.Load(ctx, []engine.Subject{{Source: "entra", Record: id}}))[0]
			several := get[[]engine.Person](t)(s.Load(ctx, []engine.Subject{{Source: "entra", Record: id}, {Source: "entra", Record: "none"}}))[0]
			if diff := gocmp.Diff(several, one); diff != "" || len(one.Groups) != want || len(one.Keys) == 0 {
				t.Errorf("%s: %d groups, %s", id, len(one.Groups), diff)
			}
		}
		bob := get[[]engine.Person](t)(s.Load(ctx, []engine.Subject{{Source: "entra", Record: "r-2"}}))[0]
		if diff := gocmp.Diff([]model.Membership{{Source: "entra", GroupID: "f", DisplayName: "Flat", Direct: true}}, bob.Groups); diff != "" {
			t.Error(diff)
		}
	})
}
