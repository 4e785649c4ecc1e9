package scim_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/model"
	"jmld/scim"
)

const hrURN = "urn:example:params:scim:hr:2.0:User"

// hr is an extension with every type and characteristic.
func hr() []model.Extension {
	attr := func(name, typ string, change ...func(*model.Attribute)) model.Attribute {
		a := model.Attribute{Name: name, Type: typ, Mutability: "readWrite", Returned: "default", Uniqueness: "none"}
		for _, f := range change {
			f(&a)
		}
		return a
	}
	multi := func(a *model.Attribute) { a.MultiValued = true }
	return []model.Extension{{
		URN: hrURN, Kind: model.KindUser, Name: "hr", Description: "Human resources.",
		Attributes: []model.Attribute{
			attr("badge", "string", func(a *model.Attribute) { a.Mutability = "immutable" }),
			attr("number", "integer", func(a *model.Attribute) { a.Uniqueness = "server" }),
			attr("code", "string", func(a *model.Attribute) { a.Uniqueness, a.CaseExact = "server", true }),
			attr("aliases", "string", multi, func(a *model.Attribute) { a.Uniqueness = "global" }),
			attr("computed", "string", func(a *model.Attribute) { a.Mutability = "readOnly" }),
			attr("pin", "string", func(a *model.Attribute) { a.Mutability, a.Returned = "writeOnly", "never" }),
			attr("salary", "decimal", func(a *model.Attribute) { a.Returned = "request" }),
			attr("grade", "string", func(a *model.Attribute) { a.Canonical = []string{"Junior", "Senior"} }),
			attr("union", "boolean"),
			attr("hired", "dateTime"),
			attr("contract", "reference"),
			attr("photo", "binary"),
			attr("shifts", "integer", multi),
			attr("skills", "string", multi),
			attr("site", "complex", func(a *model.Attribute) {
				a.Attributes = []model.Attribute{attr("building", "string"), attr("floor", "integer"),
					attr("key", "string", func(a *model.Attribute) { a.Mutability = "immutable" })}
			}),
			attr("phones", "complex", multi, func(a *model.Attribute) {
				a.Attributes = []model.Attribute{attr("value", "string", func(a *model.Attribute) { a.Required = true }), attr("type", "string"), attr("cost", "decimal")}
			}),
		},
	}, {
		URN: "urn:example:params:scim:must:2.0:User", Kind: model.KindUser, Name: "must", Attributes: []model.Attribute{
			attr("needed", "string", func(a *model.Attribute) { a.Required = true }),
			attr("kept", "string", func(a *model.Attribute) { a.Returned = "always" }),
			attr("since", "string", func(a *model.Attribute) { a.Mutability = "immutable" }),
			attr("desk", "complex", func(a *model.Attribute) {
				a.Attributes = []model.Attribute{attr("room", "string", func(a *model.Attribute) { a.Required = true }),
					attr("number", "string", func(a *model.Attribute) { a.Mutability = "immutable" }), attr("colour", "string")}
			}),
		},
	}, {
		URN: "urn:example:params:scim:cost:2.0:Group", Kind: model.KindGroup, Name: "cost", Attributes: []model.Attribute{
			attr("centre", "integer", func(a *model.Attribute) { a.Uniqueness = "server" }),
		},
	}}
}

func newHR(t testing.TB, b backend) *client {
	t.Helper()
	return newClient(t, b, func(o *scim.Options) { o.Extensions = hr() })
}

// userWith is a User with the extension.
func userWith(name, extension string) string {
	return `{"schemas":[` + userURN + `,"` + hrURN + `"],"userName":"` + name + `","` + hrURN + `":{` + extension + `}}`
}

