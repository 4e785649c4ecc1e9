package model

import "time"

// RulingKind is what a person decided about a record.
type RulingKind string

// The rulings.
const (
	RulingLink   RulingKind = "link"   // the record is about somebody who is known
	RulingNew    RulingKind = "new"    // it is about somebody else
	RulingIgnore RulingKind = "ignore" // it is nobody's, and not asked about again until its keys change
)

// Ruling is what a person decided about whom a record is. It goes before every rule and outlives the record: one that comes
// back under the same id is whose it was.
type Ruling struct {
	Source     string `gorm:"primaryKey"`
	RecordID   string `gorm:"primaryKey"`
	Kind       RulingKind
	IdentityID string // whose the record is; "" when it is ignored
	Keys       string // the record's correlation keys then, canonical JSON
	Actor      string
	Reason     string
	At         time.Time
}

// Merge says that an identity was found to be another one. Its row stays, with the accounts that both had: each of them waits
// for a person to let it go. What it had is remembered, so that a split gives it back.
type Merge struct {
	IdentityID string `gorm:"primaryKey"` // the one that is no more
	IntoID     string
	Records    string // JSON: [source, id] of each
	Keys       string // JSON: Key of each
	Accounts   string // JSON: the targets whose account moved
	Access     string // JSON: what both were given directly, and what became of it; "": nothing was
	Requests   string // JSON: MergedRequests; "": there were none
	Names      string // JSON: MergedNames; "": there were none
	Actor      string
	Reason     string
	At         time.Time
}

// MergedRequests are the open requests of somebody who turned out to be somebody else, by their ids.
type MergedRequests struct {
	Moved   []string `json:"moved,omitempty"`   // for them
	Asked   []string `json:"asked,omitempty"`   // that they asked for
	Dropped []string `json:"dropped,omitempty"` // for them, and the other one had asked for the same
}

// MergedNames are the user names of two people who turned out to be one, as target and name.
type MergedNames struct {
	Moved [][2]string `json:"moved,omitempty"` // from the one that is no more
	Kept  [][2]string `json:"kept,omitempty"`  // the other one's own
}

// Wait is a correlation key of a record that is nobody's, with who had it when that was decided. When that changes the record is
// looked at again.
type Wait struct {
	Source     string `gorm:"primaryKey"`
	RecordID   string `gorm:"primaryKey"`
	Name       string `gorm:"primaryKey"`
	Value      string `gorm:"primaryKey"`
	IdentityID string // "": nobody
	Version    int64  // of that identity; 0: only whose the key is matters
}

// ReviewCorrelation is the Identity.ReviewRun of people whose records, keys or accounts a person moved: what they lose by it
// waits for approval, however few they are.
const ReviewCorrelation = "correlation"
