package access

import (
	"slices"
	"time"

	"jmld/model"
)

// Losing are the people among those named who would hold something no more: a membership, a group, a resource or a permission. Who has left has
// nothing to lose. The states must hold together.
func Losing(before, after State, people []string, now time.Time) ([]string, error) {
	was, err := New(before)
	if err != nil {
		return nil, err
	}
	is, err := New(after)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, name := range people {
		who := before.who(name)
		had, has := was.Rows(who), is.Rows(who)
		if slices.Contains(out, who) {
			continue
		}
		gone := slices.ContainsFunc(had, func(m model.AccessMember) bool {
			is, there := at(has, m)
			counts := m.EndedAt == nil && !over(m, now)
			return counts && (!there || m.Admin && !is.Admin || later(is.ValidTo, m.ValidTo) != is.ValidTo)
		})
		if gone || fewer(was.Permissions(had, now), is.Permissions(has, now)) || fewer(was.Reach(had, now), is.Reach(has, now)) ||
			fewer(was.GroupNames(had, now), is.GroupNames(has, now)) {
			out = append(out, who)
		}
	}
	slices.Sort(out)
	return out, nil
}

func fewer[T comparable](was, is []T) bool {
	return slices.ContainsFunc(was, func(x T) bool { return !slices.Contains(is, x) })
}

// Managed counts the rows that are managed by the one named.
func (s *State) Managed(by string) (n int) {
	for _, r := range s.Roles {
		n += one(r.ManagedBy == by)
	}
	for _, g := range s.Groups {
		n += one(g.ManagedBy == by)
	}
	for _, r := range s.Resources {
		n += one(r.ManagedBy == by)
	}
	for _, l := range s.Links {
		n += one(l.ManagedBy == by)
	}
	for _, m := range s.Members {
		n += one(m.ManagedBy == by)
	}
	return n
}

func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
