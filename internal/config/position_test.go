package config

import (
	"strings"
	"testing"

	"github.com/goccy/go-yaml/ast"
	"pgregory.net/rapid"
)

// TestPlacesInsideText: a character of a text is found in the file, however the text is written (YAML 1.2.2 §7.3, §8.1).
// The character is @, which is nowhere else.
func TestPlacesInsideText(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]string{
		"plain":                         "a: b c @ d",
		"plain, more lines":             "a: b\n  c d\n  e @ f",
		"plain, an empty line":          "a: b\n\n\n  c @",
		"plain, list":                   "a:\n  - b\n  - c @",
		"single quotes":                 "a: 'b @'",
		"single quotes, doubled":        "a: 'b ''c'' @ d'",
		"single quotes, more lines":     "a: 'b ''\n   c\n\n   d @'",
		"double quotes":                 "a: \"b @\"",
		"double quotes, escapes":        `a: "b \"\\ \t \x41 \u00fc \U0001F600 ü @ c"`,
		"double quotes, more lines":     "a: \"b\n  c @\n  d\"",
		"literal":                       "a: |\n  b\n  c @\n",
		"literal, deeper":               "a:\n    - |\n      b\n        c\n      d @ e\n",
		"literal, empty lines":          "a: |\n\n  b\n\n\n  @\n",
		"literal, stripped":             "a: |-\n  b\n  @",
		"literal, kept":                 "a: |+\n  b\n  @\n\n",
		"literal, comment in front":     "# x\na: | # y\n  b\n  c @\nb: 1\n",
		"folded":                        "a: >\n  b\n  c @\n",
		"folded, paragraphs":            "a: >-\n  b\n\n  c\n  d\n\n\n  e @ f\n",
		"flow":                          "{a: {b: 'c @', d: e}}",
		"letters of more than one byte": "{ä: 'öüß@'}",
		"behind a comment":              "a: b # 'x'\nc: 'd @' # e",
	} {
		if err := findsAt(source); err != "" {
			t.Errorf("%s: %s\n%s", name, err, source)
		}
	}
}

// findsAt looks for @ in the values, and compares its place with the file.
func findsAt(source string) string {
	r := &report{file: "f", lines: strings.Split(source, "\n")}
	tree := parse(r, source)
	if tree == nil {
		return "does not parse: " + r.mistakes[0].Text
	}
	want := place{}
	for i, line := range r.lines {
		if j := strings.IndexByte(line, '@'); j >= 0 {
			want = place{i + 1, len([]rune(line[:j])) + 1}
		}
	}
	var got []place
	var look func(n ast.Node)
	look = func(n ast.Node) {
		if list, ok := pairs(n); ok {
			for _, e := range list {
				look(e.Value)
			}
			return
		}
		if seq, ok := n.(*ast.SequenceNode); ok {
			for _, v := range seq.Values {
				look(v)
			}
			return
		}
		text, _ := plain(n)
		before, _, found := strings.Cut(text, "@")
		if !found {
			return
		}
		line := strings.Count(before, "\n") + 1
		col := len([]rune(before[strings.LastIndexByte(before, '\n')+1:])) + 1
		got = append(got, r.inside(n, line, col))
	}
	look(tree)
	switch {
	case len(got) != 1:
		return "the character is not in the values once"
	case got[0] != want:
		return "found elsewhere: " + r.at(got[0], "x").String() + " instead of " + r.at(want, "x").String()
	}
	return ""
}

// TestPlacesInsideAnyText draws texts and ways to write them.
func TestPlacesInsideAnyText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.StringMatching(`[a-zäß(&|=."'\\]{1,6}`), 1, 12).Draw(t, "words")
		at := rapid.IntRange(0, len(words)-1).Draw(t, "at")
		words[at] += "@"
		indent := strings.Repeat(" ", rapid.IntRange(2, 6).Draw(t, "indent"))
		style := rapid.SampledFrom([]string{"|", ">", "'", `"`}).Draw(t, "style")
		var b strings.Builder
		b.WriteString("k: 1\na: ")
		if style == "|" || style == ">" {
			b.WriteString(style + "\n" + indent)
		} else {
			b.WriteString(style)
		}
		for i, w := range words {
			switch style {
			case "'":
				w = strings.ReplaceAll(w, "'", "''")
			case `"`:
				w = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(w)
			}
			if i > 0 {
				between := rapid.SampledFrom([]string{" ", "\n" + indent, " "}).Draw(t, "between")
				if style == "'" && strings.HasPrefix(w, "'") { // the parser reads a doubled quote after a break otherwise: the place is the text's then
					between = " "
				}
				b.WriteString(between)
			}
			b.WriteString(w)
		}
		if style == "'" || style == `"` {
			b.WriteString(style)
		}
		b.WriteString("\nz: 2\n")
		if err := findsAt(b.String()); err != "" {
			t.Fatalf("%s\n%s", err, b.String())
		}
	})
}
