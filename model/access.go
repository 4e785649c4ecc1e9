package model

import "time"

// AccessRole is a set of permissions that people can hold: a central one, or one of an app's own role model. Only roles of users are
// governed; what an app makes of them in its modules is the app's own matter.
type AccessRole struct {
	ID          string `gorm:"primaryKey"` // the name, folded
	Name        string
	Description string
	App         string // place of the app whose own role it is; "": central, can be held everywhere
	Permissions string // canonical JSON object: area -> sorted list of permissions
	ManagedBy   string
}

// AccessGroup is a node of the group tree. The root is always there and has no row. A group has no role: its members have.
type AccessGroup struct {
	ID          string `gorm:"primaryKey"` // the name, folded
	Name        string
	Description string
	Parent      string // id of a group, or AccessRoot
	ManagedBy   string
}

// AccessResource is something that roles give rights on.
type AccessResource struct {
	Place       string `gorm:"primaryKey"` // "app:crm", "namespace:crm-prod"
	Name        string
	Description string
	ManagedBy   string
}

// AccessLink says that a group owns an app, which no other group may then, or that a namespace is associated with the group.
type AccessLink struct {
	Place     string `gorm:"primaryKey"` // of the resource
	Owner     string `gorm:"primaryKey"` // id of the group
	Exclusive bool   // of apps
	ManagedBy string
}

// AccessMember is what one person was given directly at one place; everything else is inherited from such rows and has none.
type AccessMember struct {
	Person    string `gorm:"primaryKey"` // an identity's id, or a correlation key such as "email:ada@example.org"
	Place     string `gorm:"primaryKey"` // "group:developers", "app:crm", "namespace:crm-prod"
	Role      string `gorm:"primaryKey"` // id of a role; "": only Admin
	Admin     bool   // administers the group, or owns the app
	Reason    string
	Approver  string // a natural person
	ValidFrom *time.Time
	ValidTo   *time.Time
	EndedAt   *time.Time // when it ended because its person left; it counts no more until they are back
	ManagedBy string
}

// Entitlements is what a decision made of somebody's roles, beside what people gave them.
type Entitlements struct {
	Given    []Birthright     `json:"given,omitempty"`
	Withheld []Withheld       `json:"withheld,omitempty"`
	Apart    map[string]Apart `json:"apart,omitempty"` // by the name of a rule of separation
	Level    string           `json:"level,omitempty"` // of certification, as it was known last
	Kept     []string         `json:"kept,omitempty"`  // what needs one and was there before the rule, while it cannot be told whether there is one
}

// Birthright is a role that a rule gives, as long as it holds. A request for the same is another thing: either can end alone.
type Birthright struct {
	Rule  string    `json:"rule"`
	Place string    `json:"place"`
	Role  string    `json:"role"`
	From  string    `json:"from,omitempty"` // the source's group that makes it hold
	Since time.Time `json:"since"`
}

// Withheld is a membership that does not count, whoever gave it.
type Withheld struct {
	Place string `json:"place"`
	Role  string `json:"role,omitempty"`
	Code  Code   `json:"code"`
	Text  string `json:"text"`
}

// Apart is what somebody has, and may not have, of what a rule of separation keeps apart.
type Apart struct {
	Has   []string `json:"has,omitempty"`
	Not   []string `json:"not,omitempty"`
	Until string   `json:"until,omitempty"` // of the exception that lets them have all of it
	With  []string `json:"with,omitempty"`  // targets of the accounts that go or change with what ends of Has, as long as they have not
}

// AccessRoot is the id of the group above all others.
const AccessRoot = "root"

// Who may change an object of the group tree: each has one owner.
const (
	ManagedByConfig   = "configuration"
	ManagedByOperator = "operator"
	ManagedByPolicy   = "policy" // birthrights: no row, the rule is the truth
)
