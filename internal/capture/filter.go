package capture

import (
	"encoding/json"
	"strings"
)

// expects is what comes next in a filter.
type expects uint8

const (
	aName expects = iota
	anOperator
	aLiteral
	aJoin
)

// filter redacts the literals of a filter (RFC 7644 §3.4.2.2). Names stay where an operator follows; a word that stands where
// none belongs is somebody's value in a filter that is not well-formed.
func (r *redaction) filter(s string) string { return r.expression(s, false) }

// attribute redacts a path (RFC 7644 §3.5.2), or a list of them: only the literals in value filters, and what is no name.
func (r *redaction) attribute(s string) string {
	if isName(strings.TrimSpace(s)) {
		return s
	}
	return r.expression(s, true)
}

func (r *redaction) expression(s string, path bool) string {
	var out strings.Builder
	next, name, op := aName, "", ""
	holder, full := "", "" // of the brackets, and name with it
	inner := 0             // brackets
	for i := 0; i < len(s); {
		start := i
		switch c := s[i]; {
		case isSpace(c):
			i++
			out.WriteByte(c)
		case strings.IndexByte("()[],", c) >= 0:
			i++
			out.WriteByte(c)
			switch c {
			case '[':
				inner, next, holder = inner+1, aName, full+"."
			case ']':
				inner, next, holder = inner-1, aJoin, ""
			case '(', ',':
				next = aName
			default:
				next = aJoin
			}
		case c == '"':
			for i++; i < len(s) && s[i] != '"'; i++ {
				if s[i] == '\\' && i+1 < len(s) {
					i++
				}
			}
			i = min(i+1, len(s))
			out.WriteString(r.literal(s[start:i], name, full))
			r.compares(op, name, next)
			next = aJoin
		case next == aLiteral && c == '\'' && apostrophes(s[i:]) > 0:
			i += apostrophes(s[i:])
			text := r.compared(name, full, strings.NewReplacer(`\'`, "'", "''", "'").Replace(s[start+1:i-1]))
			out.WriteString("'" + strings.ReplaceAll(text, "'", `\'`) + "'")
			r.compares(op, name, next)
			next = aJoin
		default:
			for i < len(s) && !isSpace(s[i]) && strings.IndexByte(`()[]",`, s[i]) < 0 {
				i++
			}
			word := s[start:i]
			lower := strings.ToLower(word)
			switch {
			case next == aName && lower == "not", next == aJoin && (lower == "and" || lower == "or"):
				out.WriteString(word)
				next = aName
			case next == aName && isName(word) && r.isAttribute(s[i:], path && inner == 0),
				next == aJoin && word[0] == '.' && isName(word[1:]) && r.isAttribute(s[i:], path && inner == 0):
				out.WriteString(word)
				name, full, next = lastName(word), holder+lower, anOperator
			case next == anOperator && isOperator(lower):
				out.WriteString(word)
				if op, next = lower, aLiteral; lower == "pr" {
					next = aJoin
				}
			case next == aLiteral:
				out.WriteString(r.unquotedLiteral(word, name, full))
				r.compares(op, name, next)
				next = aJoin
			default:
				out.WriteString(r.Text(word))
				next = aJoin
			}
		}
	}
	return out.String()
}

// apostrophes is the length of the text between apostrophes that s begins with, which some clients write for a literal; 0: there is none.
func apostrophes(s string) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] != '\'' || s[i-1] == '\\':
		case i+1 == len(s) || isSpace(s[i+1]) || s[i+1] == ')' || s[i+1] == ']':
			return i + 1
		case s[i+1] == '\'': // doubled
			i++
		}
	}
	return 0
}

// isAttribute says whether what was before rest is an attribute: an operator follows, or a value filter; at the top of a path the end may.
func (r *redaction) isAttribute(rest string, path bool) bool {
	if strings.HasPrefix(rest, "[") || path && (strings.TrimSpace(rest) == "" || rest[0] == ',') {
		return true
	}
	word, _, _ := strings.Cut(strings.TrimLeft(rest, " \t"), " ")
	return isOperator(strings.ToLower(strings.TrimRight(word, ")]")))
}

func isOperator(s string) bool {
	return oneOf(s, "eq", "ne", "co", "sw", "ew", "pr", "gt", "ge", "lt", "le")
}

// compares notes what pseudonyms do not keep: parts of texts and their order.
func (r *redaction) compares(op, name string, next expects) {
	if next == aLiteral && oneOf(op, "co", "sw", "ew", "gt", "ge", "lt", "le") && !oneOf(name, "created", "lastmodified", "startdate", "enddate", "id") {
		r.inexact = true
	}
}

// order notes an order that pseudonyms do not keep.
func (r *redaction) order(by string) {
	if by = lastName(by); by != "" && !oneOf(by, "created", "lastmodified", "startdate", "enddate", "id", "active") {
		r.inexact = true
	}
}

// literal redacts a quoted literal.
func (r *redaction) literal(raw, name, full string) string {
	return string(r.quoted([]byte(raw), func(s string) string { return r.compared(name, full, s) }))
}

// unquotedLiteral redacts a literal without quotation marks.
func (r *redaction) unquotedLiteral(word, name, full string) string {
	if json.Valid([]byte(word)) && strings.EqualFold(word, "null") {
		return word
	}
	return r.compared(name, full, word)
}

// compared redacts what an attribute is compared with.
func (r *redaction) compared(name, full, s string) string {
	if f := (frame{key: full, native: true}); f.ours() {
		switch {
		case isOurID(s), isNoID(s):
			return s
		case strings.Contains(s, "://"):
			return r.url(s)
		}
	}
	return r.value(frame{key: name}, s)
}
