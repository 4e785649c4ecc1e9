package scim

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	elimity "github.com/elimity-com/scim/errors"
)

// Bounds of what one request can write into the log.
const (
	maxNotes = 32
	maxNote  = 300 // bytes
)

// notes collects what was read differently from how it was written. They name attributes, never their values; only what
// stood for true and false is quoted. For a strict source such a reading refuses the request before anything is done:
// what makes a note here is what strict does not take.
type notes struct {
	list        []string
	strict      bool
	differently bool  // something was read differently, or refused for that
	refused     error // strict: because of the first reading there was
}

// add notes a value of another form.
func (n *notes) add(format string, args ...any) {
	n.reading(elimity.ScimTypeInvalidValue, format, args)
}

// syntax notes a message of another form, and attributes that nobody knows.
func (n *notes) syntax(format string, args ...any) {
	n.reading(elimity.ScimTypeInvalidSyntax, format, args)
}

// path notes a PATCH path that is missing, or leads nowhere.
func (n *notes) path(format string, args ...any) {
	n.reading(elimity.ScimTypeInvalidPath, format, args)
}

// filter notes what the grammar of filters does not have.
func (n *notes) filter(format string, args ...any) {
	n.reading(elimity.ScimTypeInvalidFilter, format, args)
}

// profile refuses, where the source is strict, what the standard allows and the profiles do not.
func (n *notes) profile(kind elimity.ScimType, format string, args ...any) {
	if n.strict {
		n.remark(format, args...)
		n.refuse(kind, format, args)
	}
}

// include adds what was noted of a part of the request.
func (n *notes) include(part *notes) {
	for _, s := range part.list {
		n.remark("%s", s)
	}
	n.differently = n.differently || part.differently
}

// remark notes what is worth knowing and no other reading.
func (n *notes) remark(format string, args ...any) {
	if len(n.list) >= maxNotes {
		return
	}
	s := fmt.Sprintf(format, args...)
	if len(s) > maxNote { // blanks around a word are as many as the client likes
		s = strings.ToValidUTF8(s[:maxNote], "") + "…"
	}
	if !slices.Contains(n.list, s) {
		n.list = append(n.list, s)
	}
}

func (n *notes) reading(kind elimity.ScimType, format string, args []any) {
	n.differently = true
	n.remark(format, args...)
	if n.strict {
		n.refuse(kind, format, args)
	}
}

func (n *notes) refuse(kind elimity.ScimType, format string, args []any) {
	if n.refused == nil {
		n.refused = refuse(http.StatusBadRequest, kind, "The source is strict and takes no dialect: %s.", fmt.Sprintf(format, args...))
	}
}

// safeName makes a name that a client made up fit for a log line and an error: short, and of the characters names have.
func safeName(s string) string {
	const most = 80
	short := len(s) > most
	if short {
		s = s[:most]
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', strings.ContainsRune("$-_.:", r):
			return r
		}
		return '?'
	}, s)
	if short {
		s += "…"
	}
	return s
}
