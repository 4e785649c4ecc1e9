package model_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"jmld/model"
)

func TestFoldKey(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                     "",
		"ada":                  "ada",
		"Ada":                  "ada",
		"  Ada \t Example ":    "ada example",
		"ada  example":         "ada example",
		"ADA@EXAMPLE.ORG":      "ada@example.org",
		"ÅSE":                  "åse",
		"\u212Aelvin":          "kelvin", // the Kelvin sign
		"\u017Fafe":            "safe",   // the long s
		"Σίσυφος":              model.FoldKey("ΣΊΣΥΦΟΣ"),
		"日本 \u3000 太郎":         "日本 太郎",
		"tab\tand\nline break": "tab and line break",
	} {
		if got := model.FoldKey(in); got != want {
			t.Errorf("FoldKey(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestFoldKeyIsStableAndIgnoresCaseAndSpace(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		key := model.FoldKey(s)
		if again := model.FoldKey(key); again != key {
			t.Fatalf("%q folds to %q, and that to %q", s, key, again)
		}
		if padded := model.FoldKey(" " + s + "\t "); padded != key {
			t.Fatalf("%q folds to %q, with space around it to %q", s, key, padded)
		}
		ascii := rapid.StringMatching(`[ -~]{0,20}`).Draw(t, "ascii")
		if upper, lower := model.FoldKey(strings.ToUpper(ascii)), model.FoldKey(strings.ToLower(ascii)); upper != lower {
			t.Fatalf("%q: %q in capitals, %q without", ascii, upper, lower)
		}
	})
}
