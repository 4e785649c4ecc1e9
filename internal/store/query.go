package store

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"jmld/model"
)

// maxScan is how many records a query looks at one by one, when its filter is more than SQL can say, and it does not say itself.
const maxScan = 50_000

// query is a Query on its way to SQL: conditions with their arguments.
type query struct {
	*Store
	args []any
	look func(ctx context.Context, ops ...op) error // lookup, or search
	cut  bool                                       // there may be values that were cut
	long []string                                   // conditions that tell
}

func (q *query) arg(v any) string {
	q.args = append(q.args, v)
	return "$" + strconv.Itoa(len(q.args))
}

// op makes the statement. Parameters that the text does not name, of conditions that were dropped, are left out:
// PostgreSQL could not tell their types.
func (q *query) op(text string, each func(scanner) error) op {
	args, number := make([]any, 0, len(q.args)), make([]int, len(q.args)+1)
	var b strings.Builder
	b.Grow(len(text) + 16)
	for {
		before, after, found := strings.Cut(text, "$")
		if b.WriteString(before); !found {
			return op{text: q.shape(b.String()), args: args, each: each}
		}
		text = strings.TrimLeft(after, "0123456789")
		b.WriteByte('$')
		if i, err := strconv.Atoi(after[:len(after)-len(text)]); err == nil { // else it is of a path in JSON
			if number[i] == 0 {
				args = append(args, q.args[i-1])
				number[i] = len(args)
			}
			b.WriteString(strconv.Itoa(number[i]))
		}
	}
}

// Query selects records of a source. The total is exact. What SQL cannot say of the filter is asked of q.Match, record
// by record; when that means too many records, the error is model.ErrTooMany.
func (s *Store) Query(ctx context.Context, q model.Query) (model.Page, error) {
	b := &query{Store: s, look: s.lookup}
	c, err := b.where(q)
	if err != nil {
		return model.Page{}, err
	}
	if !c.few || c.heavy {
		turns := s.searches
		if q.Filter == nil && q.SortBy == nil { // the next so many in an index
			turns = s.lists
		}
		leave, err := turns.enter(ctx, q.Source)
		if err != nil {
			return model.Page{}, err
		}
		defer leave()
		b.look = s.search
	}
	if len(b.long) > 0 {
		if b, c, err = s.behind(ctx, b, c, q); err != nil {
			return model.Page{}, err
		}
	}
	if !c.exact {
		return s.scan(ctx, b, c, q)
	}
	return s.exact(ctx, b, c, q)
}

// behind makes the condition anew when there are values that were cut. Of a few records, that is not asked: Match looks at them.
func (s *Store) behind(ctx context.Context, b *query, c condition, q model.Query) (*query, condition, error) {
	cut := c.few
	if !cut {
		err := b.look(ctx, b.op("SELECT "+strings.Join(b.long, " OR "), func(row scanner) error { return row.Scan(&cut) }))
		if err != nil || !cut {
			return b, c, err
		}
	}
	wide := &query{Store: s, look: b.look, cut: true}
	c, err := wide.where(q)
	return wide, c, err
}

// where is the whole condition. Beside a filter the kind is no condition for an index: a planner that knows nothing about
// the values would walk all records of the kind in their order instead of looking one up.
func (q *query) where(m model.Query) (condition, error) {
	source, kind := q.arg(m.Source), q.arg(string(m.Kind))
	all := condition{sql: "r.source = " + source + " AND r.kind = " + kind, exact: m.Filter == nil, every: true}
	if m.Filter == nil {
		return all, nil
	}
	c, err := q.filter(m.Filter)
	if err != nil || c.sql == anything().sql {
		all.heavy = c.heavy
		return all, err
	}
	c.sql = "r.source = " + source + " AND r.kind || '' = " + kind + " AND " + c.sql
	return c, nil
}

