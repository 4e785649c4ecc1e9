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
	// Conditional goes before Authority: for an attribute, the first that holds.
	Conditional map[string][]Authority
	// Correlation lists the names of the keys that join records of different sources, the strongest first. Known names:
	// "employeeNumber", "userName", "email" (only addresses in domains of our own organisations), "externalId", and text
	// attributes of extensions by URN, such as the immutable subject of an identity provider.
	Correlation []string
	// JoinOnly are sources whose records join people whom other sources know, and make nobody new.
	JoinOnly []string
	// OwnDomains are the e-mail domains in which an address says who somebody is.
	OwnDomains []string
	// Policy says who has an account where.
	Policy *policy.Policy
	// Calendar is how dates are read.
	Calendar Calendar
	// Certification and Separation restrict what people may have.
	Certification Certification
	Separation    []Separation
	// Protect is what nothing takes away.
	Protect Protection
	// Targets are the names of the configured targets. Accounts of others are left alone.
	Targets []string
}

// Authority says whose word counts for an attribute of some people.
type Authority struct {
	Sources []string // the others follow in the order of Precedence
	When    string   // CEL, for people to read; "": everybody
	If      int      // the condition's number in the policy, where When is not empty
	// Exclusive: the first of Sources that has a record of the person decides alone. What it does not say is empty.
	Exclusive bool
}

// Limits are the guard's. The zero value holds everything that takes something away.
type Limits struct {
	// Count and Share (0…1): more people losing an account than max(Count, Share × people supported by the source) are held.
	Count int
	Share float64
	// Week is the limit of all who lose an account within seven days, whatever their causes.
	Week Limit
	// Joiners is how many people may get an account in one target by one read, of those the source supports; its first one aside.
	Joiners Limit
	// Ceiling (0…1): above this share always held, whatever Count says, once Floor people are supported.
	Ceiling float64
	Floor   int
	// Window is how far back losses are counted together. A read is counted by itself, and with the window against the ceiling.
	Window time.Duration
	// Expiry is how long a held plan can be approved.
	Expiry time.Duration

	// Brakes on changes of accounts that exist, for each target: of one attribute, to none, of anything, and back to active.
	Changed, Emptied, Movers, Returns Limit
	// Group is how many members a group may lose within the window; one that had GroupEmptied may not lose all of them.
	Group        Limit
	GroupEmptied int
	// A read is suspect as a whole when it lists fewer people than the last complete one (Shrink), when known people come back
	// under other ids (Renewed), or when clocks differ by more than Clock.
	Shrink, Renewed Limit
	Clock           time.Duration
}
