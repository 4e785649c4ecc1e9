package conformance_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/conformance"
)

// most is how many small defects one broken server has. A run takes a second, and there are many defects.
const most = 8

// D-17: each defect of a broken server is named by the checks that are about it, and by no other.
//
// Defects that touch different groups of checks share a server; when what it fails is not the sum of what they should
// fail, each is looked at alone.
func TestEachDefectIsNamed(t *testing.T) {
	t.Parallel()
	all := defects()
	group := map[string]string{}
	for _, c := range conformance.Checks() {
		group[c.ID] = c.Group
	}
	var packs [][]int
	var taken []map[string]bool
	for i, d := range all {
		ids := expand(t, d.fails)
		if len(ids) == 0 {
			t.Errorf("%s: no check is expected to fail", d.name)
		}
		at := 0
		for at < len(packs) && (d.alone || all[packs[at][0]].alone || len(packs[at]) == most ||
			slices.ContainsFunc(ids, func(id string) bool { return taken[at][group[id]] })) {
			at++
		}
		if at == len(packs) {
			packs, taken = append(packs, nil), append(taken, map[string]bool{})
		}
		packs[at] = append(packs[at], i)
		for _, id := range ids {
			taken[at][group[id]] = true
		}
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, 4)
	for _, pack := range packs {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			together := broken(t, all, pack)
			if together == "" {
				return
			}
			sound := true
			for _, one := range pack {
				if text := broken(t, all, []int{one}); text != "" {
					sound = false
					t.Errorf("%s %s", all[one].name, text)
				}
			}
			if sound {
				var names []string
				for _, one := range pack {
					names = append(names, all[one].name)
				}
				t.Errorf("defects that are right alone disturb each other: %s %s", strings.Join(names, "; "), together)
			}
		})
	}
	wg.Wait()
}

// broken runs a server with some of the defects and says how what failed differs from what should have.
func broken(t *testing.T, all []defect, some []int) string {
	h := extended(light())
	var want []string
	bounds := false
	for _, i := range some {
		h = all[i].wrap(h)
		want = append(want, expand(t, all[i].fails)...)
		bounds = bounds || all[i].bounds
	}
	o := options(listen(t, h) + "/scim/entra/v2")
	for _, c := range conformance.Checks() {
		// The large requests take most of the time.
		if (bounds || c.Group != "bounds") && !slices.Contains(o.Only, c.Group) {
			o.Only = append(o.Only, c.Group)
		}
	}
	report, err := conformance.Run(t.Context(), o)
	if err != nil {
		return err.Error()
	}
	got := report.Failed()
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		return "(-want +got):\n" + diff + failures(report)
	}
	return ""
}

// expand reads a list of ids, in which filter-* is all that begin with filter- and -filter-none is none of them.
func expand(t *testing.T, text string) []string {
	var ids []string
	for _, word := range strings.Fields(text) {
		without, minus := strings.CutPrefix(word, "-")
		before := len(ids)
		for _, c := range conformance.Checks() {
			prefix, star := strings.CutSuffix(word, "*")
			if c.ID == word || star && strings.HasPrefix(c.ID, prefix) {
				ids = append(ids, c.ID)
			}
		}
		if minus {
			ids = slices.DeleteFunc(ids, func(id string) bool { return id == without })
		}
		if len(ids) == before {
			t.Errorf("%q is no check", word)
		}
	}
	return ids
}
