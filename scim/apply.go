package scim

import (
	"maps"

	"jmld/model"
)

// apply does all operations on the resource in turn; each sees what the ones before it did. On an error the resource is
// half changed and has to be thrown away: all operations happen, or none.
func apply(rt *resourceType, doc map[string]any, ops []operation) error {
	return applyOver(rt, nil, doc, ops, false)
}

// applyOver is apply where the resource was stored before; put says that doc began empty.
func applyOver(rt *resourceType, cur *model.Record, doc map[string]any, ops []operation, put bool) error {
	for i := range ops {
		if err := ops[i].apply(doc); err != nil {
			return err
		}
	}
	for _, ext := range rt.extensions {
		if m, ok := doc[ext.name].(map[string]any); ok {
			restoreMarks(ext.subs, m)
		}
	}
	restoreMarks(rt.attrs, doc)
	if cur != nil && len(rt.declared) > 0 {
		was, err := document(cur.Attrs)
		if err != nil {
			return err
		}
		if err := rt.keep(was, doc, put); err != nil {
			return err
		}
	}
	return finish(rt, doc)
}

// keepUnheard begins a PUT with what is stored of attributes that it names, and says nothing of that anybody knows: they are not left out.
func keepUnheard(cur *model.Record, doc map[string]any, unheard []*attribute) error {
	if len(unheard) == 0 {
		return nil
	}
	was, err := document(cur.Attrs)
	if err != nil {
		return err
	}
	for _, a := range unheard {
		if v := valueOf(was, a.top()); v != nil {
			holder(doc, a.top(), true)[a.top().name] = v
		}
	}
	return nil
}

func (op *operation) apply(doc map[string]any) error {
	a := op.attr
	switch {
	case a.extension:
		delete(doc, a.name)
		return nil
	case op.on != nil:
		return op.selected(holder(doc, a, op.verb != verbRemove))
	case a.parent != nil && a.parent.multi:
		return op.everyElement(holder(doc, a.parent, op.verb != verbRemove))
	}
	m := holder(doc, a, op.verb != verbRemove)
	if m == nil {
		return nil
	}
	old := m[a.name]
	if a.mutability == immutable && old != nil && (op.verb == verbRemove || canonical(old) != canonical(op.value)) {
		return mutability("%s cannot be changed.", a.label())
	}
	switch {
	case a.multi:
		return op.multi(m)
	case op.verb == verbRemove && op.other(old):
	case op.verb == verbRemove || op.value == nil:
		if a.name == "active" && a.parent == nil && op.verb != verbRemove {
			return nil // empty is not "inactive": what is stored stays. Removed, it is not shown; the state stays all the same
		}
		if a.required && op.verb != verbAdd {
			return mutability("%s is required.", a.label())
		}
		delete(m, a.name)
	case a.typ == typeComplex:
		child, _ := old.(map[string]any)
		if child == nil {
			child = map[string]any{}
			m[a.name] = child
		}
		merge(a, child, op.value)
	default:
		m[a.name] = op.value
		if a.name == "value" && old != op.value && !a.declared {
			forget(m)
		}
	}
	return nil
}

// other says whether a remove names another one than there is.
func (op *operation) other(old any) bool {
	want, _ := op.value.(map[string]any)
	have, _ := old.(map[string]any)
	return want["value"] != nil && want["value"] != have["value"]
}

// holder is the map that a stands in; nil when it is not there and not to be made.
func holder(doc map[string]any, a *attribute, create bool) map[string]any {
	if a.parent == nil {
		return doc
	}
	outer := holder(doc, a.parent, create)
	if outer == nil {
		return nil
	}
	inner, _ := outer[a.parent.name].(map[string]any)
	if inner == nil && create {
		inner = map[string]any{}
		outer[a.parent.name] = inner
	}
	return inner
}

// merge puts the sub-attributes of value into m; those it does not name stay (RFC 7644 §3.5.2.3).
func merge(a *attribute, m map[string]any, value any) {
	from, _ := value.(map[string]any)
	if v, ok := from["value"]; ok && v != m["value"] && !a.declared {
		forget(m)
	}
	for k, v := range from {
		if v == nil {
			delete(m, k)
		} else {
			m[k] = v
		}
	}
}

// forget drops what described the reference that has just been changed.
func forget(m map[string]any) {
	delete(m, "$ref")
	delete(m, "displayName")
}

