package ldapsync_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"

	"jmld/jml/entry"
)

// windows answers as a domain controller does where Samba does not: it gives no more than maxPage entries in a page
// (MaxPageSize) and no more than maxValues members in one answer (MaxValRange), and with that an empty list under the plain name.
type windows struct {
	people, members    int
	maxPage, maxValues int
	stamp              int                                  // uSNChanged of the group
	parts              int                                  // answers about the group alone
	before             func(w *windows, s *fakeSearch) bool // an answer of its own about the group, when true
	hidden             string                               // an attribute that nobody may read
}

const (
	windowsGroup = "CN=team,dc=example,dc=org"
	groupRID     = 1200
)

func guid(kind byte, n int) string {
	return string([]byte{byte(n), byte(n >> 8), byte(n >> 16), 0, 15: kind})
}

// sid is a security identifier of the domain.
func sid(rid int) string {
	return "\x01\x05\x00\x00\x00\x00\x00\x05\x15\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00" + string([]byte{byte(rid), byte(rid >> 8), byte(rid >> 16), 0})
}

func winUser(i int) string { return fmt.Sprintf("CN=u%05d,dc=example,dc=org", i) }

func (w *windows) serve(_ int, s *fakeSearch) bool {
	switch {
	case s.base == windowsGroup:
		if w.parts++; w.before == nil || !w.before(w, s) {
			w.group(s)
			s.done(0, nil)
		}
	case s.scope == 0:
		s.entry(s.base, "objectGUID", guid(1, 1))
		s.done(0, nil)
	case s.filter == "(objectCategory=group)":
		w.group(s)
		s.done(0, s.page(""))
	default:
		first := 0
		fmt.Sscan(s.cookie, &first) //nolint:errcheck // the first page has none
		last := min(first+w.maxPage, w.people)
		for i := first; i < last; i++ {
			s.entryBut(w.hidden, winUser(i), "objectGUID", guid(2, i), "sAMAccountName", fmt.Sprintf("u%05d", i), "userAccountControl", "512",
				"objectSid", sid(2000+i), "primaryGroupID", fmt.Sprint(map[bool]int{true: groupRID, false: 513}[i == w.people-1]))
		}
		cookie := ""
		if last < w.people {
			cookie = fmt.Sprint(last)
		}
		s.done(0, s.page(cookie))
	}
	return true
}

// group sends the group with what is asked of its members.
func (w *windows) group(s *fakeSearch) {
	attrs := [][]string{{"objectGUID", guid(3, 1)}, {"cn", "team"}, {"uSNChanged", fmt.Sprint(w.stamp)}, {"objectSid", sid(groupRID)}}
	for _, a := range s.attrs {
		name, option, _ := strings.Cut(a, ";range=")
		if name != "member" {
			continue
		}
		first := 0
		fmt.Sscanf(option, "%d-*", &first) //nolint:errcheck // without a range from 0
		last := min(first+w.maxValues, w.members)
		if option == "" && last < w.members {
			attrs = append(attrs, []string{"member"})
		}
		switch {
		case option == "" && last == w.members:
			a = "member"
		case last == w.members:
			a = fmt.Sprintf("member;range=%d-*", first)
		default:
			a = fmt.Sprintf("member;range=%d-%d", first, last-1)
		}
		part := []string{a}
		for i := first; i < last; i++ {
			part = append(part, winUser(i))
		}
		attrs = append(attrs, part)
	}
	attrs = slices.DeleteFunc(attrs, func(a []string) bool { return a[0] == w.hidden })
	s.entryOf(windowsGroup, attrs)
}

// entryBut sends an entry without one of its attributes.
func (s *fakeSearch) entryBut(hidden, dn string, pairs ...string) {
	var left []string
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i] != hidden {
			left = append(left, pairs[i], pairs[i+1])
		}
	}
	s.entry(dn, left...)
}

// entryOf sends an entry of attributes, each a name with any number of values.
func (s *fakeSearch) entryOf(dn string, attrs [][]string) { s.raw(entryMessage(s.id, dn, attrs)) }

