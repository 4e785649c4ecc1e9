package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// check is a Check with what it does and what it cannot do without.
type check struct {
	Check
	needs need
	run   func(ctx context.Context, p *probe) error
}

// need is a set of preconditions.
type need uint

const (
	write need = 1 << iota
	token
	patch
	filter
	sorting
	etags
	bulk
	cursors
	groups
	enterprise
	schemas

	nothing need = 0
)

// lacks says why a check cannot run, if it cannot.
func (p *probe) lacks(n need) error {
	s := &p.server
	for feature, lie := range s.lies {
		if n&feature != 0 {
			return skip("%s", lie)
		}
	}
	switch {
	case n&write != 0 && !p.o.Write:
		return skip("it writes, and only reading was asked for")
	case n&token != 0 && !p.credentials():
		return skip("no token was given")
	case n&patch != 0 && !s.patch:
		return skip("the server does not announce PATCH")
	case n&filter != 0 && !s.filter:
		return skip("the server does not announce filters")
	case n&sorting != 0 && !s.sort:
		return skip("the server does not announce sorting")
	case n&etags != 0 && !s.etag:
		return skip("the server does not announce ETags")
	case n&bulk != 0 && !s.bulk:
		return skip("the server does not announce bulk requests")
	case n&cursors != 0 && !s.cursor:
		return skip("the server does not announce cursors")
	case n&groups != 0 && !s.groups:
		return skip("the server has no Groups")
	case n&enterprise != 0 && !s.enterprise:
		return skip("the server does not announce the enterprise extension")
	case n&schemas != 0 && len(s.schemas) == 0:
		return skip("the server shows no Schemas")
	}
	return nil
}

func newCheck(sev Severity, id, section, rows string, n need, what string, run func(context.Context, *probe) error) check {
	c := check{Check: Check{ID: id, Section: "RFC " + section, Severity: sev, What: what}, needs: n, run: run}
	c.Rows = strings.Fields(rows)
	return c
}

func must(id, section, rows string, n need, what string, run func(context.Context, *probe) error) check {
	return newCheck(Must, id, section, rows, n, what, run)
}

func should(id, section, rows string, n need, what string, run func(context.Context, *probe) error) check {
	return newCheck(Should, id, section, rows, n, what, run)
}

func interop(id, section, rows string, n need, what string, run func(context.Context, *probe) error) check {
	return newCheck(Interop, id, section, rows, n, what, run)
}

// catalogue is all checks in the order in which they run.
func catalogue() []check {
	var all []check
	for _, g := range []struct {
		name string
		list []check
	}{
		{"discovery", discoveryChecks()},
		{"auth", authChecks()},
		{"create", slices.Concat(createChecks(), createInputChecks())},
		{"read", readChecks()},
		{"filter", slices.Concat(filterChecks(), filterRefusalChecks())},
		{"page", pageChecks()},
		{"sort", sortChecks()},
		{"attributes", attributesChecks()},
		{"put", putChecks()},
		{"patch", slices.Concat(patchAddChecks(), patchReplaceChecks(), patchRemoveChecks(), patchRuleChecks())},
		{"dialect", dialectChecks()},
		{"group", slices.Concat(groupChecks(), memberChecks())},
		{"delete", deleteChecks()},
		{"etag", etagChecks()},
		{"bulk", bulkChecks()},
		{"cursor", cursorChecks()},
		{"bounds", boundsChecks()},
	} {
		for _, c := range g.list {
			c.Group = g.name
			all = append(all, c)
		}
	}
	return all
}

// failure is what a check found.
type failure struct {
	expected, seen string
	severity       Severity // "": that of the check
}

func (f failure) Error() string { return "expected " + f.expected + "; seen: " + f.seen }

func wrong(expected, seen string, args ...any) error {
	return failure{expected: expected, seen: fmt.Sprintf(seen, args...)}
}

// mild makes a failure weigh no more than a should.
func mild(err error) error {
	if f, ok := err.(failure); ok { //nolint:errorlint // made here, never wrapped
		f.severity = Should
		return f
	}
	return err
}

// skipped is why a check says nothing.
type skipped struct{ reason string }

func (s skipped) Error() string { return s.reason }

func skip(format string, args ...any) error { return skipped{fmt.Sprintf(format, args...)} }

// is wants one of the statuses.
func (a *answer) is(statuses ...int) error {
	if slices.Contains(statuses, a.status) {
		return nil
	}
	var words []string
	for _, s := range statuses {
		words = append(words, fmt.Sprint(s))
	}
	return wrong("status "+strings.Join(words, " or "), "%s", a.brief())
}

// refused wants a status of 400, or another one of the list, and, as a should, the keyword for it.
func (a *answer) refused(keyword string, others ...int) error {
	if err := a.is(append([]int{400}, others...)...); err != nil {
		return err
	}
	if keyword == "" || a.status != 400 || a.doc == nil { // that an error has no body is another check's business
		return nil
	}
	if got, _ := a.doc["scimType"].(string); got != keyword {
		return mild(wrong("scimType "+keyword, "%s", a.brief()))
	}
	return nil
}

// found wants 200 with a JSON object.
func (a *answer) found() error {
	if err := a.is(200); err != nil {
		return err
	}
	if a.doc == nil {
		return wrong("a JSON object", "%s", a.brief())
	}
	return nil
}

// list wants 200 with a list, and returns its resources.
func (a *answer) list() ([]map[string]any, error) {
	if err := a.found(); err != nil {
		return nil, err
	}
	raw, present := a.doc["Resources"]
	all, ok := raw.([]any)
	if present && raw != nil && !ok {
		return nil, wrong("Resources is an array", "%s: %s", a.op, show(raw))
	}
	out := make([]map[string]any, 0, len(all))
	for _, e := range all {
		m, ok := e.(map[string]any)
		if !ok {
			return nil, wrong("every one of the Resources is an object", "%s: one is not", a.op)
		}
		out = append(out, m)
	}
	return out, nil
}

// at walks into objects.
func at(doc map[string]any, path ...string) any {
	var v any = doc
	for _, k := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[k]
	}
	return v
}

// element is the first value of a multi-valued attribute with key = want.
func element(doc map[string]any, attr, key, want string) map[string]any {
	for _, m := range elements(doc, attr) {
		if s, _ := m[key].(string); strings.EqualFold(s, want) {
			return m
		}
	}
	return nil
}

func elements(doc map[string]any, attr string) []map[string]any {
	list, _ := doc[attr].([]any)
	var out []map[string]any
	for _, e := range list {
		if m, ok := e.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// texts are the values of one sub-attribute, sorted.
func texts(doc map[string]any, attr, sub string) []string {
	out := []string{}
	for _, m := range elements(doc, attr) {
		s, _ := m[sub].(string)
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

// empty says whether the value is unassigned (RFC 7643 §2.5).
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// same compares values of ours.
func same(what string, got, want any) error {
	if reflect.DeepEqual(got, want) {
		return nil
	}
	return wrong(what+" is "+show(want), "%s is %s", what, show(got))
}

func unassigned(what string, got any) error {
	if empty(got) {
		return nil
	}
	return wrong(what+" is unassigned", "%s is %s", what, show(got))
}

func show(v any) string {
	if v == nil {
		return "unassigned"
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%T", v)
	}
	return clip(string(text), 200)
}

// firstOf is the first error.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
