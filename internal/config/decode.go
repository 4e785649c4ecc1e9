package config

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"jmld/jml/policy"
)

// decoder fills structs from the tree, and remembers where everything was.
type decoder struct {
	*report
	dir string
	// elsewhere: what is not on this machine is a warning.
	elsewhere bool
	faulty    map[string]bool     // values that could not be decoded: nothing more is said about them
	checks    bool                // decoding is over
	values    map[string]ast.Node // by path: "sources.0.ldap.url"
	keys      map[string]place
}

func newDecoder(r *report, dir string) *decoder {
	return &decoder{report: r, dir: dir, values: map[string]ast.Node{}, keys: map[string]place{},
		faulty: map[string]bool{}}
}

// route is where a value is in the configuration.
type route []any

func (p route) with(more ...any) route { return append(slices.Clone(p), more...) }

func (p route) String() string {
	parts := make([]string, len(p))
	for i, s := range p {
		parts[i] = fmt.Sprint(s)
	}
	return strings.Join(parts, "\x00")
}

// place is where the value is, or the nearest thing around it.
func (d *decoder) place(p route) place {
	for ; ; p = p[:len(p)-1] {
		key := p.String()
		if n := d.values[key]; n != nil && kind(n) != "nothing" {
			if at, ok := d.keys[key]; ok {
				if _, isMapping := pairs(n); isMapping {
					return at
				}
			}
			return start(n)
		}
		if at, ok := d.keys[key]; ok {
			return at
		}
		if len(p) == 0 {
			return place{1, 1}
		}
	}
}

// keyPlace is where the key of the value is.
func (d *decoder) keyPlace(p route) place {
	if at, ok := d.keys[p.String()]; ok {
		return at
	}
	return d.place(p)
}

// has reports whether the file says something there.
func (d *decoder) has(p route) bool { return d.values[p.String()] != nil }

// wrong reports a mistake in a value.
func (d *decoder) wrong(p route, format string, args ...any) {
	switch {
	case !d.checks:
		d.faulty[p.String()] = true
	case d.faulty[p.String()]:
		return
	}
	d.mistake(d.place(p), format, args...)
}

// absent reports something that is not on this machine, or cannot be read.
func (d *decoder) absent(p route, format string, args ...any) {
	if d.elsewhere {
		d.warn(d.place(p), format, args...)
		return
	}
	d.wrong(p, format, args...)
}

// defaults fills in what the tags say, also in structs within.
func (d *decoder) defaults(v reflect.Value) {
	for i := range v.NumField() {
		f, tag := v.Field(i), v.Type().Field(i).Tag
		if text := tag.Get("default"); text != "" {
			if err := setText(f, text); err != nil {
				panic("config: default of " + v.Type().Field(i).Name + ": " + err.Error()) // a test makes every struct
			}
		} else if f.Kind() == reflect.Struct && f.CanSet() && f.Type() != reflect.TypeFor[Secret]() {
			d.defaults(f)
		}
	}
}

// setText sets a scalar from its notation.
func setText(v reflect.Value, text string) error {
	if s, ok := v.Addr().Interface().(scalar); ok {
		return s.parse(text)
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Int:
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil || len(text) > 1 && text[0] == '0' {
			return fmt.Errorf("%q is not a whole number; expected digits", text)
		}
		v.SetInt(n)
	case reflect.Bool:
		switch text {
		case "true":
			v.SetBool(true)
		case "false":
			v.SetBool(false)
		default:
			return fmt.Errorf("%q is not a condition; expected true or false", text)
		}
	default:
		return fmt.Errorf("cannot be set to text")
	}
	return nil
}

// value decodes a node into v.
func (d *decoder) value(n ast.Node, v reflect.Value, at route, tag reflect.StructTag) {
	d.values[at.String()] = n
	switch t := v.Addr().Interface().(type) {
	case *Secret:
		d.secretValue(n, t, at)
		return
	case *Categories:
		d.categories(n, t, at)
		return
	case *Mapped:
		d.mapped(n, t, at)
		return
	case *Authorities:
		d.authorities(n, t, at)
		return
	case interface {
		decode(d *decoder, n ast.Node, at route)
	}:
		t.decode(d, n, at)
		return
	case *Path:
		d.scalar(n, v, at, tag)
		t.in(d.dir)
		return
	case *Database:
		d.scalar(n, v, at, tag)
		t.SQLite.in(d.dir)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if _, ok := n.(*ast.NullNode); ok {
			d.wrong(at, "%s says nothing; expected a mapping, or {} for the defaults", at[len(at)-1])
			return
		}
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem(), at, tag)
	case reflect.Struct:
		if _, isScalar := v.Addr().Interface().(scalar); isScalar {
			d.scalar(n, v, at, tag)
			return
		}
		d.structure(n, v, at)
	case reflect.Slice:
		d.list(n, v, at)
	case reflect.Map:
		d.mapping(n, v, at, tag)
	default:
		d.scalar(n, v, at, tag)
	}
}

