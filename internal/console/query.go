package console

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

const maxOffset = 1_000_000

// parameter is one filter of the URL, cleaned: databases refuse NUL and broken UTF-8.
func parameter(r *http.Request, name string) string { return clean(r.URL.Query().Get(name)) }

// posted gives the fields of the form that was sent, cleaned.
func posted(r *http.Request) (func(name string) string, error) {
	if err := r.ParseForm(); err != nil {
		return nil, badRequest("The form could not be read.")
	}
	return func(name string) string { return clean(r.PostForm.Get(name)) }, nil
}

func clean(s string) string {
	s = strings.TrimSpace(strings.Map(func(c rune) rune {
		if c == unicode.ReplacementChar || unicode.IsControl(c) {
			return -1
		}
		return c
	}, strings.ToValidUTF8(s, "")))
	if len(s) > maxParameter {
		s = strings.TrimSpace(strings.ToValidUTF8(s[:maxParameter], ""))
	}
	return s
}

// choice is a filter that has to be one of the values, or absent.
func choice[T ~string](got string, values ...T) (T, error) {
	if got == "" || slices.Contains(values, T(got)) {
		return T(got), nil
	}
	return "", badRequest("There is no such filter value: " + got + ".")
}

func offset(r *http.Request) (int, error) {
	s := parameter(r, "offset")
	if s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > maxOffset {
		return 0, badRequest("The page number is out of range. Narrow the list with a search instead.")
	}
	return n, nil
}

// pager leads to the pages beside this one.
type pager struct{ First, Previous, Next string }

// more cuts off the extra row that was asked for to see whether there is a next page.
func more[T any](rows []T, limit int) ([]T, bool) {
	if len(rows) > limit {
		return rows[:limit], true
	}
	return rows, false
}

func offsetPager(path string, off int, next bool, pairs ...string) pager {
	var p pager
	at := func(n int) string {
		s := ""
		if n > 0 {
			s = strconv.Itoa(n)
		}
		return link(path, append(slices.Clone(pairs), "offset", s)...)
	}
	if off > 0 {
		p.Previous = at(max(0, off-pageRows))
	}
	if next {
		p.Next = at(off + pageRows)
	}
	return p
}
