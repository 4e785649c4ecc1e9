package ldapsync_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/testserver"
	"jmld/ldapsync"
	"jmld/model"
)

func confirm(t *testing.T, o ldapsync.Options, kind model.Kind, there []string, ids ...string) (map[string]model.SightingState, error) {
	t.Helper()
	got := map[string]model.SightingState{}
	err := source(t, o).Confirm(t.Context(), kind, ids, there, func(id string, s model.Sighting) {
		if s.Text == "" && s.State != model.SightNowhere {
			t.Errorf("%s: %s without words", id, s.State)
		}
		got[id] = s.State
	})
	return got, err
}

// D-01: what is not listed is looked for alone, and only what is seen counts as seen.
func TestWhatIsMissingIsLookedForOneByOne(t *testing.T) {
	t.Parallel()
	s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(20, 4, 10)})
	o := options(s)
	o.BindDN = testserver.PagedDN // sees neither ou=hidden nor employeeNumber
	o.People.Filter = "(&(objectClass=inetOrgPerson)(employeeType=employee)(!(title=Director)))"
	s.Delete(testserver.UserDN(1))
	s.Rename(testserver.UserDN(2), "uid=renamed", "")
	s.Rename(testserver.UserDN(3), "uid=u000003", "ou=services,"+testserver.Base)
	s.Replace(testserver.UserDN(4), "employeeType", "former")
	s.Replace(testserver.UserDN(5), "employeeType")
	s.Rename(testserver.UserDN(6), "uid=u000006", testserver.HiddenBase)
	s.Replace(testserver.UserDN(7), "title", "Director")
	s.Delete(testserver.GroupDN(1))
	s.Rename(testserver.GroupDN(2), "cn=moved", testserver.PeopleBase)
	there := []string{testserver.UserID(8), testserver.UserID(9)}
	got, err := confirm(t, o, model.KindUser, there, testserver.UserID(1), testserver.UserID(2), testserver.UserID(3), testserver.UserID(4),
		testserver.UserID(5), testserver.UserID(6), testserver.UserID(7))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]model.SightingState{
		testserver.UserID(1): model.SightNowhere,   // deleted: OpenLDAP keeps no tombstone
		testserver.UserID(2): model.SightListed,    // another name
		testserver.UserID(3): model.SightElsewhere, // moved out of the base
		testserver.UserID(4): model.SightElsewhere, // seen not to match
		testserver.UserID(5): model.SightNowhere,   // the attribute is gone, or hidden from us
		testserver.UserID(6): model.SightNowhere,   // where we may not look
		testserver.UserID(7): model.SightElsewhere, // matches what is excluded
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("people (-want +got):\n%s", d)
	}
	got, err = confirm(t, o, model.KindGroup, []string{testserver.GroupID(0)}, testserver.GroupID(1), testserver.GroupID(2))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]model.SightingState{testserver.GroupID(1): model.SightNowhere, testserver.GroupID(2): model.SightElsewhere}, got); d != "" {
		t.Errorf("groups (-want +got):\n%s", d)
	}
}

// A search that does not find who is known to be there says nothing about anybody.
func TestASearchThatFindsNobodyIsNoAnswer(t *testing.T) { // keycloak #24669
	t.Parallel()
	s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(5, 1, 5)})
	o := options(s)
	o.BindDN, o.ID = testserver.PagedDN, "employeeNumber" // which this account cannot see
	got, err := confirm(t, o, model.KindUser, []string{"100001"}, "100002")
	if model.CodeOf(err) != model.CodeSourceUnproven || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := confirm(t, options(s), model.KindGroup, nil, testserver.GroupID(0), testserver.GroupID(1)); err != nil ||
		got[testserver.GroupID(0)] != model.SightListed || got[testserver.GroupID(1)] != model.SightNowhere {
		t.Errorf("some are listed to be found: %v, %v", got, err)
	}
	o = options(s)
	o.Groups.Filter = "(&(objectClass=groupOfNames)(cn=none))"
	if got, err := confirm(t, o, model.KindGroup, nil, testserver.GroupID(0)); model.CodeOf(err) != model.CodeSourceUnproven || len(got) != 0 {
		t.Errorf("with nobody to find first: %v, %v", got, err)
	}
	proxy, there := testserver.Proxy(t, s.Addr), []string{testserver.UserID(2)}
	o = options(s)
	o.URL, o.CAFile = "ldap://"+proxy.Addr, ""
	if got, err := confirm(t, o, model.KindUser, there, testserver.UserID(1)); err != nil || got[testserver.UserID(1)] != model.SightListed {
		t.Fatalf("%v, %v", got, err)
	}
	total := proxy.Passed()
	for _, n := range []int64{20, total / 2, total - 10} {
		proxy.Cut(n)
		if got, err := confirm(t, o, model.KindUser, there, testserver.UserID(1)); err == nil || len(got) != 0 {
			t.Errorf("cut after %d of %d bytes: %v, %v", n, total, got, err)
		}
	}
}
