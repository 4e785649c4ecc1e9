package jml

import (
	"time"

	"jmld/jml/policy"
)

// Rules are the compiled configuration of every decision. They are read-only once made.
type Rules struct {
	// Precedence lists all sources; for an attribute without an authority of its own, the first that says something wins.
	Precedence []string
	// Authority overrides Precedence for single attributes ("active", "title", "emails", an extension URN with attribute).
	Authority map[string][]string
	// Correlation lists the names of the keys that join records of different sources, the strongest first. Known names:
	// "employeeNumber", "userName", "email" (only addresses in domains of our own organisations), "externalId".
	Correlation []string
	// OwnDomains are the e-mail domains in which an address says who somebody is.
	OwnDomains []string
	// Policy says who has an account where.
	Policy *policy.Policy
	// Calendar is how dates are read.
	Calendar Calendar
	// Targets are the names of the configured targets. Accounts of others are left alone.
	Targets []string
}

// Limits are the guard's. The zero value holds everything that takes something away.
type Limits struct {
	// Count and Share (0…1): more people losing an account than max(Count, Share × people supported by the source) are held.
	Count int
	Share float64
	// Ceiling (0…1): above this share always held, whatever Count says, once Floor people are supported.
	Ceiling float64
	Floor   int
	// Window is how far back losses are counted together. A read is counted by itself, and with the window against the ceiling.
	Window time.Duration
	// Expiry is how long a held plan can be approved.
	Expiry time.Duration
}
