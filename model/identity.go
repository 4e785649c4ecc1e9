package model

import "time"

// Lifecycle of an identity, ISO/IEC 24760-1.
type Lifecycle string

// The phases.
const (
	Established Lifecycle = "established" // known, not started yet
	Active      Lifecycle = "active"
	Suspended   Lifecycle = "suspended" // inactive, some source still has a record
	Archived    Lifecycle = "archived"  // no source has a record any more, or the end has come
)

// Categories of people. One person may be in several.
const (
	CategoryPlatform = "platform" // employees who build on the platform
	CategoryExtended = "extended" // people of other organisations who build on it
	CategoryApp      = "app"      // end users of the apps
)

// Identity is one person: the records about them fused into one set of attributes.
type Identity struct {
	ID           string `gorm:"primaryKey"`
	Lifecycle    Lifecycle
	UserName     string // fused, for lists; the parts of SearchKey
	DisplayName  string
	Email        string
	SearchKey    string // FoldKey of display name, user name and e-mail, joined by a line feed
	Organisation string
	External     bool
	Categories   string     // sorted, joined by a comma
	Attrs        string     // fused attributes, canonical JSON object
	Provenance   string     // canonical JSON: attribute -> Provenance
	Findings     string     // what could not be decided: JSON array of Finding, "" when none
	Version      int64      // every decision about the person bumps it: the lock
	ReviewAt     *time.Time // when the decision may be another one
	ReviewRun    string     // the job whose next run wants to review it itself, before ReviewAt
	Suspect      string     // Hold, JSON: the next decision may take nothing away without approval, because of a group's loss; "" none
	Entitlements string     // Entitlements, JSON: what the last decision made of the person's roles; "" none
	Separated    string     // the rules of separation and certification that the last decision knew
	Rules        string     // the fingerprint of the rules by which they were decided about last; "" not known
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// Provenance says where a fused attribute comes from.
type Provenance struct {
	Winner string    `json:"winner"`           // source
	Losers []string  `json:"losers,omitempty"` // sources that said something else
	Rule   string    `json:"rule"`             // "precedence corp > entra"
	Says   string    `json:"says,omitempty"`   // what the winner says, where that is no attribute of the identity: "active"
	Empty  bool      `json:"empty,omitempty"`  // the winner says nothing, and nobody else may
	Since  time.Time `json:"since,omitzero"`   // when this winner and this value came together
}

// Key is a correlation key: a name such as "employeeNumber" and a value folded with FoldKey.
type Key struct {
	Name  string
	Value string
}

// IdentityKey says whom a key belongs to. (Name, Value) is unique: two requests at once cannot make two people of one.
type IdentityKey struct {
	Name       string `gorm:"primaryKey"`
	Value      string `gorm:"primaryKey"`
	IdentityID string
}

// Membership is one group a person is in, directly or through other groups.
type Membership struct {
	Source      string
	GroupID     string
	DisplayName string
	Former      string // names, folded, one a line, that the group had last and no group of its source has now
	Direct      bool
}

// Finding is something that could not be decided about a person; what there is was kept.
type Finding struct {
	Code   Code   `json:"code"`
	Target string `json:"target,omitempty"`
	Rule   string `json:"rule,omitempty"`
	Text   string `json:"text"`
}
