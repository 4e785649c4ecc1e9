package jml

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"jmld/model"
)

// A decision reads and writes some ten JSON texts, nearly all of them objects of plain texts. What is here does so several times
// faster than encoding/json, says exactly the same, and leaves everything else to it: numbers, escapes, broken text.

// plainDepth is how deep values nest that are read or written here.
const plainDepth = 16

// appendPlain appends v as canonical JSON. Without ok what it appended is worthless.
func appendPlain(b []byte, v any) (_ []byte, ok bool) {
	switch v := v.(type) {
	case map[string]any:
		return appendObject(b, v, plainDepth)
	case model.Snapshot:
		b = append(b, `{"state":`...)
		if b, ok = appendString(b, string(v.State)); !ok {
			return b, false
		}
		if len(v.Attributes) > 0 {
			b = append(b, `,"attributes":`...)
			if b, ok = appendObject(b, v.Attributes, plainDepth); !ok {
				return b, false
			}
		}
		return append(b, '}'), true
	case model.Reason:
		return appendReason(b, v)
	case map[string]model.Provenance:
		if p, one := v[everything]; one && len(v) == 1 {
			return appendProvenance(append(b, `{"*":`...), p)
		}
	}
	return b, false
}

// appendProvenance appends what is known of somebody whom one source knows, and the end of the object it is in.
func appendProvenance(b []byte, p model.Provenance) (_ []byte, ok bool) {
	if len(p.Losers) > 0 || p.Says != "" || p.Empty || !dated(p.Since) {
		return b, false
	}
	if b, ok = appendString(append(b, `{"winner":`...), p.Winner); !ok {
		return b, false
	}
	if b, ok = appendString(append(b, `,"rule":`...), p.Rule); !ok {
		return b, false
	}
	if !p.Since.IsZero() {
		b = append(b, `,"since":"`...)
		b = append(p.Since.AppendFormat(b, time.RFC3339Nano), '"')
	}
	return append(b, "}}"...), true
}

// dated says whether a time is written in JSON as RFC3339Nano has it, with a Z.
func dated(t time.Time) bool { return t.Year() >= 1 && t.Year() <= 9999 && t.Location() == time.UTC }

// plainProvenance reads what appendProvenance writes.
func plainProvenance(text string) (map[string]model.Provenance, bool) {
	m, ok := plainObject(text, nil)
	of, one := m[everything].(map[string]any)
	if !ok || !one || len(m) != 1 {
		return nil, false
	}
	var p model.Provenance
	for name, v := range of {
		s, ok := v.(string)
		switch name {
		case "winner":
			p.Winner = s
		case "rule":
			p.Rule = s
		case "since":
			at, err := time.Parse(time.RFC3339Nano, s)
			if ok = ok && err == nil && strings.HasSuffix(s, "Z") && len(s) >= len("2006-01-02T15:04:05Z"); ok {
				p.Since = at
			}
		default:
			ok = false
		}
		if !ok {
			return nil, false
		}
	}
	return map[string]model.Provenance{everything: p}, true
}

func appendReason(b []byte, r model.Reason) (_ []byte, ok bool) {
	if len(r.Groups) > 0 || !dated(r.At) {
		return b, false
	}
	b = append(b, `{"text":`...)
	if b, ok = appendString(b, r.Text); !ok {
		return b, false
	}
	for _, f := range [...]struct{ name, value string }{{`,"rule":`, r.Rule}, {`,"source":`, r.Source}, {`,"record":`, r.Record}} {
		if f.value == "" {
			continue
		}
		b = append(b, f.name...)
		if b, ok = appendString(b, f.value); !ok {
			return b, false
		}
	}
	if r.Absent {
		b = append(b, `,"absent":true`...)
	}
	b = append(b, `,"at":"`...)
	b = r.At.AppendFormat(b, time.RFC3339Nano)
	return append(b, `"}`...), true
}

func appendObject(b []byte, m map[string]any, depth int) (_ []byte, ok bool) {
	if m == nil || depth == 0 {
		return b, false
	}
	var room [24]string
	names := room[:0]
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	b = append(b, '{')
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		if b, ok = appendString(b, name); !ok {
			return b, false
		}
		b = append(b, ':')
		if b, ok = appendValue(b, m[name], depth-1); !ok {
			return b, false
		}
	}
	return append(b, '}'), true
}

