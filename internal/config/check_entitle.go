package config

import (
	"maps"
	"slices"
	"strings"
	"time"

	"jmld/jml"
	"jmld/jml/access"
	"jmld/jml/policy"
	"jmld/model"
)

// checkEntitle looks at the rules of roles, of separation and of certification.
func (d *decoder) checkEntitle(c *Config, targets []string) {
	state, _ := declared(c)
	d.checkRoleRules(c, state)
	d.checkCertification(c, targets, state)
	seen := map[string]bool{}
	for i, s := range c.Policy.Separation {
		at := route{"policy", "separation", i}
		if id := access.ID(s.Name); seen[id] && id != "" {
			d.wrong(at.with("name"), "rule %q is there twice; expected a name of its own", s.Name)
		}
		seen[access.ID(s.Name)] = true
		things := map[string]bool{}
		for j, text := range s.Between {
			if t, ok := d.checkThing(text, at.with("between", j), targets, state); ok && things[t.String()] {
				d.wrong(at.with("between", j), "%s is there twice; expected different ones", t)
			} else if ok {
				things[t.String()] = true
			}
		}
		if d.has(at.with("between")) && len(s.Between) < 2 {
			d.wrong(at.with("between"), "one alone is not kept apart from anything; expected at least two")
		}
		for j, e := range s.Exceptions {
			d.checkPerson(c, e.Person, at.with("exceptions", j, "person"))
			d.checkNatural(e.Approver, at.with("exceptions", j, "approver"))
			if e.Until != "" && day(e.Until) == nil {
				d.wrong(at.with("exceptions", j, "until"), "%q is no time; expected a day such as 2026-05-01 or a time such as 2026-05-01T08:00:00Z", e.Until)
			}
		}
	}
	if len(c.Policy.Separation) > 0 {
		d.checkForbidden(c, state)
	}
}

// checkRoleRules: a rule gives what the same file declares, so that it is never about something that is not there.
func (d *decoder) checkRoleRules(c *Config, state access.State) {
	for i, r := range c.Policy.Roles {
		at := route{"policy", "roles", i}
		d.checkOne(at, "when", "from")
		if f := r.From; f != nil && f.Source != "" && !slices.Contains(sourceNames(c), f.Source) {
			d.wrong(at.with("from", "source"), "unknown source %q%s", f.Source, meant(f.Source, sourceNames(c)))
		}
		if d.has(at.with("role")) && r.Role != "" {
			role, err := state.Role(r.Role)
			switch {
			case err != nil:
				names := make([]string, len(state.Roles))
				for j, x := range state.Roles {
					names[j] = x.Name
				}
				d.wrong(at.with("role"), "unknown role %q%s; a rule gives roles that access.roles declares", r.Role, meant(r.Role, names))
			case role.App != "" && role.App != accessPlace(r.Place):
				d.wrong(at.with("role"), "role %s is one of %s; expected a central role, or this app as the place", role.Name, role.App)
			}
		}
		if place := accessPlace(r.Place); r.Place != "" && !hasPlace(state, place) {
			d.wrong(at.with("place"), "unknown %s; expected a group, app:NAME or namespace:NAME that access declares", place)
		}
	}
}

func sourceNames(c *Config) []string {
	names := make([]string, len(c.Sources))
	for i, s := range c.Sources {
		names[i] = s.Name
	}
	return names
}

func hasPlace(s access.State, place string) bool {
	kind, id := access.SplitPlace(place)
	if kind == access.KindGroup {
		return slices.ContainsFunc(s.Groups, func(g model.AccessGroup) bool { return g.ID == id })
	}
	return slices.ContainsFunc(s.Resources, func(r model.AccessResource) bool { return r.Place == place })
}

// checkThing refuses what nobody can have. What operators may make at run time is only warned of.
func (d *decoder) checkThing(text string, at route, targets []string, state access.State) (access.Thing, bool) {
	t, err := access.ParseThing(text)
	if err != nil {
		if text != "" {
			d.wrong(at, "%s", err)
		}
		return t, false
	}
	declared := true
	switch t.Kind {
	case access.KindAccount:
		if !slices.Contains(targets, t.ID) {
			d.wrong(at, "unknown target %q%s", t.ID, meant(t.ID, targets))
			return t, false
		}
	case access.KindGroup:
		declared = t.ID == model.AccessRoot || hasPlace(state, t.String())
	case access.KindRole:
		declared = slices.ContainsFunc(state.Roles, func(r model.AccessRole) bool { return r.ID == t.ID })
	case access.KindPermission:
		declared = slices.ContainsFunc(state.Roles, func(r model.AccessRole) bool {
			list, err := access.Permissions(r)
			return err == nil && slices.ContainsFunc(list, func(p access.Permission) bool { return p.String() == t.ID })
		})
	}
	if !declared {
		d.warn(d.place(at), "%s is not declared here; it counts when an operator makes it", t)
	}
	return t, true
}

