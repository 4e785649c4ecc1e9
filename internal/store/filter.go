package store

import (
	"fmt"
	"strings"

	"jmld/model"
)

// condition is SQL that holds for every record the filter holds for; when exact, for no other.
type condition struct {
	sql   string
	exact bool
}

// anything is the condition of a filter that SQL cannot say: Match decides.
func anything() condition { return condition{"TRUE", false} }

func (b *query) filter(f model.Filter) (condition, error) {
	switch f := f.(type) {
	case model.And:
		return b.terms(f.Terms, " AND ", "TRUE")
	case model.Or:
		return b.terms(f.Terms, " OR ", "FALSE")
	case model.Not:
		c, err := b.filter(f.Term)
		if err != nil || !c.exact {
			return anything(), err
		}
		return condition{"NOT " + c.sql, true}, nil
	case model.Compare:
		return b.compare(f)
	case model.ValuePath:
		return b.valuePath(f)
	}
	return condition{}, fmt.Errorf("%w: filter %T", model.ErrInvalid, f)
}

func (b *query) terms(terms []model.Filter, word, none string) (condition, error) {
	all := condition{exact: true}
	parts := make([]string, 0, len(terms))
	for _, t := range terms {
		c, err := b.filter(t)
		if err != nil {
			return condition{}, err
		}
		parts = append(parts, c.sql)
		all.exact = all.exact && c.exact
	}
	if len(parts) == 0 {
		parts = append(parts, none)
	}
	all.sql = "(" + strings.Join(parts, word) + ")"
	return all, nil
}

func (b *query) compare(c model.Compare) (condition, error) {
	name := c.Attr.String()
	if c.Attr.Schema != "" {
		return b.value(c, name), nil
	}
	switch c.Attr.Path[0] {
	case "members":
		return b.members(c)
	case "groups":
		return b.groups(c)
	}
	if column, exact := typedColumn(name); column != "" {
		return b.text(column, c, exact, name == "id" || name == "userName"), nil
	}
	if column := timeColumn(name); column != "" {
		if found, ok := b.compareTime(column, c); ok {
			return found, nil
		}
		return anything(), nil
	}
	if name == "active" {
		return b.active(c), nil
	}
	if multiValued(c.Attr.Path) {
		return b.value(c, name), nil
	}
	return anything(), nil
}

func (b *query) active(c model.Compare) condition {
	want, ok := c.Value.(bool)
	switch {
	case ok && c.Op == model.OpEq:
	case ok && c.Op == model.OpNe:
		want = !want
	default:
		return anything()
	}
	if want {
		return condition{"r.active", true}
	}
	return condition{"NOT r.active", true}
}

// text compares a text column. always says that every record has the attribute.
func (b *query) text(column string, c model.Compare, exact, always bool) condition {
	if c.Op == model.OpPr {
		return condition{column + " <> ''", true}
	}
	if c.Op == model.OpNe && !always {
		return anything() // whether a record without the attribute matches is for Match to say
	}
	value, faithful, ok := literal(c.Value, exact)
	if !ok {
		return anything()
	}
	sql, ok := b.operator(column, c.Op, value)
	if !ok {
		return anything()
	}
	if (c.Op == model.OpLt || c.Op == model.OpLe) && !always {
		sql = "(" + sql + " AND " + column + " <> '')"
	}
	if c.Op == model.OpNe && !faithful {
		return anything()
	}
	return condition{sql, faithful}
}