func appendValue(b []byte, v any, depth int) (_ []byte, ok bool) {
	switch v := v.(type) {
	case string:
		return appendString(b, v)
	case bool:
		if v {
			return append(b, "true"...), true
		}
		return append(b, "false"...), true
	case nil:
		return append(b, "null"...), true
	case map[string]any:
		return appendObject(b, v, depth)
	case []any:
		if v == nil || depth == 0 {
			return b, false
		}
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			if b, ok = appendValue(b, e, depth-1); !ok {
				return b, false
			}
		}
		return append(b, ']'), true
	}
	return b, false
}

// appendString appends a text that stands in JSON as it is. encoding/json escapes U+2028 and U+2029, which begin with 0xe2.
func appendString(b []byte, s string) ([]byte, bool) {
	ascii := true
	for i := range len(s) {
		switch c := s[i]; {
		case c < 0x20, c == '"', c == '\\', c == 0xe2:
			return b, false
		case c >= 0x80:
			ascii = false
		}
	}
	if !ascii && !utf8.ValidString(s) {
		return b, false
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"'), true
}

// plainObject reads an object, with those of its members whose names are wanted; nil: all of them.
func plainObject(text string, wanted func(name string) bool) (map[string]any, bool) {
	if !utf8.ValidString(text) || strings.IndexByte(text, '\\') >= 0 {
		return nil, false
	}
	r := plainReader{rest: text, wanted: wanted}
	v, ok := r.value(plainDepth)
	m, isObject := v.(map[string]any)
	return m, ok && isObject && r.rest == ""
}

// plainReader reads what Canonical writes: no space between tokens.
type plainReader struct {
	rest   string
	wanted func(name string) bool // members of the outermost object
	skips  bool                   // what it reads is not
}

func (r *plainReader) take(c byte) bool {
	if r.rest == "" || r.rest[0] != c {
		return false
	}
	r.rest = r.rest[1:]
	return true
}

func (r *plainReader) value(depth int) (any, bool) {
	switch {
	case r.rest == "" || depth == 0:
		return nil, false
	case r.rest[0] == '"' && r.skips:
		_, ok := r.text()
		return nil, ok
	case r.rest[0] == '"':
		return r.text()
	case r.rest[0] == '{':
		return r.object(depth - 1)
	case r.rest[0] == '[':
		return r.list(depth - 1)
	}
	for _, w := range [...]struct {
		word  string
		value any
	}{{"true", true}, {"false", false}, {"null", nil}} {
		if rest, ok := strings.CutPrefix(r.rest, w.word); ok {
			r.rest = rest
			return w.value, true
		}
	}
	return nil, false
}

func (r *plainReader) text() (string, bool) {
	if !r.take('"') {
		return "", false
	}
	for i := range len(r.rest) {
		switch c := r.rest[i]; {
		case c == '"':
			s := r.rest[:i]
			r.rest = r.rest[i+1:]
			return s, true
		case c < 0x20:
			return "", false
		}
	}
	return "", false
}

func (r *plainReader) object(depth int) (any, bool) {
	r.take('{')
	var m map[string]any
	if !r.skips {
		m = map[string]any{}
	}
	if r.take('}') {
		return m, true
	}
	wanted, skips := r.wanted, r.skips
	r.wanted = nil
	for {
		name, ok := r.text()
		if !ok || !r.take(':') {
			return nil, false
		}
		r.skips = skips || wanted != nil && !wanted(name)
		v, ok := r.value(depth)
		if !ok {
			return nil, false
		}
		if !r.skips {
			m[name] = v // of a name that comes twice the last counts, as in encoding/json
		}
		r.skips = skips
		if r.take('}') {
			return m, true
		}
		if !r.take(',') {
			return nil, false
		}
	}
}

func (r *plainReader) list(depth int) (any, bool) {
	r.take('[')
	list := []any{}
	if r.take(']') {
		return list, true
	}
	for {
		v, ok := r.value(depth)
		if !ok {
			return nil, false
		}
		if !r.skips {
			list = append(list, v)
		}
		if r.take(']') {
			return list, true
		}
		if !r.take(',') {
			return nil, false
		}
	}
}
