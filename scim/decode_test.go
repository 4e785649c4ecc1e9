package scim

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	elimity "github.com/elimity-com/scim/errors"
	"github.com/google/go-cmp/cmp"
)

func TestDecodeRefusesWhatHidesData(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text string
		kind elimity.ScimType
	}{
		"nothing":                      {"", elimity.ScimTypeInvalidSyntax},
		"space":                        {" \n", elimity.ScimTypeInvalidSyntax},
		"text after the value":         {`{} x`, elimity.ScimTypeInvalidSyntax},
		"a second value":               {`{}{}`, elimity.ScimTypeInvalidSyntax},
		"a key twice":                  {`{"a":1,"a":2}`, elimity.ScimTypeInvalidSyntax},
		"a key twice but for its case": {`{"userName":1,"USERNAME":2}`, elimity.ScimTypeInvalidSyntax},
		"a key twice inside":           {`{"a":[{"b":1,"B":2}]}`, elimity.ScimTypeInvalidSyntax},
		"a key twice among many": {`{"a1":1,"a2":1,"a3":1,"a4":1,"a5":1,"a6":1,"a7":1,"a8":1,"a9":1,"b1":1,"b2":1,"b3":1,"b4":1,"b5":1,"b6":1,"b7":1,"b8":1,"A3":1}`,
			elimity.ScimTypeInvalidSyntax},
		"broken UTF-8":           {"{\"a\":\"\xff\"}", elimity.ScimTypeInvalidSyntax},
		"an unpaired surrogate":  {`{"a":"\ud83d"}`, elimity.ScimTypeInvalidSyntax},
		"a wrong pair":           {`{"a":"\ud83d\u0041"}`, elimity.ScimTypeInvalidSyntax},
		"U+0000":                 {`{"a":"x\u0000"}`, elimity.ScimTypeInvalidValue},
		"a bare control":         {"{\"a\":\"\n\"}", elimity.ScimTypeInvalidSyntax},
		"a trailing comma":       {`{"a":1,}`, elimity.ScimTypeInvalidSyntax},
		"a comma in an array":    {`[1,]`, elimity.ScimTypeInvalidSyntax},
		"a leading zero":         {`[01]`, elimity.ScimTypeInvalidSyntax},
		"a number without end":   {`[1.]`, elimity.ScimTypeInvalidSyntax},
		"a plus":                 {`[+1]`, elimity.ScimTypeInvalidSyntax},
		"a word":                 {`[nul]`, elimity.ScimTypeInvalidSyntax},
		"an open string":         {`"abc`, elimity.ScimTypeInvalidSyntax},
		"an open escape":         {`"abc\`, elimity.ScimTypeInvalidSyntax},
		"an unknown escape":      {`"\x"`, elimity.ScimTypeInvalidSyntax},
		"a number of a thousand": {strings.Repeat("1", 1000), elimity.ScimTypeInvalidSyntax},
		"41 levels":              {strings.Repeat("[", 42) + strings.Repeat("]", 42), elimity.ScimTypeInvalidSyntax},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := decode([]byte(tt.text), storedDepth)
			if err == nil {
				t.Fatalf("read as %#v", v)
			}
			if r := refusalOf(err); r.Status != 400 || r.ScimType != tt.kind {
				t.Errorf("refused with %v", r)
			}
		})
	}
}

func TestDecodeKeepsOrderAndText(t *testing.T) {
	t.Parallel()
	got, err := decode([]byte(` { "b" : [ 1.50 , true , null , "\"\\\/\b\f\n\r\té😀\u00e5" ] , "a" : { } } `), storedDepth)
	if err != nil {
		t.Fatal(err)
	}
	want := object{
		{"b", []any{json.Number("1.50"), true, nil, "\"\\/\b\f\n\r\té😀å"}},
		{"a", object{}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(member{})); diff != "" {
		t.Error(diff)
	}
}

// FuzzDecode compares with encoding/json: what we accept, it accepts, with the same content; the canonical text is its.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"a":[1,-2.5e3,"x"],"b":{"c":null}}`, `"\ud83d\ude00"`, `[[[]]]`, `{"a":"<&>\u2028"}`, `{"A":1,"a":2}`, "\"\x7f\"", `[1E5]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := decode(text, storedDepth)
		if err != nil {
			return
		}
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		var want any
		if err := d.Decode(&want); err != nil {
			t.Fatalf("accepted %q, encoding/json says %v", text, err)
		}
		got := plain(v)
		if m, ok := got.(map[string]any); ok {
			if stored, err := document(canonical(m)); err != nil || !cmp.Equal(any(stored), filled(m)) {
				t.Fatalf("%q stored is %v, %v", text, stored, err)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q: %s", text, diff)
		}
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(want); err != nil {
			t.Fatal(err)
		}
		if c := canonical(got); c+"\n" != b.String() {
			t.Fatalf("canonical %q, encoding/json %q", c, b.String())
		}
	})
}

// filled is a value without the members of its objects that are null, or objects without any.
func filled(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := map[string]any{}
		for key, of := range v {
			of = filled(of)
			if inner, ok := of.(map[string]any); of != nil && !(ok && len(inner) == 0) {
				m[key] = of
			}
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = filled(v[i])
		}
		return list
	}
	return v
}

// plain turns objects into maps.
func plain(v any) any {
	switch v := v.(type) {
	case object:
		m := make(map[string]any, len(v))
		for _, e := range v {
			m[e.key] = plain(e.value)
		}
		return m
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	}
	return v
}
