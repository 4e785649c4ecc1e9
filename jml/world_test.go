package jml_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"jmld/jml"
	"jmld/jml/access"
	"jmld/jml/policy"
	"jmld/model"
)

// world is what the shell around the core keeps, in memory: enough to play a story of records coming and going.
type world struct {
	rules      *jml.Rules
	now        time.Time
	holding    bool // the guard says no
	records    map[string]model.Record
	groups     map[string][]string // record -> names of its groups
	identities map[string]*model.Identity
	keys       map[model.Key]string
	names      map[jml.NameKey]string
	accounts   map[[2]string]model.Account
	rulings    map[string]*model.Ruling        // by record
	gave       map[string][]model.AccessMember // by identity
	deaf       []string                        // targets that do nothing
	serial     int
	story      strings.Builder
}

func newWorld(rules *jml.Rules) *world {
	return &world{rules: rules, now: time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC), records: map[string]model.Record{},
		rulings: map[string]*model.Ruling{}, gave: map[string][]model.AccessMember{}, groups: map[string][]string{}, identities: map[string]*model.Identity{}, keys: map[model.Key]string{}, names: map[jml.NameKey]string{},
		accounts: map[[2]string]model.Account{}}
}

func at(source, id string) string { return source + " " + id }

// person loads everything about one identity.
func (w *world) situation(id string, cause jml.Cause) jml.Situation {
	s := jml.Situation{Now: w.now, ID: id, Identity: w.identities[id], Cause: cause}
	if w.rules.Policy.GivesRoles() || len(w.gave[id]) > 0 {
		s.Access = access.NewView(houseTree(), w.gave[id], w.now)
	}
	s.Managers = map[jml.ManagerRef]map[string]any{}
	for _, k := range slices.Sorted(maps.Keys(w.records)) {
		rec := w.records[k]
		if boss := w.identities[rec.IdentityID]; boss != nil {
			s.Managers[jml.ManagerRef{Source: rec.Source, Record: rec.ID}] = jml.ManagerFacts(boss)
		}
		if rec.IdentityID != id {
			continue
		}
		s.Records = append(s.Records, rec)
		for _, g := range w.groups[k] {
			s.Groups = append(s.Groups, model.Membership{Source: rec.Source, GroupID: "id of " + g, DisplayName: g, Direct: true})
		}
	}
	for k, owner := range w.keys {
		if owner == id {
			s.Keys = append(s.Keys, k)
		}
	}
	slices.SortFunc(s.Keys, func(a, b model.Key) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value)) })
	for _, target := range []string{"app", "old", "platform"} {
		if a, ok := w.accounts[[2]string{id, target}]; ok {
			s.Accounts = append(s.Accounts, a)
		}
	}
	s.Administrators = map[string]int{}
	for key, a := range w.accounts {
		if key[0] != id && a.Administrator && a.State == model.AccountActive {
			s.Administrators[key[1]]++
		}
	}
	return s
}

// say takes what a source says about one of its users; nil: the record is gone.
func (w *world) say(source, id string, rec *model.Record, text string) {
	cur, had := w.records[at(source, id)]
	cause := jml.Cause{Source: source, Record: id, Text: text}
	if rec == nil {
		delete(w.records, at(source, id))
		delete(w.groups, at(source, id))
		if had && cur.IdentityID != "" {
			w.decide(cur.IdentityID, cause)
		}
		return
	}
	rec.Source, rec.ID, rec.Kind, rec.IdentityID = source, id, model.KindUser, cur.IdentityID
	cause.Absent = rec.AbsentSince != nil
	owners, owned, siblings := map[model.Key]string{}, []model.Key{}, []model.Record{}
	keys := w.rules.Keys(*rec)
	for _, k := range keys {
		if o := w.keys[k]; o != "" {
			owners[k] = o
			s := w.situation(o, cause)
			owned, siblings = append(owned, s.Keys...), append(siblings, s.Records...)
		}
	}
	m, ruled := jml.Ruled(*rec, keys, w.rulings[at(source, id)])
	if !ruled {
		m = w.rules.Correlate(*rec, keys, owners, owned, siblings)
	}
	rec.Link, rec.IdentityID, rec.LinkText = m.Link, m.Identity, ""
	if ruled || cur.Link == model.Linked && cur.LinkText != "" {
		rec.LinkText = cmp.Or(m.Text, cur.LinkText)
	}
	if m.Link != model.Linked {
		rec.LinkText = m.Text
		w.records[at(source, id)] = *rec
		if m.Link == model.Disputed {
			w.line("? %s: %s: %s", who(rec), model.CodeCorrelationDisputed, m.Text)
		} else {
			w.line("  %s is %s: %s", at(source, id), m.Link, m.Text)
		}
		return
	}
	if rec.IdentityID == "" {
		w.serial++
		rec.IdentityID = fmt.Sprintf("person-%d", w.serial)
	} else if cur.IdentityID == "" && w.identities[rec.IdentityID] != nil {
		w.line("= %s is %s: %s", at(source, id), w.identities[rec.IdentityID].DisplayName, m.Text)
	}
	w.records[at(source, id)] = *rec
	w.decide(rec.IdentityID, cause)
}

