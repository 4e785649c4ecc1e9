package model_test

import (
	"cmp"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"jmld/model"
)

// Ordered texts compare as what they stand for.
func TestOrderedTextsCompareAsTheirValues(t *testing.T) {
	t.Parallel()
	text := func(v any) string {
		s, ok := model.Ordered(v)
		if !ok {
			t.Fatalf("%v", v)
		}
		return s
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Float64().Draw(t, "a"), rapid.Float64().Draw(t, "b")
		if cmp.Compare(text(a), text(b)) != cmp.Compare(a, b) {
			t.Fatalf("%v and %v: %s and %s", a, b, text(a), text(b))
		}
		from := rapid.Int64Range(-62135596800, 253402300799)
		at, then := time.Unix(from.Draw(t, "at"), 5).In(time.FixedZone("", 3600)), time.Unix(from.Draw(t, "then"), 0)
		if at.UTC().Year() <= 9999 && cmp.Compare(text(at), text(then)) != at.Compare(then) {
			t.Fatalf("%v and %v", at, then)
		}
	})
	if text(0.0) != text(math.Copysign(0, -1)) || text(false) >= text(true) {
		t.Error("zero, or false and true")
	}
	if _, ok := model.Ordered("text"); ok {
		t.Error("text has an order of its own")
	}
}
