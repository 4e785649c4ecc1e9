package model

import "time"

// Class of a target and of its accounts.
type Class string

// The classes.
const (
	ClassPlatform Class = "platform"
	ClassApp      Class = "app"
)

// AccountState is the state an account should have, or was seen to have.
type AccountState string

// The states. Unknown is the zero value: nothing is known to exist.
const (
	AccountUnknown  AccountState = ""
	AccountActive   AccountState = "active"
	AccountInactive AccountState = "inactive"
	AccountAbsent   AccountState = "absent"
)

// Origin says how an account came to be.
type Origin string

// The origins.
const (
	OriginOurs      Origin = "ours"
	OriginAdopted   Origin = "adopted" // found in the target under the same identifier, then managed
	OriginUnmanaged Origin = "unmanaged"
	OriginProtected Origin = "protected"
)

// Account is one person's account in one target, and its own work item: what it should be (desired), what it was seen
// to be (applied), and when somebody has to look at it next.
type Account struct {
	IdentityID string `gorm:"primaryKey"`
	Target     string `gorm:"primaryKey"`
	Class      Class
	Origin     Origin

	State      AccountState // desired
	UserName   string       // desired, for lists
	Desired    string       // desired attributes: canonical JSON object with SCIM names, without id, schemas and active
	DesiredRev int64        // bumped whenever State or Desired changes
	Because    string       // Reason, JSON

	// Administrator: the rule that made it says that it administers the target.
	Administrator bool
	// AppliedAdministrator: the target was told so, and the account is active there.
	AppliedAdministrator bool
	ProtectedBy          string // the entry of the configuration that it matched last

	NativeID     string // the target's id for it
	AppliedState AccountState
	Applied      string // attributes as read back
	AppliedRev   int64  // the DesiredRev that was applied last
	AppliedAt    *time.Time

	HeldPlan  string // a change of its state waits in this plan
	HeldAttrs string // attributes of which a change waits: canonical JSON object, attribute -> HeldAttr; "" none

	DueAt      *time.Time // when a worker may claim it; the end of the lease while claimed; nil: settled
	Priority   int        // 0: leavers, claimed first; 1: everything else
	LeaseOwner string
	Epoch      int64 // bumped by each claim; the fence
	Attempts   int
	ErrorCode  Code
	ErrorText  string
	Dead       bool // in the dead letter: not tried again until somebody says so

	CreatedAt time.Time
	UpdatedAt time.Time
}

// AccountName is a user name that was given to somebody in a target. It stays theirs whatever becomes of the account.
type AccountName struct {
	Target     string `gorm:"primaryKey"`
	Name       string `gorm:"primaryKey"` // folded with FoldKey, in Unicode form NFKC
	IdentityID string
	GivenAt    time.Time
}

// HeldAttr is a change of one attribute that waits for approval.
type HeldAttr struct {
	Plan string `json:"plan"`
	To   any    `json:"to,omitempty"` // null: the attribute goes away
}

// Waits says whether anything of the account waits for approval.
func (a *Account) Waits() bool { return a.HeldPlan != "" || a.HeldAttrs != "" }

// PlatformUser is a row of the table platform_users that the local target keeps for platforms that read a table.
type PlatformUser struct {
	Target      string `gorm:"primaryKey"`
	ID          string `gorm:"primaryKey"` // the identity's id
	UserName    string
	Email       string
	DisplayName string
	GivenName   string
	FamilyName  string
	Active      bool
	Attributes  string // everything else, canonical JSON
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// AppUser is a row of the table app_users; the columns are those of platform_users.
type AppUser PlatformUser

// TableName for GORM.
func (AppUser) TableName() string { return "app_users" }
