package config

import (
	"slices"
	"sync"
	"time"

	"jmld/jml"
)

// Lifecycle says how dates are read, and what comes after an end.
type Lifecycle struct {
	TimeZone string   `yaml:"time_zone" default:"UTC"` // of whoever has none of their own
	Grace    Duration `yaml:"grace"`                   // accounts stay as long after an end

	Memberships Memberships `yaml:"memberships"`
}

// Memberships is what becomes of groups and roles of who has left.
type Memberships struct {
	Leaver string   `yaml:"leaver" default:"end" oneof:"end keep"`
	Return string   `yaml:"return" default:"restore" oneof:"restore none"`
	Within Duration `yaml:"within"`
}

// External is what people of other organisations need.
type External struct {
	RequireEnd     bool     `yaml:"require_end"`
	RequireSponsor bool     `yaml:"require_sponsor"`
	Forbidden      []string `yaml:"forbidden"` // targets
}

// Engagement is a period for which an organisation's people work with us. Days are in Lifecycle.TimeZone.
type Engagement struct {
	From    string `yaml:"from"`
	Until   string `yaml:"until"`
	Sponsor string `yaml:"sponsor"`
	Reason  string `yaml:"reason"`
}

// zones finds time zones by their names, each once. What is none is not remembered: it could be anything.
func zones() func(name string) (*time.Location, error) {
	var known sync.Map
	return func(name string) (*time.Location, error) {
		if zone, ok := known.Load(name); ok {
			return zone.(*time.Location), nil
		}
		zone, err := loadZone(name)
		if err == nil {
			known.Store(name, zone)
		}
		return zone, err
	}
}

// checkLifecycle makes the calendar of the rules.
func (d *decoder) checkLifecycle(c *Config, targets []string) {
	zone, err := loadZone(c.Lifecycle.TimeZone)
	if err != nil {
		d.wrong(route{"lifecycle", "time_zone"}, "unknown time zone %q; expected a name such as UTC or Europe/Berlin", c.Lifecycle.TimeZone)
		zone = time.UTC
	}
	m := c.Lifecycle.Memberships
	d.checkWords(c.External.Forbidden, route{"external", "forbidden"}, "target", targets)
	c.calendar = jml.Calendar{Zone: zone, Grace: c.Lifecycle.Grace.Std(), Locate: zones(), External: jml.External(c.External),
		Memberships: jml.Memberships{Keep: m.Leaver == "keep", Again: m.Return == "none", Within: m.Within.Std()},
		Engagements: map[string][]jml.Engagement{}}
	for i, o := range c.Organisations {
		at := route{"organisations", i, "engagements"}
		if o.Own && len(o.Engagements) > 0 {
			d.mistake(d.keyPlace(at), "people of our own organisation have no engagement; expected endDate at their source")
		}
		for j, e := range o.Engagements {
			from, fromErr := jml.StartOf(e.From, zone)
			until, untilErr := jml.EndOf(e.Until, zone)
			switch {
			case fromErr != nil:
				d.wrong(at.with(j, "from"), "%s", fromErr)
			case untilErr != nil:
				d.wrong(at.with(j, "until"), "%s", untilErr)
			case from.IsZero() && until.IsZero():
				d.wrong(at.with(j), "an engagement without from and until is for ever; expected until, or no engagement")
			case !until.IsZero() && !from.Before(until):
				d.wrong(at.with(j, "until"), "until %s is before from %s; expected it later", e.Until, e.From)
			case slices.ContainsFunc(c.calendar.Engagements[o.Name], func(x jml.Engagement) bool { return overlap(x, from, until) }):
				d.wrong(at.with(j), "two engagements of %s at the same time; expected one after the other", o.Name)
			default:
				c.calendar.Engagements[o.Name] = append(c.calendar.Engagements[o.Name],
					jml.Engagement{From: from, Until: until, Sponsor: e.Sponsor, Reason: e.Reason})
			}
		}
	}
}

func overlap(x jml.Engagement, from, until time.Time) bool {
	return (x.Until.IsZero() || from.Before(x.Until)) && (until.IsZero() || x.From.Before(until))
}
