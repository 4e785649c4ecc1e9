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
	// follows reads the changes, then everything, and both have to see what is there.
	follows := func(t *testing.T, w *ward) {
		t.Helper()
		before, there := w.last, w.tree.present()
		for _, mode := range []model.Mode{model.ModeDelta, model.ModeCensus, model.ModeFull} {
			w.clean(mode)
			if d := w.differs(); d != "" {
				t.Errorf("%s (-directory +database):\n%s", mode, d)
			}
		}
		if list := w.wrongLeavers(before, there); len(list) > 0 {
			t.Errorf("wrong leavers %q", list)
		}
	}
	for name, play := range map[string]func(t *testing.T, tr *tree, w *ward){
		"OPNsense #10128: nobody answers, for days": func(t *testing.T, _ *tree, w *ward) {
			gone := &fault{answer: func(*passing) ([]byte, after) { return nil, cut }}
			stays(t, w, gone, model.CodeSourceUnreachable, model.ModeFull, model.ModeDelta, model.ModeCensus)
		},
		"nextcloud #6699: another password, for days": func(t *testing.T, _ *tree, w *ward) {
			right := w.engine
			w.engine = w.engineFor(time.Minute, func(o *ldapsync.Options) { o.Password = func() (string, error) { return "of yesterday", nil } })
			before, there := w.last, w.tree.present()
			for range 3 {
				for _, mode := range []model.Mode{model.ModeFull, model.ModeDelta, model.ModeCensus} {
					if out, err := w.sync(t.Context(), mode); model.CodeOf(err) != model.CodeSourceCredentials || out.Run.Verdict == model.VerdictComplete {
						t.Errorf("%s: %s, %v", mode, out.Run.Verdict, err)
					}
				}
				w.ahead += 25 * time.Hour
			}
			if list := w.wrongLeavers(before, there); len(list) > 0 {
				t.Errorf("wrong leavers %q", list)
			}
			w.engine = right
			follows(t, w)
		},
		"gitlabhq #5400: an entry below a person's": func(t *testing.T, tr *tree, w *ward) {
			tr.do(func(c *ldap.Conn) error {
				return addEntry(c, "cn=phone,"+tr.people[2], map[string][]string{"objectClass": {"device"}, "cn": {"phone"}})
			})
			follows(t, w)
		},
		"mailcow-ldap-sync #3: a container is moved": func(t *testing.T, tr *tree, w *ward) {
			inner, moved := "ou=inner,"+tr.base, "ou=moved,"+tr.base
			tr.do(func(c *ldap.Conn) error {
				return c.ModifyDN(ldap.NewModifyDNRequest(tr.people[1], "uid="+nameOf(tr.people[1]), true, inner))
			})
			tr.people[1] = "uid=" + nameOf(tr.people[1]) + "," + inner
			follows(t, w)
			tr.do(func(c *ldap.Conn) error { return c.ModifyDN(ldap.NewModifyDNRequest(inner, "ou=moved", true, "")) })
			tr.people[1] = "uid=" + nameOf(tr.people[1]) + "," + moved
			follows(t, w)
		},
		"directory-connector #397: somebody has another name": func(t *testing.T, tr *tree, w *ward) {
			was := len(w.last)
			tr.do(func(c *ldap.Conn) error {
				return c.ModifyDN(ldap.NewModifyDNRequest(tr.people[1], "uid=married"+nameOf(tr.people[1]), true, ""))
			})
			delete(tr.there, nameOf(tr.people[1]))
			follows(t, w)
			if now := len(w.last); now != was {
				t.Errorf("%d records, before %d", now, was)
			}
		},
		// A read of changes sees no change then, and concludes nothing from it.
		"wg-portal #744: success with nobody, for days": func(t *testing.T, _ *tree, w *ward) {
			stays(t, w, nobody, model.CodeSourceEmpty, model.ModeFull, model.ModeCensus)
		},
		"gitea #7949 and #4402: an error with nobody, for days": func(t *testing.T, _ *tree, w *ward) {
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
