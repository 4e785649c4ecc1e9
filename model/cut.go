package model

import (
	"crypto/sha256"
	"encoding/hex"
)

// MaxKey is how many bytes of a name or a key an index holds on both databases, with the other columns of the index.
const MaxKey = 2000

// Cut shortens s to n bytes without splitting a character.
func Cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}

// UniqueKey is what a source holds once. A key that is longer than an index holds is known by its hash: two that begin alike are two.
func UniqueKey(key string) string {
	if len(key) <= MaxKey {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return "sha256 " + hex.EncodeToString(sum[:])
}
