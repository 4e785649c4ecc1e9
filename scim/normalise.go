package scim

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/unicode/norm"

	"jmld/model"
)

// fold is how text is compared that is not case-exact: in compatibility form (RFC 8265 §3.3), then without case.
func fold(s string) string { return model.FoldKey(normalForm(s)) }

func normalForm(s string) string {
	if norm.NFKC.IsNormalString(s) {
		return s
	}
	return norm.NFKC.String(s)
}

// normaliser brings values of any dialect into the type their attribute has. nil is "unassigned" (RFC 7643 §2.5). The
// maps it returns may hold nil members: "unassign this sub-attribute".
type normaliser struct {
	notes  *notes
	bounds Bounds
}

func (n normaliser) value(a *attribute, raw any) (any, error) {
	if a.multi {
		return n.values(a, raw)
	}
	if a.typ == typeComplex {
		raw = n.unpacked(a.label(), raw, either)
	}
	if list, ok := raw.([]any); ok {
		switch len(list) {
		case 0:
			return nil, nil
		case 1:
			n.notes.add("%s: array of one read as its element", a.label())
			raw = list[0]
		default:
			return nil, invalidValue("%s takes one value.", a.label())
		}
	}
	switch raw := raw.(type) {
	case nil:
		return nil, nil
	case string:
		if raw == "" {
			return nil, nil
		}
	}
	if a.typ == typeComplex {
		return n.complex(a, raw)
	}
	return n.scalar(a, raw)
}

func (n normaliser) scalar(a *attribute, raw any) (any, error) {
	if o, ok := raw.(object); ok && len(o) == 1 && (strings.EqualFold(o[0].key, "value") || strings.EqualFold(o[0].key, a.name)) {
		n.notes.add("%s: object with a value read as the value", a.label())
		return n.value(a, o[0].value)
	}
	switch a.typ {
	case typeBoolean:
		switch v := raw.(type) {
		case bool:
			return v, nil
		case string:
			if b, ok := parseBool(v); ok {
				n.notes.add("%s: %q read as %t", a.label(), v, b)
				return b, nil
			}
		case json.Number: // databases that have no booleans
			if v == "0" || v == "1" {
				n.notes.add("%s: number read as %t", a.label(), v == "1")
				return v == "1", nil
			}
		}
		return nil, invalidValue("%s is not a boolean.", a.label())
	case typeInteger, typeDecimal:
		number, ok := raw.(json.Number)
		if text, isText := raw.(string); isText {
			number, ok = json.Number(strings.TrimSpace(text)), true
			n.notes.add("%s: text read as a number", a.label())
		}
		f, err := number.Float64()
		if !ok || err != nil || math.IsInf(f, 0) || math.IsNaN(f) || a.typ == typeInteger && f != math.Trunc(f) {
			return nil, invalidValue("%s is not of type %s.", a.label(), a.typ)
		}
		if !isNumber(string(number)) {
			number = json.Number(strconv.FormatFloat(f, 'f', -1, 64))
		}
		if a.typ == typeInteger {
			if number, ok = integral(number, f); !ok {
				return nil, invalidValue("%s is not of type %s.", a.label(), a.typ)
			}
		}
		return number, nil
	}
	var text string
	switch v := raw.(type) {
	case string:
		text = v
	case bool:
		text = strconv.FormatBool(v)
		n.notes.add("%s: boolean read as text", a.label())
	case json.Number:
		text = string(v)
		n.notes.add("%s: number read as text", a.label())
	default:
		return nil, invalidValue("%s is not of type %s.", a.label(), a.typ)
	}
	switch a.typ {
	case typeDateTime:
		_, written, ok := readTime(text)
		switch {
		case !ok:
			return nil, invalidValue("%s is not a date and time (xsd:dateTime).", a.label())
		case written != text:
			n.notes.add("%s: date and time of another form read as xsd:dateTime", a.label())
			text = written
		case !strings.Contains(text, "T"): // RFC 7643 §2.3.5
			n.notes.add("%s: date read as its first moment", a.label())
		}
	case typeBinary:
		if !isBase64(text) {
			return nil, invalidValue("%s is not base64.", a.label())
		}
		if strings.ContainsAny(text, " \r\n") { // RFC 4648 §3.3
			n.notes.add("%s: base64 with line feeds read without them", a.label())
		}
	}
	return a.canonicalValue(text)
}

// integral writes an integer as RFC 7643 §2.3.4 has it, without fraction and exponent. ok is false where the number is too large, or too
// close to 0, for its value to be known.
func integral(n json.Number, f float64) (json.Number, bool) {
	text := whole(n)
	mantissa, _, exponent := strings.Cut(strings.ToLower(text), "e")
	if !exponent {
		return json.Number(text), true
	}
	const exact = 1 << 53
	if math.Abs(f) >= exact || f == 0 && strings.Trim(mantissa, "-0.") != "" {
		return "", false
	}
	return json.Number(strconv.FormatFloat(f+0, 'f', -1, 64)), true
}

