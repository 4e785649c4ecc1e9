package model

import "time"

// TaskStatus is how far a task is.
type TaskStatus string

// The statuses of a task.
const (
	TaskOpen      TaskStatus = "open"
	TaskDone      TaskStatus = "done"
	TaskRefused   TaskStatus = "refused"
	TaskWithdrawn TaskStatus = "withdrawn" // it became needless, or another took its place
)

// Task is a step that a person takes in a target that has no API for it. An account has one open task at most.
type Task struct {
	ID         string `gorm:"primaryKey"`
	IdentityID string
	Target     string
	Who        string // the person's name then, for lists
	UserName   string
	Op         Op           // what is to be done with the account
	Revision   int64        // the account's desired revision that it is for
	State      AccountState // the account's, when it is done
	Attributes string       // the account's, when it is done: canonical JSON object
	Before     string       // those it was known to have, "" none
	Because    string       // Reason, JSON

	Assignee     string
	Instructions string
	DueAt        time.Time

	Status    TaskStatus
	Evidence  string // of what was done, or why not
	DecidedBy string
	DecidedAt *time.Time
	CreatedAt time.Time
	UpdatedAt time.Time
}

// TaskOutcome is what a person says with their decision about a task.
type TaskOutcome struct {
	NativeID string // the target's id of what they made, "" nothing said
	// Look: the target has an API. The account is as the target shows it, and the worker looks.
	Look bool
}

// TaskQuery selects tasks; what is empty selects all.
type TaskQuery struct {
	ID         string
	IdentityID string
	Target     string
	Assignee   string
	Status     TaskStatus
	Overdue    bool // open, and due before now
	Limit      int
}
