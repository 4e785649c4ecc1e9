package scim

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"jmld/model"
)

// resolver gives names and literals of a filter their meaning for one resource type.
type resolver struct {
	rt    *resourceType
	notes *notes
	// other, at the server root: the other resource type. An attribute only that one has is unassigned here
	// (RFC 7644 §3.4.2.1).
	other   *resourceType
	place   func(model.Kind) string // what the address of a resource begins with
	related int                     // how many conditions on members or groups there are
}

// The filters that always and never hold. simplify takes them out, so that the store sees them only as a whole filter.
func constant(holds bool) model.Filter {
	if holds {
		return model.And{}
	}
	return model.Or{}
}

// filter resolves a filter over resources.
func (r *resolver) filter(e *expr) (model.Filter, error) {
	switch e.kind {
	case exprAnd, exprOr, exprNot:
		return combine(e, r.filter)
	case exprElement:
		return r.element(e)
	}
	a := r.rt.lookup(e.attr)
	if a == nil {
		if r.other != nil && r.other.lookup(e.attr) != nil {
			return constant(e.value != nil && e.op == model.OpNe || e.value == nil && e.op == model.OpEq), nil
		}
		return nil, invalidFilter("%s is not an attribute of %s.", safeName(e.attr), r.rt.name)
	}
	if read, ok := r.rt.misnamed(a, e.attr); ok {
		r.notes.filter("filter: %s read as %s", safeName(e.attr), read)
	}
	if a.top().tabled() {
		return r.member(a, e)
	}
	return r.compare(a, a.ref(), e)
}

func combine(e *expr, resolve func(*expr) (model.Filter, error)) (model.Filter, error) {
	terms := make([]model.Filter, 0, len(e.terms))
	for _, t := range e.terms {
		f, err := resolve(t)
		if err != nil {
			return nil, err
		}
		terms = append(terms, f)
	}
	switch e.kind {
	case exprAnd:
		return simplify(terms, true), nil
	case exprOr:
		return simplify(terms, false), nil
	}
	return negate(terms[0]), nil
}

func isConstant(f model.Filter) (holds, ok bool) {
	switch f := f.(type) {
	case model.And:
		return true, len(f.Terms) == 0
	case model.Or:
		return false, len(f.Terms) == 0
	}
	return false, false
}

// simplify joins terms with and (all) or or, without those that are constant.
func simplify(terms []model.Filter, all bool) model.Filter {
	var kept []model.Filter
	for _, t := range terms {
		holds, ok := isConstant(t)
		switch {
		case !ok:
			kept = append(kept, t)
		case holds != all:
			return t
		}
	}
	switch {
	case len(kept) == 0:
		return constant(all)
	case len(kept) == 1:
		return kept[0]
	case all:
		return model.And{Terms: kept}
	}
	return model.Or{Terms: kept}
}

// element resolves attr[filter] and attr[filter].sub op value.
func (r *resolver) element(e *expr) (model.Filter, error) {
	a := r.rt.lookup(e.attr)
	switch {
	case a == nil && r.other != nil && r.other.lookup(e.attr) != nil:
		return constant(false), nil
	case a == nil:
		return nil, invalidFilter("%s is not an attribute of %s.", safeName(e.attr), r.rt.name)
	}
	if !a.multi && a.typ != typeComplex {
		return nil, invalidFilter("%s has one value; a filter cannot select from it.", a.label())
	}
	within := e.terms[0]
	if e.sub != "" {
		r.notes.filter("filter: comparison after a value filter read as part of it")
		within = &expr{kind: exprAnd, terms: []*expr{within, {attr: e.sub, op: e.op, value: e.value, loose: e.loose}}}
	}
	if a.tabled() {
		return r.relate(a, within)
	}
	if !a.multi {
		term, err := r.single(a, within)
		return simplify([]model.Filter{r.fold(model.Compare{Attr: a.ref(), Op: model.OpPr}), term}, true), err
	}
	term, err := elementFilter(a, within, r.notes)
	if err != nil {
		return nil, err
	}
	return model.ValuePath{Attr: a.ref(), Term: term}, nil
}

// single resolves a filter over the one value of a complex attribute, names relative to it: name[familyName eq "x"].
func (r *resolver) single(a *attribute, e *expr) (model.Filter, error) {
	switch e.kind {
	case exprAnd, exprOr, exprNot:
		return combine(e, func(e *expr) (model.Filter, error) { return r.single(a, e) })
	case exprElement:
		return nil, invalidFilter("A filter of values cannot hold another one.")
	}
	s := a.sub(e.attr)
	if s == nil {
		return nil, invalidFilter("%s has no sub-attribute %s.", a.label(), safeName(e.attr))
	}
	return r.compare(s, s.ref(), e)
}

