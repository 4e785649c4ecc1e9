package ldapsync

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"jmld/jml/entry"
)

// enterprise is the URN of the enterprise user extension, RFC 7643 §4.3.
const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

// shape is how LDAP values stand in a SCIM attribute.
type shape int

const (
	single    shape = iota // the one value, or the least
	plural                 // a list of {type, value}; the least value is primary
	address                // a sub-attribute of the one address
	reference              // {value: record id} of the entry a DN names
)

// field is one path of the mapping.
type field struct {
	path  string
	attr  string // LDAP, lower case
	slot  int    // of attr
	shape shape
	into  []string // names from the top of the record to the place of the value
	typ   string   // plural and address

	literal bool            // the value stands in JSON without quotes
	from    entry.Attribute // where values come from
	looksAt []string        // LDAP attributes
}

// pointer is the JSON pointer (RFC 6901) of what the field fills: of lists the whole.
func (f *field) pointer() string {
	into := f.into
	if f.shape == plural || f.shape == address {
		into = into[:1]
	}
	b := ""
	for _, name := range into {
		b += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
	}
	return b
}

// says names the source of the field's values.
func (f *field) says() string {
	if f.from.CEL != "" {
		return f.from.CEL
	}
	return strings.Join(f.from.From, ", ")
}

// mapping is the preset's attributes changed by People.Attributes, ready for use. While an entry is converted, its values
// stand in slots: those asked for first, as text or as bytes, then those computed from them.
type mapping struct {
	fields   []field // by path
	slots    map[string]places
	request  []string // attributes to ask for
	id       int      // slot
	size     int      // slots in all
	computed []computed
	rules    []entry.Rule // who is not active
	counting []string     // names of rules
	ruleAt   []int        // slots
	shape    []node

	userName, displayName field // the zero field when not mapped
}

// places are the slots of an attribute: its values as checked and sorted text, and as they came; -1 for none.
type places struct{ text, raw int }

func newMapping(o Options, preset entry.Preset) (mapping, error) {
	paths := preset.Attributes
	for path, a := range o.People.Attributes {
		short, _ := strings.CutPrefix(path, enterprise+":")
		delete(paths, short) // the same path in its two spellings
		paths[path] = a
	}
	m := mapping{slots: map[string]places{}, rules: preset.Status, counting: preset.Inactive}
	m.id = m.slot(o.ID, true)
	for _, r := range m.rules {
		m.ruleAt = append(m.ruleAt, m.slot(r.Attribute, false))
	}
	if preset.Primary && o.Groups != nil {
		for _, attr := range accountAttrs() {
			m.slot(attr, true)
		}
	}
	taken := map[string]string{}
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		a := paths[path]
		if a.Empty() {
			continue
		}
		f, err := parsePath(path)
		if err != nil {
			return m, err
		}
		place := strings.Join(f.into, "\x00") + "\x00" + f.typ
		if other, ok := taken[place]; ok {
			return m, fmt.Errorf("%s and %s are the same attribute", other, path)
		}
		taken[place] = path
		if err := m.source(&f, a); err != nil {
			return m, fmt.Errorf("%s: %w", path, err)
		}
		m.fields = append(m.fields, f)
	}
	for i := range m.fields {
		f := &m.fields[i]
		if f.slot < 0 { // computed: behind all that is asked for
			f.slot = m.size - f.slot - 1
		}
		switch f.path {
		case "userName":
			m.userName = *f
		case "displayName":
			m.displayName = *f
		}
	}
	for i := range m.computed {
		m.computed[i].slot = m.size + i
		m.computed[i].pointer = m.computed[i].field.pointer()
	}
	m.size += len(m.computed)
	if m.userName.path == "" {
		return m, fmt.Errorf("userName needs an LDAP attribute")
	}
	m.shape = shapeOf(m.fields)
	return m, nil
}

// slot returns the place of an attribute's values while an entry is converted, and asks for the attribute.
func (m *mapping) slot(attr string, raw bool) int {
	key := strings.ToLower(attr)
	p, ok := m.slots[key]
	if !ok {
		p = places{-1, -1}
		m.request = append(m.request, attr)
	}
	at := &p.text
	if raw {
		at = &p.raw
	}
	if *at < 0 {
		*at = m.size
		m.size++
	}
	m.slots[key] = p
	return *at
}

// parsePath knows the attributes of RFC 7643 §4.1 and §4.3 that a directory can fill, and any attribute of another
// extension written with its URN.
func parsePath(path string) (field, error) {
	f := field{path: path}
	if i := strings.LastIndexByte(path, ':'); i >= 0 {
		urn, attr := path[:i], path[i+1:]
		if !strings.HasPrefix(strings.ToLower(urn), "urn:") || attr == "" || strings.ContainsAny(attr, ". []") {
			return f, fmt.Errorf("%s: not an extension's URN, a colon and an attribute", path)
		}
		if strings.EqualFold(urn, enterprise) {
			return enterpriseField(f, attr)
		}
		f.into = []string{urn, attr}
		return f, nil
	}
	top, sub, dotted := strings.Cut(path, ".")
	switch top {
	case "userName", "displayName", "nickName", "profileUrl", "title", "userType", "preferredLanguage", "locale", "timezone":
		if dotted {
			return f, fmt.Errorf("%s: %s has no sub-attributes", path, top)
		}
		f.into = []string{top}
		return f, nil
	case "name":
		switch sub {
		case "formatted", "familyName", "givenName", "middleName", "honorificPrefix", "honorificSuffix":
			f.into = []string{top, sub}
			return f, nil
		}
	case "emails", "phoneNumbers", "ims", "roles", "entitlements":
		f.shape, f.into, f.typ = plural, []string{top}, sub
		if !dotted && (top == "emails" || top == "phoneNumbers") {
			f.typ = "work"
		}
		if dotted && !attributeName(sub) {
			return f, fmt.Errorf("%s: %q is not a type such as work or home", path, sub)
		}
		return f, nil
	case "addresses":
		switch sub {
		case "formatted", "streetAddress", "locality", "region", "postalCode", "country":
			f.shape, f.into, f.typ = address, []string{top, sub}, "work"
			return f, nil
		}
	case "employeeNumber", "costCenter", "organization", "division", "department", "manager":
		if !dotted {
			return enterpriseField(f, top)
		}
	case "active":
		return f, fmt.Errorf("active: use inactive to say who is not active")
	}
	return f, fmt.Errorf("%s: not an attribute of a SCIM user that a directory can fill, such as name.givenName or emails", path)
}

func enterpriseField(f field, attr string) (field, error) {
	switch attr {
	case "employeeNumber", "costCenter", "organization", "division", "department":
	case "manager":
		f.shape = reference
	default:
		return f, fmt.Errorf("%s: the enterprise extension has no attribute %s", f.path, attr)
	}
	f.into = []string{enterprise, attr}
	return f, nil
}

// attributeName says whether s is an attribute description without options, RFC 4512 §1.4 and §2.5.
func attributeName(s string) bool {
	for i, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case i > 0 && (c == '-' || c == '.' || c == '_'):
		default:
			return false
		}
	}
	return s != ""
}
