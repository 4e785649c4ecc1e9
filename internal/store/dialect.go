package store

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"jmld/model"
)

// dialect translates SQL. Statements are written once, with $1-parameters and a few words that both databases say
// differently:
//
//	now()             the clock, as a timestamp
//	after($1)         the clock plus so many microseconds
//	x IN list($1)     x is one of the texts in a parameter made by dialect.list
//	items($1)         those texts as table p(a)
//	pairs($1, $2)     the pairs in two parameters made by dialect.pairs, as table p(a, b)
//	JOIN EACH t a ON (c)  a join that looks rows up in the index, one by one, whatever the planner guesses
//	JOIN SOME t a x ON (c)  the same, in a recursion, for the column x alone
//	find(x, y)        position of y in x, or 0
//	greatest(x, y)    the larger value
//	jsons(x, y)       all rows as a JSON text of lists of these values
//	x::type           the type of a parameter, where PostgreSQL cannot infer it
type dialect struct {
	lite, simulated bool
	rules           []rule
	param           *regexp.Regexp
	texts           sync.Map     // statement as written -> as sent
	shapes          atomic.Int32 // of texts, those that shape put there
}

type rule struct {
	pattern *regexp.Regexp
	to      string
}

// liteNow is the clock in microseconds; SQLite's has milliseconds.
const liteNow = `(CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000)`

func newDialect(lite, simulated bool) *dialect {
	d := &dialect{lite: lite, simulated: simulated, param: regexp.MustCompile(`\$\d+`)}
	add := func(pattern, pg, sqlite string) {
		to := pg
		if lite {
			to = sqlite
		}
		d.rules = append(d.rules, rule{regexp.MustCompile(pattern), to})
	}
	add(regexp.QuoteMeta(loadIDs), strings.ReplaceAll(loadIDs, "$", "$$"), liteIDs)
	// OFFSET 0 keeps PostgreSQL from making it a hash join with all rows: of a recursion it expects many rows. CROSS JOIN
	// keeps SQLite from turning it around.
	add(`JOIN EACH (\w+) (\w+) ON \(([^)]*)\)`,
		`CROSS JOIN LATERAL (SELECT ${2}.* FROM ${1} ${2} WHERE ${3} OFFSET 0) AS ${2}`, `CROSS JOIN ${1} ${2} ON ${3}`)
	// Of a list in an array PostgreSQL expects ten, whoever is in it: a recursion sizes its tables by what it expects.
	add(`JOIN SOME (\w+) (\w+) (\w+) ON \(([^)]*)\)`,
		`CROSS JOIN LATERAL unnest(ARRAY(SELECT ${2}.${3} FROM ${1} ${2} WHERE ${4})) AS ${2}(${3})`, `CROSS JOIN ${1} ${2} ON ${4}`)
	add(`IN list\((\$\d+)\)`, `= ANY(${1}::text[])`, `IN (SELECT value FROM json_each(${1}))`)
	add(`items\((\$\d+)\)`, `(SELECT a COLLATE "C" AS a FROM unnest(${1}::text[]) AS u(a)) AS p`, `(SELECT value AS a FROM json_each(${1})) AS p`)
	add(`pairs\((\$\d+), (\$\d+)\)`, `(SELECT a COLLATE "C" AS a, b COLLATE "C" AS b FROM unnest(${1}::text[], ${2}::text[]) AS u(a, b)) AS p`,
		`(SELECT value ->> 0 AS a, value ->> 1 AS b FROM json_each(${1})) AS p`)
	add(`jsons\(([^)]*)\)`, `coalesce(json_agg(json_build_array(${1})), '[]')::text`, `json_group_array(json_array(${1}))`)
	clock := liteNow
	if simulated {
		clock = "(SELECT at FROM " + simulatedClock + ")"
		add(`after\((\$\d+)\)`, `(`+clock+` + ${1}::bigint * interval '1 microsecond')`, `(now() + ${1})`)
		add(`now\(\)`, clock, clock)
	}
	add(`after\((\$\d+)\)`, `(now() + ${1}::bigint * interval '1 microsecond')`, `(now() + ${1})`)
	if lite {
		add(`now\(\)`, ``, clock)
		add(`find\(`, ``, `instr(`)
		add(`greatest\(`, ``, `max(`)
		add(` FOR (UPDATE|SHARE)( SKIP LOCKED| OF \w+)?`, ``, ``)
		add(`::[a-z]+(\[\])?`, ``, ``)
		// Of a bare parameter SQLite looks at the value when it prepares, and prepares again each time one is bound.
		add(`(LIMIT|OFFSET) (\$\d+)`, ``, `${1} (${2} + 0)`)
		add(`\$(\d+)`, ``, `?${1}`)
	} else {
		add(`find\(`, `strpos(`, ``)
	}
	return d
}

// sql returns the statement as the database wants it. The text must be one of a bounded number: it is remembered.
func (d *dialect) sql(text string) string {
	if s, ok := d.texts.Load(text); ok {
		return s.(string)
	}
	s := d.translate(text)
	d.texts.Store(text, s)
	return s
}

