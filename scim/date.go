package scim

import "time"

// noZone is xsd:dateTime without a zone.
const noZone = "2006-01-02T15:04:05.999999999"

// parseTime reads a date and time as readTime does. Without a zone it is UTC.
func parseTime(s string) (time.Time, bool) {
	t, _, ok := readTime(s)
	return t, ok
}

// readTime reads xsd:dateTime with or without zone, a date alone, and the nearest forms that programs write for them, and returns how the
// standard writes it. What has no zone gets none by that: when somebody comes and goes is meant where the person is, see jml.StartOf, which
// has to read all that is taken here.
func readTime(s string) (t time.Time, written string, ok bool) {
	for _, layout := range [...]string{time.RFC3339Nano, noZone, time.DateOnly, "2006-01-02Z07:00"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), s, true
		}
	}
	// A blank for the T goes with seconds only: "2026-11-23 02:00" may be a date whose plus sign became a blank in a URL.
	for _, form := range [...]struct{ read, write string }{
		{"2006-01-02T15:04:05Z0700", time.RFC3339Nano}, // Java
		{"2006-01-02T15:04:05Z07", time.RFC3339Nano},
		{"2006-01-02T15:04Z07:00", time.RFC3339Nano}, // ISO 8601 without seconds
		{"2006-01-02T15:04Z0700", time.RFC3339Nano},
		{"2006-01-02T15:04", noZone},
		{"2006-01-02 15:04:05Z07:00", time.RFC3339Nano}, // Python
		{"2006-01-02 15:04:05Z0700", time.RFC3339Nano},
		{"2006-01-02 15:04:05Z07", time.RFC3339Nano}, // PostgreSQL
		{"2006-01-02 15:04:05", noZone},              // databases
	} {
		if t, err := time.Parse(form.read, s); err == nil {
			return t.UTC(), t.Format(form.write), true
		}
	}
	return time.Time{}, "", false
}
