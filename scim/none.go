package scim

import (
	"slices"
	"strings"

	"jmld/jml"
	"jmld/model"
)

// nones are attributes of a user of which the source has said that there is none: null, an empty list, empty text, a removal
// (RFC 7643 §2.5). For SCIM that is no other state than never having been mentioned, and no answer tells them apart. Where several
// sources know a person, they differ: who says that there is none is believed, who says nothing leaves it to the others. The
// stored attributes have null there, and whoever reads them as a resource does not see it (document).
type nones map[*attribute]bool

// saidNone is what is so after the operations on cur, of which doc came. put says that the request is the whole resource.
// Nobody has no state, or no name: active and what is required are never among it. Nor are attributes of groups.
func (rt *resourceType) saidNone(cur *model.Record, doc map[string]any, ops []operation, put bool) nones {
	before := cur != nil && !put && mayHaveNones(cur.Attrs)
	if rt.kind != model.KindUser || !before && !slices.ContainsFunc(ops, func(op operation) bool { return valueOf(doc, op.attr.top()) == nil }) {
		return nil
	}
	said := nones{}
	var was map[string]any
	if cur != nil && !put {
		was = jml.Decode(cur.Attrs)
		for _, a := range rt.attrs {
			said.keep(a, was)
		}
		for _, e := range rt.extensions {
			inner, _ := was[e.name].(map[string]any)
			for _, a := range e.subs {
				said.keep(a, inner)
			}
		}
	}
	for i := range ops {
		op := &ops[i]
		if op.attr.extension { // an extension is no attribute: what it had is gone
			for _, a := range op.attr.subs {
				if valueOf(was, a) != nil {
					said[a] = true
				}
			}
			continue
		}
		if a := op.attr.top(); op.whole(put) || valueOf(was, a) != nil {
			said[a] = true
		}
	}
	for a := range said {
		if a.required || a.name == "active" && a.parent == nil || valueOf(doc, a) != nil {
			delete(said, a)
		}
	}
	return said
}

// keep takes over what was said before.
func (n nones) keep(a *attribute, m map[string]any) {
	if v, ok := m[a.name]; ok && v == nil {
		n[a] = true
	}
}

// whole says whether the operation is about all of the attribute, so that it says something of one that is not there, too.
func (op *operation) whole(put bool) bool {
	if op.on != nil || op.attr != op.attr.top() {
		return false
	}
	if put {
		return true
	}
	_, parts := op.value.(map[string]any) // of an attribute with parts a PATCH names some
	return !parts && (op.verb != verbRemove || !op.attr.multi || !op.given)
}

func valueOf(doc map[string]any, a *attribute) any {
	if a.parent != nil {
		doc, _ = doc[a.parent.name].(map[string]any)
	}
	return doc[a.name]
}

// mark puts null where there is none.
func (n nones) mark(doc map[string]any) {
	for a := range n {
		m := doc
		if a.parent != nil {
			if m, _ = doc[a.parent.name].(map[string]any); m == nil {
				m = map[string]any{}
				doc[a.parent.name] = m
			}
		}
		m[a.name] = nil
	}
}

// mayHaveNones is whether a stored text may have null in it. In a value the quotation mark would be escaped, and then it is looked at.
func mayHaveNones(attrs string) bool { return strings.Contains(attrs, `":null`) }

// withoutNones is the resource in a stored text: nothing is said of what there is none of.
func withoutNones(attrs string) (string, error) {
	if !mayHaveNones(attrs) {
		return attrs, nil
	}
	doc, err := document(attrs)
	if err != nil {
		return "", err
	}
	return canonical(doc), nil
}
