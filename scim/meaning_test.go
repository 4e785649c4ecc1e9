package scim_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// field is an attribute that a filter can name, as /Schemas describes it.
type field struct {
	name   string   // in filters
	path   []string // in resources
	typ    string
	exact  bool
	multi  bool
	subs   []field
	values []any // that resources have
}

// fieldsOf reads what can be compared from the schemas that the server announces.
func fieldsOf(t *testing.T, c *client, core string, extensions ...string) []field {
	t.Helper()
	var read func(list []any, prefix string, path []string, deep bool) []field
	read = func(list []any, prefix string, path []string, deep bool) []field {
		var out []field
		for _, x := range list {
			m, _ := x.(map[string]any)
			name, _ := m["name"].(string)
			if m["returned"] == "never" {
				continue
			}
			f := field{name: prefix + name, path: append(slices.Clip(path), name)}
			if f.typ, _ = m["type"].(string); name == "startDate" || name == "endDate" { // a date will do, too
				f.typ = "dateTime"
			}
			f.exact, _ = m["caseExact"].(bool)
			f.multi, _ = m["multiValued"].(bool)
			if deep {
				subs, _ := m["subAttributes"].([]any)
				f.subs = read(subs, "", nil, false)
			}
			out = append(out, f)
		}
		return out
	}
	schema := func(urn string) []any {
		list, _ := c.must(t, "GET", "/Schemas/"+urn, "", 200).at("attributes").([]any)
		return list
	}
	text := func(name string, exact bool) field {
		return field{name: name, path: []string{name}, typ: "string", exact: exact}
	}
	when := func(name string) field { return field{name: name, path: []string{name}, typ: "dateTime"} }
	out := append(read(schema(core), "", nil, true), text("id", true), text("externalId", true),
		field{name: "schemas", path: []string{"schemas"}, typ: "reference", multi: true},
		field{name: "meta", path: []string{"meta"}, typ: "complex", subs: []field{when("created"), when("lastModified"),
			text("location", true), text("version", true), text("resourceType", true)}})
	for _, urn := range extensions {
		out = append(out, read(schema(urn), urn+":", []string{urn}, true)...)
	}
	return out
}

// below is what a resource has at the path.
func below(v any, path []string) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		var out []any
		for _, e := range v {
			out = append(out, below(e, path)...)
		}
		return out
	case map[string]any:
		if len(path) > 0 {
			return below(v[path[0]], path[1:])
		}
	}
	if len(path) > 0 {
		return nil
	}
	return []any{v}
}

// term is a filter and what it means, said of resources as they are shown.
type term struct {
	text  string
	holds func(resource map[string]any) bool
}

func ordered(op string, sign int) bool {
	return map[string]bool{"eq": sign == 0, "ne": sign != 0, "gt": sign > 0, "ge": sign >= 0, "lt": sign < 0, "le": sign <= 0}[op]
}

// means says whether one value satisfies a comparison.
func (f *field) means(op string, value, want any) bool {
	part := op == "co" || op == "sw" || op == "ew" // of the text that is shown
	switch {
	case part:
	case f.typ == "boolean":
		return (value == want) == (op == "eq")
	case f.typ == "integer", f.typ == "decimal":
		a, b := value.(float64), want.(float64) //nolint:forcetypeassert // else the test fails
		return ordered(op, int(max(-1, min(1, (a-b)*1e6))))
	case f.typ == "dateTime":
		a, err := instant(value.(string)) //nolint:forcetypeassert // else the test fails
		b, err2 := instant(want.(string)) //nolint:forcetypeassert // else the test fails
		return err == nil && err2 == nil && ordered(op, a.Compare(b))
	}
	a, b := fmt.Sprint(value), fmt.Sprint(want)
	if !f.exact {
		a, b = strings.ToLower(a), strings.ToLower(b)
	}
	switch op {
	case "co":
		return strings.Contains(a, b)
	case "sw":
		return strings.HasPrefix(a, b)
	case "ew":
		return strings.HasSuffix(a, b)
	}
	return ordered(op, strings.Compare(a, b))
}

