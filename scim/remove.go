package scim

import (
	"errors"
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
	if a.multi || a.typ != typeComplex || raw == "" {
		return false, nil
	}
	if a.refers() { // a manager, who may be another one by now
		value, err := c.value(a, raw)
		who, _ := value.(map[string]any)
		if err != nil || who["value"] == nil {
			if errors.Is(err, errUnheard) {
				err = nil
			}
			return false, err
		}
		c.notes.add("%s: remove with values read as remove those", a.label())
		op.value = who
		return true, c.push(op)
	}
	o, ok := c.someOf(a.label(), raw).(object) // name with a givenName
	if !ok {
		return true, invalidValue("%s is not an object.", a.label())
	}
	c.notes.add("%s: remove with values read as remove those", a.label())
	prefix := a.label() + "."
	if e := a.schema(); e != nil {
		prefix = e.name + ":" + prefix
	}
	return true, c.keys(verbRemove, prefix, o)
}

// someOf is the object with what to remove. An empty list, or one of nothing, has nothing in it, whatever stands around it.
func (c *compiler) someOf(label string, raw any) any {
	inner := c.sole(label, raw)
	if list, isList := inner.([]any); isList && len(list) == 0 || inner == nil || inner == "" {
		c.notes.add("%s: empty array read as none of it", label)
		return object{}
	}
	return inner
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