func (d *decoder) checkCertification(c *Config, targets []string, state access.State) {
	at, cert := route{"policy", "certification"}, c.Policy.Certification
	if cert == nil {
		return
	}
	seen := map[string]bool{}
	for i, level := range cert.Levels {
		if seen[jml.Fold(level)] {
			d.wrong(at.with("levels", i), "level %q is there twice; expected each once, the lowest first", level)
		}
		seen[jml.Fold(level)] = true
	}
	for key, name := range map[string]string{"attribute": cert.Attribute, "end": cert.End} {
		if _, err := policy.CanonicalPath(name); name != "" && err != nil {
			d.wrong(at.with(key), "%s", err)
		}
	}
	for _, text := range slices.Sorted(maps.Keys(cert.Required)) {
		here := at.with("required", text)
		d.checkThing(text, here, targets, state)
		if level := cert.Required[text]; level != "" && !seen[jml.Fold(level)] {
			d.wrong(here, "unknown level %q%s", level, meant(level, cert.Levels))
		}
	}
}

// giver is something of the configuration that gives things whenever its condition holds.
type giver struct {
	what, when string
	at         route
	row        *model.AccessMember // of a role
	target     string              // of an account
}

func (g giver) gives(t *access.Tree, thing access.Thing) bool {
	if g.row == nil {
		return thing.Kind == access.KindAccount && thing.ID == g.target
	}
	return len(t.Giving([]model.AccessMember{*g.row}, thing, time.Time{})) > 0
}

// checkForbidden refuses what would always give somebody what a rule of separation keeps apart: one rule that gives both, two of which
// one holds whenever the other does, and memberships that are declared.
func (d *decoder) checkForbidden(c *Config, state access.State) {
	tree, err := access.New(state)
	if err != nil {
		return // checkAccess says what is broken
	}
	givers := givers(c, state)
	for _, written := range c.Policy.Separation {
		s := written.separation()
		for i, a := range givers {
			for j, b := range givers[:i+1] {
				one, other, found := forbidden(tree, s, a, b)
				always := i == j || a.when == b.when || a.when == "true" || b.when == "true"
				if a.row != nil && a.when == "" || b.row != nil && b.when == "" { // a role by itself is given by nothing
					always = i == j
				}
				switch {
				case !found || !always:
				case i == j:
					d.wrong(a.at, "%s gives %s and %s, which rule %s keeps apart; expected one of them", a.what, one, other, s.Name)
				default:
					d.wrong(a.at, "whenever %s holds, %s does, too, or the other way round: %s and %s, which rule %s keeps apart, always come together;"+
						" expected conditions that differ", a.what, b.what, one, other, s.Name)
				}
			}
		}
		d.checkDeclaredPairs(c, tree, s)
	}
}

func givers(c *Config, state access.State) []giver {
	var out []giver
	condition := func(when string) string { return strings.Join(strings.Fields(when), " ") }
	for i, r := range c.Access.Roles {
		row := model.AccessMember{Place: access.KindException, Role: access.ID(r.Name)}
		out = append(out, giver{what: "role " + r.Name, at: route{"access", "roles", i, "permissions"}, row: &row})
	}
	for i, r := range c.Policy.Roles {
		row := model.AccessMember{Place: accessPlace(r.Place), Role: access.ID(r.Role)}
		when, key := condition(r.When), "when"
		if r.From != nil {
			when, key = r.rule().Origin(), "from"
		}
		out = append(out, giver{what: "rule " + r.Name, when: when, at: route{"policy", "roles", i, key}, row: &row})
	}
	for i, r := range c.Policy.Accounts {
		out = append(out, giver{what: "rule " + r.Name, when: condition(r.When), at: route{"policy", "accounts", i, "when"}, target: r.Target})
	}
	return out
}

// forbidden finds two different things of the rule that the two give.
func forbidden(t *access.Tree, s jml.Separation, a, b giver) (one, other access.Thing, found bool) {
	for _, x := range s.Things {
		for _, y := range s.Things {
			if x != y && a.gives(t, x) && b.gives(t, y) {
				return x, y, true
			}
		}
	}
	return one, other, false
}

// checkDeclaredPairs refuses memberships of one person that are kept apart, without an exception.
func (d *decoder) checkDeclaredPairs(c *Config, t *access.Tree, s jml.Separation) {
	_, places := declared(c)
	for _, who := range t.People() {
		rows := t.Rows(who)
		for _, m := range rows {
			at := time.Time{}
			if m.ValidFrom != nil {
				at = *m.ValidFrom
			}
			if has := s.Together(t, rows, at); len(has) > 1 && s.Excepted(rows, at) == nil && m.Place != s.Place() {
				where, ok := places[access.OfMember+"\x00"+access.MemberKey(m)+"\x00"]
				if !ok {
					where = route{"access"}
				}
				d.wrong(where, "%s would have %s, which rule %s keeps apart; expected one of them, or an exception", who, strings.Join(has, " and "), s.Name)
				break
			}
		}
	}
}