// multi adds to, replaces or removes values of a multi-valued attribute.
func (op *operation) multi(m map[string]any) error {
	a := op.attr
	old, _ := m[a.name].([]any)
	values, _ := op.value.([]any)
	switch {
	case op.verb == verbRemove && !op.given, op.verb == verbReplace:
		if len(values) == 0 || op.verb == verbRemove {
			if a.required {
				return mutability("%s is required.", a.label())
			}
			delete(m, a.name)
			return nil
		}
		m[a.name] = cloned(values)
		return nil
	case op.verb == verbRemove:
		// Entra's legacy dialect removes members, roles and addresses by value.
		var kept []any
		for _, e := range old {
			if !op.names(values, e) {
				kept = append(kept, e)
			}
		}
		return store(a, m, kept, op.most)
	}
	set := newCollection(a, cloned(old))
	for _, e := range cloned(values) {
		if isPrimary(e) {
			a.demote(set.list)
		}
		set.add(e)
		if isPrimary(e) && a.stands(e) {
			forgetLost(set.list)
		}
	}
	return store(a, m, set.list, op.most)
}

// names says whether one of the values to remove means the element: each says what it says of it.
func (op *operation) names(values []any, e any) bool {
	for _, v := range values {
		want, ok := v.(map[string]any)
		have, isMap := e.(map[string]any)
		if !ok || !isMap {
			if canonical(v) == canonical(e) {
				return true
			}
			continue
		}
		all := len(want) > 0
		for k, x := range want {
			if k == "value" || k == "type" || want["value"] == nil {
				ref := model.AttrRef{Path: []string{k}}
				if s := op.attr.index[k]; s != nil {
					ref.CaseExact = s.caseExact
				}
				all = all && compareValues(model.Compare{Attr: ref, Op: model.OpEq, Value: x}, walk(have, ref.Path))
			}
		}
		if all {
			return true
		}
	}
	return false
}

// selected works on the elements the filter selects (RFC 7644 §3.5.2, valuePath).
func (op *operation) selected(m map[string]any) error {
	if m == nil {
		return nil
	}
	a := op.attr
	stored, _ := m[a.name].([]any)
	list := cloned(stored)
	var hit []map[string]any
	var kept []any
	for i, e := range list {
		if !matches(op.on, elementView{e}, nil) {
			kept = append(kept, e)
			continue
		}
		if element, ok := e.(map[string]any); ok {
			hit = append(hit, element)
		} else {
			list[i] = op.value // it has no parts that could stay
		}
	}
	clear := op.value == nil
	switch {
	case op.sub == nil && (op.verb == verbRemove || clear):
		return store(a, m, kept, op.most)
	case len(hit) == 0 && (op.verb == verbRemove || clear):
		return nil
	case a.typ != typeComplex && len(kept) < len(list):
		return store(a, m, list, op.most)
	case a.typ != typeComplex && op.seed != nil:
		return store(a, m, append(list, op.value), op.most)
	case len(hit) == 0:
		if op.seed == nil {
			return noTarget("No value of %s is selected by the filter.", a.label())
		}
		made := maps.Clone(op.seed)
		if made["primary"] == true {
			a.demote(list)
		}
		list, hit = append(list, made), []map[string]any{made}
	}
	return op.set(m, list, hit)
}

// everyElement works on a sub-attribute of all elements: emails.type.
func (op *operation) everyElement(m map[string]any) error {
	if m == nil {
		return nil
	}
	each := *op
	each.attr, each.sub = op.attr.parent, op.attr
	stored, _ := m[each.attr.name].([]any)
	list := cloned(stored)
	var hit []map[string]any
	for _, e := range list {
		if element, ok := e.(map[string]any); ok {
			hit = append(hit, element)
		}
	}
	if len(hit) == 0 {
		if op.verb == verbRemove || op.value == nil {
			return nil
		}
		made := map[string]any{}
		list, hit = append(list, made), []map[string]any{made}
	}
	if len(hit) > 1 && op.verb != verbRemove && each.sub.name == "value" {
		return noTarget("%s has several values; the path does not say which one.", each.attr.label())
	}
	return each.set(m, list, hit)
}

// set changes the elements that were hit and stores the list.
func (op *operation) set(m map[string]any, list []any, hit []map[string]any) error {
	value, _ := op.value.(map[string]any)
	_, said := value["primary"]
	said = said || op.sub != nil && op.sub.name == "primary"
	primary := said && op.value == true || isPrimary(op.value)
	if primary && op.verb != verbRemove {
		if len(hit) > 1 {
			return invalidValue("%s can have one primary value.", op.attr.label())
		}
		op.attr.demote(list)
	}
	for _, e := range hit {
		if said {
			delete(e, lost)
		}
		switch {
		case op.sub != nil && op.sub.mutability == immutable && e[op.sub.name] != nil:
			return mutability("%s cannot be changed.", op.sub.label())
		case op.sub == nil:
			if err := op.attr.frozen(e, op.value); err != nil {
				return err
			}
			merge(op.attr, e, op.value)
		case op.verb == verbRemove || op.value == nil:
			delete(e, op.sub.name)
		default:
			e[op.sub.name] = op.value
		}
		if isPrimary(e) && op.attr.stands(e) {
			forgetLost(list)
		}
	}
	return store(op.attr, m, list, op.most)
}

