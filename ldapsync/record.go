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

// person makes a user record of an entry. The same content makes the same record, in whatever order the directory
// gives attributes and values: both are sets (RFC 4512 §2.2). doubts says what is unknown about it, and why.
func (s *Source) person(e *wire.Entry, id string, resolve func(dn []byte) (string, bool)) (out model.Entry, doubts []string, err error) {
	m := &s.people
	x := filler{values: make([][][]byte, m.size), dn: e.DN, active: true, resolve: resolve}
	if err := m.collect(e, x.values); err != nil {
		return out, nil, err
	}
	if len(m.computed) > 0 {
		out.Unknown, doubts = m.compute(e.DN, x.values)
	}
	if len(m.rules) > 0 {
		status := m.status(x.values, s.now())
		if x.active = status.Active; status.Err != nil {
			out.Unknown, doubts = append(out.Unknown, "/active"), append(doubts, "active: "+status.Err.Error())
		}
	}
	userName := string(choose(x.values[m.userName.slot], e.DN, m.userName.attr))
	key := foldKey(userName)
	if key == "" && !slices.Contains(out.Unknown, m.userName.pointer()) {
		return out, nil, errors.New("it has no userName (" + m.userName.says() + ")")
	}
	out.Record = model.Record{Kind: model.KindUser, ID: id, UserName: userName, UserNameKey: key, Active: x.active}
	if m.displayName.path != "" {
		out.DisplayName = string(choose(x.values[m.displayName.slot], e.DN, m.displayName.attr))
	}
	text := x.object(make([]byte, 0, 1024), m.shape)
	slices.Sort(out.Unknown)
	out.Unknown = slices.Compact(out.Unknown)
	s.complete(&out.Record, text, out.Unknown)
	return out, doubts, nil
}

// complete fills what follows from the rest; more is content beside the text. It uses the memory of text.
func (s *Source) complete(r *model.Record, text []byte, more []string) {
	r.Source, r.ExternalID = s.o.Name, r.ID
	r.DisplayNameKey = foldKey(r.DisplayName)
	r.Attrs = string(text)
	b := text[:0]
	part := func(p string) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	part(string(r.Kind))
	part(r.Attrs)
	for _, m := range more {
		part(m)
	}
	sum := sha256.Sum256(b)
	r.Hash = append([]byte(nil), sum[:16]...)
}

// texts returns the values of an attribute as sorted text without duplicates and without empty ones.
func texts(a *wire.Attr) ([][]byte, error) {
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
	if len(a.Values) == 1 && len(bytes.TrimSpace(a.Values[0])) > 0 { // nearly all
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