func (d *decoder) scalar(n ast.Node, v reflect.Value, at route, tag reflect.StructTag) {
	text, ok := plain(n)
	want := expected(v)
	switch {
	case !ok:
		d.wrong(at, "%s is %s; expected %s", name(at), kind(n), want)
		return
	case kind(n) != want && (want == "a number" || want == "true or false"):
		d.wrong(at, "%s is %s; expected %s", name(at), kind(n), want)
		return
	case kind(n) != want && kind(n) != "text" && want == "text":
		d.wrong(at, "%s is %s; expected text, in quotes", name(at), kind(n))
		return
	case text == "" && tag.Get("empty") != "ok":
		d.wrong(at, "%s is empty; expected %s, or leave the key out", name(at), want)
		return
	case strings.ContainsRune(text, 0):
		d.wrong(at, "%s has a zero byte in it; expected %s", name(at), want)
		return
	}
	if err := setText(v, text); err != nil {
		d.wrong(at, "%s", err)
		return
	}
	if list := strings.Fields(tag.Get("oneof")); len(list) > 0 && !slices.Contains(list, text) {
		d.wrong(at, "unknown %s %q%s", name(at), text, meant(text, list))
	}
	var low, high int64
	if bounds := tag.Get("range"); bounds != "" {
		fmt.Sscan(bounds, &low, &high) //nolint:errcheck // a tag of ours, tested
		if v.Int() < low || v.Int() > high {
			d.wrong(at, "%s is out of range; expected %d to %d", name(at), low, high)
		}
	}
}

func expected(v reflect.Value) string {
	if _, ok := v.Addr().Interface().(scalar); ok {
		return map[string]string{
			"Duration": "a duration such as 30s", "Size": "a size such as 4MiB", "Percent": "a percentage such as 1%",
			"Database": "text", "Rate": "a rate such as 50/s", "Network": "a network such as 10.0.0.0/8",
			"optText": "text", "optBool": "true or false",
		}[v.Type().Name()]
	}
	switch v.Kind() {
	case reflect.Int:
		return "a number"
	case reflect.Bool:
		return "true or false"
	default:
		return "text"
	}
}

// name is what a value is called: its key, and for an element of a list the key of the list.
func name(at route) string {
	for i := len(at) - 1; i >= 0; i-- {
		if s, ok := at[i].(string); ok {
			if i == len(at)-1 {
				return s
			}
			return "an entry of " + s
		}
	}
	return "the configuration"
}

// entries are the key-value pairs of a mapping, without those that are there twice.
func (d *decoder) entries(n ast.Node, at route) []*ast.MappingValueNode {
	list, ok := pairs(n)
	if !ok {
		d.wrong(at, "%s is %s; expected a mapping", name(at), kind(n))
		return nil
	}
	first := map[string]place{}
	out := list[:0:0]
	for _, e := range list {
		key := keyText(e)
		if before, twice := first[key]; twice {
			d.mistake(start(e.Key), "key %q is there twice, first in line %d; expected it once", key, before.line)
			continue
		}
		first[key] = start(e.Key)
		d.keys[at.with(key).String()] = start(e.Key)
		out = append(out, e)
	}
	return out
}

type structField struct {
	key      string
	required bool
	index    int
}

func fieldsOf(t reflect.Type) []structField {
	var out []structField
	for i := range t.NumField() {
		key, options, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if key != "" && key != "-" {
			out = append(out, structField{key, options == "required", i})
		}
	}
	return out
}

func (d *decoder) structure(n ast.Node, v reflect.Value, at route) {
	d.defaults(v)
	entries := d.entries(n, at)
	if entries == nil {
		if _, ok := pairs(n); !ok {
			return
		}
	}
	fields := fieldsOf(v.Type())
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	seen := map[string]bool{}
	for _, e := range entries {
		key := keyText(e)
		i := slices.Index(keys, key)
		if i < 0 {
			d.unknown(e, key, keys)
			continue
		}
		seen[key] = true
		d.value(e.Value, v.Field(fields[i].index), at.with(key), v.Type().Field(fields[i].index).Tag)
	}
	for _, f := range fields {
		if f.required && !seen[f.key] {
			d.mistake(d.place(at), "%s is missing; expected it in %s", f.key, name(at))
		}
	}
}

// unknown reports a key that nobody knows. What stands there might be a secret under a misspelt key.
func (d *decoder) unknown(e *ast.MappingValueNode, key string, keys []string) {
	if policy.Nearest(key, []string{"password", "database_password", "bind_password", "token", "secret", "client_secret", "credentials"}) != "" {
		d.conceal(e.Value)
	}
	if len(keys) == 0 {
		d.mistake(start(e.Key), "unknown key %q; expected none here", key)
		return
	}
	d.mistake(start(e.Key), "unknown key %q%s", key, meant(key, keys))
}

func meant(word string, words []string) string {
	if near := policy.Nearest(word, words); near != "" {
		return fmt.Sprintf("; did you mean %s? expected one of %s", near, strings.Join(words, ", "))
	}
	return "; expected one of " + strings.Join(words, ", ")
}

