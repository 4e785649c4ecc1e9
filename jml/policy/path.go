package policy

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
)

// shape is what kind of SCIM attribute a path names, and so what an expression for it may yield and becomes.
type shape int

const (
	single    shape = iota // text
	addresses              // text or list; elements with value, type and primary
	elementsV              // text or list; elements with value
	names                  // text or list; elements with display
	reference              // text; an object with value
	any3                   // an attribute of an extension we do not know: text, bool or list of text
)

// path is a SCIM path of an account's attributes, compiled.
type path struct {
	steps []string
	shape shape
}

func simplePaths() []string {
	return []string{
		"userName", "externalId", "displayName", "nickName", "profileUrl", "title", "userType", "preferredLanguage",
		"locale", "timezone", "name.formatted", "name.familyName", "name.givenName", "name.middleName",
		"name.honorificPrefix", "name.honorificSuffix",
	}
}

func multiPaths() map[string]shape {
	return map[string]shape{
		"emails": addresses, "phoneNumbers": addresses, "ims": addresses, "photos": addresses,
		"roles": elementsV, "entitlements": elementsV, "groups": names,
	}
}

func enterpriseNames() []string {
	return []string{"employeeNumber", "costCenter", "organization", "division", "department", "manager"}
}

func lifecycleNames() []string {
	return []string{"workerType", "startDate", "endDate", "sponsor", "certification"}
}

// AttributePaths lists the SCIM paths a rule may map, in their short form, for documentation and messages; attributes of
// other extensions may be mapped by their full URN.
func AttributePaths() []string {
	list := slices.Concat(simplePaths(), enterpriseNames(), lifecycleNames())
	for p := range multiPaths() {
		list = append(list, p)
	}
	slices.Sort(list)
	return list
}

// CanonicalPath checks a SCIM path that may be mapped, and returns its full form: attributes of the enterprise and
// lifecycle extensions have their own name as a short form. The error says what is expected.
func CanonicalPath(s string) (string, error) {
	p, err := parsePath(s)
	if err != nil {
		return "", err
	}
	return p.String(), nil
}

// Attribute is a SCIM path that was checked.
type Attribute struct{ path path }

// ParseAttribute checks a path as CanonicalPath does.
func ParseAttribute(s string) (Attribute, error) {
	p, err := parsePath(s)
	return Attribute{p}, err
}

// Put stores text, true or false or a list of text in SCIM's shape, as a rule with that attribute does. Empty ones are left out.
func (a Attribute) Put(attrs map[string]any, v any) { a.path.put(attrs, v) }

// Set stores a value as it is, nil too.
func (a Attribute) Set(attrs map[string]any, v any) { a.path.set(attrs, v) }

// Get is the value as it is stored, nil for none.
func (a Attribute) Get(attrs map[string]any) any { return lookup(attrs, a.path.steps...) }

// String is the full form of the path.
func (a Attribute) String() string { return a.path.String() }

// Multiple says whether the attribute has several values.
func (a Attribute) Multiple() bool { return a.path.shape != single && a.path.shape != reference }

// Plain says whether its values are text only.
func (a Attribute) Plain() bool { return a.path.shape != any3 }

func (p path) String() string {
	if strings.HasPrefix(p.steps[0], "urn:") {
		return strings.Join(p.steps, ":")
	}
	return strings.Join(p.steps, ".")
}

// parsePath checks a path; the error says what is expected.
func parsePath(s string) (path, error) {
	if slices.Contains(simplePaths(), s) {
		return path{steps: strings.Split(s, ".")}, nil
	}
	if sh, ok := multiPaths()[s]; ok {
		return path{steps: []string{s}, shape: sh}, nil
	}
	switch s {
	case "active":
		return path{}, fmt.Errorf("active is set by jmld itself; expected another attribute")
	case "password":
		return path{}, fmt.Errorf("jmld sets no passwords; expected another attribute")
	case "id", "meta", "schemas", "members":
		return path{}, fmt.Errorf("%s belongs to the target; expected another attribute", s)
	}
	if strings.HasPrefix(s, "urn:") {
		return parseURN(s)
	}
	if slices.Contains(enterpriseNames(), s) { // short for the full name
		return parseURN(urnEnterprise + ":" + s)
	}
	if slices.Contains(lifecycleNames(), s) {
		return parseURN(urnLifecycle + ":" + s)
	}
	if i := strings.IndexAny(s, ".["); i > 0 && multiPaths()[s[:i]] != 0 {
		return path{}, fmt.Errorf("%q is part of %s; expected %s as a whole, its expression yields the value or the list",
			s, s[:i], s[:i])
	}
	if near := Nearest(s, AttributePaths()); near != "" {
		return path{}, fmt.Errorf("unknown SCIM attribute %q; did you mean %s?", s, near)
	}
	return path{}, fmt.Errorf("unknown SCIM attribute %q; expected one of %s, or urn:…:attribute of an extension", s,
		strings.Join(AttributePaths(), ", "))
}

