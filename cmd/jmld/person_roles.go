package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"jmld/jml/access"
	"jmld/jml/engine"
	"jmld/model"
)

// On what a role is held.
const (
	byRight   = "by right"  // a rule holds
	requested = "requested" // a person gave it
	declared  = "declared"  // in the configuration
)

func basis(m model.AccessMember) string {
	switch m.ManagedBy {
	case model.ManagedByPolicy:
		return byRight
	case model.ManagedByConfig:
		return declared
	}
	return requested
}

type roleJSON struct {
	Basis    string     `json:"basis"`
	Place    string     `json:"place"`
	Role     string     `json:"role,omitempty"`
	Reason   string     `json:"reason"`
	Approver string     `json:"approver"`
	Since    string     `json:"since,omitempty"` // by right
	From     string     `json:"from,omitempty"`
	Until    string     `json:"until,omitempty"`
	Code     model.Code `json:"code,omitempty"` // withheld
	Withheld string     `json:"withheld,omitempty"`
}

func entitlements(i *model.Identity) (model.Entitlements, error) {
	var e model.Entitlements
	if i.Entitlements == "" {
		return e, nil
	}
	if err := json.Unmarshal([]byte(i.Entitlements), &e); err != nil {
		return e, fmt.Errorf("identity %s: entitlements: %w", i.ID, err)
	}
	return e, nil
}

// rolesOf lists what the person was given, by people and by rules, each for itself, with what is withheld and why.
func rolesOf(i *model.Identity, rows []model.AccessMember) ([]roleJSON, error) {
	e, err := entitlements(i)
	if err != nil {
		return nil, err
	}
	list := []roleJSON{}
	add := func(m model.AccessMember) *roleJSON {
		r := roleJSON{Basis: basis(m), Place: m.Place, Role: m.Role, Reason: m.Reason, Approver: m.Approver}
		if m.ValidFrom != nil {
			r.From = m.ValidFrom.UTC().Format(timeJSON)
		}
		if m.ValidTo != nil {
			r.Until = m.ValidTo.UTC().Format(timeJSON)
		}
		if n := slices.IndexFunc(e.Withheld, func(w model.Withheld) bool { return w.Place == m.Place && w.Role == m.Role }); n >= 0 {
			r.Code, r.Withheld = e.Withheld[n].Code, e.Withheld[n].Text
		}
		list = append(list, r)
		return &list[len(list)-1]
	}
	for _, m := range rows {
		add(m)
	}
	for _, b := range e.Given {
		add(access.Birthright(i.ID, b)).Since = b.Since.UTC().Format(timeJSON)
	}
	return list, nil
}

// approvers are the texts that say who approved.
func approvers(list []roleJSON) []*string {
	out := make([]*string, len(list))
	for i := range list {
		out[i] = &list[i].Approver
	}
	return out
}

func (a *app) printRoles(list []roleJSON) error {
	if len(list) == 0 {
		return nil
	}
	a.printf("\nRoles\n")
	t := newTable(a.stdout)
	for _, r := range list {
		why := r.Reason
		if r.Basis != byRight {
			why += "; approved by " + r.Approver
		}
		for _, part := range []struct{ word, value string }{{"since", r.Since}, {"from", r.From}, {"until", r.Until}} {
			if part.value != "" {
				why += ", " + part.word + " " + part.value
			}
		}
		if r.Withheld != "" {
			why += "; withheld: " + r.Withheld
		}
		kind, _ := access.SplitPlace(r.Place)
		t.indented(r.Place, orElse(r.Role, map[bool]string{true: "exception", false: "admin"}[kind == access.KindException]), r.Basis, line(why))
	}
	return t.flush()
}

// rightsOf is everything the person holds somewhere, direct and inherited.
func (s *site) rightsOf(ctx context.Context, p engine.Person, now time.Time) ([]access.Grant, error) {
	e, err := entitlements(p.Identity)
	if err != nil {
		return nil, err
	}
	rows := access.Counting(p.Identity.ID, p.Access, e)
	if len(rows) == 0 {
		return nil, nil
	}
	frame, err := s.store.AccessFrame(ctx)
	if err != nil {
		return nil, err
	}
	tree, err := access.New(frame)
	if err != nil {
		return nil, err
	}
	return tree.Rights(rows, now), nil
}

// printInherited prints what the person holds through groups. What is held directly is among the roles.
func (a *app) printInherited(rights []access.Grant) error {
	t, n := newTable(a.stdout), 0
	for _, g := range rights {
		if g.Direct {
			continue
		}
		if n++; n == 1 {
			a.printf("\nInherited\n")
		}
		t.indented(g.Place, orElse(g.Role, "admin"), way(g), "taken away in "+g.Origin)
	}
	return t.flush()
}

// printAside prints what of somebody's roles does not count, and what they are excepted from.
func (a *app) printAside(list []roleJSON) error {
	t := newTable(a.stdout)
	heads := map[string]bool{}
	head := func(text string) {
		if !heads[text] {
			t.row("")
			t.row(text)
		}
		heads[text] = true
	}
	for _, r := range list {
		if r.Withheld != "" {
			head("Withheld")
			t.indented(r.Place, orElse(r.Role, "admin"), r.Basis, line(r.Withheld))
		}
	}
	for _, r := range list {
		if kind, name := access.SplitPlace(r.Place); kind == access.KindException {
			head("Exceptions")
			t.indented(name, "until "+r.Until, line(r.Reason)+"; approved by "+strings.TrimSpace(r.Approver))
		}
	}
	return t.flush()
}
