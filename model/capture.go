package model

import "time"

// Capture is a recording of what a source's client sends and is answered, while it goes on. Nothing of it stays.
type Capture struct {
	ID        string `gorm:"primaryKey"`
	Source    string // has one at a time
	Key       []byte // of the pseudonyms; gone with the row
	Actor     string
	StartedAt time.Time
	SeenAt    time.Time // when whoever asked for it was last seen; without a sign of life it ends
	Until     time.Time
}

// CaptureLine is a redacted line on its way into the file.
type CaptureLine struct {
	ID      string `gorm:"primaryKey"`
	Capture string
	Text    string
}
