package scim

import (
	"slices"
	"strings"

	elimity "github.com/elimity-com/scim/schema"

	"jmld/model"
)

// URNs of messages and schemas.
const (
	urnUser       = "urn:ietf:params:scim:schemas:core:2.0:User"
	urnGroup      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	urnEnterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	urnList       = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	// Those of SCIM 1.1, in lower case: templates of clients that spoke it keep them.
	urnCore1       = "urn:scim:schemas:core:1.0"
	urnEnterprise1 = "urn:scim:schemas:extension:enterprise:1.0"
)

// Attribute characteristics of RFC 7643 §7, as elimity spells them.
const (
	typeString   = "string"
	typeBoolean  = "boolean"
	typeDecimal  = "decimal"
	typeInteger  = "integer"
	typeDateTime = "dateTime"
	typeBinary   = "binary"
	typeComplex  = "complex"

	readOnly  = "readOnly"
	immutable = "immutable"
	never     = "never"
	onRequest = "request"
	always    = "always"
)

// attribute is one attribute definition, linked to where it stands. An extension is an attribute, too: complex, named by
// its URN.
type attribute struct {
	name        string
	full        string // with the name of the attribute it is a part of
	typ         string
	multi       bool
	required    bool
	caseExact   bool
	mutability  string
	returned    string
	uniqueness  string
	description string
	canonical   []string
	references  []string
	extension   bool
	title       string // of an extension
	declared    bool   // by the operator
	mixed       bool   // something below it is not returned by default
	keeps       bool   // something below it is always returned
	parent      *attribute
	path        []string // below the resource or the extension
	subs        []*attribute
	index       map[string]*attribute // subs by name in lower case
}

func (a *attribute) sub(name string) *attribute {
	if s := a.index[name]; s != nil { // most names come in lower case or are looked up folded
		return s
	}
	return a.index[strings.ToLower(name)]
}

// ref names the attribute for a filter.
func (a *attribute) ref() model.AttrRef {
	r := model.AttrRef{CaseExact: a.caseExact, Path: a.path, Declared: a.declared && a.typ != typeComplex}
	switch a.typ {
	case typeBoolean, typeInteger, typeDecimal, typeDateTime:
		r.Typed = a.declared
	}
	for at := a; at != nil; at = at.parent {
		if at.extension {
			r.Schema = at.name
		}
	}
	return r
}

// label names the attribute for people: emails.value, department.
func (a *attribute) label() string { return a.full }

// top is the attribute of the resource or extension that a belongs to: emails for emails.value.
func (a *attribute) top() *attribute {
	if a.parent != nil && !a.parent.extension {
		return a.parent
	}
	return a
}

// schema is the extension that a belongs to; nil: the core schema.
func (a *attribute) schema() *attribute {
	for at := a; at != nil; at = at.parent {
		if at.extension {
			return at
		}
	}
	return nil
}

// misnamed says whether the name is none that RFC 7644 §3.10 has for the attribute: that of an extension without its URN, one with a dot
// behind the URN or with a URN of SCIM 1.1, or the value of what has no parts. read is how it was read.
func (rt *resourceType) misnamed(a *attribute, name string) (read string, ok bool) {
	if a.extension {
		return a.name, !strings.EqualFold(name, a.name)
	}
	urn, e := rt.urn, a.schema()
	if e != nil {
		if urn = e.name; !strings.Contains(name, ":") {
			return "an attribute of " + urn, true
		}
	}
	if n := len(urn); len(name) > n && name[n] == ':' && strings.EqualFold(name[:n], urn) {
		name = name[n+1:]
	}
	switch {
	case strings.EqualFold(name, a.label()):
		return "", false
	case e != nil:
		return a.label() + " of " + urn, true
	}
	return a.label(), true
}

// tabled says whether the values are rows of a table of their own: the members of a group, and the groups of a user.
func (a *attribute) tabled() bool {
	return a.parent == nil && (a.name == "members" || a.name == "groups")
}

// resourceType is what one endpoint holds. It is read-only once made.
type resourceType struct {
	kind        model.Kind
	name        string // "User"
	endpoint    string // "/Users"
	urn         string
	description string
	common      []*attribute // schemas, id, externalId, meta
	attrs       []*attribute
	extensions  []*attribute
	declared    []*attribute          // of extensions, those of the operator
	masked      bool                  // not all that is stored is returned
	names       map[string]*attribute // every spelling in lower case -> attribute
}

// schemas are the resource types and an index over them, built once from elimity's definitions.
type schemas struct {
	user, group *resourceType
}

