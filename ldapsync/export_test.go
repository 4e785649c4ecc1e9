package ldapsync

import "time"

// SetClock replaces the clock by which servers that failed are remembered.
func SetClock(s *Source, now func() time.Time) { s.now = now }
