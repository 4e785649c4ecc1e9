package jml

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"
	"strings"

	"jmld/model"
)

// Digest names the content of a plan: what would happen to which accounts. Approval is for exactly one digest.
func Digest(changes []model.Change) string {
	lines := make([]string, 0, len(changes))
	for _, c := range changes {
		lines = append(lines, strings.Join([]string{c.IdentityID, c.Target, string(c.Op), c.Before, c.After}, "\x00"))
	}
	slices.Sort(lines)
	h := sha256.New()
	for _, l := range lines {
		_, _ = io.WriteString(h, l+"\n") // a hash never fails to write
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
