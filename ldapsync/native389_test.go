package ldapsync_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jmld/internal/testserver"
	"jmld/jml/entry"
	"jmld/ldapsync"
	"jmld/model"
)

// M-36: what a 389 Directory Server keeps of changes is enough, in both ways.
func TestDS389ChangesEqualAFullRead(t *testing.T) {
	t.Parallel()
	const inner = "dn: ou=inner,ou=people,dc=example,dc=org\nobjectClass: organizationalUnit\nou: inner\n\n"
	for _, how := range []entry.Method{entry.MethodChangelog, entry.MethodEntryUSN} {
		t.Run(string(how), func(t *testing.T) {
			t.Parallel()
			s := testserver.DS389(t, testserver.DS389Options{LDIF: testserver.LDIF(80, 12, 60) + inner})
			relay := newRelay(t, s.Addr)
			reader := testserver.SyncDN // may read the changelog
			if how == entry.MethodEntryUSN {
				reader = testserver.DS389AdminDN // may read tombstones
			}
			o := ldapsync.Options{
				Name: "corp", URL: "ldap://" + relay.addr, Preset: entry.DS389, BindDN: reader, Password: password, Base: testserver.Base,
				People: ldapsync.People{Base: testserver.PeopleBase, Filter: "(&(objectClass=inetOrgPerson)(employeeType=employee))"},
				Groups: &ldapsync.Groups{Base: testserver.GroupsBase}, PageSize: 1000, Incremental: how, Delta: true,
				Inactive: ldapsync.Inactive{Attribute: "description", Values: []string{"suspended"}},
				Timeouts: ldapsync.Timeouts{Connect: 30 * time.Second, Idle: 60 * time.Second, Run: 2 * time.Minute},
			}
			m := newMirror(t, o)
			if out := m.sync(model.ModeFull); !strings.HasPrefix(out.Proof.Method, string(how)) {
				t.Fatalf("%+v", out.Proof)
			}
			before := relay.trips.Load()
			if out := m.sync(model.ModeDelta); !out.Proof.Unlisted || out.Proof.Instead != "" {
				t.Fatalf("a delta without a change: %+v", out.Proof)
			}
			if n := relay.trips.Load() - before; n > 3 {
				t.Errorf("%d round trips", n)
			}
			for round := 1; round < 3; round++ {
				changeEverything(t, s, round)
				out := m.sync(model.ModeDelta)
				if out.Proof.Instead != "" || !out.Proof.Unlisted || out.Funnel.Missing != 0 || out.Funnel.Absent != 3 {
					t.Errorf("round %d: %+v, %+v", round, out.Proof, out.Funnel)
				}
				m.equals(o, "after the delta")
				if out := m.sync(model.ModeDelta); !out.Proof.Unlisted || out.Funnel.Users > 0 {
					t.Errorf("round %d: the same changes are seen again: %+v", round, out.Funnel)
				}
			}
			s.Stop()
			s.Start()
			s.Replace(testserver.UserDN(70), "title", "Changed")
			if out := m.sync(model.ModeDelta); out.Proof.Instead != "" || out.Funnel.Changed != 1 {
				t.Errorf("after a restart: %+v, %+v", out.Proof.Instead, out.Funnel)
			}
			s.Rename("ou=inner,"+testserver.PeopleBase, "ou=within", "")
			if out := m.sync(model.ModeDelta); out.Proof.Mode != model.ModeFull || !strings.Contains(out.Proof.Instead, "container") {
				t.Errorf("a renamed container: %+v", out.Proof)
			}
			m.equals(o, "after a container was renamed")

			// Whose name of the changelog is nobody's any more: below a base that is not there the server finds nothing, with success and
			// without the paging control.
			guests := "ou=guests," + testserver.PeopleBase
			s.Add(guests, map[string][]string{"objectClass": {"organizationalUnit"}})
			s.Add("uid=guest,"+guests, map[string][]string{"objectClass": {"inetOrgPerson"}, "cn": {"Guest"}, "sn": {"Guest"}, "employeeType": {"guest"}})
			m.sync(model.ModeDelta)
			s.Rename("uid=guest,"+guests, "uid=visitor", "")
			s.Rename(guests, "ou=visitors", "")
			if out := m.sync(model.ModeDelta); (out.Proof.Mode == model.ModeFull) != (how == entry.MethodChangelog) {
				t.Errorf("a name that is nobody's any more: %+v", out.Proof)
			}

			last := m.checkpoint().Mark
			s.Replace(testserver.UserDN(70), "title", "Changed once more")
			for name, c := range map[string]struct{ old, new, why string }{
				"another server": {"cn=ldap", "cn=other", "another one than before"},
				"another base":   {`"base":"`, `"base":"x`, "another one than before"},
				"a later number": {`"number":`, `"number":9`, "before it was 9"},
			} {
				m.mark(strings.ReplaceAll(last, c.old, c.new))
				out, err := m.engine.Sync(t.Context(), "corp", engineDelta())
				if err != nil || out.Proof.Mode != model.ModeFull || !strings.Contains(out.Proof.Instead, c.why) {
					t.Errorf("%s: %v, %q", name, err, out.Proof.Instead)
				}
				if late := c.old == `"number":`; late == out.Proof.Complete {
					t.Errorf("%s: complete %v, %v", name, out.Proof.Complete, failedConditions(out.Proof))
				}
			}
			if how == entry.MethodChangelog {
				m.mark(strings.Replace(last, `"service":"`, `"service":"x`, 1))
				if out := m.sync(model.ModeDelta); !strings.Contains(out.Proof.Instead, "another one than before") {
					t.Errorf("another change of that number: %q", out.Proof.Instead)
				}
			}
		})
	}
}

