package scim

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"jmld/jml/engine"
	"jmld/model"
)

const writeOnly = "writeOnly"

// declare adds an extension of the operator's to the resource type. Its attributes have no short names.
func (rt *resourceType) declare(e model.Extension) {
	ext := &attribute{
		name: e.URN, full: e.URN, title: e.Name, typ: typeComplex, mutability: "readWrite", returned: "default", uniqueness: "none",
		description: e.Description, extension: true, declared: true, index: map[string]*attribute{},
	}
	ext.subs = declared(e.Attributes, ext)
	urn := strings.ToLower(e.URN)
	rt.names[urn] = ext
	for _, a := range ext.subs {
		ext.index[strings.ToLower(a.name)] = a
		rt.register(urn+":", a)
		rt.register(urn+".", a)
	}
	rt.extensions = append(rt.extensions, ext)
	rt.declared = append(rt.declared, ext)
	rt.masked = rt.masked || ext.mixed
}

// declared makes attributes. What holds for a complex attribute as a whole holds for its parts.
func declared(list []model.Attribute, parent *attribute) []*attribute {
	var out []*attribute
	for _, m := range list {
		a := &attribute{
			name: m.Name, full: m.Name, typ: m.Type, multi: m.MultiValued, required: m.Required, mutability: m.Mutability, returned: m.Returned,
			uniqueness: m.Uniqueness, canonical: m.Canonical, description: m.Description, declared: true, parent: parent, path: []string{m.Name},
			// RFC 7643 §2.3.6, §2.3.7
			caseExact: m.CaseExact || m.Type == model.TypeReference || m.Type == model.TypeBinary,
		}
		if m.Type == model.TypeReference {
			a.references = []string{"uri"}
		}
		if !parent.extension {
			a.path, a.full = []string{parent.name, a.name}, parent.full+"."+a.name
			if parent.mutability == readOnly || parent.mutability == writeOnly {
				a.mutability = parent.mutability
			}
			if parent.returned == never || parent.returned == onRequest && a.returned != never {
				a.returned = parent.returned
			}
		}
		if m.Type == typeComplex {
			a.index = map[string]*attribute{}
			a.subs = declared(m.Attributes, a)
			for _, s := range a.subs {
				a.index[strings.ToLower(s.name)] = s
			}
		}
		parent.mixed = parent.mixed || a.mixed || a.returned != "default"
		parent.keeps = parent.keeps || a.keeps || a.returned == always
		out = append(out, a)
	}
	return out
}

// canonicalValue holds a value against those that are declared (RFC 7643 §7, canonicalValues), and returns it in their
// spelling.
func (a *attribute) canonicalValue(text string) (string, error) {
	if !a.declared || len(a.canonical) == 0 {
		return text, nil
	}
	for _, c := range a.canonical {
		if c == text || !a.caseExact && fold(c) == fold(text) {
			return c, nil
		}
	}
	return "", invalidValue("%s is none of %s.", a.label(), strings.Join(a.canonical, ", "))
}

// keep compares a resource with what it was. A value of an immutable attribute, once there, stays (RFC 7643 §7). A PUT
// does not take away what its client cannot know: what is writeOnly, or immutable and left out, is carried over.
func (rt *resourceType) keep(was, doc map[string]any, put bool) error {
	for _, e := range rt.declared {
		old, _ := was[e.name].(map[string]any)
		if old == nil {
			continue
		}
		now, _ := doc[e.name].(map[string]any)
		if now == nil {
			now = map[string]any{}
		}
		if err := keepEach(e.subs, old, now, put); err != nil {
			return err
		}
		if len(now) > 0 {
			if doc[e.name] == nil {
				keepRequired(e.subs, old, now)
			}
			doc[e.name] = now
		}
	}
	return nil
}

func keepEach(attrs []*attribute, old, now map[string]any, put bool) error {
	for _, a := range attrs {
		before, after := old[a.name], now[a.name]
		if before == nil {
			continue
		}
		switch {
		case after == nil && put && (a.mutability == writeOnly || a.mutability == immutable):
			now[a.name] = before
			continue
		case a.mutability == immutable && canonical(before) != canonical(after):
			return mutability("%s cannot be changed.", a.label())
		}
		was, ok := before.(map[string]any)
		if !ok || a.typ != typeComplex || a.multi {
			continue
		}
		is, _ := after.(map[string]any)
		if is == nil {
			is = map[string]any{}
		}
		if err := keepEach(a.subs, was, is, put); err != nil {
			return err
		}
		if len(is) > 0 {
			if after == nil {
				keepRequired(a.subs, was, is)
			}
			now[a.name] = is
		}
	}
	return nil
}