// frozen refuses another value of an immutable part of an element.
func (a *attribute) frozen(e map[string]any, value any) error {
	from, _ := value.(map[string]any)
	for k, v := range from {
		if s := a.index[k]; s != nil && s.mutability == immutable && e[k] != nil && canonical(e[k]) != canonical(v) {
			return mutability("%s cannot be changed.", s.label())
		}
	}
	return nil
}

func store(a *attribute, m map[string]any, list []any, most int) error {
	switch {
	case len(list) > most:
		return invalidValue("%s has more than %d values.", a.label(), most)
	case len(list) > 0:
		m[a.name] = list
	case a.required:
		return mutability("%s is required.", a.label())
	default:
		delete(m, a.name)
	}
	return nil
}

// lost marks an element, until all operations are done, from which the primary mark went to one that has no value yet and may never
// have one.
const lost = "\x00primary"

// demote takes the primary mark from all elements: another one is about to get it (RFC 7644 §3.5.2).
func (a *attribute) demote(list []any) {
	for _, e := range list {
		m, ok := e.(map[string]any)
		if !ok || m["primary"] != true {
			continue
		}
		m["primary"] = false
		if a.stands(m) {
			forgetLost(list)
			m[lost] = true
		}
	}
}

// forgetLost is for a mark that has come to an element that is kept.
func forgetLost(list []any) {
	for _, e := range list {
		if m, ok := e.(map[string]any); ok {
			delete(m, lost)
		}
	}
}

// restoreMarks gives the primary mark back where it went to an element that is not kept: what leaves nothing behind takes nothing either.
func restoreMarks(attrs []*attribute, m map[string]any) {
	for _, a := range attrs {
		list, _ := m[a.name].([]any)
		for _, e := range list {
			if loser, ok := e.(map[string]any); ok && loser[lost] == true {
				delete(loser, lost)
				loser["primary"] = true
			}
		}
	}
}

func cloned(list []any) []any {
	out := make([]any, len(list))
	for i, e := range list {
		if m, ok := e.(map[string]any); ok {
			e = maps.Clone(m)
		}
		out[i] = e
	}
	return out
}

// finish leaves nothing behind that means nothing: empty objects, and elements that describe a value they do not have.
// It refuses a resource that lacks what is required.
func finish(rt *resourceType, doc map[string]any) error {
	for _, ext := range rt.extensions {
		if m, ok := doc[ext.name].(map[string]any); ok {
			if err := tidy(ext.subs, m); err != nil {
				return err
			}
			if len(m) == 0 {
				delete(doc, ext.name)
			} else if ext.declared {
				if err := complete(ext.subs, m); err != nil {
					return err
				}
			}
		}
	}
	if err := tidy(rt.attrs, doc); err != nil {
		return err
	}
	for _, a := range rt.attrs {
		if !a.required {
			continue
		}
		if s, ok := doc[a.name].(string); ok && fold(s) == "" || doc[a.name] == nil {
			return invalidValue("%s is required.", a.label())
		}
	}
	return nil
}

func tidy(attrs []*attribute, m map[string]any) error {
	for _, a := range attrs {
		switch v := m[a.name].(type) {
		case map[string]any:
			if len(v) == 0 {
				delete(m, a.name)
			}
		case []any:
			kept := v[:0:0]
			for _, e := range v {
				if a.stands(e) {
					kept = append(kept, e)
				}
			}
			if err := onePrimary(a, kept); err != nil {
				return err
			}
			switch {
			case len(kept) == 0:
				delete(m, a.name)
			case len(kept) == 1:
				m[a.name] = kept
			default:
				m[a.name] = newUnique(a, kept)
			}
		}
	}
	return nil
}

// newUnique keeps each (value, type) once: two operations may have made two elements the same.
func newUnique(a *attribute, list []any) []any {
	c := newCollection(a, nil)
	for _, e := range list {
		c.add(e)
	}
	return c.list
}

// stands says whether the element is more than the description of a value that it does not have.
func (a *attribute) stands(e any) bool { return a.declared && a.index["value"] == nil || !remnant(e) }

func remnant(e any) bool {
	m, ok := e.(map[string]any)
	if !ok {
		return e == nil
	}
	for k := range m {
		if k != "type" && k != "primary" && k != "display" && k != lost {
			return false
		}
	}
	return true
}