// parseBool reads the word, whatever its case (Entra sends "False"), or the digit.
func parseBool(s string) (value, ok bool) {
	s = strings.TrimSpace(s)
	value = strings.EqualFold(s, "true") || s == "1"
	return value, value || strings.EqualFold(s, "false") || s == "0"
}

// isNumber says whether the text is a number as JSON has it ("1_0", "0x1p2" and "+1" are numbers for strconv only).
func isNumber(s string) bool {
	v, err := decode([]byte(s), storedDepth)
	_, ok := v.(json.Number)
	return err == nil && ok
}

func isBase64(s string) bool {
	s = strings.Map(func(r rune) rune { // RFC 4648 §3.3: line feeds are common in certificates
		if r == '\n' || r == '\r' || r == ' ' {
			return -1
		}
		return r
	}, s)
	s = strings.TrimRight(s, "=")
	if _, err := base64.RawStdEncoding.DecodeString(s); err == nil {
		return true
	}
	_, err := base64.RawURLEncoding.DecodeString(s)
	return err == nil
}

// complex reads the value of a complex attribute, or one element of a multi-valued one.
func (n normaliser) complex(a *attribute, raw any) (any, error) {
	switch v := raw.(type) {
	case object:
		return n.subs(a, v)
	case string:
		if o, ok := n.unpacked(a.label(), v, "{").(object); ok {
			return n.subs(a, o)
		}
		if s := a.index["value"]; s != nil && s.mutability != readOnly {
			if meantAsJSON(v) {
				return nil, invalidValue("%s: the text begins like JSON, and is no object.", a.label())
			}
			n.notes.add("%s: text read as its value", a.label())
			return n.subs(a, object{{"value", v}})
		}
	case json.Number:
		if a.index["value"] != nil {
			return n.complex(a, string(v))
		}
	}
	return nil, invalidValue("%s is not an object.", a.label())
}

// either is an object or a list.
const either = "{["

// unpacked is the JSON that a text holds when it begins with one of the brackets; anything else stays as it is. SCIM-SDK, which
// Keycloak's extensions are made with, and Entra's AppRoleAssignmentsComplex send JSON inside text.
func (n normaliser) unpacked(label string, raw any, brackets string) any {
	text, _ := raw.(string)
	if !bracketed(text, brackets) {
		return raw
	}
	v, err := decode([]byte(strings.TrimSpace(text)), n.bounds.Depth)
	if err != nil {
		return raw
	}
	n.notes.add("%s: text read as the JSON it holds", label)
	return v
}

// meantAsJSON tells broken JSON from names that begin with a bracket: "{0198f3c2-…}", "[Sales] lead".
func meantAsJSON(text string) bool {
	text = strings.TrimSpace(text)
	return strings.HasPrefix(text, `{"`) || strings.HasPrefix(text, "[{")
}

// bracketed says whether a text begins with one of the brackets.
func bracketed(text, brackets string) bool {
	text = strings.TrimSpace(text)
	return text != "" && strings.IndexByte(brackets, text[0]) >= 0
}

// errUnheard says that there is nothing in a value that the attribute has: neither is it assigned by that, nor unassigned.
var errUnheard = errors.New("the value has only parts that nobody knows, or that are read-only")

func (n normaliser) subs(a *attribute, o object) (any, error) {
	m := make(map[string]any, len(o))
	if inner := n.packed(a, o); inner != nil {
		o = inner
	}
	if a.index["operation"] == nil {
		if err := notDeleted(a.label(), o); err != nil {
			return nil, err
		}
	}
	for _, e := range o {
		s := a.sub(e.key)
		if s == nil {
			s = n.alias(a, e.key)
		}
		switch {
		case s == nil:
			n.notes.syntax("%s.%s: unknown, ignored", a.label(), safeName(e.key))
			continue
		case s.mutability == readOnly:
			continue // RFC 7644 §3.5.1: read-only values are ignored
		}
		v, err := n.value(s, e.value)
		if err != nil {
			return nil, err
		}
		if _, ok := m[s.name]; !ok || v != nil {
			m[s.name] = v
		}
	}
	switch {
	case len(m) == 0 && len(o) > 0:
		return nil, errUnheard
	case len(m) == 0:
		return nil, nil
	}
	n.referred(a, m)
	return m, nil
}

// notDeleted refuses a value that SCIM 1.1 marks as one to delete: read as one to have, it would be the opposite.
func notDeleted(label string, o object) error {
	v, _ := o.get("operation")
	if word, _ := v.(string); strings.EqualFold(word, "delete") {
		return invalidValue("%s: a value is removed by the operation remove, not by a mark in it.", label)
	}
	return nil
}

