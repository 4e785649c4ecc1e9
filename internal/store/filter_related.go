package store

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"jmld/model"
)

// The texts of members and groups that filters compare. Their keys are folded, and cut like all keys.
const (
	memberName = "CASE WHEN x.display_name_key = '' THEN x.user_name_key ELSE x.display_name_key END"
	groupName  = "x.display_name_key"
)

// relatedTerm is a condition on an element of members or of groups: on what the table says, and on the record of the member or the group, x.
type relatedTerm struct {
	sql string
	// known: it does not hold of a member without a record. alone: it says nothing about the record. few: it names a member.
	known, alone, few bool
}

// related finds groups by their members, and users by the groups that they are in. The condition is always exact: nothing but the
// tables knows who is in which group.
func (b *query) related(f model.Related) (condition, error) {
	ids, few, err := b.relatedIDs(f)
	return condition{sql: "r.id IN (" + ids + ")", exact: true, few: few, heavy: !few}, err
}

// relatedIDs selects the id of every record for which it holds.
func (b *query) relatedIDs(f model.Related) (ids string, few bool, err error) {
	members := f.Attr == model.RelatedMembers
	t, err := b.relatedTerm(f.Term, members)
	if err != nil {
		return "", false, err
	}
	join := ""
	switch {
	case t.alone:
	case t.known || !members:
		join = " JOIN EACH records x ON (x.source = m.source AND x.id = m." + map[bool]string{true: "member_id", false: "group_id"}[members] + ")"
	default:
		join = " LEFT JOIN records x ON x.source = m.source AND x.id = m.member_id"
	}
	from := " FROM members m" + join + " WHERE m.source = $1 AND " + t.sql
	const below = " FROM down JOIN SOME members m member_id ON (m.source = $1 AND m.group_id = down.id)"
	switch {
	case members:
		return "SELECT m.group_id AS id" + from, t.few, nil
	case f.Through == model.ThroughItself:
		return "SELECT m.member_id AS id" + from, false, nil
	case f.Through == model.ThroughOthers: // for each of the groups, who is below the groups in it, and not in itself
		return "WITH RECURSIVE down(top, id) AS (SELECT m.group_id, m.member_id" + from +
			" AND EXISTS (SELECT 1 FROM members n WHERE n.source = $1 AND n.group_id = m.member_id) UNION SELECT down.top, m.member_id" + below +
			") SELECT m.member_id AS id" + below + " WHERE NOT EXISTS (SELECT 1 FROM members d WHERE d.source = $1 AND d.group_id = down.top AND d.member_id = m.member_id)", false, nil
	}
	return "WITH RECURSIVE down(id) AS (SELECT m.member_id" + from + " UNION SELECT m.member_id" + below + ") SELECT id FROM down", false, nil
}

// asked is what a Related in a filter asks for: the ids of all for which it holds.
type asked struct {
	number int
	ids    string
}

// asked finds what is Related in a filter.
func (b *query) asked(f model.Filter) (all []asked, err error) {
	var terms []model.Filter
	switch f := f.(type) {
	case model.And:
		terms = f.Terms
	case model.Or:
		terms = f.Terms
	case model.Not:
		terms = []model.Filter{f.Term}
	case model.Related:
		ids, _, err := b.relatedIDs(f)
		return []asked{{f.Number, ids}}, err
	}
	for _, t := range terms {
		some, err := b.asked(t)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

func (b *query) relatedTerm(f model.Filter, members bool) (relatedTerm, error) {
	switch f := f.(type) {
	case model.And:
		return b.relatedTerms(f.Terms, true, members)
	case model.Or:
		return b.relatedTerms(f.Terms, false, members)
	case model.Not:
		t, err := b.relatedTerm(f.Term, members)
		return relatedTerm{sql: "NOT " + t.sql, alone: t.alone}, err
	case model.Compare:
		return b.relatedCompare(f, members)
	}
	return relatedTerm{}, fmt.Errorf("%w: filter %T of members", model.ErrInvalid, f)
}

func (b *query) relatedTerms(terms []model.Filter, and, members bool) (relatedTerm, error) {
	word, all := " OR ", relatedTerm{sql: "FALSE", known: len(terms) > 0, alone: true, few: true}
	if and {
		word, all = " AND ", relatedTerm{sql: "TRUE", alone: true}
	}
	parts := make([]string, len(terms))
	for i, term := range terms {
		t, err := b.relatedTerm(term, members)
		if err != nil {
			return t, err
		}
		parts[i] = t.sql
		all.alone = all.alone && t.alone
		if and {
			all.known, all.few = all.known || t.known, all.few || t.few
		} else {
			all.known, all.few = all.known && t.known, all.few && t.few
		}
	}
	if len(parts) > 0 {
		all.sql = "(" + strings.Join(parts, word) + ")"
	}
	return all, nil
}

// relatedCompare compares value, display or, of members, type of one element. A column without a record is NULL: what is said to be
// there is coalesced, so that NOT of it is true.
func (b *query) relatedCompare(c model.Compare, members bool) (relatedTerm, error) {
	var column string
	alone := false
	switch sub := c.Attr.Path[len(c.Attr.Path)-1]; {
	case sub == "value" && members:
		column, alone = "m.member_id", true
	case sub == "value":
		column, alone = "m.group_id", true
	case sub == "display" && members:
		column = "coalesce(" + memberName + ", '')"
	case sub == "display":
		column = groupName
	case sub == "type" && members:
		column = "coalesce(x.kind, '')"
	default:
		return relatedTerm{}, fmt.Errorf("%w: filter of %s", model.ErrInvalid, c.Attr)
	}
	there := relatedTerm{sql: column + " <> ''", known: !alone, alone: alone}
	gone := relatedTerm{sql: column + " = ''", alone: alone}
	if c.Op == model.OpPr || c.Value == nil && c.Op == model.OpNe {
		return there, nil
	}
	if c.Value == nil && c.Op == model.OpEq {
		return gone, nil
	}
	value, ok := c.Value.(string)
	if !alone {
		value = model.FoldKey(value)
	}
	if !ok || value == "" || !alone && len(value) > maxKey-utf8.UTFMax {
		return relatedTerm{}, fmt.Errorf("%w: %s compared with a text that is empty or too long", model.ErrInvalid, c.Attr)
	}
	sql, ok := b.operator(column, c.Op, value)
	if !ok {
		return relatedTerm{}, fmt.Errorf("%w: %s %s", model.ErrInvalid, c.Attr, c.Op)
	}
	if c.Op == model.OpNe { // of an element without it, too
		return relatedTerm{sql: sql, alone: alone}, nil
	}
	return relatedTerm{sql: "(" + sql + " AND " + there.sql + ")", known: !alone, alone: alone, few: alone && c.Op == model.OpEq}, nil
}
