package testserver_test

import (
	"testing"

	"github.com/go-ldap/ldap/v3"

	"jmld/internal/testserver"
)

func TestSlapdHoldsWhatItWasGivenAndSurvivesARestart(t *testing.T) {
	t.Parallel()
	s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(30, 7, 12)})
	count := func() int {
		t.Helper()
		c, err := ldap.DialURL(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.Bind(testserver.SyncDN, testserver.Password); err != nil {
			t.Fatal(err)
		}
		r, err := c.Search(ldap.NewSearchRequest(testserver.Base, 2, 0, 0, 0, false, "(|(uid=*)(member=*))", []string{"1.1"}, nil))
		if err != nil {
			t.Fatal(err)
		}
		return len(r.Entries)
	}
	if n := count(); n != 37 {
		t.Fatalf("%d entries, want 37", n)
	}
	s.Delete(testserver.UserDN(29))
	s.Kill()
	s.Start()
	if n := count(); n != 36 {
		t.Fatalf("%d entries after delete and restart, want 36", n)
	}
	s.Stop()
	if _, err := ldap.DialURL(s.URL); err == nil {
		t.Fatal("a stopped server answers")
	}
}
