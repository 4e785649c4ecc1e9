package ldapsync

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"jmld/jml/entry"
	"jmld/ldapsync/wire"
)

// maxID bounds an id's text.
const maxID = 255

// entryID returns the entry's immutable id.
func (s *Source) entryID(e *wire.Entry) (string, error) {
	values := rawValues(e, s.o.ID)
	if len(values) != 1 {
		return "", fmt.Errorf("it has %d values of %s, want 1", len(values), s.o.ID)
	}
	return decodeID(s.o.ID, values[0])
}

// decodeID turns the value of an id attribute into text. Known binary ones have a form of their own; all others are
// text, compared without case.
func decodeID(attr string, v []byte) (string, error) {
	if t := entry.TypeOf(attr); t.Binary() {
		id, err := t.Convert(v)
		if err != nil {
			return "", fmt.Errorf("%s: %w", attr, err)
		}
		return strings.ToLower(id), nil
	}
	if !utf8.Valid(v) {
		return "", fmt.Errorf("%s is not text", attr)
	}
	id := strings.ToLower(strings.TrimSpace(string(v)))
	switch {
	case id == "":
		return "", fmt.Errorf("%s is empty", attr)
	case len(id) > maxID:
		return "", fmt.Errorf("%s has %d bytes, more than %d", attr, len(id), maxID)
	case strings.IndexFunc(id, func(r rune) bool { return r < 0x20 || r == 0x7f }) >= 0:
		return "", fmt.Errorf("%s has control characters", attr)
	}
	return id, nil
}

// plainID says whether the value is text of an id as it stands, but for its case.
func plainID(v []byte) bool {
	for _, c := range v {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return len(v) > 0 && len(v) <= maxID
}

func appendLower(b, v []byte) []byte {
	for _, c := range v {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return b
}

// rawValues returns the values of an attribute as they came, its name compared without case.
func rawValues(e *wire.Entry, attr string) [][]byte {
	for _, a := range e.Attrs {
		if strings.EqualFold(a.Name, attr) {
			return a.Values
		}
	}
	return nil
}

// printable makes a DN fit for a log line or a table: tombstones have line feeds in theirs.
func printable(dn string) string {
	if utf8.ValidString(dn) && strings.IndexFunc(dn, func(r rune) bool { return r < 0x20 || r == 0x7f }) < 0 {
		return dn
	}
	return strconv.Quote(dn)
}
