package config

import (
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"jmld/jml"
	"jmld/jml/policy"
	"jmld/model"
)

// decode accepts attributes, or gone.
func (s *said) decode(d *decoder, n ast.Node, at route) {
	if word, ok := plain(n); ok {
		if s.gone = word == "gone"; !s.gone {
			d.wrong(at, "%q is not what a source says; expected attributes, or gone when it has nobody any more", word)
		}
		return
	}
	s.values = d.pairsOf(n, at)
}

func (w *wanted) decode(d *decoder, n ast.Node, at route) { *w = d.pairsOf(n, at) }

// decode accepts states and accounts by target, or none.
func (w *wantedAccounts) decode(d *decoder, n ast.Node, at route) {
	if word, ok := plain(n); ok {
		if w.none = word == "none"; !w.none {
			d.wrong(at, "%q says nothing about accounts; expected them by target, or none for no account anywhere", word)
		}
		return
	}
	w.targets = d.pairsOf(n, at)
}

// decode accepts a list of roles, roles by place, or none.
func (w *wantedRoles) decode(d *decoder, n ast.Node, at route) {
	w.said = true
	word, ok := plain(n)
	_, list := n.(*ast.SequenceNode)
	switch {
	case ok && word == "none":
	case ok:
		d.wrong(at, "%q says nothing about roles; expected a list of them, lists by place, or none for no role anywhere", word)
	case list:
		w.names = n
	default:
		w.places = d.pairsOf(n, at)
	}
}

// pairsOf keeps the entries of a mapping for later, when it is known what they mean.
func (d *decoder) pairsOf(n ast.Node, at route) []saidValue {
	var out []saidValue
	for _, e := range d.entries(n, at) {
		under := at.with(keyText(e))
		d.values[under.String()] = e.Value
		out = append(out, saidValue{keyText(e), e.Value, under})
	}
	return out
}

// record makes what a source has of the values it said, the later ones over the earlier ones. null is a value: there is none.
func (b *caseBuilder) record(source string, s said) (model.Record, []model.Membership) {
	rec := model.Record{Source: source, ID: source, Kind: model.KindUser, IdentityID: "person", Link: model.Linked, Active: true, Version: 1}
	attrs := map[string]any{}
	var groups []model.Membership
	for _, v := range s.values {
		switch v.name {
		case "active":
			word, _ := plain(v.node)
			if kind(v.node) != "true or false" {
				b.mistake(start(v.node), "active is %s; expected true or false", kind(v.node))
			}
			rec.Active = word == "true"
		case "groups":
			groups = nil
			for _, name := range b.texts(v) {
				groups = append(groups, model.Membership{Source: source, GroupID: name, DisplayName: name, Direct: true})
			}
		default:
			b.put(attrs, v)
		}
	}
	rec.UserName, _ = attrs["userName"].(string)
	rec.UserNameKey = jml.Fold(rec.UserName)
	rec.DisplayName, _ = attrs["displayName"].(string)
	rec.ExternalID, _ = attrs["externalId"].(string)
	rec.Attrs = jml.Canonical(attrs)
	return rec, groups
}

// put stores one attribute, by its name in expressions or its SCIM path.
func (b *caseBuilder) put(attrs map[string]any, v saidValue) {
	if short := map[string]string{"email": "emails", "phone": "phoneNumbers", "givenName": "name.givenName", "familyName": "name.familyName",
		"formattedName": "name.formatted"}[v.name]; short != "" {
		v.name = short
	}
	if v.name == "name" {
		for _, part := range b.pairsOf(v.node, v.at) {
			part.name = "name." + part.name
			b.put(attrs, part)
		}
		return
	}
	if v.name == "addresses" || v.name == "x509Certificates" {
		attrs[v.name] = b.anything(v.node)
		return
	}
	for _, e := range b.config.Declared() {
		if e.Kind != model.KindUser {
			continue
		}
		part, dotted := strings.CutPrefix(v.name, e.Name+".")
		switch {
		case dotted:
			b.extension(attrs, e, part, v)
			return
		case v.name == e.Name || v.name == e.URN:
			for _, one := range b.pairsOf(v.node, v.at) {
				b.extension(attrs, e, one.name, one)
			}
			return
		}
	}
	path, err := policy.ParseAttribute(v.name)
	if err != nil {
		b.mistake(b.keyPlace(v.at), "%s", err)
		return
	}
	value := b.anything(v.node)
	list, isList := value.([]any)
	texts := make([]string, 0, len(list))
	for _, one := range list {
		if text, ok := one.(string); ok {
			texts = append(texts, text)
		}
	}
	_, isText := value.(string)
	_, isBool := value.(bool)
	_, isMap := value.(map[string]any)
	switch {
	case value == nil:
		path.Set(attrs, nil)
	case isText && value == "", isList && len(list) == 0:
		b.mistake(start(v.node), "%s is empty; expected null when the source says that there is none, or no %s when it says nothing", v.name, v.name)
	case isText:
		path.Set(attrs, nil) // over what was said before
		path.Put(attrs, value)
	case isList && len(texts) == len(list) && path.Multiple():
		path.Put(attrs, texts)
	case isList && path.Multiple(), isBool && !path.Plain(), isMap && v.name == "manager":
		path.Set(attrs, value)
	default:
		b.mistake(start(v.node), "%s is %s; expected text%s", v.name, kind(v.node), map[bool]string{true: " or a list of text", false: ", in quotes"}[path.Multiple()])
	}
}

func (b *caseBuilder) extension(attrs map[string]any, e model.Extension, name string, v saidValue) {
	names := make([]string, 0, len(e.Attributes))
	for _, a := range e.Attributes {
		if a.Name == name {
			ext, _ := attrs[e.URN].(map[string]any)
			if ext == nil {
				ext = map[string]any{}
				attrs[e.URN] = ext
			}
			ext[name] = b.anything(v.node)
			return
		}
		names = append(names, a.Name)
	}
	b.mistake(b.keyPlace(v.at), "extension %s has no attribute %q%s", e.Name, name, meant(name, names))
}

// texts is a list of text.
func (b *caseBuilder) texts(v saidValue) []string {
	seq, ok := v.node.(*ast.SequenceNode)
	if !ok {
		b.mistake(start(v.node), "%s is %s; expected a list", v.name, kind(v.node))
		return nil
	}
	var out []string
	for _, one := range seq.Values {
		if kind(one) != "text" {
			b.mistake(start(one), "an entry of %s is %s; expected text", v.name, kind(one))
			continue
		}
		word, _ := plain(one)
		out = append(out, word)
	}
	return out
}

// anything is a value as JSON has it.
func (b *caseBuilder) anything(n ast.Node) any {
	switch n := n.(type) {
	case *ast.NullNode:
		return nil
	case *ast.SequenceNode:
		list := make([]any, len(n.Values))
		for i, one := range n.Values {
			list[i] = b.anything(one)
		}
		return list
	}
	if list, ok := pairs(n); ok {
		m := map[string]any{}
		for _, e := range list {
			m[keyText(e)] = b.anything(e.Value)
		}
		return m
	}
	word, ok := plain(n)
	switch {
	case !ok:
		b.mistake(start(n), "%s cannot be the value of an attribute", kind(n))
		return nil
	case kind(n) == "true or false":
		return word == "true"
	case kind(n) == "a number":
		if f, err := strconv.ParseFloat(word, 64); err == nil {
			return f
		}
		b.mistake(start(n), "%q is not a number; expected digits, or text in quotes", word)
	}
	return word
}
