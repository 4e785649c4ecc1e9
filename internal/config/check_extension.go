package config

import (
	"regexp"
	"slices"
	"strings"

	"jmld/jml/policy"
	"jmld/model"
)

// Extension is a schema extension of all SCIM sources, with the characteristics of RFC 7643 §7.
type Extension struct {
	URN         string      `yaml:"urn,required"`
	Resource    string      `yaml:"resource" default:"User" oneof:"User Group"`
	Name        string      `yaml:"name,required"`
	Description string      `yaml:"description"`
	Attributes  []Attribute `yaml:"attributes,required"`
}

// Attribute is one of an Extension.
type Attribute struct {
	Name        string         `yaml:"name,required"`
	Type        string         `yaml:"type" default:"string" oneof:"string boolean decimal integer dateTime reference binary complex"`
	MultiValued bool           `yaml:"multi_valued"`
	Required    bool           `yaml:"required"`
	CaseExact   bool           `yaml:"case_exact"`
	Mutability  string         `yaml:"mutability" default:"readWrite" oneof:"readWrite readOnly immutable writeOnly"`
	Returned    string         `yaml:"returned" default:"default" oneof:"always never default request"`
	Uniqueness  string         `yaml:"uniqueness" default:"none" oneof:"none server global"`
	Canonical   []string       `yaml:"canonical_values"`
	Description string         `yaml:"description"`
	Attributes  []SubAttribute `yaml:"attributes"`
}

// SubAttribute is a part of a complex Attribute.
type SubAttribute struct {
	Name        string   `yaml:"name,required"`
	Type        string   `yaml:"type" default:"string" oneof:"string boolean decimal integer dateTime reference binary"`
	MultiValued bool     `yaml:"multi_valued"`
	Required    bool     `yaml:"required"`
	CaseExact   bool     `yaml:"case_exact"`
	Mutability  string   `yaml:"mutability" default:"readWrite" oneof:"readWrite readOnly immutable writeOnly"`
	Returned    string   `yaml:"returned" default:"default" oneof:"always never default request"`
	Uniqueness  string   `yaml:"uniqueness" default:"none" oneof:"none server global"`
	Canonical   []string `yaml:"canonical_values"`
	Description string   `yaml:"description"`
}

// Declared is the extensions as the other packages take them.
func (c *Config) Declared() []model.Extension {
	var out []model.Extension
	for i := range c.Extensions {
		e := &c.Extensions[i]
		x := model.Extension{URN: e.URN, Kind: model.KindUser, Name: e.Name, Description: e.Description}
		if e.Resource == "Group" {
			x.Kind = model.KindGroup
		}
		for _, a := range e.Attributes {
			one := model.Attribute{Name: a.Name, Type: a.Type, MultiValued: a.MultiValued, Required: a.Required, CaseExact: a.CaseExact,
				Mutability: a.Mutability, Returned: a.Returned, Uniqueness: a.Uniqueness, Canonical: a.Canonical, Description: a.Description}
			for _, s := range a.Attributes {
				one.Attributes = append(one.Attributes, model.Attribute{Name: s.Name, Type: s.Type, MultiValued: s.MultiValued, Required: s.Required,
					CaseExact: s.CaseExact, Mutability: s.Mutability, Returned: s.Returned, Uniqueness: s.Uniqueness, Canonical: s.Canonical, Description: s.Description})
			}
			x.Attributes = append(x.Attributes, one)
		}
		out = append(out, x)
	}
	return out
}

// checkExtensions: what is declared must be a schema, and no part of another one.
func (d *decoder) checkExtensions(c *Config) {
	names, urns := map[string]bool{}, map[string]string{}
	for _, urn := range builtin() {
		urns[strings.ToLower(urn)] = "a schema that is always there"
	}
	list := c.Declared()
	for i, e := range list {
		at := route{"extensions", i}
		d.checkURN(e.URN, at.with("urn"), urns)
		d.checkExtensionName(e, at.with("name"), names)
		if d.has(at.with("attributes")) && len(e.Attributes) == 0 {
			d.wrong(at.with("attributes"), "no attributes; expected at least one")
		}
		d.checkAttributes(e.Attributes, at.with("attributes"), false)
	}
	// URN:attribute must not be the URN of another one: nobody could tell which is meant (RFC 7644 §3.10).
	for i, e := range list {
		for j, a := range e.Attributes {
			if _, taken := urns[strings.ToLower(e.URN+":"+a.Name)]; taken {
				d.wrong(route{"extensions", i, "attributes", j, "name"}, "%s:%s is the URN of another extension; expected another name", e.URN, a.Name)
			}
		}
	}
}

// builtin are the URNs that have a meaning already.
func builtin() []string {
	return []string{
		"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
		"urn:ietf:params:scim:schemas:extension:jmld:2.0:User",
	}
}

