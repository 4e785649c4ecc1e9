package access

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"jmld/model"
)

// Merge is what becomes of what somebody was given directly who turns out to be somebody else. What both have is one, for as long as
// either; whoever administers by either does so by it. One that is over, or ended when its person left, neither ends nor adds to one that is not. The note is for Split.
func Merge(from, into []model.AccessMember, to string, now time.Time) (e Edits[model.AccessMember], note string) {
	var n merged
	for _, f := range from {
		is, there := at(into, f)
		made, drop := f, f
		made.Person = to
		switch {
		case !there, over(is, now) && !over(f, now):
		case over(f, now) && !over(is, now), f.EndedAt != nil && is.EndedAt == nil: // what ended with a departure adds nothing, either
			made = is
		case is.EndedAt != nil && f.EndedAt == nil:
		default:
			made = is
			made.Admin = is.Admin || f.Admin
			if overlap(is, f) {
				made.ValidFrom, made.ValidTo = earlier(is.ValidFrom, f.ValidFrom), later(is.ValidTo, f.ValidTo)
			}
		}
		e.Drop = append(e.Drop, drop)
		n.Brought, n.Made = append(n.Brought, f), append(n.Made, made)
		if there {
			n.Had = append(n.Had, is)
		}
		if !there || !sameMember(made, is) {
			e.Put = append(e.Put, made)
		}
	}
	if len(n.Brought) == 0 {
		return e, ""
	}
	text, err := json.Marshal(n)
	if err != nil { // texts and times always marshal
		panic(fmt.Sprintf("access: %v", err))
	}
	return e, string(text)
}

// Split gives back what somebody brought along by a merge. What was changed since counts as changed for both, and what was taken away since
// stays away. has is what the merged person has, and back what the other one was given since.
func Split(note string, has, back []model.AccessMember) (e Edits[model.AccessMember], err error) {
	var n merged
	if note == "" {
		return e, nil
	}
	if err := json.Unmarshal([]byte(note), &n); err != nil {
		return e, fmt.Errorf("what a merge brought along: %w", err)
	}
	for i, b := range n.Brought {
		is, there := at(has, b)
		if !there {
			continue
		}
		own, had := at(n.Had, b)
		gives := b
		if !sameMember(is, n.Made[i]) {
			gives, own = is, is
			gives.Person = b.Person
		}
		if _, again := at(back, b); !again {
			e.Put = append(e.Put, gives)
		}
		switch {
		case !had:
			e.Drop = append(e.Drop, is)
		case !sameMember(own, is):
			e.Put = append(e.Put, own)
		}
	}
	return e, nil
}

// merged remembers a merge: what one brought, what the other had at the same places, and what was made of each.
type merged struct{ Brought, Had, Made []model.AccessMember }

// at is the row of the same place and role.
func at(rows []model.AccessMember, m model.AccessMember) (model.AccessMember, bool) {
	i := slices.IndexFunc(rows, func(x model.AccessMember) bool { return x.Place == m.Place && x.Role == m.Role })
	if i < 0 {
		return model.AccessMember{}, false
	}
	return rows[i], true
}

func over(m model.AccessMember, now time.Time) bool {
	return m.ValidTo != nil && !now.Before(*m.ValidTo)
}

// overlap: two times apart are not made one.
func overlap(a, b model.AccessMember) bool {
	before := func(from, to *time.Time) bool { return from == nil || to == nil || !from.After(*to) }
	return before(a.ValidFrom, b.ValidTo) && before(b.ValidFrom, a.ValidTo)
}

func earlier(a, b *time.Time) *time.Time {
	if a == nil || b == nil {
		return nil
	}
	if b.Before(*a) {
		return b
	}
	return a
}

func later(a, b *time.Time) *time.Time {
	if a == nil || b == nil {
		return nil
	}
	if b.After(*a) {
		return b
	}
	return a
}

// Given are the rows that name people by their identities, but those in without, and not by a key, which goes where the person goes.
func Given(rows []model.AccessMember, without string) []model.AccessMember {
	return slices.DeleteFunc(slices.Clone(rows), func(m model.AccessMember) bool { return strings.Contains(m.Person, ":") || m.Person == without })
}
