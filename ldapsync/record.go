package ldapsync

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
	"golang.org/x/text/unicode/norm"

	"jmld/ldapsync/wire"
	"jmld/model"
)

// maxValue bounds one value of a mapped attribute.
const maxValue = 1 << 20

// content is what an entry says about a person. Its memory is used again for the next one.
type content struct {
	values      [][][]byte // by slot
	spelled     spellings  // see mapping.collect
	x           filler
	text        []byte   // canonical JSON, with references left open
	refs        []named  // these
	part        [16]byte // hash of the text
	hash        [16]byte // of that and of whom the references name
	active      bool
	userName    []byte
	displayName []byte
	unknown     []string
	doubts      []string // what is unknown, and why
	b           []byte
}

// person makes a user record of an entry. doubts says what is unknown about it, and why.
func (s *Source) person(e *wire.Entry, id string, resolve func(dn []byte) (string, bool)) (out model.Entry, doubts []string, err error) {
	var c content
	if err := s.read(&c, e); err != nil {
		return out, nil, err
	}
	return s.entry(&c, id, resolve), c.doubts, nil
}

// read reads the content of an entry, but for whom its references name. The same content has the same text and hash, in whatever order
// the directory gives attributes and values: both are sets (RFC 4512 §2.2).
func (s *Source) read(c *content, e *wire.Entry) error {
	m := &s.people
	if c.values == nil {
		c.values = make([][][]byte, m.size)
	}
	clear(c.values)
	c.unknown, c.doubts, c.active = nil, nil, true
	if err := m.collect(e, c.values, &c.spelled); err != nil {
		return err
	}
	if len(m.computed) > 0 {
		c.unknown, c.doubts = m.compute(e.DN, c.values)
	}
	if len(m.rules) > 0 {
		status := m.status(c.values, s.now())
		if c.active = status.Active; status.Err != nil {
			c.unknown, c.doubts = append(c.unknown, "/active"), append(c.doubts, "active: "+status.Err.Error())
		}
	}
	c.userName = choose(c.values[m.userName.slot], e.DN, m.userName.attr)
	if blank(c.userName) && !slices.Contains(c.unknown, m.userName.pointer()) {
		return errors.New("it has no userName (" + m.userName.says() + ")")
	}
	if c.displayName = nil; m.displayName.path != "" {
		c.displayName = choose(c.values[m.displayName.slot], e.DN, m.displayName.attr)
	}
	c.x = filler{values: c.values, dn: e.DN, active: c.active, unknown: c.unknown, refs: c.refs[:0]}
	c.text = c.x.object(c.text[:0], m.shape)
	c.refs = c.x.refs
	slices.Sort(c.unknown)
	c.unknown = slices.Compact(c.unknown)
	c.b, c.part = hashContent(c.b, model.KindUser, c.text, c.unknown)
	c.hash = c.part
	return nil
}

// addNamed adds one reference to what hashNamed hashes; "" names nobody.
func addNamed[T string | []byte](b []byte, id T) []byte {
	return append(append(b, byte(len(id)>>8), byte(len(id))), id...)
}

// hashNamed is the hash of a content of which part is the hash without the references.
func hashNamed(part [16]byte, b []byte) [16]byte {
	if len(b) == 0 {
		return part
	}
	sum := sha256.Sum256(append(b, part[:]...))
	return [16]byte(sum[:16])
}

// entry makes a record of the content that was read last.
func (s *Source) entry(c *content, id string, resolve func(dn []byte) (string, bool)) model.Entry {
	c.b = c.b[:0]
	for _, r := range c.refs {
		is, _ := resolve(r.dn)
		c.b = addNamed(c.b, is)
	}
	c.hash = hashNamed(c.part, c.b)
	if len(c.refs) > 0 {
		c.x.resolve = resolve
		c.text = c.x.object(c.text[:0], s.people.shape)
	}
	out := model.Entry{Unknown: c.unknown, Dangling: c.x.dangling}
	out.Record = model.Record{Kind: model.KindUser, ID: id, UserName: string(c.userName), DisplayName: string(c.displayName), Active: c.active}
	out.UserNameKey = foldKey(out.UserName)
	s.complete(&out.Record, c.text, c.hash)
	return out
}

