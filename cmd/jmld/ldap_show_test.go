package main

import (
	"strings"
	"testing"

	"jmld/internal/testserver"
)

// directoryHouse is a configuration with nothing but one directory.
func directoryHouse(t *testing.T, ldap string) *house {
	t.Helper()
	h := newHouse(t, houseOptions{Password: testserver.Password})
	h.write("config.yaml", "database: sqlite:jmld.db\nlisten: {address: 127.0.0.1:0}\nsources:\n  - name: corp\n    ldap:\n"+ldap)
	return h
}

// TestLDAPShowOfOpenLDAP: entry, mapping, record, status and groups, as people and as programs read them.
func TestLDAPShowOfOpenLDAP(t *testing.T) {
	t.Parallel()
	s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(6, 2, 3) + "dn: uid=ada,ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\n" +
		"objectClass: shadowAccount\nuid: ada\ncn: Ada Kern\nsn: Kern\nmail: Ada@Example.org\nshadowExpire: 18628\nuserPassword: hunter2\nmanager: " +
		testserver.UserDN(0) + "\nentryUUID: 00000000-0000-4000-8000-0000000000aa\n\n"})
	h := directoryHouse(t, `      url: `+s.TLSURL+`
      ca_file: `+s.CAFile+`
      preset: openldap
      bind_dn: `+testserver.AdminDN+`
      password: {file: secrets/ldap}
      base: `+testserver.Base+`
      groups: {}
      people:
        attributes:
          emails: {cel: 'entry.mail.map(m, m.lower())'}
          title: {cel: 'entry.title[0]'}
          endDate: [contractEnd, shadowExpire]
`)
	out := h.must("ldap", "show", "corp", "ada")
	for _, want := range []string{
		"uid=ada,ou=people,dc=example,dc=org\n", "  id      00000000-0000-4000-8000-0000000000aa\n", "  read    as a person\n",
		"  active  no, expired: shadowExpire is 2021-01-01T00:00:00Z\n", "userPassword           (withheld)\n",
		"ada@example.org", "entry.mail.map(m, m.lower()) of mail Ada@Example.org\n",
		"entry.title[0]: unknown, so it stays as it is: the entry has no title\n",
		"2021-01-01T00:00:00Z", "of shadowExpire 18628\n", testserver.UserID(0), "manager as reference of manager " + testserver.UserDN(0),
		`"endDate": "2021-01-01T00:00:00Z"`, `"active": false`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if strings.Contains(out, "hunter2") {
		t.Error("a password is shown")
	}
	var doc showJSON
	h.read(&doc, "ldap", "show", "corp", testserver.UserDN(1))
	if doc.Schema != "jmld.ldap-entry/1" || doc.Active == nil || !*doc.Active || len(doc.Groups) != 2 || doc.Kind != "user" {
		t.Errorf("%+v", doc)
	}
	if code, stdout, stderr := h.jmld("ldap", "show", "corp", "nobody"); code != exitNotFound || !strings.Contains(stderr, `"nobody"`) {
		t.Errorf("nobody: %d\n%s%s", code, stdout, stderr)
	}
	if out := h.must("ldap", "show", "corp", testserver.PagedDN); !strings.Contains(out, "read    not at all: it does not match people.filter") {
		t.Errorf("an entry that is not read:\n%s", out)
	}
	check := h.must("config", "check")
	for _, want := range []string{"source corp, preset openldap\n", "memberUid", "disabled: pwdAccountLockedTime is 000001010000Z", "contractEnd, shadowExpire", "syncrepl"} {
		if !strings.Contains(check, want) {
			t.Errorf("%q is not in\n%s", want, check)
		}
	}
	// The same is read, and an attribute that cannot be computed is said to be kept.
	if code, stdout, stderr := h.jmld("sync", "corp"); code != exitOK {
		t.Fatalf("sync: %d\n%s%s", code, stdout, stderr)
	}
	var runs runsJSON
	h.read(&runs, "runs")
	if one := h.must("runs", runs.Runs[0].ID); !strings.Contains(one, "kept     uid=ada,ou=people,dc=example,dc=org: title: the entry has no title") {
		t.Errorf("the run does not say what it kept:\n%s", one)
	}
}

func TestLDAPShowOfActiveDirectory(t *testing.T) {
	t.Parallel()
	s := testserver.Samba(t)
	ada := s.AddPerson("ada", map[string][]string{"mail": {"ada@example.org"}, "accountExpires": {"132539328000000000"}})
	s.AddGroup("builders", ada)
	h := directoryHouse(t, `      url: `+s.TLSURL+`
      ca_file: `+s.CAFile+`
      preset: active-directory
      bind_dn: `+testserver.SambaSyncDN+`
      password: {file: secrets/ldap}
      base: `+testserver.SambaBase+`
      groups: {}
`)
	out := h.must("ldap", "show", "corp", "ada@ad.example.org")
	for _, want := range []string{
		ada + "\n", "active  no, expired: accountExpires is 2021-01-01T00:00:00Z\n", "builders", "Domain Users", "primary group\n", "objectSid", "S-1-5-21-",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	// A circle of groups ends, and who is in the inner one is in the outer one.
	inner, outer := s.AddGroup("inner", ada), s.AddGroup("outer")
	s.Replace(outer, "member", inner)
	s.Replace(inner, "member", ada, outer)
	if code, stdout, stderr := h.jmld("sync", "corp"); code != exitOK {
		t.Fatalf("sync: %d\n%s%s", code, stdout, stderr)
	}
	person := h.must("person", "ada@ad.example.org")
	for _, want := range []string{"corp: builders\n", "corp: inner\n", "corp: outer (through another group)\n", "corp: Domain Users\n"} {
		if !strings.Contains(person, want) {
			t.Errorf("%q is not in\n%s", want, person)
		}
	}
}

func TestLDAPShowOf389DirectoryServer(t *testing.T) {
	t.Parallel()
	s := testserver.DS389(t, testserver.DS389Options{LDIF: testserver.LDIF(6, 2, 3)})
	s.Replace(testserver.UserDN(1), "nsAccountLock", "true")
	h := directoryHouse(t, `      url: `+s.TLSURL+`
      ca_file: `+s.CAFile+`
      preset: 389ds
      bind_dn: `+testserver.SyncDN+`
      password: {file: secrets/ldap}
      base: `+testserver.Base+`
      groups: {}
`)
	out := h.must("ldap", "show", "corp", "u000001")
	unique := s.Lookup(testserver.UserDN(1), "nsUniqueId").GetAttributeValue("nsUniqueId")
	for _, want := range []string{"id      " + unique, `active  no, disabled: nsAccountLock is "true"`, "group 0000", "group 0001"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}
