package scim

import (
	"slices"
	"strings"

	"jmld/model"
)

// some compiles the remove of an attribute with a value, which RFC 7644 §3.5.2.2 does not have, where it says which part is meant: who
// names some does not mean all. done says that there is nothing left to compile.
func (c *compiler) some(op operation, raw any) (done bool, err error) {
	a := op.attr
	if a.parent != nil && a.parent.multi { // emails.value with an address
		value, err := c.value(a, raw)
		if err != nil {
			return true, c.heard(a, err)
		}
		c.notes.add("%s: remove with values read as remove those", a.label())
		if value == nil {
			return true, nil
		}
		on, err := elementFilter(a.parent, &expr{attr: a.name, op: model.OpEq, value: value}, c.notes)
		if err != nil {
			return true, err
		}
		op.attr, op.sub, op.on = a.parent, a, on
		return true, c.push(op)
	}
	if a.multi || a.typ != typeComplex || a.refers() {
		return false, nil
	}
	o, ok := c.sole(a.label(), raw).(object) // name with a givenName
	if !ok {
		return false, nil
	}
	c.notes.add("%s: remove with values read as remove those", a.label())
	prefix := a.label() + "."
	if e := a.schema(); e != nil {
		prefix = e.name + ":" + prefix
	}
	return true, c.keys(verbRemove, prefix, o)
}

// elsewhere says whether an operation without a value has one under another name: {"op": "remove", "path": "members", "values": […]}.
func (c *compiler) elsewhere(op object) bool {
	return slices.ContainsFunc(op, func(m member) bool {
		switch m.value.(type) {
		case []any, object:
			return !strings.EqualFold(m.key, "schemas")
		}
		return strings.EqualFold(m.key, c.rt.vital())
	})
}
