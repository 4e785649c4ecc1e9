package config

import (
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"jmld/jml/entry"
)

// checkPreset: the preset, and what must fit to it.
func (d *decoder) checkPreset(l *LDAP, at route) {
	p, ok := entry.PresetOf(l.Preset)
	if !ok {
		d.wrong(at.with("preset"), "unknown preset %q%s", l.Preset, meant(l.Preset, entry.Presets()))
		return
	}
	if p.ID == "" && l.ID == "" {
		d.wrong(at.with("preset"), "id is missing, and the preset %s has none; expected the attribute that never changes", p.Name)
	}
	if l.Changes != "" && !slices.Contains(entry.Methods(), l.Changes) {
		d.wrong(at.with("incremental"), "unknown way %q%s", l.Changes, meant(l.Changes, entry.Methods()))
	}
	if none := string(entry.MethodNone); l.Delta != nil && (l.Changes == none || l.Changes == "" && string(p.Incremental) == none) {
		d.wrong(at.with("delta"), "delta needs a way to find changes; expected incremental beside it, or a preset that has one")
	}
	d.checkInactive(l.Inactive, p, at.with("inactive"))
}

func (d *decoder) checkInactive(in *Inactive, p entry.Preset, at route) {
	if in == nil {
		return
	}
	d.checkAttribute(in.Attribute, at.with("attribute"))
	if d.has(at.with("values")) && len(in.Values) == 0 {
		d.wrong(at.with("values"), "no values; expected at least one, or no values at all for any value")
	}
	switch {
	case in.Attribute != "" && len(in.When) > 0:
		d.wrong(at.with("when"), "attribute and when are two ways to say who is not active; expected one of them")
	case in.Attribute == "" && len(in.When) == 0:
		d.wrong(at, "attribute is missing; expected it, or when with rules of the preset")
	case in.Attribute == "" && len(in.Values) > 0:
		d.wrong(at.with("values"), "values have no meaning without attribute; expected both")
	}
	rules := p.RuleNames()
	for i, name := range in.When {
		switch {
		case len(rules) == 0:
			d.wrong(at.with("when", i), "there are no rules without a preset that has some; expected attribute, or such a preset")
		case !slices.Contains(rules, name):
			d.wrong(at.with("when", i), "unknown rule %q%s", name, meant(name, rules))
		}
	}
}

// mapped decodes the three notations.
func (d *decoder) mapped(n ast.Node, m *Mapped, at route) {
	const want = "expected an LDAP attribute, a list of them, or {from: …, type: …} or {cel: …}"
	if text, ok := plain(n); ok {
		if kind(n) != "text" {
			d.wrong(at, "%s is %s; %s", name(at), kind(n), want)
			return
		}
		m.Attribute = entry.Of(text)
		return
	}
	if _, ok := n.(*ast.SequenceNode); ok {
		d.list(n, reflect.ValueOf(&m.From).Elem(), at)
		return
	}
	list, ok := pairs(n)
	if !ok {
		d.wrong(at, "%s is %s; %s", name(at), kind(n), want)
		return
	}
	for _, e := range list {
		if _, many := e.Value.(*ast.SequenceNode); keyText(e) == "from" && !many {
			var one struct {
				From string `yaml:"from"`
				CEL  string `yaml:"cel"`
				Type string `yaml:"type"`

				Absent string `yaml:"absent" oneof:"silent empty"`
			}
			d.structure(n, reflect.ValueOf(&one).Elem(), at)
			if m.Attribute = (entry.Attribute{CEL: one.CEL, Type: entry.Type(one.Type), SaysEmpty: one.Absent == "empty"}); one.From != "" {
				m.From = []string{one.From}
			}
			return
		}
	}
	var in struct {
		From []string `yaml:"from"`
		CEL  string   `yaml:"cel"`
		Type string   `yaml:"type"`

		Absent string `yaml:"absent" oneof:"silent empty"`
	}
	d.structure(n, reflect.ValueOf(&in).Elem(), at)
	m.Attribute = entry.Attribute{From: in.From, CEL: in.CEL, Type: entry.Type(in.Type), SaysEmpty: in.Absent == "empty"}
}

// checkMapping brings the paths into their full form. The mapping changes the one of the preset path by path, so it need
// not be complete.
func (d *decoder) checkMapping(p *People, at route) {
	out := make(map[string]Mapped, len(p.Attributes))
	for _, path := range sortedKeys(p.Attributes) {
		one, a := at.with(path), p.Attributes[path]
		full, err := directoryPath(path)
		_, twice := out[full]
		switch {
		case err != nil:
			d.mistake(d.keyPlace(one), "%s", err)
		case twice:
			d.mistake(d.keyPlace(one), "%s is mapped twice; expected it once", full)
		case full == "userName" && a.Empty() && !d.faulty[one.String()]:
			d.wrong(one, "userName cannot be left out; expected an LDAP attribute")
		}
		out[full] = a
		d.checkMapped(full, a, one)
	}
	p.Attributes = out
}

// enterpriseURN begins the attributes of RFC 7643 §4.3, which are all text.
const enterpriseURN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:"

func (d *decoder) checkMapped(path string, a Mapped, at route) {
	node := d.values[at.String()]
	_, isMapping := pairs(node)
	for i, attr := range a.From {
		place := at
		switch {
		case isMapping && len(a.From) > 1:
			place = at.with("from", i)
		case isMapping:
			place = at.with("from")
		case len(a.From) > 1:
			place = at.with(i)
		}
		d.checkAttribute(attr, place)
	}
	extension := strings.HasPrefix(path, "urn:") && !strings.HasPrefix(path, enterpriseURN)
	switch {
	case !isMapping:
		return
	case a.CEL != "" && (len(a.From) > 0 || a.Type != entry.Auto):
		d.wrong(at, "cel stands alone; expected no from and no type beside it")
	case a.Empty() && !d.faulty[at.String()]:
		d.wrong(at, "%s has no source; expected from or cel", name(at))
	case a.Type != entry.Auto && !slices.Contains(entry.Types(), string(a.Type)):
		d.wrong(at.with("type"), "unknown type %q%s", a.Type, meant(string(a.Type), entry.Types()))
	case a.Type == entry.Reference && !extension && !strings.HasSuffix(path, "manager"):
		d.wrong(at.with("type"), "a reference is for manager and attributes of other extensions; expected another type")
	case a.CEL != "" && strings.HasSuffix(path, "manager"):
		d.wrong(at.with("cel"), "manager is the DN in an attribute and cannot be computed; expected an LDAP attribute")
	case a.CEL != "":
		top, _, _ := strings.Cut(path, ".")
		plural := slices.Contains([]string{"emails", "phoneNumbers", "ims", "roles", "entitlements"}, top)
		_, mistakes := entry.Compile(a.CEL, plural, extension)
		for _, m := range mistakes {
			d.mistake(d.inside(d.values[at.with("cel").String()], m.Line, m.Col), "%s", m.Text)
		}
	}
}
