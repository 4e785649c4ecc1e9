package wire

import (
	"errors"
	"fmt"
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// Search is a request, RFC 4511 §4.5.1. Aliases are never followed, and the client asks for no size limit.
type Search struct {
	Base      string
	Scope     int // ldap.ScopeBaseObject, …
	TimeLimit int // seconds
	Filter    string
	Attrs     []string
	PageSize  int // 0: not paged
	Cookie    []byte
	Controls  []ldap.Control // beside the one for pages
	Want      string         // OID of a control of the final answer that is handed out
}

// Bounds of one entry; its message is bounded anyway, but values may be shorter than what is kept to find them.
const (
	maxAttrs  = 10_000
	maxValues = 2_000_000
	keepVals  = 100_000
)

// Entry is one entry found. Its values and the slices they stand in are used again for the next one: keep copies.
type Entry struct {
	DN    string
	Attrs []Attr
}

// Attr is an attribute description with its values.
type Attr struct {
	Name   string
	Values [][]byte
}

// Done is the end of a search.
type Done struct {
	Entries    int
	References int // continuation references, RFC 4511 §4.5.3: parts that other servers hold
	Reference  string
	Paged      bool   // the server sent the paging control, RFC 2696
	Cookie     []byte // of the next page; empty: there is none
	Wanted     []byte // value of the control wanted; nil: it did not come
}

// refer counts a continuation reference, and keeps the first.
func (d *Done) refer(m message) error {
	if d.References++; d.Reference != "" {
		return nil
	}
	uri, _, err := next(m.body)
	d.Reference = string(uri.body)
	return err
}

// Search hands each entry to each and returns after the server's final answer. No error means that this answer came,
// with success, and that every entry before it was handed over. An error of each ends the search in its midst: the
// connection can only be closed then. Another result than success is a *ldap.Error.
func (c *Conn) Search(s Search, each func(*Entry) error) (Done, error) {
	var d Done
	op, controls, err := s.encode()
	if err != nil {
		return d, err
	}
	if err := c.send(op, controls); err != nil {
		return d, err
	}
	for {
		c.pace.entries, c.pace.page = d.Entries, s.PageSize
		m, err := c.receive()
		if err != nil {
			return d, err
		}
		switch m.op {
		case opSearchEntry:
			if err := c.entry(m); err != nil {
				return d, c.fail(err)
			}
			d.Entries++
			if err := each(&c.e); err != nil {
				return d, err
			}
		case opSearchReference:
			if err := d.refer(m); err != nil {
				return d, c.fail(err)
			}
		case opSearchDone:
			if _, err := c.result(m); err != nil {
				return d, err
			}
			if d.Paged, d.Cookie, err = pagingOf(m.controls); err != nil {
				return d, c.fail(err)
			}
			if s.Want != "" {
				value, found, err := control(m.controls, s.Want)
				if err != nil {
					return d, c.fail(err)
				}
				if found {
					d.Wanted = append([]byte{}, value...)
				}
			}
			return d, nil
		default:
			return d, c.unexpected(m)
		}
	}
}

func (s Search) encode() (*ber.Packet, []ldap.Control, error) {
	filter, err := ldap.CompileFilter(s.Filter)
	if err != nil {
		return nil, nil, err
	}
	enumerated := func(n int) *ber.Packet {
		return ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, int64(n), "")
	}
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchRequest, nil, "search")
	op.AppendChild(octets(s.Base))
	op.AppendChild(enumerated(s.Scope))
	op.AppendChild(enumerated(ldap.NeverDerefAliases))
	op.AppendChild(integer(0))
	op.AppendChild(integer(int64(s.TimeLimit)))
	op.AppendChild(ber.NewBoolean(ber.ClassUniversal, ber.TypePrimitive, ber.TagBoolean, false, "typesOnly"))
	op.AppendChild(filter)
	attrs := ber.NewSequence("attributes")
	for _, a := range s.Attrs {
		attrs.AppendChild(octets(a))
	}
	op.AppendChild(attrs)
	if s.PageSize == 0 {
		return op, s.Controls, nil
	}
	paging := ldap.NewControlPaging(uint32(s.PageSize))
	paging.SetCookie(s.Cookie)
	return op, append([]ldap.Control{paging}, s.Controls...), nil
}

// entry decodes a SearchResultEntry into c.e, RFC 4511 §4.5.2.
func (c *Conn) entry(m message) error {
	dn, rest, err := expect(m.body, tagOctets)
	if err != nil {
		return err
	}
	attrs, rest, err := expect(rest, tagSequence)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return errMalformed
	}
	if cap(c.vals) > keepVals {
		c.vals = nil
	}
	c.e.DN, c.e.Attrs, c.vals = c.text(dn), c.e.Attrs[:0], c.vals[:0]
	for len(attrs) > 0 {
		var attr []byte
		if attr, attrs, err = expect(attrs, tagSequence); err != nil {
			return err
		}
		name, attr, err := expect(attr, tagOctets)
		if err != nil {
			return err
		}
		set, attr, err := expect(attr, tagSet)
		if err != nil {
			return err
		}
		if len(attr) > 0 {
			return errMalformed
		}
		first := len(c.vals)
		for len(set) > 0 {
			var v []byte
			if v, set, err = expect(set, tagOctets); err != nil {
				return err
			}
			if len(c.vals) == maxValues {
				return fmt.Errorf("the server sent an entry with more than %d values", maxValues)
			}
			c.vals = append(c.vals, v)
		}
		if len(c.e.Attrs) == maxAttrs {
			return fmt.Errorf("the server sent an entry with more than %d attributes", maxAttrs)
		}
		c.e.Attrs = append(c.e.Attrs, Attr{c.name(name), c.vals[first:len(c.vals):len(c.vals)]})
	}
	return nil
}

// text makes a string, in memory that it shares with others: nearly all are gone with the next entry.
func (c *Conn) text(b []byte) string {
	const room = 16 << 10
	if c.texts.Cap()-c.texts.Len() < len(b) {
		c.texts = strings.Builder{}
		c.texts.Grow(max(room, len(b)))
	}
	at := c.texts.Len()
	c.texts.Write(b) //nolint:errcheck // it has no error
	return c.texts.String()[at:]
}

// name returns the same string for the same bytes. A server that invents names without end gets new ones.
func (c *Conn) name(b []byte) string {
	if n := len(c.e.Attrs); n < cap(c.e.Attrs) { // a server keeps to an order
		if before := c.e.Attrs[:n+1][n].Name; before == string(b) {
			return before
		}
	}
	if s, ok := c.names[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(c.names) < 1000 {
		c.names[s] = s
	}
	return s
}

// pagingOf finds the paging control among the controls of a final answer, RFC 2696 §2.
func pagingOf(controls []byte) (found bool, cookie []byte, err error) {
	for len(controls) > 0 {
		oid, value, rest, err := nextControl(controls)
		if err != nil {
			return false, nil, err
		}
		if controls = rest; oid != ldap.ControlTypePaging {
			continue
		}
		seq, _, err := expect(value, tagSequence)
		if err != nil {
			return false, nil, err
		}
		_, seq, err = expect(seq, tagInteger)
		if err != nil {
			return false, nil, err
		}
		c, _, err := expect(seq, tagOctets)
		if err != nil {
			return false, nil, err
		}
		if found {
			return false, nil, errors.New("the server sent two paging controls")
		}
		found, cookie = true, append([]byte(nil), c...)
	}
	return found, cookie, nil
}

// String is for messages.
func (d Done) String() string {
	return fmt.Sprintf("%d entries, %d references", d.Entries, d.References)
}
