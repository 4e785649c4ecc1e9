package scimapp

import (
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"strings"
)

// paths are the attributes we manage one by one: single values and whole lists by name, the sub-attributes of complex
// attributes and extensions each by itself, so that what others wrote beside ours stays.
func paths(attrs map[string]any) [][]string {
	var out [][]string
	for _, k := range slices.Sorted(maps.Keys(attrs)) {
		if m, ok := attrs[k].(map[string]any); ok {
			for _, sub := range slices.Sorted(maps.Keys(m)) {
				out = append(out, []string{k, sub})
			}
			continue
		}
		out = append(out, []string{k})
	}
	return out
}

// missing are the paths of old that new does not have.
func missing(old, new map[string]any) [][]string {
	have := paths(new)
	var out [][]string
	for _, p := range paths(old) {
		if !slices.ContainsFunc(have, func(q []string) bool { return q[0] == p[0] && (len(p) != len(q) || slices.Equal(p, q)) }) {
			out = append(out, p)
		}
	}
	return out
}

func at(m map[string]any, path []string) any {
	v := lookup(m, path[0])
	if len(path) == 1 {
		return v
	}
	sub, _ := v.(map[string]any)
	return lookup(sub, path[1])
}

// put sets what is not nil, making the complex attribute on the way.
func put(m map[string]any, path []string, v any) {
	if v == nil {
		return
	}
	if len(path) == 1 {
		m[path[0]] = v
		return
	}
	sub, ok := m[path[0]].(map[string]any)
	if !ok {
		sub = map[string]any{}
		m[path[0]] = sub
	}
	sub[path[1]] = v
}

// empty: null, no value, [] and {} are the same (RFC 7643 §2.5).
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// covers says whether have is what want says. Elements of a list may come in another order, and objects may have more
// than was wanted, such as a display name the provider adds.
func covers(want, have any) bool {
	if empty(want) {
		return empty(have)
	}
	switch want := want.(type) {
	case map[string]any:
		m, ok := have.(map[string]any)
		for k, v := range want {
			if v == false && empty(lookup(m, k)) {
				continue // primary: false may be left out
			}
			ok = ok && covers(v, lookup(m, k))
		}
		return ok
	case []any:
		list, ok := have.([]any)
		return ok && len(list) == len(want) && len(align(want, list)) == len(want)
	case json.Number:
		n, ok := have.(json.Number)
		return ok && sameNumber(want, n)
	}
	return want == have
}

// align finds for each wanted element one that covers it, in the order wanted; it is shorter when some find none.
func align(want, have []any) []any {
	var out []any
	used := make([]bool, len(have))
	for _, w := range want {
		for i, h := range have {
			if !used[i] && covers(w, h) {
				used[i] = true
				out = append(out, h)
				break
			}
		}
	}
	return out
}

func sameNumber(a, b json.Number) bool {
	if a == b {
		return true
	}
	const digits = 64 // 1e999999999 is a number, too
	if len(a) > digits || len(b) > digits || strings.ContainsAny(string(a+b), "eE") {
		return false
	}
	x, okx := new(big.Rat).SetString(string(a))
	y, oky := new(big.Rat).SetString(string(b))
	return okx && oky && x.Cmp(y) == 0
}

// narrow is what have shows of want: the same text as want when it covers it, else what is there instead.
func narrow(want, have any) any {
	if want == nil {
		return have
	}
	if covers(want, have) {
		return want
	}
	wl, ok1 := want.([]any)
	hl, ok2 := have.([]any)
	if !ok1 || !ok2 {
		return have
	}
	known := map[string]bool{} // sub-attributes that are ours
	for _, w := range wl {
		m, _ := w.(map[string]any)
		for k := range m {
			known[strings.ToLower(k)] = true
		}
	}
	out := []any{}
	for _, h := range hl {
		m, ok := h.(map[string]any)
		if !ok {
			out = append(out, h)
			continue
		}
		m = maps.Clone(m)
		maps.DeleteFunc(m, func(k string, _ any) bool { return !known[strings.ToLower(k)] })
		out = append(out, m)
	}
	return out
}
