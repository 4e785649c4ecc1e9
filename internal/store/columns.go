package store

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// fewRows are written faster with a parameter for each value.
const fewRows = 10

// update describes a compare-and-set on rows of a table, all of which must be as they were loaded.
type update struct {
	table, set, where string // with $1-parameters
	types             string // of the parameters, as in insert
}

// updates returns the operations that update n rows; args appends the parameters of row i.
func (d *dialect) updates(t update, n int, args func(i int, to []any) []any) []op {
	if n == 0 {
		return nil
	}
	if !d.lite && n >= fewRows {
		o := op{text: d.updatesText(t), args: d.columns(t.types, n, args), must: true}
		o.args = append(o.args, n)
		return []op{o}
	}
	ops := make([]op, n)
	for i := range ops {
		ops[i] = op{text: d.must("UPDATE " + t.table + " SET " + t.set + " WHERE " + t.where), must: true, args: args(i, nil)}
	}
	return ops
}

func (d *dialect) updatesText(t update) string {
	key := t.table + " updates"
	if s, ok := d.texts.Load(key); ok {
		return s.(string)
	}
	rename := func(text string) string {
		return d.param.ReplaceAllStringFunc(text, func(p string) string { return "u.c" + p[1:] })
	}
	s := d.translate(fmt.Sprintf("WITH w AS (UPDATE %s SET %s FROM %s WHERE %s RETURNING 1) SELECT 1 / (count(*) = $%d)::int FROM w",
		t.table, rename(t.set), unnest(t.types), rename(t.where), len(t.types)+1))
	d.texts.Store(key, s)
	return s
}

// insertColumns returns the operation that inserts n rows with a parameter for each column: PostgreSQL plans it once for any
// number of rows, and takes not much more time than for COPY.
func (d *dialect) insertColumns(t insert, n int, args func(i int, to []any) []any) op {
	key := t.into + t.tail + "columns"
	text, ok := d.texts.Load(key)
	if !ok {
		c := 0
		values := regexp.MustCompile(`\?`).ReplaceAllStringFunc(strings.TrimSuffix(strings.TrimPrefix(t.tuple, "("), ")"), func(string) string {
			c++
			return fmt.Sprintf("u.c%d", c)
		})
		text = d.translate("INSERT INTO " + t.into + " SELECT " + values + " FROM " + unnest(t.types) + " " + t.tail)
		d.texts.Store(key, text)
	}
	return op{text: text.(string), args: d.columns(t.types, n, args)}
}

// unnest makes a table u of parameters that are arrays, with the columns c1, c2, …
func unnest(types string) string {
	var arrays, names strings.Builder
	postgres := map[rune]string{'t': "text", 'b': "boolean", 'i': "bigint", 'z': "timestamptz", 'y': "bytea"}
	for i, kind := range types {
		if i > 0 {
			arrays.WriteString(", ")
			names.WriteString(", ")
		}
		fmt.Fprintf(&arrays, "$%d::%s[]", i+1, postgres[kind])
		fmt.Fprintf(&names, "c%d", i+1)
	}
	return "unnest(" + arrays.String() + ") AS u(" + names.String() + ")"
}

// columns returns the parameters of n rows, an array each.
func (d *dialect) columns(types string, n int, args func(i int, to []any) []any) []any {
	texts, bools, ints := map[int][]string{}, map[int][]bool{}, map[int][]int64{}
	times, bytes := map[int][]*time.Time{}, map[int][][]byte{}
	for c, kind := range []byte(types) {
		switch kind {
		case 't':
			texts[c] = make([]string, 0, n)
		case 'b':
			bools[c] = make([]bool, 0, n)
		case 'i':
			ints[c] = make([]int64, 0, n)
		case 'z':
			times[c] = make([]*time.Time, 0, n)
		case 'y':
			bytes[c] = make([][]byte, 0, n)
		}
	}
	row := make([]any, 0, len(types))
	for i := range n {
		row = args(i, row[:0])
		for c, v := range row {
			switch v := v.(type) {
			case string:
				texts[c] = append(texts[c], printable(v))
			case bool:
				bools[c] = append(bools[c], v)
			case int:
				ints[c] = append(ints[c], int64(v))
			case int64:
				ints[c] = append(ints[c], v)
			case time.Time:
				times[c] = append(times[c], &v)
			case nil: // only times are optional
				times[c] = append(times[c], nil)
			case []byte:
				bytes[c] = append(bytes[c], v)
			}
		}
	}
	out := make([]any, len(types))
	for c, kind := range []byte(types) {
		switch kind {
		case 't':
			out[c] = texts[c]
		case 'b':
			out[c] = bools[c]
		case 'i':
			out[c] = ints[c]
		case 'z':
			out[c] = times[c]
		case 'y':
			out[c] = bytes[c]
		}
	}
	return out
}
