package jml

import (
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"jmld/jml/policy"
	"jmld/model"
)

// Fused is what is known about a person when all records are taken together.
type Fused struct {
	Attrs      map[string]any
	Active     bool
	ActiveBy   string // the source that decided Active, "" when there is no record
	Provenance map[string]model.Provenance
	Findings   []policy.Finding // conditions that could not be evaluated; the winners there were stay
}

// everything is the provenance key of all attributes of a person whom one source knows.
const everything = "*"

// Fuse makes one set of attributes out of a person's records. For each attribute the first source of its authority that says
// something wins. null says that there is none; an attribute that is absent says nothing, unless the authority is exclusive.
// Attributes of extensions are fused one by one. Conditions do not hold here: they are about what this makes.
func (r *Rules) Fuse(records []model.Record) Fused {
	return r.fuse(records, func(name string, _ map[string]any) ranking { return r.order(name) })
}

// refuse fuses again, with the conditional authorities that hold for the person. was is the provenance there is.
func (r *Rules) refuse(records []model.Record, person policy.Person, was map[string]model.Provenance) Fused {
	holds := map[int]error{} // nil: it holds
	var bad []policy.Finding
	asked := func(a Authority) error {
		err, known := holds[a.If]
		if !known {
			ok, evalErr := r.Policy.Holds(a.If, person)
			switch {
			case evalErr != nil:
				err = evalErr
				bad = append(bad, policy.Finding{Rule: "authority when " + a.When, Text: evalErr.Error()})
			case !ok:
				err = errNot
			}
			holds[a.If] = err
		}
		return err
	}
	f := r.fuse(records, func(name string, by map[string]any) ranking {
		for _, a := range r.conditional(name) {
			if a.When != "" {
				err := asked(a)
				if err == errNot { //nolint:errorlint // it is only made above, and never wrapped
					continue
				}
				if err != nil { // unknown is not no: whoever won stays, while they say something
					k := r.order(name)
					p, ok := was[name]
					if !ok { // one source was all there was
						p = was[everything]
					}
					if w := p.Winner; by[w] != nil {
						k = r.ranked([]string{w}, "kept, because the authority for "+name+" could not be evaluated: ")
					}
					return k
				}
			}
			rule := "authority for " + name + " "
			if a.When != "" {
				rule += "when " + a.When + ": "
			}
			k := r.ranked(a.Sources, rule)
			k.exclusive = a.Exclusive
			return k
		}
		return r.order(name)
	})
	slices.SortFunc(bad, func(a, b policy.Finding) int { return strings.Compare(a.Rule, b.Rule) })
	f.Findings = bad
	return f
}

// errNot is a condition that does not hold.
var errNot = errors.New("does not hold")

func (r *Rules) conditional(name string) []Authority {
	if list := r.Conditional[name]; list != nil || !strings.HasPrefix(name, "urn:") {
		return list
	}
	return r.Conditional[name[strings.LastIndexByte(name, ':')+1:]]
}

// ranking is the sources in the order that decides an attribute, and the name of that rule.
type ranking struct {
	order     []string
	rule      string
	exclusive bool
}

func (r *Rules) fuse(records []model.Record, rank func(name string, by map[string]any) ranking) Fused {
	f := Fused{Attrs: map[string]any{}, Provenance: map[string]model.Provenance{}}
	if len(records) == 0 {
		return f
	}
	if len(records) == 1 {
		rec := records[0]
		alone := model.Provenance{Winner: rec.Source, Rule: "the only source"}
		f.Provenance[everything] = alone
		alone.Empty = true
		f.Attrs, f.Active, f.ActiveBy = withoutNull(Decode(rec.Attrs), "", func(name string) { f.Provenance[name] = alone }), rec.Active, rec.Source
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
			if name != "active" { // that is a column, and nobody has no state
				say(said, name, rec.Source, v)
			}
		}
		if rec.Active || said["active"][rec.Source] == nil { // of two records in one source, the one that is active counts
			if said["active"] == nil {
				said["active"] = map[string]any{}
			}
			said["active"][rec.Source] = rec.Active
		}
	}
	for name, by := range said {
		k := rank(name, by)
		if k.exclusive {
			if i := slices.IndexFunc(k.order, func(s string) bool { return said["active"][s] != nil }); i >= 0 && by[k.order[i]] == nil {
				_, p := choose(by, k.order, k.rule)
				f.Provenance[name] = model.Provenance{Winner: k.order[i], Losers: append([]string{p.Winner}, p.Losers...), Rule: k.rule, Empty: true}
				continue
			}
		}
		v, p := chosen(by, k)
		_, p.Empty = v.(none)
		f.Provenance[name] = p
		if p.Empty {
			continue
		}
		if name == "active" {
			f.Active, f.ActiveBy = v.(bool), p.Winner
			continue
		}
		put(f.Attrs, name, v)
	}
	return f
}

