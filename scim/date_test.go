package scim

import (
	"fmt"
	"strings"
	"testing"
	"time"

	elimity "github.com/elimity-com/scim/errors"

	"jmld/jml"
)

// dated is a created user's endDate, as it is stored, and whether it was read differently.
func dated(rt *resourceType, text string, strict bool) (stored string, differently bool, err error) {
	n := &notes{strict: strict}
	v, err := normaliser{n, Bounds{}.filled()}.value(rt.lookup("endDate"), text)
	if err == nil {
		err = n.refused
	}
	stored, _ = v.(string)
	return stored, n.differently, err
}

// TestDatesAreStoredAsTheStandardHasThem: and what was not written so is refused where the source is strict, in values and in filters.
func TestDatesAreStoredAsTheStandardHasThem(t *testing.T) {
	t.Parallel()
	rt := newSchemas().user
	for _, c := range []struct{ text, stored, at string }{ // stored "": none
		{"2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z"},
		{"2026-11-23T10:00:00.500+02:00", "2026-11-23T10:00:00.500+02:00", "2026-11-23T08:00:00.5Z"},
		{"2026-11-23T10:00:00", "2026-11-23T10:00:00", "2026-11-23T10:00:00Z"},
		{"2026-11-23T10:00:00.000+0000", "2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z"}, // Java, log4j and Jackson before 2.11
		{"2026-11-23T10:00:00.125-0530", "2026-11-23T10:00:00.125-05:30", "2026-11-23T15:30:00.125Z"},
		{"2026-11-23T10:00:00+02", "2026-11-23T10:00:00+02:00", "2026-11-23T08:00:00Z"},
		{"2026-11-23T10:00Z", "2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z"},
		{"2026-11-23T10:00+02:00", "2026-11-23T10:00:00+02:00", "2026-11-23T08:00:00Z"},
		{"2026-11-23T10:00+0200", "2026-11-23T10:00:00+02:00", "2026-11-23T08:00:00Z"},
		{"2026-11-23T10:00", "2026-11-23T10:00:00", "2026-11-23T10:00:00Z"},
		{"2026-11-23 10:00:00", "2026-11-23T10:00:00", "2026-11-23T10:00:00Z"},
		{"2026-11-23 10:00:00.25", "2026-11-23T10:00:00.25", "2026-11-23T10:00:00.25Z"},
		{"2026-11-23 10:00:00Z", "2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z"},
		{"2026-11-23 10:00:00+02:00", "2026-11-23T10:00:00+02:00", "2026-11-23T08:00:00Z"},
		{"2026-11-23 10:00:00-0800", "2026-11-23T10:00:00-08:00", "2026-11-23T18:00:00Z"},
		{"2026-11-23 10:00:00+00", "2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z"}, // PostgreSQL
		{"2026-11-23  10:00:00", "2026-11-23T10:00:00", "2026-11-23T10:00:00Z"},
		{"2026-11-23 02:00", "", ""}, // 2026-11-23+02:00 whose plus sign became a blank in a URL?
		{"2026-11-23T10:00:00 02:00", "", ""},
		{"2026-11-23T10", "", ""}, {"2026-11-23T25:00Z", "", ""}, {"2026-02-29 10:00:00", "", ""},
		{"2026-11-23T10:00:00+2", "", ""}, {"23.11.2026 10:00:00", "", ""}, {"11/23/2026", "", ""}, {"20261123", "", ""}, {"1795428000", "", ""},
	} {
		stored, differently, err := dated(rt, c.text, false)
		filter := fmt.Sprintf("%s:endDate eq %q", URNLifecycle, c.text)
		parsed, perr := parseFilter(filter, Bounds{}.filled())
		if perr != nil {
			t.Fatal(perr)
		}
		if c.stored == "" {
			_, _, ferr := resolveText(t, rt, filter)
			if err == nil || refusalOf(err).ScimType != elimity.ScimTypeInvalidValue || ferr == nil || refusalOf(ferr).ScimType != elimity.ScimTypeInvalidFilter {
				t.Errorf("%q: stored as %q, %v; in a filter: %v", c.text, stored, err, ferr)
			}
			continue
		}
		if err != nil || stored != c.stored || differently != (c.text != c.stored) {
			t.Errorf("%q: stored as %q, %v, read differently: %t; want %q", c.text, stored, err, differently, c.stored)
			continue
		}
		at, ok := parseTime(c.text)
		then, serr := jml.StartOf(stored, time.UTC)
		if shown := at.Format(time.RFC3339Nano); !ok || serr != nil || shown != c.at || !then.Equal(at) {
			t.Errorf("%q: compared as %s, and %s (%v) in the calendar; want %s", c.text, shown, then, serr, c.at)
		}
		for _, strict := range []bool{false, true} {
			refused := strict && c.text != c.stored
			_, _, err := dated(rt, c.text, strict)
			if (err != nil) != refused || refused && refusalOf(err).ScimType != elimity.ScimTypeInvalidValue {
				t.Errorf("%q, strict %t: %v", c.text, strict, err)
			}
			n := &notes{strict: strict}
			r := resolver{rt: rt, notes: n, place: placeOf}
			if _, err := r.filter(parsed); err != nil {
				t.Errorf("%s: %v", filter, err)
			}
			if n.differently != (c.text != c.stored) || (n.refused != nil) != refused || refused && refusalOf(n.refused).ScimType != elimity.ScimTypeInvalidFilter {
				t.Errorf("%s, strict %t: %v, %v", filter, strict, n.list, n.refused)
			}
		}
	}
}

// TestTheCalendarReadsWhatIsTakenForADate: no form of a date is stored that means nothing later, or another moment.
func TestTheCalendarReadsWhatIsTakenForADate(t *testing.T) {
	t.Parallel()
	rt := newSchemas().user
	taken := 0
	for _, day := range []string{"2026-11-23", "2028-02-29", "2026-3-1", "20261123", "2026-02-30"} {
		for _, between := range []string{"T", " ", "t", "", "  "} {
			for _, clock := range []string{"", "10", "10:00", "9:00", "10:00:00", "9:05:00", "10:00:00.5", "10:00:00,5", "23:59:60", "24:00:00", "10:00:00.1234567890123"} {
				for _, offset := range []string{"", "Z", "z", "+02:00", "-0930", "+14", "+24:00", "+99:00", " +02:00", " UTC", "-00:00"} {
					text := day + between + clock + offset
					stored, _, err := dated(rt, text, false)
					if err != nil {
						continue
					}
					taken++
					at, ok := parseTime(text)
					start, serr := jml.StartOf(stored, time.UTC)
					_, eerr := jml.EndOf(stored, time.UTC)
					if !ok || serr != nil || eerr != nil || !start.Equal(at.Truncate(time.Microsecond)) {
						t.Errorf("%q stored as %q: %s, in the calendar %s, %v, %v", text, stored, at, start, serr, eerr)
					}
					if again, differently, err := dated(rt, stored, false); err != nil || again != stored || differently && strings.Contains(stored, "T") {
						t.Errorf("%q stored as %q, and that as %q, %v", text, stored, again, err)
					}
				}
			}
		}
	}
	if taken < 50 {
		t.Errorf("only %d were taken", taken)
	}
}
