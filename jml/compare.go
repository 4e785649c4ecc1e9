package jml

import (
	"maps"
	"slices"
	"strings"
)

// Side is one attribute of several things side by side.
type Side struct {
	Attr    string   // attributes of extensions by their short name
	Values  []string // as text; "" where there is none
	Differs bool     // of those that have the attribute, compared without case and Unicode form
}

// SideBySide puts the attributes of objects beside each other, those that differ first.
func SideBySide(objects ...map[string]any) []Side {
	rows := map[string]*Side{}
	for i, attrs := range objects {
		for name, v := range attrs {
			if ext, ok := v.(map[string]any); ok && strings.HasPrefix(name, "urn:") {
				for sub, sv := range ext {
					beside(rows, sub, i, len(objects), sv)
				}
				continue
			}
			beside(rows, name, i, len(objects), v)
		}
	}
	var out []Side
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		row := *rows[name]
		first := ""
		for _, v := range row.Values {
			if v == "" {
				continue
			}
			if first == "" {
				first = Fold(v)
			}
			row.Differs = row.Differs || Fold(v) != first
		}
		out = append(out, row)
	}
	slices.SortStableFunc(out, func(a, b Side) int {
		switch {
		case a.Differs == b.Differs:
			return 0
		case a.Differs:
			return -1
		}
		return 1
	})
	return out
}

func beside(rows map[string]*Side, name string, i, n int, v any) {
	if rows[name] == nil {
		rows[name] = &Side{Attr: name, Values: make([]string, n)}
	}
	rows[name].Values[i] = plainText(v)
}

// plainText is a value as people read it: of multi-valued ones the values.
func plainText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []any:
		var parts []string
		for _, e := range v {
			if m, ok := e.(map[string]any); ok && m["value"] != nil {
				e = m["value"]
			}
			parts = append(parts, plainText(e))
		}
		return strings.Join(parts, ", ")
	}
	return Canonical(v)
}