// rows selects a page, or its beginning, in order ("": in any). With each record it says which of the conditions in asked hold for it.
func (q *query) rows(columns string, c condition, order string, limit, offset int, asked ...string) string {
	where := c.sql
	if order != "" {
		where += " ORDER BY " + order
	}
	where += " LIMIT " + q.arg(limit)
	if offset > 0 {
		where += " OFFSET " + q.arg(offset)
	}
	// With an offset the identifiers come from an index, and only the rows of the page are fetched. SQLite's driver can
	// stop a statement only until its first row is there: what looks at many records has found them all by then.
	if offset > 0 || q.lite && !c.few && !c.every {
		where = "r.source = $1 AND r.id IN (SELECT r.id FROM records r WHERE " + where + ") ORDER BY " + order
	}
	from := "records r"
	for i, ids := range asked {
		if q.lite { // which joins 64 tables at most
			columns += ", r.id IN (" + ids + ")"
			continue
		}
		a := "a" + strconv.Itoa(i) // a join has as much room as it needs, unlike IN with many ids
		columns += ", " + a + ".found IS NOT NULL"
		from += " LEFT JOIN (SELECT DISTINCT id AS found FROM (" + ids + ") AS " + a + "s) AS " + a + " ON " + a + ".found = r.id"
	}
	return "SELECT " + columns + " FROM " + from + " WHERE " + where
}

// exact answers a query whose filter is all SQL. The first page needs no count when it is the last.
func (s *Store) exact(ctx context.Context, b *query, where condition, q model.Query) (model.Page, error) {
	var page model.Page
	count := func() op {
		return b.op("SELECT count(*) FROM records r WHERE "+where.sql, func(row scanner) error { return row.Scan(&page.Total) })
	}
	if q.Limit <= 0 {
		err := b.look(ctx, count())
		return page, err
	}
	columns, each := recordColumns, func(row scanner) error {
		var r model.Record
		err := scanRecord(row, &r)
		page.Records = append(page.Records, r)
		return err
	}
	var deep []string
	if q.Groups && where.few && !where.heavy && q.Offset == 0 {
		page.Groups = map[string][]model.Membership{}
		columns, each = belonging, func(row scanner) error {
			var r model.Record
			groups, more, err := scanBelonging(row, &r)
			if page.Records = append(page.Records, r); more {
				deep = append(deep, r.ID)
			} else if len(groups) > 0 {
				page.Groups[r.ID] = groups
			}
			return err
		}
	}
	// A few are put in order here: sorting one row costs the database more than finding it.
	sorted := where.few && !where.heavy && q.SortBy == nil && q.Offset == 0
	if sorted {
		loose := *b
		if err := b.look(ctx, loose.op(loose.rows(columns, where, "", q.Limit+1, 0), each)); err != nil {
			return model.Page{}, err
		}
		if sorted = len(page.Records) <= q.Limit; sorted {
			slices.SortFunc(page.Records, func(a, b model.Record) int {
				if q.Descending {
					a, b = b, a
				}
				return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
			})
		} else { // more than there is room for: which of them are the first is the database's to say
			page.Records, deep = nil, nil
			clear(page.Groups)
		}
	}
	if !sorted {
		rows := b.op(b.rows(columns, where, b.order(q), q.Limit+1, q.Offset), each)
		if q.Offset > 0 {
			err := b.look(ctx, count(), rows)
			page.Records = page.Records[:min(len(page.Records), q.Limit)]
			return page, err
		}
		if err := b.look(ctx, rows); err != nil {
			return model.Page{}, err
		}
	}
	if len(deep) > 0 {
		of, err := s.GroupsOf(ctx, q.Source, deep)
		if err != nil {
			return model.Page{}, err
		}
		maps.Copy(page.Groups, of)
	}
	if len(page.Records) <= q.Limit {
		page.Total = len(page.Records)
		return page, nil
	}
	page.Records = page.Records[:q.Limit]
	return page, b.look(ctx, count())
}

// scan answers a query whose filter is partly left to Match.
func (s *Store) scan(ctx context.Context, b *query, where condition, q model.Query) (model.Page, error) {
	asked, err := b.asked(q.Filter)
	if err != nil {
		return model.Page{}, err
	}
	texts, columns, related := make([]string, len(asked)), make([]any, len(asked)), []bool(nil)
	for i, a := range asked {
		related = append(related, make([]bool, max(0, a.number+1-len(related)))...)
		texts[i] = a.ids
	}
	for i, a := range asked {
		columns[i] = &related[a.number]
	}
	page, seen, most := model.Page{}, 0, cmp.Or(q.Most, maxScan)
	err = b.look(ctx, b.op(b.rows(recordColumns, where, b.order(q), most+1, 0, texts...), func(row scanner) error {
		if seen++; seen > most {
			return fmt.Errorf("more than %d records to look at: %w", most, model.ErrTooMany)
		}
		var r model.Record
		if err := scanRecord(row, &r, columns...); err != nil || !q.Match(&r, related) {
			return err
		}
		if page.Total >= q.Offset && len(page.Records) < q.Limit {
			page.Records = append(page.Records, r)
		}
		page.Total++
		return nil
	}))
	if err != nil {
		return model.Page{}, err
	}
	return page, nil
}

