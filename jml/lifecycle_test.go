package jml_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"jmld/jml"
	"jmld/model"
)

// clone is another world with the same past.
func (w *world) clone() *world {
	c := newWorld(w.rules)
	c.now, c.serial = w.now, w.serial
	c.records, c.groups, c.keys, c.accounts = maps.Clone(w.records), maps.Clone(w.groups), maps.Clone(w.keys), maps.Clone(w.accounts)
	c.names = maps.Clone(w.names)
	for id, p := range w.identities {
		same := *p
		c.identities[id] = &same
	}
	return c
}

// dated makes a world of people with dates: good ones, bad ones, in several zones.
func dated(t *testing.T, rt *rapid.T) *world {
	rules := usualRules(t)
	policy := usual()
	days := func(name string, low, high int) time.Duration {
		return time.Duration(rapid.IntRange(low, high).Draw(rt, name)) * 24 * time.Hour
	}
	for i := range policy.Accounts {
		policy.Accounts[i].BeforeStart = days("before", 0, 9)
		policy.Accounts[i].DeleteAfter = days("delete after", 0, 9)
	}
	policy.Accounts[0].When = `has(person.title)`
	policy.Accounts[1].When = rapid.SampledFrom([]string{"true", `person.lifecycle in ["active", "established"]`, `person.department == "A"`}).Draw(rt, "rule")
	rules.Policy = compile(t, policy)
	rules.Calendar = jml.Calendar{Locate: time.LoadLocation, Grace: days("grace", 0, 5), External: jml.External{RequireEnd: rapid.Bool().Draw(rt, "require")}}
	w := newWorld(rules)
	if rapid.Bool().Draw(rt, "engagement") {
		from := w.now.Add(days("from", 0, 20))
		rules.Calendar.Engagements = map[string][]jml.Engagement{"Example": {{From: from, Until: from.Add(days("for", 1, 20))}}}
	}
	for range rapid.IntRange(1, 8).Draw(rt, "steps") {
		w.wait(w.now.Add(time.Duration(rapid.IntRange(1, 100).Draw(rt, "hours")) * time.Hour))
		source := rapid.SampledFrom([]string{"corp", "entra"}).Draw(rt, "source")
		id := rapid.SampledFrom([]string{"1", "2", "3"}).Draw(rt, "record")
		if rapid.IntRange(0, 7).Draw(rt, "gone") == 0 {
			w.say(source, id, nil, "deleted by "+source)
			continue
		}
		rec := drawRecord(rt)
		attrs, dates := jml.Decode(rec.Attrs), map[string]any{}
		for _, name := range []string{"startDate", "endDate"} {
			at := w.now.Add(days(name, -20, 40))
			switch rapid.IntRange(0, 6).Draw(rt, name+" as") {
			case 0:
				dates[name] = at.Format(time.RFC3339)
			case 1, 2, 3:
				dates[name] = at.Format(time.DateOnly)
			case 4:
				dates[name] = rapid.SampledFrom([]string{"soon", "31.12.2026", "2026-13-01"}).Draw(rt, "bad")
			}
		}
		if zone := rapid.SampledFrom([]string{"", "Asia/Tokyo", "America/Los_Angeles", "Nowhere"}).Draw(rt, "zone"); zone != "" {
			attrs["timezone"] = zone
		}
		attrs[jml.LifecycleUser] = dates
		rec.Attrs = jml.Canonical(attrs)
		w.say(source, id, rec, "said by "+source)
	}
	return w
}

// TestWaitingUntilADateEqualsDecidingAtThatDate: what is looked at only when it is due is as right as what is looked at all the
// time, and as what is looked at for the first time on the day itself. D-10, D-11
func TestWaitingUntilADateEqualsDecidingAtThatDate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		waiting := dated(t, rt)
		watching, asleep := waiting.clone(), waiting.clone()
		until := waiting.now.Add(time.Duration(rapid.IntRange(1, 90*24).Draw(rt, "hours")) * time.Hour)
		waiting.wait(until)
		for watching.now.Before(until) {
			next := watching.now.Add(time.Duration(rapid.IntRange(1, 300).Draw(rt, "look")) * time.Hour)
			if next.After(until) {
				next = until
			}
			watching.wait(next)
			watching.everybody("looked at")
		}
		if d := cmp.Diff(watching.people(), waiting.people()); d != "" {
			rt.Fatalf("at %s, watching all the time (-) and waiting (+):\n%s", until, d)
		}
		asleep.now = until
		asleep.wait(until)
		phases := func(w *world) map[string]string {
			out := map[string]string{}
			for id, p := range w.identities {
				out[id] = string(p.Lifecycle)
			}
			for key, a := range w.accounts { // what is deleted some time after it was deactivated comes later then
				out[key[0]+" "+key[1]] = fmt.Sprint(a.State == model.AccountActive)
			}
			return out
		}
		was, is := phases(waiting), phases(asleep)
		for k, v := range was {
			id, _, account := strings.Cut(k, " ")
			over := v == "false" || is[id] == string(model.Archived) // at last within the grace, in which nothing is made any more
			if is[k] != v && !(account && is[k] == "" && over) {     // an account that came and went while nobody looked was never made
				rt.Fatalf("at %s %s is %s for who waited and %s for who slept", until, k, v, is[k])
			}
		}
	})
}

