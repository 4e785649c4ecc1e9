package scim

import (
	"slices"
	"strings"
	"unicode"

	"jmld/model"
)

// vital is what a request is about above all: the state of a user, the members of a group. An unknown attribute may be passed over;
// whoever is told 200 for this one under a name that it does not have believes that somebody is deactivated, or in the group.
func (rt *resourceType) vital() string {
	if rt.kind == model.KindGroup {
		return "members"
	}
	return "active"
}

// astray remembers that a name, which is none of an attribute, means the vital one all the same.
func (c *compiler) astray(byPath bool, name string, value any) {
	if c.stray == nil && c.rt.means(name, value) {
		refuse := invalidSyntax
		if byPath {
			refuse = invalidPath
		}
		c.stray = refuse("%s is not read there, and what it says of %[2]s would be passed over. Give it as %[2]s, in the resource or in the path or value of an operation.",
			safeName(name), c.rt.vital())
	}
}

// means says whether a name that is none of an attribute is that of the vital one: at the end or the beginning of a path of another form
// (Users/7/active, active[0]), among signs ("active"), below a schema that does not have it, or within the resource as a whole.
func (rt *resourceType) means(name string, value any) bool {
	vital := rt.vital()
	name = strings.ToLower(strings.TrimSpace(name))
	if o, ok := value.(object); ok && (name == strings.ToLower(rt.name) || name == "$" || name == "/") {
		_, ok = o.get(vital)
		return ok
	}
	if strings.HasPrefix(name, "urn:") && !rt.standard(name) {
		return false // extensions that nobody knows may have something that is called so
	}
	words := strings.FieldsFunc(name, func(r rune) bool { // a blank and a letter of any kind make another word of it
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_ ", r)
	})
	is := func(word string) bool {
		word = strings.TrimSpace(word)
		return word == vital || word == "member" && vital == "members" // as directories call it
	}
	return len(words) > 0 && (is(words[0]) || is(words[len(words)-1]))
}

// standard says whether a name in lower case begins with a schema whose attributes are all known: no extension of the operator's.
func (rt *resourceType) standard(name string) bool {
	for _, urn := range [...]string{"urn:ietf:params:scim:schemas:core:", "urn:scim:schemas:core:", urnEnterprise1} {
		if strings.HasPrefix(name, urn) {
			return true
		}
	}
	return slices.ContainsFunc(rt.extensions, func(e *attribute) bool { return !e.declared && strings.HasPrefix(name, strings.ToLower(e.name)) })
}

// found refuses the request when the vital attribute is only where it does not belong. Beside the attribute itself, such a name is one
// that nobody knows: it must not keep a deactivation from being done.
func (c *compiler) found() error {
	if len(c.members) > 0 || slices.ContainsFunc(c.ops, func(op operation) bool { return op.attr.state() && op.value != nil }) {
		return nil
	}
	return c.stray
}

// state says whether the attribute is whether a user is active.
func (a *attribute) state() bool { return a.name == "active" && a.parent == nil }

// agreed refuses an object that says by two names that a user is active and is not: the members of an object have no order.
func agreed(ops []operation) error {
	var first any
	for _, op := range ops {
		switch {
		case !op.attr.state() || op.value == nil:
		case first == nil:
			first = op.value
		case first != op.value:
			return invalidSyntax("One object says that active is true, and that it is false.")
		}
	}
	return nil
}
