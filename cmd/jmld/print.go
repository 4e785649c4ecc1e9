package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-isatty"

	"jmld/model"
)

// printJSON writes one document. Every document has a schema with a version; names in it do not change within one.
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// printf writes text; the first error stops the command at flush, where it is seen.
func (a *app) printf(format string, args ...any) { fmt.Fprintf(a.stdout, format, args...) }

// table aligns columns by what is seen: colour is put on after measuring.
type table struct {
	w    io.Writer
	rows [][]string
	tint func(row []string, column int, cell string) string // may be nil
}

func newTable(w io.Writer) *table { return &table{w: w} }

func (t *table) row(cells ...string) {
	for i := range cells {
		cells[i] = line(cells[i])
	}
	t.rows = append(t.rows, cells)
}

// indented is a row below a heading.
func (t *table) indented(cells ...string) {
	t.row(cells...)
	last := t.rows[len(t.rows)-1]
	last[0] = "  " + last[0]
}

func (t *table) flush() error {
	var widths []int
	for _, r := range t.rows {
		for i, c := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if i < len(r)-1 { // the last cell of a row needs no width
				widths[i] = max(widths[i], utf8.RuneCountInString(c))
			}
		}
	}
	for _, r := range t.rows {
		var b strings.Builder
		for i, c := range r {
			pad := 0
			if i < len(r)-1 {
				pad = widths[i] - utf8.RuneCountInString(c) + 2
			}
			if t.tint != nil {
				c = t.tint(r, i, c)
			}
			b.WriteString(c)
			b.WriteString(strings.Repeat(" ", pad))
		}
		if _, err := fmt.Fprintln(t.w, strings.TrimRight(b.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// clean makes text from outside safe for a terminal and for one line: directories can hold escape sequences.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r), r == '\u2028', r == '\u2029', '\u202a' <= r && r <= '\u202e', '\u2066' <= r && r <= '\u2069':
			return '\uFFFD'
		}
		return r
	}, s)
}

// line is clean on one line.
func line(s string) string { return strings.Join(strings.Fields(clean(s)), " ") }

// colour is off unless standard output is a terminal and NO_COLOR is empty (no-color.org).
func (a *app) colour(code, s string) string {
	if a.getenv("NO_COLOR") != "" || a.getenv("TERM") == "dumb" || !isTerminal(a.stdout) {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// symbol is the operation, coloured.
func (a *app) symbol(op model.Op) string {
	switch op {
	case model.OpCreate, model.OpReactivate:
		return a.colour("32", string(op))
	case model.OpUpdate:
		return a.colour("33", string(op))
	case model.OpDeactivate, model.OpDelete:
		return a.colour("31", string(op))
	}
	return a.colour("35", string(op))
}

// at prints a time as people read it; JSON has it in full.
func at(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

func atPtr(t *time.Time) string {
	if t == nil {
		return ""
	}
	return at(*t)
}

// count is "1 change", "2 changes"; what is irregular passes its plural.
func count(n int, one string, plural ...string) string {
	many := one + "s"
	if len(plural) > 0 {
		many = plural[0]
	}
	if n == 1 {
		many = one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// short is a duration without noise: 1.2s, 3m4s.
func short(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// object is stored JSON for a JSON answer: what is not JSON is shown as a string and not lost.
func object(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	quoted, err := json.Marshal(text)
	if err != nil { // a string always marshals
		return nil
	}
	return quoted
}
