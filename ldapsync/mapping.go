package ldapsync

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// enterprise is the URN of the enterprise user extension, RFC 7643 §4.3.
const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

// DefaultAttributes maps SCIM paths to the attributes of inetOrgPerson (RFC 2798).
func DefaultAttributes() map[string]string {
	return map[string]string{
		"userName":          "uid",
		"displayName":       "displayName",
		"name.formatted":    "cn",
		"name.givenName":    "givenName",
		"name.familyName":   "sn",
		"emails":            "mail",
		"phoneNumbers":      "telephoneNumber",
		"title":             "title",
		"userType":          "employeeType",
		"preferredLanguage": "preferredLanguage",
		"employeeNumber":    "employeeNumber",
		"department":        "departmentNumber",
		"organization":      "o",
		"division":          "ou",
		"manager":           "manager",
	}
}

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
}

// mapping is People.Attributes, ready for use.
type mapping struct {
	fields  []field // by path
	slots   map[string]int
	request []string // attributes to ask for
	id      int      // slot
	status  int      // slot of Inactive.Attribute, or -1
	shape   []node

	userName, displayName field // the zero field when not mapped
}

func newMapping(o Options) (mapping, error) {
	paths := DefaultAttributes()
	for path, attr := range o.People.Attributes {
		short, _ := strings.CutPrefix(path, enterprise+":")
		delete(paths, short) // the same path in its two spellings
		paths[path] = attr
	}
	m := mapping{slots: map[string]int{}, status: -1}
	m.id = m.slot(o.ID)
	if o.Inactive.Attribute != "" {
		m.status = m.slot(o.Inactive.Attribute)
	}
	taken := map[string]string{}
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		attr := paths[path]
		if attr == "" {
			continue
		}
		if !attributeName(attr) {
			return m, fmt.Errorf("%s: %q is not the name of an LDAP attribute", path, attr)
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
		f.attr, f.slot = strings.ToLower(attr), m.slot(attr)
		m.fields = append(m.fields, f)
		switch path {
		case "userName":
			m.userName = f
		case "displayName":
			m.displayName = f
		}
	}
	if m.userName.attr == "" {
		return m, fmt.Errorf("userName needs an LDAP attribute")
	}
	m.shape = shapeOf(m.fields)
	return m, nil
}

// slot returns the place of an attribute's values while an entry is converted, and asks for the attribute.
func (m *mapping) slot(attr string) int {
	key := strings.ToLower(attr)
	if i, ok := m.slots[key]; ok {
		return i
	}
	i := len(m.request)
	m.slots[key] = i
	m.request = append(m.request, attr)
	return i
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
