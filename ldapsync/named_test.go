package ldapsync_test

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"jmld/jml/entry"
	"jmld/ldapsync"
	"jmld/model"
)

// D-01: somebody whom we may not see any more, without a change that is told, stays in the groups and the manager of those that change
// meanwhile, as after a full read.
func TestADeltaKeepsWhoIsNamedAndNotSeen(t *testing.T) {
	t.Parallel()
	for _, mode := range []model.Mode{model.ModeDelta, model.ModeFull} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			tr := openLDAPEstate(t).plant(t, "named", 7) // of its own: a container that comes beside a tree is a doubt
			w := newWard(t, tr, entry.MethodSyncrepl, "")
			w.clean(model.ModeFull)
			before := w.last
			hidden := tr.people[2]
			tr.do(func(c *ldap.Conn) error {
				if err := replaceAttr(c, tr.people[3], "title", "Changed"); err != nil { // whose manager it is
					return err
				}
				return replaceAttr(c, tr.groups[0], "member", tr.people[0], hidden) // was the first three
			})
			w.tamper.set(&fault{answer: func(p *passing) ([]byte, after) {
				if p.op == opEntry && dnOf(p.raw) == hidden {
					return nil, goOn
				}
				return p.raw, goOn
			}})
			out, err := w.sync(t.Context(), mode)
			w.tamper.set(nil)
			if err != nil || out.Proof.Mode != mode || out.Proof.Unlisted != (mode == model.ModeDelta) || out.Funnel.Missing != 1 {
				t.Fatalf("%v, %+v, %+v", err, out.Proof, out.Funnel)
			}
			now := w.facts()
			id := idNamed(before, nameOf(hidden))
			if got := now[idNamed(now, nameOf(tr.groups[0]))].Members; len(got) != 2 || !slices.Contains(got, id) {
				t.Errorf("members %q, of them %s is hidden", got, id)
			}
			if got := now[idNamed(now, nameOf(tr.people[3]))]; got.Manager != id || got.Title != "Changed" {
				t.Errorf("%+v, %s is hidden", got, id)
			}
			tr.change(4, false)
			w.clean(model.ModeDelta)
			if d := w.differs(); d != "" {
				t.Errorf("seen again (-directory +database):\n%s", d)
			}
		})
	}
}

// D-01: a manager whose name is looked up and not found, or found as somebody else, and who is there by their id, is no manager who was taken
// away: everything is read.
func TestAnAnswerAboutANameThatIsNotTrueIsADoubt(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(p *passing) []byte{
		"hidden":  func(*passing) []byte { return nil },
		"another": func(p *passing) []byte { return otherID(p.raw) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr := openLDAPEstate(t).plant(t, "lied", 7)
			w := newWard(t, tr, entry.MethodSyncrepl, "")
			w.clean(model.ModeFull)
			tr.do(func(c *ldap.Conn) error { return replaceAttr(c, tr.people[3], "title", "Changed") })
			var hit atomic.Bool
			w.tamper.set(&fault{answer: func(p *passing) ([]byte, after) {
				if p.op == opEntry && !p.asked.sync && ofBase(p.asked) && dnOf(p.raw) == tr.people[2] {
					hit.Store(true)
					return answer(p), goOn
				}
				return p.raw, goOn
			}})
			out, err := w.sync(t.Context(), model.ModeDelta)
			w.tamper.set(nil)
			if err != nil || !hit.Load() || out.Proof.Unlisted {
				t.Fatalf("%v, hit %t, %+v", err, hit.Load(), out.Proof)
			}
			if d := w.differs(); d != "" {
				t.Errorf("-directory +database:\n%s", d)
			}
		})
	}
}

// idNamed is the id of the person or group with the name.
func idNamed(facts map[string]fact, name string) string {
	for id, f := range facts {
		if f.Name == name {
			return id
		}
	}
	return ""
}

// D-01: a right to read members that was lost looks like groups that were emptied. A read of changes sees it as a full one does.
func TestADeltaTakesNoGroupForEmptyWhenNoMemberIsShown(t *testing.T) {
	t.Parallel()
	tr := openLDAPEstate(t).plant(t, "emptied", 7)
	w := newWard(t, tr, entry.MethodSyncrepl, "")
	w.engine = w.engineFor(time.Minute, func(o *ldapsync.Options) {
		o.Preset, o.ID = entry.Generic, "entryUUID" // whose groups need no member
		o.Groups = &ldapsync.Groups{Base: tr.base, Filter: "(objectClass=groupOfNames)", Name: "cn", Member: "member"}
	})
	w.clean(model.ModeFull)
	before := w.last
	tr.do(func(c *ldap.Conn) error { return replaceAttr(c, tr.groups[0], "description", "Changed") })
	w.tamper.set(&fault{answer: func(p *passing) ([]byte, after) {
		if p.op == opEntry && !p.asked.sync { // whose rewriting loses controls
			return without(p.raw, "member"), goOn
		}
		return p.raw, goOn
	}})
	out, err := w.sync(t.Context(), model.ModeDelta)
	w.tamper.set(nil)
	if err != nil || !out.Proof.Unlisted || out.Proof.Complete || !slices.ContainsFunc(failedConditions(out.Proof), func(c string) bool { return strings.HasPrefix(c, "members found") }) {
		t.Errorf("%v, %+v", err, out.Proof)
	}
	id := idNamed(before, nameOf(tr.groups[0]))
	if got := w.facts()[id].Members; !slices.Equal(got, before[id].Members) {
		t.Errorf("members %q, before %q", got, before[id].Members)
	}
	w.clean(model.ModeDelta)

	// One that has members elsewhere only is one without.
	tr.do(func(c *ldap.Conn) error {
		return replaceAttr(c, tr.groups[0], "member", "cn=elsewhere,dc=example,dc=com")
	})
	if out := w.clean(model.ModeDelta); !out.Proof.Unlisted {
		t.Errorf("%+v", out.Proof)
	}
	if d := w.differs(); d != "" {
		t.Errorf("(-directory +database):\n%s", d)
	}
}
