package simulate

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"jmld/jml/engine"
	"jmld/model"
)

// Ways in which the directory breaks.
const (
	sound   = iota
	cut     // the connection ends half-way
	blind   // a part of the people is not shown, and nothing says so
	amnesia // a part of the people is said to be inactive
)

// directory is what the personnel system's directory lists: employees, and the group of builders.
type directory struct {
	name    string
	company *company
	fault   int
}

func (d *directory) Name() string    { return d.name }
func (d *directory) Profile() string { return "{}" }

func (d *directory) entry(p *person) string { return fmt.Sprintf("entry-%d-%d", p.number, p.entry) }

// hidden are those whom a fault is about.
func hidden(p *person) bool { return p.number%3 == 0 }

var errCut = errors.New("the connection ended")

func (d *directory) Read(ctx context.Context, emit func(model.Entry) error) (model.Proof, error) {
	var builders []string
	users := 0
	for i, p := range d.company.people {
		if !p.listed || d.fault == blind && hidden(p) {
			continue
		}
		if d.fault == cut && i > len(d.company.people)/2 {
			return model.Proof{Users: users}, errCut
		}
		if err := emit(d.user(p)); err != nil {
			return model.Proof{}, err
		}
		users++
		if p.builder {
			builders = append(builders, d.entry(p))
		}
		if err := ctx.Err(); err != nil {
			return model.Proof{}, err
		}
	}
	slices.Sort(builders)
	group := sealed(model.Entry{Record: model.Record{Source: d.name, ID: "builders", Kind: model.KindGroup, DisplayName: "builders",
		DisplayNameKey: "builders", Active: true, Attrs: `{"displayName":"builders"}`}, Members: builders})
	if err := emit(group); err != nil {
		return model.Proof{}, err
	}
	return model.Proof{Complete: true, Users: users, Groups: 1, Server: "simulated",
		Conditions: []model.Condition{{Name: "the simulated directory listed everybody", OK: true}}}, nil
}

// user is the entry of a person; most are as they were the night before.
func (d *directory) user(p *person) model.Entry {
	now := facts{entry: p.entry, start: p.start, department: p.department, title: p.title, family: p.family,
		active: p.comes(d.company.day) && !p.onLeave && (d.fault != amnesia || !hidden(p))}
	if p.entryFacts == nil || *p.entryFacts != now {
		p.entryFacts = &now
		p.entryWas = sealed(model.Entry{Record: model.Record{Source: d.name, ID: d.entry(p), Kind: model.KindUser, UserName: p.userName(),
			UserNameKey: p.userName(), DisplayName: p.name(), DisplayNameKey: model.FoldKey(p.name()), Active: now.active,
			Attrs: canonical(d.company.attributes(p, p.title))}})
	}
	return p.entryWas
}

// facts are what an entry is made of.
type facts struct {
	entry, start              int
	department, title, family string
	active                    bool
}

// Confirm looks for single entries: who is hidden cannot be seen in this way either, and nothing says that they exist.
func (d *directory) Confirm(_ context.Context, _ model.Kind, ids, _ []string, each func(string, model.Sighting)) error {
	if d.fault == blind {
		return errors.New("the search for a known entry found nothing")
	}
	for _, id := range ids {
		each(id, model.Sighting{State: model.SightNowhere, Text: "not found"})
	}
	return nil
}

func sealed(e model.Entry) model.Entry {
	sum := sha256.Sum256([]byte(fmt.Sprint(e.Attrs, e.Active, e.DisplayName, e.Members)))
	e.Hash, e.ExternalID = sum[:16], e.ID
	return e
}

const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User" // RFC 7643 §4.3

const lifecycle = "urn:ietf:params:scim:schemas:extension:jmld:2.0:User"

func (c *company) date(day int) string { return c.began.AddDate(0, 0, day).Format(time.DateOnly) }