// R36 R39 R145 R146: what is declared can be discovered.
func TestDeclaredExtensionsAreDiscoverable(t *testing.T) {
	t.Parallel()
	c := newHR(t, sqlite())
	a := c.must(t, "GET", "/Schemas/"+hrURN, "", 200)
	if a.at("name") != "hr" || a.at("description") != "Human resources." {
		t.Errorf("%s", a)
	}
	got := map[string]any{}
	list, _ := a.at("attributes").([]any)
	for _, e := range list {
		m, _ := e.(map[string]any)
		name, _ := m["name"].(string)
		got[name] = m
	}
	if diff := cmp.Diff(any(map[string]any{
		"name": "grade", "type": "string", "multiValued": false, "description": "", "required": false, "caseExact": false,
		"mutability": "readWrite", "returned": "default", "uniqueness": "none", "canonicalValues": []any{"Junior", "Senior"},
	}), got["grade"]); diff != "" {
		t.Error(diff)
	}
	for name, want := range map[string]map[string]any{
		"pin": {"mutability": "writeOnly", "returned": "never"}, "number": {"uniqueness": "server", "type": "integer"},
		"contract": {"caseExact": true}, "phones": {"multiValued": true, "type": "complex"}, "salary": {"returned": "request"},
	} {
		for key, value := range want {
			if m, _ := got[name].(map[string]any); m[key] != value {
				t.Errorf("%s: %v", name, m)
			}
		}
	}
	types := c.must(t, "GET", "/ResourceTypes/User", "", 200).String()
	if !strings.Contains(types, `{"required":false,"schema":"`+hrURN+`"}`) {
		t.Error(types)
	}
	if s := c.must(t, "GET", "/ResourceTypes/Group", "", 200).String(); strings.Contains(s, hrURN) || !strings.Contains(s, "urn:example:params:scim:cost:2.0:Group") {
		t.Error(s)
	}
	if s := string(c.must(t, "GET", "/Schemas", "", 200).body); !strings.Contains(s, `"id":"`+hrURN+`"`) {
		t.Error(s)
	}
}