// pg-ldap-sync #32: a group grew over 1,500 members and looked empty. Ranger-5427: only the first 1,500 were seen.
func TestLongListsOfMembersAreReadInRanges(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		members, maxValues, people, maxPage int
		before                              func(w *windows, s *fakeSearch) bool
		parts                               int // answers about the group alone
		wrong                               string
	}{
		"fits":                        {1500, 1500, 1600, 1000, nil, 0, ""},
		"one too many":                {1501, 1500, 1600, 1000, nil, 3, ""},
		"several ranges, small pages": {31, 4, 40, 3, nil, 9, ""},
		"changed in the middle, once": {10, 4, 12, 5, func(w *windows, _ *fakeSearch) bool {
			if w.parts == 2 {
				w.stamp, w.members = 2, 9
			}
			return false
		}, 8, ""},
		"grown without a new stamp": {10, 4, 12, 5, func(w *windows, s *fakeSearch) bool {
			if w.parts == 4 { // the first part again
				w.maxValues = 3
			}
			return false
		}, 4 + 5, ""},
		"changed each time": {10, 4, 12, 5, func(w *windows, _ *fakeSearch) bool { w.stamp++; return false }, 12, "changed each time"},
		"does not go on": {10, 4, 12, 5, func(w *windows, s *fakeSearch) bool {
			if w.parts == 2 {
				s.entry(windowsGroup, "cn", "team")
				s.done(0, nil)
			}
			return w.parts == 2
		}, 2, "did not go on"},
		"goes on elsewhere": {10, 4, 12, 5, func(w *windows, s *fakeSearch) bool {
			if w.parts == 2 {
				s.entry(windowsGroup, "cn", "team", "member;range=5-*", winUser(5))
				s.done(0, nil)
			}
			return w.parts == 2
		}, 2, "not those from 4 on"},
		"fewer than it says": {10, 4, 12, 5, func(w *windows, s *fakeSearch) bool {
			if w.parts == 2 {
				s.entry(windowsGroup, "cn", "team", "member;range=4-7", winUser(5))
				s.done(0, nil)
			}
			return w.parts == 2
		}, 2, "1 of its members"},
		"empty now": {10, 4, 12, 5, func(w *windows, s *fakeSearch) bool {
			s.entry(windowsGroup, "cn", "team")
			s.done(0, nil)
			return true
		}, 1, "then there were none"},
		"gone": {10, 4, 12, 5, func(w *windows, s *fakeSearch) bool {
			s.done(ldap.LDAPResultNoSuchObject, nil)
			return true
		}, 1, "went away"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &windows{people: c.people, members: c.members, maxPage: c.maxPage, maxValues: c.maxValues, before: c.before}
			f := newFake(t)
			f.onSearch = w.serve
			o := fakeOptions(f)
			o.Preset, o.PageSize = entry.ActiveDirectory, 0
			got, proof, err := read(t.Context(), source(t, o))
			if err != nil {
				t.Fatal(err)
			}
			g, emitted := got[groupID]
			if c.wrong != "" {
				if emitted || proof.Complete || len(proof.Skipped) != 1 || !strings.Contains(proof.Skipped[0].Text, c.wrong) {
					t.Errorf("emitted %v, complete %v, skipped %+v", emitted, proof.Complete, proof.Skipped)
				}
			} else {
				var want []string
				for i := range w.members {
					want = append(want, userID(i))
				}
				want = append(want, userID(w.people-1)) // has it as the primary group
				if d := cmp.Diff(len(want), len(g.Members)); d != "" || !proof.Complete || proof.Users != c.people {
					t.Errorf("%d members, want %d; complete %v, %d people: %+v", len(g.Members), len(want), proof.Complete, proof.Users, proof.Conditions)
				}
				have := map[string]bool{}
				for _, m := range g.Members {
					have[m] = true
				}
				for _, m := range want {
					if !have[m] {
						t.Errorf("%s is not a member", m)
					}
				}
			}
			if w.parts != c.parts {
				t.Errorf("%d answers about the group, want %d", w.parts, c.parts)
			}
		})
	}
}

const groupID = "00000001-0000-0000-0000-000000000003"

func userID(i int) string { return fmt.Sprintf("%08x-0000-0000-0000-000000000002", i) }