// order: records without the attribute come last, in a descending order first (RFC 7644 §3.4.2.3).
func (b *query) order(q model.Query) string {
	direction, nulls := "", " NULLS LAST"
	if q.Descending {
		direction, nulls = " DESC", " NULLS FIRST"
	}
	if q.SortBy == nil {
		return "r.created_at" + direction + ", r.id" + direction
	}
	by := ""
	switch name := q.SortBy.String(); name {
	case "id":
		return "r.id" + direction
	case "meta.version":
		by = "r.version" + direction
	case "meta.location": // which ends in the id
		return "r.id" + direction
	case "meta.created":
		by = "r.created_at" + direction
	case "meta.lastModified":
		by = "r.updated_at" + direction
	case "active":
		by = "r.active" + direction
	case "userName", "displayName", "externalId":
		column, _ := typedColumn(name)
		by = "NULLIF(" + column + ", '')" + direction + nulls
	default:
		by = b.attribute(*q.SortBy) + direction + nulls
		if q.SortBy.Typed {
			by = "(SELECT min(v.value) FROM record_values v WHERE v.source = r.source AND v.record_id = r.id AND v.attr = " + b.arg(name) + ")" +
				direction + nulls
		}
	}
	return by + ", r.created_at, r.id"
}

// attribute reads an attribute out of the stored JSON: of a multi-valued one the primary value, else the first
// (RFC 7644 §3.4.2.3).
func (b *query) attribute(ref model.AttrRef) string {
	path := ref.Path
	if ref.Schema != "" {
		path = append([]string{ref.Schema}, path...)
	}
	elements, below := path[:len(path)-len(ref.Path)+1], ref.Path[1:]
	var one, many string
	if b.lite {
		quoted := make([]string, len(path))
		for i, p := range path {
			quoted[i] = `."` + strings.ReplaceAll(p, `"`, ``) + `"`
		}
		one = "json_extract(r.attrs, " + b.arg("$"+strings.Join(quoted, "")) + ")"
		list := b.arg("$" + strings.Join(quoted[:len(elements)], ""))
		many = "json_extract(r.attrs, " + list + " || '[0]')"
		if len(below) > 0 {
			many = "(SELECT json_extract(e.value, " + b.arg("$"+strings.Join(quoted[len(elements):], "")) + ") FROM json_each(r.attrs, " + list +
				") e WHERE e.type = 'object' ORDER BY json_extract(e.value, '$.primary') IS TRUE DESC, e.key LIMIT 1)"
		}
	} else {
		// jsonb has no NUL: a record with one has no place in the order, instead of failing everybody's query.
		const attrs = `CASE WHEN strpos(r.attrs, '\u0000') = 0 THEN r.attrs::jsonb END`
		one = "(" + attrs + " #>> " + b.arg(path) + "::text[])"
		many = "(" + attrs + " #>> " + b.arg(append(slices.Clone(elements), "0")) + "::text[])"
		if len(below) > 0 {
			list := "(" + attrs + " #> " + b.arg(elements) + "::text[])"
			many = "(SELECT e.v #>> " + b.arg(below) + "::text[] FROM jsonb_array_elements(CASE jsonb_typeof" + list + " WHEN 'array' THEN " + list +
				" END) WITH ORDINALITY e(v, n) ORDER BY e.v ->> 'primary' = 'true' DESC NULLS LAST, e.n LIMIT 1)"
		}
	}
	both := "coalesce(" + one + ", " + many + ")"
	if ref.Schema != "" { // a list is below the extension; as a whole it would be text, too
		both = "coalesce(" + many + ", " + one + ")"
	}
	if !ref.CaseExact {
		both = "lower(" + both + ")"
	}
	if !b.lite {
		both += ` COLLATE "C"`
	}
	return both
}