// chosen is what choose finds. A source that says of some parts of an attribute that there is none, and nothing beside that, takes these parts from
// what those behind it say, unless it alone decides.
func chosen(by map[string]any, k ranking) (any, model.Provenance) {
	v, p := choose(by, k.order, k.rule)
	if !onlyNones(v) {
		return v, p
	}
	first, without, rest := p.Winner, map[string]bool{}, maps.Clone(by)
	for onlyNones(v) && !k.exclusive {
		for part := range v.(map[string]any) {
			without[part] = true
		}
		if delete(rest, p.Winner); len(rest) == 0 {
			break
		}
		v, p = choose(rest, k.order, k.rule)
	}
	if have, ok := v.(map[string]any); ok {
		have = maps.Clone(have)
		maps.DeleteFunc(have, func(part string, v any) bool { return v == nil || without[part] })
		if v = have; len(have) == 0 {
			v = none{}
		}
	}
	if _, empty := v.(none); empty {
		p.Winner = first
	}
	p.Losers = nil
	for _, s := range slices.Sorted(maps.Keys(by)) {
		if s != p.Winner && !reflect.DeepEqual(by[s], by[p.Winner]) {
			p.Losers = append(p.Losers, s)
		}
	}
	return v, p
}

// onlyNones says whether all parts of a value are null.
func onlyNones(v any) bool {
	parts, ok := v.(map[string]any)
	for _, part := range parts {
		ok = ok && part == nil
	}
	return ok && len(parts) > 0
}

// none is what a source says that has null there.
type none struct{}

// withoutNull leaves out what there is none of, and names it.
func withoutNull(attrs map[string]any, prefix string, none func(name string)) map[string]any {
	for name, v := range attrs {
		ext, ok := v.(map[string]any)
		switch {
		case v == nil && name == "active" && prefix == "": // nobody has no state
			delete(attrs, name)
		case v == nil:
			none(prefix + name)
			delete(attrs, name)
		case ok && prefix == "" && strings.HasPrefix(name, "urn:"):
			if withoutNull(ext, name+":", none); len(ext) == 0 {
				delete(attrs, name)
			}
		}
	}
	return attrs
}

func say(said map[string]map[string]any, name, source string, v any) {
	if v == nil {
		v = none{}
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

// order is the ranking without conditions.
func (r *Rules) order(name string) ranking {
	first := r.Authority[name]
	if first == nil && strings.HasPrefix(name, "urn:") {
		first = r.Authority[name[strings.LastIndexByte(name, ':')+1:]]
	}
	if first == nil {
		return r.ranked(nil, "precedence ")
	}
	return r.ranked(first, "authority for "+name+" ")
}

func (r *Rules) ranked(first []string, rule string) ranking {
	order := slices.Clone(first)
	for _, s := range r.Precedence {
		if !slices.Contains(order, s) {
			order = append(order, s)
		}
	}
	return ranking{order: order, rule: rule + strings.Join(order, " > ")}
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

// since dates each winner: a value that the same source says as before is as old as it was.
func (f *Fused) since(before *model.Identity, now time.Time) {
	var was map[string]model.Provenance
	var old map[string]any
	if before != nil {
		was = provenanceOf(before)
		if _, one := f.Provenance[everything]; !one {
			old = Decode(before.Attrs)
		}
	}
	for name, p := range f.Provenance {
		p.Since = now
		w, ok := was[name]
		if !ok {
			w = was[everything]
		}
		same := name == everything || w.Empty == p.Empty && reflect.DeepEqual(get(old, name), get(f.Attrs, name))
		if name == "active" {
			p.Says = strconv.FormatBool(f.Active)
			same = w.Says == p.Says
		}
		if same && w.Winner == p.Winner && !w.Since.IsZero() {
			p.Since = w.Since
		}
		f.Provenance[name] = p
	}
}

// provenanceOf reads what identity wrote; nil when there is none.
func provenanceOf(id *model.Identity) map[string]model.Provenance {
	if id == nil || id.Provenance == "" {
		return nil
	}
	if p, ok := plainProvenance(id.Provenance); ok {
		return p
	}
	var p map[string]model.Provenance
	if json.Unmarshal([]byte(id.Provenance), &p) != nil {
		return nil
	}
	return p
}

// get is an attribute as put stores it.
func get(attrs map[string]any, name string) any {
	if strings.HasPrefix(name, "urn:") {
		i := strings.LastIndexByte(name, ':')
		ext, _ := attrs[name[:i]].(map[string]any)
		return ext[name[i+1:]]
	}
	return attrs[name]
}