func (d *decoder) checkURN(urn string, at route, seen map[string]string) {
	key := strings.ToLower(urn)
	switch {
	case urn == "":
	case !regexp.MustCompile(`^urn:[A-Za-z0-9][A-Za-z0-9-]{1,31}(:[A-Za-z0-9$_./-]+)+$`).MatchString(urn) || len(urn) > 200:
		d.wrong(at, "not a URN; expected such as urn:example:scim:schemas:extension:hr:2.0:User, of letters, digits and $-_./ between the colons")
	case strings.HasPrefix(key, "urn:ietf:params:scim:schemas:core:"), strings.HasPrefix(key, "urn:ietf:params:scim:api:"):
		d.wrong(at, "this URN belongs to the standard; expected one of your own")
	case seen[key] != "":
		d.wrong(at, "the URN is that of %s; expected one of its own", seen[key])
	default:
		seen[key] = "another extension"
	}
}

func (d *decoder) checkExtensionName(e model.Extension, at route, seen map[string]bool) {
	switch {
	case e.Name == "":
	case !regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,62}$`).MatchString(e.Name):
		d.wrong(at, "%q cannot be the name of an extension; expected letters, digits and _, as rules say person.NAME.attribute", e.Name)
	case seen[e.Name]:
		d.wrong(at, "extension %q is there twice; expected a name of its own", e.Name)
	case e.Kind == model.KindUser && slices.Contains(policy.FieldNames(), e.Name):
		d.wrong(at, "person.%s is something else in rules; expected another name", e.Name)
	}
	seen[e.Name] = true
}

func (d *decoder) checkAttributes(list []model.Attribute, at route, parts bool) {
	seen := map[string]bool{}
	for i := range list {
		a, one := &list[i], at.with(i)
		key := strings.ToLower(a.Name)
		switch {
		case a.Name == "":
		case !regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`).MatchString(a.Name): // RFC 7643 §2.1
			d.wrong(one.with("name"), "%q cannot be the name of an attribute; expected a letter, then letters, digits, - and _", a.Name)
		case slices.Contains([]string{"id", "schemas", "meta", "members", "groups"}, key):
			d.wrong(one.with("name"), "%s means something else in SCIM; expected another name", a.Name)
		case seen[key]:
			d.wrong(one.with("name"), "attribute %q is there twice, as case does not count; expected a name of its own", a.Name)
		}
		seen[key] = true
		d.checkCharacteristics(a, one)
		switch {
		case a.Type == model.TypeComplex && len(a.Attributes) == 0 && !parts:
			d.wrong(one, "a complex attribute has parts; expected attributes: beside its name")
		case a.Type != model.TypeComplex && len(a.Attributes) > 0:
			d.mistake(d.keyPlace(one.with("attributes")), "only a complex attribute has parts; expected type: complex, or no attributes")
		case !parts:
			d.checkAttributes(a.Attributes, one.with("attributes"), true)
		}
	}
}

// checkCharacteristics is about combinations that mean nothing (RFC 7643 §7).
func (d *decoder) checkCharacteristics(a *model.Attribute, at route) {
	text := a.Type == model.TypeString || a.Type == model.TypeReference || a.Type == model.TypeBinary
	switch {
	case a.Mutability == "writeOnly" && a.Returned != "never":
		d.wrong(d.nearest(at, "returned", "mutability"), "a writeOnly attribute is never returned; expected returned: never beside it")
	case a.Mutability == "readOnly" && a.Required:
		d.wrong(at.with("required"), "no client can fill what is readOnly, so it cannot be required; expected one of them")
	case a.Mutability == "readOnly" && a.Uniqueness != "none":
		d.wrong(at.with("uniqueness"), "no client can fill what is readOnly, so it cannot be unique; expected one of them")
	}
	if a.CaseExact && !text {
		d.wrong(at.with("case_exact"), "case_exact has no meaning for type %s; expected it with text only", a.Type)
	}
	if a.Uniqueness != "none" && (a.Type == model.TypeBoolean || a.Type == model.TypeComplex) {
		d.wrong(at.with("uniqueness"), "type %s cannot be unique; expected it at an attribute with a value of its own", a.Type)
	}
	if d.has(at.with("canonical_values")) && (a.Type != model.TypeString || len(a.Canonical) == 0) {
		d.wrong(at.with("canonical_values"), "canonical_values are some texts; expected at least one, with type: string")
	}
	for i, v := range a.Canonical {
		if j := slices.IndexFunc(a.Canonical, func(o string) bool { return o == v || !a.CaseExact && strings.EqualFold(o, v) }); j < i {
			d.wrong(at.with("canonical_values", i), "%q is there twice; expected it once", v)
		}
	}
}

// nearest is the first of the keys that is there.
func (d *decoder) nearest(at route, keys ...string) route {
	for _, k := range keys {
		if d.has(at.with(k)) {
			return at.with(k)
		}
	}
	return at
}
