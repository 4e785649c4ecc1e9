package model

import "time"

// RequestStatus is how far a request for access is.
type RequestStatus string

// The statuses of a request.
const (
	RequestOpen     RequestStatus = "open"
	RequestApproved RequestStatus = "approved" // what was asked for was given; whether it still is, the tree of groups says
	RequestDenied   RequestStatus = "denied"
	RequestExpired  RequestStatus = "expired" // nobody decided in time
)

// AccessRequest asks that a person be given something in the tree of groups. A person has one open request for the same.
type AccessRequest struct {
	ID         string `gorm:"primaryKey"`
	IdentityID string // who is to get it
	Who        string // the person's name then, for lists
	Place      string // as AccessMember has it
	Role       string
	Admin      bool
	Reason     string
	ValidFrom  *time.Time
	ValidTo    time.Time // nothing is asked for without an end
	Requester  string    // identity of the natural person who asks
	Actor      string    // who put it in: "operator ada"
	Privileged bool      // it was when it was asked for
	Approvals  string    // JSON array of AccessApproval
	ExpiresAt  time.Time

	Status    RequestStatus
	DecidedBy string // identities, or "rule …"; "": nobody, it expired
	Answer    string // why
	DecidedAt *time.Time
	CreatedAt time.Time
}

// AccessApproval is one person's yes.
type AccessApproval struct {
	Person string    `json:"person"` // identity
	Actor  string    `json:"actor"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// RequestQuery selects requests; what is empty selects all.
type RequestQuery struct {
	ID         string
	IdentityID string
	Requester  string
	Place      string
	Status     RequestStatus
	Limit      int
}
