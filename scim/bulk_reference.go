package scim

import (
	"net/http"
	"strings"
)

// maxReferencing is how long a PATCH path may be for references in it to be looked for.
const maxReferencing = 4 << 10

// bulkMark begins a reference to what another operation makes (RFC 7644 §3.7.2).
const bulkMark = "bulkId:"

// references calls resolve for each reference in the operation's path and data, and puts what it returns in its place;
// "" leaves the reference as it is.
func (op *bulkOperation) references(resolve func(bulkID string) string) {
	if name, ok := strings.CutPrefix(op.target, bulkMark); ok && name != "" {
		if id := resolve(name); id != "" {
			op.target = id
		}
	}
	paths := op.method == http.MethodPatch
	// A stack, not a recursion: what is walked through was made up by a client.
	stack := []any{op.data}
	visit := func(key string, value *any) {
		switch v := (*value).(type) {
		case string:
			if s := referred(key, v, paths, resolve); s != v {
				*value = s
			}
		case object, []any:
			stack = append(stack, v)
		}
	}
	for len(stack) > 0 {
		top := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		switch top := top.(type) {
		case object:
			for i := range top {
				visit(top[i].key, &top[i].value)
			}
		case []any:
			for i := range top {
				visit("", &top[i])
			}
		}
	}
}

// referred resolves the references in one text: all of it, the end of a $ref, the operands in the path of a PATCH, and the
// texts in JSON that is itself a text.
func referred(key, text string, paths bool, resolve func(string) string) string {
	if !strings.Contains(text, bulkMark) {
		return text
	}
	last := 0
	if strings.EqualFold(key, "$ref") {
		last = strings.LastIndexByte(text, '/') + 1
	}
	if name, ok := strings.CutPrefix(text[last:], bulkMark); ok && name != "" {
		if id := resolve(name); id != "" {
			return text[:last] + id
		}
		return text
	}
	path := paths && strings.EqualFold(key, "path") && len(text) <= maxReferencing // a longer one is refused as it is
	if !path && !bracketed(text, either) {
		return text
	}
	const open = `"` + bulkMark
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(text, open)
		name, after, closed := strings.Cut(rest, `"`)
		if !ok || !closed {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(before)
		b.WriteByte('"')
		id := ""
		if name != "" {
			id = resolve(name)
		}
		if id == "" {
			id = bulkMark + name
		}
		b.WriteString(id)
		b.WriteByte('"')
		text = after
	}
}

// link finds what each operation refers to, and returns what has to be done before it: that, and the operation before it
// on the same resource.
func (j *bulkJob) link() [][]int {
	before := make([][]int, len(j.ops))
	seen := make([]int, len(j.ops)) // by the operation after this one
	last := map[string]int{}
	for i := range j.ops {
		op := &j.ops[i]
		if op.wrong != nil {
			continue
		}
		unknown := ""
		op.references(func(name string) string {
			n, ok := j.maker[name]
			switch {
			case !ok:
				unknown = name
			case n != i && seen[n] != i+1:
				seen[n] = i + 1
				op.needs = append(op.needs, n)
			}
			return ""
		})
		if unknown != "" {
			op.needs = nil
			op.wrong = invalidValue("No operation makes %s%s.", bulkMark, safeName(unknown))
			continue
		}
		before[i] = op.needs
		if op.target != "" {
			where := op.rt.endpoint + "/" + op.target
			if n, ok := last[where]; ok && seen[n] != i+1 {
				before[i] = append(op.needs[:len(op.needs):len(op.needs)], n)
			}
			last[where] = i
		}
	}
	return before
}
