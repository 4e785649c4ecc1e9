package scim

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"jmld/model"
)

// expr is a parsed filter whose names have not been looked at yet.
type expr struct {
	kind  exprKind
	terms []*expr // and, or: at least two; not, element: one
	attr  string  // compare, element
	op    model.CompareOp
	value any    // compare: nil, bool, string or json.Number
	sub   string // element followed by a comparison: emails[type eq "work"].value eq "…"
	loose bool   // compare: the literal is none of JSON
}

// nested says whether there is a filter of values in the filter, which another one cannot hold.
func (e *expr) nested() bool {
	return e.kind == exprElement || slices.ContainsFunc(e.terms, (*expr).nested)
}

type exprKind uint8

const (
	exprCompare exprKind = iota
	exprAnd
	exprOr
	exprNot
	exprElement // attr[term], attr[term].sub op value
)

// parseFilter reads a filter of RFC 7644 §3.4.2.2, and beyond it what Entra sends: a comparison of a sub-attribute after
// a value filter, and words without quotation marks as values. It takes time in proportion to the text, which is bounded.
func parseFilter(text string, b Bounds) (*expr, error) {
	if len(text) > b.Filter {
		return nil, invalidFilter("The filter is longer than %d bytes.", b.Filter)
	}
	if !utf8.ValidString(text) { // it would be compared, and nobody found
		return nil, invalidFilter("The filter is not UTF-8.")
	}
	p := filterParser{text: text, bounds: b}
	e, err := p.or(0)
	if err != nil {
		return nil, err
	}
	if p.space(); p.pos < len(text) {
		return nil, p.fail("and, or, or the end")
	}
	return e, nil
}

// path is a parsed PATCH path (RFC 7644 §3.5.2): attr, attr.sub, attr[filter], attr[filter].sub.
type path struct {
	attr   string
	filter *expr
	sub    string
	blanks bool // there were some around the filter
}

func parsePath(text string, b Bounds) (path, error) {
	if len(text) > b.Filter {
		return path{}, invalidPath("The path is longer than %d bytes.", b.Filter)
	}
	p := filterParser{text: strings.TrimSpace(text), bounds: b}
	out := path{attr: p.name()}
	if out.attr == "" {
		return path{}, invalidPath("The path does not begin with an attribute name.")
	}
	var err error
	if out.blanks = p.blanksUpTo('['); p.peek() == '[' {
		p.pos++
		if out.filter, err = p.or(1); err != nil {
			return path{}, invalidPath("The filter in the path is malformed.")
		}
		if p.space(); p.peek() != ']' {
			return path{}, invalidPath("Position %d of the path: expected a closing bracket.", p.pos)
		}
		p.pos++
		out.blanks = p.blanksUpTo('.') || out.blanks
		if p.peek() == '.' {
			start := p.pos + 1
			p.pos = start
			p.space()
			out.blanks = out.blanks || p.pos > start
			if out.sub = p.name(); out.sub == "" {
				return path{}, invalidPath("Position %d of the path: expected a sub-attribute.", p.pos)
			}
		}
	}
	if p.pos < len(p.text) {
		return path{}, invalidPath("Position %d of the path: expected its end.", p.pos)
	}
	return out, nil
}

type filterParser struct {
	text   string
	pos    int
	terms  int
	bounds Bounds
}

func (p *filterParser) fail(expected string) error {
	return invalidFilter("Position %d of the filter: expected %s.", p.pos, expected)
}

func (p *filterParser) peek() byte {
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return 0
}

func (p *filterParser) space() {
	for p.peek() == ' ' || p.peek() == '\t' {
		p.pos++
	}
}

// blanksUpTo passes over blanks in front of c; it passes over none in front of anything else.
func (p *filterParser) blanksUpTo(c byte) bool {
	start := p.pos
	if p.space(); p.peek() != c {
		p.pos = start
	}
	return p.pos > start
}

// name reads an attribute name with its URN and sub-attribute, or a word.
func (p *filterParser) name() string {
	start := p.pos
	for p.pos < len(p.text) {
		switch c := p.text[p.pos]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '$', c == '-', c == '_', c == '.', c == ':', c == '/':
			p.pos++
		default:
			return p.text[start:p.pos]
		}
	}
	return p.text[start:p.pos]
}

// keyword consumes the word when it comes next and ends there.
func (p *filterParser) keyword(word string) bool {
	p.space()
	end := p.pos + len(word)
	if end > len(p.text) || !strings.EqualFold(p.text[p.pos:end], word) {
		return false
	}
	if end < len(p.text) && p.text[end] != ' ' && p.text[end] != '(' && p.text[end] != '\t' {
		return false
	}
	p.pos = end
	return true
}

func (p *filterParser) or(depth int) (*expr, error) {
	return p.chain(depth, "or", exprOr, func() (*expr, error) {
		return p.chain(depth, "and", exprAnd, func() (*expr, error) { return p.term(depth) })
	})
}

func (p *filterParser) chain(depth int, word string, kind exprKind, next func() (*expr, error)) (*expr, error) {
	if depth > p.bounds.FilterDepth {
		return nil, invalidFilter("The filter is nested deeper than %d levels.", p.bounds.FilterDepth)
	}
	first, err := next()
	if err != nil {
		return nil, err
	}
	var all *expr
	for p.keyword(word) {
		e, err := next()
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = &expr{kind: kind, terms: []*expr{first}}
		}
		all.terms = append(all.terms, e)
	}
	if all != nil {
		return all, nil
	}
	return first, nil
}

