package capture

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Difference is one thing that was answered differently.
type Difference struct {
	Exchange int // 1, 2, … in the order of the replay
	Method   string
	Path     string // of the request, as captured
	What     string // "status", "header ETag", "emails[0].value"
	Captured string // "" when it was not there
	Replayed string
}

// maxDifferences bounds what is told of one exchange.
const maxDifferences = 50

// comparison is of one exchange.
type comparison struct {
	found   []Difference
	inexact bool // only what both have
	unsure  bool // about the order of changes: versions may differ
	fault   bool // an internal error: its text has an id
}

func (c *comparison) add(what, captured, replayed string) {
	if len(c.found) < maxDifferences {
		c.found = append(c.found, Difference{What: what, Captured: short(captured), Replayed: short(replayed)})
	}
}

func short(s string) string {
	const most = 200
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// compare returns the differences of two answers. Ids in the replayed one are those of the capture already.
func compare(captured *Answer, inexact, unsure bool, replayed *reply) []Difference {
	c := comparison{inexact: inexact, unsure: unsure, fault: captured.Status >= 500}
	if captured.Status != replayed.status {
		c.add("status", strconv.Itoa(captured.Status), strconv.Itoa(replayed.status))
	}
	for _, name := range [...]string{"Content-Type", "Etag", "Location", "Allow"} {
		if a, b := captured.Headers[name], strings.Join(replayed.header[name], ", "); a != b && !(unsure && name == "Etag" && isTag(a) && isTag(b)) && !(name == "Content-Type" && captured.Length == 0 && len(replayed.body) == 0) {
			c.add("header "+http.CanonicalHeaderKey(name), a, b)
		}
	}
	if captured.Missing != "" {
		return c.found
	}
	a, aok := parse(captured.bytes())
	b, bok := parse(replayed.body)
	switch {
	case aok && bok:
		c.values("", a, b)
	case !bytes.Equal(captured.bytes(), replayed.body):
		c.add("body", string(captured.bytes()), string(replayed.body))
	}
	return c.found
}

// parse reads a body. An empty one is nothing, and that is a value, too.
func parse(text []byte) (any, bool) {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, true
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil || d.More() {
		return nil, false
	}
	return v, true
}

func text(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "?" // what was decoded always encodes
	}
	return strings.TrimSpace(b.String())
}

func (c *comparison) values(path string, a, b any) {
	switch x := a.(type) {
	case map[string]any:
		if y, ok := b.(map[string]any); ok {
			c.objects(path, x, y)
			return
		}
	case []any:
		if y, ok := b.([]any); ok {
			c.arrays(path, x, y)
			return
		}
	}
	if text(a) != text(b) {
		c.add(path, text(a), text(b))
	}
}

func (c *comparison) objects(path string, a, b map[string]any) {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(keys)
	for _, k := range slices.Compact(keys) {
		x, inA := a[k]
		y, inB := b[k]
		at := k
		if path != "" {
			at = path + "." + k
		}
		switch {
		case c.expected(path, k, x, y):
		case !inA:
			c.add(at, "", text(y))
		case !inB:
			c.add(at, text(x), "")
		default:
			c.values(at, x, y)
		}
	}
}

// expected says whether the member may differ: times, ids in sentences, and what an answer that is a part says about the whole.
func (c *comparison) expected(path, key string, a, b any) bool {
	switch key {
	case "created", "lastModified":
		x, xok := a.(string)
		y, yok := b.(string)
		return (path == "meta" || strings.HasSuffix(path, ".meta")) && xok && yok && isDate(x) && isDate(y)
	case "version":
		x, xok := a.(string)
		y, yok := b.(string)
		return c.unsure && xok && yok && isTag(x) && isTag(y)
	case "authenticationSchemes": // who is let in is not part of a capture
		return path == "" && a != nil && b != nil
	case "detail":
		return c.fault && a != nil && b != nil
	case "nextCursor":
		return path == "" && (c.inexact || a != nil && b != nil)
	case "totalResults", "itemsPerPage":
		return path == "" && c.inexact
	case "Resources":
		return path == "" && c.inexact && (a == nil || b == nil)
	}
	return false
}

func (c *comparison) arrays(path string, a, b []any) {
	key := ""
	switch path[strings.LastIndexByte(path, '.')+1:] {
	case "Resources":
		key = "id"
	case "members", "groups":
		key = "value"
	}
	byA, byB := keyed(a, key), keyed(b, key)
	if byA != nil && byB != nil && (key == "value" || c.inexact || sameKeys(byA, byB)) {
		for _, k := range slices.Sorted(maps.Keys(byA)) {
			at := path + "[" + k + "]"
			if y, ok := byB[k]; ok {
				c.values(at, byA[k], y)
			} else if !c.inexact {
				c.add(at, text(byA[k]), "")
			}
		}
		for _, k := range slices.Sorted(maps.Keys(byB)) {
			if _, ok := byA[k]; !ok && !c.inexact {
				c.add(path+"["+k+"]", "", text(byB[k]))
			}
		}
		if !c.inexact && key == "id" && !slices.Equal(order(a, key), order(b, key)) {
			c.add(path+" in order", strings.Join(order(a, key), " "), strings.Join(order(b, key), " "))
		}
		return
	}
	for i := range max(len(a), len(b)) {
		at := path + "[" + strconv.Itoa(i) + "]"
		switch {
		case i >= len(a):
			c.add(at, "", text(b[i]))
		case i >= len(b):
			c.add(at, text(a[i]), "")
		default:
			c.values(at, a[i], b[i])
		}
	}
}

// keyed is the list by a member of its elements, or nil when not each has one of its own.
func keyed(list []any, key string) map[string]any {
	if key == "" {
		return nil
	}
	out := map[string]any{}
	for _, e := range list {
		m, _ := e.(map[string]any)
		k, ok := m[key].(string)
		if _, twice := out[k]; !ok || twice {
			return nil
		}
		out[k] = e
	}
	return out
}

func sameKeys(a, b map[string]any) bool {
	return slices.Equal(slices.Sorted(maps.Keys(a)), slices.Sorted(maps.Keys(b)))
}

func order(list []any, key string) []string {
	out := make([]string, 0, len(list))
	for _, e := range list {
		m, _ := e.(map[string]any)
		s, _ := m[key].(string)
		out = append(out, s)
	}
	return out
}
