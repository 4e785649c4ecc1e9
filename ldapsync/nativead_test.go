package ldapsync_test

import (
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"jmld/internal/testserver"
	"jmld/jml/entry"
	"jmld/model"
)

// M-36: what a domain controller keeps of changes is enough.
func TestActiveDirectoryChangesEqualAFullRead(t *testing.T) { // directory-connector #107
	t.Parallel()
	for _, how := range []entry.Method{entry.MethodUSN, entry.MethodDirSync} {
		t.Run(string(how), func(t *testing.T) {
			t.Parallel()
			activeDirectoryChanges(t, how)
		})
	}
}

func activeDirectoryChanges(t *testing.T, how entry.Method) {
	s := testserver.Samba(t)
	add := func(name string, more map[string][]string) string { return s.AddPerson(name, more) }
	var all []string
	for _, name := range []string{"ada", "bo", "cy", "di", "ed", "flo", "gus", "hal", "ivy", "jo"} {
		all = append(all, add(name, map[string][]string{"employeeType": {"employee"}}))
	}
	s.Add("OU=inner,"+testserver.SambaBase, map[string][]string{"objectClass": {"organizationalUnit"}})
	s.Add("OU=outside,"+testserver.SambaBase, map[string][]string{"objectClass": {"organizationalUnit"}})
	staff := s.AddGroup("staff", all[0], all[1], all[2], all[3])
	crew := s.AddGroup("crew", all[4], all[5], staff)
	for _, p := range all[1:] {
		s.Replace(p, "manager", all[0])
	}
	o := sambaOptions(s)
	o.Name, o.BindDN, o.PageSize, o.Incremental, o.Delta = "corp", testserver.SambaAdminDN, 500, how, true
	o.People.Filter = "(&(objectCategory=person)(objectClass=user)(employeeType=employee))"
	o.People.Base, o.Groups.Base = testserver.SambaPeople, testserver.SambaPeople
	m := newMirror(t, o)
	if out := m.sync(model.ModeFull); !strings.HasPrefix(out.Proof.Method, string(how)) {
		t.Fatalf("%+v", out.Proof)
	}
	out := m.sync(model.ModeDelta)
	if said := said(out.Proof, "no change"); !out.Proof.Unlisted || !strings.HasSuffix(said, "3 round trips") && !strings.HasSuffix(said, "2 round trips") {
		t.Fatalf("a delta without a change: %q, %+v", said, out.Proof)
	}
	delta := func(when string, people int) {
		t.Helper()
		out := m.sync(model.ModeDelta)
		if out.Proof.Instead != "" || !out.Proof.Unlisted || out.Funnel.Users > people {
			t.Errorf("%s: %q, %+v", when, out.Proof.Instead, out.Funnel)
		}
		m.equals(o, when)
		if out := m.sync(model.ModeDelta); said(out.Proof, "no change") == "" {
			t.Errorf("%s: the same changes are seen again: %+v", when, out.Funnel)
		}
	}
	s.Replace(all[1], "title", "Changed")
	s.Rename(all[2], "CN=cyd", "")
	s.Replace(all[4], "userAccountControl", "514")
	delta("modify, rename, disable", 3)

	kim := add("kim", map[string][]string{"employeeType": {"employee"}, "manager": {all[1]}})
	s.Replace(staff, "member", all[0], all[3], kim)
	delta("add, and a group with other members", 1)

	s.Delete(all[3])
	delta("delete", 1)
	s.Rename(all[5], "CN=flo", "OU=outside,"+testserver.SambaBase)
	delta("moved out of the base", 1)
	s.Replace(all[6], "employeeType", "former")
	delta("left the filter", 1)
	s.Replace(all[6], "employeeType", "employee")
	s.Rename("CN=flo,OU=outside,"+testserver.SambaBase, "CN=flo", testserver.SambaPeople)
	delta("both are back", 2)

	s.Delete(crew)
	s.Rename(staff, "CN=staff two", "")
	special := s.AddGroup("special", all[7])
	s.Replace(all[7], "primaryGroupID", rid(t, s.Lookup(special, "objectSid").GetRawAttributeValue("objectSid")))
	delta("groups", 10) // whose primary group another one became

	s.As(func(c *ldap.Conn) error { return undelete(c, "di", testserver.SambaPeople) })
	s.Replace("CN=di,"+testserver.SambaPeople, "employeeType", "employee")
	delta("undelete", 2)

	s.Add("CN=team,"+testserver.SambaPeople, map[string][]string{"objectClass": {"container"}})
	m.sync(model.ModeDelta)
	s.Rename("CN=ivy,"+testserver.SambaPeople, "CN=ivy", "CN=team,"+testserver.SambaPeople)
	delta("moved within the base", 1)
	s.Rename("CN=team,"+testserver.SambaPeople, "CN=team two", "")
	if out := m.sync(model.ModeDelta); out.Proof.Mode != model.ModeFull || !strings.Contains(out.Proof.Instead, "container") {
		t.Errorf("a renamed container: %+v", out.Proof)
	}
	m.equals(o, "after a container was renamed")

	last := m.checkpoint().Mark
	s.Replace(all[1], "title", "Changed once more")
	for name, c := range map[string]struct{ old, new, why string }{
		"another controller": {"CN=DC1", "CN=DC2", "another one than before"},
		"a restored one":     {`"server":"`, `"server":"f`, "another one than before"},
		"another base":       {`"base":"`, `"base":"x`, "another one than before"},
		"long ago":           {`"time":"2`, `"time":"1`, "so long ago"},
	} {
		m.mark(strings.Replace(last, c.old, c.new, 1))
		if out := m.sync(model.ModeDelta); out.Proof.Mode != model.ModeFull || !strings.Contains(out.Proof.Instead, c.why) {
			t.Errorf("%s: %q", name, out.Proof.Instead)
		}
	}
	m.mark(strings.Replace(last, `"number":`, `"number":9`, 1))
	late, err := m.engine.Sync(t.Context(), "corp", engineDelta())
	if err != nil || late.Proof.Complete || !strings.Contains(late.Proof.Instead, "highestCommittedUSN") {
		t.Errorf("a controller from the past: %v, %q, %v", err, late.Proof.Instead, failedConditions(late.Proof))
	}

	// Who may not see deleted objects is told so.
	o.BindDN = testserver.SambaSyncDN
	plain := newMirror(t, o)
	if out := plain.sync(model.ModeFull); !strings.HasPrefix(out.Proof.Method, string(how)+"; no deleted entries") {
		t.Errorf("%q", out.Proof.Method)
	}
	s.Delete(all[9])
	plain.sync(model.ModeDelta)
	plain.sync(model.ModeCensus)
	time.Sleep(10 * time.Millisecond)
	plain.sync(model.ModeCensus)
	plain.equals(o, "after a deletion that was not shown")
}

// undelete brings a tombstone back, [MS-ADTS] §3.1.1.5.3.7.
func undelete(c *ldap.Conn, name, parent string) error {
	deleted := ldap.NewControlMicrosoftShowDeleted()
	r, err := c.Search(ldap.NewSearchRequest(testserver.SambaBase, ldap.ScopeWholeSubtree, 0, 0, 0, false, "(&(isDeleted=TRUE)(sAMAccountName="+name+"))",
		[]string{"distinguishedName"}, []ldap.Control{deleted}))
	if err != nil {
		return err
	}
	req := ldap.NewModifyRequest(r.Entries[0].DN, []ldap.Control{deleted})
	req.Delete("isDeleted", nil)
	req.Replace("distinguishedName", []string{"CN=" + name + "," + parent})
	return c.Modify(req)
}
