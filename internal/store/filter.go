package store

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"jmld/jml"
	"jmld/model"
)

// condition is SQL that holds for every record the filter holds for; when exact, for no other; when few, for a handful that an
// index finds; when every, for all of the source and kind; when heavy, it looks at many members, whatever else there is.
type condition struct {
	sql   string
	exact bool
	few   bool
	every bool
	heavy bool
}

// anything is the condition of a filter that SQL cannot say: Match decides.
func anything() condition { return condition{sql: "TRUE"} }

func (b *query) filter(f model.Filter) (condition, error) {
	switch f := f.(type) {
	case model.And:
		return b.terms(f.Terms, " AND ", "TRUE")
	case model.Or:
		return b.terms(f.Terms, " OR ", "FALSE")
	case model.Not:
		c, err := b.filter(f.Term)
		if err != nil || !c.exact {
			some := anything()
			some.heavy = c.heavy
			return some, err
		}
		return condition{sql: "NOT " + c.sql, exact: true, heavy: c.heavy}, nil
	case model.Compare:
		return b.compare(f)
	case model.ValuePath:
		return b.valuePath(f), nil
	case model.Related:
		return b.related(f)
	}
	return condition{}, fmt.Errorf("%w: filter %T", model.ErrInvalid, f)
}

func (b *query) terms(terms []model.Filter, word, none string) (condition, error) {
	and := word == " AND "
	all, known := condition{exact: true, few: !and}, true
	parts := make([]string, 0, len(terms))
	for _, t := range terms {
		c, err := b.filter(t)
		if err != nil {
			return condition{}, err
		}
		all.heavy = all.heavy || c.heavy
		if c.sql == anything().sql {
			all.exact, all.few, known = false, all.few && and, known && and
			continue
		}
		parts = append(parts, c.sql)
		all.exact = all.exact && c.exact
		if and {
			all.few = all.few || c.few
		} else {
			all.few = all.few && c.few
		}
	}
	switch {
	case !known || len(parts) == 0 && !all.exact:
		all.sql = anything().sql
		return all, nil
	case len(parts) == 0:
		parts = append(parts, none)
	}
	all.sql = "(" + strings.Join(parts, word) + ")"
	return all, nil
}

func (b *query) compare(c model.Compare) (condition, error) {
	name := c.Attr.String()
	if model.Searchable(c.Attr) {
		return b.value(c), nil
	}
	if column, raw := typedColumn(name); column != "" {
		return b.text(column, raw, c), nil
	}
	if column := timeColumn(name); column != "" {
		return b.time(column, c), nil
	}
	if name == "active" {
		return b.active(c), nil
	}
	return b.holding(c), nil
}

// holding is a condition of which Match decides the rest: what has the value has the name of the attribute in its text, and the longest word
// of a text that is looked for, unless there are letters in it that may stand for others.
func (b *query) holding(c model.Compare) condition {
	if c.Op == model.OpNe && c.Value != nil || c.Op == model.OpEq && c.Value == nil {
		return anything()
	}
	found := b.named(c.Attr)
	text, ok := c.Value.(string)
	if found.sql == anything().sql || !ok || c.Op != model.OpEq && c.Op != model.OpCo && c.Op != model.OpSw && c.Op != model.OpEw {
		return found
	}
	word := ""
	for w := range strings.FieldsFuncSeq(strings.ToLower(text), func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"\<>&`, r) }) {
		if len(w) > len(word) {
			word = w
		}
	}
	if word != "" && !strings.ContainsFunc(text, func(r rune) bool { return r > '~' }) {
		lower := `lower(r.attrs COLLATE "C")`
		if b.lite { // of ASCII alone
			lower = "lower(r.attrs)"
		}
		found.sql = "(" + found.sql + " AND (find(" + lower + ", " + b.arg(word) + ") > 0 OR octet_length(r.attrs) <> length(r.attrs)))"
	}
	return found
}

