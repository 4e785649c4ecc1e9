// Package trial plays an operator's own cases against the rules: what sources say about one person, day after day, and what should
// have become of their accounts. It decides with the same code as the engine, and needs no database. Nothing is held: the guard is
// about how many people a change touches, and here there is one. It is pure: values in, values out.
package trial

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"jmld/jml"
	"jmld/jml/access"
	"jmld/model"
)

// Case is one situation, and what is expected of it.
type Case struct {
	Name    string
	Line    int      // in the file
	Moments []Moment // in order of time; at least one
	Access  []model.AccessMember
	Taken   map[jml.NameKey]bool // user names of others
	Expect  Expect
}

// Moment is what the sources say from then on, all of them.
type Moment struct {
	At      time.Time
	Records []model.Record
	Groups  []model.Membership
	// Managers are facts about whom Records name as manager, as far as that is somebody.
	Managers map[jml.ManagerRef]map[string]any
}

// Person is the name of the person in rows of Case.Access.
const Person = "person"

// Played is where the person stands in the end, and how they came there.
type Played struct {
	Identity model.Identity
	Accounts map[string]model.Account // by target
	Findings []model.Finding
	// Access is what the person holds in the end, and Entitlements what rules made of it.
	Access       *access.View
	Entitlements model.Entitlements
	Happened     []Happening
}

// Happening is one change of an account.
type Happening struct {
	At     time.Time
	Change model.Change
	Text   string // why
}

// mostReviews is how often time alone may make us decide again, in one case.
const mostReviews = 10_000

// mostAsks is how often a name is looked for; each time among more of them.
const mostAsks = 12

// Play lets the case happen. groups is the tree of groups with its roles.
func Play(r *jml.Rules, groups access.State, c Case) (Played, error) {
	p := &player{rules: r, taken: c.Taken, names: map[jml.NameKey]string{}, played: Played{Accounts: map[string]model.Account{}}}
	if err := p.plant(groups, c); err != nil {
		return Played{}, err
	}
	for i, m := range c.Moments {
		if i > 0 {
			if err := p.wait(m.At); err != nil {
				return Played{}, err
			}
		}
		p.now = m
		p.decide(m.At, "the sources say so")
	}
	p.played.Findings = []model.Finding{}
	if text := p.played.Identity.Findings; text != "" {
		if err := json.Unmarshal([]byte(text), &p.played.Findings); err != nil {
			return Played{}, fmt.Errorf("findings: %w", err)
		}
	}
	if text := p.played.Identity.Entitlements; text != "" {
		if err := json.Unmarshal([]byte(text), &p.played.Entitlements); err != nil {
			return Played{}, fmt.Errorf("entitlements: %w", err)
		}
	}
	p.played.Access = access.NewView(p.tree, access.Counting(Person, p.rows, p.played.Entitlements), p.now.At)
	return p.played, nil
}

type player struct {
	rules  *jml.Rules
	tree   *access.Tree
	rows   []model.AccessMember
	keys   []model.Key
	now    Moment
	taken  map[jml.NameKey]bool
	names  map[jml.NameKey]string // of the person
	known  bool                   // there is an identity
	played Played
}

// plant makes the tree, in which the configuration may name the person by a correlation key.
func (p *player) plant(groups access.State, c Case) (err error) {
	groups.Members = slices.Concat(groups.Members, c.Access)
	groups.People = map[string]string{}
	for _, m := range c.Moments {
		for _, rec := range m.Records {
			for _, k := range p.rules.Keys(rec) {
				groups.People[k.Name+":"+k.Value] = Person
			}
		}
	}
	if p.tree, err = access.New(groups); err != nil {
		return fmt.Errorf("groups and roles: %w", err)
	}
	p.rows = p.tree.Rows(Person)
	return nil
}

// wait lets time pass. Whenever a date makes somebody due, the engine decides again.
func (p *player) wait(until time.Time) error {
	for range mostReviews {
		at := p.played.Identity.ReviewAt
		if at == nil || at.After(until) {
			return nil
		}
		p.decide(*at, "the day has come")
	}
	return fmt.Errorf("the person is due more than %d times until %s", mostReviews, until.Format(time.DateOnly))
}

func (p *player) decide(at time.Time, cause string) {
	s := jml.Situation{Now: at.UTC(), ID: Person, Records: p.now.Records, Groups: p.now.Groups, Managers: p.now.Managers, Keys: p.keys,
		Access: access.NewView(p.tree, p.rows, at), Cause: jml.Cause{Text: cause}, Administrators: map[string]int{}}
	if p.known {
		before := p.played.Identity
		s.Identity = &before
	}
	for _, target := range slices.Sorted(maps.Keys(p.played.Accounts)) {
		s.Accounts = append(s.Accounts, p.played.Accounts[target])
	}
	for _, target := range p.rules.Targets {
		s.Administrators[target] = 1 // somebody else
	}
	d := p.rules.Decide(s)
	for range mostAsks {
		if len(d.Asks) == 0 {
			break
		}
		if s.Names == nil {
			s.Names = map[jml.NameKey]string{}
		}
		for _, key := range d.Asks {
			if s.Names[key] = p.names[key]; p.taken[key] {
				s.Names[key] = "somebody else"
			}
		}
		d = p.rules.Decide(s)
	}
	for _, n := range d.Names {
		p.names[jml.NameKey{Target: n.Target, Name: n.Name}] = Person
	}
	p.played.Identity, p.known = d.Identity, true
	p.keys = append(slices.DeleteFunc(p.keys, func(k model.Key) bool { return slices.Contains(d.DropKeys, k) }), d.AddKeys...)
	var rows []model.AccessMember
	for _, m := range p.rows {
		if m, left := access.Turn(m, d.Memberships, true, at); left {
			rows = append(rows, m)
		}
	}
	p.rows = rows
	for _, a := range d.Marks {
		p.played.Accounts[a.Target] = a
	}
	for _, step := range d.Steps {
		a := step.Account // the target does it at once
		a.AppliedState, a.AppliedRev, a.AppliedAt = a.State, a.DesiredRev, &d.Identity.UpdatedAt
		p.played.Accounts[a.Target] = a
		p.played.Happened = append(p.played.Happened, Happening{At: at, Change: step.Change, Text: reason(a)})
	}
}

// reason is why the account is as it is, in words.
func reason(a model.Account) string {
	var why model.Reason
	if json.Unmarshal([]byte(a.Because), &why) != nil {
		return a.Because
	}
	text := why.Text
	if why.Rule != "" && !strings.Contains(text, "rule "+why.Rule) {
		text = "rule " + why.Rule + ": " + text
	}
	return text
}
