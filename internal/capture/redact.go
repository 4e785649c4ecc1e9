package capture

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// withheld stands for a secret, whatever it was.
const withheld = "withheld"

// scratchURL stands for where the daemon is, in the file and when it is played back.
const scratchURL = "https://jmld.example.org"

const urnError = "urn:ietf:params:scim:api:messages:2.0:Error"

// redaction is of one exchange.
type redaction struct {
	*Pseudonyms
	source string
	// declared are values that stay, by the attribute's name, both in small letters.
	declared map[string][]string

	inexact bool // a comparison of parts or an order of text, which pseudonyms do not keep
	nested  int  // JSON inside text
}

// token is a piece of a JSON text, or of what was meant to be one.
type token struct {
	kind       byte // one of {}[]:, or s for a string, n for a number, w for a word, space
	start, end int
}

func tokens(text []byte) []token {
	var out []token
	for i := 0; i < len(text); {
		t := token{kind: text[i], start: i}
		i++
		switch c := t.kind; {
		case strings.IndexByte("{}[]:,", c) >= 0:
		case isSpace(c):
			t.kind = ' '
			for i < len(text) && isSpace(text[i]) {
				i++
			}
		case c == '"':
			t.kind = 's'
			for i < len(text) && text[i] != '"' {
				if text[i] == '\\' && i+1 < len(text) {
					i++
				}
				i++
			}
			i = min(i+1, len(text))
		default:
			t.kind = 'w'
			for i < len(text) && !isSpace(text[i]) && strings.IndexByte(`{}[]:,"`, text[i]) < 0 {
				i++
			}
			if json.Valid(text[t.start:i]) && (c == '-' || '0' <= c && c <= '9') {
				t.kind = 'n'
			}
		}
		t.end = i
		out = append(out, t)
	}
	return out
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// frame is an open object or array.
type frame struct {
	key    string // of the value that comes, in small letters; of an array, the key it stands under
	path   string // objects: the text under "path" beside it
	fault  bool   // objects: a SCIM error
	secret bool   // everything in it
	object bool
	native bool // attributes in it are those of the standards, not of an extension or another attribute
	refs   bool // "value" in it, and what stands in it without a name, is a reference to a resource
}

// body redacts a body: every token keeps its place, so that what is not well-formed stays so.
func (r *redaction) body(text []byte) []byte { return r.within(frame{native: true}, text) }

// within redacts a body that stands where the frame says.
func (r *redaction) within(f frame, text []byte) []byte {
	all := tokens(text)
	about := objects(text, all)
	out := make([]byte, 0, len(text))
	stack := []frame{f}
	for i, t := range all {
		top := &stack[len(stack)-1]
		raw := text[t.start:t.end]
		switch t.kind {
		case '{', '[':
			f := frame{object: t.kind == '{', secret: top.secret || isSecret(top.name()), refs: top.ours()}
			if f.object {
				f.path, f.fault, f.native = about[i].path, about[i].fault, top.native && isContainer(top.full())
			} else {
				f.key, f.path, f.fault, f.native = top.name(), "", top.fault, top.native && !isForeign(top.full())
				if isExtension(top.full()) { // its attributes stand in the list
					f.key = top.full()
				}
			}
			stack = append(stack, f)
			out = append(out, raw...)
		case '}', ']':
			if len(stack) > 1 {
				stack = stack[:len(stack)-1]
			}
			out = append(out, raw...)
		case ':', ',', ' ':
			if t.kind == ',' && top.object {
				top.key = ""
			}
			out = append(out, raw...)
		case 's':
			if top.object && top.key == "" && isKey(all, i) {
				key, ok := unquote(raw)
				top.key = strings.ToLower(key)
				if ok && isName(key) {
					out = append(out, raw...)
				} else {
					out = append(out, r.quoted(raw, r.attribute)...)
				}
				continue
			}
			f := *top
			out = append(out, r.quoted(raw, func(s string) string { return r.value(f, s) })...)
		case 'n':
			out = append(out, r.numeral(*top, string(raw))...)
		default:
			out = append(out, r.bare(string(raw))...)
		}
	}
	return out
}

// name is what the value that comes is called: below a path, the attribute the path names.
func (f *frame) name() string {
	if full := f.full(); full != f.key {
		return lastName(full)
	}
	return f.key
}

// full is the name with everything before it.
func (f *frame) full() string {
	if f.object && f.key == "value" && f.path != "" {
		return strings.TrimPrefix(strings.ToLower(strings.TrimSpace(f.path)), "/") // of a pointer
	}
	return f.key
}

// ours says whether the value that comes may be an id that we made.
func (f *frame) ours() bool {
	holder, name := attributeOf(f.full())
	switch {
	case holder != "":
		return f.native && name == "value" && isReference(holder)
	case name == "value", name == "":
		return f.refs
	}
	return f.native && (name == "id" || isReference(name))
}

func isKey(all []token, i int) bool {
	for i++; i < len(all); i++ {
		if all[i].kind != ' ' {
			return all[i].kind == ':'
		}
	}
	return false
}

// object is what has to be known of an object before its first member is looked at.
type object struct {
	path  string
	fault bool
}

func objects(text []byte, all []token) map[int]object {
	found := map[int]object{}
	type open struct {
		at  int // of the object; -1: an array
		key string
	}
	stack := []open{{at: -1}}
	for i, t := range all {
		top := &stack[len(stack)-1]
		switch t.kind {
		case '{':
			stack = append(stack, open{at: i})
		case '[':
			stack = append(stack, open{at: -1, key: top.key})
		case '}', ']':
			if len(stack) > 1 {
				stack = stack[:len(stack)-1]
			}
		case ',':
			if top.at >= 0 {
				top.key = ""
			}
		case 's':
			s, _ := unquote(text[t.start:t.end])
			if top.at >= 0 && top.key == "" {
				top.key = strings.ToLower(s)
				continue
			}
			holder := top
			if top.at < 0 && len(stack) > 1 {
				holder = &stack[len(stack)-2]
			}
			o := found[holder.at]
			switch {
			case top.key == "path" && top.at >= 0:
				o.path = s
			case top.key == "schemas" && s == urnError:
				o.fault = true
			default:
				continue
			}
			if holder.at >= 0 {
				found[holder.at] = o
			}
		}
	}
	return found
}

// unquote reads a JSON string. false: it is not one, or not all of it is text.
func unquote(raw []byte) (string, bool) {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil || !utf8.Valid(raw) {
		return strings.Trim(string(raw), `"`), false
	}
	return s, !strings.ContainsRune(s, utf8.RuneError)
}

// quoted replaces what is in a string. What cannot be read keeps its escape sequences, so that it cannot be read afterwards.
func (r *redaction) quoted(raw []byte, replace func(string) string) []byte {
	s, ok := unquote(raw)
	if !ok {
		return r.broken(raw)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(replace(s)); err != nil {
		return []byte(`"` + withheld + `"`) // a string always encodes
	}
	out := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if bytes.Contains(raw, []byte(`\u`)) {
		return ascii(out)
	}
	return out
}

// ascii writes what is beyond ASCII as escape sequences.
func ascii(text []byte) []byte {
	var b bytes.Buffer
	for _, c := range string(text) {
		if c < utf8.RuneSelf {
			b.WriteByte(byte(c))
			continue
		}
		writeEscaped(&b, c)
	}
	return b.Bytes()
}

func (r *redaction) broken(raw []byte) []byte {
	var b bytes.Buffer
	start := 0
	flush := func(end int) { b.WriteString(r.words(string(raw[start:end]))) }
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		flush(i)
		end := min(i+2, len(raw))
		if end == i+2 && raw[i+1] == 'u' {
			end = min(i+6, len(raw))
			// Half a surrogate pair says nothing; any other character would.
			if !bytes.HasPrefix(bytes.ToLower(raw[i:end]), []byte(`\ud`)) {
				end = i + 2
			}
		}
		b.Write(raw[i:end])
		i, start = end-1, end
	}
	flush(len(raw))
	return b.Bytes()
}

// value redacts a text by what it is called.
func (r *redaction) value(f frame, s string) string {
	name := f.name()
	switch {
	case f.secret || isSecret(name):
		return withheld
	case s == "", (isOurID(s) || isNoID(s)) && f.ours(), r.isCanonical(name, s):
		return s
	case f.fault && name == "detail":
		return r.detail(s)
	case name == "$ref" || name == "location" || strings.Contains(s, "://") && f.ours():
		return r.url(s)
	case name == "path" && isResourcePath(s):
		return r.operationPath(s)
	case name == "path" && strings.HasPrefix(s, "/"):
		return "/" + r.attribute(s[1:])
	case name == "path", name == "attributes", name == "excludedattributes", name == "sortby":
		if name == "sortby" {
			r.order(s)
		}
		return r.attribute(s)
	case name == "filter":
		return r.filter(s)
	case harmless(name, s):
		return s
	}
	if trimmed := strings.TrimSpace(s); r.nested < 2 && trimmed != "" && (trimmed[0] == '{' || trimmed[0] == '[') && json.Valid([]byte(trimmed)) {
		r.nested++
		out := string(r.within(frame{native: f.native && isContainer(f.full()), refs: f.ours()}, []byte(s)))
		r.nested--
		return out
	}
	return r.Text(s)
}

// numeral redacts a number. What counts resources stays.
func (r *redaction) numeral(f frame, s string) string {
	switch name := f.name(); {
	case f.secret || isSecret(name):
		return "0"
	case isCount(name), oneOf(lastName(name), "active", "primary") && harmless(lastName(name), s):
		return s
	}
	mantissa, exponent := s, ""
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa, exponent = s[:i], s[i:]
	}
	return r.words(mantissa) + exponent
}

