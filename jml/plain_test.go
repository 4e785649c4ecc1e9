package jml

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"jmld/model"
)

func standard(t interface{ Fatal(...any) }, v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// What is written and read by hand is what encoding/json writes and reads.
func TestPlainJSONIsTheStandardOne(t *testing.T) {
	t.Parallel()
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "a\"b", "é", "\u2028", "\u20ac", "<&>", "\x7f", "\xff", "a\\b", "\x00"}))
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		kinds := []*rapid.Generator[any]{text.AsAny(), rapid.Bool().AsAny(), rapid.Just[any](nil), rapid.Float64Range(-9, 9).AsAny()}
		if depth > 0 {
			kinds = append(kinds, rapid.SliceOfN(value(depth-1), 0, 4).AsAny(), rapid.MapOfN(text, value(depth-1), 0, 4).AsAny())
		}
		return rapid.OneOf(kinds...)
	}
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.MapOfN(text, value(3), 0, 6).Draw(t, "attributes")
		why := model.Reason{
			Text: text.Draw(t, "text"), Rule: text.Draw(t, "rule"), Source: text.Draw(t, "source"), Record: text.Draw(t, "record"),
			Groups: rapid.SliceOfN(text, 0, 1).Draw(t, "groups"), Absent: rapid.Bool().Draw(t, "absent"),
			At: time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC(),
		}
		from := map[string]model.Provenance{rapid.SampledFrom([]string{everything, "title"}).Draw(t, "of"): {
			Winner: text.Draw(t, "winner"), Rule: why.Rule, Says: rapid.SampledFrom([]string{"", "true"}).Draw(t, "says"), Losers: why.Groups,
			Since: rapid.SampledFrom([]time.Time{{}, why.At, why.At.In(time.FixedZone("", 3600))}).Draw(t, "since"),
		}}
		now := model.Snapshot{State: model.AccountState(text.Draw(t, "state")), Attributes: m}
		was := model.Snapshot{State: now.State, Attributes: Decode(Canonical(m))}
		if got, want := snapshot(model.Account{State: now.State, Desired: Canonical(m)}), standard(t, was); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
		sameProvenance(t, standard(t, from))
		for _, v := range []any{m, now, why, from} {
			want := standard(t, v)
			if got := Canonical(v); got != want {
				t.Fatalf("%s, want %s", got, want)
			}
			sameReading(t, want)
		}
	})
}

func sameReading(t interface {
	Fatal(...any)
	Fatalf(string, ...any)
}, text string) {
	want := map[string]any{}
	if err := json.Unmarshal([]byte(text), &want); err != nil || want == nil {
		want = map[string]any{}
		if err == nil { // null
			want = nil
		}
	}
	if d := cmp.Diff(want, Decode(text)); d != "" {
		t.Fatalf("%q (-encoding/json +plain):\n%s", text, d)
	}
	for name, v := range want {
		got := decode(text, func(n string) bool { return n == name })
		if d := cmp.Diff(v, got[name]); d != "" {
			t.Fatalf("%q of %q (-encoding/json +plain):\n%s", name, text, d)
		}
	}
}

func sameProvenance(t interface{ Fatalf(string, ...any) }, text string) {
	var want map[string]model.Provenance
	if json.Unmarshal([]byte(text), &want) != nil {
		want = nil
	}
	if d := cmp.Diff(want, provenanceOf(&model.Identity{Provenance: text})); d != "" {
		t.Fatalf("%q (-encoding/json +plain):\n%s", text, d)
	}
}

func FuzzProvenance(f *testing.F) {
	for _, s := range []string{
		`{"*":{"winner":"a","rule":"b","since":"2026-01-02T03:04:05.678Z"}}`, `{"*":{"winner":"a","rule":"b"}}`, `{"*":{"winner":null}}`, `{"*":null}`, `{}`,
		`{"*":{"winner":"a","since":"2026-01-02T03:04:05+01:00"}}`, `{"*":{"since":"2026-01-02T3:04:05Z"}}`, `{"*":{"since":"2026-01-02T03:04:05,6Z"}}`,
		`{"*":{"Winner":"a"}}`, `{"*":{},"a":{}}`, `null`, ``,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { sameProvenance(t, s) })
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"a":"b","c":[{"x":true},null],"urn:x":{"y":"ä"}}`, `{"a":1}`, `{"a":"\n"}`, `{"a":"b","a":"c"}`, `{"a":{"b":"c"},"a":{"d":"e"}}`, `{"a" :"b"}`,
		`{"a":"b"} `, `{"a":"b"}x`, `{"a":truex}`, "{\"a\":\"\xff\"}", "{\"a\":\"\x01\"}", `[]`, `null`, ``, `{`, `{"a":[]}`, `{"a":[,]}`, `{,}`,
		strings.Repeat(`{"a":`, 20) + "null" + strings.Repeat("}", 20),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { sameReading(t, s) })
}
