package model

import "time"

// Reload is a person's wish that the daemons read their configuration again.
type Reload struct {
	ID    string    `json:"id"`
	Actor string    `json:"actor"`
	At    time.Time `json:"at"`
	// Approve lets groups and roles go by which more people lose something than the guard lets go.
	Approve bool `json:"approve,omitempty"`
	// Rules is the fingerprint of the file of whoever asks; "": it is not known.
	Rules string `json:"rules,omitempty"`
}

// ReloadOutcome is what a daemon did with a configuration.
type ReloadOutcome string

// The outcomes.
const (
	ReloadAdopted   ReloadOutcome = "adopted"
	ReloadUnchanged ReloadOutcome = "unchanged" // the rules are those that run
	ReloadRefused   ReloadOutcome = "refused"   // what ran before goes on
)

// Reloaded is a daemon's answer to a Reload.
type Reloaded struct {
	Reload      string        `json:"reload"` // its ID; "": a signal asked
	Replica     string        `json:"replica"`
	Outcome     ReloadOutcome `json:"outcome"`
	Fingerprint string        `json:"fingerprint"` // of the rules that run now
	Text        string        `json:"text,omitempty"`
	Later       []string      `json:"later,omitempty"` // what is as before until a restart
}
