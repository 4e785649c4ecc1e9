package entry

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Type is how the values of an LDAP attribute are turned into text.
type Type string

// The types. The zero value leaves the choice to TypeOf.
const (
	Auto      Type = ""
	Text      Type = "text"
	Boolean   Type = "boolean"          // RFC 4517 §3.3.3
	Integer   Type = "integer"          // RFC 4517 §3.3.16
	Time      Type = "generalized-time" // RFC 4517 §3.3.13
	FileTime  Type = "filetime"         // 100 ns since 1601; 0 and the greatest are never
	Days      Type = "days"             // since 1970, as in shadowExpire (RFC 2307); negative is never
	GUID      Type = "guid"             // of Active Directory: 16 bytes, the first three parts with their low byte first
	UUID      Type = "uuid"             // 16 bytes in the order of RFC 9562, as in eDirectory's GUID
	SID       Type = "sid"              // Windows security identifier
	Base64    Type = "base64"           // any bytes
	Reference Type = "reference"        // the record id of the entry a DN names
)

// Types lists them as they are written.
func Types() []string {
	return []string{
		string(Text), string(Boolean), string(Integer), string(Time), string(FileTime), string(Days), string(GUID), string(UUID), string(SID),
		string(Base64), string(Reference),
	}
}

// TypeOf is the type an attribute has when nobody says otherwise.
func TypeOf(attr string) Type {
	switch strings.ToLower(attr) {
	case "objectguid", "ms-ds-consistencyguid", "msexchmailboxguid":
		return GUID
	case "guid":
		return UUID
	case "objectsid":
		return SID
	case "accountexpires", "pwdlastset", "lastlogon", "lastlogontimestamp", "lockouttime", "badpasswordtime":
		return FileTime
	case "whencreated", "whenchanged", "createtimestamp", "modifytimestamp", "krbprincipalexpiration", "krbpasswordexpiration", "pwdchangedtime":
		return Time
	case "shadowexpire", "shadowlastchange":
		return Days
	}
	return Text
}

// Binary says whether values are bytes rather than text.
func (t Type) Binary() bool { return t == GUID || t == UUID || t == SID || t == Base64 }

// Literal says whether converted values stand in JSON without quotes.
func (t Type) Literal() bool { return t == Boolean || t == Integer }

// errNever is the value that says there is none: an account that never expires.
var errNever = errors.New("never")

// Convert turns one value into text; "" is no value. Times are written as RFC 3339 in UTC. References are the caller's.
func (t Type) Convert(v []byte) (string, error) {
	switch t {
	case Boolean:
		switch strings.ToUpper(string(v)) { // Active Directory and OpenLDAP write upper case, 389 Directory Server either
		case "TRUE":
			return "true", nil
		case "FALSE":
			return "false", nil
		}
		return "", fmt.Errorf("%q is not TRUE or FALSE", clip(v))
	case Integer:
		n, err := strconv.ParseInt(string(v), 10, 64)
		if err != nil {
			return "", fmt.Errorf("%q is not a whole number", clip(v))
		}
		return strconv.FormatInt(n, 10), nil
	case Time, FileTime, Days:
		at, err := t.time(v)
		if errors.Is(err, errNever) {
			return "", nil
		} else if err != nil {
			return "", err
		}
		return at.Format(time.RFC3339Nano), nil
	case GUID:
		if len(v) != 16 {
			return "", fmt.Errorf("it has %d bytes, want 16", len(v))
		}
		return uuidText([]byte{v[3], v[2], v[1], v[0], v[5], v[4], v[7], v[6], v[8], v[9], v[10], v[11], v[12], v[13], v[14], v[15]}), nil
	case UUID:
		if len(v) != 16 {
			return "", fmt.Errorf("it has %d bytes, want 16", len(v))
		}
		return uuidText(v), nil
	case SID:
		return sidText(v)
	case Base64:
		return base64.StdEncoding.EncodeToString(v), nil
	}
	if !utf8.Valid(v) {
		return "", errors.New("it is not UTF-8")
	}
	return string(v), nil
}