// rule is what a person decides about a record that is nobody's; it is looked at again at once.
func (w *world) rule(t *testing.T, source, id, what string) {
	rec, ok := w.records[at(source, id)]
	if !ok {
		t.Fatalf("nobody is %s", at(source, id))
	}
	kind, name, _ := strings.Cut(what, " ")
	r := &model.Ruling{Kind: model.RulingKind(kind), Keys: jml.KeyText(w.rules.Keys(rec)), Actor: "operator Grete"}
	switch kind {
	case "link":
		for id, p := range w.identities {
			if p.DisplayName == name {
				r.IdentityID = id
			}
		}
		if r.IdentityID == "" {
			t.Fatalf("nobody is called %s", name)
		}
	case "new":
		w.serial++
		r.IdentityID = fmt.Sprintf("person-%d", w.serial)
	case "undo":
		r = nil
	}
	w.rulings[at(source, id)] = r
	w.say(source, id, &rec, what+" decided by operator Grete")
}

// look tells whose word counts for an attribute.
func (w *world) look(t *testing.T, attr, name string) {
	for _, p := range w.identities {
		if p.DisplayName != name {
			continue
		}
		var from map[string]model.Provenance
		if err := json.Unmarshal([]byte(p.Provenance), &from); err != nil {
			t.Fatal(err)
		}
		attrs, full := jml.Decode(p.Attrs), attr
		if attr == "department" || attr == "employeeNumber" {
			attrs, _ = attrs[jml.EnterpriseUser].(map[string]any)
			full = jml.EnterpriseUser + ":" + attr
		}
		got, ok := from[full]
		if !ok {
			got = from["*"]
		}
		value := fmt.Sprint(attrs[attr])
		if attrs[attr] == nil {
			value = "empty"
		}
		if got.Says != "" {
			value = got.Says
		}
		losers := ""
		if len(got.Losers) > 0 {
			losers = ", not " + strings.Join(got.Losers, ", ")
		}
		w.line("  %s is %s, says %s%s since %s (%s)", attr, value, got.Winner, losers, got.Since.Format(time.DateOnly), got.Rule)
		return
	}
	t.Fatalf("nobody is called %s", name)
}

func who(r *model.Record) string { return cmp.Or(r.DisplayName, r.UserName, r.ID) }

// decide lets the core decide about one person and applies what it says.
func (w *world) decide(id string, cause jml.Cause) jml.Decision {
	s := w.situation(id, cause)
	s.Names = map[jml.NameKey]string{}
	d := w.rules.Decide(s)
	for len(d.Asks) > 0 {
		for _, key := range d.Asks {
			s.Names[key] = w.names[key]
		}
		d = w.rules.Decide(s)
	}
	for _, n := range d.Names {
		w.names[jml.NameKey{Target: n.Target, Name: n.Name}] = n.IdentityID
	}
	w.apply(d)
	return d
}

func (w *world) apply(d jml.Decision) {
	id := d.Identity
	for _, k := range d.DropKeys {
		delete(w.keys, k)
	}
	for _, k := range d.AddKeys {
		if w.keys[k] == "" {
			w.keys[k] = id.ID
		}
	}
	w.identities[id.ID] = &id
	for _, f := range d.Findings {
		rule := ""
		if name := reason(f.Because).Rule; name != "" {
			rule = "rule " + name + ": "
		}
		w.line("? %s%s: %s: %s%s", f.Who, target(f.Target), f.Code, rule, reason(f.Because).Text)
	}
	for _, s := range d.Settled {
		w.accounts[[2]string{id.ID, s.Account.Target}] = s.Account
		w.line("  %s no longer waits for approval to leave %s", id.DisplayName, s.Account.Target)
	}
	for _, a := range d.Marks {
		w.accounts[[2]string{id.ID, a.Target}] = a
	}
	for _, s := range d.Steps {
		c := s.Change
		key := [2]string{id.ID, c.Target}
		held := ""
		if w.holding && c.Op.Leaves() {
			held = ", held"
			a := w.accounts[key]
			a.HeldPlan = "plan"
			w.accounts[key] = a
		} else {
			a := s.Account // the target does it at once
			w.accounts[key] = a
			w.told()
		}
		w.line("%s %s %s (%s%s): %s", c.Op, c.Target, c.Who, c.Event, held, reason(c.Because).Text)
	}
	if len(d.Steps)+len(d.Findings)+len(d.Settled) == 0 {
		w.line("  nothing changes")
	}
}

