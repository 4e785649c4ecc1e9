package scim

import (
	"fmt"
	"slices"
	"strings"
)

// maxNotes bounds what one request can write into the log.
const maxNotes = 32

// notes collects what was read differently from how it was written. They name attributes, never their values; only what
// stood for true and false is quoted.
type notes struct{ list []string }

func (n *notes) add(format string, args ...any) {
	if len(n.list) >= maxNotes {
		return
	}
	if s := fmt.Sprintf(format, args...); !slices.Contains(n.list, s) {
		n.list = append(n.list, s)
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
