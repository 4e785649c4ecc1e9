package config

import (
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"jmld/jml/access"
	"jmld/model"
)

// checkAccess looks at the tree as it is declared: it has to hold together by itself, whatever operators add at run time.
func (d *decoder) checkAccess(c *Config) {
	at := route{"access"}
	if !d.has(at) && !d.has(route{"policy", "separation"}) {
		return
	}
	for i, area := range c.Access.Areas {
		if area != "" && !regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`).MatchString(area) {
			d.wrong(at.with("areas", i), "%q cannot be the name of an area; expected small letters, digits, - and _", area)
		}
	}
	d.checkNatural(c.Access.Approver, at.with("approver"))
	for i, r := range c.Access.Resources {
		here := at.with("resources", i)
		d.checkOne(here, access.KindApp, access.KindNamespace)
		if r.Owner != "" {
			d.checkPerson(c, r.Owner, here.with("owner"))
		}
		d.checkMembers(c, r.Members, here.with("members"))
	}
	for i, g := range c.Access.Groups {
		here := at.with("groups", i)
		for j, who := range g.Admins {
			d.checkPerson(c, who, here.with("admins", j))
		}
		d.checkMembers(c, g.Members, here.with("members"))
	}
	state, places := declared(c)
	for _, p := range access.Check(state, c.AccessAreas()) {
		where, ok := places[p.Kind+"\x00"+p.Key+"\x00"+p.Field]
		switch {
		case !ok:
			where = at
		case p.Kind == access.OfMember && p.Field == "person" && strings.HasPrefix(p.Text, "nobody"):
			continue // checkPerson has said it
		case p.Kind == access.OfMember && p.Field == "approver":
			d.wrong(where, "no approver stands behind the memberships here; expected access.approver, a natural person")
			return
		}
		d.wrong(where, "%s", p.Text)
	}
}

// checkRequests: what nobody decides about, or only some, is something that people can ask for.
func (d *decoder) checkRequests(c *Config, targets []string) {
	at, r := route{"access", "requests"}, &c.Access.Requests
	state, _ := declared(c)
	for key, v := range map[string]Duration{"open": r.Open, "longest": r.Longest} {
		if v.Std() < time.Hour {
			d.wrong(at.with(key), "%s is too short for people; expected at least 1h", v)
		}
	}
	rules := r.Rules()
	for i, text := range r.Privileged {
		if t, ok := d.checkThing(text, at.with("privileged", i), targets, state); ok && t.Kind == access.KindAccount {
			d.wrong(at.with("privileged", i), "accounts follow from rules and are not asked for; expected role:NAME, permission:AREA:NAME or group:NAME")
		}
	}
	for i, name := range r.Free {
		if t, ok := d.checkThing(access.KindRole+":"+name, at.with("free", i), targets, state); ok && slices.Contains(rules.Privileged, t) {
			d.wrong(at.with("free", i), "role %s is privileged; expected one of the two", name)
		}
	}
	if r.Approvers == "" {
		return
	}
	if rules.Approvers == model.AccessRoot {
		d.wrong(at.with("approvers"), "the root has everybody's admins in it; expected another group")
	}
	d.checkThing(access.KindGroup+":"+r.Approvers, at.with("approvers"), targets, state)
}

func (d *decoder) checkMembers(c *Config, list []AccessMember, at route) {
	for i, m := range list {
		if m.Person != "" {
			d.checkPerson(c, m.Person, at.with(i, "person"))
		}
		d.checkNatural(m.Approver, at.with(i, "approver"))
		for key, text := range map[string]string{"from": m.From, "until": m.Until} {
			if text != "" && day(text) == nil {
				d.wrong(at.with(i, key), "%q is no time; expected a day such as 2026-05-01 or a time such as 2026-05-01T08:00:00Z", text)
			}
		}
	}
}

// checkNatural refuses what is an account of nobody in particular, as far as a name tells: what somebody did has to be one person's. A name is
// shared when every word of it is.
func (d *decoder) checkNatural(name string, at route) {
	local, _, _ := strings.Cut(access.ID(name), "@")
	words := strings.FieldsFunc(local, func(r rune) bool { return !unicode.IsLetter(r) })
	shared := func(w string) bool { return slices.Contains(strings.Fields(sharedWords), w) }
	if len(words) > 0 && !slices.ContainsFunc(words, func(w string) bool { return !shared(w) }) {
		d.wrong(at, "%q is nobody in particular; expected a natural person", name)
	}
}

// sharedWords are what accounts of several people are called.
const sharedWords = "admin administrator administrators admins account accounts all app desk everybody everyone generic group help helpdesk info it jmld noreply no " +
	"nobody office operations operator operators ops postmaster reply root security service servicedesk shared staff support system team the user users webmaster"

// checkPerson: people are named by a key that joins records, so that a name is never two people's.
func (d *decoder) checkPerson(c *Config, text string, at route) {
	key, value, ok := strings.Cut(text, ":")
	switch {
	case text == "":
	case !ok || access.ID(value) == "":
		d.wrong(at, "%q names nobody; expected KEY:VALUE, such as employeeNumber:10042", text)
	case !slices.Contains(c.Correlation, strings.TrimSpace(key)):
		d.wrong(at, "people are not recognised by %q; expected one of correlation: %s", key, strings.Join(c.Correlation, ", "))
	}
}
