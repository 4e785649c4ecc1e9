package sampledir

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
)

// maxLine bounds a line of the file.
const maxLine = 1 << 20

// block is one record of the file: its lines as they stand there, and where it begins.
type block struct {
	lines []string
	first int // line number, 1-based
	entry *entry
}

// entry of the directory.
type entry struct {
	dn    string
	key   string // normalised DN
	attrs []attribute
}

type attribute struct {
	name   string
	values []string
}

func (e *entry) values(name string) []string {
	for i := range e.attrs {
		if strings.EqualFold(e.attrs[i].name, name) {
			return e.attrs[i].values
		}
	}
	return nil
}

func (e *entry) add(name, value string) {
	for i := range e.attrs {
		if strings.EqualFold(e.attrs[i].name, name) {
			e.attrs[i].values = append(e.attrs[i].values, value)
			return
		}
	}
	e.attrs = append(e.attrs, attribute{name, []string{value}})
}

// parseLDIF reads content records (RFC 2849): comments, folded lines and base64 values; no changes, no URLs.
func parseLDIF(text string) ([]block, error) {
	var blocks []block
	var cur []string
	first, n := 0, 0
	flush := func() error {
		if len(cur) == 0 {
			return nil
		}
		b := block{lines: cur, first: first}
		cur = nil
		var err error
		if b.entry, err = parseRecord(b); err != nil {
			return err
		}
		blocks = append(blocks, b)
		return nil
	}
	sc := bufio.NewScanner(strings.NewReader(text))
	sc.Buffer(nil, maxLine)
	for sc.Scan() {
		n++
		line := strings.TrimSuffix(sc.Text(), "\r")
		if line == "" {
			if err := flush(); err != nil {
				return nil, err
			}
			continue
		}
		if len(cur) == 0 {
			first = n
		}
		cur = append(cur, line)
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", n+1, err)
	}
	return blocks, flush()
}

// parseRecord returns nil for a block of comments or the version line.
func parseRecord(b block) (*entry, error) {
	var e *entry
	lines, numbers := unfold(b)
	for i, line := range lines {
		name, value, err := parseLine(line)
		at := numbers[i]
		switch {
		case err != nil:
			return nil, fmt.Errorf("line %d: %w", at, err)
		case strings.EqualFold(name, "version") && e == nil:
		case strings.EqualFold(name, "dn") && e == nil:
			key, err := normalDN(value)
			if err != nil {
				return nil, fmt.Errorf("line %d: %q is not a DN such as uid=ada,ou=people,%s", at, value, Base)
			}
			e = &entry{dn: value, key: key}
		case e == nil:
			return nil, fmt.Errorf("line %d: a record begins with dn, not %s", at, name)
		case strings.EqualFold(name, "changetype"):
			return nil, fmt.Errorf("line %d: this file holds entries, not changes: leave changetype out and edit the entry", at)
		default:
			e.add(name, value)
		}
	}
	return e, nil
}

// unfold joins continued lines and drops comments.
func unfold(b block) (lines []string, numbers []int) {
	comment := false
	for i, line := range b.lines {
		switch {
		case line[0] == ' ':
			if !comment && len(lines) > 0 {
				lines[len(lines)-1] += line[1:]
			}
		case line[0] == '#':
			comment = true
		default:
			comment = false
			lines, numbers = append(lines, line), append(numbers, b.first+i)
		}
	}
	return lines, numbers
}

func parseLine(line string) (name, value string, err error) {
	name, rest, ok := strings.Cut(line, ":")
	if !ok || name == "" || strings.ContainsAny(name, " \t") {
		return "", "", fmt.Errorf("%q is not like \"mail: ada@example.org\"", line)
	}
	switch {
	case strings.HasPrefix(rest, ":"):
		raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest[1:]))
		if err != nil {
			return "", "", fmt.Errorf("the value of %s is not base64", name)
		}
		value = string(raw)
	case strings.HasPrefix(rest, "<"):
		return "", "", fmt.Errorf("%s: values from files are not read", name)
	default:
		value = strings.Trim(rest, " ")
	}
	if !utf8.ValidString(value) {
		return "", "", fmt.Errorf("the value of %s is not UTF-8", name)
	}
	return name, value, nil
}

// normalDN makes one text of the spellings of a DN.
func normalDN(dn string) (string, error) {
	d, err := ldap.ParseDN(dn)
	if err != nil {
		return "", err
	}
	if len(d.RDNs) == 0 {
		return "", fmt.Errorf("empty")
	}
	return strings.ToLower(d.String()), nil
}
