package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"jmld/jml"
	"jmld/model"
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

// Ending is what an organisation's engagement becomes when it ends with a day or time.
type Ending struct {
	Organisation Organisation
	Index        int        // among its engagements; the length when it had none
	Was, Is      Engagement // as they are written
	WasOver      time.Time  // the first moment after it, as it is written now; zero: open
	Over         time.Time  // and as it would be
	Rules        *jml.Rules // by which it ends then
	Next         time.Time  // the beginning of the engagement that follows; zero: there is none
}

// EndOrganisation is the engagement of the organisation that would end with last, a day or a time: the one that runs then, or that ended last before.
func (c *Config) EndOrganisation(name, last string, now time.Time) (Ending, error) {
	i := slices.IndexFunc(c.Organisations, func(o Organisation) bool { return o.Name == name })
	if i < 0 {
		return Ending{}, fmt.Errorf("organisation %q: %w", name, model.ErrNotFound)
	}
	e := Ending{Organisation: c.Organisations[i]}
	if e.Organisation.Own {
		return Ending{}, fmt.Errorf("%w: %s is our own organisation: its people have no engagement, and leave by endDate at their source", model.ErrInvalid, name)
	}
	rules, err := c.Rules()
	if err != nil {
		return Ending{}, err
	}
	zone := rules.Calendar.Zone
	if last == "" {
		last = now.In(zone).Format(time.DateOnly)
	}
	e.Over, err = jml.EndOf(last, zone)
	if err == nil && e.Over.IsZero() {
		err = fmt.Errorf("%q is no end", last)
	}
	if err != nil {
		return Ending{}, fmt.Errorf("%w: %w", model.ErrInvalid, err)
	}
	periods := slices.Clone(rules.Calendar.Engagements[name])
	e.Index = len(periods)
	for j, p := range periods {
		if p.From.Before(e.Over) && (e.Index == len(periods) || p.From.After(periods[e.Index].From)) {
			e.Index = j
		}
		if !p.From.Before(e.Over) && (e.Next.IsZero() || p.From.Before(e.Next)) {
			e.Next = p.From
		}
	}
	switch {
	case len(periods) == 0:
		periods = []jml.Engagement{{Until: e.Over}}
	case e.Index == len(periods):
		return Ending{}, fmt.Errorf("%w: the first engagement of %s begins at %s, and would end before", model.ErrInvalid, name, e.Next.In(zone).Format(time.RFC3339))
	default:
		e.Was, e.WasOver = e.Organisation.Engagements[e.Index], periods[e.Index].Until
		periods[e.Index].Until = e.Over
	}
	e.Is = e.Was
	e.Is.Until = last
	changed := *rules
	changed.Calendar.Engagements = maps.Clone(rules.Calendar.Engagements)
	changed.Calendar.Engagements[name] = periods
	e.Rules = &changed
	return e, nil
}

// String is the engagement as an entry of the configuration.
func (e Engagement) String() string {
	var parts []string
	for _, p := range []struct{ key, value string }{{"from", e.From}, {"until", e.Until}, {"sponsor", e.Sponsor}, {"reason", e.Reason}} {
		if p.value != "" {
			quoted, err := json.Marshal(p.value) // is YAML, too
			if _, day := time.Parse(time.DateOnly, p.value); err != nil || day == nil {
				quoted = []byte(p.value)
			}
			parts = append(parts, p.key+": "+string(quoted))
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