// M-36: a directory that was restored counts its changes on from where it was then. When it has passed the number of the last read, the entry that
// changed last gives it away.
func TestARestored389DirectoryIsNotGoneOnFrom(t *testing.T) {
	t.Parallel()
	s := testserver.DS389(t, testserver.DS389Options{LDIF: testserver.LDIF(20, 3, 10)})
	o := ldapsync.Options{
		Name: "corp", URL: s.URL, Preset: entry.DS389, BindDN: testserver.DS389AdminDN, Password: password, Base: testserver.Base,
		Groups: &ldapsync.Groups{}, PageSize: 1000, Incremental: entry.MethodEntryUSN, Delta: true,
		Timeouts: ldapsync.Timeouts{Connect: 30 * time.Second, Idle: 60 * time.Second, Run: 2 * time.Minute},
	}
	m := newMirror(t, o)
	s.Stop()
	home := filepath.Join(filepath.Dir(s.CAFile), "../../..")
	backup := t.TempDir()
	parts := []string{"var/lib/dirsrv", "dev/shm"}
	for _, part := range parts {
		if err := os.CopyFS(filepath.Join(backup, part), os.DirFS(filepath.Join(home, part))); err != nil {
			t.Fatal(err)
		}
	}
	s.Start()
	m.sync(model.ModeFull)
	s.Replace(testserver.UserDN(3), "title", "Lost by the restore")
	s.Replace(testserver.UserDN(4), "title", "Lost by the restore")
	if out := m.sync(model.ModeDelta); out.Proof.Instead != "" || out.Funnel.Changed != 2 {
		t.Fatalf("%+v, %+v", out.Proof, out.Funnel)
	}
	m.equals(o, "after a delta")
	s.Stop()
	for _, part := range parts {
		if err := os.RemoveAll(filepath.Join(home, part)); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(filepath.Join(home, part), os.DirFS(filepath.Join(backup, part))); err != nil {
			t.Fatal(err)
		}
	}
	s.Start()
	for i := range 9 { // more than were lost
		s.Replace(testserver.UserDN(10+i), "title", "Since")
	}
	out := m.sync(model.ModeDelta)
	if out.Proof.Mode != model.ModeFull || !strings.Contains(out.Proof.Instead, "was the server restored?") {
		t.Errorf("%q, %+v", out.Proof.Instead, out.Proof)
	}
	m.equals(o, "after the restore")
	if out := m.sync(model.ModeDelta); out.Proof.Instead != "" {
		t.Errorf("the next one: %q", out.Proof.Instead)
	}
}
