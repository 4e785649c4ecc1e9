package ldapsync_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"jmld/jml/entry"
	"jmld/ldapsync"
	"jmld/model"
)

// What happened to others with directories (the list is in internal/arch), played with a real one, in each mode of reading.
func TestIncidents(t *testing.T) {
	t.Parallel()
	e := openLDAPEstate(t)
	// stays plays an answer for a while, by which nobody may leave; then everything is as it should be.
	stays := func(t *testing.T, w *ward, f *fault, code model.Code, modes ...model.Mode) {
		t.Helper()
		for day := range 4 {
			for _, mode := range modes {
				w.tree.change(day, false)
				before, there := w.last, w.tree.present()
				w.tamper.set(f)
				out, err := w.sync(t.Context(), mode)
				if model.CodeOf(err) != code || err == nil || out.Run.Verdict == model.VerdictComplete {
					t.Errorf("%s: %s, %v; want %s", mode, out.Run.Verdict, err, code)
				}
				if list := w.wrongLeavers(before, there); len(list) > 0 {
					t.Errorf("%s: wrong leavers %q", mode, list)
				}
			}
			w.ahead += 25 * time.Hour
		}
		w.clean(model.ModeDelta)
		w.clean(model.ModeCensus)
		if d := w.differs(); d != "" {
			t.Errorf("afterwards (-directory +database):\n%s", d)
		}
	}
	nobody := &fault{answer: func(p *passing) ([]byte, after) {
		if p.op == opEntry && p.asked.scope != ldap.ScopeBaseObject {
			return nil, goOn
		}
		return p.raw, goOn
	}}
	refused := func(code int64) *fault {
		return &fault{answer: atDone(func(p *passing) ([]byte, after) {
			if !p.asked.paged && !p.asked.sync {
				return p.raw, goOn
			}
			return doneWith(p.id, code), goOn
		})}
	}
	for name, play := range map[string]func(t *testing.T, tr *tree, w *ward){
		// A read of changes sees no change then, and concludes nothing from it.
		"wg-portal #744: success with nobody, for days": func(t *testing.T, _ *tree, w *ward) {
			stays(t, w, nobody, model.CodeSourceEmpty, model.ModeFull, model.ModeCensus)
		},
		"gitea #7949: an error with nobody, for days": func(t *testing.T, _ *tree, w *ward) {
			stays(t, w, refused(ldap.LDAPResultTimeLimitExceeded), model.CodeSourceLimit, model.ModeFull, model.ModeDelta, model.ModeCensus)
		},
		"GitLab rate limits: a server that asks for patience": func(t *testing.T, _ *tree, w *ward) {
			stays(t, w, refused(ldap.LDAPResultBusy), model.CodeSourceUnreachable, model.ModeFull, model.ModeDelta, model.ModeCensus)
		},
		"ssosync #194: a filter that matches nobody": func(t *testing.T, tr *tree, w *ward) {
			before, there := w.last, tr.present()
			w.engine = w.engineFor(time.Minute, func(o *ldapsync.Options) { o.People.Filter = "(uid=nobody)" })
			if _, err := w.sync(t.Context(), model.ModeFull); model.CodeOf(err) != model.CodeSourceEmpty {
				t.Errorf("%v", err)
			}
			if list := w.wrongLeavers(before, there); len(list) > 0 {
				t.Errorf("wrong leavers %q", list)
			}
		},
		"authentik #19295: a filter is edited": func(t *testing.T, tr *tree, w *ward) {
			before, there := w.last, tr.present()
			w.engine = w.engineFor(time.Minute, func(o *ldapsync.Options) { o.People.Filter = "(&(objectClass=inetOrgPerson)(title=Engineer))" })
			tr.change(1, false) // one of them has another title
			out, err := w.sync(t.Context(), model.ModeFull)
			if err != nil || out.Run.State != model.RunHeld || out.Plan == nil || out.Plan.Items != 1 {
				t.Errorf("%s, %v, %+v", out.Run.State, err, out.Plan)
			}
			if list := w.wrongLeavers(before, there); len(list) > 0 {
				t.Errorf("wrong leavers %q", list)
			}
		},
		"authentik #12722: who has left does leave": func(t *testing.T, tr *tree, w *ward) {
			tr.change(1, true)
			if out := w.clean(model.ModeDelta); out.Funnel.Missing != 1 || out.Funnel.Absent != 0 {
				t.Errorf("the first read: %+v", out.Funnel)
			}
			w.settle()
			if d := w.differs(); d != "" {
				t.Errorf("(-directory +database):\n%s", d)
			}
		},
		"sawtooth #271: people of another source": func(t *testing.T, _ *tree, w *ward) {
			other := newWard(t, e.plant(t, "other271", 5), entry.MethodSyncrepl, "")
			other.name, other.store = "other", w.store
			other.engine = other.engineWith(time.Minute)
			other.clean(model.ModeFull)
			before := other.last
			for _, mode := range []model.Mode{model.ModeDelta, model.ModeCensus, model.ModeFull} {
				w.tree.change(1, true)
				w.clean(mode)
			}
			w.settle()
			if list := other.wrongLeavers(before, other.tree.present()); len(list) > 0 {
				t.Errorf("wrong leavers %q", list)
			}
			if d := other.differs() + w.differs(); d != "" {
				t.Errorf("(-directory +database):\n%s", d)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr := e.plant(t, fmt.Sprintf("incident%d", plot.Add(1)), 7)
			w := newWard(t, tr, entry.MethodSyncrepl, "")
			w.clean(model.ModeFull)
			play(t, tr, w)
		})
	}
}
