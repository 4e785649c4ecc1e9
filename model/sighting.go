package model

// Sighting is what a search for one entry by its id found, after a complete read had not listed it.
type Sighting struct {
	State SightingState
	Text  string // in words: where it is, or why there is no answer
}

// SightingState is the outcome. The zero value says nothing about the entry.
type SightingState string

// The outcomes.
const (
	SightNone      SightingState = ""          // no answer
	SightNowhere   SightingState = "nowhere"   // not found, or nothing was seen that says why it is not listed
	SightListed    SightingState = "listed"    // it is where the read should have found it
	SightElsewhere SightingState = "elsewhere" // it exists and is out of scope: outside the base, or seen not to match the filter
	SightDeleted   SightingState = "deleted"   // the directory says that it was deleted
)
