package access

import (
	"time"

	"jmld/model"
)

// Step is what becomes of what a person was given directly.
type Step string

// The steps.
const (
	Stays Step = ""
	Ends  Step = "ends"  // the person has left
	Back  Step = "back"  // the person is back
	Drops Step = "drops" // the person is back, and has to be given it anew
)

// Turn is the membership after the step; false: it is gone. A group keeps an admin as long as there is no other, an app its owner, who hands it
// over. What is declared in the configuration is there again in any case.
func Turn(m model.AccessMember, step Step, otherAdmin bool, now time.Time) (model.AccessMember, bool) {
	kind, _ := SplitPlace(m.Place)
	switch {
	case step == Stays, m.Admin && kind != KindGroup:
	case step == Ends:
		if m.EndedAt == nil && (!m.Admin || otherAdmin) {
			m.EndedAt = &now
		}
	case m.EndedAt == nil:
	case step == Drops && m.ManagedBy != model.ManagedByConfig:
		return m, false
	default:
		m.EndedAt = nil
	}
	return m, true
}
