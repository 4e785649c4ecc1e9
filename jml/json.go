package jml

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Canonical is v as JSON text with sorted keys and without insignificant space: equal content is equal text.
func Canonical(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("jml: value that is not JSON: %v", err)) // values come from JSON; a broken invariant
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Decode reads a JSON object column. An empty or broken text is an empty object: the columns are only ever written by Canonical.
func Decode(text string) map[string]any {
	m := map[string]any{}
	if text != "" {
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			return map[string]any{}
		}
	}
	return m
}