// TestDatesAlone: a date takes nothing away before it comes, and somebody whom a date cannot be read of loses nothing by it.
func TestDatesAlone(t *testing.T) { // D-20
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := dated(t, rt)
		for id, p := range w.identities {
			s := w.situation(id, jml.Cause{Text: "looked at again"})
			d := w.rules.Decide(s)
			if at := d.Identity.ReviewAt; at != nil && !at.After(w.now) {
				rt.Fatalf("%s is due for ever: %s at %s", p.DisplayName, at, w.now)
			}
			for _, step := range d.Steps {
				if step.Change.Op.Leaves() && step.Account.Origin != model.OriginOurs {
					rt.Fatalf("%+v", step)
				}
			}
		}
	})
}

// TestMoments are the forms of a date, in the zone of the person.
func TestMoments(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	beirut, err := time.LoadLocation("Asia/Beirut")
	if err != nil {
		t.Fatal(err)
	}
	open := time.Time{}.Format(time.RFC3339Nano)
	for _, c := range []struct {
		text       string
		zone       *time.Location
		start, end string
	}{
		{"2027-03-31", berlin, "2027-03-30T22:00:00Z", "2027-03-31T22:00:00Z"},
		{" 2027-03-31 ", time.UTC, "2027-03-31T00:00:00Z", "2027-04-01T00:00:00Z"},
		{"2027-03-28", berlin, "2027-03-27T23:00:00Z", "2027-03-28T22:00:00Z"}, // 23 hours
		{"2024-03-31", beirut, "2024-03-30T22:00:00Z", "2024-03-31T21:00:00Z"}, // 0:00 is left out
		{"2028-02-29", time.UTC, "2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"},
		{"2027-03-31T18:00:00", berlin, "2027-03-31T16:00:00Z", "2027-03-31T16:00:00Z"},
		{"2027-03-31T18:00:00+05:30", berlin, "2027-03-31T12:30:00Z", "2027-03-31T12:30:00Z"},
		{"2027-03-31T18:00:00.5Z", berlin, "2027-03-31T18:00:00.5Z", "2027-03-31T18:00:00.5Z"},
		{"2027-03-31+05:30", berlin, "2027-03-30T18:30:00Z", "2027-03-31T18:30:00Z"}, // a day of another zone
		{"2027-03-28+01:00", berlin, "2027-03-27T23:00:00Z", "2027-03-28T23:00:00Z"}, // an offset has no summer time
		{"2027-03-31-12:00", berlin, "2027-03-31T12:00:00Z", "2027-04-01T12:00:00Z"},
		{"2027-03-31Z", berlin, "2027-03-31T00:00:00Z", "2027-04-01T00:00:00Z"},
		{"20270331180000Z", berlin, "2027-03-31T18:00:00Z", "2027-03-31T18:00:00Z"},
		{"2027-02-29", berlin, "", ""}, {"31.03.2027", berlin, "", ""}, {"03/31/2027", berlin, "", ""}, {"20270331", berlin, "", ""},
		{"1899-12-31", berlin, "", ""}, {"never", berlin, "", ""},
		// No end, but no beginning, either.
		{"9999-12-31", berlin, "", open}, {"9999-12-31+02:00", berlin, "", open}, {"1899-12-31Z", berlin, "", ""}, {"9999-12-31T23:59:59Z", berlin, "", open}, {"9999-12-31T23:59:59-12:00", berlin, "", open},
		{"9999-12-31T00:00:00", berlin, "", open}, {"99991231235959Z", berlin, "", open}, {"1601-01-01", berlin, "", open},
		{"1601-01-01T00:00:00Z", berlin, "", open}, {"16010101000000.0Z", berlin, "", open}, {"0", berlin, "", open}, {"-1", berlin, "", open},
		{"9223372036854775807", berlin, "", open}, {"", berlin, open, open},
	} {
		start, startErr := jml.StartOf(c.text, c.zone)
		end, endErr := jml.EndOf(c.text, c.zone)
		if shown(start, startErr) != c.start || shown(end, endErr) != c.end {
			t.Errorf("%q in %s: from %s (%v) to %s (%v), want %s to %s", c.text, c.zone, shown(start, startErr), startErr, shown(end, endErr), endErr,
				c.start, c.end)
		}
	}
}

func shown(at time.Time, err error) string {
	if err != nil {
		return ""
	}
	return at.Format(time.RFC3339Nano)
}

// The end of somebody's work is their own or their organisation's, whichever comes first (M-18, M-22).
func TestTheEndOfSomebodysWork(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	day := func(month, day int) time.Time { return time.Date(2027, time.Month(month), day, 0, 0, 0, 0, time.UTC) }
	rules := &jml.Rules{Calendar: jml.Calendar{Engagements: map[string][]jml.Engagement{"Partner": {{Until: day(3, 1)}}}}}
	for _, c := range []struct {
		organisation, end string
		want              time.Time
	}{
		{"Partner", "", day(3, 1)}, {"Partner", "2027-01-31", day(2, 1)}, {"Partner", "2027-12-31", day(3, 1)}, {"Partner", "9999-12-31", day(3, 1)},
		{"Example", "2027-01-31", day(2, 1)}, {"Example", "", time.Time{}}, {"", "one day", time.Time{}},
	} {
		id := model.Identity{Organisation: c.organisation, Attrs: "{}"}
		if c.end != "" {
			id.Attrs = jml.Canonical(map[string]any{jml.LifecycleUser: map[string]any{"endDate": c.end}})
		}
		if got := rules.End(id, now); !got.Equal(c.want) {
			t.Errorf("%s, %q: %s, want %s", c.organisation, c.end, got, c.want)
		}
	}
}
