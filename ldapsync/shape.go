package ldapsync

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

// node is an attribute at the top of a record, or in an object there: where the values of its fields stand in the
// record's JSON. Nodes are sorted by name, so that what they write is canonical.
type node struct {
	name     string
	key      string // as it stands in JSON, with quotes and colon
	fields   []field
	children []node // of an object
	empty    bool   // without a value it is null: there is none
}

// shapeOf arranges the fields, and active among them.
func shapeOf(fields []field) []node {
	nodes := []node{newNode("active")}
	child := func(list *[]node, name string) *node {
		i := slices.IndexFunc(*list, func(n node) bool { return n.name == name })
		if i < 0 {
			i = len(*list)
			*list = append(*list, newNode(name))
		}
		return &(*list)[i]
	}
	for _, f := range fields {
		n := child(&nodes, f.into[0])
		if len(f.into) > 1 {
			n = child(&n.children, f.into[1])
		}
		n.fields = append(n.fields, f)
		n.empty = n.empty || f.from.SaysEmpty && f.shape != address
	}
	sortNodes(nodes)
	return nodes
}

func sortNodes(nodes []node) {
	slices.SortFunc(nodes, func(a, b node) int { return strings.Compare(a.name, b.name) })
	for i := range nodes {
		sortNodes(nodes[i].children)
	}
}

func newNode(name string) node {
	return node{name: name, key: string(append(appendText(nil, []byte(name)), ':'))}
}

// named is a reference to another entry.
type named struct {
	field *field
	dn    []byte
}

// filler writes the record of one entry.
type filler struct {
	values  [][][]byte // by slot
	dn      string
	active  bool
	resolve func(dn []byte) (string, bool) // nil: references are left open

	unknown  []string // pointers of what was asked for and could not be understood
	refs     []named  // left open
	dangling []string // pointers of references that name nobody
}

// object appends a JSON object of the nodes that have a value, or nothing.
func (x *filler) object(b []byte, nodes []node) []byte {
	start := len(b)
	for i := range nodes {
		n := &nodes[i]
		before := len(b)
		b = append(b, ',')
		b = append(b, n.key...)
		filled := len(b)
		if b = x.node(b, n); len(b) > filled {
			continue
		}
		if n.empty && x.without(n.fields) {
			b = append(b, "null"...)
			continue
		}
		b = b[:before]
	}
	if len(b) == start {
		return b
	}
	b[start] = '{'
	return append(b, '}')
}

// without says whether the entry has no value for any of the fields. One that could not be understood, or names nobody, is one.
func (x *filler) without(fields []field) bool {
	for i := range fields {
		if len(x.values[fields[i].slot]) > 0 || slices.Contains(x.unknown, fields[i].pointer()) {
			return false
		}
	}
	return true
}

// node appends the value of one attribute, or nothing.
func (x *filler) node(b []byte, n *node) []byte {
	if n.name == "active" && len(n.fields) == 0 {
		if x.active {
			return append(b, "true"...)
		}
		return append(b, "false"...)
	}
	if len(n.children) > 0 {
		if n.children[0].fields[0].shape == address {
			return x.address(b, n)
		}
		return x.object(b, n.children)
	}
	f := &n.fields[0]
	switch f.shape {
	case plural:
		return x.list(b, n.fields)
	case reference:
		values := x.values[f.slot]
		if len(values) == 0 {
			return b
		}
		dn := choose(values, x.dn, f.attr)
		if x.resolve == nil {
			x.refs = append(x.refs, named{f, dn})
			return append(b, `{}`...)
		}
		id, ok := x.resolve(dn)
		if !ok {
			x.dangling = append(x.dangling, f.pointer())
			return b
		}
		b = append(b, `{"value":`...)
		b = appendText(b, []byte(id))
		return append(b, '}')
	default:
		values := x.values[f.slot]
		switch {
		case len(values) == 0:
			return b
		case f.literal:
			return append(b, values[0]...)
		}
		return appendText(b, choose(values, x.dn, f.attr))
	}
}

// list appends the elements of a multi-valued attribute. Of e-mail addresses and phone numbers one is the primary: the
// first of the type work, else the first.
func (x *filler) list(b []byte, fields []field) []byte {
	primary := -1
	if top := fields[0].into[0]; top == "emails" || top == "phoneNumbers" {
		for i := range fields {
			if len(x.values[fields[i].slot]) > 0 && (primary < 0 || fields[i].typ == "work" && fields[primary].typ != "work") {
				primary = i
			}
		}
	}
	start := len(b)
	for i := range fields {
		for j, v := range x.values[fields[i].slot] {
			b = append(b, ",{"...)
			if i == primary && j == 0 {
				b = append(b, `"primary":true,`...)
			}
			if t := fields[i].typ; t != "" {
				b = append(b, `"type":`...)
				b = appendText(b, []byte(t))
				b = append(b, ',')
			}
			b = append(b, `"value":`...)
			b = appendText(b, v)
			b = append(b, '}')
		}
	}
	if len(b) == start {
		return b
	}
	b[start] = '['
	return append(b, ']')
}

// address appends a list of one address. "type" sorts behind all its other parts.
func (x *filler) address(b []byte, n *node) []byte {
	start := len(b)
	b = append(b, '[')
	inner := len(b)
	if b = x.object(b, n.children); len(b) == inner {
		return b[:start]
	}
	b = append(b[:len(b)-1], `,"type":`...)
	b = appendText(b, []byte(n.children[0].fields[0].typ))
	return append(b, "}]"...)
}

// appendText appends a JSON string. It is spelled as encoding/json does without escaping for HTML.
func appendText(b, s []byte) []byte {
	for _, c := range s {
		if c < 0x20 || c == '"' || c == '\\' || c == 0x7f || c == 0xe2 { // 0xe2 begins U+2028 among others
			return appendEscaped(b, s)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

func appendEscaped(b, s []byte) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if !utf8.Valid(s) || enc.Encode(string(s)) != nil {
		// Values were checked for UTF-8 before, and then encoding a string cannot fail.
		return append(b, `""`...)
	}
	return append(b, bytes.TrimSuffix(out.Bytes(), []byte("\n"))...)
}
