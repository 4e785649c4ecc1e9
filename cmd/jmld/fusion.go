package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"jmld/jml"
	"jmld/jml/engine"
	"jmld/model"
)

// fusedJSON is an attribute of a person with where it comes from.
type fusedJSON struct {
	Attribute string      `json:"attribute"`
	Value     any         `json:"value"`
	Winner    string      `json:"winner"`
	Rule      string      `json:"rule"`
	Since     string      `json:"since,omitempty"`
	Empty     bool        `json:"empty,omitempty"` // the winner says nothing, and nobody else may
	Losers    []loserJSON `json:"losers,omitempty"`
}

type loserJSON struct {
	Source string `json:"source"`
	Value  any    `json:"value"`
}

// fusionOf is every attribute of the person, with what the sources said that lost.
func fusionOf(p engine.Person) []fusedJSON {
	var from map[string]model.Provenance
	if p.Identity.Provenance != "" && json.Unmarshal([]byte(p.Identity.Provenance), &from) != nil {
		from = nil // shown without
	}
	attrs := paths(jml.Decode(p.Identity.Attrs))
	names := sortedKeys(attrs)
	for name, o := range from {
		if _, ok := attrs[name]; !ok && name != "*" && (o.Empty || o.Says != "") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	out := []fusedJSON{}
	for _, name := range names {
		o, ok := from[name]
		if !ok {
			o = from["*"]
		}
		f := fusedJSON{Attribute: name, Value: attrs[name], Winner: o.Winner, Rule: o.Rule, Empty: o.Empty}
		if o.Says != "" {
			f.Value = o.Says
		}
		if !o.Since.IsZero() {
			f.Since = o.Since.UTC().Format(time.RFC3339)
		}
		for _, source := range o.Losers {
			f.Losers = append(f.Losers, loserJSON{source, saidBy(p.Records, source, name)})
		}
		out = append(out, f)
	}
	return out
}

// paths flattens extensions: an attribute is named as its provenance is.
func paths(attrs map[string]any) map[string]any {
	out := make(map[string]any, len(attrs))
	for name, v := range attrs {
		inner, ok := v.(map[string]any)
		if !ok || !strings.HasPrefix(name, "urn:") {
			out[name] = v
			continue
		}
		for sub, v := range inner {
			out[name+":"+sub] = v
		}
	}
	return out
}

func saidBy(records []model.Record, source, name string) any {
	for _, r := range records {
		if r.Source != source || r.AbsentSince != nil {
			continue
		}
		if name == "active" {
			return fmt.Sprint(r.Active)
		}
		if v := paths(jml.Decode(r.Attrs))[name]; v != nil {
			return v
		}
	}
	return nil
}

// printAttributes shows who won each attribute, since when, and against whom.
func (a *app) printAttributes(p engine.Person) error {
	a.printf("\nAttributes\n")
	t := newTable(a.stdout)
	for _, f := range fusionOf(p) {
		name := strings.TrimPrefix(f.Attribute, enterprise+":")
		value := compact(f.Value)
		if f.Empty {
			value = "(empty)"
		}
		from := f.Winner
		if f.Since != "" {
			from += " since " + f.Since
		}
		for i, l := range f.Losers {
			if i == 0 {
				from += ", not "
			} else {
				from += ", "
			}
			from += l.Source + ": " + compact(l.Value)
		}
		if len(f.Losers) > 0 {
			from += " (" + f.Rule + ")"
		}
		t.indented(name, value, from)
	}
	return t.flush()
}

// managerJSON is whom the person reports to. A source names a record of its own; who that is is found now, whenever the record came.
type managerJSON struct {
	Value       string `json:"value"` // as the source says it
	Source      string `json:"source"`
	Identity    string `json:"identity,omitempty"` // "": the record is not there, or nobody's yet
	DisplayName string `json:"displayName,omitempty"`
}

func (m *managerJSON) line() string {
	if m.Identity == "" {
		return line(m.Value) + " of " + m.Source + ", who is not known yet"
	}
	return line(m.DisplayName) + "  " + m.Identity
}

// managerOf binds the manager that won to the identity, or nil when there is none.
func (s *site) managerOf(ctx context.Context, p engine.Person) (*managerJSON, error) {
	for _, f := range fusionOf(p) {
		if f.Attribute != enterprise+":manager" || f.Empty {
			continue
		}
		m := managerJSON{Source: f.Winner}
		switch v := f.Value.(type) {
		case string:
			m.Value = v
		case map[string]any:
			m.Value, _ = v["value"].(string)
		}
		if m.Value == "" {
			return nil, nil
		}
		found, err := s.store.Load(ctx, []engine.Subject{{Source: m.Source, Record: m.Value}})
		if err != nil {
			return nil, err
		}
		if boss := found[0]; boss.Record != nil && boss.Identity != nil {
			m.Identity, m.DisplayName = boss.Identity.ID, boss.Identity.DisplayName
		}
		return &m, nil
	}
	return nil, nil
}
