package scim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// storedDepth bounds the nesting, and so the recursion, of what is not a client's body: resources as they are stored, and
// literals in filters. SCIM needs five levels.
const storedDepth = 40

// Bodies that are nearly nothing but brackets and commas take many times their size in memory. What clients send has 20 bytes
// and more for each value; so much is not asked of small bodies.
const (
	minValues     = 10_000
	bytesPerValue = 12
)

// object is a JSON object with its members in the order of the text: operations hidden in the keys of a pathless PATCH
// apply in that order.
type object []member

type member struct {
	key   string
	value any // nil, bool, string, json.Number, []any or object
}

func (o object) get(key string) (any, bool) {
	for _, m := range o {
		if strings.EqualFold(m.key, key) {
			return m.value, true
		}
	}
	return nil, false
}

// decode reads one JSON value that is the whole text. Stricter than encoding/json where leniency would hide data: keys
// equal but for case are one attribute in SCIM (RFC 7643 §2.1) and may stand once; text after the value, broken UTF-8,
// unpaired surrogates and U+0000 (which no text column holds) are refused.
func decode(text []byte, depth int) (any, error) {
	if !utf8.Valid(text) {
		return nil, invalidSyntax("The body is not UTF-8.")
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // .NET's UTF-8 writes a byte order mark; RFC 8259 §8.1 lets us pass over it
	d := decoder{text: text, depth: depth}
	d.space()
	if d.pos == len(text) {
		return nil, invalidSyntax("The body is empty; a JSON object is expected.")
	}
	v, err := d.value(0)
	if err != nil {
		return nil, err
	}
	if d.space(); d.pos < len(text) {
		return nil, d.fail("the end of the text")
	}
	return v, nil
}

func decodeObject(text []byte, depth int) (object, error) {
	v, err := decode(text, depth)
	if err != nil {
		return nil, err
	}
	o, ok := v.(object)
	if !ok {
		return nil, invalidSyntax("The body is not a JSON object.")
	}
	return o, nil
}

// document reads a stored resource. Its objects are maps. What there is none of (nones) is not in it.
func document(text string) (map[string]any, error) {
	d := decoder{text: []byte(text), depth: storedDepth, stored: true}
	v, err := d.value(0)
	m, ok := v.(map[string]any)
	if err != nil || !ok || d.pos < len(text) {
		return nil, fmt.Errorf("stored resource is not canonical JSON, byte %d", d.pos) // not the client's mistake
	}
	return m, nil
}

type decoder struct {
	text   []byte
	pos    int
	depth  int // levels there may be
	values int
	stored bool // our own text: objects become maps, keys are unique
}

func (d *decoder) fail(expected string) error {
	return invalidSyntax("JSON, byte %d: expected %s.", d.pos, expected)
}

func (d *decoder) space() {
	for d.pos < len(d.text) {
		switch d.text[d.pos] {
		case ' ', '\t', '\n', '\r':
			d.pos++
		default:
			return
		}
	}
}

func (d *decoder) peek() byte {
	if d.pos < len(d.text) {
		return d.text[d.pos]
	}
	return 0
}

func (d *decoder) value(depth int) (any, error) {
	if depth > d.depth {
		return nil, invalidSyntax("JSON is nested deeper than %d levels.", d.depth)
	}
	if d.values++; !d.stored && d.values > minValues && d.values > len(d.text)/bytesPerValue {
		return nil, invalidSyntax("JSON has too many values for its size.")
	}
	if d.values%(8*yieldEvery) == 0 {
		runtime.Gosched()
	}
	switch c := d.peek(); {
	case c == '{':
		return d.object(depth)
	case c == '[':
		return d.array(depth)
	case c == '"':
		return d.string()
	case c == '-' || '0' <= c && c <= '9':
		return d.number()
	}
	for _, lit := range [...]struct {
		word  string
		value any
	}{{"true", true}, {"false", false}, {"null", nil}} {
		if strings.HasPrefix(string(d.text[d.pos:min(len(d.text), d.pos+5)]), lit.word) {
			d.pos += len(lit.word)
			return lit.value, nil
		}
	}
	return nil, d.fail("a value")
}

func (d *decoder) object(depth int) (any, error) {
	if d.stored {
		return d.mapping(depth)
	}
	var o object                 // empty ones take no memory: a body may have a million of them
	seen := map[string]bool(nil) // only for large objects
	for d.pos++; ; d.pos++ {
		d.space()
		if len(o) == 0 && d.peek() == '}' {
			d.pos++
			return object{}, nil
		}
		if d.peek() != '"' {
			return nil, d.fail("a key")
		}
		key, err := d.string()
		if err != nil {
			return nil, err
		}
		if o == nil {
			o = make(object, 0, 4+4*max(0, 1-depth))
		}
		if seen == nil && len(o) >= 16 {
			seen = make(map[string]bool, 2*len(o))
			for _, m := range o {
				seen[strings.ToLower(m.key)] = true
			}
		}
		if seen != nil {
			lower := strings.ToLower(key)
			if seen[lower] {
				return nil, twice(key)
			}
			seen[lower] = true
		} else if _, ok := o.get(key); ok {
			return nil, twice(key)
		}
		if d.space(); d.peek() != ':' {
			return nil, d.fail("a colon")
		}
		d.pos++
		d.space()
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		o = append(o, member{key, v})
		d.space()
		switch d.peek() {
		case ',':
		case '}':
			d.pos++
			return o, nil
		default:
			return nil, d.fail("a comma or the end of the object")
		}
	}
}

// mapping reads an object of canonical text.
func (d *decoder) mapping(depth int) (any, error) {
	m := map[string]any{}
	first := true
	for d.pos++; ; d.pos, first = d.pos+1, false {
		if first && d.peek() == '}' {
			d.pos++
			return m, nil
		}
		if d.peek() != '"' {
			return nil, d.fail("a key")
		}
		key, err := d.string()
		if err != nil {
			return nil, err
		}
		if d.peek() != ':' {
			return nil, d.fail("a colon")
		}
		d.pos++
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if of, ok := v.(map[string]any); v != nil && !(ok && len(of) == 0) {
			m[key] = v
		}
		switch d.peek() {
		case ',':
		case '}':
			d.pos++
			return m, nil
		default:
			return nil, d.fail("a comma or the end of the object")
		}
	}
}

func twice(key string) error {
	return invalidSyntax("The key %s stands twice in one object.", safeName(key))
}

func (d *decoder) array(depth int) (any, error) {
	list := []any{}
	for d.pos++; ; d.pos++ {
		d.space()
		if len(list) == 0 && d.peek() == ']' {
			d.pos++
			return list, nil
		}
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		d.space()
		switch d.peek() {
		case ',':
		case ']':
			d.pos++
			return list, nil
		default:
			return nil, d.fail("a comma or the end of the array")
		}
	}
}

func (d *decoder) number() (any, error) {
	start := d.pos
	digits := func() bool {
		from := d.pos
		for c := d.peek(); '0' <= c && c <= '9'; c = d.peek() {
			d.pos++
		}
		return d.pos > from
	}
	if d.peek() == '-' {
		d.pos++
	}
	if d.peek() == '0' {
		d.pos++
	} else if !digits() {
		return nil, d.fail("a digit")
	}
	if d.peek() == '.' {
		if d.pos++; !digits() {
			return nil, d.fail("a digit")
		}
	}
	if c := d.peek(); c == 'e' || c == 'E' {
		if d.pos++; d.peek() == '+' || d.peek() == '-' {
			d.pos++
		}
		if !digits() {
			return nil, d.fail("a digit")
		}
	}
	if d.pos-start > 64 {
		return nil, d.fail("a number of at most 64 characters")
	}
	return json.Number(d.text[start:d.pos]), nil
}

// whole is a number as an integer is written: JSON has one type of numbers, and some languages write 1 as 1.0. Any other stays as it is.
func whole(n json.Number) string {
	text := string(n)
	if digits, fraction, found := strings.Cut(text, "."); found && strings.Trim(fraction, "0") == "" {
		return digits
	}
	return text
}

func (d *decoder) string() (string, error) {
	d.pos++
	start := d.pos
	for d.pos < len(d.text) {
		switch c := d.text[d.pos]; {
		case c == '"':
			s := string(d.text[start:d.pos])
			d.pos++
			return s, nil
		case c == '\\':
			return d.escaped(start)
		case c < 0x20:
			return "", d.fail("a printable character")
		}
		d.pos++
	}
	return "", d.fail("a quotation mark")
}

func (d *decoder) escaped(start int) (string, error) {
	var b strings.Builder
	b.Write(d.text[start:d.pos])
	for d.pos < len(d.text) {
		c := d.text[d.pos]
		switch {
		case c == '"':
			d.pos++
			return b.String(), nil
		case c < 0x20:
			return "", d.fail("a printable character")
		case c != '\\':
			b.WriteByte(c)
			d.pos++
			continue
		}
		d.pos++
		c = d.peek()
		if i := strings.IndexByte(`"\/bfnrt`, c); c != 0 && i >= 0 {
			b.WriteByte("\"\\/\b\f\n\r\t"[i])
			d.pos++
			continue
		}
		r, err := d.unicode()
		if err != nil {
			return "", err
		}
		b.WriteRune(r)
	}
	return "", d.fail("a quotation mark")
}

// unicode reads uXXXX after a backslash, and its second half where it is a surrogate.
func (d *decoder) unicode() (rune, error) {
	unit := func() (rune, bool) {
		if d.peek() != 'u' || d.pos+5 > len(d.text) {
			return 0, false
		}
		n, err := strconv.ParseUint(string(d.text[d.pos+1:d.pos+5]), 16, 16)
		d.pos += 5
		return rune(n), err == nil
	}
	r, ok := unit()
	if ok && utf16.IsSurrogate(r) {
		if d.peek() != '\\' {
			return 0, d.fail("the second half of a surrogate pair")
		}
		d.pos++
		second, two := unit()
		r = utf16.DecodeRune(r, second)
		ok = two && r != utf8.RuneError
	}
	if !ok {
		return 0, d.fail("an escape sequence")
	}
	if r == 0 {
		return 0, invalidValue("Text must not contain the character U+0000.")
	}
	return r, nil
}
