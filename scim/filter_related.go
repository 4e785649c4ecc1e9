package scim

import "jmld/model"

// maxCompared bounds what names of members and groups are compared with: of longer ones the store has only the beginning.
const maxCompared = 1900

// member resolves a comparison with the members of a group, or with the groups of a user.
func (r *resolver) member(a *attribute, e *expr) (model.Filter, error) {
	top := a.top()
	if a == top {
		r.notes.remark("filter: %s read as %s.value", top.label(), top.label())
		a = top.sub("value")
	}
	exists := func(op model.CompareOp) (model.Filter, error) {
		return r.relate(top, &expr{attr: a.name, op: op, value: e.value, loose: e.loose})
	}
	switch none := e.value == nil; {
	case e.op == model.OpPr || none && e.op == model.OpNe:
		return exists(model.OpPr)
	case none && e.op == model.OpEq:
		present, err := exists(model.OpPr)
		return negate(present), err
	case e.op == model.OpNe: // of nobody, too
		present, err := exists(model.OpPr)
		if err != nil {
			return nil, err
		}
		other, err := r.relate(top, &expr{kind: exprAnd, terms: []*expr{{attr: a.name, op: model.OpPr}, {attr: a.name, op: e.op, value: e.value, loose: e.loose}}})
		return simplify([]model.Filter{negate(present), other}, false), err
	}
	return exists(e.op)
}

// relate makes a filter of members or groups, of what the store can compare of them.
func (r *resolver) relate(top *attribute, e *expr) (model.Filter, error) {
	if top.name == model.RelatedMembers || !mentions(e, top.sub("type")) {
		return r.through(top, e, model.ThroughAny)
	}
	var ways []model.Filter
	for _, way := range []model.Through{model.ThroughItself, model.ThroughOthers} {
		f, err := r.through(top, e, way)
		if err != nil {
			return nil, err
		}
		ways = append(ways, f)
	}
	return simplify(ways, false), nil
}

// mentions says whether there is a comparison with the attribute in the filter of an element.
func mentions(e *expr, a *attribute) bool {
	for _, t := range e.terms {
		if mentions(t, a) {
			return true
		}
	}
	return e.kind == exprCompare && a.parent.sub(e.attr) == a
}

func (r *resolver) through(top *attribute, e *expr, way model.Through) (model.Filter, error) {
	term, err := r.relatedTerm(top, e, way)
	if err != nil {
		return nil, err
	}
	if holds, ok := isConstant(term); ok && !holds {
		return term, nil
	}
	r.related++
	return model.Related{Attr: top.name, Term: term, Through: way, Number: r.related - 1}, nil
}

// relatedTerm resolves a filter over the members of a group, or over the groups of a user.
func (r *resolver) relatedTerm(top *attribute, e *expr, way model.Through) (model.Filter, error) {
	switch e.kind {
	case exprAnd, exprOr, exprNot:
		return combine(e, func(e *expr) (model.Filter, error) { return r.relatedTerm(top, e, way) })
	case exprElement:
		return nil, invalidFilter("A filter of values cannot hold another one.")
	}
	s := top.sub(e.attr)
	if s == nil {
		return nil, invalidFilter("%s has no sub-attribute %s.", top.label(), safeName(e.attr))
	}
	c := model.Compare{Attr: model.AttrRef{Path: []string{s.name}, CaseExact: s.caseExact}, Op: e.op}
	if e.op != model.OpPr {
		v, err := r.literal(s, e)
		if err != nil {
			return nil, err
		}
		c.Value = v
	}
	members := top.name == model.RelatedMembers
	switch {
	case s.name == "$ref" && members:
		return r.reference(top, c), nil
	case s.name == "$ref":
		return r.refersTo(model.KindGroup, c), nil
	case s.name == "type" && !members:
		return constant(compareValues(c, []any{string(way)})), nil
	}
	return storable(s, c)
}

// refersTo compares the address of a resource, of which value has the id.
func (r *resolver) refersTo(kind model.Kind, c model.Compare) model.Filter {
	if c.Op == model.OpPr {
		return constant(true)
	}
	return located(r.place(kind), model.AttrRef{Path: []string{"value"}, CaseExact: true}, c.Op, c.Value)
}

// reference compares the address of a member, which one without a type does not have.
func (r *resolver) reference(members *attribute, c model.Compare) model.Filter {
	typed := func(op model.CompareOp, name string) model.Compare {
		t := model.Compare{Attr: model.AttrRef{Path: []string{"type"}, CaseExact: members.sub("type").caseExact}, Op: op}
		if name != "" {
			t.Value = name
		}
		return t
	}
	var either []model.Filter
	for _, kind := range []model.Kind{model.KindUser, model.KindGroup} {
		name := "User"
		if kind == model.KindGroup {
			name = "Group"
		}
		either = append(either, simplify([]model.Filter{typed(model.OpEq, name), r.refersTo(kind, c)}, true))
	}
	if c.Op == model.OpNe && c.Value != nil || c.Op == model.OpEq && c.Value == nil {
		either = append(either, negate(typed(model.OpPr, "")))
	}
	return simplify(either, false)
}

// storable makes of a comparison one that the store can make: with a text that is neither empty nor longer than what it has of names.
func storable(s *attribute, c model.Compare) (model.Filter, error) {
	text, isText := c.Value.(string)
	if c.Op == model.OpPr || !isText {
		return c, nil
	}
	if !c.Attr.CaseExact {
		text = fold(text)
		c.Value = text
	}
	switch {
	case text == "" && (c.Op == model.OpEq || c.Op == model.OpLt || c.Op == model.OpLe):
		return constant(false), nil
	case text == "" && c.Op == model.OpNe:
		return constant(true), nil
	case text == "": // it is part of every text
		return model.Compare{Attr: c.Attr, Op: model.OpPr}, nil
	case s.name != "value" && len(text) > maxCompared:
		return nil, invalidFilter("%s can be compared with a text of up to %d bytes.", s.label(), maxCompared)
	}
	return c, nil
}

func negate(f model.Filter) model.Filter {
	if holds, ok := isConstant(f); ok {
		return constant(!holds)
	}
	return model.Not{Term: f}
}