// elementFilter resolves a filter over the elements of a multi-valued attribute, names relative to it. One that is not complex has value alone.
func elementFilter(a *attribute, e *expr, n *notes) (model.Filter, error) {
	if e.kind != exprCompare {
		if e.kind == exprElement {
			return nil, invalidFilter("A filter of values cannot hold another one.")
		}
		return combine(e, func(e *expr) (model.Filter, error) { return elementFilter(a, e, n) })
	}
	if a.typ != typeComplex && strings.EqualFold(e.attr, "value") {
		whole := a.ref()
		return (&resolver{notes: n}).compare(a, model.AttrRef{Path: []string{"value"}, CaseExact: a.caseExact, Declared: whole.Declared, Typed: whole.Typed}, e)
	}
	s := a.sub(e.attr)
	if s == nil {
		return nil, invalidFilter("%s has no sub-attribute %s.", a.label(), safeName(e.attr))
	}
	return (&resolver{notes: n}).compare(s, model.AttrRef{Path: []string{s.name}, CaseExact: s.caseExact, Typed: s.ref().Typed}, e)
}

// compare resolves one comparison.
func (r *resolver) compare(a *attribute, ref model.AttrRef, e *expr) (model.Filter, error) {
	switch {
	case a.extension && e.op != model.OpPr:
		return nil, invalidFilter("%s needs an attribute to be compared.", a.label())
	case a.returned == never:
		return nil, invalidFilter("%s cannot be compared.", a.label()) // RFC 7644 §7.5.2: not an oracle
	case a.label() == "meta.location" && e.op != model.OpPr:
		v, err := r.literal(a, e)
		if err != nil {
			return nil, err
		}
		return located(r.place(r.rt.kind), model.AttrRef{Path: []string{"id"}, CaseExact: true}, e.op, v), nil
	}
	if e.op == model.OpPr {
		return r.fold(model.Compare{Attr: ref, Op: model.OpPr}), nil
	}
	if a.typ == typeComplex {
		s := a.index["value"]
		if s == nil {
			return nil, invalidFilter("%s needs a sub-attribute to be compared.", a.label())
		}
		r.notes.remark("filter: %s read as %s.value", a.label(), a.label()) // RFC 7644 §3.4.2.2 has it in an example: emails co "example.com"
		whole := s.ref()
		a, ref.CaseExact, ref.Declared, ref.Typed = s, s.caseExact, whole.Declared, whole.Typed
		ref.Path = append(slices.Clip(ref.Path), s.name)
	}
	v, err := r.literal(a, e)
	if err != nil {
		return nil, err
	}
	return r.fold(model.Compare{Attr: ref, Op: e.op, Value: v}), nil
}

// fold settles what is the same for all resources of the type, and brings the text of names to the form they are
// compared in.
func (r *resolver) fold(c model.Compare) model.Filter {
	p, ours := c.Attr.Path, r.rt != nil && c.Attr.Schema == ""
	switch none := c.Value == nil; {
	case !ours || !none || len(p) == 0:
	case p[0] == "meta", p[0] == "id", p[0] == "schemas", p[0] == "active" && r.rt.kind == model.KindUser: // everything has them
		return constant(c.Op != model.OpEq)
	}
	if ours && len(p) == 2 && p[0] == "meta" {
		if p[1] == "resourceType" {
			return constant(compareValues(c, []any{r.rt.name}))
		}
		if t, ok := c.Value.(time.Time); ok {
			return inMilliseconds(c, t.Truncate(time.Millisecond))
		}
	}
	if s, ok := c.Value.(string); ok && !c.Attr.CaseExact {
		c.Value = normalForm(s) // the store holds what is searched for in this form
	}
	return c
}

// inMilliseconds compares a time of ours with one a client has seen, which was cut to milliseconds: what looks equal to
// the client is equal.
func inMilliseconds(c model.Compare, t time.Time) model.Filter {
	with := func(op model.CompareOp, t time.Time) model.Filter {
		return model.Compare{Attr: c.Attr, Op: op, Value: t}
	}
	next := t.Add(time.Millisecond)
	switch c.Op {
	case model.OpGt:
		return with(model.OpGe, next)
	case model.OpLe:
		return with(model.OpLt, next)
	case model.OpEq:
		return model.And{Terms: []model.Filter{with(model.OpGe, t), with(model.OpLt, next)}}
	case model.OpNe:
		return model.Or{Terms: []model.Filter{with(model.OpLt, t), with(model.OpGe, next)}}
	}
	return with(c.Op, t)
}

