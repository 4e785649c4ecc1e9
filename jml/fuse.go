package jml

import (
	"reflect"
	"slices"
	"sort"
	"strings"

	"jmld/model"
)

// Fused is what is known about a person when all records are taken together.
type Fused struct {
	Attrs      map[string]any
	Active     bool
	ActiveBy   string // the source that decided Active, "" when there is no record
	Provenance map[string]model.Provenance
}

// everything is the provenance key of all attributes of a person whom one source knows.
const everything = "*"

// Fuse makes one set of attributes out of a person's records. For each attribute the first source of its authority that says
// something wins; null and absent say nothing. Attributes of extensions are fused one by one.
func (r *Rules) Fuse(records []model.Record) Fused {
	f := Fused{Attrs: map[string]any{}, Provenance: map[string]model.Provenance{}}
	if len(records) == 0 {
		return f
	}
	if len(records) == 1 {
		rec := records[0]
		f.Attrs, f.Active, f.ActiveBy = Decode(rec.Attrs), rec.Active, rec.Source
		f.Provenance[everything] = model.Provenance{Winner: rec.Source, Rule: "the only source"}
		return f
	}
	said := map[string]map[string]any{} // attribute -> source -> value
	for _, rec := range records {
		for name, v := range Decode(rec.Attrs) {
			if ext, ok := v.(map[string]any); ok && strings.HasPrefix(name, "urn:") {
				for sub, sv := range ext {
					say(said, name+":"+sub, rec.Source, sv)
				}
				continue
			}
			say(said, name, rec.Source, v)
		}
		if rec.Active || said["active"][rec.Source] == nil { // of two records in one source, the one that is active counts
			if said["active"] == nil {
				said["active"] = map[string]any{}
			}
			said["active"][rec.Source] = rec.Active
		}
	}
	for name, by := range said {
		order, rule := r.order(name)
		v, p := choose(by, order, rule)
		f.Provenance[name] = p
		if name == "active" {
			f.Active, f.ActiveBy = v.(bool), p.Winner
			continue
		}
		put(f.Attrs, name, v)
	}
	return f
}

func say(said map[string]map[string]any, name, source string, v any) {
	if v == nil {
		return
	}
	if said[name] == nil {
		said[name] = map[string]any{}
	}
	if _, twice := said[name][source]; !twice {
		said[name][source] = v
	}
}

func put(attrs map[string]any, name string, v any) {
	if strings.HasPrefix(name, "urn:") {
		i := strings.LastIndexByte(name, ':')
		ext, _ := attrs[name[:i]].(map[string]any)
		if ext == nil {
			ext = map[string]any{}
			attrs[name[:i]] = ext
		}
		ext[name[i+1:]] = v
		return
	}
	attrs[name] = v
}

// order is the sources in the order that decides the attribute, and the name of that rule.
func (r *Rules) order(name string) ([]string, string) {
	first := r.Authority[name]
	if first == nil && strings.HasPrefix(name, "urn:") {
		first = r.Authority[name[strings.LastIndexByte(name, ':')+1:]]
	}
	rule := "precedence "
	order := slices.Clone(first)
	if first != nil {
		rule = "authority for " + name + " "
	}
	for _, s := range r.Precedence {
		if !slices.Contains(order, s) {
			order = append(order, s)
		}
	}
	return order, rule + strings.Join(order, " > ")
}

func choose(by map[string]any, order []string, rule string) (any, model.Provenance) {
	sources := make([]string, 0, len(by))
	for s := range by {
		sources = append(sources, s)
	}
	rank := func(s string) int { // sources no longer configured come last, by name
		if i := slices.Index(order, s); i >= 0 {
			return i
		}
		return len(order)
	}
	sort.Slice(sources, func(i, j int) bool {
		a, b := sources[i], sources[j]
		if ra, rb := rank(a), rank(b); ra != rb {
			return ra < rb
		}
		return a < b
	})
	p := model.Provenance{Winner: sources[0], Rule: rule}
	for _, s := range sources[1:] {
		if !reflect.DeepEqual(by[s], by[p.Winner]) {
			p.Losers = append(p.Losers, s)
		}
	}
	return by[p.Winner], p
}