// named holds for every resource that has the attribute.
func (b *query) named(a model.AttrRef) condition {
	name := a.Schema
	if len(a.Path) > 0 {
		name = a.Path[len(a.Path)-1]
	}
	// What is not in the text, or may stand there in another way.
	if a.Schema == "" && (a.Path[0] == "meta" || a.Path[0] == "schemas" || a.Path[0] == "id" || a.Path[0] == "active") || name == "" || strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`"\<>&`, r)
	}) {
		return anything()
	}
	return condition{sql: "find(r.attrs, " + b.arg(`"`+name+`":`) + ") > 0"}
}

func (b *query) active(c model.Compare) condition {
	want, ok := c.Value.(bool)
	if !ok || c.Op != model.OpEq && c.Op != model.OpNe {
		return anything()
	}
	if want == (c.Op == model.OpEq) {
		return condition{sql: "r.active", exact: true}
	}
	return condition{sql: "NOT r.active", exact: true}
}

// time is exact to the microsecond, which is what is stored.
func (b *query) time(column string, c model.Compare) condition {
	if text, ok := c.Value.(string); ok {
		return b.timeText(column, c.Op, text)
	}
	at, ok := c.Value.(time.Time)
	sign := map[model.CompareOp]string{
		model.OpEq: "=", model.OpNe: "<>", model.OpGt: ">", model.OpGe: ">=", model.OpLt: "<", model.OpLe: "<=",
	}[c.Op]
	if !ok || sign == "" {
		return anything()
	}
	return condition{sql: column + " " + sign + " " + b.arg(at.UTC()), exact: true}
}

// timeText compares a time as resources show it: to the millisecond, and without regard to case.
func (b *query) timeText(column string, op model.CompareOp, text string) condition {
	shown := "lower(to_char(" + column + " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'))"
	if b.lite {
		shown = "(strftime('%Y-%m-%dt%H:%M:%S', " + column + " / 1000000, 'unixepoch') || printf('.%03dz', " + column + " / 1000 % 1000))"
	}
	sql, ok := b.operator(shown, op, model.FoldKey(text))
	if !ok || text == "" || op != model.OpCo && op != model.OpSw && op != model.OpEw {
		return anything()
	}
	return condition{sql: sql, exact: true}
}

// text compares a typed column: raw, or the key of a folded one. An empty column is an attribute that is not there, which
// is not equal to anything.
func (b *query) text(column string, raw bool, c model.Compare) condition {
	switch {
	case c.Op == model.OpPr, c.Value == nil && c.Op == model.OpNe:
		return condition{sql: column + " <> ''", exact: true}
	case c.Value == nil && c.Op == model.OpEq:
		return condition{sql: column + " = ''", exact: true}
	}
	value, ok := c.Value.(string)
	if !ok || value == "" || raw && !c.Attr.CaseExact {
		return anything()
	}
	if !raw {
		if value = model.FoldKey(value); value == "" {
			return anything()
		}
	}
	if len(value) > keptOfKey {
		return b.beginning(column, c.Op, value)
	}
	sql, ok := b.operator(column, c.Op, value)
	if !ok {
		return anything()
	}
	sql, whole := b.whole(sql, column, c.Op, keptOfKey, "SELECT 1 FROM records r WHERE r.source = $1")
	if c.Op != model.OpNe { // said aloud, because the indexes leave out records without the attribute
		sql = "(" + sql + " AND " + column + " <> '')"
	}
	found := condition{sql: sql, exact: raw == c.Attr.CaseExact && whole, few: c.Op == model.OpEq}
	switch c.Op {
	case model.OpNe, model.OpLt, model.OpLe, model.OpGt, model.OpGe:
		return found.orAnything()
	}
	return found
}

// At least so much is kept of every key and every searchable value.
const (
	keptOfKey   = maxKey - utf8.UTFMax
	keptOfValue = maxValue - utf8.UTFMax
)

