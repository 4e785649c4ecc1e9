package access

import (
	"slices"
	"time"

	"jmld/model"
)

// RequestRules say who decides about what people ask for.
//
//	asked for                                     is given when
//	a role of Free, on an app or a namespace      it is asked for
//	anything else                                 somebody approves it who administers the place, or is one of Approvers
//	what is privileged                            Approvals of them do, or one of Approvers
//
// Nobody decides about what they asked for, or would get themselves.
type RequestRules struct {
	Open       time.Duration // how long a request waits
	Longest    time.Duration // what is given for
	Free       []string      // ids of roles
	Privileged []Thing       // beside whatever makes somebody an admin, or one of Approvers
	Approvals  int           // of what is privileged; less than 2: 2
	Approvers  string        // id of the group in which they hold a role, not inherited; "": there are none
}

// IsPrivileged says whether the row gives something that is.
func (r *RequestRules) IsPrivileged(t *Tree, m model.AccessMember) bool {
	return m.Admin || r.Approvers != "" && m.Place == KindGroup+":"+r.Approvers ||
		slices.ContainsFunc(r.Privileged, func(thing Thing) bool { return t.gives(m, thing) })
}

// IsFree says whether the row needs no approval.
func (r *RequestRules) IsFree(t *Tree, m model.AccessMember) bool {
	kind, _ := SplitPlace(m.Place)
	return (kind == KindApp || kind == KindNamespace) && slices.Contains(r.Free, m.Role) && !r.IsPrivileged(t, m)
}

// MayAsk says whether one person may ask for another: everybody for themselves, and who administers the place for anybody.
func (r *RequestRules) MayAsk(t *Tree, requester, person, place string, now time.Time) bool {
	return requester == person || t.Administers(t.Rows(requester), place, now)
}

// MayDecide says whether the person may, as far as the place goes.
func (r *RequestRules) MayDecide(t *Tree, person, place string, now time.Time) bool {
	return t.Administers(t.Rows(person), place, now) || r.alone(t, person, now)
}

// Enough says whether what is asked for is approved by these people.
func (r *RequestRules) Enough(t *Tree, m model.AccessMember, privileged bool, by []string, now time.Time) bool {
	by = slices.DeleteFunc(slices.Clone(by), func(p string) bool { return !r.MayDecide(t, p, m.Place, now) }) // no longer
	switch {
	case len(by) == 0:
		return false
	case !privileged && !r.IsPrivileged(t, m):
		return true
	}
	return len(by) >= max(2, r.Approvals) || slices.ContainsFunc(by, func(p string) bool { return r.alone(t, p, now) })
}

// alone: one of Approvers. Who administers the group, or comes from above it, may not decide alone by that.
func (r *RequestRules) alone(t *Tree, person string, now time.Time) bool {
	return r.Approvers != "" && slices.ContainsFunc(t.Rows(person), func(m model.AccessMember) bool {
		return m.Place == KindGroup+":"+r.Approvers && m.Role != "" && Holds(m, now)
	})
}

// Held says in which way the person has what the row would give for at least as long; nil: it would give something.
func (t *Tree) Held(m model.AccessMember, now time.Time) *Grant {
	at := now
	if m.ValidFrom != nil && m.ValidFrom.After(at) {
		at = *m.ValidFrom
	}
	for _, g := range t.On(t.Rows(m.Person), m.Place, at) {
		lasts := g.Row.ManagedBy != model.ManagedByPolicy && later(g.Row.ValidTo, m.ValidTo) == g.Row.ValidTo // a rule may end at any time
		if lasts && (!m.Admin || g.Row.Admin) && (m.Role == "" || g.Row.Role == m.Role) {
			return &g
		}
	}
	return nil
}
