package scim

import (
	"errors"
	"strings"

	elimity "github.com/elimity-com/scim/errors"

	"jmld/model"
)

const urnPatch = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

type verb uint8

const (
	verbAdd verb = iota
	verbReplace
	verbRemove
)

// operation is one step of a PATCH with its names resolved and its value normalised: all that does not depend on the
// stored resource. Applying it any number of times does not change it.
type operation struct {
	verb  verb
	attr  *attribute
	on    model.Filter   // elements of attr, which is multi-valued; nil: all of it
	sub   *attribute     // below the elements of on
	value any            // nil: unassigned
	given bool           // remove: there was a value
	most  int            // values that attr may have
	seed  map[string]any // the element that on describes, when it can be made from it
}

// compiler turns a request into operations. A POST and a PUT are a pathless add to an empty resource.
type compiler struct {
	normaliser
	rt      *resourceType
	id      string // of the resource, "" when it is new
	base    string // of all addresses of the source
	patch   bool
	ops     []operation
	members []memberOp
	unheard []*attribute // what values said nothing of
	stray   error        // the vital attribute under a name that it does not have
}

// body compiles the resource in a POST or PUT.
func (c *compiler) body(o object) error {
	listed, _ := o.get("schemas")
	if _, ok := o.get("Operations"); ok || c.lists(listed, urnPatch) {
		return invalidSyntax("The body is a PATCH, and would replace all of the resource.")
	}
	if !c.lists(listed, c.rt.urn) {
		c.notes.syntax("schemas: %s assumed", c.rt.name)
	}
	if err := c.keys(verbAdd, "", o); err != nil {
		return err
	}
	if list, ok := listed.([]any); ok { // RFC 7643 §3: only those of the resource type
		for _, e := range list {
			s, ok := e.(string)
			ext := c.rt.lookup(s)
			switch {
			case !ok, c.rt.core(s), ext != nil && ext.extension:
			case !strings.HasPrefix(strings.ToLower(s), "urn:"), safeName(s) != s: // perhaps a value in the wrong place
				c.notes.syntax("schemas: one that is no URN, ignored")
			default:
				c.notes.syntax("schemas: %s unknown, ignored", s)
			}
		}
	}
	for _, op := range c.ops {
		if e := op.attr.schema(); e != nil && op.verb != verbRemove && !c.lists(listed, e.name) { // RFC 7643 §3
			c.notes.syntax("schemas: %s assumed", e.name)
		}
	}
	return c.found()
}

// keys compiles the members of an object that holds attributes.
func (c *compiler) keys(v verb, prefix string, o object) error {
	before := len(c.ops)
	for _, m := range o {
		name, _, _ := strings.Cut(m.key, "[")
		name = strings.TrimSpace(name)
		within := prefix
		if c.qualified(prefix, name) {
			within = ""
		}
		switch a := c.rt.lookup(within + name); {
		case a != nil && !a.extension && strings.ContainsAny(m.key, ".:["):
			c.notes.syntax("%s: path as a key read as a path", a.label())
		case within != prefix:
			c.notes.syntax("%s: schema in a schema read as beside it", safeName(name))
		}
		if err := c.key(v, within+m.key, m.value); err != nil {
			return err
		}
	}
	return agreed(c.ops[before:])
}

// qualified says whether a key below a schema is a full name, with its own schema: that has no place there, and can mean one thing only.
func (c *compiler) qualified(prefix, name string) bool {
	return prefix != "" && strings.Contains(name, ":") && c.rt.lookup(prefix+name) == nil && (c.rt.core(name) || c.rt.lookup(name) != nil)
}

func (c *compiler) lists(v any, urn string) bool {
	list, _ := v.([]any)
	for _, e := range list {
		if s, ok := e.(string); ok && strings.EqualFold(s, urn) {
			return true
		}
	}
	return false
}

// request compiles the operations of a PATCH (RFC 7644 §3.5.2).
func (c *compiler) request(o object) error {
	c.patch = true
	v, _ := o.get("Operations")
	list, ok := v.([]any)
	if single, isObject := v.(object); isObject {
		c.notes.syntax("Operations: single operation read as an array of one")
		list, ok = []any{single}, true
	}
	if !ok || len(list) == 0 {
		return invalidSyntax("Operations is missing or empty.")
	}
	if s, ok := o.get("schemas"); !ok || !c.lists(s, urnPatch) {
		c.notes.syntax("schemas: PatchOp assumed")
	}
	if _, ok := o.get(c.rt.vital()); ok {
		c.astray(false, c.rt.vital(), nil)
	}
	for i, e := range list {
		op, ok := e.(object)
		if !ok {
			return invalidSyntax("Operation %d is not an object.", i+1)
		}
		if err := c.operation(i, op); err != nil {
			return err
		}
	}
	return c.found()
}

