package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// What a file may be. The parser takes time in proportion to the square of the keys of one mapping, and stack in
// proportion to the depth.
const (
	maxFile   = 256 << 10
	maxTokens = 30_000
	maxDepth  = 30
	maxPEM    = 4 << 20
)

// parse makes the tree of a document, or reports why there is none.
func parse(r *report, text string) ast.Node {
	if i := invalidUTF8(text); i >= 0 {
		line := 1 + strings.Count(text[:i], "\n")
		col := 1 + utf8.RuneCountInString(text[strings.LastIndexByte(text[:i], '\n')+1:i])
		r.mistake(place{line, col}, "a byte that is not UTF-8; expected the file in UTF-8")
		return nil
	}
	for i, line := range r.lines {
		if j := strings.IndexFunc(line, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }); j >= 0 {
			r.mistake(place{i + 1, 1 + utf8.RuneCountInString(line[:j])}, "a control character; expected text")
			return nil
		}
		if indent := len(line) - len(strings.TrimLeft(line, " -?")); indent > 8*maxDepth {
			r.mistake(place{i + 1, indent}, "nested too deeply; expected at most %d levels", maxDepth)
			return nil
		}
	}
	tokens := lexer.Tokenize(text)
	if !acceptable(r, tokens) {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var syntax yaml.Error
		if !errors.As(err, &syntax) || syntax.GetToken() == nil {
			r.mistake(place{}, "not YAML: %s", firstLine(err.Error()))
			return nil
		}
		r.mistake(placeOf(syntax.GetToken()), "not YAML: %s", syntax.GetMessage())
		return nil
	}
	for _, doc := range file.Docs {
		if doc.Body != nil {
			return doc.Body
		}
	}
	r.mistake(place{}, "the file is empty; expected a configuration, see config.example.yaml")
	return nil
}

func invalidUTF8(s string) int {
	for i, c := range s {
		if c == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return i
			}
		}
	}
	return -1
}

// acceptable refuses what a configuration has no use for, and what could make the parser work for ever.
func acceptable(r *report, tokens token.Tokens) bool {
	if len(tokens) > maxTokens {
		r.mistake(place{}, "the file has %d words; expected at most %d", len(tokens), maxTokens)
		return false
	}
	before := len(r.mistakes)
	depth, seen, directive := 0, false, false
	for _, t := range tokens {
		at := placeOf(t)
		switch t.Type {
		case token.AnchorType, token.AliasType:
			r.mistake(at, "anchors and aliases are not used here; expected the value itself")
		case token.MergeKeyType:
			r.mistake(at, "merge keys are not used here; expected the keys themselves")
		case token.TagType:
			r.mistake(at, "tags are not used here; expected a plain value")
		case token.DirectiveType:
			directive = true
			r.mistake(at, "directives are not used here; expected a plain document")
		case token.MappingKeyType:
			r.mistake(at, "the form `? key` is not used here; expected key: value")
		case token.DocumentHeaderType:
			if seen && !directive {
				r.mistake(at, "a second document; expected one in a file")
			}
			seen, directive = true, false
		case token.SequenceStartType, token.MappingStartType:
			depth++
		case token.SequenceEndType, token.MappingEndType:
			depth--
		case token.CommentType, token.DocumentEndType:
		default:
			seen = true
		}
		if depth > maxDepth {
			r.mistake(at, "nested too deeply; expected at most %d levels", maxDepth)
			return false
		}
		if len(r.mistakes) > before+maxMistakes {
			return false
		}
	}
	return len(r.mistakes) == before
}

func placeOf(t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{}
	}
	return place{t.Position.Line, max(1, t.Position.Column)}
}

// start is where a node begins in the file.
func start(n ast.Node) place {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return start(n.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return start(n.Key)
	}
	return placeOf(n.GetToken())
}

// kind is what a node is, in the words of the messages.
func kind(n ast.Node) string {
	switch n := n.(type) {
	case nil:
		return "nothing"
	case *ast.NullNode:
		return "nothing"
	case *ast.StringNode, *ast.LiteralNode:
		return "text"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.BoolNode:
		return "true or false"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	default:
		return fmt.Sprintf("a %s", strings.ToLower(n.Type().YAMLName()))
	}
}

// pairs are the entries of a mapping; ok is false when it is none.
func pairs(n ast.Node) (list []*ast.MappingValueNode, ok bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// keyText is the key of an entry.
func keyText(n *ast.MappingValueNode) string { return n.Key.GetToken().Value }

// plain is the text of a scalar that was written without quotes or is text; ok is false for mappings and lists.
func plain(n ast.Node) (text string, ok bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
