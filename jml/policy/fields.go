package policy

import (
	"cmp"
	"fmt"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"jmld/model"
)

// The extensions whose attributes have short names in expressions.
const (
	urnEnterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User" // RFC 7643 §4.3
	urnLifecycle  = "urn:ietf:params:scim:schemas:extension:jmld:2.0:User"
)

// field is one attribute of `person`. get returns a string, a bool or a []string; nil when nobody said anything.
type field struct {
	name string
	typ  *types.Type
	get  func(*subject) (any, error)
}

// fieldTable is every field an expression may use, in the order in which messages list them.
func fieldTable(extensions ...field) []field {
	list := types.NewListType(types.StringType)
	f := []field{
		{"id", types.StringType, func(s *subject) (any, error) { return s.person.ID, nil }},
		{"userName", types.StringType, text("userName")},
		{"displayName", types.StringType, text("displayName")},
		{"givenName", types.StringType, text("name", "givenName")},
		{"familyName", types.StringType, text("name", "familyName")},
		{"formattedName", types.StringType, text("name", "formatted")},
		{"email", types.StringType, email},
		{"emails", list, values("emails")},
		{"phone", types.StringType, phone},
	}
	for _, name := range []string{
		"title", "userType", "externalId", "preferredLanguage", "locale", "timezone", "nickName",
	} {
		f = append(f, field{name, types.StringType, text(name)})
	}
	for _, name := range []string{"employeeNumber", "costCenter", "organization", "division", "department"} {
		f = append(f, field{name, types.StringType, text(urnEnterprise, name)})
	}
	f = append(f, field{"manager", types.StringType, manager})
	for _, name := range []string{"workerType", "startDate", "endDate", "sponsor", "certification"} {
		f = append(f, field{name, types.StringType, text(urnLifecycle, name)})
	}
	f = append(f, extensions...)
	return append(f,
		field{"roles", list, values("roles")},
		field{"entitlements", list, values("entitlements")},
		field{"groups", list, func(s *subject) (any, error) { return orEmpty(s.person.Groups), nil }},
		field{"sources", list, func(s *subject) (any, error) { return orEmpty(s.person.Sources), nil }},
		field{"active", types.BoolType, func(s *subject) (any, error) { return s.person.Active, nil }},
		field{"lifecycle", types.StringType, func(s *subject) (any, error) { return string(cmp.Or(s.person.Lifecycle, model.Active)), nil }},
		field{"organisation", types.StringType, func(s *subject) (any, error) { return s.organisation, nil }},
		field{"external", types.BoolType, func(s *subject) (any, error) { return s.external, nil }},
		field{"categories", list, func(s *subject) (any, error) { return orEmpty(s.categories), s.unsure }},
	)
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// lookup walks nested objects. null, an empty list and no value at all are the same: unassigned (RFC 7643 §2.5).
func lookup(attrs map[string]any, path ...string) any {
	var v any = attrs
	for _, name := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[name]
	}
	switch l := v.(type) {
	case []any:
		if len(l) == 0 {
			return nil
		}
	case []string:
		if len(l) == 0 {
			return nil
		}
	}
	return v
}

// text reads a single-valued attribute.
func text(path ...string) func(*subject) (any, error) {
	return func(s *subject) (any, error) { return asText(lookup(s.person.Attrs, path...)) }
}

func asText(v any) (any, error) {
	switch v := v.(type) {
	case nil, string:
		return v, nil
	default:
		return nil, fmt.Errorf("is %s, not text", describe(v))
	}
}

func describe(v any) string {
	switch v.(type) {
	case bool:
		return "true or false"
	case []any, []string:
		return "a list"
	case map[string]any:
		return "an object"
	}
	return "a number"
}

// element is one value of a multi-valued attribute (RFC 7643 §2.4).
type element struct {
	value, typ string
	primary    bool
}

// elements reads a multi-valued attribute, whose values may be plain strings or objects with a value. Empty values are
// none.
func elements(v any) ([]element, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		return elements([]any{v})
	case map[string]any:
		return elements([]any{v})
	case []string:
		out := make([]element, 0, len(v))
		for _, s := range v {
			if s != "" {
				out = append(out, element{value: s})
			}
		}
		return out, nil
	case []any:
		out := make([]element, 0, len(v))
		for _, one := range v {
			e, err := readElement(one)
			if err != nil {
				return nil, err
			}
			if e.value != "" {
				out = append(out, e)
			}
		}
		return out, nil
	default:
		return nil, fmt.Errorf("is %s, not a list of values", describe(v))
	}
}