// TestDeclaredAttributesGoWhereTheyAreSent covers POST, PUT and PATCH with paths, keys and the URN alone.
func TestDeclaredAttributesGoWhereTheyAreSent(t *testing.T) {
	t.Parallel()
	c := newHR(t, sqlite())
	id := c.create(t, "/Users", userWith("ada", `"Skills":["Go","go","CEL"],"number":"7","union":"True","site":{"building":"A","floor":3},"computed":"x",`+
		`"photo":"AAAA","hired":"2026-11-01T08:00:00+01:00","phones":[{"value":"1","type":"desk"},{"value":"2","cost":1.5}],"unknown":1`))
	want := map[string]any{
		"skills": []any{"Go", "CEL"}, "number": 7.0, "union": true, "site": map[string]any{"building": "A", "floor": 3.0}, "photo": "AAAA",
		"hired":  "2026-11-01T08:00:00+01:00",
		"phones": []any{map[string]any{"value": "1", "type": "desk"}, map[string]any{"value": "2", "cost": 1.5}},
	}
	check := func(what string) {
		t.Helper()
		a := c.must(t, "GET", "/Users/"+id, "", 200)
		doc, _ := a.json.(map[string]any)
		if diff := cmp.Diff(any(want), doc[hrURN]); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	check("POST")
	patch := func(status int, operations ...string) answer {
		t.Helper()
		return c.must(t, "PATCH", "/Users/"+id, patchOf(operations...), status)
	}
	patch(200, `{"op":"add","path":"`+hrURN+`:skills","value":["SQL"]}`, `{"op":"replace","path":"`+hrURN+`:site.floor","value":4}`)
	want["skills"], want["site"] = []any{"Go", "CEL", "SQL"}, map[string]any{"building": "A", "floor": 4.0}
	check("paths")
	patch(200, `{"op":"replace","path":"`+hrURN+`:phones[type eq \"desk\"].value","value":"3"}`, `{"op":"remove","path":"`+hrURN+`:phones[cost gt 1]"}`)
	want["phones"] = []any{map[string]any{"value": "3", "type": "desk"}}
	check("filters")
	skills := hrURN + `:skills[value eq \"`
	patch(200, `{"op":"replace","path":"`+skills+`go\"]","value":"Rust"}`, `{"op":"remove","path":"`+skills+`SQL\"]"}`, `{"op":"replace","path":"`+skills+`CEL\"].value","value":"C"}`)
	want["skills"] = []any{"Rust", "C"} // R118
	check("a filter of values that have no parts")
	patch(200, `{"op":"replace","path":"`+skills+`C\"]","value":"rust"}`, `{"op":"add","path":"`+skills+`Go\"]","value":"Go"}`)
	want["skills"] = []any{"Rust", "Go"}
	check("each value once")
	if a := patch(400, `{"op":"replace","path":"`+hrURN+`:skills[value sw \"x\"]","value":"y"}`); a.at("scimType") != "noTarget" {
		t.Error(a)
	}
	patch(200, `{"op":"replace","path":"`+hrURN+`:skills","value":["Go","CEL","SQL"]}`)
	want["skills"] = []any{"Go", "CEL", "SQL"}
	patch(200, `{"op":"add","value":{"`+hrURN+`":{"grade":"SENIOR"},"`+hrURN+`:badge":"b1"}}`)
	want["grade"], want["badge"] = "Senior", "b1"
	check("keys without a path")
	patch(200, `{"op":"add","path":"`+hrURN+`","value":{"shifts":[1,2]}}`, `{"op":"remove","path":"`+hrURN+`:union"}`)
	want["shifts"] = []any{1.0, 2.0}
	delete(want, "union")
	check("the URN as a path")
	for what, operation := range map[string]string{
		"text for a number":    `{"op":"add","path":"` + hrURN + `:number","value":"x"}`,
		"a fraction":           `{"op":"add","path":"` + hrURN + `:number","value":1.5}`,
		"no date":              `{"op":"add","path":"` + hrURN + `:hired","value":"soon"}`,
		"no base64":            `{"op":"add","path":"` + hrURN + `:photo","value":"?"}`,
		"another grade":        `{"op":"add","path":"` + hrURN + `:grade","value":"Boss"}`,
		"a phone without one":  `{"op":"add","path":"` + hrURN + `:phones","value":[{"type":"mobile","cost":2}]}`,
		"two for one":          `{"op":"add","path":"` + hrURN + `:grade","value":["Junior","Senior"]}`,
		"a boolean for a site": `{"op":"add","path":"` + hrURN + `:site","value":true}`,
	} {
		if a := patch(400, operation); a.at("scimType") != "invalidValue" {
			t.Errorf("%s: %s", what, a)
		}
	}
	check("refused operations")
	c.must(t, "PUT", "/Users/"+id, userWith("ada", `"skills":["Rust"]`), 200)
	want = map[string]any{"skills": []any{"Rust"}, "badge": "b1"} // immutable
	check("PUT")
}

// R34 R35: readOnly is ignored in a resource and refused as a path; immutable is set once, in every operation.
func TestDeclaredMutability(t *testing.T) {
	t.Parallel()
	c := newHR(t, sqlite())
	id := c.create(t, "/Users", userWith("ada", `"computed":"x","skills":["Go"]`))
	for _, tt := range []struct {
		what, method, body string
		status             int
		kind               any
	}{
		{"readOnly by path", "PATCH", patchOf(`{"op":"add","path":"` + hrURN + `:computed","value":"y"}`), 400, "mutability"},
		{"readOnly in a value", "PATCH", patchOf(`{"op":"add","value":{"` + hrURN + `":{"computed":"y"}}}`), 200, nil},
		{"immutable, unset", "PATCH", patchOf(`{"op":"add","path":"`+hrURN+`:badge","value":"b1"}`, `{"op":"add","path":"`+hrURN+`:site","value":{"building":"A","key":"k"}}`), 200, nil},
		{"immutable, the same", "PATCH", patchOf(`{"op":"replace","path":"` + hrURN + `:badge","value":"b1"}`), 200, nil},
		{"immutable, another", "PATCH", patchOf(`{"op":"replace","path":"` + hrURN + `:badge","value":"b2"}`), 400, "mutability"},
		{"immutable, another without a path", "PATCH", patchOf(`{"op":"replace","value":{"` + hrURN + `":{"badge":"b2"}}}`), 400, "mutability"},
		{"immutable, removed", "PATCH", patchOf(`{"op":"remove","path":"` + hrURN + `:badge"}`), 400, "mutability"},
		{"immutable, removed with its extension", "PATCH", patchOf(`{"op":"remove","path":"` + hrURN + `"}`), 400, "mutability"},
		{"immutable, removed and added", "PATCH", patchOf(`{"op":"remove","path":"`+hrURN+`"}`, `{"op":"add","path":"`+hrURN+`:badge","value":"b2"}`), 400, "mutability"},
		{"immutable part, another", "PATCH", patchOf(`{"op":"replace","path":"` + hrURN + `:site.key","value":"l"}`), 400, "mutability"},
		{"immutable part, in its attribute", "PATCH", patchOf(`{"op":"replace","path":"` + hrURN + `:site","value":{"key":"l"}}`), 400, "mutability"},
		{"immutable part, removed with its attribute", "PATCH", patchOf(`{"op":"remove","path":"` + hrURN + `:site"}`), 400, "mutability"},
		{"immutable in a PUT, another", "PUT", userWith("ada", `"badge":"b2"`), 400, "mutability"},
		{"immutable part in a PUT, another", "PUT", userWith("ada", `"site":{"key":"l"}`), 400, "mutability"},
		{"immutable in a PUT, the same", "PUT", userWith("ada", `"badge":"b1","site":{"building":"B"}`), 200, nil},
		{"immutable in a PUT, left out", "PUT", `{"schemas":[` + userURN + `],"userName":"ada"}`, 200, nil},
	} {
		if a := c.must(t, tt.method, "/Users/"+id, tt.body, tt.status); a.at("scimType") != tt.kind {
			t.Errorf("%s: %s", tt.what, a)
		}
	}
	doc, _ := c.must(t, "GET", "/Users/"+id, "", 200).json.(map[string]any)
	if diff := cmp.Diff(any(map[string]any{"badge": "b1", "site": map[string]any{"key": "k"}}), doc[hrURN]); diff != "" {
		t.Error(diff)
	}
}

// R33: an extension that is there has what it requires; one that is not requires nothing.
func TestDeclaredRequiredAttributes(t *testing.T) {
	t.Parallel()
	c := newHR(t, sqlite())
	const must = "urn:example:params:scim:must:2.0:User"
	with := func(x string) string { return `{"userName":"ada","` + must + `":{` + x + `}}` }
	for _, x := range []string{`"kept":"k"`, `"needed":"","kept":"k"`, `"needed":" ","kept":"k"`} {
		if a := c.must(t, "POST", "/Users", with(x), 400); a.at("scimType") != "invalidValue" {
			t.Errorf("%s: %s", x, a)
		}
	}
	id := c.create(t, "/Users", with(`"needed":"n","kept":"k"`))
	if a := c.must(t, "PATCH", "/Users/"+id, patchOf(`{"op":"remove","path":"`+must+`:needed"}`), 400); a.at("scimType") != "mutability" {
		t.Errorf("%s", a)
	}
	// R37: what is always returned is, whatever is asked for.
	for _, query := range []string{"?attributes=userName", "?excludedAttributes=" + must, "?excludedAttributes=" + must + ":kept"} {
		doc, _ := c.must(t, "GET", "/Users/"+id+query, "", 200).json.(map[string]any)
		if diff := cmp.Diff(any(map[string]any{"kept": "k"}), doc[must]); diff != "" && !strings.HasSuffix(query, ":kept") {
			t.Errorf("%s: %s", query, diff)
		}
		if m, _ := doc[must].(map[string]any); m["kept"] != "k" {
			t.Errorf("%s: %v", query, doc)
		}
	}
	c.must(t, "PATCH", "/Users/"+id, patchOf(`{"op":"remove","path":"`+must+`"}`), 200)
	c.must(t, "PUT", "/Users/"+id, `{"userName":"ada"}`, 200)
}

// R36 R38 R39: what is never returned is not, and cannot be found out; what is returned on request is, when it is named or
// written.
func TestDeclaredReturned(t *testing.T) {
	t.Parallel()
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := newHR(t, b)
			has := func(a answer, names ...string) {
				t.Helper()
				doc, _ := a.json.(map[string]any)
				m, _ := doc[hrURN].(map[string]any)
				var got []string
				for k := range m {
					got = append(got, k)
				}
				slices.Sort(got)
				if diff := cmp.Diff(names, got); diff != "" {
					t.Errorf("%s: %s", a, diff)
				}
				if strings.Contains(a.String(), "4711") {
					t.Errorf("the pin: %s", a)
				}
			}
			a := c.must(t, "POST", "/Users", userWith("ada", `"pin":"4711","salary":10.5,"grade":"Junior"`), 201)
			has(a, "grade", "salary")
			id, _ := a.at("id").(string)
			user := "/Users/" + id
			has(c.must(t, "GET", user, "", 200), "grade")
			has(c.must(t, "GET", user+"?attributes="+hrURN, "", 200), "grade")
			has(c.must(t, "GET", user+"?attributes="+hrURN+":salary", "", 200), "salary")
			has(c.must(t, "GET", user+"?attributes="+hrURN+":pin,userName", "", 200))
			has(c.must(t, "GET", user+"?excludedAttributes="+hrURN+":grade", "", 200))
			has(c.must(t, "PATCH", user, patchOf(`{"op":"add","path":"`+hrURN+`:salary","value":11}`), 200), "grade", "salary")
			has(c.must(t, "PATCH", user, patchOf(`{"op":"add","path":"title","value":"x"}`), 200), "grade")
			has(c.must(t, "PUT", user, userWith("ada", `"grade":"Senior"`), 200), "grade")
			for _, f := range []string{":pin eq \"4711\"", ":pin pr", ":pin sw \"4\""} {
				if a := c.must(t, "GET", "/Users?filter="+url.QueryEscape(hrURN+f), "", 400); a.at("scimType") != "invalidFilter" {
					t.Errorf("%s: %s", f, a)
				}
			}
			c.must(t, "GET", "/Users?sortBy="+hrURN+":pin", "", 400)
			rec, err := c.Record(t.Context(), "entra", model.KindUser, id)
			if err != nil || !strings.Contains(rec.Attrs, `"pin":"4711"`) { // a PUT does not take away what cannot be read
				t.Errorf("%v %s", err, rec.Attrs)
			}
		})
	}
}

