package config

import (
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
)

// Fingerprint names the part of the configuration that decisions depend on. Two configurations with the same one decide
// alike; comments, addresses and timeouts do not count. A key that is not set counts no more than one that does not exist: a newer version,
// which knows more of them, must not take the same file for other rules.
func (c *Config) Fingerprint() (string, error) {
	type target struct{ Name, Class string }
	var names []string
	for _, s := range c.Sources {
		names = append(names, s.Name)
	}
	var targets []target
	for _, t := range c.Targets {
		targets = append(targets, target{t.Name, string(t.Class)})
	}
	parts := []any{3, names, targets, c.Correlation, c.Fusion, c.Organisations, c.Lifecycle, c.External, c.Protect, c.Policy}
	for _, s := range c.Sources {
		if !s.CreatesPeople {
			parts = append(parts, []string{"joins", s.Name})
		}
	}
	if len(c.Extensions) > 0 {
		parts = append(parts, c.Extensions)
	}
	what, err := written(reflect.ValueOf(parts))
	if err != nil {
		return "", fmt.Errorf("fingerprint of the configuration: %w", err)
	}
	text, err := json.Marshal(what)
	if err != nil {
		return "", fmt.Errorf("fingerprint of the configuration: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// written is the value for JSON, without the fields that are not set. What a pointer points at is set, zero or not.
func written(v reflect.Value) (any, error) {
	if !v.IsValid() {
		return nil, nil
	}
	switch v.Interface().(type) {
	case json.Marshaler, encoding.TextMarshaler:
		return v.Interface(), nil
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil, nil
		}
		return written(v.Elem())
	case reflect.Struct:
		out := map[string]any{}
		for i := range v.NumField() {
			name, f := v.Type().Field(i), v.Field(i)
			if !name.IsExported() || name.Tag.Get("json") == "-" || f.IsZero() || (f.Kind() == reflect.Slice || f.Kind() == reflect.Map) && f.Len() == 0 {
				continue
			}
			value, err := written(f)
			if err != nil {
				return nil, err
			}
			out[name.Name] = value
		}
		return out, nil
	case reflect.Slice, reflect.Array:
		out := make([]any, v.Len())
		for i := range out {
			var err error
			if out[i], err = written(v.Index(i)); err != nil {
				return nil, err
			}
		}
		return out, nil
	case reflect.Map:
		out := map[string]any{}
		for _, k := range v.MapKeys() {
			value, err := written(v.MapIndex(k))
			if err != nil {
				return nil, err
			}
			out[fmt.Sprint(k.Interface())] = value
		}
		return out, nil
	case reflect.Func, reflect.Chan, reflect.UnsafePointer:
		return nil, fmt.Errorf("%s cannot be part of it", v.Type())
	}
	return v.Interface(), nil
}
