package console

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"jmld/jml/engine"
	"jmld/model"
)

const (
	personChanges = 30
	personTrail   = 20 // audit entries
	trailSubjects = 10 // records whose audit entries are looked up
)

type personPage struct {
	model.Identity
	Name      string
	Findings  []model.Finding
	Unread    string // findings that could not be read
	Records   []recordView
	Fused     []fused
	Groups    []model.Membership
	Keys      []model.Key
	Rights    []right
	Accounts  []accountRow
	Changes   []changeRow
	Older     string
	Trail     []trailRow
	OneSource bool
}

type recordView struct {
	model.Record
	Attrs []attr
	Mark  mark
}

// trailRow is an audit entry with what the request's dialect was and what of it was read differently, if it was one.
type trailRow struct {
	model.AuditEntry
	Dialect string
	Notes   []string
}

// fused is an attribute of the identity with where it comes from.
type fused struct {
	attr
	Winner string
	Rule   string
	Losers []attr // Path: the source
}

func (c *console) person(ctx context.Context, r *http.Request) (view, error) {
	id := clean(r.PathValue("id"))
	identity, err := c.o.View.Identity(ctx, id)
	if err != nil {
		return view{}, err
	}
	loaded, err := c.o.View.Load(ctx, []engine.Subject{{Identity: id}})
	if err != nil {
		return view{}, err
	}
	if len(loaded) != 1 {
		return view{}, model.ErrNotFound
	}
	all := loaded[0]
	if all.Identity != nil {
		identity = *all.Identity // of the same moment as the rest
	}
	p := personPage{Identity: identity, Name: nameOf(identity), Groups: all.Groups, Keys: all.Keys}
	if identity.Findings != "" {
		if decode(identity.Findings, &p.Findings) != nil {
			p.Unread = identity.Findings
		}
	}
	for _, rec := range all.Records {
		p.Records = append(p.Records, recordView{rec, attributes(rec.Attrs), linkMark(rec.Link)})
	}
	p.Fused, p.OneSource = fuse(identity, p.Records)
	if p.Rights, err = c.rights(ctx, identity, all); err != nil {
		return view{}, err
	}
	for _, a := range all.Accounts {
		p.Accounts = append(p.Accounts, newAccountRow(a))
	}
	changes, err := c.o.View.Changes(ctx, model.ChangeQuery{IdentityID: id, Merged: true, Limit: personChanges + 1})
	if err != nil {
		return view{}, err
	}
	changes, over := more(changes, personChanges)
	p.Changes = changeRows(changes)
	if over {
		p.Older = link("/changes", "person", id)
	}
	if p.Trail, err = c.trail(ctx, identity, all.Records); err != nil {
		return view{}, err
	}
	return view{name: "person", title: p.Name, section: "people", data: p}, nil
}

// nameOf never is empty.
func nameOf(i model.Identity) string {
	for _, s := range []string{i.DisplayName, i.UserName, i.Email} {
		if s != "" {
			return s
		}
	}
	return i.ID
}

// trail is what was done to the person and to the records, newest first.
func (c *console) trail(ctx context.Context, i model.Identity, records []model.Record) ([]trailRow, error) {
	subjects := []string{i.ID}
	for _, r := range records[:min(len(records), trailSubjects)] {
		if r.ID != i.ID {
			subjects = append(subjects, r.ID)
		}
	}
	var all []model.AuditEntry
	for _, s := range subjects {
		entries, err := c.o.View.AuditList(ctx, s, personTrail)
		if err != nil {
			return nil, err
		}
		all = append(all, entries...)
	}
	slices.SortFunc(all, func(a, b model.AuditEntry) int {
		if d := b.At.Compare(a.At); d != 0 {
			return d
		}
		return strings.Compare(b.ID, a.ID)
	})
	all = slices.CompactFunc(all, func(a, b model.AuditEntry) bool { return a.ID == b.ID })
	var rows []trailRow
	for _, e := range all[:min(len(all), personTrail)] {
		var detail struct {
			Dialect string   `json:"dialect"`
			Notes   []string `json:"notes"`
		}
		if e.Detail != "" && decode(e.Detail, &detail) != nil {
			detail.Notes = []string{e.Detail} // shown as it is
		}
		rows = append(rows, trailRow{e, detail.Dialect, detail.Notes})
	}
	return rows, nil
}

// allAttributes is the key of the provenance of a person whom one source knows.
const allAttributes = "*"

// fuse puts each attribute beside its provenance, and beside it what the sources said that lost.
func fuse(i model.Identity, records []recordView) (rows []fused, one bool) {
	prov := map[string]model.Provenance{}
	if i.Provenance != "" && decode(i.Provenance, &prov) != nil {
		prov = nil // shown as unknown below
	}
	all := attributes(i.Attrs)
	for path := range prov { // decided, and kept elsewhere: active
		if path != allAttributes && !slices.ContainsFunc(all, func(a attr) bool { return a.Path == path }) {
			all = append(all, attr{Path: path, Lines: said(records, prov[path].Winner, path)})
		}
	}
	slices.SortFunc(all, func(a, b attr) int { return strings.Compare(order(a.Path), order(b.Path)) })
	for _, a := range all {
		from, ok := prov[a.Path]
		if !ok {
			from = prov[allAttributes]
		}
		row := fused{attr: a, Winner: from.Winner, Rule: from.Rule}
		for _, s := range from.Losers {
			row.Losers = append(row.Losers, attr{s, said(records, s, a.Path)})
		}
		rows = append(rows, row)
	}
	_, one = prov[allAttributes]
	return rows, one
}

// said is what the source's record says about the attribute.
func said(records []recordView, source, path string) []string {
	for _, r := range records {
		if r.Source != source {
			continue
		}
		if path == "active" {
			return []string{compact(r.Active)}
		}
		for _, a := range r.Attrs {
			if a.Path == path {
				return a.Lines
			}
		}
	}
	return nil
}
