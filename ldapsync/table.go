package ldapsync

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
	"golang.org/x/text/unicode/norm"

	"jmld/model"
)

// mark says in which passes an id was seen.
type mark uint8

const (
	userListed mark = 1 << iota
	userRead
	groupListed
	groupRead
)

// table is all that is kept of the entries read: ids, the passes they were seen in, and hashed names. It is made for millions, and
// none of it is a pointer.
type table struct {
	ids   *model.IDs
	marks []mark // by number, of the first of them
	names names
}

func newTable() *table { return &table{ids: &model.IDs{}} }

// number is the number of an id, which need not have been seen in a pass.
func (t *table) number(id string) int {
	n, _ := t.ids.Add(id)
	return n
}

// note records that the id was seen in a pass, and returns its number. It is false when it was seen in it before, or as the other
// kind.
func (t *table) note(id []byte, m mark) (n int, fine bool) {
	n, _ = t.ids.AddBytes(id)
	if more := t.ids.Len() - len(t.marks); more > 0 {
		t.marks = append(t.marks, make([]mark, more)...)
	}
	have := t.marks[n]
	t.marks[n] = have | m
	const users, groups = userListed | userRead, groupListed | groupRead
	mixed := have&users != 0 && m&groups != 0 || have&groups != 0 && m&users != 0
	return n, have&m == 0 && !mixed
}

// mark says in which passes an id was seen.
func (t *table) mark(id string) mark {
	if n, ok := t.ids.Find(id); ok && n < len(t.marks) {
		return t.marks[n]
	}
	return 0
}

// pass marks the ids listed in the first pass as seen in the second, too: they are not to be read there. But those that are.
func (t *table) pass(first, second mark, but map[string]bool) {
	apart := map[int]bool{}
	for id, is := range but {
		if n, ok := t.ids.Find(id); ok && is {
			apart[n] = true
		}
	}
	for n, have := range t.marks {
		if have&first != 0 && !apart[n] {
			t.marks[n] = have | second
		}
	}
}

// count returns how many ids carry all of m.
func (t *table) count(m mark) int {
	n := 0
	for _, have := range t.marks {
		if have&m == m {
			n++
		}
	}
	return n
}

// any says whether an id carries all of m.
func (t *table) any(m mark) bool {
	return slices.ContainsFunc(t.marks, func(have mark) bool { return have&m == m })
}

// lost returns how many ids were listed and not read again.
func (t *table) lost() int {
	n := 0
	for _, have := range t.marks {
		if have&userListed != 0 && have&userRead == 0 || have&groupListed != 0 && have&groupRead == 0 {
			n++
		}
	}
	return n
}

// resolve returns the id of the entry with the DN.
func (t *table) resolve(dn []byte) (string, bool) {
	key, err := dnKey(dn)
	if err != nil {
		return "", false
	}
	return t.named(key)
}

// named returns the id of the entry that the key belongs to; "" when it belongs to several people.
func (t *table) named(key nameKey) (string, bool) {
	n, ok := t.names.find(key)
	if !ok || n == severalPeople {
		return "", ok
	}
	return t.ids.ID(int(n)), true
}

// dnKey makes one key of the spellings of a DN (RFC 4514 §2, RFC 4518 §2): attribute types and values without case,
// insignificant space and escaping aside, the parts of a multi-valued RDN in any order. Values are compared without
// case whatever their syntax; no directory has two people whose DNs differ in case only.
func dnKey[T string | []byte](name T) (nameKey, error) {
	var room [256]byte
	if text, ok := plainDN(room[:0], name); ok {
		return hashName(text), nil
	}
	dn := string(name)
	if i := strings.LastIndexByte(dn, '#'); i > 0 && strings.HasSuffix(dn, "'B") {
		dn = dn[:i] // RFC 4517 §3.3.21: name and optional UID, the syntax of uniqueMember
	}
	d, err := ldap.ParseDN(dn)
	if err != nil {
		return nameKey{}, fmt.Errorf("not a DN: %w", err)
	}
	if len(d.RDNs) == 0 {
		return nameKey{}, fmt.Errorf("not a DN: empty")
	}
	var b []byte
	for i, rdn := range d.RDNs {
		if i > 0 {
			b = append(b, 0)
		}
		parts := make([]string, len(rdn.Attributes))
		for j, a := range rdn.Attributes {
			parts[j] = strings.ToLower(a.Type) + "=" + model.FoldKey(norm.NFKC.String(a.Value))
		}
		slices.Sort(parts)
		b = append(b, strings.Join(parts, "\x01")...)
	}
	return hashName(b), nil
}

func hashName(b []byte) nameKey {
	sum := sha256.Sum256(b)
	return nameKey(sum[:12])
}

// plainDN normalises a DN without escapes, several values in an RDN, spaces around separators or anything but ASCII:
// nearly all there are. It appends to b.
func plainDN[T string | []byte](b []byte, dn T) ([]byte, bool) {
	have := len(b)
	b = slices.Grow(b, len(dn))[:have+len(dn)] // each byte becomes one
	out := b[have:]
	inValue := false
	for i := range out {
		c := dn[i]
		if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' { // nearly all
			out[i] = c
			continue
		}
		last := byte(',')
		if i > 0 {
			last = dn[i-1]
		}
		switch {
		case c < 0x20, c >= 0x7f, strings.IndexByte(`\"+#;<>`, c) >= 0:
			return nil, false
		case c == ',':
			if !inValue || last == ' ' || last == '=' {
				return nil, false
			}
			inValue = false
			c = 0
		case c == '=':
			if inValue || last == ',' || last == ' ' {
				return nil, false
			}
			inValue = true
		case c == ' ':
			if !inValue || last == ' ' || last == '=' {
				return nil, false
			}
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		out[i] = c
	}
	return b, inValue && len(dn) > 0 && dn[len(dn)-1] != '=' && dn[len(dn)-1] != ' '
}
