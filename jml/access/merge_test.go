package access_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/jml/access"
	"jmld/model"
)

// put makes the rows what the edits say.
func put(rows []model.AccessMember, e access.Edits[model.AccessMember]) map[string]model.AccessMember {
	out := map[string]model.AccessMember{}
	for _, m := range rows {
		out[access.MemberKey(m)] = m
	}
	for _, m := range e.Drop {
		delete(out, access.MemberKey(m))
	}
	for _, m := range e.Put {
		out[access.MemberKey(m)] = m
	}
	return out
}

func byKey(rows ...model.AccessMember) map[string]model.AccessMember {
	return put(rows, access.Edits[model.AccessMember]{})
}

// period is a membership of the group, with admin rights, from and to so many hours from now; 0 is open.
func period(person, group string, admin bool, from, to int) model.AccessMember {
	m := member(person, "group:"+group, "Developer")
	m.Admin = admin
	for hours, end := range map[int]**time.Time{from: &m.ValidFrom, to: &m.ValidTo} {
		if at := noon().Add(time.Duration(hours) * time.Hour); hours != 0 {
			*end = &at
		}
	}
	return m
}

func ended(m model.AccessMember) model.AccessMember {
	at := noon().Add(-time.Hour)
	m.EndedAt = &at
	return m
}

// Two identities that turn out to be one person hold together what each was given. What one of them has no more neither ends nor gives what
// the other has. A split makes it what it was.
func TestAMergeBringsTogetherAndASplitGivesBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ goes, stays, want model.AccessMember }{
		"only the one that goes":           {period("from", "a", true, -1, 5), model.AccessMember{}, period("into", "a", true, -1, 5)},
		"the one that stays is over":       {period("from", "a", false, -1, 0), period("into", "a", true, -9, -1), period("into", "a", false, -1, 0)},
		"the one that goes is over":        {period("from", "a", true, -9, -1), period("into", "a", false, 0, 5), period("into", "a", false, 0, 5)},
		"both, and one administers":        {period("from", "a", true, -1, 5), period("into", "a", false, -9, 2), period("into", "a", true, -9, 5)},
		"without an end":                   {period("from", "a", false, -1, 2), period("into", "a", false, 0, 0), period("into", "a", false, 0, 0)},
		"without an end, who goes":         {period("from", "a", false, 0, 0), period("into", "a", false, -9, 2), period("into", "a", false, 0, 0)},
		"two times apart stay as they are": {period("from", "a", false, 8, 9), period("into", "a", false, -9, 2), period("into", "a", false, -9, 2)},
		"who goes had left":                {ended(period("from", "a", true, -9, 0)), period("into", "a", false, -1, 5), period("into", "a", false, -1, 5)},
		"who stays had left":               {period("from", "a", false, -1, 5), ended(period("into", "a", true, -9, 0)), period("into", "a", false, -1, 5)},
		"both had left":                    {ended(period("from", "a", false, -9, 5)), ended(period("into", "a", false, -1, 0)), ended(period("into", "a", false, -9, 0))},
	} {
		into := []model.AccessMember{period("into", "other", false, 0, 0)}
		if c.stays.Person != "" {
			into = append(into, c.stays)
		}
		before := append([]model.AccessMember{c.goes}, into...)
		e, note := access.Merge([]model.AccessMember{c.goes}, into, "into", noon())
		after := put(before, e)
		if diff := cmp.Diff(byKey(into[0], c.want), after); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		var rows []model.AccessMember
		for _, m := range after {
			rows = append(rows, m)
		}
		back, err := access.Split(note, rows, nil)
		if diff := cmp.Diff(byKey(before...), put(rows, back)); diff != "" || err != nil {
			t.Errorf("%s, split: %s %v", name, diff, err)
		}
	}
}

// A split gives nothing back that was taken away since, and what was changed since is changed for both.
func TestASplitGivesBackNothingThatWasTakenAway(t *testing.T) {
	t.Parallel()
	both := []model.AccessMember{period("from", "both", false, 0, 0), period("from", "mine", false, 0, 0), period("from", "gone", false, 0, 0)}
	into := []model.AccessMember{period("into", "both", false, 0, 0)}
	_, note := access.Merge(both, into, "into", noon())
	since := []model.AccessMember{period("into", "both", false, 0, 4), period("into", "mine", true, 0, 0)} // a person changed both, and took gone away
	back, err := access.Split(note, since, []model.AccessMember{period("from", "mine", false, 0, 1)})      // and gave one to the identity that was no more
	want := byKey(period("into", "both", false, 0, 4), period("from", "both", false, 0, 4))
	if diff := cmp.Diff(want, put(since, back)); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if _, err := access.Split("{", nil, nil); err == nil {
		t.Error("an unreadable note is no reason to lose rights silently")
	}
	if e, err := access.Split("", since, nil); err != nil || len(e.Put)+len(e.Drop) > 0 {
		t.Error(e, err)
	}
}