func instant(s string) (time.Time, error) {
	if len(s) == len(time.DateOnly) {
		return time.Parse(time.DateOnly, s)
	}
	return time.Parse(time.RFC3339Nano, s)
}

// literal draws what to compare with: what somebody has, a part of it, or what nobody has.
func (f *field) literal(t *rapid.T, op string) any {
	var v any
	if len(f.values) > 0 && rapid.IntRange(0, 5).Draw(t, "known") > 0 {
		v = rapid.SampledFrom(f.values).Draw(t, "value")
	}
	switch f.typ {
	case "boolean":
		return rapid.Bool().Draw(t, "boolean")
	case "integer", "decimal":
		if v == nil {
			v = float64(rapid.IntRange(-2, 30).Draw(t, "number"))
		}
		if op != "co" && op != "sw" && op != "ew" || rapid.Bool().Draw(t, "as a number") {
			return v
		}
		v = fmt.Sprint(v)
	case "dateTime":
		if v == nil {
			v = "2026-11-01T07:00:00Z"
		}
		if op != "co" && op != "sw" && op != "ew" {
			return v
		}
	}
	s, ok := v.(string)
	if !ok {
		return rapid.SampledFrom([]string{"", "a", "é", "User", "http", "zz", "7", "%", "_", `\`, `"`}).Draw(t, "word")
	}
	if op != "eq" && op != "ne" || rapid.IntRange(0, 3).Draw(t, "part") == 0 {
		r := []rune(s)
		i := rapid.IntRange(0, len(r)).Draw(t, "from")
		s = strings.TrimSpace(string(r[i:rapid.IntRange(i, len(r)).Draw(t, "to")]))
	}
	switch rapid.IntRange(0, 3).Draw(t, "case") {
	case 0:
		s = strings.ToUpper(s)
	case 1:
		s = strings.ToLower(s)
	}
	return s
}

// comparison draws one comparison. Of an element that is looked at by itself, names are relative to it.
func (f *field) comparison(t *rapid.T, name string, path []string) term {
	of := func(resource map[string]any) []any { return below(resource, path) }
	if f.typ == "complex" {
		return term{name + " pr", func(r map[string]any) bool { return len(of(r)) > 0 }}
	}
	ops := []string{"eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "pr", "null", "not null"}
	switch f.typ {
	case "boolean", "binary":
		ops = []string{"eq", "ne", "pr", "null", "not null"}
	case "integer", "decimal", "dateTime":
		ops = []string{"eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "pr", "null", "not null"}
	}
	switch op := rapid.SampledFrom(ops).Draw(t, "operator"); op {
	case "pr":
		return term{name + " pr", func(r map[string]any) bool { return len(of(r)) > 0 }}
	case "null":
		return term{name + " eq null", func(r map[string]any) bool { return len(of(r)) == 0 }}
	case "not null":
		return term{name + " ne null", func(r map[string]any) bool { return len(of(r)) > 0 }}
	default:
		want := f.literal(t, op)
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		return term{name + " " + op + " " + string(text), func(r map[string]any) bool {
			values := of(r)
			return slices.ContainsFunc(values, func(v any) bool { return f.means(op, v, want) }) || op == "ne" && len(values) == 0
		}}
	}
}

// leaf draws a comparison of any attribute, or a filter of the elements of one.
func leaf(t *rapid.T, fields []field) term {
	f := fields[rapid.IntRange(0, len(fields)-1).Draw(t, "attribute")]
	if len(f.subs) == 0 {
		return f.comparison(t, f.name, f.path)
	}
	element := func() term {
		return joined(t, 2, func() term {
			s := f.subs[rapid.IntRange(0, len(f.subs)-1).Draw(t, "sub-attribute")]
			return s.comparison(t, s.name, s.path)
		})
	}
	one := func(holds func(map[string]any) bool) func(map[string]any) bool {
		return func(r map[string]any) bool {
			v := any(r)
			for _, name := range f.path {
				m, _ := v.(map[string]any)
				v = m[name]
			}
			list, ok := v.([]any)
			if m, single := v.(map[string]any); !ok && single {
				list = []any{m}
			}
			return slices.ContainsFunc(list, func(e any) bool {
				m, _ := e.(map[string]any)
				return holds(m)
			})
		}
	}
	s := f.subs[rapid.IntRange(0, len(f.subs)-1).Draw(t, "sub-attribute")]
	switch i := slices.IndexFunc(f.subs, func(s field) bool { return s.name == "value" && s.typ != "binary" }); rapid.IntRange(0, 5).Draw(t, "form") {
	case 0:
		return f.comparison(t, f.name, f.path)
	case 1, 2:
		e := element()
		return term{f.name + "[" + e.text + "]", one(e.holds)}
	case 3:
		x, y := element(), s.comparison(t, s.name, s.path)
		return term{f.name + "[" + x.text + "]." + y.text, one(func(e map[string]any) bool { return x.holds(e) && y.holds(e) })}
	case 4:
		if i >= 0 && f.multi {
			v := f.subs[i]
			found := v.comparison(t, f.name+".value", append(slices.Clip(f.path), "value"))
			if !strings.HasSuffix(found.text, " pr") && !strings.HasSuffix(found.text, " null") {
				found.text = strings.Replace(found.text, f.name+".value", f.name, 1)
			}
			return found
		}
	}
	return s.comparison(t, f.name+"."+s.name, append(slices.Clip(f.path), s.path...))
}

// joined draws terms joined by and, or and not.
func joined(t *rapid.T, depth int, one func() term) term {
	if depth == 0 {
		return one()
	}
	switch rapid.IntRange(0, 4).Draw(t, "join") {
	case 0:
		x, y := joined(t, depth-1, one), joined(t, depth-1, one)
		return term{"(" + x.text + " and " + y.text + ")", func(r map[string]any) bool { return x.holds(r) && y.holds(r) }}
	case 1:
		x, y := joined(t, depth-1, one), joined(t, depth-1, one)
		return term{"(" + x.text + " or " + y.text + ")", func(r map[string]any) bool { return x.holds(r) || y.holds(r) }}
	case 2:
		x := joined(t, depth-1, one)
		return term{"not (" + x.text + ")", func(r map[string]any) bool { return !x.holds(r) }}
	}
	return one()
}

// populate makes people and groups at random, and says what each type's resources look like, by id.
func populate(t *testing.T, c *client, seed uint64) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // not a secret
	words := []string{"Ada", "ada lovelace", "BO", "é", "Åsa", "a%_", `q"b\`, "User", "7", "Team A", "work", "x"}
	some := func() string { return words[random.IntN(len(words))] }
	maybe := func(m map[string]any, name string, v any) {
		if random.IntN(2) == 0 {
			m[name] = v
		}
	}
	ids := []string{"nobody-we-know"}
	create := func(target string, doc map[string]any) {
		b, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, c.create(t, target, string(b)))
	}
	anyID := func() string { return ids[random.IntN(len(ids))] }
	for i := range 12 {
		u := map[string]any{"userName": fmt.Sprintf("%s%d", some(), i), "active": random.IntN(3) > 0}
		maybe(u, "externalId", some()+strconv.Itoa(i)) // or somebody who is not active returns
		maybe(u, "displayName", some())
		maybe(u, "title", some())
		maybe(u, "name", map[string]any{"familyName": some(), "givenName": some()})
		for _, list := range []string{"emails", "phoneNumbers", "roles"} {
			maybe(u, list, []any{map[string]any{"value": some() + "1", "type": "work", "primary": true}, map[string]any{"value": some() + "2", "type": some(), "display": some()}})
		}
		maybe(u, "addresses", []any{map[string]any{"country": "SE", "locality": some(), "type": "work"}})
		maybe(u, "x509Certificates", []any{map[string]any{"value": "YWJj"}})
		maybe(u, "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", map[string]any{"department": some(), "employeeNumber": strconv.Itoa(i),
			"manager": map[string]any{"value": anyID(), "$ref": "https://example.org/Users/" + some()}})
		maybe(u, "urn:ietf:params:scim:schemas:extension:jmld:2.0:User", map[string]any{"endDate": "2026-11-01", "workerType": some()})
		maybe(u, hrURN, map[string]any{"badge": some(), "number": i, "code": some() + strconv.Itoa(i), "salary": 10.25, "union": random.IntN(2) == 0,
			"hired": fmt.Sprintf("2026-11-%02dT07:00:00Z", 1+i%3), "shifts": []any{1, 20 + i}, "skills": []any{some(), some() + "s"},
			"site": map[string]any{"building": some(), "floor": i % 4}, "phones": []any{map[string]any{"value": some(), "type": some(), "cost": 2}}})
		create("/Users", u)
	}
	for i := range 8 {
		g := map[string]any{"displayName": some() + strconv.Itoa(i)}
		maybe(g, "externalId", some())
		var members []any
		for range random.IntN(5) {
			members = append(members, map[string]any{"value": anyID()})
		}
		g["members"] = members
		create("/Groups", g)
	}
	// A circle.
	c.must(t, "PATCH", "/Groups/"+ids[13], patchOf(`{"op":"add","path":"members","value":[{"value":"`+ids[14]+`"},{"value":"`+ids[1]+`"}]}`), 200)
	c.must(t, "PATCH", "/Groups/"+ids[14], patchOf(`{"op":"add","path":"members","value":[{"value":"`+ids[13]+`"},{"value":"`+ids[2]+`"}]}`), 200)
}

// shown are the resources of a type with all that can be asked for, by id, and what the fields are compared with.
func shown(t *testing.T, c *client, target string, fields []field) map[string]map[string]any {
	t.Helper()
	var names []string
	for _, f := range fields {
		names = append(names, f.name)
		for _, s := range f.subs {
			names = append(names, f.name+"."+s.name)
		}
	}
	found := map[string]map[string]any{}
	list, _ := c.must(t, "GET", target+"?attributes="+strings.Join(names, ","), "", 200).at("Resources").([]any)
	for _, r := range list {
		m, _ := r.(map[string]any)
		id, _ := m["id"].(string)
		found[id] = m
		for i := range fields {
			f := &fields[i]
			f.values = append(f.values, below(m, f.path)...)
			for j := range f.subs {
				f.subs[j].values = append(f.subs[j].values, below(m, append(slices.Clip(f.path), f.subs[j].name))...)
			}
		}
	}
	return found
}

// Every filter finds what the resources show, on both databases: each attribute that the schemas announce, with each operator that its
// type has, in value paths and outside, under and, or and not (RFC 7644 §3.4.2.2), for each type and at the root.
func TestFiltersFindWhatTheResourcesShow(t *testing.T) {
	t.Parallel()
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := newHR(t, b)
			seed := rand.Uint64() //nolint:gosec // not a secret
			t.Logf("seed %d", seed)
			populate(t, c, seed)
			users := fieldsOf(t, c, "urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
				"urn:ietf:params:scim:schemas:extension:jmld:2.0:User", hrURN)
			groups := fieldsOf(t, c, "urn:ietf:params:scim:schemas:core:2.0:Group")
			people, teams := shown(t, c, "/Users", users), shown(t, c, "/Groups", groups)
			many := "nickName pr" // as many conditions as there may be, each asked beside every record
			for i := range 99 {
				many += fmt.Sprintf(` or groups.type gt "%d"`, i)
			}
			c.must(t, "GET", "/Users?filter="+url.QueryEscape(many), "", 200)
			both := maps.Clone(people)
			maps.Copy(both, teams)
			rapid.Check(t, func(t *rapid.T) {
				target, fields, all := "/Users", users, people
				switch rapid.IntRange(0, 4).Draw(t, "where") {
				case 0, 1:
					target, fields, all = "/Groups", groups, teams
				case 2: // what only one type has, is unassigned in the other
					target, all = "/", both
					if rapid.Bool().Draw(t, "of groups") {
						fields = groups
					}
				}
				// What lists are derived from is where the database and the evaluator share the work.
				often := slices.Clip(fields)
				for _, f := range fields {
					if f.name == "members" || f.name == "groups" {
						often = append(often, f, f, f, f, f, f, f, f)
					}
				}
				filter := joined(t, 3, func() term { return leaf(t, often) })
				var want []string
				for id, r := range all {
					if filter.holds(r) {
						want = append(want, id)
					}
				}
				c.finds(t, target, filter.text, "id", want)
			})
		})
	}
}