// keepRequired keeps what is required beside what is kept, of an attribute that the client does not mention: it says nothing that would be wrong.
func keepRequired(attrs []*attribute, old, now map[string]any) {
	for _, a := range attrs {
		if a.required && now[a.name] == nil && old[a.name] != nil {
			now[a.name] = old[a.name]
		}
	}
}

// complete refuses a part of a resource that lacks what it requires. An extension that is not used requires nothing.
func complete(attrs []*attribute, m map[string]any) error {
	for _, a := range attrs {
		v := m[a.name]
		if s, ok := v.(string); a.required && (v == nil || ok && fold(s) == "") {
			return invalidValue("%s is required.", a.label())
		}
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		for _, e := range list {
			if part, ok := e.(map[string]any); ok {
				if err := complete(a.subs, part); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// maxUnique is up to how many bytes a value that has to be unique is kept as it is.
const maxUnique = 500

// index is indexed; nil without declared extensions, where the store knows all by itself.
func (rt *resourceType) index() func(*model.Record) engine.Index {
	if len(rt.declared) == 0 {
		return nil
	}
	return rt.indexed
}

// indexed is what the store finds a record by, beyond its columns: the searchable values, those of declared extensions in
// the form in which they are compared, and what nobody else of the source may have.
func (rt *resourceType) indexed(rec *model.Record) engine.Index {
	var x engine.Index
	if rec == nil {
		return x
	}
	doc, err := document(rec.Attrs)
	if err != nil {
		return x // nothing in it can be found
	}
	for _, e := range rt.declared {
		if m, ok := doc[e.name].(map[string]any); ok {
			indexEach(e.subs, m, "", &x, map[model.Value]bool{})
		}
		delete(doc, e.name)
	}
	if rt.kind == model.KindUser {
		x.Values = append(x.Values, model.Values(doc, fold)...)
	}
	return x
}

func indexEach(attrs []*attribute, m map[string]any, typ string, x *engine.Index, seen map[model.Value]bool) {
	for _, a := range attrs {
		list, ok := m[a.name].([]any)
		if !ok {
			list = []any{m[a.name]}
		}
		for _, v := range list {
			if part, ok := v.(map[string]any); ok {
				t, _ := part["type"].(string)
				indexEach(a.subs, part, strings.ToLower(t), x, seen)
				continue
			}
			ref := a.ref()
			if text, ok := a.key(v); ok {
				value := model.Value{Attr: ref.String(), Type: typ, Value: text}
				if a.returned != never && !seen[value] { // RFC 7644 §7.5.2: what is never returned cannot be searched for
					seen[value] = true
					x.Values = append(x.Values, value)
				}
				if unique := (model.Value{Attr: "unique " + ref.String(), Value: a.uniqueKey(v, text)}); a.uniqueness != "none" && !seen[unique] {
					seen[unique] = true
					x.Unique = append(x.Unique, model.Value{Attr: ref.String(), Value: unique.Value})
				}
			}
		}
	}
}

// key is the value as it is compared: text folded, everything else as an ordered text.
func (a *attribute) key(v any) (string, bool) {
	switch v := v.(type) {
	case bool:
		return model.Ordered(v)
	case json.Number:
		f, err := v.Float64()
		if err != nil {
			return "", false
		}
		return model.Ordered(f)
	case string:
		if a.typ == typeDateTime {
			t, ok := parseTime(v)
			if !ok {
				return "", false
			}
			return model.Ordered(t)
		}
		return fold(v), true
	}
	return "", false
}

// uniqueKey is what nobody else may have. Case counts where the attribute says so.
func (a *attribute) uniqueKey(v any, folded string) string {
	if s, ok := v.(string); ok && a.caseExact {
		folded = normalForm(s)
	}
	if len(folded) > maxUnique {
		sum := sha256.Sum256([]byte(folded))
		return "sha256 " + hex.EncodeToString(sum[:])
	}
	return folded
}
