package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// enterprise is the extension everybody uses (RFC 7643 §4.3); its attributes are shown without it.
const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

// flatten brings extension attributes to the top: "department", and for other extensions their URN with the name.
func flatten(attrs map[string]any) map[string]any {
	out := make(map[string]any, len(attrs))
	for name, v := range attrs {
		inner, ok := v.(map[string]any)
		if !ok || !strings.HasPrefix(name, "urn:") {
			out[name] = v
			continue
		}
		for sub, v := range inner {
			if name != enterprise {
				sub = name + ":" + sub
			}
			out[sub] = v
		}
	}
	return out
}

// compact is a value on one line: of multi-valued attributes the values alone.
func compact(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case string:
		return v
	case []any:
		var parts []string
		for _, e := range v {
			m, ok := e.(map[string]any)
			if !ok {
				return encoded(v)
			}
			s, ok := m["value"].(string)
			if !ok {
				return encoded(v)
			}
			if typ, ok := m["type"].(string); ok {
				s += " (" + typ + ")"
			}
			parts = append(parts, s)
		}
		return strings.Join(parts, ", ")
	case map[string]any:
		var parts []string
		for _, name := range sortedKeys(v) {
			parts = append(parts, name+" "+compact(v[name]))
		}
		return strings.Join(parts, ", ")
	}
	return encoded(v)
}

func encoded(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
