package ldapsync_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"jmld/jml/engine"
	"jmld/model"
)

// go test -run Soak/389ds ./ldapsync/ -args -soak.runs=2000 -soak.seed=7
var (
	soakRuns = flag.Int("soak.runs", 0, "runs of the soak on each kind of server; 0: some") //nolint:gochecknoglobals // of this test binary
	soakSeed = flag.Uint64("soak.seed", 0, "what the soak's chances come from; 0: any")     //nolint:gochecknoglobals // of this test binary
)

// D-01: random faults at random places of random runs, between random real changes of a real directory of each kind. Nobody who is
// there leaves, and whenever the faults stop, the database comes to say what a plain client reads.
func TestSoakOfRandomFaultsAndRealChanges(t *testing.T) {
	t.Parallel()
	seed := *soakSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			for i, e := range k.start(t) {
				t.Run(e.name, func(t *testing.T) {
					t.Parallel()
					e.soak(t, seed, i)
				})
			}
		})
	}
}

// soak plays several trees at once, each with one of the methods; begin chooses with which one.
func (e *estate) soak(t *testing.T, seed uint64, begin int) {
	t.Logf("-soak.seed=%d", seed)
	const several = 4
	runs := *soakRuns
	switch {
	case runs > 0:
	case raced:
		runs = 16
	case e.name == "openldap":
		runs = 120
	default: // slow to change
		runs = 40
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	total := soaked{}
	for i := range several {
		tr := e.plant(t, fmt.Sprintf("%s-soak%d", e.name, i), 12)
		s := &soak{ward: newWard(t, tr, e.methods[(begin+i)%len(e.methods)], ""), rnd: rand.New(rand.NewPCG(seed, uint64(i)))}
		wg.Go(func() {
			got := s.play((runs + several - 1) / several)
			mu.Lock()
			defer mu.Unlock()
			total.runs, total.faults, total.changes, total.checks = total.runs+got.runs, total.faults+got.faults, total.changes+got.changes, total.checks+got.checks
			total.complete += got.complete
		})
	}
	wg.Wait()
	t.Logf("%d runs, %d of them met a fault and %d were complete, %d real changes, %d times compared with the directory, seed %d",
		total.runs, total.faults, total.complete, total.changes, total.checks, seed)
}

// soaked counts.
type soaked struct{ runs, faults, complete, changes, checks int }

type soak struct {
	*ward
	rnd    *rand.Rand
	count  soaked
	outer  []string // people who stand outside the tree
	former []string // people who do not match the filter
	off    []string // people who are suspended
}

const runsBetween = 25 // comparisons

func (s *soak) play(runs int) soaked {
	s.clean(model.ModeFull)
	modes := []model.Mode{model.ModeFull, model.ModeDelta, model.ModeDelta, model.ModeCensus}
	all := rows()
	maps.DeleteFunc(all, func(_ string, r row) bool { return r.again }) // one search is two
	titles := slices.Sorted(maps.Keys(all))
	quick := slices.DeleteFunc(slices.Clone(titles), func(title string) bool { return all[title].idle > 0 })
	hurried := s.engineWith(300 * time.Millisecond)
	for i := range runs {
		if s.t.Failed() {
			break
		}
		s.tree.mu.Lock()
		for range s.rnd.IntN(4) {
			s.change()
		}
		s.tree.mu.Unlock()
		title, e := quick[s.rnd.IntN(len(quick))], s.engine
		if s.rnd.IntN(25) == 0 { // silence takes its time
			title, e = titles[s.rnd.IntN(len(titles))], hurried
		}
		s.suffer(modes[s.rnd.IntN(len(modes))], title, all[title], e, hurried)
		if (i+1)%runsBetween == 0 || i == runs-1 {
			s.clean(model.ModeFull)
			s.settle()
			s.count.checks++
			if d := s.differs(); d != "" {
				s.t.Errorf("after %d runs (-directory +database):\n%s", i+1, d)
			}
		}
	}
	return s.count
}

// suffer reads once while something goes wrong: a row of the matrix from a random search on or only there, a bit that
// changes on the way, an end at any byte, or a change in the directory in the middle of the run.
func (s *soak) suffer(mode model.Mode, title string, r row, e, hurried *engine.Engine) {
	before, there := s.last, s.tree.present()
	n, once, kind := 1+s.rnd.IntN(30), s.rnd.IntN(2) == 0, s.rnd.IntN(10)
	bit, bytes, chance := s.rnd.IntN(1<<16), s.rnd.IntN(12_000), 1+s.rnd.IntN(20)
	var mu sync.Mutex
	fired, passed, messages := false, 0, 0
	f := &fault{}
	switch kind {
	case 0: // nothing
	case 1:
		title = "a bit changes"
		f.answer = func(p *passing) ([]byte, after) {
			mu.Lock()
			defer mu.Unlock()
			if messages++; messages%chance != 0 || once && fired {
				return p.raw, goOn
			}
			fired = true
			out := slices.Clone(p.raw)
			out[(bit>>3)%len(out)] ^= 1 << (bit & 7)
			return out, goOn
		}
		e = hurried // a length that became longer looks like silence
	case 2:
		title = "cut at any byte"
		f.answer = func(p *passing) ([]byte, after) {
			mu.Lock()
			defer mu.Unlock()
			if left := bytes - passed; left < len(p.raw) {
				fired = true
				return p.raw[:left], cut
			}
			passed += len(p.raw)
			return p.raw, goOn
		}
	case 3:
		title = "changes in the middle"
		f.answer = func(p *passing) ([]byte, after) {
			if p.n == n && p.op == opDone {
				s.tree.mu.Lock()
				defer s.tree.mu.Unlock()
				mu.Lock()
				fired = true
				mu.Unlock()
				for range 3 {
					s.change()
				}
			}
			return p.raw, goOn
		}
	default:
		hit := func(at int, q query) bool {
			return (at == n || !once && at > n) && (r.on == nil || r.on(q))
		}
		if r.ask != nil {
			f.request = func(at int, q query, m *ber.Packet) *ber.Packet {
				if !hit(at, q) {
					return m
				}
				mu.Lock()
				fired = true
				mu.Unlock()
				return r.ask(m)
			}
		} else {
			f.answer = func(p *passing) ([]byte, after) {
				if !hit(p.n, p.asked) {
					return p.raw, goOn
				}
				mu.Lock()
				fired = true
				mu.Unlock()
				return r.answer(p)
			}
		}
	}
	s.tamper.set(f)
	out, err := e.Sync(s.t.Context(), "corp", engine.SyncOptions{Mode: mode, Trigger: "demand", Actor: "test"})
	s.tamper.set(nil)
	mu.Lock()
	met := fired
	mu.Unlock()
	s.count.runs++
	if met {
		s.count.faults++
	}
	if out.Run.Verdict == model.VerdictComplete {
		s.count.complete++
	}
	list := s.wrongLeavers(before, there)
	if len(list) > 0 {
		s.t.Errorf("%s, %q at search %d: wrong leavers %q; %s, %v", mode, title, n, list, out.Run.Verdict, err)
	}
	if !met && kind != 2 && out.Run.Verdict != model.VerdictComplete && e == s.engine {
		s.t.Errorf("%s without a fault: %v %q", mode, err, failedConditions(out.Proof))
	}
}

// change makes a random real change.
func (s *soak) change() {
	s.count.changes++
	tr, rnd := s.tree, s.rnd
	tr.do(func(c *ldap.Conn) error {
		who := rnd.IntN(len(tr.people))
		dn := tr.people[who]
		take := func() { tr.people = slices.Delete(tr.people, who, who+1); delete(tr.there, nameOf(dn)) }
		back := func(from *[]string, to string) (string, bool) {
			if len(*from) == 0 {
				return "", false
			}
			i := rnd.IntN(len(*from))
			was := (*from)[i]
			*from = slices.Delete(*from, i, i+1)
			dn := was
			if to != "" {
				dn = tr.rdn + "=" + nameOf(was) + "," + to
			}
			tr.people = append(tr.people, dn)
			tr.there[nameOf(dn)] = true
			return was, true
		}
		few := len(tr.people) < 8
		switch kind := rnd.IntN(14); {
		case kind == 0 || few:
			return tr.join(c)
		case kind == 1:
			take()
			return c.Del(ldap.NewDelRequest(dn, nil))
		case kind == 2:
			name := fmt.Sprintf("%s-r%d", nameOf(tr.base), tr.made)
			tr.made++
			take()
			above := aboveOf(dn)
			fresh := tr.rdn + "=" + name + "," + above
			tr.people, tr.there[name] = append(tr.people, fresh), true
			if err := c.ModifyDN(ldap.NewModifyDNRequest(dn, tr.rdn+"="+name, true, "")); err != nil || tr.renamed == nil {
				return err
			}
			return tr.renamed(c, fresh, name)
		case kind == 3:
			to := "ou=inner," + tr.base
			if aboveOf(dn) == to {
				to = tr.base
			}
			tr.people[who] = tr.rdn + "=" + nameOf(dn) + "," + to
			return c.ModifyDN(ldap.NewModifyDNRequest(dn, tr.rdn+"="+nameOf(dn), true, to))
		case kind == 4:
			take()
			s.outer = append(s.outer, tr.rdn+"="+nameOf(dn)+","+tr.root)
			return c.ModifyDN(ldap.NewModifyDNRequest(dn, tr.rdn+"="+nameOf(dn), true, tr.root))
		case kind == 5:
			if was, ok := back(&s.outer, tr.base); ok {
				return c.ModifyDN(ldap.NewModifyDNRequest(was, tr.rdn+"="+nameOf(was), true, tr.base))
			}
			return nil
		case kind == 6:
			take()
			s.former = append(s.former, dn)
			return replaceAttr(c, dn, "employeeType", "former")
		case kind == 7:
			if was, ok := back(&s.former, ""); ok {
				return replaceAttr(c, was, "employeeType")
			}
			return nil
		case kind == 8:
			take()
			s.off = append(s.off, dn)
			return replaceAttr(c, dn, tr.off[0], tr.off[1])
		case kind == 9:
			if was, ok := back(&s.off, ""); ok {
				return replaceAttr(c, was, tr.off[0], tr.on...)
			}
			return nil
		case kind == 10:
			return replaceAttr(c, dn, "manager", tr.people[rnd.IntN(len(tr.people))])
		case kind == 11:
			members := slices.Clone(tr.people)
			rnd.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
			return replaceAttr(c, tr.groups[rnd.IntN(2)], "member", members[:1+rnd.IntN(len(members))]...)
		}
		return replaceAttr(c, dn, "title", fmt.Sprintf("Title %d", s.count.changes))
	})
}
