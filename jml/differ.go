package jml

import (
	"sort"
	"strings"
)

// differ names the attributes in which two desired projections differ, extensions one level down.
func differ(a, b map[string]any) []string {
	var out []string
	seen := map[string]bool{}
	for _, m := range []map[string]any{a, b} {
		for k := range m {
			if seen[k] {
				continue
			}
			seen[k] = true
			x, xo := a[k].(map[string]any)
			y, yo := b[k].(map[string]any)
			switch {
			case (xo || yo) && strings.HasPrefix(k, "urn:"):
				out = append(out, differ(x, y)...)
			case !same(a[k], b[k]):
				out = append(out, k)
			}
		}
	}
	sort.Strings(out)
	return out
}
