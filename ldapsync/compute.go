package ldapsync

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"jmld/jml/entry"
	"jmld/ldapsync/wire"
)

// computed fills a slot from others: by conversion, from the first of several attributes, or by an expression.
type computed struct {
	field   field
	pointer string
	slot    int
	from    []int // slots
	types   []entry.Type
	expr    *entry.Expression
}

// source finds where the field's values come from. A computed field gets a slot below zero, which is counted back later.
func (m *mapping) source(f *field, a entry.Attribute) error {
	f.from, f.looksAt = a, a.From
	extension := len(f.into) == 2 && strings.HasPrefix(f.into[0], "urn:") && f.into[0] != enterprise
	if a.CEL != "" {
		return m.expression(f, a, extension)
	}
	for _, attr := range a.From {
		if !attributeName(attr) {
			return fmt.Errorf("%q is not the name of an LDAP attribute", attr)
		}
		if err := entry.NoSecret(attr); err != nil {
			return err
		}
	}
	if a.Type == entry.Reference {
		if !extension && f.shape != reference {
			return fmt.Errorf("type: reference is for manager and attributes of other extensions")
		}
		f.shape, a.Type = reference, entry.Text
	}
	if a.Type != entry.Auto && !slices.Contains(entry.Types(), string(a.Type)) {
		return fmt.Errorf("type: %q is none of %s", a.Type, strings.Join(entry.Types(), ", "))
	}
	f.attr = strings.ToLower(a.From[0])
	f.literal = extension && a.Type.Literal()
	if a.Simple() {
		f.slot = m.slot(a.From[0], false)
		return nil
	}
	c := computed{field: *f}
	for _, attr := range a.From {
		t := a.Type
		if t == entry.Auto {
			t = entry.TypeOf(attr)
		}
		c.from, c.types = append(c.from, m.slot(attr, t.Binary())), append(c.types, t)
	}
	m.computed = append(m.computed, c)
	f.slot = -len(m.computed)
	return nil
}

func (m *mapping) expression(f *field, a entry.Attribute, extension bool) error {
	if len(a.From) > 0 || a.Type != entry.Auto {
		return fmt.Errorf("cel stands alone: no from and no type beside it")
	}
	if f.shape == reference {
		return fmt.Errorf("a reference is the DN in an attribute and cannot be computed")
	}
	x, bad := entry.Compile(a.CEL, f.shape == plural, extension)
	if len(bad) > 0 {
		return fmt.Errorf("cel: %s", bad[0].Text)
	}
	f.literal, f.looksAt = x.Literal(), x.Attributes()
	c := computed{field: *f, expr: x}
	for _, attr := range x.Attributes() {
		if !attributeName(attr) {
			return fmt.Errorf("cel: %q is not the name of an LDAP attribute", attr)
		}
		c.from = append(c.from, m.slot(attr, true))
	}
	m.computed = append(m.computed, c)
	f.slot = -len(m.computed)
	return nil
}

// spellings are names as the server spells them. It keeps to an order, nearly.
type spellings struct {
	names map[string]places
	order []spelling
}

type spelling struct {
	name string
	at   places
}

func (s *spellings) find(i int, name string) (at places, ok bool) {
	if i < len(s.order) && s.order[i].name == name {
		return s.order[i].at, true
	}
	if at, ok = s.names[name]; ok {
		s.expect(i, name, at)
	}
	return at, ok
}

func (s *spellings) note(i int, name string, at places) {
	if s.names == nil {
		s.names = map[string]places{}
	}
	if len(s.names) < 1000 { // a server may invent names without end
		s.names[name] = at
	}
	s.expect(i, name, at)
}

// expect has the name come as the i-th again.
func (s *spellings) expect(i int, name string, at places) {
	const most = 100
	if i == len(s.order) && i < most {
		s.order = append(s.order, spelling{})
	}
	if i < len(s.order) {
		s.order[i] = spelling{name, at}
	}
}

// collect puts the entry's values into their slots. spelled is of m.slots, by names as the server spells them; it grows with them.
func (m *mapping) collect(e *wire.Entry, into [][][]byte, spelled *spellings) error {
	for i := range e.Attrs {
		a := &e.Attrs[i]
		p, ok := spelled.find(i, a.Name)
		if !ok {
			if p, ok = m.slots[strings.ToLower(a.Name)]; !ok {
				p = places{raw: -1, text: -1}
			}
			spelled.note(i, a.Name, p)
		}
		if p.raw >= 0 {
			into[p.raw] = a.Values
		}
		if p.text >= 0 {
			var err error
			if into[p.text], err = texts(a); err != nil {
				return err
			}
		}
	}
	return nil
}

// compute fills the computed slots. What it cannot fill is unknown.
func (m *mapping) compute(dn string, values [][][]byte) (unknown, doubts []string) {
	for i := range m.computed {
		c := &m.computed[i]
		list, err := c.values(dn, values)
		if err != nil {
			unknown, doubts = append(unknown, c.pointer), append(doubts, c.field.path+": "+err.Error())
			continue
		}
		values[c.slot] = list
	}
	return unknown, doubts
}

func (c *computed) values(dn string, values [][][]byte) ([][]byte, error) {
	if c.expr != nil {
		texts, err := c.expr.Values(dn, func(i int) [][]byte { return values[c.from[i]] })
		list := make([][]byte, len(texts))
		for i, t := range texts {
			list[i] = []byte(t)
		}
		return list, err
	}
	for i, slot := range c.from {
		var list [][]byte
		for _, v := range values[slot] {
			text, err := c.types[i].Convert(v)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.field.from.From[i], err)
			}
			if strings.TrimSpace(text) != "" {
				list = append(list, []byte(text))
			}
		}
		if len(list) > 0 {
			slices.SortFunc(list, bytes.Compare)
			return slices.CompactFunc(list, bytes.Equal), nil
		}
	}
	return nil, nil
}

// status asks the rules about an entry.
func (m *mapping) status(values [][][]byte, now time.Time) entry.Status {
	return entry.StatusOf(m.rules, m.counting, func(i int) [][]byte { return values[m.ruleAt[i]] }, now)
}