// complete fills what follows from the rest.
func (s *Source) complete(r *model.Record, text []byte, hash [16]byte) {
	r.Source, r.ExternalID = s.o.Name, r.ID
	r.DisplayNameKey = foldKey(r.DisplayName)
	r.Attrs = string(text)
	r.Hash = append([]byte(nil), hash[:]...)
}

// hashContent hashes a text, and more content beside it. It uses the memory of b.
func hashContent(b []byte, kind model.Kind, text []byte, more []string) ([]byte, [16]byte) {
	b = append(binary.BigEndian.AppendUint32(b[:0], uint32(len(kind))), kind...)
	b = append(binary.BigEndian.AppendUint32(b, uint32(len(text))), text...)
	if len(more) == 0 {
		sum := sha256.Sum256(b)
		return b, [16]byte(sum[:16])
	}
	sum := sha256.New()
	for _, m := range more { // which may be many
		if len(b) > 8<<10 {
			sum.Write(b)
			b = b[:0]
		}
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(m))), m...)
	}
	sum.Write(b)
	return b, [16]byte(sum.Sum(nil))
}

// blank says whether nothing is left of the text when it is folded.
func blank(text []byte) bool {
	for _, c := range text {
		if ' ' < c && c < 0x7f {
			return false
		}
	}
	return foldKey(string(text)) == ""
}

// texts returns the values of an attribute as sorted text without duplicates and without empty ones.
func texts(a *wire.Attr) ([][]byte, error) {
	if len(a.Values) == 1 && len(a.Values[0]) <= maxValue && plain(a.Values[0]) { // nearly all
		return a.Values, nil
	}
	for _, v := range a.Values {
		switch {
		case len(v) > maxValue:
			return nil, fmt.Errorf("a value of %s has %d bytes, more than %d", a.Name, len(v), maxValue)
		case !utf8.Valid(v):
			return nil, fmt.Errorf("a value of %s is not UTF-8", a.Name)
		case bytes.IndexByte(v, 0) >= 0:
			return nil, fmt.Errorf("a value of %s has a zero byte", a.Name)
		}
	}
	if len(a.Values) == 1 && len(bytes.TrimSpace(a.Values[0])) > 0 {
		return a.Values, nil
	}
	list := make([][]byte, 0, len(a.Values))
	for _, v := range a.Values {
		if len(bytes.TrimSpace(v)) > 0 {
			list = append(list, v)
		}
	}
	slices.SortFunc(list, bytes.Compare)
	return slices.CompactFunc(list, bytes.Equal), nil
}

// plain says whether the value is ASCII without a zero byte, and not blank.
func plain(v []byte) bool {
	says := false
	for _, c := range v {
		if c == 0 || c >= utf8.RuneSelf {
			return false
		}
		says = says || c > ' '
	}
	return says
}

// choose returns the one value a single-valued attribute has in SCIM: the one that names the entry (RFC 4512 §2.3.1:
// the server keeps it among the values), or the least.
func choose(sorted [][]byte, dn, attr string) []byte {
	if len(sorted) == 0 {
		return nil
	}
	if len(sorted) > 1 {
		if d, err := ldap.ParseDN(dn); err == nil && len(d.RDNs) > 0 {
			for _, a := range d.RDNs[0].Attributes {
				if !strings.EqualFold(a.Type, attr) {
					continue
				}
				for _, v := range sorted {
					if strings.EqualFold(string(v), a.Value) {
						return v
					}
				}
			}
		}
	}
	return sorted[0]
}

// foldKey is model.FoldKey after Unicode form NFKC.
func foldKey(s string) string { return model.FoldKey(norm.NFKC.String(s)) }
