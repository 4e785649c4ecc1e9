package scim

import (
	"slices"
	"strings"
)

// projection is what of a resource the client wants (RFC 7644 §3.9). The zero value is all that is returned by default.
type projection struct {
	include map[*attribute]bool // and what stands above; nil: everything
	exclude map[*attribute]bool
	above   map[*attribute]bool // has a named attribute below it
	written map[*attribute]bool // by the request, of those that are returned on request
}

// said adds what a write has named: what is returned on request is returned then (RFC 7643 §7).
func (p projection) said(ops []operation) projection {
	for i := range ops {
		if a := ops[i].attr; a.returned == onRequest || a.mixed {
			if p.written == nil {
				p.written = map[*attribute]bool{}
			}
			p.written[a] = true
		}
	}
	return p
}

// project reads the parameters attributes and excludedAttributes. Names that are unknown select nothing.
func project(rt *resourceType, attributes, excluded []string) (projection, error) {
	var p projection
	if len(attributes) > 0 && len(excluded) > 0 {
		return p, invalidValue("attributes and excludedAttributes exclude each other.")
	}
	if len(attributes)+len(excluded) == 0 {
		return p, nil
	}
	p.above = map[*attribute]bool{}
	named := func(names []string) map[*attribute]bool {
		set := map[*attribute]bool{}
		for _, name := range names {
			name = strings.TrimSpace(name)
			if i := strings.IndexByte(name, '['); i > 0 {
				name = name[:i] // Microsoft's collection asks for emails[type eq "work"]
			}
			if rt.core(name) { // all but the extensions
				for _, a := range slices.Concat(rt.common, rt.attrs) {
					set[a] = a.returned != onRequest
				}
			}
			if a := rt.lookup(name); a != nil {
				set[a] = true
				for up := a.parent; up != nil; up = up.parent {
					p.above[up] = true
				}
			}
		}
		return set
	}
	if len(attributes) > 0 {
		p.include = named(attributes)
	} else if len(excluded) > 0 {
		p.exclude = named(excluded)
	}
	return p, nil
}

func (p *projection) all() bool { return p.include == nil && p.exclude == nil }

// wants says whether any of the attribute is returned.
func (p *projection) wants(a *attribute) bool {
	switch {
	case a.returned == always:
		return true
	case a.returned == never:
		return false
	case a.returned == onRequest && (p.written[a] || p.written[a.parent]):
		return true
	case a.returned == onRequest: // what it is a part of names it only if that, too, is returned on request
		return p.include[a] || p.include != nil && p.above[a] || a.parent.returned == onRequest && p.include[a.parent]
	case p.include != nil:
		for up := a; up != nil; up = up.parent {
			if p.include[up] {
				return true
			}
		}
		return p.above[a] || a.keeps || a.mixed && p.written != nil
	}
	for up := a; up != nil; up = up.parent {
		if p.exclude[up] {
			return a.keeps
		}
	}
	return true
}

// mask copies of m what is wanted.
func (p *projection) mask(attrs []*attribute, m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for _, a := range attrs {
		v, ok := m[a.name]
		if !ok || !p.wants(a) {
			continue
		}
		if a.typ == typeComplex && (a.mixed || p.above[a] && !p.include[a]) {
			if v = p.below(a, v); v == nil {
				continue
			}
		}
		out[a.name] = v
	}
	return out
}

func (p *projection) below(a *attribute, v any) any {
	switch v := v.(type) {
	case map[string]any:
		if m := p.mask(a.subs, v); len(m) > 0 {
			return m
		}
	case []any:
		var list []any
		for _, e := range v {
			if e = p.below(a, e); e != nil {
				list = append(list, e)
			}
		}
		if list != nil {
			return list
		}
	}
	return nil
}
