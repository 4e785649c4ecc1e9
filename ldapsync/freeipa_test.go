package ldapsync_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/testserver"
	"jmld/jml/entry"
	"jmld/ldapsync"
	"jmld/model"
)

// ipaTree is the tree of FreeIPA, as far as people and groups go: who is active, who is only staged, who was deleted and is preserved, and the
// compatibility tree, in which everybody and every group of POSIX stands once more under other classes and without an id that lasts. All that
// stands under provisioning is locked by a class of service.
func ipaTree() string {
	const base = "dc=example,dc=org"
	var b strings.Builder
	for _, dn := range []string{"cn=accounts", "cn=users,cn=accounts", "cn=groups,cn=accounts", "cn=roles,cn=accounts", "cn=provisioning", "cn=accounts,cn=provisioning",
		"cn=staged users,cn=accounts,cn=provisioning", "cn=deleted users,cn=accounts,cn=provisioning", "cn=cosTemplates,cn=accounts,cn=provisioning",
		"cn=compat", "cn=users,cn=compat", "cn=groups,cn=compat"} {
		fmt.Fprintf(&b, "dn: %s,%s\nobjectClass: top\nobjectClass: nsContainer\n%s\n\n", dn, base, strings.Replace(strings.SplitN(dn, ",", 2)[0], "=", ": ", 1))
	}
	fmt.Fprintf(&b, "dn: cn=inactivation,cn=cosTemplates,cn=accounts,cn=provisioning,%[1]s\nobjectClass: top\nobjectClass: cosTemplate\nobjectClass: extensibleObject\n"+
		"cn: inactivation\nnsAccountLock: true\n\n"+
		"dn: cn=Inactivation cos definition,cn=accounts,cn=provisioning,%[1]s\nobjectClass: top\nobjectClass: ldapSubEntry\nobjectClass: cosSuperDefinition\n"+
		"objectClass: cosPointerDefinition\ncn: Inactivation cos definition\ncosTemplateDn: cn=inactivation,cn=cosTemplates,cn=accounts,cn=provisioning,%[1]s\n"+
		"cosAttribute: nsAccountLock operational\n\n", base)
	person := func(name, where string) {
		fmt.Fprintf(&b, "dn: uid=%s,%s,%s\nobjectClass: top\nobjectClass: person\nobjectClass: organizationalPerson\nobjectClass: inetOrgPerson\nobjectClass: posixAccount\n"+
			"uid: %[1]s\ncn: %[1]s\nsn: %[1]s\nuidNumber: 7\ngidNumber: 7\nhomeDirectory: /home/%[1]s\n\n", name, where, base)
	}
	for _, name := range []string{"ada", "bob", "cleo"} {
		person(name, "cn=users,cn=accounts")
		fmt.Fprintf(&b, "dn: uid=%s,cn=users,cn=compat,%s\nobjectClass: top\nobjectClass: posixAccount\nuid: %[1]s\ncn: %[1]s\nuidNumber: 7\ngidNumber: 7\nhomeDirectory: /home/%[1]s\n\n", name, base)
	}
	person("dora", "cn=staged users,cn=accounts,cn=provisioning")
	person("emil", "cn=deleted users,cn=accounts,cn=provisioning")
	fmt.Fprintf(&b, "dn: cn=staff,cn=groups,cn=accounts,%[1]s\nobjectClass: top\nobjectClass: groupOfNames\nobjectClass: posixGroup\ncn: staff\ngidNumber: 7\n"+
		"member: uid=ada,cn=users,cn=accounts,%[1]s\nmember: uid=bob,cn=users,cn=accounts,%[1]s\n\n"+
		"dn: cn=staff,cn=groups,cn=compat,%[1]s\nobjectClass: top\nobjectClass: posixGroup\ncn: staff\ngidNumber: 7\nmemberUid: ada\nmemberUid: bob\n\n"+
		"dn: cn=helpdesk,cn=roles,cn=accounts,%[1]s\nobjectClass: top\nobjectClass: groupOfNames\ncn: helpdesk\nmember: cn=staff,cn=groups,cn=accounts,%[1]s\n\n", base)
	return b.String()
}