// beginning compares a column with a text of which it would have the beginning only.
func (b *query) beginning(column string, op model.CompareOp, value string) condition {
	switch op {
	case model.OpEq, model.OpSw:
		sql, _ := b.operator(column, model.OpSw, model.Cut(value, keptOfKey))
		return condition{sql: sql, few: op == model.OpEq}
	case model.OpCo, model.OpEw:
		return condition{sql: "octet_length(" + column + ") > " + b.arg(keptOfKey)}
	}
	return anything()
}

// whole lets co and ew look behind what was cut: whether anything of the column was, in all of its rows, is asked before, unless
// it is known already. Then Match decides about those as well.
func (b *query) whole(sql, column string, op model.CompareOp, kept int, rows string) (wide string, exact bool) {
	if op != model.OpCo && op != model.OpEw {
		return sql, true
	}
	long := "octet_length(" + column + ") > " + b.arg(kept)
	if b.cut {
		return "(" + sql + " OR " + long + ")", false
	}
	b.long = append(b.long, "EXISTS ("+rows+" AND "+long+")")
	return sql, true
}

// orAnything gives up a condition that folding makes wrong, not only too wide: an order, a difference.
func (c condition) orAnything() condition {
	if !c.exact {
		return anything()
	}
	return c
}

// operator is a comparison of texts byte by byte. A prefix is a range, so that an index serves it.
func (b *query) operator(column string, op model.CompareOp, value string) (sql string, ok bool) {
	v := b.arg(value)
	switch op {
	case model.OpEq:
		return column + " = " + v, true
	case model.OpNe:
		return column + " <> " + v, true
	case model.OpGt:
		return column + " > " + v, true
	case model.OpGe:
		return column + " >= " + v, true
	case model.OpLt:
		return column + " < " + v, true
	case model.OpLe:
		return column + " <= " + v, true
	case model.OpCo:
		return "find(" + column + ", " + v + ") > 0", true
	case model.OpSw:
		return "(" + column + " >= " + v + " AND " + column + " < " + b.arg(value+"\U0010ffff") + ")", true
	case model.OpEw:
		if b.lite {
			return "substr(" + column + ", -length(" + v + ")) = " + v, true
		}
		return "right(" + column + ", length(" + v + ")) = " + v, true
	}
	return "", false
}

// value looks in the side table of searchable values.
func (b *query) value(c model.Compare) condition {
	if c.Attr.Declared {
		if found, ok := b.declared(c); ok {
			return found
		}
	}
	sql, exact, ok := b.valueTerm(c, c.Attr)
	if !ok {
		return b.holding(c)
	}
	return condition{sql: b.having(c.Attr) + sql + ")", exact: exact, few: c.Op == model.OpEq && personal(c.Attr)}
}

// personal attributes are those whose values people hardly share.
func personal(a model.AttrRef) bool {
	switch a.Path[0] {
	case "emails", "phoneNumbers", "ims", "employeeNumber":
		return true
	}
	return false
}

// declared compares an attribute that has all its values in the side table: whether there is one, and numbers, times and
// booleans in their order.
func (b *query) declared(c model.Compare) (found condition, ok bool) {
	some := b.having(c.Attr) + "TRUE)"
	switch {
	case c.Op == model.OpPr, c.Value == nil && c.Op == model.OpNe:
		return condition{sql: some, exact: true}, true
	case c.Value == nil && c.Op == model.OpEq:
		return condition{sql: "NOT " + some, exact: true}, true
	case c.Attr.Typed && c.Op == model.OpNe:
		if text, ok := model.Ordered(c.Value); ok {
			return condition{sql: "(NOT " + some + " OR " + b.having(c.Attr) + "v.value <> " + b.arg(text) + "))", exact: true}, true
		}
	}
	return condition{}, false
}

func (b *query) having(a model.AttrRef) string {
	return "r.id IN (SELECT v.record_id FROM record_values v WHERE v.source = $1 AND v.attr = " + b.arg(a.String()) + " AND "
}

