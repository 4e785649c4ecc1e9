package model

import "time"

// Kind of a record.
type Kind string

// The kinds.
const (
	KindUser  Kind = "user"
	KindGroup Kind = "group"
)

// Link is what correlation found for a user record.
type Link string

// The outcomes of correlation.
const (
	Unlinked  Link = ""          // not looked at: a group
	Linked    Link = "linked"    // belongs to Record.IdentityID
	Unmatched Link = "unmatched" // nobody has these keys, and the source may not create people
	Disputed  Link = "disputed"  // its keys point to different people: a human decides
	Ignored   Link = "ignored"   // a human decided that it is nobody's
)

// Record is what one source last said about one user or group. Its key is the source's own immutable id (SCIM id,
// entryUUID, …), never a DN, a userName or an e-mail address. Attributes use SCIM names (RFC 7643).
type Record struct {
	Source string `gorm:"primaryKey"`
	ID     string `gorm:"primaryKey"`
	Kind   Kind

	UserName       string // users
	UserNameKey    string // FoldKey(UserName)
	DisplayName    string
	DisplayNameKey string
	ExternalID     string
	Active         bool   // users; what the source says, groups are true
	UniqueKey      string // what the source holds once ("" = no such promise): a SCIM user's UserNameKey

	IdentityID string // users, when Linked
	Link       Link
	LinkText   string // why, in words, when not Linked; of a linked record, who decided it, when a person did

	Attrs   string // canonical JSON object: the resource without id, meta, schemas, groups and members
	Hash    []byte // 16 bytes over the content, members included where the source lists them
	Version int64  // 1, 2, …; the ETag

	// A directory read that proves to be complete and finds the record nowhere makes it missing; only several of them, over a time,
	// or explicit evidence make it absent. A record that is seen again is neither.
	MissingRuns  int
	MissingSince *time.Time // the first of those reads
	AbsentSince  *time.Time // since when it counts as gone
	CreatedAt    time.Time
	UpdatedAt    time.Time // of the content, RFC 7643 meta.lastModified
}

// Value is one searchable value of a record beyond the typed columns: an element of a multi-valued attribute or an
// extension attribute.
type Value struct {
	Attr  string // "emails.value", "urn:…:User:employeeNumber"
	Type  string // the element's type ("work"), or ""
	Value string // folded with FoldKey unless the attribute is case-exact
}

// Entry is a record as a directory read delivers it: with its members, already resolved to record ids of the source.
type Entry struct {
	Record
	Members []string // groups: user and group ids, sorted, without duplicates
	// Unknown are the attributes about which the directory was asked and could not be understood, as JSON pointers (RFC 6901)
	// into Attrs: "/active", "/name/givenName". The record keeps what it has there.
	Unknown []string
	// Dangling are references, as JSON pointers, that have a value in the directory which names nobody in the read. Attrs has nothing there.
	Dangling []string
}

// Proof says whether a read saw everything there is, and how that is known. The zero value proves nothing.
type Proof struct {
	Complete   bool        `json:"complete"`
	Mode       Mode        `json:"mode,omitempty"`     // what was read
	Instead    string      `json:"instead,omitempty"`  // why everything was read and not the changes only
	Unlisted   bool        `json:"unlisted,omitempty"` // only what changed was listed: about the absence of others it says nothing
	Method     string      `json:"method,omitempty"`   // how changes were looked for, or the next read will look for them
	Mark       string      `json:"-"`                  // from where the next read of changes goes on; it is kept in the checkpoint
	Server     string      `json:"server,omitempty"`
	Users      int         `json:"users"`
	Groups     int         `json:"groups"`
	Pages      int         `json:"pages"`
	Bytes      int64       `json:"bytes,omitempty"`
	Unresolved int         `json:"unresolved,omitempty"` // member values that name nobody in the read
	Skipped    []Skipped   `json:"skipped,omitempty"`    // entries that could not be used, the first 100
	Unknown    int         `json:"unknown,omitempty"`    // entries with attributes that could not be told, which stay as they are
	UnknownAt  []Skipped   `json:"unknownAt,omitempty"`  // the first 100 of them
	Clock      *int64      `json:"clock,omitempty"`      // by how many milliseconds the directory's clock is ahead of ours; nil: not known
	Conditions []Condition `json:"conditions"`
	Phases     []Phase     `json:"phases,omitempty"`
}

// Phase is a part of a run, and how long it took.
type Phase struct {
	Name string `json:"name"` // connect, bind, read; confirm, decide, commit
	Took int64  `json:"ms"`
}

// ConditionNoChange is the name of the condition by which a read that listed nobody says that nothing had changed.
const ConditionNoChange = "no change"

// Condition is one thing that must hold for a read to be complete, with the value seen.
type Condition struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	Seen string `json:"seen"`
	// Unseen: it could not be looked at, which stops nothing and proves nothing.
	Unseen bool `json:"unseen,omitempty"`
}

// Skipped is an entry that could not be turned into a record. It is present all the same: its absence is not concluded.
type Skipped struct {
	ID   string `json:"id"`
	Name string `json:"name"` // the DN
	Text string `json:"text"`
}