// alias knows the names of SCIM 1.1 and of clients that mix them up.
func (n normaliser) alias(a *attribute, key string) *attribute {
	if a.declared {
		return nil
	}
	for _, alias := range [...][2]string{{"displayName", "display"}, {"managerId", "value"}} {
		if s := a.index[alias[1]]; s != nil && strings.EqualFold(key, alias[0]) {
			n.notes.syntax("%s.%s read as %s", a.label(), alias[0], alias[1])
			return s
		}
	}
	return nil
}

// packed unwraps {"value": "{\"id\":…,\"value\":\"25\",\"displayName\":…}"}: Entra's AppRoleAssignmentsComplex.
func (n normaliser) packed(a *attribute, o object) object {
	v, _ := o.get("value")
	text, _ := v.(string)
	if a.declared || a.index["value"] == nil || !strings.HasPrefix(text, "{") {
		return nil
	}
	inner, err := decodeObject([]byte(text), n.bounds.Depth)
	if err != nil {
		return nil
	}
	if _, ok := inner.get("value"); !ok {
		return nil
	}
	n.notes.add("%s.value: text read as the JSON it holds", a.label())
	for _, e := range o { // what stands beside it stays, unless the packed object says it too
		if _, ok := inner.get(e.key); !ok {
			inner = append(inner, e)
		}
	}
	return inner
}

// values reads a multi-valued attribute.
func (n normaliser) values(a *attribute, raw any) (any, error) {
	if a.typ == typeComplex {
		raw = n.unpacked(a.label(), raw, either)
	}
	list, ok := raw.([]any)
	switch {
	case raw == nil || raw == "":
		return nil, nil
	case !ok:
		n.notes.add("%s: single value read as an array of one", a.label())
		list = []any{raw}
	}
	if a.typ == typeComplex {
		list = n.flattened(a, list)
	}
	if len(list) > n.bounds.Values {
		return nil, invalidValue("%s has more than %d values.", a.label(), n.bounds.Values)
	}
	set := newCollection(a, nil)
	unheard := 0
	for _, raw := range list {
		v, err := n.element(a, raw)
		if errors.Is(err, errUnheard) || err == nil && a.describes(raw) {
			unheard++
			continue
		}
		if err != nil {
			return nil, err
		}
		if v == nil {
			continue
		}
		if !set.add(v) {
			n.notes.remark("%s: the same value given twice, kept once", a.label())
		}
	}
	switch {
	case unheard > 0 && !slices.ContainsFunc(set.list, a.stands):
		return nil, errUnheard
	case len(set.list) == 0:
		return nil, nil
	}
	return set.list, onePrimary(a, set.list)
}

// describes says whether all that is known of an element describes a value that stands under a name nobody knows:
// {"type": "work", "address": "…"}.
func (a *attribute) describes(raw any) bool {
	o, ok := raw.(object)
	unknown := false
	for _, m := range o {
		switch s := a.sub(m.key); {
		case s != nil:
			ok = ok && (s.name == "type" || s.name == "primary" || s.name == "display")
		case !strings.EqualFold(m.key, "displayName"):
			unknown = true
		}
	}
	return ok && unknown && !a.declared
}

// flattened puts a list that stands as JSON in a text, as an element of another list, in its place.
func (n normaliser) flattened(a *attribute, list []any) []any {
	var out []any // nil: as it is
	for i, e := range list {
		if text, ok := e.(string); ok && meantAsJSON(text) {
			if inner, ok := n.unpacked(a.label(), text, "[").([]any); ok {
				if out == nil {
					out = append(out, list[:i]...)
				}
				out = append(out, inner...)
				continue
			}
		}
		if out != nil {
			out = append(out, e)
		}
	}
	if out == nil {
		return list
	}
	return out
}

// onePrimary refuses two primary values (RFC 7643 §2.4).
func onePrimary(a *attribute, list []any) error {
	primary := false
	for _, e := range list {
		if !isPrimary(e) {
			continue
		}
		if primary {
			return invalidValue("%s has two primary values.", a.label())
		}
		primary = true
	}
	return nil
}

// element reads one value of a multi-valued attribute.
func (n normaliser) element(a *attribute, raw any) (any, error) {
	switch v := raw.(type) {
	case nil:
		return nil, nil
	case string:
		if v == "" {
			return nil, nil
		}
	}
	if a.typ != typeComplex {
		return n.scalar(a, raw)
	}
	v, err := n.complex(a, raw)
	if m, ok := v.(map[string]any); ok {
		for k, e := range m {
			if e == nil {
				delete(m, k)
			}
		}
		if len(m) == 0 {
			return nil, nil
		}
	}
	return v, err
}

func isPrimary(v any) bool {
	m, _ := v.(map[string]any)
	return m["primary"] == true
}