// valueTerm compares v.value, which is folded whatever the attribute is, and of which only the beginning is kept. Other
// operators, and pr, would miss values that are no texts.
func (b *query) valueTerm(c model.Compare, of model.AttrRef) (sql string, exact, ok bool) {
	if c.Attr.Typed {
		value, ok := model.Ordered(c.Value)
		if !ok || c.Op == model.OpNe {
			return "", false, false
		}
		sql, ok = b.operator("v.value", c.Op, value)
		return sql, true, ok
	}
	text, ok := c.Value.(string)
	value := model.FoldKey(text)
	if c.Attr.Declared && c.Attr.CaseExact { // kept in form NFKC, in which a part need not be a part any more
		if value = jml.Fold(text); c.Op != model.OpEq {
			return "", false, false
		}
	}
	if !ok || value == "" {
		return "", false, false
	}
	switch long := len(value) > keptOfValue; {
	case long && (c.Op == model.OpEq || c.Op == model.OpSw):
		sql, ok = b.operator("v.value", model.OpSw, cut(value, keptOfValue))
		return sql, false, ok
	case !long && (c.Op == model.OpEq || c.Op == model.OpSw || c.Op == model.OpCo || c.Op == model.OpEw):
		sql, ok = b.operator("v.value", c.Op, value)
		sql, exact = b.whole(sql, "v.value", c.Op, keptOfValue, "SELECT 1 FROM record_values v WHERE v.source = $1 AND v.attr = "+b.arg(of.String()))
		return sql, exact && !c.Attr.CaseExact, ok
	}
	return "", false, false
}

// valuePath finds records with one element that has the value and the type: emails[type eq "work" and value eq "…"]. It
// needs a condition on the value, because an element without one is not in the side table.
func (b *query) valuePath(f model.ValuePath) condition {
	ref := f.Attr
	if !ref.Declared { // else it is not complex: its elements are the values themselves
		ref.Path = append(append([]string{}, ref.Path...), "value")
	}
	if !model.Searchable(ref) {
		return b.named(f.Attr)
	}
	terms := []model.Filter{f.Term}
	if and, ok := f.Term.(model.And); ok {
		terms = and.Terms
	}
	var conditions []string
	exact, anchored, few := true, false, false
	for _, t := range terms {
		sql, faithful, ok := "", false, false
		if c, isCompare := t.(model.Compare); isCompare && len(c.Attr.Path) == 1 {
			switch c.Attr.Path[0] {
			case "value":
				sql, faithful, ok = b.valueTerm(c, ref)
				anchored = anchored || ok
				few = few || ok && c.Op == model.OpEq && personal(ref)
			case "type":
				sql, faithful, ok = b.typeTerm(c)
			}
		}
		exact = exact && ok && faithful
		if ok {
			conditions = append(conditions, sql)
		}
	}
	if !anchored {
		return b.named(f.Attr)
	}
	return condition{sql: b.having(ref) + strings.Join(conditions, " AND ") + ")", exact: exact, few: few}
}

// typeTerm compares v.type, which is in lower case.
func (b *query) typeTerm(c model.Compare) (sql string, exact, ok bool) {
	text, ok := c.Value.(string)
	if !ok || c.Op != model.OpEq || strings.TrimSpace(text) != text || strings.ContainsFunc(text, func(r rune) bool { return r >= 0x80 }) {
		return "", false, false
	}
	return "v.type = " + b.arg(strings.ToLower(text)), !c.Attr.CaseExact, true
}

// typedColumn is the column an attribute is kept in, and whether as it is (raw) or folded.
func typedColumn(name string) (column string, raw bool) {
	switch name {
	case "id":
		return "r.id", true
	case "externalId":
		return "r.external_id", true
	case "userName":
		return "r.user_name_key", false
	case "displayName":
		return "r.display_name_key", false
	}
	return "", false
}

func timeColumn(name string) string {
	switch name {
	case "meta.created":
		return "r.created_at"
	case "meta.lastModified":
		return "r.updated_at"
	}
	return ""
}
