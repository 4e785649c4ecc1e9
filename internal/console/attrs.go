package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"jmld/model"
)

// attr is one attribute as it is shown: name by name, extensions one level deep.
type attr struct {
	Path  string
	Lines []string // a multi-valued attribute has several
}

// decode reads canonical JSON from the database into v. What cannot be read is told, never hidden.
func decode(text string, v any) error {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	return d.Decode(v)
}

// attributes lists an attribute object for people.
func attributes(text string) []attr {
	if text == "" {
		return nil
	}
	var m map[string]any
	if err := decode(text, &m); err != nil {
		return []attr{{Path: "(unreadable)", Lines: []string{text}}}
	}
	return flatten(m)
}

func flatten(m map[string]any) []attr {
	var all []attr
	for name, v := range m {
		if ext, ok := v.(map[string]any); ok && strings.HasPrefix(strings.ToLower(name), "urn:") {
			for sub, sv := range ext {
				all = append(all, attr{name + ":" + sub, lines(sub, sv)})
			}
			continue
		}
		all = append(all, attr{name, lines(name, v)})
	}
	slices.SortFunc(all, func(a, b attr) int { return strings.Compare(order(a.Path), order(b.Path)) })
	return all
}

// order puts what says who somebody is first, then the core attributes by name, then extensions.
func order(path string) string {
	first := []string{"userName", "displayName", "name", "active", "emails", "title"}
	if i := slices.Index(first, path); i >= 0 {
		return fmt.Sprintf("0%02d", i)
	}
	if strings.HasPrefix(path, "urn:") {
		return "2" + path
	}
	return "1" + path
}

// lines is a value as people read it: one line for each element of a multi-valued attribute.
func lines(name string, v any) []string {
	if strings.EqualFold(name, "password") { // must never be stored; must surely never be shown
		return []string{"(not shown)"}
	}
	if list, ok := v.([]any); ok {
		var out []string
		for _, e := range list {
			out = append(out, compact(e))
		}
		return out
	}
	return []string{compact(v)}
}

func compact(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return v
	case bool:
		if v {
			return "true"
		}
		return "false"
	case map[string]any:
		return complexValue(v)
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = compact(e)
		}
		return strings.Join(parts, ", ")
	}
	return fmt.Sprint(v)
}

// complexValue shows {value, type, primary} as "value (type, primary)", anything else by name.
func complexValue(m map[string]any) string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	value, simple := m["value"]
	var parts []string
	for _, n := range names {
		switch {
		case n == "value" || n == "$ref":
		case simple && n == "type":
			parts = append(parts, compact(m[n]))
		case simple && n == "primary":
			if m[n] == true {
				parts = append(parts, "primary")
			}
		case strings.EqualFold(n, "password"):
			parts = append(parts, n+" (not shown)")
		default:
			parts = append(parts, n+" "+compact(m[n]))
		}
	}
	if !simple {
		return strings.Join(parts, ", ")
	}
	if len(parts) == 0 {
		return compact(value)
	}
	return compact(value) + " (" + strings.Join(parts, ", ") + ")"
}

// label is the last part of an attribute path; space names the extension it is in, "" for core attributes.
func label(path string) string {
	if strings.HasPrefix(strings.ToLower(path), "urn:") {
		return path[strings.LastIndexByte(path, ':')+1:]
	}
	return path
}

func space(path string) string {
	if !strings.HasPrefix(strings.ToLower(path), "urn:") {
		return ""
	}
	parts := strings.Split(path, ":")
	for i, p := range parts { // urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department
		if p == "extension" && i+1 < len(parts)-1 {
			return parts[i+1]
		}
	}
	if len(parts) > 2 {
		return parts[len(parts)-2]
	}
	return ""
}

// diffRow is one difference between two sides.
type diffRow struct {
	Path          string
	Before, After []string // nil: not there
}

// difference is what a change does to an account.
type difference struct {
	Rows []diffRow
	Same int // attributes that stay
}

// diff compares two snapshots, the state first.
func diff(before, after string) difference {
	b, berr := snapshot(before)
	a, aerr := snapshot(after)
	if berr != nil || aerr != nil {
		return difference{Rows: []diffRow{{"(unreadable)", []string{before}, []string{after}}}}
	}
	d := compare(flatten(b.Attributes), flatten(a.Attributes))
	if b.State != a.State {
		var old []string
		if before != "" {
			old = []string{stateWord(b.State)}
		}
		d.Rows = append([]diffRow{{"state", old, []string{stateWord(a.State)}}}, d.Rows...)
	}
	return d
}

func snapshot(text string) (model.Snapshot, error) {
	var s model.Snapshot
	if text == "" {
		return s, nil
	}
	return s, decode(text, &s)
}

func compare(before, after []attr) difference {
	var d difference
	old := map[string][]string{}
	for _, a := range before {
		old[a.Path] = a.Lines
	}
	seen := map[string]bool{}
	for _, a := range after {
		seen[a.Path] = true
		if was, ok := old[a.Path]; ok && slices.Equal(was, a.Lines) {
			d.Same++
			continue
		}
		d.Rows = append(d.Rows, diffRow{a.Path, old[a.Path], a.Lines})
	}
	for _, a := range before {
		if !seen[a.Path] {
			d.Rows = append(d.Rows, diffRow{a.Path, a.Lines, nil})
		}
	}
	slices.SortStableFunc(d.Rows, func(x, y diffRow) int { return strings.Compare(order(x.Path), order(y.Path)) })
	return d
}