func newSchemas(extensions ...model.Extension) *schemas {
	s := &schemas{
		user: newResourceType(model.KindUser, "/Users", elimity.CoreUserSchema(),
			elimity.ExtensionEnterpriseUser(), lifecycleExtension()),
		group: newResourceType(model.KindGroup, "/Groups", elimity.CoreGroupSchema()),
	}
	for _, e := range extensions {
		s.of(e.Kind).declare(e)
	}
	return s
}

func (s *schemas) of(kind model.Kind) *resourceType {
	if kind == model.KindGroup {
		return s.group
	}
	return s.user
}

func newResourceType(kind model.Kind, endpoint string, core elimity.Schema, extensions ...elimity.Schema) *resourceType {
	rt := &resourceType{
		kind: kind, endpoint: endpoint, name: core.Name.Value(), urn: core.ID, description: core.Description.Value(),
		names: map[string]*attribute{},
	}
	rt.common = attributes(elimity.CommonAttributes(), nil)
	rt.attrs = attributes(core.Attributes, nil)
	for _, a := range append(slices.Clip(rt.common), rt.attrs...) {
		rt.short(a)
		for _, urn := range [...]string{strings.ToLower(core.ID), urnCore1} {
			rt.register(urn+":", a)
			rt.register(urn+".", a)
		}
	}
	for _, e := range extensions {
		ext := &attribute{
			name: e.ID, full: e.ID, typ: typeComplex, mutability: "readWrite", returned: "default", uniqueness: "none",
			description: e.Description.Value(), extension: true, index: map[string]*attribute{},
		}
		ext.subs = attributes(e.Attributes, ext)
		urns := []string{strings.ToLower(e.ID)}
		if e.ID == urnEnterprise {
			urns = append(urns, urnEnterprise1)
		}
		for _, urn := range urns {
			rt.names[urn] = ext
		}
		for _, a := range ext.subs {
			ext.index[strings.ToLower(a.name)] = a
			for _, urn := range urns {
				rt.register(urn+":", a)
				rt.register(urn+".", a)
			}
			if rt.names[strings.ToLower(a.name)] == nil {
				rt.short(a) // Entra names the manager without its URN.
			}
		}
		rt.extensions = append(rt.extensions, ext)
	}
	return rt
}

// short registers the names without a schema. In front of one can stand that of the type, as people say it, and the root of JSONPath
// (RFC 9535 §2.2): both can mean nothing else, and a deactivation under such a name has to be one.
func (rt *resourceType) short(a *attribute) {
	own := strings.ToLower(rt.name)
	for _, prefix := range [...]string{"", own + ".", own + ":", "$."} {
		rt.register(prefix, a)
	}
}

func (rt *resourceType) register(prefix string, a *attribute) {
	name := prefix + strings.ToLower(a.name)
	rt.names[name] = a
	for sub, s := range a.index {
		rt.names[name+"."+sub] = s
	}
	if a.typ != typeComplex {
		rt.names[name+".value"] = a
	}
}

// core says whether the name is that of the schema that the resource type itself has.
func (rt *resourceType) core(name string) bool {
	return strings.EqualFold(name, rt.urn) || strings.EqualFold(name, urnCore1)
}

// lookup finds an attribute by any of its names (RFC 7644 §3.10, and extension attributes without their URN), or nil.
func (rt *resourceType) lookup(name string) *attribute {
	if a := rt.names[name]; a != nil {
		return a
	}
	return rt.names[strings.ToLower(name)]
}

func attributes(list []elimity.CoreAttribute, parent *attribute) []*attribute {
	var out []*attribute
	for _, e := range list {
		a := &attribute{
			name: e.Name(), typ: e.AttributeType(), multi: e.MultiValued(), required: e.Required(), caseExact: e.CaseExact(),
			mutability: e.Mutability(), returned: e.Returned(), uniqueness: e.Uniqueness(), description: e.Description(),
			canonical: e.CanonicalValues(), parent: parent,
		}
		a.path = []string{a.name}
		if parent != nil && !parent.extension {
			a.path = append(slices.Clip(parent.path), a.name)
		}
		if a.full = a.name; parent != nil && !parent.extension {
			a.full = parent.name + "." + a.name
		}
		for _, r := range e.ReferenceTypes() {
			a.references = append(a.references, string(r))
		}
		switch {
		case a.name == "id" && parent == nil:
			a.returned = always
		case parent != nil && parent.name == "members" && a.name == "value":
			a.caseExact = true // an id of ours, RFC 7643 §3.1
		case parent != nil && parent.name == "members" && a.name == "display":
			a.mutability, a.returned = readOnly, onRequest // it is the name that the member has
		}
		if a.typ == typeComplex {
			a.index = map[string]*attribute{}
			a.subs = attributes(e.SubAttributes(), a)
			for _, s := range a.subs {
				a.index[strings.ToLower(s.name)] = s
			}
		}
		out = append(out, a)
	}
	return out
}
