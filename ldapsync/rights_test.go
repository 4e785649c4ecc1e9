package ldapsync_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/jml/entry"
	"jmld/model"
)

// D-01: a right that was lost on what primary memberships are told by ends none of them.
func TestPrimaryMembershipsThatCannotBeToldAreNotOver(t *testing.T) {
	t.Parallel()
	for _, hidden := range []string{"", "primaryGroupID", "objectSid"} {
		t.Run(hidden, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.onSearch = (&windows{people: 4, members: 2, maxPage: 10, maxValues: 10, hidden: hidden}).serve
			o := fakeOptions(f)
			o.Preset, o.PageSize = entry.ActiveDirectory, 0
			_, p, err := read(t.Context(), source(t, o))
			failed := strings.Join(failedConditions(p), "; ")
			if err != nil || p.Complete != (hidden == "") || hidden != "" && !strings.HasPrefix(failed, "primary groups told: ") {
				t.Errorf("%v, complete %v, %s", err, p.Complete, failed)
			}
		})
	}
}

// Who cannot be used is still a member of the primary group.
func TestASkippedPersonStaysInThePrimaryGroup(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onSearch = (&windows{people: 4, members: 2, maxPage: 10, maxValues: 10}).serve
	o := fakeOptions(f)
	o.Preset, o.PageSize = entry.ActiveDirectory, 0
	o.People.Attributes = map[string]entry.Attribute{"userName": {From: []string{"uid"}}} // which nobody has
	got, p, err := read(t.Context(), source(t, o))
	if err != nil || !p.Complete || len(p.Skipped) != 4 || !slices.Contains(got[groupID].Members, userID(3)) {
		t.Errorf("%v, complete %v, %d skipped, %v", err, p.Complete, len(p.Skipped), got[groupID].Members)
	}
}

// An entry whose DN cannot be understood stands neither inside the base nor outside.
func TestADNThatCannotBeUnderstoodIsNoAnswer(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onSearch = func(_ int, s *fakeSearch) bool {
		switch {
		case strings.Contains(s.filter, "p9"):
			s.entry("ada", "entryUUID", "p9")
		case strings.Contains(s.filter, "entryUUID=p1") || s.base == userDN(1):
			s.person(1)
		}
		s.done(0, nil)
		return true
	}
	got := map[string]model.Sighting{}
	err := source(t, fakeOptions(f)).Confirm(t.Context(), model.KindUser, []string{"p9"}, []string{"p1"}, func(id string, s model.Sighting) { got[id] = s })
	if err != nil || got["p9"].State != model.SightNone || !strings.Contains(got["p9"].Text, "cannot be understood") {
		t.Errorf("%v, %+v", err, got)
	}
}

// A user name that two people have gives neither of them a membership and takes none away.
func TestAMembershipByANameOfTwoPeopleIsLeftAlone(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onSearch = func(_ int, s *fakeSearch) bool {
		switch {
		case s.scope == 0:
			return false
		case strings.Contains(s.filter, "posixGroup"):
			s.entry("cn=unclear,dc=example,dc=org", "entryUUID", "g1", "cn", "unclear", "objectClass", "posixGroup", "memberUid", "ada", "memberUid", "u1")
			s.entry("cn=clear,dc=example,dc=org", "entryUUID", "g2", "cn", "clear", "objectClass", "posixGroup", "memberUid", "u1")
		default:
			s.person(1)
			s.person(2, "uid", "Ada")
			s.person(3, "uid", "ada")
		}
		s.done(0, s.page(""))
		return true
	}
	o := fakeOptions(f)
	o.Preset = entry.OpenLDAP
	got, p, err := read(t.Context(), source(t, o))
	if err != nil || !p.Complete {
		t.Fatalf("%v, %q", err, failedConditions(p))
	}
	want := []model.Skipped{{ID: "g1", Name: "cn=unclear,dc=example,dc=org", Text: "1 of its members name several people, first ada"}}
	if d := cmp.Diff(want, p.Skipped); d != "" {
		t.Errorf("skipped (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"p1"}, got["g2"].Members); d != "" {
		t.Errorf("members (-want +got):\n%s", d)
	}
	if !slices.ContainsFunc(p.Conditions, func(c model.Condition) bool {
		return c.OK && c.Name == "user names of several people" && strings.HasPrefix(c.Seen, "1,")
	}) {
		t.Errorf("the proof does not count them: %+v", p.Conditions)
	}
}
