package ldapsync_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/testserver"
	"jmld/jml/entry"
	"jmld/ldapsync"
	"jmld/model"
)

// brief is what a record comes to: name, status, and the names of a group's members.
func brief(got map[string]model.Entry, names ...string) map[string]string {
	out := map[string]string{}
	for _, en := range got {
		name := en.UserName
		if en.Kind == model.KindGroup {
			name = en.DisplayName
		}
		if !slices.Contains(names, name) {
			continue
		}
		text := map[bool]string{true: "active", false: "inactive"}[en.Active]
		if en.Kind == model.KindGroup {
			var members []string
			for _, id := range en.Members {
				m := got[id]
				members = append(members, m.UserName+map[bool]string{true: m.DisplayName}[m.Kind == model.KindGroup])
			}
			slices.Sort(members)
			text = strings.Join(members, " ")
		}
		out[name] = text
	}
	return out
}

// rid is the last part of a security identifier.
func rid(t *testing.T, sid []byte) string {
	t.Helper()
	text, err := entry.SID.Convert(sid)
	if err != nil {
		t.Fatal(err)
	}
	return text[strings.LastIndexByte(text, '-')+1:]
}

func sambaOptions(s *testserver.SambaServer) ldapsync.Options {
	return ldapsync.Options{
		Name: "ad", URL: s.TLSURL, CAFile: s.CAFile, Preset: entry.ActiveDirectory, BindDN: testserver.SambaSyncDN, Password: password,
		Base: testserver.SambaBase, Groups: &ldapsync.Groups{}, PageSize: 3,
		Timeouts: ldapsync.Timeouts{Connect: 30 * time.Second, Idle: 60 * time.Second, Run: 2 * time.Minute},
	}
}