func (c *compiler) operation(i int, op object) error {
	word, _ := op.get("op")
	name, _ := word.(string)
	var v verb
	switch strings.ToLower(name) {
	case "add":
		v = verbAdd
	case "replace":
		v = verbReplace
	case "remove":
		v = verbRemove
	default:
		return invalidSyntax("Operation %d: op is none of add, replace and remove.", i+1)
	}
	if lower := strings.ToLower(name); lower != name {
		c.notes.syntax("op: %q read as %q", name, lower)
	}
	value, given := op.get("value")
	where, _ := op.get("path")
	if _, ok := op.get(c.rt.vital()); ok {
		c.astray(false, c.rt.vital(), nil)
	}
	text, isText := where.(string)
	if where != nil && !isText {
		return invalidPath("Operation %d: path is not text.", i+1)
	}
	if strings.TrimSpace(text) == "" {
		if v == verbRemove {
			return noTarget("Operation %d: remove needs a path.", i+1) // RFC 7644 §3.5.2.2
		}
		return c.pathless(i, v, value)
	}
	if v != verbRemove && !given {
		return invalidValue("Operation %d: value is missing.", i+1)
	}
	if v == verbRemove && !given && c.elsewhere(op) { // without it everything would go
		return invalidSyntax("Operation %d: what to remove stands in value.", i+1)
	}
	return c.key(v, text, operand{value, given && value != nil})
}

func (c *compiler) pathless(i int, v verb, value any) error {
	c.notes.profile(elimity.ScimTypeInvalidPath, "operation %d has no path", i+1)
	o, ok := c.sole("value", value).(object)
	if !ok {
		return invalidValue("Operation %d: without a path, value is an object.", i+1)
	}
	return c.keys(v, "", o)
}

// sole is the object that a value holds which is to be one: it may stand in text, in a list, and in text in a list.
func (c *compiler) sole(label string, raw any) any {
	raw = c.unpacked(label, raw, either)
	if list, ok := raw.([]any); ok && len(list) == 1 {
		c.notes.add("%s: array of one read as its element", label)
		raw = c.unpacked(label, list[0], "{")
	}
	return raw
}

// operand marks the value of an operation with a path: read-only attributes may then not be named at all.
type operand struct {
	value any
	given bool
}