// told has the targets do what they were told.
func (w *world) told() {
	for key, a := range w.accounts {
		if !slices.Contains(w.deaf, a.Target) && a.DesiredRev != a.AppliedRev {
			now := w.now
			a.AppliedState, a.AppliedRev, a.AppliedAt = a.State, a.DesiredRev, &now
			w.accounts[key] = a
		}
	}
}

func target(t string) string {
	if t == "" {
		return ""
	}
	return " (" + t + ")"
}

func reason(because string) (r model.Reason) {
	if err := json.Unmarshal([]byte(because), &r); err != nil {
		panic(err)
	}
	return r
}

func (w *world) line(format string, args ...any) {
	fmt.Fprintf(&w.story, "  "+format+"\n", args...)
}

// wait lets time pass until then. Whoever is due is looked at when that is, or now if it is late.
func (w *world) wait(until time.Time) {
	for range 10_000 {
		var next *model.Identity
		for _, id := range slices.Sorted(maps.Keys(w.identities)) {
			if p := w.identities[id]; p.ReviewAt != nil && !p.ReviewAt.After(until) && (next == nil || p.ReviewAt.Before(*next.ReviewAt)) {
				next = p
			}
		}
		if next == nil {
			w.now = until
			return
		}
		if next.ReviewAt.After(w.now) {
			w.now = *next.ReviewAt
		}
		w.line("at %s", w.now.Format(time.RFC3339))
		w.decide(next.ID, jml.Cause{Text: "looked at again"})
	}
	panic("somebody is due for ever")
}

// approve lets go what waits and is still the same, as the engine does.
func (w *world) approve() {
	holding := w.holding
	w.holding = false
	for _, id := range slices.Sorted(maps.Keys(w.identities)) {
		waits := false
		for key, a := range w.accounts {
			if key[0] == id && a.HeldPlan != "" {
				a.HeldPlan, waits = "", true
				w.accounts[key] = a
			}
		}
		if waits {
			w.decide(id, jml.Cause{Text: "approved"})
		}
	}
	w.holding = holding
}

// everybody decides about all people, as after a change of the rules.
func (w *world) everybody(text string) {
	for _, id := range slices.Sorted(maps.Keys(w.identities)) {
		w.decide(id, jml.Cause{Text: text})
	}
}

// people tells how things stand.
func (w *world) people() string {
	var b strings.Builder
	for _, id := range slices.Sorted(maps.Keys(w.identities)) {
		p := w.identities[id]
		place := "internal"
		if p.External {
			place = "external"
		}
		if p.Organisation != "" {
			place += " of " + p.Organisation
		}
		fmt.Fprintf(&b, "  %s: %s, %s, categories %s;", p.DisplayName, p.Lifecycle, place, cmp.Or(p.Categories, "none"))
		for _, t := range []string{"app", "old", "platform"} {
			if a, ok := w.accounts[[2]string{id, t}]; ok {
				held := ""
				if a.HeldPlan != "" {
					held = " (leave held)"
				}
				fmt.Fprintf(&b, " %s %s as %s%s", t, a.State, a.UserName, held)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

func compile(t testing.TB, c policy.Config) *policy.Policy {
	t.Helper()
	p, mistakes := policy.Compile(c, []string{"app", "platform"})
	if len(mistakes) > 0 {
		t.Fatalf("%+v", mistakes)
	}
	return p
}

// usual is the policy of a story that does not bring its own.
func usual() policy.Config {
	return policy.Config{
		Organisations: []policy.Organisation{
			{Name: "Example", Own: true, Domains: []string{"example.org", "example.com"}}, {Name: "Partner", Domains: []string{"partner.example"}},
		},
		Categories: []policy.Category{
			{Name: model.CategoryPlatform, When: `"builders" in person.groups && !person.external`},
			{Name: model.CategoryExtended, When: `"builders" in person.groups && person.external`},
			{Name: model.CategoryApp, When: `true`},
		},
		Accounts: []policy.Rule{
			{Name: "builders", Target: "platform", When: `"platform" in person.categories || "extended" in person.categories`},
			{Name: "everybody", Target: "app", When: `"app" in person.categories`},
		},
	}
}

func usualRules(t testing.TB) *jml.Rules {
	return &jml.Rules{
		Precedence: []string{"corp", "entra", "okta"}, Correlation: []string{"employeeNumber", "email", "userName"},
		OwnDomains: []string{"example.org", "example.com"}, Policy: compile(t, usual()), Targets: []string{"app", "platform"},
	}
}