// R40 R41: a value that is declared unique is there once in the source, in any spelling unless case counts.
func TestDeclaredUniqueness(t *testing.T) {
	t.Parallel()
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := newHR(t, b)
			c.token(t, "okta", "okta", "token-okta", nil)
			ada := c.create(t, "/Users", userWith("ada", `"number":7,"code":"Ab","aliases":["one","two"]`))
			bob := c.create(t, "/Users", userWith("bob", `"number":8,"code":"AB"`))
			taken := func(method, target, body string) {
				t.Helper()
				if a := c.must(t, method, target, body, 409); a.at("scimType") != "uniqueness" {
					t.Errorf("%s", a)
				}
			}
			taken("POST", "/Users", userWith("eve", `"number":7.0`))
			taken("POST", "/Users", userWith("eve", `"code":"AB"`))
			taken("POST", "/Users", userWith("eve", `"aliases":["three"," TWO "]`))
			taken("PUT", "/Users/"+bob, userWith("bob", `"number":7`))
			taken("PATCH", "/Users/"+bob, patchOf(`{"op":"add","path":"`+hrURN+`:aliases","value":["One"]}`))
			c.must(t, "PATCH", "/Users/"+ada, patchOf(`{"op":"replace","path":"`+hrURN+`:number","value":9}`), 200)
			c.must(t, "PATCH", "/Users/"+bob, patchOf(`{"op":"replace","path":"`+hrURN+`:number","value":7}`), 200)
			c.must(t, "PUT", "/Users/"+ada, userWith("ada", `"number":9,"aliases":["two"]`), 200)
			c.must(t, "PATCH", "/Users/"+bob, patchOf(`{"op":"add","path":"`+hrURN+`:aliases","value":["one"]}`), 200)
			c.must(t, "DELETE", "/Users/"+ada, "", 204)
			c.create(t, "/Users", userWith("eve", `"number":9,"code":"Ab","aliases":["two"]`))
			if a := c.as(t, "Bearer token-okta", c.host+"/scim/okta/v2/Users", 200); a.at("totalResults") != 0.0 {
				t.Errorf("%s", a)
			}
			long := strings.Repeat("ä", 1000)
			c.create(t, "/Users", userWith("long", `"code":"`+long+`1"`))
			c.create(t, "/Users", userWith("longer", `"code":"`+long+`2"`))
			taken("POST", "/Users", userWith("again", `"code":"`+long+`1"`))
			// groups have their own
			group := func(name string, centre int) string {
				return fmt.Sprintf(`{"displayName":%q,"urn:example:params:scim:cost:2.0:Group":{"centre":%d}}`, name, centre)
			}
			c.create(t, "/Groups", group("G", 9))
			taken("POST", "/Groups", group("H", 9))
			// what is declared unique no more is forgotten
			if err := c.KeepUnique(t.Context(), hr()[0].Unique()); err != nil {
				t.Fatal(err)
			}
			c.create(t, "/Groups", group("H", 9))
			taken("POST", "/Users", userWith("again", `"number":9`))
		})
	}
}