// key compiles what a path, or the key of a resource or pathless value, says about one attribute.
func (c *compiler) key(v verb, name string, raw any) error {
	named, byPath := raw.(operand)
	if byPath {
		raw = named.value
	}
	p, err := parsePath(name, c.bounds)
	if err != nil {
		if byPath && !c.nobodys(name) {
			return err
		}
		c.astray(byPath, name, raw)
		c.nameless(byPath, name)
		return nil
	}
	pointer, isPointer := strings.CutPrefix(p.attr, "/") // RFC 6901, to an attribute or a part of one
	a := c.rt.lookup(pointer)
	if a == nil && isPointer {
		a = c.rt.lookup(strings.ReplaceAll(pointer, "/", "."))
	}
	if a == nil && p.filter == nil && c.rt.core(p.attr) {
		return c.whole(v, p.attr, raw, byPath)
	}
	if a == nil {
		// One operation that the server does not know must not keep the others, perhaps a deactivation, from being done.
		c.astray(byPath, p.attr, raw)
		c.misnamed(byPath, "%s: unknown, ignored", safeName(p.attr))
		return nil
	}
	if read, ok := c.rt.misnamed(a, p.attr); ok {
		c.misnamed(byPath, "%s read as %s", safeName(p.attr), read)
	}
	if p.blanks {
		c.misnamed(byPath, "%s: path with blanks read without them", a.label())
	}
	switch {
	case a.name == "id" && a.parent == nil:
		if s, ok := raw.(string); (byPath || c.patch) && (v == verbRemove || !ok || s != c.id) {
			return mutability("id cannot be changed.")
		}
		return nil
	case a.top().mutability == readOnly || a.mutability == readOnly || a.name == "schemas":
		if byPath && a.name != "schemas" {
			return mutability("%s is read-only.", a.label())
		}
		return nil // RFC 7644 §3.3: ignored
	case a.returned == never && !a.declared:
		c.notes.remark("%s: accepted, not stored", a.label())
		return nil
	case a.top().name == "members":
		return c.member(v, a, p, raw, !byPath || named.given)
	}
	op := operation{verb: v, attr: a, given: !byPath || named.given}
	if p.filter != nil {
		return c.filtered(op, p, raw)
	}
	if a.extension {
		return c.extension(op, raw)
	}
	if v == verbRemove && op.given {
		if done, err := c.some(op, raw); done || err != nil {
			return err
		}
	}
	if v == verbRemove && op.given && !a.multi {
		c.notes.add("%s: remove with a value read without it", a.label())
	}
	if v != verbRemove || op.given && a.multi {
		if op.value, err = c.value(a, raw); err != nil {
			return c.heard(a, err)
		}
		if s, ok := op.value.(string); ok && a.name == "value" && a.parent != nil && a.parent.refers() {
			op.value = c.idOf(a.parent.label(), s)
		} else if ok && v != verbRemove && a.name == "$ref" && a.parent != nil && a.parent.refers() && !a.parent.multi {
			id := c.userAt(s)
			if id == "" {
				c.notes.remark("%s: not the address of a user here, left as it is", a.label())
				return nil
			}
			// Alone it would stand beside the value of somebody else.
			c.notes.remark("%s: $ref read as value", a.parent.label())
			op.attr, op.value = a.parent, map[string]any{a.name: s, "value": id}
		}
		if v == verbRemove {
			c.notes.add("%s: remove with values read as remove those", a.label())
		}
	}
	if c.patch && a.state() && op.value == nil {
		c.notes.remark("active: no value, the state stays as it is")
	}
	return c.push(op)
}

// nobodys says whether a path that is none begins with no name that anybody knows and has nothing of a filter: a name with blanks or other
// letters, as identity providers let administrators give them to extensions.
func (c *compiler) nobodys(text string) bool {
	p := filterParser{text: strings.TrimSpace(text)}
	name := strings.TrimPrefix(p.name(), "/")
	return len(text) <= c.bounds.Filter && !strings.ContainsAny(text, "[]()\"'=") && c.rt.lookup(name) == nil && !c.rt.core(name)
}

// nameless notes a text that is no name. It may be a value in the wrong place, so that only a schema it begins with is shown.
func (c *compiler) nameless(byPath bool, text string) {
	p := filterParser{text: strings.TrimSpace(text)}
	name := p.name()
	if i := strings.LastIndexByte(name, ':'); i > 0 && strings.HasPrefix(strings.ToLower(name), "urn:") {
		c.misnamed(byPath, "%s: a path below it that is no name, ignored", safeName(name[:i]))
		return
	}
	c.misnamed(byPath, "a path that is no name: ignored")
}

// misnamed notes a name that is not the attribute's, or nobody's.
func (c *compiler) misnamed(byPath bool, format string, args ...any) {
	if byPath {
		c.notes.path(format, args...)
	} else {
		c.notes.syntax(format, args...)
	}
}

// heard passes over an operation whose value says nothing of its attribute: it changes nothing, and above all unassigns nothing.
func (c *compiler) heard(a *attribute, err error) error {
	if errors.Is(err, errUnheard) {
		c.notes.remark("%s: a value without anything that can be assigned, left as it is", a.label())
		c.unheard = append(c.unheard, a)
		return nil
	}
	return err
}

func (c *compiler) push(op operation) error {
	if len(c.ops) >= c.bounds.PatchOperations {
		return invalidValue("The request has more than %d operations on attributes.", c.bounds.PatchOperations)
	}
	op.most = c.bounds.Values
	c.ops = append(c.ops, op)
	return nil
}

// whole compiles an operation on the core schema, named as extensions are: on each attribute in the value. To remove all of it would be
// to remove the resource.
func (c *compiler) whole(v verb, urn string, raw any, byPath bool) error {
	raw = c.sole(c.rt.urn, raw)
	o, ok := raw.(object)
	switch {
	case raw == nil, raw == "":
		c.misnamed(byPath, "%s: no attribute, ignored", safeName(urn))
		return nil
	case !ok:
		return invalidValue("%s is not an object.", c.rt.urn)
	}
	c.misnamed(byPath, "%s read as the resource", safeName(urn))
	return c.keys(v, c.rt.urn+":", o)
}

