package ldapsync_test

import (
	"fmt"
	"sync"
	"testing"

	"jmld/jml/entry"
	"jmld/model"
)

// D-01: a server that leaves the same out each time it is asked, with success, is caught by looking for what is missing; and where
// that finds nothing either, because the right to see it was lost, nobody leaves before a day has passed.
// Grafana #74318: the first page was taken for everybody.
func TestWhatAServerHidesEachTimeStays(t *testing.T) {
	t.Parallel()
	e := openLDAPEstate(t)
	for name, mode := range map[string]model.Mode{"full": model.ModeFull, "delta": model.ModeDelta, "census": model.ModeCensus} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr := e.plant(t, "hides-"+name, 7)
			w := newWard(t, tr, entry.MethodModifyTime, "")
			w.clean(model.ModeFull)
			play := func(what string, complete bool, answer func(p *passing, page int) ([]byte, after)) {
				t.Helper()
				tr.change(len(what), false)
				before, there := w.last, tr.present()
				var mu sync.Mutex
				page := map[string]int{} // of each list
				w.tamper.set(&fault{answer: func(p *passing) ([]byte, after) {
					mu.Lock()
					defer mu.Unlock()
					if p.asked.paged && p.entries == 0 && p.n != page["at"] {
						page["at"] = p.n
						if p.asked.cookie == "" {
							page[p.asked.filter] = 0
						}
						page[p.asked.filter]++
					}
					return answer(p, page[p.asked.filter])
				}})
				out, err := w.sync(t.Context(), mode)
				w.tamper.set(nil)
				if list := w.wrongLeavers(before, there); len(list) > 0 {
					t.Errorf("%s: wrong leavers %q", what, list)
				}
				if got := out.Run.Verdict == model.VerdictComplete; got != complete {
					t.Errorf("%s: complete %v, want %v: %v %q", what, got, complete, err, failedConditions(out.Proof))
				}
				w.clean(model.ModeDelta)
				if d := w.differs(); d != "" && mode != model.ModeDelta {
					t.Errorf("%s, and then the changes (-directory +database):\n%s", what, d)
				}
				w.clean(model.ModeFull)
				if d := w.differs(); d != "" {
					t.Errorf("%s, and then everything (-directory +database):\n%s", what, d)
				}
			}
			for last := 1; last <= 3; last++ { // of three pages of people
				play(fmt.Sprintf("every list ends after page %d", last), last == 3, func(p *passing, page int) ([]byte, after) {
					if p.op == opDone && p.asked.paged && page == last {
						return doneWith(p.id, 0, pagingControl("")), goOn
					}
					return p.raw, goOn
				})
			}
			for _, dn := range []string{tr.people[0], tr.people[3], tr.people[6], tr.groups[0], tr.groups[2]} {
				play(dn+" is listed nowhere", false, func(p *passing, _ int) ([]byte, after) {
					if p.op == opEntry && p.asked.paged && dnOf(p.raw) == dn {
						return nil, goOn
					}
					return p.raw, goOn
				})
				play(dn+" is not shown at all", true, func(p *passing, _ int) ([]byte, after) {
					if p.op == opEntry && dnOf(p.raw) == dn {
						return nil, goOn
					}
					return p.raw, goOn
				})
			}
		})
	}
}