func (p *filterParser) term(depth int) (*expr, error) {
	p.space()
	start := p.pos
	if p.keyword("not") {
		if p.space(); p.peek() == '(' {
			e, err := p.group(depth)
			return &expr{kind: exprNot, terms: []*expr{e}}, err
		}
		p.pos = start
	}
	if p.peek() == '(' {
		return p.group(depth)
	}
	if p.terms++; p.terms > p.bounds.FilterTerms {
		return nil, invalidFilter("The filter has more than %d terms.", p.bounds.FilterTerms)
	}
	attr := p.name()
	if attr == "" {
		return nil, p.fail("an attribute name")
	}
	if p.peek() != '[' {
		return p.comparison(attr)
	}
	p.pos++
	inner, err := p.or(depth + 1)
	if err != nil {
		return nil, err
	}
	if p.space(); p.peek() != ']' {
		return nil, p.fail("a closing bracket")
	}
	p.pos++
	e := &expr{kind: exprElement, attr: attr, terms: []*expr{inner}}
	if p.peek() != '.' {
		return e, nil
	}
	p.pos++
	if e.sub = p.name(); e.sub == "" {
		return nil, p.fail("a sub-attribute")
	}
	c, err := p.comparison(e.sub)
	if err != nil {
		return nil, err
	}
	e.op, e.value, e.loose = c.op, c.value, c.loose
	return e, nil
}

func (p *filterParser) group(depth int) (*expr, error) {
	p.pos++
	e, err := p.or(depth + 1)
	if err != nil {
		return nil, err
	}
	if p.space(); p.peek() != ')' {
		return nil, p.fail("a closing parenthesis")
	}
	p.pos++
	return e, nil
}

func (p *filterParser) comparison(attr string) (*expr, error) {
	p.space()
	start := p.pos
	op := model.CompareOp(strings.ToLower(p.name()))
	switch op {
	case model.OpPr:
		return &expr{attr: attr, op: op}, nil
	case model.OpEq, model.OpNe, model.OpCo, model.OpSw, model.OpEw, model.OpGt, model.OpGe, model.OpLt, model.OpLe:
	default:
		p.pos = start
		return nil, p.fail("one of eq, ne, co, sw, ew, pr, gt, ge, lt, le")
	}
	p.space()
	start = p.pos
	v, err := p.literal()
	return &expr{attr: attr, op: op, value: v, loose: err == nil && looseLiteral(p.text[start:p.pos])}, err
}

// looseLiteral says whether the literal is a word, or one of JSON's in another case.
func looseLiteral(text string) bool {
	switch text {
	case "true", "false", "null":
		return false
	}
	return text[0] != '"' && !isNumber(text)
}

// spaced says whether the spaces of a filter are those of its grammar (RFC 7644 §3.4.2.2): one between words, none else.
func spaced(text string) bool {
	if text != strings.TrimSpace(text) {
		return false
	}
	last := byte('(') // as in front of the text
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\t', c == ' ' && strings.IndexByte(" ([", last) >= 0, (c == ')' || c == ']') && last == ' ':
			return false
		case c == '(' && strings.IndexByte(" ([", last) < 0 && !strings.HasSuffix(strings.ToLower(text[:i]), "not"), c == '"' && last != ' ':
			return false
		case last == ')' && strings.IndexByte(" )]", c) < 0, last == ']' && strings.IndexByte(" )].", c) < 0:
			return false
		}
		if c == '"' {
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
			if i+1 < len(text) && strings.IndexByte(" )]", text[i+1]) < 0 {
				return false
			}
		}
		last = c
	}
	return true
}

func (p *filterParser) literal() (any, error) {
	p.space()
	if p.peek() == '"' {
		return p.quoted()
	}
	start := p.pos
	if text, ok := p.single(); ok {
		return text, nil
	}
	for c := p.peek(); c > ' ' && !strings.ContainsRune(`()[]"`, rune(c)); c = p.peek() {
		p.pos++
	}
	switch word := p.text[start:p.pos]; {
	case strings.TrimLeft(word, "“”„‟‘’‚‛«»") != word, word == "": // what an editor makes of quotation marks
		return nil, p.fail("a value, a text in quotation marks")
	case strings.EqualFold(word, "true"):
		return true, nil
	case strings.EqualFold(word, "false"):
		return false, nil
	case strings.EqualFold(word, "null"):
		return nil, nil
	case isNumber(word):
		return json.Number(word), nil
	default:
		return word, nil // Microsoft's documentation prints externalId eq jyoung
	}
}

// single reads a text between apostrophes, which is no literal of the grammar: with them it would be a word that nobody has. An
// apostrophe in it is escaped, doubled as in OData and SQL, or stands where the text cannot end.
func (p *filterParser) single() (text string, ok bool) {
	if p.peek() != '\'' {
		return "", false
	}
	for end := p.pos + 1; end < len(p.text); end++ {
		if p.text[end] != '\'' || p.text[end-1] == '\\' {
			continue
		}
		if end+1 == len(p.text) || strings.IndexByte(" \t)]", p.text[end+1]) >= 0 {
			text = strings.NewReplacer(`\'`, "'", "''", "'").Replace(p.text[p.pos+1 : end])
			p.pos = end + 1
			return text, true
		}
		if p.text[end+1] == '\'' {
			end++
		}
	}
	return "", false
}

// quoted reads a JSON string, escape sequences and all.
func (p *filterParser) quoted() (any, error) {
	end := p.pos + 1
	for ; end < len(p.text) && p.text[end] != '"'; end++ {
		if p.text[end] == '\\' {
			end++
		}
	}
	if end >= len(p.text) {
		return nil, p.fail("a closing quotation mark")
	}
	raw := p.text[p.pos : end+1]
	if !strings.ContainsRune(raw, '\\') {
		p.pos = end + 1
		return raw[1 : len(raw)-1], nil
	}
	v, err := decode([]byte(raw), storedDepth)
	if err != nil {
		return nil, p.fail("a JSON string")
	}
	p.pos = end + 1
	return v, nil
}
