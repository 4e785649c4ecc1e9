package scim

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"jmld/model"
)

// matcher decides a filter for one record, from its attributes. Which conditions on members and groups hold for it, the store says.
func matcher(f model.Filter, rt *resourceType) func(rec *model.Record, related []bool) bool {
	return func(rec *model.Record, related []bool) bool {
		v := recordView{rec: rec, rt: rt}
		return matches(f, &v, related)
	}
}

// view is what a filter looks at: a resource, or one element of a multi-valued attribute.
type view interface {
	values(ref model.AttrRef) []any
}

func matches(f model.Filter, v view, related []bool) bool {
	switch f := f.(type) {
	case model.And:
		for _, t := range f.Terms {
			if !matches(t, v, related) {
				return false
			}
		}
		return true
	case model.Or:
		for _, t := range f.Terms {
			if matches(t, v, related) {
				return true
			}
		}
		return false
	case model.Not:
		return !matches(f.Term, v, related)
	case model.ValuePath:
		for _, e := range v.values(f.Attr) {
			if matches(f.Term, elementView{e}, nil) {
				return true
			}
		}
		return false
	case model.Related:
		return related[f.Number]
	case model.Compare:
		return compareValues(f, v.values(f.Attr))
	}
	panic(fmt.Sprintf("scim: filter of type %T", f)) // only this package makes filters
}

// elementView is one element. An element that is not complex is its own value.
type elementView struct{ element any }

func (v elementView) values(ref model.AttrRef) []any {
	if m, ok := v.element.(map[string]any); ok {
		return walk(m, ref.Path)
	}
	if len(ref.Path) == 1 && ref.Path[0] == "value" {
		return []any{v.element}
	}
	return nil
}

// recordView decodes the record's attributes when something asks for them.
type recordView struct {
	rec     *model.Record
	rt      *resourceType
	attrs   map[string]any
	decoded bool
}

func (v *recordView) values(ref model.AttrRef) []any {
	if ref.Schema == "" {
		switch ref.Path[0] {
		case "id":
			return []any{v.rec.ID}
		case "active":
			if v.rt.kind == model.KindUser {
				return []any{v.rec.Active} // also where the resource does not show it
			}
		case "schemas":
			var list []any
			attrs, _ := withoutNones(v.rec.Attrs) //nolint:errcheck // as below
			for _, urn := range v.rt.schemasOf(attrs) {
				list = append(list, urn)
			}
			return list
		case "meta":
			return v.meta(ref.Path[1:])
		}
	}
	if !v.decoded {
		v.decoded = true
		v.attrs, _ = document(v.rec.Attrs) //nolint:errcheck // a text that cannot be read has no attributes to compare
	}
	m := v.attrs
	if ref.Schema != "" {
		m, _ = m[ref.Schema].(map[string]any)
	}
	if len(ref.Path) == 0 { // an extension as a whole
		if m == nil {
			return nil
		}
		return []any{m}
	}
	return walk(m, ref.Path)
}

func (v *recordView) meta(path []string) []any {
	if len(path) == 0 {
		return []any{true}
	}
	switch path[0] {
	case "created":
		return []any{v.rec.CreatedAt}
	case "lastModified":
		return []any{v.rec.UpdatedAt}
	case "version":
		return []any{etag(v.rec)}
	case "resourceType":
		return []any{v.rt.name}
	}
	return nil
}

func walk(m map[string]any, path []string) []any {
	switch v := m[path[0]].(type) {
	case nil:
		return nil
	case map[string]any:
		if len(path) > 1 {
			return walk(v, path[1:])
		}
		return []any{v}
	case []any:
		if len(path) == 1 {
			return v
		}
		var out []any
		for _, e := range v {
			if m, ok := e.(map[string]any); ok {
				out = append(out, walk(m, path[1:])...)
			}
		}
		return out
	default:
		if len(path) > 1 {
			return nil
		}
		return []any{v}
	}
}

// compareValues holds when any of the values does. An attribute without a value is not equal to anything but null.
func compareValues(c model.Compare, values []any) bool {
	switch {
	case c.Op == model.OpPr:
		return len(values) > 0
	case c.Value == nil:
		return (len(values) == 0) == (c.Op == model.OpEq)
	case len(values) == 0:
		return c.Op == model.OpNe
	}
	for _, v := range values {
		if compareValue(c, v) {
			return true
		}
	}
	return false
}

func compareValue(c model.Compare, v any) bool {
	switch want := c.Value.(type) {
	case bool:
		got, ok := v.(bool)
		return (ok && got == want) == (c.Op == model.OpEq)
	case float64:
		n, ok := v.(json.Number)
		got, err := n.Float64()
		return ok && err == nil && ordered(c.Op, compareFloat(got, want))
	case time.Time:
		got, ok := v.(time.Time)
		if s, isText := v.(string); isText {
			got, ok = parseTime(s)
		}
		return ok && ordered(c.Op, got.Compare(want))
	case string:
		got, ok := v.(string)
		switch v := v.(type) { // of co, sw and ew
		case json.Number:
			got, ok = string(v), true
		case time.Time:
			got, ok = shownTime(v), true
		}
		if !ok {
			return c.Op == model.OpNe
		}
		if !c.Attr.CaseExact {
			got, want = fold(got), fold(want)
		}
		switch c.Op {
		case model.OpCo:
			return strings.Contains(got, want)
		case model.OpSw:
			return strings.HasPrefix(got, want)
		case model.OpEw:
			return strings.HasSuffix(got, want)
		}
		return ordered(c.Op, strings.Compare(got, want))
	}
	return false
}

func compareFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func ordered(op model.CompareOp, sign int) bool {
	switch op {
	case model.OpEq:
		return sign == 0
	case model.OpNe:
		return sign != 0
	case model.OpGt:
		return sign > 0
	case model.OpGe:
		return sign >= 0
	case model.OpLt:
		return sign < 0
	case model.OpLe:
		return sign <= 0
	}
	return false
}
