package model

import "time"

// Problem is a cause and how many accounts it keeps from being settled.
type Problem struct {
	Target string
	Code   Code
	Text   string // one of the answers
	Dead   bool
	Count  int
	Oldest time.Time
}

// Tally is the overview's figures.
type Tally struct {
	Identities map[Lifecycle]int
	Accounts   []AccountTally
	Disputed   int // records
	Held       int // changes that wait
	Access     AccessTally
}

// AccessTally counts the tree of groups, without its root.
type AccessTally struct {
	Groups             int
	Apps, OwnedApps    int // owned by a group
	Namespaces         int
	AssignedNamespaces int // to at least one group
	Memberships        int // people counted once in each group, directly
}

// AccountTally counts the accounts of one target.
type AccountTally struct {
	Target   string
	Class    Class
	Active   int // desired
	Inactive int
	Settled  int // applied = desired
	Due      int
	Retrying int
	Dead     int
	Held     int
}

// ChangeCount is how many people have a change of one kind.
type ChangeCount struct {
	Target string
	Op     Op
	Attrs  string // as Change.Attrs
	Held   bool   // it waits for approval; else it went without a person's
	N      int
}

// ChangeQuery selects changes, newest first. Empty fields do not restrict.
type ChangeQuery struct {
	RunID, PlanID, IdentityID, Source, Target string
	Merged                                    bool // with IdentityID: also what was decided about people who were merged into this one
	States                                    []ChangeState
	Ops                                       []Op
	Before                                    string // id: the page after this one
	Limit                                     int
}

// AccountQuery selects accounts, ordered by user name, identity and target. Empty fields do not restrict.
type AccountQuery struct {
	IdentityID, Target string
	Class              Class
	State              AccountState
	Code               Code
	Dead, Unsettled    bool
	Privileged         bool   // administrators, and what is protected
	Search             string // part of the person's name, user name or e-mail
	// ByIdentity orders by identity instead, behind After if it is not "": whoever reads a target page by page misses none and sees none twice,
	// whatever is renamed, comes or goes between.
	ByIdentity    bool
	After         string // an identity
	Offset, Limit int
}

// PeopleQuery selects identities, ordered by display name and id.
type PeopleQuery struct {
	Search        string // part of name, user name or e-mail, or an identity id, record id, employee number
	Whole         bool   // no part: Search is all of one of them
	Lifecycle     Lifecycle
	External      bool // only people of other organisations
	Organisation  string
	DueBy         *time.Time // only who is looked at again before that time: one of their dates comes, or something else
	Offset, Limit int
}

// OrganisationTally counts the people of one organisation, "" for none that is known, as they were decided about last.
type OrganisationTally struct {
	Organisation string
	External     bool
	People       map[Lifecycle]int
	WithAccounts int // who should have an active account
}
