package model

import "time"

// RunState is how a run ended, or that it has not.
type RunState string

// The states of a run.
const (
	RunRunning   RunState = "running"
	RunStopping  RunState = "stopping" // somebody told it to stop; ErrorText says who
	RunSucceeded RunState = "succeeded"
	RunHeld      RunState = "held"   // succeeded, and its leavers wait for approval
	RunFailed    RunState = "failed" // the read failed or could not be stored
	RunAbandoned RunState = "abandoned"
)

// Verdict on a read.
type Verdict string

// The verdicts.
const (
	VerdictNone       Verdict = ""
	VerdictComplete   Verdict = "complete"
	VerdictIncomplete Verdict = "incomplete"
)

// Run is one read of a source.
type Run struct {
	ID          string `gorm:"primaryKey"`
	Job         string // "read:corp"
	Source      string
	Trigger     string     // "schedule", "demand", "start"
	ScheduledAt *time.Time // unique with Job: n replicas start it once
	DryRun      bool
	Actor       string
	Replica     string
	State       RunState
	Verdict     Verdict
	Proof       string // Proof, JSON
	Funnel      string // Funnel, JSON
	ErrorCode   Code
	ErrorText   string
	StartedAt   time.Time
	HeartbeatAt time.Time
	FinishedAt  *time.Time
}

// Funnel counts what became of the entries of a run.
type Funnel struct {
	Users     int `json:"users"`  // listed
	Groups    int `json:"groups"` // listed
	Unchanged int `json:"unchanged"`
	New       int `json:"new"`
	Changed   int `json:"changed"`
	Missing   int `json:"missing,omitempty"` // known before, not found now: not absent yet
	Absent    int `json:"absent"`            // gone: by explicit evidence, or missing often and long enough
	Skipped   int `json:"skipped"`
	Disputed  int `json:"disputed"`
	Reviewed  int `json:"reviewed"` // people looked at again because a group changed

	Create     int `json:"create"` // changes of accounts
	Update     int `json:"update"`
	Deactivate int `json:"deactivate"`
	Reactivate int `json:"reactivate"`
	Delete     int `json:"delete"`
	Held       int `json:"held"`
	Findings   int `json:"findings"`
}

// Count adds one change.
func (f *Funnel) Count(op Op) {
	switch op {
	case OpCreate:
		f.Create++
	case OpUpdate:
		f.Update++
	case OpDeactivate:
		f.Deactivate++
	case OpReactivate:
		f.Reactivate++
	case OpDelete:
		f.Delete++
	case OpFinding:
		f.Findings++
	}
}

// AuditEntry is one thing somebody did: a SCIM write, an approval, a token made. Append only.
type AuditEntry struct {
	ID      string `gorm:"primaryKey"`
	At      time.Time
	Actor   string // "source entra, token laptop", "operator ada"
	Action  string // "scim.create", "plan.approve", "token.new", …
	Source  string
	Subject string // record, identity, plan or token id
	Detail  string // JSON, without attribute values
}

// TableName for GORM.
func (AuditEntry) TableName() string { return "audit" }

// Token lets a SCIM client in. Only its SHA-256 is stored.
type Token struct {
	ID        string `gorm:"primaryKey"`
	Source    string
	Name      string // for people
	Hash      []byte // SHA-256 of the secret
	CreatedAt time.Time
	ExpiresAt *time.Time
	LastUsed  *time.Time
	RevokedAt *time.Time
}

// DialectUse counts the requests of one dialect in a source, and those among them in which the same thing was read
// differently from how it was written.
type DialectUse struct {
	Source    string `gorm:"primaryKey"`
	Dialect   string `gorm:"primaryKey"` // a name from a fixed list
	Note      string `gorm:"primaryKey"` // `active: "False" read as false`; "": the requests of the dialect, noted or not
	Requests  int
	FirstAt   time.Time
	LastAt    time.Time
	RequestID string // of the last one
	RecordID  string // that it was about, if it was about one
}