// What two had when an attribute was declared unique stays theirs until it changes: both can be changed, and deactivated.
func TestValuesFromBeforeTheyWereDeclaredUnique(t *testing.T) {
	t.Parallel()
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, b, func(o *scim.Options) {
				o.Extensions = hr()
				for i := range o.Extensions[0].Attributes {
					o.Extensions[0].Attributes[i].Uniqueness = "none"
				}
			})
			ada := "/Users/" + c.create(t, "/Users", userWith("ada", `"number":7`))
			bob := "/Users/" + c.create(t, "/Users", userWith("bob", `"number":7`))
			c = c.over(t, scim.Options{Extensions: hr(), Pusher: c.Engine, Resources: c.Store, Tokens: c.Store})
			number := func(n int) string {
				return patchOf(fmt.Sprintf(`{"op":"replace","path":"%s:number","value":%d}`, hrURN, n))
			}
			c.must(t, "PATCH", ada, patchOf(`{"op":"add","path":"title","value":"x"}`), 200) // has it from now on
			c.must(t, "PATCH", bob, patchOf(`{"op":"replace","path":"active","value":false}`), 200)
			c.must(t, "PUT", bob, userWith("bob", `"number":7,"code":"x"`), 200)
			c.must(t, "POST", "/Users", userWith("eve", `"number":7`), 409)
			c.must(t, "PATCH", bob, number(8), 200)
			c.must(t, "PATCH", bob, number(7), 409)
			c.must(t, "PATCH", ada, number(9), 200)
			c.must(t, "PATCH", bob, number(7), 200)
			c.must(t, "PATCH", ada, number(7), 409)
		})
	}
}