func (d *decoder) list(n ast.Node, v reflect.Value, at route) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		d.wrong(at, "%s is %s; expected a list", name(at), kind(n))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values)))
	for i, one := range seq.Values {
		d.value(one, v.Index(i), at.with(i), "")
	}
}

// mapping decodes a map with keys of the operator's.
func (d *decoder) mapping(n ast.Node, v reflect.Value, at route, tag reflect.StructTag) {
	entries := d.entries(n, at)
	v.Set(reflect.MakeMap(v.Type()))
	for _, e := range entries {
		one := reflect.New(v.Type().Elem()).Elem()
		d.value(e.Value, one, at.with(keyText(e)), tag)
		v.SetMapIndex(reflect.ValueOf(keyText(e)), one)
	}
}

// categories keeps the order of the file.
func (d *decoder) categories(n ast.Node, list *Categories, at route) {
	for _, e := range d.entries(n, at) {
		c := policy.Category{Name: keyText(e)}
		d.value(e.Value, reflect.ValueOf(&c.When).Elem(), at.with(c.Name), "")
		*list = append(*list, c)
	}
}

// plainList says whether the list has no mappings in it.
func (d *decoder) plainList(at route) bool {
	seq, ok := d.values[at.String()].(*ast.SequenceNode)
	return ok && !slices.ContainsFunc(seq.Values, func(n ast.Node) bool { _, is := pairs(n); return is })
}

// authorities accepts a list of sources, or one of {sources: […], when: …}.
func (d *decoder) authorities(n ast.Node, list *Authorities, at route) {
	if seq, ok := n.(*ast.SequenceNode); ok && len(seq.Values) > 0 && !d.plainList(at) {
		d.list(n, reflect.ValueOf((*[]Authority)(list)).Elem(), at)
		return
	}
	var sources []string
	d.value(n, reflect.ValueOf(&sources).Elem(), at, "")
	if len(sources) > 0 {
		*list = Authorities{{Sources: sources}}
	}
}

// secretValue accepts {file: …} or {env: …}, and nothing that could be the secret itself.
func (d *decoder) secretValue(n ast.Node, s *Secret, at route) {
	const want = "expected {file: PATH} or {env: NAME}"
	if _, ok := plain(n); ok {
		d.conceal(n)
		d.wrong(at, "%s stands in the configuration itself; %s", name(at), want)
		return
	}
	list, ok := pairs(n)
	if !ok {
		d.conceal(n)
		d.wrong(at, "%s is %s; %s", name(at), kind(n), want)
		return
	}
	var in struct {
		File Path   `yaml:"file"`
		Env  string `yaml:"env"`
	}
	for _, e := range list {
		if k := keyText(e); k != "file" && k != "env" {
			d.conceal(e.Value)
		}
	}
	before := len(d.mistakes)
	d.structure(n, reflect.ValueOf(&in).Elem(), at)
	switch {
	case len(d.mistakes) > before:
		return
	case (in.File == "") == (in.Env == ""):
		d.wrong(at, "%s needs exactly one place; %s", name(at), want)
		return
	case in.Env != "" && !isEnvName(in.Env):
		d.conceal(d.values[at.with("env").String()])
		d.wrong(at.with("env"), "not the name of an environment variable; expected such as JMLD_TOKEN, not the secret itself")
		return
	}
	*s = Secret{file: string(in.File), env: in.Env}
}

// conceal keeps a value out of every excerpt.
func (d *decoder) conceal(n ast.Node) {
	if n == nil {
		return
	}
	from := start(n)
	if text, ok := plain(n); ok {
		if places := d.walk(n, []rune(text)); len(places) > 0 && places[len(places)-1].line == from.line {
			to := places[len(places)-1].col + 1
			if q := n.GetToken().Type; q == token.SingleQuoteType || q == token.DoubleQuoteType {
				to++
			}
			d.hide = append(d.hide, span{from.line, from.col, to})
			return
		}
	}
	d.hide = append(d.hide, span{from.line, from.col, 0})
	for l := from.line + 1; l <= min(lastLine(n), len(d.lines)); l++ {
		d.hide = append(d.hide, span{l, 1, 0})
	}
}

// lastLine is the line in which a value ends, at least: up to the line of what comes next.
func lastLine(n ast.Node) int {
	last := n.GetToken()
	switch n := n.(type) {
	case *ast.LiteralNode:
		last = n.Value.GetToken()
	case *ast.MappingNode:
		if n.End != nil {
			return placeOf(n.End).line
		}
		if len(n.Values) > 0 {
			return lastLine(n.Values[len(n.Values)-1].Value)
		}
	case *ast.SequenceNode:
		if n.End != nil {
			return placeOf(n.End).line
		}
		if len(n.Values) > 0 {
			return lastLine(n.Values[len(n.Values)-1])
		}
	}
	if last == nil || last.Next == nil {
		return math.MaxInt32 // the file ends with it
	}
	return max(start(n).line, placeOf(last.Next).line-1)
}
