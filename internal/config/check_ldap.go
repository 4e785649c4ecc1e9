package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // time zones are checked the same way on machines without them

	"github.com/go-ldap/ldap/v3"

	"jmld/jml/entry"
	"jmld/jml/policy"
)

func (d *decoder) checkLDAP(l *LDAP, at route) {
	d.checkServers(l, at)
	d.checkCA(l.CAFile, at.with("ca_file"))
	d.checkBind(l, at)
	d.checkPreset(l, at)
	d.checkDN(l.Base, at.with("base"))
	d.checkAttribute(l.ID, at.with("id"))

	d.checkDN(l.People.Base, at.with("people", "base"))
	if l.People.Base == "" {
		l.People.Base = l.Base
	}
	d.checkFilter(l.People.Filter, at.with("people", "filter"))
	d.checkMapping(&l.People, at.with("people", "attributes"))
	if g := l.Groups; g != nil {
		d.checkDN(g.Base, at.with("groups", "base"))
		if g.Base == "" {
			g.Base = l.Base
		}
		d.checkFilter(g.Filter, at.with("groups", "filter"))
		d.checkAttribute(g.Name, at.with("groups", "name"))
		d.checkAttribute(g.Member, at.with("groups", "member"))
	}
	d.checkSchedule(l, at)
	d.checkPace(l, at)
	if l.Delta != nil {
		d.checkEvery(l.Delta.Every, at.with("delta", "every"))
	}
	if l.Census != nil {
		d.checkEvery(l.Census.Every, at.with("census", "every"))
	}
	if l.Timeouts.Run < l.Timeouts.Connect || l.Timeouts.Run < l.Timeouts.Idle {
		d.wrong(at.with("timeouts", "run"), "run is shorter than connect or idle; expected the longest of the three")
	}
}

// checkPace: what bends calendars has no meaning without one.
func (d *decoder) checkPace(l *LDAP, at route) {
	if most := 6 * time.Hour; l.Jitter.Std() < 0 || l.Jitter.Std() > most {
		d.wrong(at.with("jitter"), "%s is out of range; expected 0s to 6h", l.Jitter)
	}
	if d.has(at.with("jitter")) && l.Schedule == "" {
		d.mistake(d.keyPlace(at.with("jitter")), "jitter has no meaning without schedule; expected both, or neither")
	}
	for _, key := range []string{"catch_up", "overlap"} {
		if d.has(at.with(key)) && l.Schedule == "" && l.Delta == nil && l.Census == nil {
			d.mistake(d.keyPlace(at.with(key)), "%s has no meaning without schedule, delta or census; expected one of them", key)
		}
	}
}

func (d *decoder) checkEvery(every Duration, at route) {
	if every.Std() < time.Minute || every.Std() > 24*time.Hour {
		d.wrong(at, "%s is out of range; expected 1m to 24h", every)
	}
}

func (d *decoder) checkDN(dn string, at route) {
	if dn == "" {
		return
	}
	if _, err := ldap.ParseDN(dn); err != nil {
		d.wrong(at, "not a DN (%s); expected such as ou=people,dc=example,dc=org", lower(err.Error()))
	}
}

func (d *decoder) checkFilter(filter string, at route) {
	if filter == "" {
		return
	}
	if _, err := ldap.CompileFilter(filter); err != nil {
		d.wrong(at, "not a filter (%s); expected such as (objectClass=person) or (&(a=b)(c=*))", lower(err.Error()))
	}
}

// lower takes the library's own prefix off a message.
func lower(text string) string {
	if i := strings.LastIndex(text, ": "); strings.HasPrefix(text, "LDAP Result Code") && i > 0 {
		text = text[i+2:]
	}
	return text
}

// checkAttribute: an attribute description, RFC 4512 §2.5.
func (d *decoder) checkAttribute(name string, at route) {
	if err := entry.NoSecret(name); err != nil {
		d.wrong(at, "%s", err)
		return
	}
	if name == "" || isAttributeDescription(name) {
		return
	}
	d.wrong(at, "%q is not an LDAP attribute; expected a name such as uid, or a numeric OID", name)
}

func isAttributeDescription(s string) bool {
	return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`).MatchString(s)
}

// directoryPath checks a SCIM path that a directory can fill, and returns its full form. Values of the attributes with
// types have a path for each: phoneNumbers.mobile.
func directoryPath(path string) (string, error) {
	top, sub, dotted := strings.Cut(path, ".")
	typed := []string{"emails", "phoneNumbers", "ims", "roles", "entitlements"}
	parts := []string{"formatted", "streetAddress", "locality", "region", "postalCode", "country"}
	switch {
	case strings.HasPrefix(path, "urn:"):
	case path == "groups":
		return "", errors.New("groups are read as entries of their own; expected the key groups, beside people")
	case path == "active":
		return "", errors.New("who is not active stands elsewhere; expected the key inactive, beside people")
	case path == "externalId", path == "photos":
		return "", fmt.Errorf("%s is not filled from a directory; expected another attribute", path)
	case top == "addresses" && !slices.Contains(parts, sub):
		return "", fmt.Errorf("unknown part of addresses%s", meant(sub, parts))
	case top == "addresses":
		return path, nil
	case dotted && slices.Contains(typed, top):
		if !isAttributeDescription(sub) {
			return "", fmt.Errorf("%q is not a type; expected such as %s.work or %s.home", sub, top, top)
		}
		return path, nil
	}
	return policy.CanonicalPath(path)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (d *decoder) checkSchedule(l *LDAP, at route) {
	zone, err := loadZone(l.TimeZone)
	if err != nil {
		d.wrong(at.with("time_zone"), "unknown time zone %q; expected a name such as UTC or Europe/Berlin", l.TimeZone)
		zone = time.UTC
	}
	if d.has(at.with("time_zone")) && !d.has(at.with("schedule")) {
		d.mistake(d.keyPlace(at.with("time_zone")), "time_zone has no meaning without schedule; expected both, or neither")
	}
	if l.Schedule == "" {
		return
	}
	spec, err := parseSchedule(l.Schedule, zone)
	if err != nil {
		d.wrong(at.with("schedule"), "%s", err)
		return
	}
	if local, ok := inGap(spec, zone, time.Now()); ok {
		d.warn(d.place(at.with("schedule")), "on the day the clocks go forward there is no %s in %s, and no read then;"+
			" expected an hour that every day has", local, l.TimeZone)
	}
}
