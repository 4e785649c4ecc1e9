package model

import (
	"strings"
	"unicode"
)

// FoldKey is how values are compared without case: trimmed, spaces folded to one, simple case folding. What a client
// sent is kept beside it and returned as it came. Callers bring Unicode to form NFKC first where it may not be
// (RFC 8265 §3.3): the standard library cannot, so the edges do.
func FoldKey(s string) string {
	clean := true
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x80 || c >= 'A' && c <= 'Z' || c < 0x20 || c == ' ' && (i == 0 || i == len(s)-1 || s[i-1] == ' ') {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	return strings.Map(foldRune, strings.Join(strings.Fields(s), " "))
}

func foldRune(r rune) rune {
	if r < 0x80 {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	least := r // the smallest rune of the folding orbit stands for all of it
	for n := unicode.SimpleFold(r); n != r; n = unicode.SimpleFold(n) {
		least = min(least, n)
	}
	return unicode.ToLower(least)
}