// operator is a comparison of texts byte by byte. A prefix is a range, so that an index serves it.
func (b *query) operator(column string, op model.CompareOp, value string) (string, bool) {
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

// multiValued reports whether the searchable values of the attribute are kept: those of a core attribute with several
// values, under the sub-attribute value.
func multiValued(path []string) bool {
	if len(path) != 2 || path[1] != "value" {
		return false
	}
	switch path[0] {
	case "emails", "phoneNumbers", "ims", "photos", "entitlements", "roles", "x509Certificates":
		return true
	}
	return false
}

// value looks in the side table of searchable values.
func (b *query) value(c model.Compare, name string) condition {
	having := "r.id IN (SELECT v.record_id FROM record_values v WHERE v.source = $1 AND v.attr = " + b.arg(name)
	if c.Op == model.OpPr {
		return condition{having + ")", false} // a value that is no text is not there
	}
	sql, faithful, ok := b.valueTerm(c)
	if !ok {
		return anything()
	}
	return condition{having + " AND " + sql + ")", faithful}
}

// valueTerm compares v.value. Only the beginning of a long value is kept.
func (b *query) valueTerm(c model.Compare) (sql string, faithful, ok bool) {
	value, faithful, ok := literal(c.Value, c.Attr.CaseExact)
	if !ok {
		return "", false, false
	}
	if len(value) >= maxValue-4 {
		if c.Op != model.OpEq && c.Op != model.OpSw {
			return "", false, false
		}
		sql, ok = b.operator("v.value", model.OpSw, cut(value, maxValue-4))
		return sql, false, ok
	}
	switch c.Op {
	case model.OpEq, model.OpSw:
		sql, ok = b.operator("v.value", c.Op, value)
		return sql, faithful, ok
	case model.OpCo, model.OpEw:
		sql, ok = b.operator("v.value", c.Op, value)
		return "(" + sql + " OR length(v.value) > " + b.arg((maxValue-4)/4) + ")", false, ok
	}
	return "", false, false
}

// valuePath finds records with one element that has the value and the type: emails[type eq "work" and value eq "…"]. It
// needs a condition on the value, because an element without one is not in the side table.
func (b *query) valuePath(f model.ValuePath) (condition, error) {
	if f.Attr.Schema == "" && len(f.Attr.Path) == 1 {
		switch f.Attr.Path[0] {
		case "members":
			return b.memberPath(f)
		case "groups":
			if c, ok := f.Term.(model.Compare); ok && len(c.Attr.Path) == 1 {
				return b.groups(model.Compare{Attr: model.AttrRef{Path: []string{"groups", c.Attr.Path[0]}}, Op: c.Op, Value: c.Value})
			}
			return anything(), nil
		}
	}
	path := append(append([]string{}, f.Attr.Path...), "value")
	if f.Attr.Schema == "" && !multiValued(path) || len(f.Attr.Path) != 1 {
		return anything(), nil
	}
	var conditions []string
	exact, anchored := true, false
	terms := []model.Filter{f.Term}
	if and, ok := f.Term.(model.And); ok {
		terms = and.Terms
	}
	for _, t := range terms {
		c, ok := t.(model.Compare)
		if !ok || len(c.Attr.Path) != 1 {
			exact = false
			continue
		}
		switch c.Attr.Path[0] {
		case "value":
			sql, faithful, ok := b.valueTerm(c)
			if !ok {
				exact = false
				continue
			}
			conditions = append(conditions, sql)
			anchored, exact = true, exact && faithful
		case "type":
			value, faithful, ok := literal(c.Value, false)
			if !ok || c.Op != model.OpEq || !ascii(value) {
				exact = false
				continue
			}
			conditions = append(conditions, "lower(v.type) = "+b.arg(value))
			exact = exact && faithful
		default:
			exact = false
		}
	}
	if !anchored {
		return anything(), nil
	}
	ref := f.Attr
	ref.Path = path
	return condition{"r.id IN (SELECT v.record_id FROM record_values v WHERE v.source = $1 AND v.attr = " + b.arg(ref.String()) +
		" AND " + strings.Join(conditions, " AND ") + ")", exact}, nil
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// errMembers: members are not in the record, so Match could not decide.
func errMembers() error {
	return fmt.Errorf("%w: a filter on members compares value with eq, or asks whether there are any (pr)", model.ErrInvalid)
}

// members filters groups by their members.
func (b *query) members(c model.Compare) (condition, error) {
	const any = "r.id IN (SELECT m.group_id FROM members m WHERE m.source = $1"
	if len(c.Attr.Path) > 1 && c.Attr.Path[1] != "value" {
		return condition{}, errMembers()
	}
	if c.Op == model.OpPr {
		return condition{any + ")", true}, nil
	}
	id, ok := c.Value.(string)
	if !ok || c.Op != model.OpEq {
		return condition{}, errMembers()
	}
	return condition{any + " AND m.member_id = " + b.arg(id) + ")", true}, nil
}

func (b *query) memberPath(f model.ValuePath) (condition, error) {
	c, ok := f.Term.(model.Compare)
	if !ok || len(c.Attr.Path) != 1 {
		return condition{}, errMembers()
	}
	return b.members(model.Compare{Attr: model.AttrRef{Path: []string{"members", c.Attr.Path[0]}}, Op: c.Op, Value: c.Value})
}

// groups filters users by a group they are in, directly or through other groups.
func (b *query) groups(c model.Compare) (condition, error) {
	id, ok := c.Value.(string)
	switch {
	case len(c.Attr.Path) > 1 && c.Attr.Path[1] != "value":
	case c.Op == model.OpPr:
		return condition{"r.id IN (SELECT m.member_id FROM members m JOIN records g ON g.source = m.source AND g.id = m.group_id " +
			"WHERE m.source = $1)", true}, nil
	case ok && c.Op == model.OpEq:
		return condition{"r.id IN (WITH RECURSIVE down(id) AS (SELECT m.member_id FROM members m WHERE m.source = $1 AND m.group_id = " + b.arg(id) +
			" UNION SELECT m.member_id FROM down JOIN members m ON m.source = $1 AND m.group_id = down.id) SELECT id FROM down)", true}, nil
	}
	return condition{}, fmt.Errorf("%w: a filter on groups compares value with eq, or asks whether there are any (pr)", model.ErrInvalid)
}
