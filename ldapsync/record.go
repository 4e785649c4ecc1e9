package ldapsync

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
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

// partialError is a group whose members the server gave only in part.
type partialError struct{ text string }

func (e partialError) Error() string { return e.text }

// person makes a user record of an entry. The same content makes the same record, in whatever order the directory
// gives attributes and values: both are sets (RFC 4512 §2.2).
func (s *Source) person(e *wire.Entry, id string, resolve func(dn string) (string, bool)) (model.Record, error) {
	m := s.people
	values := make([][]string, len(m.request))
	for i := range e.Attrs {
		a := &e.Attrs[i]
		slot, ok := m.slots[a.Name]
		if !ok {
			slot, ok = m.slots[strings.ToLower(a.Name)]
		}
		if !ok || slot == m.id {
			continue
		}
		list, err := texts(a)
		if err != nil {
			return model.Record{}, err
		}
		values[slot] = list
	}
	attrs := map[string]any{}
	for _, f := range m.fields {
		if len(values[f.slot]) > 0 {
			f.put(attrs, values[f.slot], e.DN, resolve)
		}
	}
	setPrimary(attrs)
	userName, _ := attrs["userName"].(string)
	if foldKey(userName) == "" {
		return model.Record{}, errors.New("it has no userName (" + m.attrOf("userName") + ")")
	}
	active := m.status < 0 || !s.o.Inactive.matches(values[m.status])
	attrs["active"] = active
	displayName, _ := attrs["displayName"].(string)
	return s.record(model.Record{
		Kind: model.KindUser, ID: id, UserName: userName, UserNameKey: foldKey(userName), DisplayName: displayName, Active: active,
	}, attrs, nil)
}

// group makes a group record of an entry; unresolved counts the members that name nobody in the read.
func (s *Source) group(e *wire.Entry, id string, resolve func(dn string) (string, bool)) (g model.Entry, unresolved int, err error) {
	o := s.o.Groups
	name := ""
	for i := range e.Attrs {
		a := &e.Attrs[i]
		base, options, _ := strings.Cut(a.Name, ";")
		switch {
		case strings.EqualFold(a.Name, o.Name):
			list, err := texts(a)
			if err != nil {
				return g, 0, err
			}
			name = choose(list, e.DN, strings.ToLower(o.Name))
		case !strings.EqualFold(base, o.Member):
		case strings.HasPrefix(strings.ToLower(options), "range="):
			// Active Directory gives long lists in parts, and none under the plain name.
			return g, 0, partialError{fmt.Sprintf("the server gave a part of its members (%s)", a.Name)}
		case options == "":
			for _, dn := range a.Values {
				if member, ok := resolve(string(dn)); ok {
					g.Members = append(g.Members, member)
				} else {
					unresolved++
				}
			}
		}
	}
	if foldKey(name) == "" {
		return g, 0, errors.New("it has no name (" + o.Name + ")")
	}
	slices.Sort(g.Members)
	g.Members = slices.Compact(g.Members)
	g.Record, err = s.record(model.Record{Kind: model.KindGroup, ID: id, DisplayName: name, Active: true}, map[string]any{"displayName": name}, g.Members)
	return g, unresolved, err
}

// record fills what follows from the rest.
func (s *Source) record(r model.Record, attrs map[string]any, members []string) (model.Record, error) {
	text, err := canonical(attrs)
	if err != nil {
		return r, err
	}
	r.Source, r.ExternalID = s.o.Name, r.ID
	r.DisplayNameKey = foldKey(r.DisplayName)
	r.Attrs = string(text)
	h := sha256.New()
	for _, part := range append([]string{string(r.Kind), r.Attrs}, members...) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write([]byte(part))
	}
	r.Hash = h.Sum(nil)[:16]
	return r, nil
}

