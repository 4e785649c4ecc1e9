package config

import (
	"testing"
	"time"
)

// TestClocksThatGoForward: local times that do not exist on one day of the year.
func TestClocksThatGoForward(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	for _, c := range []struct{ schedule, zone, want string }{
		{"30 2 * * *", "Europe/Berlin", "02:30"},
		{"0 2 * * *", "Europe/Berlin", "02:00"},
		{"59 2 * * *", "Europe/Berlin", "02:59"},
		{"0 3 * * *", "Europe/Berlin", ""}, // exists: the clocks go from 02:00 to 03:00
		{"59 1 * * *", "Europe/Berlin", ""},
		{"30 2 * * *", "UTC", ""},
		{"30 2 * * *", "Asia/Tokyo", ""},
		{"30 1 * * *", "Europe/London", "01:30"},
		{"30 2 * * *", "Europe/London", ""},
		{"30 2 * * *", "America/New_York", "02:30"},
		{"30 2 * * *", "Australia/Sydney", "02:30"}, // in October
		{"15 2 * * *", "Australia/Lord_Howe", "02:15"},
		{"45 2 * * *", "Australia/Lord_Howe", ""}, // half an hour only
		{"0 0 * * *", "Africa/Cairo", "00:00"},
		{"30 2 * * 0", "Europe/Berlin", "02:30"}, // it is a Sunday
		{"30 2 * * 1", "Europe/Berlin", ""},
		{"30 2 * 7 *", "Europe/Berlin", ""},
		{"30 2 1 * *", "Europe/Berlin", ""},      // the last Sunday of March is never the first
		{"30 2 1 * 0", "Europe/Berlin", "02:30"}, // day or weekday
		{"30 * * * *", "Europe/Berlin", ""},      // an hour later is as good
		{"*/15 1-4 * * *", "Europe/Berlin", "02:00"},
		{"@daily", "Europe/Berlin", ""},
	} {
		zone, err := loadZone(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		s, err := parseSchedule(c.schedule, zone)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := inGap(s, zone, now); got != c.want {
			t.Errorf("%s in %s: %q, want %q", c.schedule, c.zone, got, c.want)
		}
	}
}

// TestCalendarKeepsTheZone: the hour is local, in summer and in winter.
func TestCalendarKeepsTheZone(t *testing.T) {
	t.Parallel()
	l := LDAP{Schedule: "30 3 * * *", TimeZone: "Europe/Berlin"}
	c, err := l.Calendar()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []time.Time{
		time.Date(2026, 7, 2, 1, 30, 0, 0, time.UTC), time.Date(2026, 12, 2, 2, 30, 0, 0, time.UTC),
	} {
		if got := c.Next(want.Add(-20 * time.Hour)); !got.Equal(want) {
			t.Errorf("next is %s, want %s", got.UTC(), want)
		}
	}
	l.Schedule = ""
	if c, err := l.Calendar(); c != nil || err != nil {
		t.Errorf("without a schedule: %v, %v", c, err)
	}
	l.Schedule = "x"
	if c, err := l.Calendar(); c != nil || err == nil {
		t.Errorf("with a bad one: %v, %v", c, err)
	}
}

// Replicas with clocks that started at different times agree on the steps.
func TestEveryStepsWithTheClock(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 10, 7, 30, 0, time.UTC)
	for from, want := range map[time.Time]time.Time{
		at:                                     time.Date(2026, 11, 22, 10, 10, 0, 0, time.UTC),
		at.Add(2*time.Minute + 29*time.Second): time.Date(2026, 11, 22, 10, 10, 0, 0, time.UTC),
		time.Date(2026, 11, 22, 10, 10, 0, 0, time.UTC): time.Date(2026, 11, 22, 10, 15, 0, 0, time.UTC),
	} {
		if got := Every(5 * time.Minute).Next(from); !got.Equal(want) {
			t.Errorf("after %s: %s, want %s", from, got, want)
		}
	}
}