// FreeIPA: nobody is read twice for the compatibility tree, who is staged or preserved is not active, and who is deleted and brought back, or staged
// and activated, is followed by what the server keeps of changes.
func TestFreeIPAIsReadByThePresetOf389(t *testing.T) {
	t.Parallel()
	s := testserver.DS389(t, testserver.DS389Options{LDIF: ipaTree()})
	o := ldapsync.Options{
		Name: "corp", URL: s.TLSURL, CAFile: s.CAFile, Preset: entry.DS389, BindDN: testserver.SyncDN, Password: password, Base: testserver.Base,
		Groups: &ldapsync.Groups{}, Delta: true, Timeouts: ldapsync.Timeouts{Connect: 30 * time.Second, Idle: 60 * time.Second, Run: 2 * time.Minute},
	}
	// The whole tree: what is staged and what is preserved is there, and locked.
	got, proof, err := read(t.Context(), source(t, o))
	if err != nil || !proof.Complete {
		t.Fatalf("%v %q", err, failedConditions(proof))
	}
	names := []string{"ada", "bob", "cleo", "dora", "emil", "staff", "helpdesk"}
	want := map[string]string{"ada": "active", "bob": "active", "cleo": "active", "dora": "inactive", "emil": "inactive",
		"staff": "ada bob", "helpdesk": "staff"}
	if d := cmp.Diff(want, brief(got, names...)); d != "" || len(got) != len(want) {
		t.Errorf("%d records (-want +got):\n%s", len(got), d)
	}

	const users, deleted = "cn=users,cn=accounts," + testserver.Base, "cn=deleted users,cn=accounts,cn=provisioning," + testserver.Base
	o.People.Base, o.Groups = users, &ldapsync.Groups{Base: "cn=groups,cn=accounts," + testserver.Base}
	m := newMirror(t, o)
	full := m.sync(model.ModeFull)
	if full.Proof.Users != 3 || full.Proof.Groups != 1 || !strings.HasPrefix(full.Proof.Method, string(entry.MethodChangelog)) {
		t.Errorf("%+v", full.Proof)
	}
	id := s.Lookup("uid=bob,"+users, "nsUniqueId").GetAttributeValue("nsUniqueId")
	s.Rename("uid=bob,"+users, "uid=bob", deleted) // ipa user-del --preserve
	if out := m.sync(model.ModeDelta); !out.Proof.Unlisted || out.Funnel.Absent != 1 {
		t.Errorf("preserved: %+v, %+v", out.Proof, out.Funnel)
	}
	m.equals(o, "preserved")
	s.Rename("uid=bob,"+deleted, "uid=bob", users) // ipa user-undel
	if out := m.sync(model.ModeDelta); !out.Proof.Unlisted || out.Funnel.New != 1 {
		t.Errorf("brought back: %+v, %+v", out.Proof, out.Funnel)
	}
	if en, ok := m.content()[id]; !ok || en.UserName != "bob" {
		t.Errorf("bob has another id than before: %v", m.content())
	}
	m.equals(o, "brought back")
	s.Delete("uid=dora,cn=staged users,cn=accounts,cn=provisioning," + testserver.Base) // ipa stageuser-activate
	s.Add("uid=dora,"+users, map[string][]string{"objectClass": {"inetOrgPerson"}, "uid": {"dora"}, "cn": {"dora"}, "sn": {"dora"}})
	if out := m.sync(model.ModeDelta); !out.Proof.Unlisted || out.Funnel.New != 1 || out.Funnel.Absent != 0 {
		t.Errorf("activated: %+v, %+v", out.Proof, out.Funnel)
	}
	m.equals(o, "activated")
}
