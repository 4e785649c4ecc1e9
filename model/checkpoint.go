package model

import "time"

// Mode says how much of a directory a run reads.
type Mode string

// The modes.
const (
	ModeFull   Mode = "full"   // every entry with its content
	ModeDelta  Mode = "delta"  // what changed since the last read
	ModeCensus Mode = "census" // the ids of everybody, and the content of those not known
)

// Checkpoint is up to where a source was read. It is stored when everything of the run is.
type Checkpoint struct {
	Source    string `gorm:"primaryKey"`
	Profile   string // JSON object: what the configuration of the source lists; another one opens a new epoch
	Mark      string // JSON, the source's own: from where to go on. Values of the server only. "": a full read is needed
	RunID     string
	UpdatedAt time.Time
}

// Doubt ends a read of changes that cannot know whether it sees all of them: everything has to be read.
type Doubt struct{ Text string }

// Error is the reason.
func (d *Doubt) Error() string { return d.Text }