// TestDeclaredUniquenessHoldsUnderConcurrency: of many that want one value at the same time, one gets it.
func TestDeclaredUniquenessHoldsUnderConcurrency(t *testing.T) {
	t.Parallel()
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := newHR(t, b)
			const clients, values = 8, 5
			var ids []string
			for i := range clients {
				ids = append(ids, c.create(t, "/Users", userWith(fmt.Sprintf("stored%d", i), `"skills":["x"]`)))
			}
			var mu sync.Mutex
			got := map[int]int{}
			var wg sync.WaitGroup
			for i := range clients {
				wg.Go(func() {
					for v := range values {
						method, target, body := "POST", "/Users", userWith(fmt.Sprintf("u%d-%d", i, v), fmt.Sprintf(`"number":%d`, v))
						if i%2 == 1 {
							method, target = "PATCH", "/Users/"+ids[i]
							body = patchOf(fmt.Sprintf(`{"op":"add","path":"%s:aliases","value":["a%d"]}`, hrURN, v))
						}
						a, err := c.send(method, target, nil, body)
						if err != nil || a.status >= 300 && a.status != 409 {
							t.Errorf("%v %s", err, a)
						}
						if err == nil && a.status < 300 {
							mu.Lock()
							got[v*2+i%2]++
							mu.Unlock()
						}
					}
				})
			}
			wg.Wait()
			want := map[int]int{}
			for v := range 2 * values {
				want[v] = 1
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// An extension that is not declared is dropped, and so is one of another resource type.
func TestUndeclaredExtensionsAreDropped(t *testing.T) {
	t.Parallel()
	c := newHR(t, sqlite())
	id := c.create(t, "/Users", `{"userName":"ada","urn:example:params:scim:cost:2.0:Group":{"centre":1},"urn:example:other":{"a":"b"}}`)
	if s := c.must(t, "GET", "/Users/"+id, "", 200).String(); strings.Contains(s, "urn:example") {
		t.Error(s)
	}
}