func readElement(v any) (element, error) {
	switch v := v.(type) {
	case string:
		return element{value: v}, nil
	case map[string]any:
		value, ok := v["value"].(string)
		if !ok && v["value"] != nil {
			return element{}, fmt.Errorf("has a value that is %s, not text", describe(v["value"]))
		}
		typ, _ := v["type"].(string)
		primary, _ := v["primary"].(bool)
		return element{value, typ, primary}, nil
	default:
		return element{}, fmt.Errorf("has a value that is %s, not text", describe(v))
	}
}

// values reads the values of a multi-valued attribute, in the order of the record.
func values(path ...string) func(*subject) (any, error) {
	return func(s *subject) (any, error) {
		es, err := elements(lookup(s.person.Attrs, path...))
		if err != nil || len(es) == 0 {
			return nil, err
		}
		out := make([]string, len(es))
		for i, e := range es {
			out[i] = e.value
		}
		return out, nil
	}
}

// first picks the value that stands for all: the primary one, else the first of type work, else the first.
func first(es []element) any {
	best := -1
	for i, e := range es {
		switch {
		case e.primary:
			return e.value
		case best < 0, strings.EqualFold(e.typ, "work") && !strings.EqualFold(es[best].typ, "work"):
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	return es[best].value
}

func email(s *subject) (any, error) {
	es, err := elements(lookup(s.person.Attrs, "emails"))
	if err != nil {
		return nil, err
	}
	return first(es), nil
}

func phone(s *subject) (any, error) {
	es, err := elements(lookup(s.person.Attrs, "phoneNumbers"))
	if err != nil {
		return nil, err
	}
	return first(es), nil
}

// manager is the id a source gives the manager; the attribute is an object with a value (RFC 7643 §4.3), some send text.
func manager(s *subject) (any, error) {
	v := lookup(s.person.Attrs, urnEnterprise, "manager")
	if m, ok := v.(map[string]any); ok {
		v = m["value"]
	}
	return asText(v)
}

// subject is one person while being evaluated. Fields are read once.
type subject struct {
	fields  []field
	person  Person
	manager *partType
	// metered: the person is bigger than the cost of expressions was estimated for, so they run with a limit.
	metered bool

	organisation string
	external     bool
	categories   []string
	unsure       error // a category rule could not be evaluated, so nobody knows the categories

	cache []cached
}

type cached struct {
	done  bool
	value ref.Val // nil: unassigned
	err   error
}

func (s *subject) read(i int) cached {
	c := &s.cache[i]
	if c.done {
		return *c
	}
	c.done = true
	v, err := s.fields[i].get(s)
	switch v := v.(type) {
	case string:
		c.value = types.String(v)
	case bool:
		c.value = types.Bool(v)
	case []string:
		c.value = types.NewStringList(types.DefaultTypeAdapter, v)
	case ref.Val:
		c.value = v
	}
	if err != nil {
		c.value, c.err = nil, fmt.Errorf("person.%s %w", s.fields[i].name, err)
	}
	return *c
}

// forgetCategories drops what was read of the categories: they have grown.
func (s *subject) forgetCategories() { s.cache[len(s.cache)-1] = cached{} }

// ordinary reports whether the person is within what the cost of expressions was estimated for.
func ordinary(p Person) bool {
	if len(p.ID) > assumedText || len(p.Groups) > assumedGroups || len(p.Sources) > assumedValues || p.Access.Most() > assumedGroups {
		return false
	}
	for _, list := range [][]string{p.Groups, p.Sources} {
		for _, s := range list {
			if len(s) > assumedText {
				return false
			}
		}
	}
	for _, v := range p.Manager {
		if !ordinaryValue(v, 0) {
			return false
		}
	}
	return ordinaryValue(p.Attrs, 0)
}

func ordinaryValue(v any, depth int) bool {
	if depth > 4 {
		return false
	}
	switch v := v.(type) {
	case string:
		return len(v) <= assumedText
	case []string:
		for _, s := range v {
			if len(s) > assumedText {
				return false
			}
		}
		return len(v) <= assumedValues
	case []any:
		for _, one := range v {
			if !ordinaryValue(one, depth+1) {
				return false
			}
		}
		return len(v) <= assumedValues
	case map[string]any:
		for _, one := range v {
			if !ordinaryValue(one, depth+1) {
				return false
			}
		}
	}
	return true
}
