package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Mistake is one thing that is wrong, and where.
type Mistake struct {
	File      string
	Line, Col int    // 1-based, in characters; 0 when the file as a whole is meant
	Text      string // what is wrong; what is expected
	Excerpt   string // the line, without secrets
	Caret     int    // 0-based place of the caret below Excerpt
	Lint      bool   // the configuration can be worked with; what was written cannot be what was meant
}

// String is the mistake with its excerpt, without a newline at the end.
func (m Mistake) String() string {
	if m.Line == 0 {
		return m.File + ": " + m.Text
	}
	head := fmt.Sprintf("%s:%d:%d: %s", m.File, m.Line, m.Col, m.Text)
	if m.Excerpt == "" {
		return head
	}
	number := fmt.Sprintf("%4d", m.Line)
	return fmt.Sprintf("%s\n%s | %s\n%s | %s^", head, number, m.Excerpt, strings.Repeat(" ", len(number)),
		strings.Repeat(" ", m.Caret))
}

// Mistakes is everything that is wrong with a file, sorted by place.
type Mistakes struct {
	List []Mistake

	config *Config
}

// Config is the configuration with its mistakes, when all of them are Lint; else nil. Whoever worked with it before may go on: a newer
// version may see what an older one did not.
func (e *Mistakes) Config() *Config { return e.config }

// Error prints all mistakes.
func (e *Mistakes) Error() string {
	parts := make([]string, len(e.List))
	for i, m := range e.List {
		parts[i] = m.String()
	}
	return strings.Join(parts, "\n")
}

// maxMistakes are shown; whoever has more has another problem.
const maxMistakes = 100

// report collects mistakes and warnings of one file.
type report struct {
	file     string
	lines    []string
	mistakes []Mistake
	warnings []Mistake
	hide     []span
}

// span is a part of a line that must not be shown, from a column up to before another; to 0 is the end of the line.
type span struct{ line, from, to int }

// place is where something is in the file.
type place struct{ line, col int }

func (r *report) mistake(at place, format string, args ...any) {
	r.mistakes = append(r.mistakes, r.at(at, format, args...))
}

// lint marks the mistakes from that one on.
func (r *report) lint(from int, lint bool) {
	for i := range r.mistakes[from:] {
		r.mistakes[from+i].Lint = lint
	}
}

func (r *report) warn(at place, format string, args ...any) {
	r.warnings = append(r.warnings, r.at(at, format, args...))
}

func (r *report) at(at place, format string, args ...any) Mistake {
	return Mistake{File: r.file, Line: at.line, Col: max(at.col, min(at.line, 1)), Text: printable(fmt.Sprintf(format, args...))}
}

// finish sorts, and adds the excerpts, now that it is known what must not be in them.
func (r *report) finish() (mistakes, warnings []Mistake) {
	return r.finished(r.mistakes), r.finished(r.warnings)
}

func (r *report) finished(list []Mistake) []Mistake {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col), cmp.Compare(a.Text, b.Text))
	})
	list = slices.CompactFunc(list, func(a, b Mistake) bool { return a.Line == b.Line && a.Col == b.Col && a.Text == b.Text })
	if more := len(list) - maxMistakes; more > 0 {
		lint := !slices.ContainsFunc(list[maxMistakes:], func(m Mistake) bool { return !m.Lint })
		list = append(list[:maxMistakes:maxMistakes], Mistake{File: r.file, Text: fmt.Sprintf("and %d more mistakes", more), Lint: lint})
	}
	for i := range list {
		m := &list[i]
		m.Excerpt, m.Caret = r.excerpt(place{m.Line, m.Col})
	}
	return list
}

const (
	excerptWidth = 140
	mask         = "********"
)

// excerpt is the line with the place somewhere in it, and where in it.
func (r *report) excerpt(at place) (string, int) {
	if at.line < 1 || at.line > len(r.lines) {
		return "", 0
	}
	text, caret := r.masked(at.line, max(at.col-1, 0))
	line := []rune(text)
	for i, c := range line {
		if !unicode.IsPrint(c) || c == utf8.RuneError {
			line[i] = ' '
		}
	}
	caret = min(caret, len(line))
	if start := caret - excerptWidth/2; len(line) > excerptWidth && start > 0 {
		line, caret = append([]rune("…"), line[start:]...), caret-start+1
	}
	if len(line) > excerptWidth {
		line = append(slices.Clone(line[:excerptWidth]), '…')
	}
	return strings.TrimRight(string(line), " "), caret
}

// masked is a line without what must not be shown: values that stand where a secret's place is expected, and, for files
// that are no YAML at all, whatever looks like one. The caret moves with the text.
func (r *report) masked(n, caret int) (string, int) {
	line := []rune(r.lines[n-1])
	spans := slices.DeleteFunc(slices.Clone(r.hide), func(s span) bool { return s.line != n })
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(b.from, a.from) }) // from the right
	for _, s := range spans {
		from, to := s.from-1, s.to-1
		if s.to == 0 || to > len(line) {
			to = len(line)
		}
		if from >= to {
			continue
		}
		line = slices.Concat(line[:from], []rune(mask), line[to:])
		if caret >= to {
			caret += len(mask) - (to - from)
		}
	}
	text := regexp.MustCompile(`(?i)(pass|pwd|token|secret|credential)([\w-]*["']?\s*:\s*)([^\s{*"].*|"[^*].*)`).
		ReplaceAllString(string(line), "${1}${2}"+mask)
	return regexp.MustCompile(`(://[^/\s:@]*:)[^/\s@]*@`).ReplaceAllString(text, "${1}"+mask+"@"), caret
}

// printable keeps messages on one line, whatever the file has in it.
func printable(s string) string {
	s = strings.NewReplacer("\n", " ", "\t", `\t`).Replace(s)
	return strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return '�'
		}
		return c
	}, s)
}