// bare redacts what is neither a string nor a number: null and the truth values, or what should not be there at all.
func (r *redaction) bare(s string) string {
	if s == "null" {
		return s
	}
	out := r.Text(s)
	if json.Valid([]byte(out)) && !json.Valid([]byte(s)) { // as 0e7 is where 0x7 was
		return "?" + out[1:]
	}
	return out
}

// detail is our own sentence. A client chose in it bulkIds and names; what is no name in a body is none here.
func (r *redaction) detail(s string) string {
	said, allowed, list := strings.Cut(s, " is none of ") // what follows is the operator's
	words := strings.Split(said, " ")
	for i, w := range words {
		before := ""
		if i > 0 {
			before = words[i-1]
		}
		core := strings.TrimRight(w, ".,;:")
		word := strings.TrimSuffix(strings.TrimSuffix(strings.Trim(core, `"()`), "…"), "'s")
		switch {
		case before == "bulkId", strings.HasPrefix(w, bulkMark), strings.ContainsAny(w, "?@"):
		case word == "", isName(word), word == "U+0000", strings.Contains(word, "/"), // no name that a client chose has a slash here
			isPlace(before) && isSmall(word, 12), before == "under" && isOurID(word[:min(len(word), 36)]):
			continue // ours; or a name
		}
		words[i] = r.Text(core) + w[len(core):]
	}
	if said = strings.Join(words, " "); list {
		said += " is none of " + allowed
	}
	return said
}

// isPlace says whether a number of ours follows the word.
func isPlace(word string) bool {
	return oneOf(strings.ToLower(word), "than", "byte", "operation", "position", "most", "maxoperations,", "maxpayloadsize,")
}