// One domain shows what the preset active-directory does: ids by their bytes, status, primary groups, circles, renames, deletes.
func TestActiveDirectoryIsReadByItsPreset(t *testing.T) {
	t.Parallel()
	s := testserver.Samba(t)
	boss := s.AddPerson("boss", map[string][]string{"mail": {"Boss@Example.org"}, "employeeID": {"7"}, "sn": {"Berg"}, "givenName": {"Lena"}})
	ada := s.AddPerson("ada", map[string][]string{"mail": {"ada@example.org"}, "manager": {boss}, "mobile": {"+49 1"}, "accountExpires": {"0"}})
	off := s.AddPerson("off", map[string][]string{"userAccountControl": {"514"}})
	old := s.AddPerson("old", map[string][]string{"accountExpires": {"132539328000000000"}})
	inner := s.AddGroup("inner", ada, off)
	outer := s.AddGroup("outer", inner, boss)
	s.Replace(inner, "member", ada, off, outer) // a circle
	special := s.AddGroup("special", old)
	s.Replace(old, "primaryGroupID", rid(t, s.Lookup(special, "objectSid").GetRawAttributeValue("objectSid")))

	src := source(t, sambaOptions(s))
	got, proof, err := read(t.Context(), src)
	if err != nil || !proof.Complete {
		t.Fatalf("%v %+v", err, proof)
	}
	want := map[string]string{
		"ada@ad.example.org": "active", "boss@ad.example.org": "active", "off@ad.example.org": "inactive", "old@ad.example.org": "inactive",
		"inner": "ada@ad.example.org off@ad.example.org outer", "outer": "boss@ad.example.org inner",
		"special":      "old@ad.example.org",
		"Domain Users": "Administrator ada@ad.example.org boss@ad.example.org dns-dc1 krbtgt off@ad.example.org old@ad.example.org sync@ad.example.org",
	}
	names := slices.Collect(maps.Keys(want))
	if d := cmp.Diff(want, brief(got, names...)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	id := map[string]string{}
	for i, en := range got {
		id[en.UserName] = i
	}
	adaID, bossID := id["ada@ad.example.org"], id["boss@ad.example.org"]
	wantAda := `{"active":true,"emails":[{"primary":true,"type":"work","value":"ada@example.org"}],"name":{"formatted":"ada"},` +
		`"phoneNumbers":[{"primary":true,"type":"mobile","value":"+49 1"}],` +
		`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"` + bossID + `"}},"userName":"ada@ad.example.org"}`
	if d := cmp.Diff(wantAda, got[adaID].Attrs); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	raw := s.Lookup(ada, "objectGUID").GetRawAttributeValue("objectGUID")
	if guid, err := entry.GUID.Convert(raw); err != nil || guid != adaID {
		t.Errorf("id %s, want %s, %v", adaID, guid, err)
	}

	s.Rename(ada, "CN=Ada Kern", "")
	s.Delete(off)
	s.Replace(boss, "userAccountControl", "514")
	got, proof, err = read(t.Context(), src)
	if err != nil || !proof.Complete {
		t.Fatalf("%v %+v", err, proof)
	}
	delete(want, "off@ad.example.org")
	want["boss@ad.example.org"], want["inner"] = "inactive", "ada@ad.example.org outer"
	want["Domain Users"] = strings.Replace(want["Domain Users"], "off@ad.example.org ", "", 1)
	if d := cmp.Diff(want, brief(got, names...)); d != "" {
		t.Errorf("after rename, disable and delete (-want +got):\n%s", d)
	}
	if got[adaID].UserName != "ada@ad.example.org" {
		t.Errorf("a rename changed the id: %+v", got[adaID].Record)
	}

	v, err := src.Show(t.Context(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	if v.ID != adaID || v.Kind != model.KindUser || v.Attrs != got[adaID].Attrs || !v.Status.Active {
		t.Errorf("show differs from the read: %+v", v)
	}
	var groups []string
	for _, g := range v.Groups {
		groups = append(groups, fmt.Sprint(g.Name, g.Primary))
	}
	slices.Sort(groups)
	if d := cmp.Diff([]string{"Domain Userstrue", "innerfalse"}, groups); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	sid, err := entry.SID.Convert(s.Lookup(v.DN, "objectSid").GetRawAttributeValue("objectSid"))
	if err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{adaID, sid, v.DN, "ada@ad.example.org"} {
		if again, err := src.Show(t.Context(), who); err != nil || again.DN != v.DN {
			t.Errorf("%s: %s, %v", who, again.DN, err)
		}
	}
	if v, err = src.Show(t.Context(), "boss@ad.example.org"); err != nil || v.Status.Active || !strings.HasPrefix(v.Status.Because, "disabled") {
		t.Errorf("%+v, %v", v.Status, err)
	}
	if v, err = src.Show(t.Context(), "outer"); err != nil || v.Kind != model.KindGroup || v.Members != 2 {
		t.Errorf("%+v, %v", v, err)
	}
}

// FreeIPA and 389 Directory Server: nsUniqueId, nsAccountLock, groups.
func TestDS389IsReadByItsPreset(t *testing.T) {
	t.Parallel()
	const people, groups = 30, 7
	s := testserver.DS389(t, testserver.DS389Options{LDIF: testserver.LDIF(people, groups, 12)})
	s.Replace(testserver.UserDN(3), "nsAccountLock", "true")
	s.Replace(testserver.UserDN(4), "nsAccountLock", "false")
	src := source(t, ldapsync.Options{
		Name: "ipa", URL: s.TLSURL, CAFile: s.CAFile, Preset: entry.DS389, BindDN: testserver.SyncDN, Password: password, Base: testserver.Base,
		Groups: &ldapsync.Groups{}, PageSize: 7, Timeouts: ldapsync.Timeouts{Connect: 30 * time.Second, Idle: 60 * time.Second, Run: 2 * time.Minute},
	})
	got, proof, err := read(t.Context(), src)
	if err != nil || !proof.Complete || proof.Users != people || proof.Groups != groups || proof.Unresolved != 0 {
		t.Fatalf("%v %+v", err, proof)
	}
	want := map[string]string{"u000003": "inactive", "u000004": "active", "u000005": "active"}
	if d := cmp.Diff(want, brief(got, "u000003", "u000004", "u000005")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	unique := s.Lookup(testserver.UserDN(3), "nsUniqueId").GetAttributeValue("nsUniqueId")
	if got[unique].UserName != "u000003" {
		t.Errorf("the id is not nsUniqueId %s", unique)
	}
	s.Delete(testserver.UserDN(5))
	s.Rename(testserver.UserDN(6), "uid=renamed", "")
	again, proof, err := read(t.Context(), src)
	if err != nil || !proof.Complete || proof.Users != people-1 {
		t.Fatalf("%v %+v", err, proof)
	}
	for id, en := range again {
		if en.Kind == model.KindGroup {
			want := slices.DeleteFunc(slices.Clone(got[id].Members), func(m string) bool { return got[m].UserName == "u000005" })
			if d := cmp.Diff(want, en.Members); d != "" {
				t.Errorf("members of %s (-want +got):\n%s", en.DisplayName, d)
			}
		}
	}
	v, err := src.Show(t.Context(), "u000003")
	if err != nil || v.Attrs != again[unique].Attrs || v.Status.Because != `disabled: nsAccountLock is "true"` {
		t.Errorf("%+v, %v", v, err)
	}
}

// OpenLDAP: groups of three kinds, names in memberUid, status by ppolicy and shadow, what a mapping did.
func TestOpenLDAPIsReadByItsPreset(t *testing.T) {
	t.Parallel()
	ldif := testserver.LDIF(6, 2, 3) + fmt.Sprintf(`dn: cn=posix,%[1]s
objectClass: posixGroup
cn: posix
gidNumber: 1
memberUid: u000001
memberUid: U000002
memberUid: stranger

dn: cn=unique,%[1]s
objectClass: groupOfUniqueNames
cn: unique
uniqueMember: %[2]s
uniqueMember: cn=elsewhere,dc=example,dc=com

dn: uid=expired,%[3]s
objectClass: inetOrgPerson
objectClass: shadowAccount
uid: expired
cn: Old Account
sn: Account
mail: Old@Example.org
shadowExpire: 18628

`, testserver.GroupsBase, testserver.UserDN(4), testserver.PeopleBase)
	s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: ldif})
	o := ldapsync.Options{
		Name: "corp", URL: s.URL, Preset: entry.OpenLDAP, BindDN: testserver.SyncDN, Password: password, Base: testserver.Base, Groups: &ldapsync.Groups{},
		People: ldapsync.People{Attributes: map[string]entry.Attribute{
			"emails": {CEL: "entry.mail.map(m, m.lower())"}, "title": {CEL: "entry.title[0]"}, "nickName": {From: []string{"initials", "sn"}},
			"urn:ietf:params:scim:schemas:extension:jmld:2.0:User:endDate": {From: []string{"shadowExpire"}},
		}},
	}
	src := source(t, o)
	got, proof, err := read(t.Context(), src)
	if err != nil || !proof.Complete || proof.Unresolved != 2 || proof.Unknown != 1 || len(proof.UnknownAt) != 1 {
		t.Fatalf("%v %+v", err, proof)
	}
	want := map[string]string{"posix": "u000001 u000002", "unique": "u000004", "expired": "inactive", "u000001": "active"}
	if d := cmp.Diff(want, brief(got, "posix", "unique", "expired", "u000001")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	v, err := src.Show(t.Context(), "expired")
	if err != nil {
		t.Fatal(err)
	}
	did := map[string]string{}
	for _, m := range v.Mappings {
		did[m.Path] = fmt.Sprintf("%q %s: %s", m.Values, m.Type, m.Why)
	}
	wantDid := map[string]string{
		"emails": `["old@example.org"] : `, "title": `[] : unknown, so it stays as it is: the entry has no title`, "nickName": `["Account"] text: `,
		"urn:ietf:params:scim:schemas:extension:jmld:2.0:User:endDate": `["2021-01-01T00:00:00Z"] days: `,
		"manager": `[] reference: the entry has no manager`, "userName": `["expired"] text: `,
	}
	for path, want := range wantDid {
		if d := cmp.Diff(want, did[path]); d != "" {
			t.Errorf("%s (-want +got):\n%s", path, d)
		}
	}
	if v.Status.Active || v.Status.Because != "expired: shadowExpire is 2021-01-01T00:00:00Z" || v.Attrs != got[v.ID].Attrs {
		t.Errorf("%+v\n%s", v.Status, v.Attrs)
	}
	g, err := src.Show(t.Context(), "cn=unique,"+testserver.GroupsBase)
	if err != nil || g.Members != 2 || !cmp.Equal(g.Outside, []string{"cn=elsewhere,dc=example,dc=com"}) {
		t.Errorf("%+v, %v", g, err)
	}
	service, err := src.Show(t.Context(), testserver.PagedDN)
	if err != nil || service.Kind != "" || !strings.Contains(service.Left, "people.filter") {
		t.Errorf("%+v, %v", service, err)
	}
	if _, err := src.Show(t.Context(), "nobody"); err == nil || !strings.Contains(err.Error(), "not found") {
		t.Errorf("nobody: %v", err)
	}
}

// The probe of a domain controller, whose password is refused in Windows' words.
func TestProbeOfActiveDirectory(t *testing.T) {
	t.Parallel()
	s := testserver.Samba(t)
	o := sambaOptions(s)
	got := probed(t, o)
	for name, text := range map[string]string{
		"kind of server": "Active Directory, ", "incremental reads offered": "uSNChanged (at ", "changes": "incremental is usn-changed; here work usn-changed (no deleted entries are shown), dirsync (", "clock": "off ours", "look for one by id": "are found",
	} {
		if c := got[name]; c.Outcome != ldapsync.CheckOK || !strings.Contains(c.Seen, text) {
			t.Errorf("%s: %q is not in: %+v", name, text, c)
		}
	}
	for name, c := range got {
		if c.Outcome == ldapsync.CheckFail {
			t.Errorf("%s: %+v", name, c)
		}
	}
	o.Password = func() (string, error) { return "wrong", nil }
	if c := probed(t, o)["bind"]; c.Code != model.CodeSourceCredentials || !strings.Contains(c.Seen, "the password is wrong") {
		t.Errorf("wrong password: %+v", c)
	}
}