// parseURN splits at the last colon (RFC 7644 §3.10).
func parseURN(s string) (path, error) {
	i := strings.LastIndexByte(s, ':')
	urn, name := s[:i], s[i+1:]
	known := func(list []string, sh shape) (path, error) {
		if !slices.Contains(list, name) {
			return path{}, fmt.Errorf("unknown attribute %q of %s%s", name, urn, meant(name, list))
		}
		return path{steps: []string{urn, name}, shape: sh}, nil
	}
	switch {
	case urn == urnEnterprise && name == "manager":
		return known(enterpriseNames(), reference)
	case urn == urnEnterprise:
		return known(enterpriseNames(), single)
	case urn == urnLifecycle:
		return known(lifecycleNames(), single)
	case strings.Count(urn, ":") < 2 || strings.ContainsAny(urn, " \t\r\n[]\"") || !isAttributeName(name):
		return path{}, fmt.Errorf("%q is not an attribute of an extension; expected urn:namespace:…:attributeName", s)
	case strings.HasPrefix(strings.ToLower(urn), "urn:ietf:params:scim:schemas:core:"):
		return path{}, fmt.Errorf("attributes of the core schema have no prefix; expected %s", name)
	}
	return path{steps: []string{urn, name}, shape: any3}, nil
}

// isAttributeName: ATTRNAME of RFC 7643 §2.1.
func isAttributeName(s string) bool {
	for i, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '$'
		if !letter && (i == 0 || (r < '0' || r > '9') && r != '-' && r != '_') {
			return false
		}
	}
	return s != ""
}

// accepts says whether an expression of that type fits, and what is expected otherwise.
func (p path) accepts(t *cel.Type) (bool, string) {
	text, list := t.IsExactType(cel.StringType), t.IsExactType(cel.ListType(cel.StringType))
	switch p.shape {
	case single, reference:
		return text, "text"
	case any3:
		return text || list || t.IsExactType(cel.BoolType), "text, true or false, or a list of text"
	default:
		return text || list, "text or a list of text"
	}
}

// put stores what an expression yielded, in SCIM's shape. Empty text and empty lists leave the attribute out.
func (p path) put(attrs map[string]any, v any) {
	if v = p.wrap(v); v != nil {
		p.set(attrs, v)
	}
}

func (p path) set(attrs map[string]any, v any) {
	for _, step := range p.steps[:len(p.steps)-1] {
		inner, ok := attrs[step].(map[string]any)
		if !ok {
			inner = map[string]any{}
			attrs[step] = inner
		}
		attrs = inner
	}
	attrs[p.steps[len(p.steps)-1]] = v
}

func (p path) wrap(v any) any {
	var list []string
	switch v := v.(type) {
	case bool:
		return v
	case string:
		switch {
		case v == "":
			return nil
		case p.shape == single, p.shape == any3:
			return v
		case p.shape == reference:
			return map[string]any{"value": v}
		}
		list = []string{v}
	case []string:
		list = v
	}
	out := make([]any, 0, len(list))
	for _, s := range list {
		if s != "" {
			out = append(out, p.element(s, len(out) == 0))
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func (p path) element(s string, isFirst bool) any {
	switch p.shape {
	case any3:
		return s
	case names:
		return map[string]any{"display": s}
	case addresses:
		if !isFirst {
			return map[string]any{"value": s, "type": "other"}
		}
		e := map[string]any{"value": s, "type": "work"}
		if p.steps[0] == "emails" {
			e["primary"] = true
		}
		return e
	default:
		return map[string]any{"value": s}
	}
}