// time reads a point in time; errNever when the value says that there is none.
func (t Type) time(v []byte) (time.Time, error) {
	switch t {
	case FileTime:
		const epoch = 116_444_736_000_000_000 // 1970 in units of 100 ns since 1601
		n, err := strconv.ParseInt(string(v), 10, 64)
		switch {
		case err != nil || n < 0:
			return time.Time{}, fmt.Errorf("%q is not a FILETIME", clip(v))
		case n == 0 || n == math.MaxInt64:
			return time.Time{}, errNever
		}
		n -= epoch
		at := time.Unix(n/1e7, n%1e7*100).UTC()
		if at.Year() > 9999 {
			return time.Time{}, errNever
		}
		return at, nil
	case Days:
		n, err := strconv.ParseInt(string(v), 10, 64)
		switch {
		case err != nil:
			return time.Time{}, fmt.Errorf("%q is not a number of days", clip(v))
		case n < 0 || n > 2_932_896: // the year 9999
			return time.Time{}, errNever
		}
		return time.Unix(n*86_400, 0).UTC(), nil
	}
	return parseTime(string(v))
}

// parseTime reads RFC 4517 §3.3.13: minutes, seconds and a fraction of the last of them may be missing, the zone may not.
func parseTime(s string) (time.Time, error) {
	bad := fmt.Errorf("%q is not a generalized time", clip([]byte(s)))
	digits := 0
	for digits < len(s) && '0' <= s[digits] && s[digits] <= '9' {
		digits++
	}
	layout, unit := "", time.Duration(0)
	switch digits {
	case 10:
		layout, unit = "2006010215", time.Hour
	case 12:
		layout, unit = "200601021504", time.Minute
	case 14:
		layout, unit = "20060102150405", time.Second
	default:
		return time.Time{}, bad
	}
	at, err := time.Parse(layout, s[:digits])
	if err != nil {
		return time.Time{}, bad
	}
	rest := s[digits:]
	if rest != "" && (rest[0] == '.' || rest[0] == ',') {
		n := 1
		for n < len(rest) && '0' <= rest[n] && rest[n] <= '9' {
			n++
		}
		fraction, err := strconv.ParseFloat("0."+rest[1:n], 64)
		if err != nil || n == 1 || n > 12 {
			return time.Time{}, bad
		}
		at = at.Add(time.Duration(math.Round(fraction*float64(unit)/1e3)) * time.Microsecond)
		rest = rest[n:]
	}
	if rest == "Z" {
		return at, nil
	}
	for _, zone := range []string{"-0700", "-07"} {
		if z, err := time.Parse(zone, rest); err == nil {
			_, offset := z.Zone()
			return at.Add(-time.Duration(offset) * time.Second), nil
		}
	}
	return time.Time{}, bad
}

func uuidText(b []byte) string {
	s := hex.EncodeToString(b)
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// sidText writes a Windows security identifier: revision, count of parts, authority with its high byte first, parts
// with their low byte first.
func sidText(v []byte) (string, error) {
	if len(v) < 8 || len(v) != 8+4*int(v[1]) {
		return "", errors.New("it has the wrong length for a security identifier")
	}
	var authority [8]byte
	copy(authority[2:], v[2:8])
	s := fmt.Sprintf("S-%d-%d", v[0], binary.BigEndian.Uint64(authority[:]))
	for p := v[8:]; len(p) > 0; p = p[4:] {
		s += "-" + strconv.FormatUint(uint64(binary.LittleEndian.Uint32(p)), 10)
	}
	return s, nil
}

// clip makes a value short enough for a message.
func clip(v []byte) string {
	const enough = 40
	if len(v) > enough {
		return string(v[:enough]) + "…"
	}
	return string(v)
}
