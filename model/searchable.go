package model

import "strings"

// Searchable says whether the side table of searchable values holds the attribute: the value of a multi-valued attribute's
// elements ("emails.value") and the simple attributes of extensions (with "manager.value" of the enterprise extension).
// Everything else is a typed column or is looked for in the resource itself.
func Searchable(a AttrRef) bool {
	switch {
	case a.Declared:
		return len(a.Path) > 0
	case a.Schema != "":
		return len(a.Path) == 1 || len(a.Path) == 2 && a.Path[1] == "value"
	case len(a.Path) != 2 || a.Path[1] != "value":
		return false
	}
	switch a.Path[0] {
	case "emails", "phoneNumbers", "roles", "entitlements", "ims":
		return true
	}
	return false
}

// Values returns what the side table holds of a resource's attributes, folded with fold, without duplicates.
func Values(attrs map[string]any, fold func(string) string) []Value {
	var out []Value
	seen := map[Value]bool{}
	add := func(a AttrRef, typ string, v any) {
		s, ok := v.(string)
		if s = fold(s); !ok || s == "" || !Searchable(a) {
			return
		}
		if x := (Value{Attr: a.String(), Type: typ, Value: s}); !seen[x] {
			seen[x] = true
			out = append(out, x)
		}
	}
	for name, v := range attrs {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				if m, ok := e.(map[string]any); ok {
					typ, _ := m["type"].(string)
					add(AttrRef{Path: []string{name, "value"}}, strings.ToLower(typ), m["value"])
				}
			}
		case map[string]any:
			if !strings.HasPrefix(name, "urn:") {
				continue
			}
			for sub, sv := range v {
				if m, ok := sv.(map[string]any); ok {
					add(AttrRef{Schema: name, Path: []string{sub, "value"}}, "", m["value"])
					continue
				}
				add(AttrRef{Schema: name, Path: []string{sub}}, "", sv)
			}
		}
	}
	return out
}