// put places the values of a field in the record.
func (f *field) put(attrs map[string]any, values []string, dn string, resolve func(string) (string, bool)) {
	switch f.shape {
	case single:
		object(attrs, f.into[:len(f.into)-1])[f.into[len(f.into)-1]] = choose(values, dn, f.attr)
	case plural:
		list, _ := attrs[f.into[0]].([]any)
		for _, v := range values {
			element := map[string]any{"value": v}
			if f.typ != "" {
				element["type"] = f.typ
			}
			list = append(list, element)
		}
		attrs[f.into[0]] = list
	case address:
		list, _ := attrs[f.into[0]].([]any)
		if list == nil {
			list = []any{map[string]any{"type": f.typ}}
			attrs[f.into[0]] = list
		}
		list[0].(map[string]any)[f.into[1]] = choose(values, dn, f.attr) //nolint:forcetypeassert // put there above
	case reference:
		if id, ok := resolve(choose(values, dn, f.attr)); ok {
			object(attrs, f.into[:1])[f.into[1]] = map[string]any{"value": id}
		}
	}
}

// setPrimary marks one address of each kind as the one to use. Of the fields of one attribute the type work comes
// first, then the others as their names sort.
func setPrimary(attrs map[string]any) {
	for _, name := range [...]string{"emails", "phoneNumbers"} {
		list, _ := attrs[name].([]any)
		best := -1
		for i, v := range list {
			if t := v.(map[string]any)["type"]; best < 0 || t == "work" && list[best].(map[string]any)["type"] != "work" { //nolint:forcetypeassert // made by put
				best = i
			}
		}
		if best >= 0 {
			list[best].(map[string]any)["primary"] = true //nolint:forcetypeassert // made by put
		}
	}
}

// object returns the object at the path, making it where it is missing.
func object(attrs map[string]any, path []string) map[string]any {
	for _, p := range path {
		next, ok := attrs[p].(map[string]any)
		if !ok {
			next = map[string]any{}
			attrs[p] = next
		}
		attrs = next
	}
	return attrs
}

func (m *mapping) attrOf(path string) string {
	for _, f := range m.fields {
		if f.path == path {
			return f.attr
		}
	}
	return ""
}

func (i Inactive) matches(values []string) bool {
	if len(i.Values) == 0 {
		return len(values) > 0
	}
	return slices.ContainsFunc(values, func(v string) bool {
		return slices.ContainsFunc(i.Values, func(w string) bool { return strings.EqualFold(v, w) })
	})
}

// texts returns the values of an attribute as sorted text without duplicates and without empty ones.
func texts(a *wire.Attr) ([]string, error) {
	list := make([]string, 0, len(a.Values))
	for _, v := range a.Values {
		switch {
		case len(v) > maxValue:
			return nil, fmt.Errorf("a value of %s has %d bytes, more than %d", a.Name, len(v), maxValue)
		case !utf8.Valid(v):
			return nil, fmt.Errorf("a value of %s is not UTF-8", a.Name)
		case bytes.IndexByte(v, 0) >= 0:
			return nil, fmt.Errorf("a value of %s has a zero byte", a.Name)
		case len(bytes.TrimSpace(v)) > 0:
			list = append(list, string(v))
		}
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// choose returns the one value a single-valued attribute has in SCIM: the one that names the entry (RFC 4512 §2.3.1:
// the server keeps it among the values), or the least.
func choose(sorted []string, dn, attr string) string {
	if len(sorted) == 0 {
		return ""
	}
	if len(sorted) > 1 {
		if d, err := ldap.ParseDN(dn); err == nil && len(d.RDNs) > 0 {
			for _, a := range d.RDNs[0].Attributes {
				if strings.EqualFold(a.Type, attr) {
					for _, v := range sorted {
						if strings.EqualFold(v, a.Value) {
							return v
						}
					}
				}
			}
		}
	}
	return sorted[0]
}

// foldKey is model.FoldKey after Unicode form NFKC.
func foldKey(s string) string { return model.FoldKey(norm.NFKC.String(s)) }

// canonical is JSON with sorted keys and no insignificant space.
func canonical(v map[string]any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
