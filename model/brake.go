package model

import (
	"strings"
	"time"
)

// Brake names what stopped a change: a kind, and after a colon whom or what it is about.
type Brake string

// The kinds of brakes.
const (
	BrakeLeavers Brake = "leavers" // too many people lose an account
	BrakeShrunk  Brake = "shrunk"  // a read lists fewer people than the last one
	BrakeRenewed Brake = "renewed" // known people come back under other ids
	BrakeClock   Brake = "clock"   // two clocks disagree
	BrakeGroup   Brake = "group"   // group:ID lost its members, or too many of them
	BrakeChanged Brake = "changed" // changed:TARGET:ATTRIBUTE, an attribute has another value for too many
	BrakeEmptied Brake = "emptied" // emptied:TARGET:ATTRIBUTE, an attribute has no value any more for too many
	BrakeMovers  Brake = "movers"  // movers:TARGET, too many accounts change
	BrakeJoiners Brake = "joiners" // joiners:TARGET, too many people get an account at once
	BrakeReturns Brake = "returns" // returns:TARGET, too many people come back at once
)

// About is the brake of that kind for a subject.
func (b Brake) About(parts ...string) Brake {
	return Brake(strings.Join(append([]string{string(b)}, parts...), ":"))
}

// Kind is the brake without its subject, and the subject.
func (b Brake) Kind() (kind Brake, subject string) {
	k, s, _ := strings.Cut(string(b), ":")
	return Brake(k), s
}

// Code is the cause that operators look up.
func (b Brake) Code() Code {
	switch kind, _ := b.Kind(); kind {
	case BrakeShrunk:
		return CodeGuardShrunk
	case BrakeRenewed:
		return CodeGuardRenewed
	case BrakeClock:
		return CodeGuardClock
	case BrakeGroup:
		return CodeGuardGroup
	case BrakeChanged, BrakeEmptied:
		return CodeGuardAttribute
	case BrakeMovers:
		return CodeGuardMovers
	case BrakeReturns:
		return CodeGuardReturns
	case BrakeJoiners:
		return CodeGuardJoiners
	}
	return CodeGuardHeld
}

// Hold is a brake's verdict: what waits, and why with the figures.
type Hold struct {
	Brake  Brake  `json:"brake"`
	Text   string `json:"text"`
	Source string `json:"source,omitempty"` // whose group it is about; "": of the change
}

// GroupLoss is what a group has lost of its members since a time.
type GroupLoss struct {
	Source  string `gorm:"primaryKey"`
	GroupID string `gorm:"primaryKey"`
	Since   time.Time
	Had     int // members then, and who joined
	Lost    int
}
