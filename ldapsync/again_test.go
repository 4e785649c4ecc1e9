package ldapsync_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"jmld/jml/entry"
	"jmld/model"
)

// D-01: a group that could not be used because of another entry is tried again when that one changes, not only at night.
func TestADeltaTriesAgainWhatWasSkipped(t *testing.T) {
	t.Parallel()
	tr := openLDAPEstate(t).plant(t, "again", 7)
	w := newWard(t, tr, entry.MethodSyncrepl, "")
	first, second, third := tr.people[0], tr.people[1], tr.people[2]
	posix := "cn=again-posix," + tr.base
	tr.do(func(c *ldap.Conn) error {
		return addEntry(c, posix, map[string][]string{"objectClass": {"posixGroup"}, "cn": {"again-posix"}, "gidNumber": {"1"},
			"memberUid": {nameOf(first), nameOf(second)}})
	})
	w.clean(model.ModeFull)
	members := func() []string {
		all := w.facts()
		var names []string
		for _, id := range all[idNamed(all, "again-posix")].Members {
			names = append(names, all[id].Name)
		}
		slices.Sort(names)
		return names
	}
	tr.do(func(c *ldap.Conn) error {
		if err := replaceAttr(c, third, "uid", nameOf(third), nameOf(first)); err != nil { // a name of two people now
			return err
		}
		return replaceAttr(c, posix, "memberUid", nameOf(first))
	})
	if out := w.clean(model.ModeDelta); out.Funnel.Skipped != 1 || len(members()) != 2 {
		t.Fatalf("%+v, members %q", out.Proof, members())
	}
	tr.do(func(c *ldap.Conn) error { return replaceAttr(c, third, "uid", nameOf(third)) })
	if out := w.clean(model.ModeDelta); out.Proof.Mode != model.ModeDelta || !slices.Equal(members(), []string{nameOf(first)}) {
		t.Errorf("%+v, members %q", out.Proof, members())
	}
}

// M-36: a search that only a read of changes makes may be refused, for want of an index. Everything is read then.
func TestARefusedSearchForNamesIsReadInFull(t *testing.T) {
	t.Parallel()
	for name, filter := range map[string]string{"references": "(manager=", "memberships": "(member="} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr := openLDAPEstate(t).plant(t, "refused-"+name, 7)
			w := newWard(t, tr, entry.MethodSyncrepl, "")
			w.clean(model.ModeFull)
			tr.change(1, true)
			w.tamper.set(&fault{answer: atDone(func(p *passing) ([]byte, after) {
				if strings.Contains(p.asked.filter, filter) {
					return doneWith(p.id, ldap.LDAPResultAdminLimitExceeded), goOn
				}
				return p.raw, goOn
			})})
			out, err := w.sync(t.Context(), model.ModeDelta)
			w.tamper.set(nil)
			if err != nil || out.Run.Verdict != model.VerdictComplete || out.Proof.Mode != model.ModeFull || !strings.Contains(out.Proof.Instead, "cannot be followed") {
				t.Errorf("%v, %+v", err, out.Proof)
			}
			w.settle()
			if d := w.differs(); d != "" {
				t.Errorf("(-directory +database):\n%s", d)
			}
		})
	}
}