// extension compiles an operation on a whole extension: on each attribute in the value, or on all of them. A remove, too, is about
// those in the value: who names some does not mean all.
func (c *compiler) extension(op operation, raw any) error {
	if op.verb == verbRemove && raw != nil && raw != "" {
		raw = c.someOf(op.attr.name, raw)
	}
	raw = c.sole(op.attr.name, raw)
	if list, isList := raw.([]any); isList && len(list) == 0 {
		c.notes.add("%s: empty array read as none of it", op.attr.name)
		raw = nil // PHP writes an empty object so, too
	}
	o, ok := raw.(object)
	switch {
	case raw == nil, raw == "":
		op.verb = verbRemove
		return c.push(op)
	case !ok:
		return invalidValue("%s is not an object.", op.attr.name)
	case op.verb == verbRemove:
		c.notes.add("%s: remove with values read as remove those", op.attr.name)
	}
	return c.keys(op.verb, op.attr.name+":", o)
}

// filtered compiles attr[filter] and attr[filter].sub.
func (c *compiler) filtered(op operation, p path, raw any) error {
	a := op.attr
	if !a.multi {
		return invalidPath("%s has one value; a filter cannot select from it.", a.label())
	}
	if name := a.stranger(p.filter); name != "" {
		// As with a name outside of filters: nothing is selected, nothing made, and what stands beside it is done.
		c.notes.path("%s[%s]: unknown in a filter, ignored", a.label(), safeName(name))
		return nil
	}
	var err error
	if op.on, err = elementFilter(a, p.filter, c.notes); err != nil {
		return invalidPath("The filter in the path does not fit %s.", a.label())
	}
	if !c.notes.strict { // RFC 7644 §3.5.2.3: noTarget
		op.seed = seed(op.on)
	}
	if a.typ != typeComplex && strings.EqualFold(p.sub, "value") {
		p.sub = ""
	}
	if p.sub != "" {
		if op.sub = a.sub(p.sub); op.sub == nil {
			if op.sub = c.alias(a, p.sub); op.sub == nil {
				c.notes.path("%s.%s: unknown, ignored", a.label(), safeName(p.sub))
				return nil
			}
		}
		if op.sub.mutability == readOnly {
			return mutability("%s is read-only.", op.sub.label())
		}
	}
	if op.verb == verbRemove && op.given {
		c.notes.add("%s: remove with a value read without it", a.label())
	}
	if op.verb != verbRemove {
		if op.sub != nil {
			op.value, err = c.value(op.sub, raw)
		} else {
			op.value, err = c.elementValue(a, raw)
		}
		if err != nil {
			return c.heard(a, err)
		}
	}
	return c.push(op)
}

// stranger is a name in a filter of the elements of a that nobody knows; "" where there is none, or the filter is none of elements.
func (a *attribute) stranger(e *expr) string {
	if e.kind == exprCompare {
		if a.typ == typeComplex && a.sub(e.attr) != nil || a.typ != typeComplex && strings.EqualFold(e.attr, "value") {
			return ""
		}
		return e.attr
	}
	if e.nested() {
		return ""
	}
	for _, t := range e.terms {
		if name := a.stranger(t); name != "" {
			return name
		}
	}
	return ""
}

func (c *compiler) elementValue(a *attribute, raw any) (any, error) {
	if a.typ == typeComplex {
		raw = c.unpacked(a.label(), raw, either)
	}
	if list, ok := raw.([]any); ok {
		switch len(list) {
		case 0:
			return nil, nil
		case 1:
			raw = list[0]
		default:
			return nil, invalidValue("%s takes one value here.", a.label())
		}
	}
	return c.element(a, raw)
}

// seed is the element a filter describes, when it says only what things are equal to: Entra sets
// emails[type eq "work"].value whether or not there is such an address.
func seed(f model.Filter) map[string]any {
	m := map[string]any{}
	terms := []model.Filter{f}
	if and, ok := f.(model.And); ok {
		terms = and.Terms
	}
	for _, t := range terms {
		c, ok := t.(model.Compare)
		if !ok || c.Op != model.OpEq || len(c.Attr.Path) != 1 {
			return nil
		}
		switch v := c.Value.(type) {
		case string, bool:
			m[c.Attr.Path[0]] = v
		default:
			return nil
		}
	}
	return m
}
