package scim

import "strings"

// projection is what of a resource the client wants (RFC 7644 §3.9). The zero value is all that is returned by default.
type projection struct {
	include map[*attribute]bool // and what stands above; nil: everything
	exclude map[*attribute]bool
	above   map[*attribute]bool // has a named attribute below it
}

// project reads the parameters attributes and excludedAttributes. Names that are unknown select nothing.
func project(rt *resourceType, attributes, excluded []string) (projection, error) {
	var p projection
	if len(attributes) > 0 && len(excluded) > 0 {
		return p, invalidValue("attributes and excludedAttributes exclude each other.")
	}
	p.above = map[*attribute]bool{}
	named := func(names []string) map[*attribute]bool {
		set := map[*attribute]bool{}
		for _, name := range names {
			name = strings.TrimSpace(name)
			if i := strings.IndexByte(name, '['); i > 0 {
				name = name[:i] // Microsoft's collection asks for emails[type eq "work"]
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
	case a.returned == onRequest:
		return p.include[a]
	case p.include != nil:
		for up := a; up != nil; up = up.parent {
			if p.include[up] {
				return true
			}
		}
		return p.above[a]
	}
	return !p.exclude[a]
}

// mask copies of m what is wanted.
func (p *projection) mask(attrs []*attribute, m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for _, a := range attrs {
		v, ok := m[a.name]
		if !ok || !p.wants(a) {
			continue
		}
		if a.typ == typeComplex && p.above[a] && !p.include[a] {
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