// located compares an address, which is not stored: it is place, that of the endpoint, and behind it what attr names, an id.
func located(place string, attr model.AttrRef, op model.CompareOp, value any) model.Filter {
	text, ok := value.(string)
	if !ok { // null: everything has one
		return constant(op == model.OpNe)
	}
	id := func(op model.CompareOp, v string) model.Filter {
		return model.Compare{Attr: attr, Op: op, Value: v}
	}
	if rest, below := strings.CutPrefix(text, place); below && rest != "" && op != model.OpCo && op != model.OpEw {
		return id(op, rest)
	}
	switch op {
	case model.OpSw:
		return constant(strings.HasPrefix(place, text))
	case model.OpCo, model.OpEw:
		var either []model.Filter
		if op == model.OpCo && strings.Contains(place, text) || text == "" {
			return constant(true)
		}
		if !strings.Contains(text, "/") {
			either = append(either, id(op, text))
		}
		for i := 1; i <= len(text); i++ { // it begins in the address and ends in the id
			if rest := text[i:]; strings.HasSuffix(place, text[:i]) {
				switch {
				case rest == "":
				case op == model.OpCo:
					either = append(either, id(model.OpSw, rest))
				default:
					either = append(either, id(model.OpEq, rest))
				}
			}
		}
		return simplify(either, false)
	}
	return constant(ordered(op, strings.Compare(place, text))) // they differ before the id
}

// shown is what co, sw and ew compare a date or a number with: a part of its text as the resource shows it. RFC 7644 §3.4.2.2 has them
// for every attribute value; a dateTime is a JSON string (RFC 7643 §2.3.5), and of a number we take the text, too.
func (r *resolver) shown(a *attribute, e *expr) (any, error) {
	switch v := e.value.(type) {
	case string:
		return v, nil
	case json.Number:
		if a.typ == typeDateTime {
			r.notes.filter("filter: %s compared with a number read as text", a.label())
		}
		return string(v), nil
	}
	return nil, invalidFilter("%s is of type %s, which %s cannot compare with this value.", a.label(), a.typ, e.op)
}

// literal converts the literal of a comparison to the attribute's type.
func (r *resolver) literal(a *attribute, e *expr) (any, error) {
	text := e.op == model.OpCo || e.op == model.OpSw || e.op == model.OpEw
	order := e.op == model.OpGt || e.op == model.OpGe || e.op == model.OpLt || e.op == model.OpLe
	if e.value == nil {
		if text || order {
			return nil, invalidFilter("%s cannot be compared with null by %s.", a.label(), e.op)
		}
		return nil, nil
	}
	if e.loose {
		r.notes.filter("filter: %s compared with a word that is no JSON", a.label())
	}
	wrong := func() (any, error) {
		return nil, invalidFilter("%s is of type %s, which %s cannot compare with this value.", a.label(), a.typ, e.op)
	}
	if text && (a.typ == typeDateTime || a.typ == typeInteger || a.typ == typeDecimal) {
		return r.shown(a, e)
	}
	switch a.typ {
	case typeBoolean:
		if text || order { // RFC 7644 §3.4.2.2
			return wrong()
		}
		switch v := e.value.(type) {
		case bool:
			return v, nil
		case json.Number:
			if v == "0" || v == "1" {
				r.notes.filter("filter: %s compared with a number read as %t", a.label(), v == "1")
				return v == "1", nil
			}
		case string:
			if b, ok := parseBool(v); ok { // Entra: roles[primary eq "True"]
				r.notes.filter("filter: %s compared with %q read as %t", a.label(), v, b)
				return b, nil
			}
		}
		return wrong()
	case typeDateTime:
		s, ok := e.value.(string)
		t, written, parsed := readTime(s)
		if !ok || !parsed {
			return wrong()
		}
		if written != s {
			r.notes.filter("filter: %s compared with a date and time of another form read as xsd:dateTime", a.label())
		}
		return t, nil
	case typeInteger, typeDecimal:
		n, ok := e.value.(json.Number)
		if s, isText := e.value.(string); isText && isNumber(s) {
			r.notes.filter("filter: %s compared with text read as a number", a.label())
			n, ok = json.Number(s), true
		}
		f, err := n.Float64()
		if !ok || err != nil {
			return wrong()
		}
		return f, nil
	case typeBinary:
		if order {
			return wrong()
		}
	}
	switch v := e.value.(type) {
	case string:
		return v, nil
	case json.Number:
		r.notes.filter("filter: %s compared with a number read as text", a.label())
		return string(v), nil
	case bool:
		r.notes.filter("filter: %s compared with %t read as text", a.label(), v)
		if v {
			return "true", nil
		}
		return "false", nil
	}
	return wrong()
}
