package jml

import (
	"strings"

	"jmld/jml/access"
	"jmld/model"
)

// memberships ends what somebody was given when they are archived, and not before: who is on leave comes back. A group without anybody else who
// administers it keeps its admin, which is a finding.
func (r *Rules) memberships(w *situation) access.Step {
	policy := r.Calendar.Memberships
	switch {
	case w.verdict == take && w.lifecycle == model.Archived && !policy.Keep && len(w.owned) == 0: // what they own is handed over first
		rows, admin := w.Access.Counting()
		if rows == 0 && len(admin) == 0 {
			return access.Stays
		}
		if len(admin) > 0 {
			w.found(model.CodeAccessAdmin, "has left and administers %s", strings.Join(admin, ", "))
		}
		w.settleSoon()
		return access.Ends
	case w.verdict == give && w.lifecycle == model.Active:
		since := w.Access.Ended()
		if since == nil {
			return access.Stays
		}
		w.settleSoon()
		if policy.Again || policy.Within > 0 && w.Now.Sub(*since) > policy.Within {
			return access.Drops
		}
		return access.Back
	}
	return access.Stays
}

// settleSoon has somebody who left, or is back, looked at again at once, and as long as it could not be done hourly.
func (w *situation) settleSoon() {
	again := handOverSoon
	if w.Identity != nil && w.Identity.Lifecycle == w.lifecycle {
		again = handOverAgain
	}
	w.soon(w.Now, w.Now.Add(again))
}
