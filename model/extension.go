package model

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Extension is a schema extension that the operator declares (RFC 7643 §3.3).
type Extension struct {
	URN         string      `json:"urn"`
	Kind        Kind        `json:"kind"`
	Name        string      `json:"name"` // for people, and for rules: person.NAME.attribute
	Description string      `json:"description,omitempty"`
	Attributes  []Attribute `json:"attributes"`
}

// Unique names the attributes that are declared unique, as Value.Attr does.
func (e Extension) Unique() []string {
	var out []string
	for _, a := range e.Attributes {
		if a.Uniqueness != "none" {
			out = append(out, e.URN+":"+a.Name)
		}
		for _, part := range a.Attributes {
			if part.Uniqueness != "none" {
				out = append(out, e.URN+":"+a.Name+"."+part.Name)
			}
		}
	}
	return out
}

// Attribute is an attribute of an extension, with the characteristics of RFC 7643 §7 in its words.
type Attribute struct {
	Name        string      `json:"name"`
	Type        string      `json:"type"`
	MultiValued bool        `json:"multiValued,omitempty"`
	Required    bool        `json:"required,omitempty"`
	CaseExact   bool        `json:"caseExact,omitempty"`
	Mutability  string      `json:"mutability"`
	Returned    string      `json:"returned"`
	Uniqueness  string      `json:"uniqueness"`
	Canonical   []string    `json:"canonicalValues,omitempty"` // the values there may be; none: any
	Description string      `json:"description,omitempty"`
	Attributes  []Attribute `json:"subAttributes,omitempty"` // of a complex one
}

// The types of attributes, RFC 7643 §2.3.
const (
	TypeString    = "string"
	TypeBoolean   = "boolean"
	TypeDecimal   = "decimal"
	TypeInteger   = "integer"
	TypeDateTime  = "dateTime"
	TypeReference = "reference"
	TypeBinary    = "binary"
	TypeComplex   = "complex"
)

// Ordered is a text that stands for a number, a time or a boolean in the side table: texts compare byte by byte as the
// values do. ok is false for anything else.
func Ordered(v any) (text string, ok bool) {
	switch v := v.(type) {
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		if v == 0 {
			v = 0 // without a sign
		}
		bits := math.Float64bits(v)
		if bits>>63 == 1 {
			bits = ^bits
		} else {
			bits |= 1 << 63
		}
		return fmt.Sprintf("%016x", bits), true
	case time.Time:
		return v.UTC().Format("2006-01-02T15:04:05.000000000Z"), true
	}
	return "", false
}
