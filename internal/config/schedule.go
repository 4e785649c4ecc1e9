package config

import (
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Calendar is when the directory is read next; it is robfig/cron's Schedule, with the time zone in it. It is nil when the
// directory is read on demand only.
func (l *LDAP) Calendar() (cron.Schedule, error) {
	if l.Schedule == "" {
		return nil, nil
	}
	zone, err := loadZone(l.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("time zone %s: %w", l.TimeZone, err)
	}
	spec, err := parseSchedule(l.Schedule, zone)
	if err != nil {
		return nil, err
	}
	return spec, nil
}

// Every is a calendar of equal steps, the same ones in every replica.
type Every time.Duration

// Next is the first step after t.
func (e Every) Next(t time.Time) time.Time { return t.Truncate(time.Duration(e)).Add(time.Duration(e)) }

func loadZone(name string) (*time.Location, error) {
	if strings.EqualFold(name, "local") {
		return nil, fmt.Errorf("local is another zone on each machine")
	}
	return time.LoadLocation(name)
}

// parseSchedule takes the five fields of cron, or a word such as @daily.
func parseSchedule(text string, zone *time.Location) (*cron.SpecSchedule, error) {
	const want = `; expected five fields (minute hour day month weekday) such as "0 2 * * *", or @hourly, @daily, @weekly`
	if strings.Contains(text, "TZ=") {
		return nil, fmt.Errorf("the time zone does not belong into the expression; expected time_zone: beside it")
	}
	if strings.HasPrefix(text, "@every") {
		return nil, fmt.Errorf("@every counts from the start of each process, which differs between replicas%s", want)
	}
	s, err := cron.ParseStandard(text)
	if err != nil {
		return nil, fmt.Errorf("not a schedule (%s)%s", err, want)
	}
	spec, ok := s.(*cron.SpecSchedule)
	if !ok {
		return nil, fmt.Errorf("not a schedule%s", want)
	}
	spec.Location = zone
	// Five years from here have a 29 February in them, which is as rare as a day gets.
	if spec.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, fmt.Errorf("the schedule never comes: there is no such day%s", want)
	}
	return spec, nil
}

// star is the bit by which cron marks a field that was *.
const star = 1 << 63

// inGap looks for a local time of the schedule that a change of the clocks leaves out, within the next two years. A
// schedule that comes every hour loses nothing by it.
func inGap(s *cron.SpecSchedule, zone *time.Location, now time.Time) (string, bool) {
	if s.Hour&star != 0 {
		return "", false
	}
	for t := now.UTC().Truncate(time.Hour); t.Before(now.AddDate(2, 0, 0)); t = t.Add(time.Hour) {
		_, before := t.In(zone).Zone()
		_, after := t.Add(time.Hour).In(zone).Zone()
		if after <= before {
			continue
		}
		// The gap begins where the old offset is used last; walk its minutes as local times of the old offset.
		for m := t; m.Before(t.Add(time.Hour + time.Duration(after-before)*time.Second)); m = m.Add(time.Minute) {
			local := m.Add(time.Duration(before) * time.Second)
			there := time.Date(local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute(), 0, 0, zone)
			if there.Hour() == local.Hour() && there.Minute() == local.Minute() {
				continue // this time exists
			}
			if matches(s, local) {
				return local.Format("15:04"), true
			}
		}
	}
	return "", false
}

// matches is the rule of cron: of day and weekday both, or either one when neither is *.
func matches(s *cron.SpecSchedule, t time.Time) bool {
	bit := func(field uint64, n int) bool { return field&(1<<uint(n)) != 0 }
	dom, dow := bit(s.Dom, t.Day()), bit(s.Dow, int(t.Weekday()))
	day := dom || dow
	if s.Dom&star != 0 || s.Dow&star != 0 {
		day = dom && dow
	}
	return bit(s.Minute, t.Minute()) && bit(s.Hour, t.Hour()) && bit(s.Month, int(t.Month())) && day
}
