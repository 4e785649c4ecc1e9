package store_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/store"
	"jmld/jml/engine"
)

// Of a group that is renamed again and again the last names are kept, and loaded with each member.
func TestOnlyTheLastNamesOfAGroupAreKept(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		must(t, s.Commit(ctx, joined("entra", "1", "ada")))
		g := group("entra", "g", "name 0")
		must(t, s.Commit(ctx, &engine.Commit{Records: []engine.Write{{New: &g, AddMembers: []string{"r-1"}}}}))
		var want []string
		const renames = 30
		for i := 1; i <= renames; i++ {
			was := g
			g.DisplayName, g.DisplayNameKey, g.Version = fmt.Sprint("name ", i), fmt.Sprint("name ", i), g.Version+1
			next := g
			must(t, s.Commit(ctx, &engine.Commit{ReviewAt: at(0), Records: []engine.Write{{Old: &was, New: &next}}}))
			if i > renames-20 {
				want = append(want, was.DisplayNameKey)
			}
		}
		people, err := s.Load(ctx, []engine.Subject{{Identity: "i-1"}})
		must(t, err)
		got := map[string]bool{}
		for _, name := range strings.Split(people[0].Groups[0].Former, "\n") {
			got[name] = true
		}
		for _, name := range want {
			if !got[name] {
				t.Errorf("%s is forgotten", name)
			}
		}
		if diff := cmp.Diff(len(want), len(got)); diff != "" {
			t.Error(diff)
		}
	})
}

// What a copy says of somebody is what the store says: a group that was renamed is followed by its former name there, too.
func TestACopyKnowsTheFormerNamesOfGroups(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		must(t, s.Commit(ctx, joined("entra", "1", "ada")))
		was := group("entra", "g", "builders")
		must(t, s.Commit(ctx, &engine.Commit{Records: []engine.Write{{New: &was, AddMembers: []string{"r-1"}}}}))
		is := was
		is.DisplayName, is.DisplayNameKey, is.Version = "makers", "makers", was.Version+1
		must(t, s.Commit(ctx, &engine.Commit{ReviewAt: at(0), Records: []engine.Write{{Old: &was, New: &is}}}))
		ada := func(s engine.Store) engine.Person {
			return get[[]engine.Person](t)(s.Load(ctx, []engine.Subject{{Identity: "i-1"}}))[0]
		}
		want := ada(s)
		if len(want.Groups) != 1 || want.Groups[0].Former != "builders" {
			t.Fatalf("%+v", want.Groups)
		}
		scratch, discard, err := s.Scratch(ctx)
		must(t, err)
		t.Cleanup(func() { must(t, discard()) })
		if d := cmp.Diff(want, ada(scratch)); d != "" {
			t.Error(d)
		}
	})
}