// shape is sql for statements that clients' filters give their form: only so many are remembered.
func (d *dialect) shape(text string) string {
	const most = 1000
	if s, ok := d.texts.Load(text); ok {
		return s.(string)
	}
	if d.shapes.Add(1) > most {
		return d.translate(text)
	}
	return d.sql(text)
}

func (d *dialect) translate(text string) string {
	for _, r := range d.rules {
		text = r.pattern.ReplaceAllString(text, r.to)
	}
	return text
}

// must returns an UPDATE or DELETE that is an error when it affects no row. SQLite tells us how many it affected. On
// PostgreSQL, whose answer comes after the whole batch is sent, the statement divides by the number itself.
func (d *dialect) must(text string) string {
	if d.lite {
		return d.sql(text)
	}
	return d.sql("WITH u AS (" + text + " RETURNING 1) SELECT 1 / count(*) FROM u")
}

// list is a parameter for IN list and items.
func (d *dialect) list(texts []string) any {
	clean := make([]string, len(texts))
	for i, s := range texts {
		clean[i] = printable(s)
	}
	if !d.lite {
		return clean
	}
	return jsonText(clean)
}

// pairs are two parameters for pairs.
func (d *dialect) pairs(ps [][2]string) (a, b any) {
	as, bs := make([]string, len(ps)), make([]string, len(ps))
	for i, p := range ps {
		as[i], bs[i] = printable(p[0]), printable(p[1])
	}
	if !d.lite {
		return as, bs
	}
	both := make([][2]string, len(ps))
	for i := range ps {
		both[i] = [2]string{as[i], bs[i]}
	}
	return jsonText(both), nil
}

// printable replaces what PostgreSQL cannot store in a text: NUL, and bytes that are no UTF-8. One directory entry with
// such a value must not stop the read of all others.
func printable(s string) string {
	if strings.IndexByte(s, 0) < 0 && utf8.ValidString(s) {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd")
}

// printableArgs does so with the parameters of statements.
func printableArgs(ops []op) {
	for _, o := range ops {
		for i, arg := range o.args {
			if s, ok := arg.(string); ok {
				if p := printable(s); len(p) != len(s) || p != s {
					o.args[i] = p
				}
			}
		}
	}
}

func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil { // texts always marshal
		panic(err)
	}
	return string(b)
}

// insert describes a table for inserts of any number of rows.
type insert struct {
	into  string // table and columns
	tuple string // the values of one row, with ? for each parameter
	types string // of the parameters, a letter each: text, boolean, integer, time (z), bytes (y); "": never many rows
	tail  string // ON CONFLICT …
}

// insertSizes are the numbers of rows one INSERT may have: few, so that few statements are prepared.
func insertSizes() [6]int { return [...]int{50, 10, 5, 3, 2, 1} }

// rows returns the operations that insert n rows; args appends the parameters of row i.
func (d *dialect) rows(t insert, n int, args func(i int, to []any) []any) []op {
	if !d.lite && n >= fewRows && t.types != "" {
		return []op{d.insertColumns(t, n, args)}
	}
	var ops []op
	for i := 0; i < n; {
		size := 1
		for _, s := range insertSizes() {
			if n-i >= s {
				size = s
				break
			}
		}
		o := op{text: d.insert(t, size)}
		for end := i + size; i < end; i++ {
			o.args = args(i, o.args)
		}
		ops = append(ops, o)
	}
	return ops
}

func (d *dialect) insert(t insert, size int) string {
	key := t.into + t.tail + strconv.Itoa(size)
	if s, ok := d.texts.Load(key); ok {
		return s.(string)
	}
	var b strings.Builder
	verb := "INSERT INTO "
	if d.lite { // whoever sends it undoes all of it: SQLite need not keep the old pages to undo the one statement
		verb = "INSERT OR FAIL INTO "
	}
	b.WriteString(verb + t.into + " VALUES ")
	p := 0
	for i := range size {
		if i > 0 {
			b.WriteString(", ")
		}
		for j, part := range strings.Split(t.tuple, "?") {
			switch p++; {
			case j == 0:
				p--
			case d.lite: // a name for each would be looked for among all of them
				b.WriteByte('?')
			default:
				fmt.Fprintf(&b, "$%d", p)
			}
			b.WriteString(part)
		}
	}
	b.WriteString(" " + t.tail)
	s := d.translate(b.String())
	d.texts.Store(key, s)
	return s
}

// op is one statement of a batch.
type op struct {
	text string // as the database wants it
	args []any
	late func() []any            // SQLite only: makes args when the statements before are done; nil skips this one
	more bool                    // SQLite only: it is run again and again, until late returns nil
	must bool                    // ErrStale when no row is affected; text is from dialect.must
	each func(row scanner) error // called for each row of the answer
}

// scanner is a row.
type scanner interface {
	Scan(dest ...any) error
}

// errMissed is a compare-and-set that found another version.
var errMissed = fmt.Errorf("row is not as it was loaded: %w", model.ErrStale)
