package config

import (
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// inside finds the place in the file of a character of a text: line and col as they are in the text. YAML folds lines,
// doubles quotes and has escapes, so the source is walked beside the text; where both do not agree, the place is that
// of the whole text.
func (r *report) inside(n ast.Node, line, col int) place {
	whole := start(n)
	text, ok := plain(n)
	if !ok || line < 1 {
		return whole
	}
	places := r.walk(n, []rune(text))
	l, c := 1, 1
	for i, ch := range []rune(text) {
		if l == line && c == col {
			if i < len(places) {
				return places[i]
			}
			return whole
		}
		c++
		if ch == '\n' {
			l, c = l+1, 1
		}
	}
	if l == line && c == col && len(places) > 0 { // just behind the end
		last := places[len(places)-1]
		return place{last.line, last.col + 1}
	}
	return whole
}

// walk returns the place of each character, or nil.
func (r *report) walk(n ast.Node, text []rune) []place {
	w := &walker{lines: r.lines, text: text}
	switch n := n.(type) {
	case *ast.LiteralNode:
		w.block(placeOf(n.Start), n.Start.Type == token.FoldedType)
	case *ast.StringNode:
		at := placeOf(n.Token)
		switch n.Token.Type {
		case token.SingleQuoteType:
			w.flow(place{at.line, at.col + 1}, '\'')
		case token.DoubleQuoteType:
			w.flow(place{at.line, at.col + 1}, '"')
		default:
			w.flow(at, 0)
		}
	default:
		w.flow(start(n), 0)
	}
	if w.failed || len(w.places) != len(text) {
		return nil
	}
	return w.places
}

type walker struct {
	lines  []string
	text   []rune
	places []place
	failed bool
}

// take notes where the next character of the text is, if it is c.
func (w *walker) take(c rune, at place) {
	if w.failed || w.done() || w.text[len(w.places)] != c {
		w.failed = true
		return
	}
	w.places = append(w.places, at)
}

func (w *walker) done() bool { return len(w.places) == len(w.text) }

// block walks a literal (|) or folded (>) text: YAML 1.2.2 §8.1.
func (w *walker) block(header place, folded bool) {
	indent := -1
	for n := header.line + 1; n <= len(w.lines) && !w.done() && !w.failed; n++ {
		line := []rune(w.lines[n-1])
		blank := strings.TrimSpace(string(line)) == ""
		if indent < 0 && !blank {
			for indent = 0; line[indent] == ' '; indent++ {
			}
		}
		if blank && (indent < 0 || len(line) <= indent) {
			w.take('\n', place{n, 1})
			continue
		}
		for i := indent; i < len(line) && !w.done(); i++ {
			w.take(line[i], place{n, i + 1})
		}
		if w.done() {
			return
		}
		end := place{n, len(line) + 1}
		switch next := w.text[len(w.places)]; {
		case next == '\n' && folded && n < len(w.lines) && strings.TrimSpace(w.lines[n]) == "":
			// The break before an empty line is the empty line's.
		case next == '\n' || next == ' ' && folded:
			w.take(next, end)
		default:
			w.failed = true
		}
	}
}

// flow walks a plain or quoted text: YAML 1.2.2 §7.3.
func (w *walker) flow(at place, quote rune) {
	for n := at.line; n <= len(w.lines) && !w.done() && !w.failed; n++ {
		line := []rune(strings.TrimRight(w.lines[n-1], " \t"))
		i := at.col - 1
		if n > at.line {
			i = len(line) - len([]rune(strings.TrimLeft(string(line), " \t")))
			w.fold(n, i, len(line) == 0)
		}
		for i < len(line) && !w.done() && !w.failed {
			i += w.char(line[i:], place{n, i + 1}, quote)
		}
	}
}

// fold takes what a line break became: a space, or a newline for each empty line.
func (w *walker) fold(n, col int, empty bool) {
	if w.done() {
		return
	}
	last := rune(0)
	if len(w.places) > 0 {
		last = w.text[len(w.places)-1]
	}
	switch {
	case empty:
		w.take('\n', place{n, 1})
	case last != '\n':
		w.take(' ', place{n, max(col, 1)})
	}
}

// char takes one character, which may be written with several; it returns how many.
func (w *walker) char(src []rune, at place, quote rune) int {
	switch {
	case quote == '\'' && src[0] == '\'' && len(src) > 1 && src[1] == '\'':
		w.take('\'', at)
		return 2
	case quote == '"' && src[0] == '\\' && len(src) > 1:
		if w.done() {
			return 1
		}
		w.take(w.text[len(w.places)], at) // whatever the escape means
		return map[rune]int{'x': 4, 'u': 6, 'U': 10}[src[1]] + map[bool]int{true: 2}[!strings.ContainsRune("xuU", src[1])]
	default:
		w.take(src[0], at)
		return 1
	}
}
