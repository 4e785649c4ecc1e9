package jml

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Canonical is v as JSON text with sorted keys and without insignificant space: equal content is equal text.
func Canonical(v any) string {
	var room [1024]byte
	if b, ok := appendPlain(room[:0], v); ok {
		return string(b)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("jml: value that is not JSON: %v", err)) // values come from JSON; a broken invariant
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Decode reads a JSON object column. An empty or broken text is an empty object: the columns are only ever written by Canonical.
// Texts in the result may share the memory of text.
func Decode(text string) map[string]any { return decode(text, nil) }

// decode is Decode that may leave out members whose names are not wanted; nil: all are.
func decode(text string, wanted func(name string) bool) map[string]any {
	if m, ok := plainObject(text, wanted); ok {
		return m
	}
	m := map[string]any{}
	if text != "" {
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			return map[string]any{}
		}
	}
	return m
}
