package model

import "time"

// Op is what a change does to an account.
type Op string

// The operations, as they are printed.
const (
	OpCreate     Op = "+"
	OpUpdate     Op = "~"
	OpDeactivate Op = "!"
	OpReactivate Op = "^"
	OpDelete     Op = "-"
	OpFinding    Op = "?"
)

// Leaves says whether the operation takes something away from a person: the ones the guard counts.
func (o Op) Leaves() bool { return o == OpDeactivate || o == OpDelete }

// Event is the joiner-mover-leaver event behind a change.
type Event string

// The events.
const (
	EventNone   Event = ""
	EventJoiner Event = "joiner"
	EventMover  Event = "mover"
	EventLeaver Event = "leaver"
	EventRehire Event = "rehire"
	EventDrift  Event = "drift"
)

// ChangeState is how far a change got.
type ChangeState string

// The states of a change.
const (
	ChangePending   ChangeState = "pending"   // decided, waits for the guard to judge the whole run
	ChangeHeld      ChangeState = "held"      // waits for approval
	ChangeCommitted ChangeState = "committed" // is desired state now; the account shows whether it is applied
	ChangeRefused   ChangeState = "refused"   // approved, and no longer true
	ChangeWithdrawn ChangeState = "withdrawn" // its cause went away while it waited
	ChangeNoted     ChangeState = "noted"     // a finding
)

// Change is one decided change of one account, with everything that explains it.
type Change struct {
	ID         string `gorm:"primaryKey"`
	PlanID     string // the plan it waits or waited in
	RunID      string // the run that decided it, or ""
	Source     string // whose evidence moved it
	IdentityID string
	Who        string // the person's name then, for lists
	Target     string
	Op         Op
	Event      Event
	Before     string // Snapshot of the account before, JSON, or ""
	After      string // Snapshot after, JSON
	Because    string // Reason, JSON
	Attrs      string // what an update changes, in order, parted by spaces: "title" another value, "+title" one for the first time, "-title" none any more
	Code       Code   // findings
	State      ChangeState
	At         time.Time
	DecidedBy  string // "guard", or the person who approved
	DecidedAt  *time.Time
}

// Snapshot is an account before or after a change.
type Snapshot struct {
	State      AccountState   `json:"state"`
	Attributes map[string]any `json:"attributes,omitempty"`
}

// Reason is why: the rule, the record and the time that made a change.
type Reason struct {
	Text   string    `json:"text"`             // one sentence
	Rule   string    `json:"rule,omitempty"`   // policy rule
	Source string    `json:"source,omitempty"` // the source whose evidence it was
	Record string    `json:"record,omitempty"` // the record's id there
	Groups []string  `json:"groups,omitempty"` // groups the person lost or gained
	Absent bool      `json:"absent,omitempty"` // the record was missing in a complete read
	At     time.Time `json:"at"`
}

// PlanState is how far a plan got.
type PlanState string

// The states of a plan. Open is the zero state of safety: nothing in it is applied.
const (
	PlanOpen       PlanState = "open"       // the run still collects
	PlanHeld       PlanState = "held"       // the guard stopped it
	PlanApproved   PlanState = "approved"   // a person approved it; its items say what became of each
	PlanReleased   PlanState = "released"   // the guard let it through
	PlanExpired    PlanState = "expired"    // nobody approved it in time
	PlanSuperseded PlanState = "superseded" // a later run decided the same anew
)

// Plan collects changes that wait, until the guard or a person lets them go: those that take something away, and what a read changes
// of accounts that exist. Everything else is committed at once and only recorded as Change.
type Plan struct {
	ID         string `gorm:"primaryKey"`
	RunID      string
	Source     string
	Trigger    string // "read", "push", "review"
	State      PlanState
	Brake      Brake  // what stopped it
	Reason     string // the guard's sentence with its figures
	Digest     string // over the items that wait; approval names it
	Items      int    // how many wait
	ExpiresAt  time.Time
	ApprovedBy string
	ApprovedAt *time.Time
	CreatedAt  time.Time
	UpdatedAt  time.Time
}
