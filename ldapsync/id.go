package ldapsync

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

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
	switch strings.ToLower(attr) {
	case "objectguid", "msexchmailboxguid", "ms-ds-consistencyguid":
		// Active Directory keeps the first three parts with their low byte first.
		if len(v) != 16 {
			return "", fmt.Errorf("%s has %d bytes, want 16", attr, len(v))
		}
		return uuidText([]byte{v[3], v[2], v[1], v[0], v[5], v[4], v[7], v[6], v[8], v[9], v[10], v[11], v[12], v[13], v[14], v[15]}), nil
	case "guid": // eDirectory
		if len(v) != 16 {
			return "", fmt.Errorf("%s has %d bytes, want 16", attr, len(v))
		}
		return uuidText(v), nil
	case "objectsid":
		return sidText(v)
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

func uuidText(b []byte) string {
	s := hex.EncodeToString(b)
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// sidText writes a Windows security identifier: revision, count of parts, authority with its high byte first, parts
// with their low byte first.
func sidText(v []byte) (string, error) {
	if len(v) < 8 || len(v) != 8+4*int(v[1]) {
		return "", errors.New("objectSid has the wrong length")
	}
	var authority [8]byte
	copy(authority[2:], v[2:8])
	s := fmt.Sprintf("s-%d-%d", v[0], binary.BigEndian.Uint64(authority[:]))
	for p := v[8:]; len(p) > 0; p = p[4:] {
		s += "-" + strconv.FormatUint(uint64(binary.LittleEndian.Uint32(p)), 10)
	}
	return s, nil
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