// attributes are the SCIM attributes of a person, with the title a source knows.
func (c *company) attributes(p *person, title string) map[string]any {
	contract := map[string]any{"startDate": c.date(p.start), "workerType": "employee"}
	if p.partner != "" {
		contract["workerType"] = "partner"
	}
	if p.end > 0 {
		contract["endDate"] = c.date(p.end)
	}
	return map[string]any{
		lifecycle:  contract,
		"userName": p.userName(), "displayName": p.name(), "title": title,
		"name":     map[string]any{"givenName": p.given, "familyName": p.family},
		"emails":   []any{map[string]any{"value": p.mail(), "type": "work", "primary": true}},
		enterprise: map[string]any{"employeeNumber": fmt.Sprint(p.number), "department": p.department},
	}
}

// provider is the identity provider that pushes everybody, partners too, some time after the truth.
type provider struct {
	name    string
	company *company
	engine  *engine.Engine
	grouped bool            // the group of partners who build was created
	members map[string]bool // of it
}

const connections = 16 // the provider's

const partnersGroup = "group-builders"

// tell pushes what is new about the people it has heard of today.
func (v *provider) tell(ctx context.Context, day int) error {
	var add, drop []string
	var g errgroup.Group
	g.SetLimit(connections)
	told := map[*person]bool{}
	for _, p := range v.company.tell[day] {
		if told[p] {
			continue
		}
		told[p] = true
		if !p.stale {
			p.titleWas = p.title
		}
		id, action := p.pushed, "scim.patch"
		switch {
		case id == "" && !p.comes(day):
			continue
		case id == "":
			id, action = fmt.Sprintf("idp-%d-%d", p.number, day), "scim.create"
		case !p.comes(day) && p.number%5 == 0:
			action = "scim.delete"
		}
		g.Go(func() error { return v.user(ctx, p, id, action) })
		if p.pushed = id; action == "scim.delete" {
			delete(v.members, id)
			p.pushed = ""
			continue
		}
		if in := p.partner != "" && p.builder && p.comes(day); in != v.members[p.pushed] {
			if in {
				add, v.members[p.pushed] = append(add, p.pushed), true
			} else {
				drop = append(drop, p.pushed)
				delete(v.members, p.pushed)
			}
		}
	}
	delete(v.company.tell, day)
	if err := g.Wait(); err != nil {
		return err
	}
	return v.group(ctx, add, drop)
}

func (v *provider) user(ctx context.Context, p *person, id, action string) error {
	_, err := v.engine.Push(ctx, engine.Push{Source: v.name, Kind: model.KindUser, ID: id, Create: action == "scim.create", Actor: "source " + v.name, Action: action,
		Change: func(cur *model.Record) (*model.Record, engine.MemberChange, error) {
			if action == "scim.delete" {
				return nil, engine.MemberChange{}, nil
			}
			next := model.Record{UserName: p.userName(), UserNameKey: p.userName(), UniqueKey: p.userName(), DisplayName: p.name(),
				DisplayNameKey: model.FoldKey(p.name()), Active: p.comes(v.company.day) && !p.onLeave, Attrs: canonical(v.company.attributes(p, p.titleWas))}
			if cur != nil {
				next.Version = cur.Version
			}
			return &next, engine.MemberChange{}, nil
		}})
	return err
}

func (v *provider) group(ctx context.Context, add, drop []string) error {
	if len(add)+len(drop) == 0 {
		return nil
	}
	_, err := v.engine.Push(ctx, engine.Push{Source: v.name, Kind: model.KindGroup, ID: partnersGroup, Create: !v.grouped, Actor: "source " + v.name,
		Action: "scim.patch", Change: func(cur *model.Record) (*model.Record, engine.MemberChange, error) {
			next := model.Record{DisplayName: "builders", DisplayNameKey: "builders", Active: true, Attrs: `{"displayName":"builders"}`}
			if cur != nil {
				next.Version = cur.Version
			}
			return &next, engine.MemberChange{Add: add, Drop: drop}, nil
		}})
	v.grouped = true
	return err
}
