package testserver_test

import (
	"testing"

	"github.com/go-ldap/ldap/v3"

	"jmld/internal/testserver"
)

func TestSambaTakesPeopleAndGroupsAndSurvivesARestart(t *testing.T) {
	t.Parallel()
	s := testserver.Samba(t)
	ada := s.AddPerson("ada", map[string][]string{"givenName": {"Ada"}, "sn": {"Kern"}, "mail": {"ada@example.org"}})
	team := s.AddGroup("team", ada)
	s.Kill()
	s.Start()
	if got := s.Lookup(team, "member").GetAttributeValues("member"); len(got) != 1 || got[0] != ada {
		t.Fatalf("members %q, want %s", got, ada)
	}
	if got := s.Lookup(ada, "objectGUID").GetRawAttributeValue("objectGUID"); len(got) != 16 {
		t.Fatalf("objectGUID %x", got)
	}
	s.Stop()
	if _, err := ldap.DialURL(s.URL); err == nil {
		t.Fatal("a stopped server answers")
	}
}

func TestDS389HoldsWhatItWasGivenAndSurvivesARestart(t *testing.T) {
	t.Parallel()
	s := testserver.DS389(t, testserver.DS389Options{LDIF: testserver.LDIF(30, 7, 12)})
	s.Delete(testserver.UserDN(29))
	s.Kill()
	s.Start()
	c, err := ldap.DialURL(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Bind(testserver.SyncDN, testserver.Password); err != nil {
		t.Fatal(err)
	}
	for base, want := range map[string]int{testserver.Base: 36, "cn=changelog": 1} {
		r, err := c.Search(ldap.NewSearchRequest(base, 2, 0, 0, 0, false, "(|(uid=*)(member=*)(changeNumber=*))", []string{"1.1"}, nil))
		if err != nil {
			t.Fatalf("%s: %v", base, err)
		}
		if n := len(r.Entries); n < want {
			t.Errorf("%d entries below %s, want %d", n, base, want)
		}
	}
	s.Stop()
	if _, err := ldap.DialURL(s.URL); err == nil {
		t.Fatal("a stopped server answers")
	}
}
