package sampledir

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// tree is the content of the file at one moment. It is never changed.
type tree struct {
	blocks  []block
	entries []*entry // in the order of the file
	byKey   map[string]*entry
}

func newTree(text string) (*tree, error) {
	blocks, err := parseLDIF(text)
	if err != nil {
		return nil, err
	}
	t := &tree{blocks: blocks, byKey: map[string]*entry{}}
	base, err := normalDN(Base)
	if err != nil {
		return nil, err
	}
	for _, b := range blocks {
		e := b.entry
		if e == nil {
			continue
		}
		if t.byKey[e.key] != nil {
			return nil, fmt.Errorf("line %d: %s stands in the file twice", b.first, e.dn)
		}
		if e.key != base && !strings.HasSuffix(e.key, ","+base) {
			return nil, fmt.Errorf("line %d: %s is not below %s", b.first, e.dn, Base)
		}
		if len(e.values("entryUUID")) == 0 {
			e.add("entryUUID", nameUUID(e.key))
		}
		t.byKey[e.key] = e
		t.entries = append(t.entries, e)
	}
	if t.byKey[base] == nil {
		return nil, fmt.Errorf("the entry %s is missing", Base)
	}
	ids := map[string]string{}
	for _, e := range t.entries {
		id := strings.ToLower(e.values("entryUUID")[0])
		if other, ok := ids[id]; ok {
			return nil, fmt.Errorf("%s and %s have the same entryUUID; leave it out of the newer one", other, e.dn)
		}
		ids[id] = e.dn
	}
	return t, nil
}

// nameUUID is the entryUUID of an entry that has none in the file: the same as long as its DN is, a UUID of version 8
// (RFC 9562 §5.8) made of the DN's hash.
func nameUUID(key string) string {
	b := sha256.Sum256([]byte("sampledir " + key))
	b[6] = b[6]&0x0f | 0x80
	b[8] = b[8]&0x3f | 0x80
	s := hex.EncodeToString(b[:16])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// leaver says whether the entry leaves after the first read.
func (e *entry) leaver() bool {
	for _, v := range e.values("description") {
		if strings.EqualFold(v, LeavesLater) {
			return true
		}
	}
	return false
}

func (e *entry) person() bool {
	for _, v := range e.values("objectClass") {
		if strings.EqualFold(v, "inetOrgPerson") {
			return true
		}
	}
	return false
}

// without returns the text of the file without the leavers and without the lines that name them as a member or
// manager, everything else as it stands; and how many left.
func (t *tree) without(text string) (string, int) {
	gone := map[string]bool{}
	for _, e := range t.entries {
		if e.leaver() {
			gone[e.key] = true
		}
	}
	if len(gone) == 0 {
		return text, 0
	}
	drop := map[int]bool{} // line numbers
	for _, b := range t.blocks {
		if b.entry == nil {
			continue
		}
		whole := gone[b.entry.key]
		inside := false // a line that goes, with its continuations
		for i, line := range b.lines {
			if line[0] != ' ' {
				inside = whole || names(b.lines[i:], gone)
			}
			if inside {
				drop[b.first+i] = true
			}
		}
		if whole {
			drop[b.first+len(b.lines)] = true // the empty line after it
		}
	}
	var out strings.Builder
	for i, line := range strings.SplitAfter(text, "\n") {
		if !drop[i+1] {
			out.WriteString(line)
		}
	}
	return out.String(), len(gone)
}

// names says whether the first of the lines, with its continuations, is a member or manager that is gone.
func names(lines []string, gone map[string]bool) bool {
	joined, _ := unfold(block{lines: continued(lines)})
	if len(joined) != 1 {
		return false
	}
	name, value, err := parseLine(joined[0])
	if err != nil || !strings.EqualFold(name, "member") && !strings.EqualFold(name, "manager") {
		return false
	}
	key, err := normalDN(value)
	return err == nil && gone[key]
}

func continued(lines []string) []string {
	n := 1
	for n < len(lines) && lines[n][0] == ' ' {
		n++
	}
	return lines[:n]
}
