package jml

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Calendar says how dates are read, and what comes after them.
type Calendar struct {
	Zone  *time.Location // of whoever has no time zone of their own; nil: UTC
	Grace time.Duration  // between an end and the accounts being taken away
	// Locate finds a time zone by its name; nil: there is none but Zone. The same name gives the same zone.
	Locate func(name string) (*time.Location, error)
	// Memberships is what becomes of groups and roles of who has left.
	Memberships Memberships
	// External is what people of other organisations need.
	External External
	// Engagements are the periods of organisations whose people are engaged for a time only, by name.
	Engagements map[string][]Engagement
}

// Engagement is a period for which people of another organisation work with us.
type Engagement struct {
	From, Until     time.Time // the first moment of it, and the first one after it; zero: open
	Sponsor, Reason string
}

// Memberships says what becomes of the groups and roles somebody was given when they have left. They end, and are there again when the person
// is back.
type Memberships struct {
	Keep   bool          // they count all the time
	Again  bool          // who is back is given none of them by itself
	Within time.Duration // who is back later is given none, either; 0: no such limit
}

// External says what people of other organisations need before they get an account. What they have stays.
type External struct {
	RequireEnd     bool     // of their own, or of their organisation's engagement
	RequireSponsor bool     // the same
	Forbidden      []string // targets in which they get none
}

func (c Calendar) zone() *time.Location {
	if c.Zone == nil {
		return time.UTC
	}
	return c.Zone
}

// zoneOf is the zone of a person whose sources give a time zone, RFC 7643 §4.1.1; the error is worth a finding. In a zone that nobody
// knows a day begins and ends when it has begun and ended everywhere: nothing happens too early.
func (c Calendar) zoneOf(name string) (*time.Location, error) {
	if name == "" {
		return c.zone(), nil
	}
	err := errors.New("is not a time zone such as Europe/Berlin")
	if c.Locate != nil && !strings.EqualFold(name, "local") {
		if zone, lerr := c.Locate(name); lerr == nil {
			return zone, nil
		}
	}
	return time.FixedZone("UTC-12", -12*60*60), fmt.Errorf("timezone %q %w; its days begin and end as late as anywhere, in UTC-12", name, err)
}

// StartOf is the moment at which something begins: the given one, or the beginning of the given day in the zone. "" is zero.
//
//	2027-03-31                  the day in the zone
//	2027-03-31+02:00            the day at that offset, xsd:date
//	2027-03-31T18:00:00         the time in the zone
//	2027-03-31T18:00:00+02:00   that moment
//	20270331180000Z             that moment, RFC 4517 §3.3.13
func StartOf(text string, zone *time.Location) (time.Time, error) { return moment(text, zone, 0) }

// EndOf is the first moment after something has ended: the given one, or the end of the given day in the zone. "" is zero, and so is what
// systems write for no end at all.
func EndOf(text string, zone *time.Location) (time.Time, error) {
	if never(strings.TrimSpace(text)) {
		return time.Time{}, nil
	}
	return moment(text, zone, 1)
}

// never knows the ways to write that there is no end: a time in the last year there is, as HR systems and generalized times have it, and what
// Active Directory's accountExpires and shadowExpire (RFC 2307) say, as a number or as the day that number would be.
func never(text string) bool {
	switch text {
	case "0", "-1", "9223372036854775807":
		return true
	}
	for _, layout := range layouts() {
		if t, err := time.Parse(layout, text); err == nil {
			return t.Year() == 9999 || t.UTC().Year() == 1601 && t.UTC().YearDay() == 1
		}
	}
	return false
}

const dayAtOffset = "2006-01-02Z07:00"

func layouts() []string {
	return []string{time.DateOnly, dayAtOffset, time.RFC3339, "20060102150405Z0700", "2006-01-02T15:04:05"}
}

func moment(text string, zone *time.Location, days int) (time.Time, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.Parse(time.DateOnly, text); err == nil && inEra(d) {
		return midnight(d.AddDate(0, 0, days), zone), nil
	}
	if d, err := time.ParseInLocation(dayAtOffset, text, time.UTC); err == nil && inEra(d) { // not in Local, which may have the offset for half a year
		return midnight(d.AddDate(0, 0, days), d.Location()), nil
	}
	for _, layout := range []string{time.RFC3339, "20060102150405Z0700"} {
		if t, err := time.Parse(layout, text); err == nil && inEra(t) {
			return t.UTC().Truncate(time.Microsecond), nil
		}
	}
	if t, err := time.ParseInLocation("2006-01-02T15:04:05", text, zone); err == nil && inEra(t) {
		return t.UTC().Truncate(time.Microsecond), nil
	}
	return time.Time{}, fmt.Errorf("%q is not a date; expected such as 2027-03-31 or 2027-03-31T18:00:00Z", text)
}

// inEra leaves out what no database column and no calendar of a company holds.
func inEra(t time.Time) bool { return t.Year() >= 1900 && t.Year() < 9999 }

// midnight is the first moment of the day in the zone. Where clocks change at midnight it is not 0:00.
func midnight(day time.Time, zone *time.Location) time.Time {
	y, m, d := day.Date()
	t := time.Date(y, m, d, 0, 0, 0, 0, zone)
	if t.Day() != d { // 0:00 is left out, and t before the gap: the day begins where the gap ends
		_, t = t.ZoneBounds()
	}
	return t.UTC()
}

// Engagement is the period of the organisation that counts: the one that runs, else the last that ended, else the first to come. ok is
// false for an organisation without any.
func (c Calendar) Engagement(organisation string, now time.Time) (best Engagement, ok bool) {
	const toCome, over, runs = 0, 1, 2
	state := func(e Engagement) int {
		switch {
		case now.Before(e.From):
			return toCome
		case !e.Until.IsZero() && !now.Before(e.Until):
			return over
		}
		return runs
	}
	for _, e := range c.Engagements[organisation] {
		is, was := state(e), state(best)
		switch {
		case !ok, is > was, is == was && is == toCome && e.From.Before(best.From), is == was && is == over && e.Until.After(best.Until):
			best, ok = e, true
		}
	}
	return best, ok
}
