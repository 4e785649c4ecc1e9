package scim_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/model"
	"jmld/scim"
)

// bulkOf is the body of a bulk request.
func bulkOf(operations ...string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[` + strings.Join(operations, ",") + `]}`
}

func bulkUser(bulkID, name, more string) string {
	return fmt.Sprintf(`{"method":"POST","path":"/Users","bulkId":%q,"data":{"userName":%q%s}}`, bulkID, name, more)
}

func bulkGroup(bulkID, name string, members ...string) string {
	var list []string
	for _, m := range members {
		list = append(list, fmt.Sprintf(`{"value":%q}`, m))
	}
	return fmt.Sprintf(`{"method":"POST","path":"/Groups","bulkId":%q,"data":{"displayName":%q,"members":[%s]}}`, bulkID, name, strings.Join(list, ","))
}

// outcomes is each result in short: "POST u1 201", with the scimType of a refusal.
func outcomes(t testing.TB, a answer) []string {
	t.Helper()
	if a.status != 200 || !cmp.Equal(a.at("schemas"), any([]any{"urn:ietf:params:scim:api:messages:2.0:BulkResponse"})) {
		t.Fatalf("not a bulk answer: %s", a)
	}
	list, isList := a.at("Operations").([]any)
	if !isList {
		t.Fatalf("no results: %s", a)
	}
	var out []string
	for _, e := range list {
		r, _ := e.(map[string]any)
		var words []string
		for _, key := range []string{"method", "bulkId", "status"} {
			if s, ok := r[key].(string); ok {
				words = append(words, s)
			}
		}
		refusal, failed := r["response"].(map[string]any)
		if kind, ok := refusal["scimType"].(string); ok {
			words = append(words, kind)
		}
		status, _ := r["status"].(string)
		if failed != (len(status) == 3 && status[0] >= '4') || failed && (refusal["status"] != status || refusal["detail"] == nil ||
			!cmp.Equal(refusal["schemas"], any([]any{"urn:ietf:params:scim:api:messages:2.0:Error"}))) {
			t.Errorf("status %q with response %v", status, refusal)
		}
		out = append(out, strings.Join(words, " "))
	}
	return out
}

func (c *client) bulk(t testing.TB, body string, want ...string) answer {
	t.Helper()
	a := c.must(t, "POST", "/Bulk", body, 200)
	if diff := cmp.Diff(want, outcomes(t, a)); diff != "" {
		t.Fatalf("%s\n%s", diff, a)
	}
	return a
}

// made is the id of what the operation with the bulkId made.
func made(a answer, bulkID string) string {
	where, _ := a.at("Operations[bulkId=" + bulkID + "].location").(string)
	return where[strings.LastIndexByte(where, '/')+1:]
}

// memberIDs of a group, sorted.
func (c *client) memberIDs(t testing.TB, group string) []string {
	t.Helper()
	ids := []string{}
	list, _ := c.must(t, "GET", "/Groups/"+group, "", 200).at("members").([]any)
	for _, m := range list {
		id, _ := m.(map[string]any)["value"].(string)
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (c *client) total(t testing.TB, endpoint string) any {
	t.Helper()
	return c.must(t, "GET", endpoint+"?count=0", "", 200).at("totalResults")
}

func TestR124BulkIsAnnouncedWithTheLimitsThereAre(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite(), func(o *scim.Options) { o.Sources[0].MaxBody, o.Sources[0].Bounds.BulkOperations = 5000, 3 })
	want := any(map[string]any{"supported": true, "maxOperations": 3.0, "maxPayloadSize": 5000.0})
	if diff := cmp.Diff(want, c.must(t, "GET", "/ServiceProviderConfig", "", 200).at("bulk")); diff != "" {
		t.Error(diff)
	}
}

func TestR125EachOperationHasMethodPathAndData(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite())
	for _, tt := range []struct{ name, operation, want string }{
		{"POST without bulkId", `{"method":"POST","path":"/Users","data":{"userName":"x"}}`, "POST 400 invalidValue"},
		{"POST with an empty bulkId", `{"method":"POST","path":"/Users","bulkId":"","data":{"userName":"x"}}`, "POST 400 invalidValue"},
		{"POST without data", `{"method":"POST","path":"/Users","bulkId":"u"}`, "POST u 400 invalidSyntax"},
		{"PUT with an array for data", `{"method":"PUT","path":"/Users/1","data":[]}`, "PUT 400 invalidSyntax"},
		{"PATCH without data", `{"method":"PATCH","path":"/Users/1"}`, "PATCH 400 invalidSyntax"},
		{"DELETE needs none", `{"method":"DELETE","path":"/Users/1"}`, "DELETE 404"},
		{"DELETE ignores its data", `{"method":"DELETE","path":"/Users/1","data":7}`, "DELETE 404"},
		{"a bulkId of a deletion comes back", `{"method":"DELETE","path":"/Users/1","bulkId":"d"}`, "DELETE d 404"},
		{"no method", `{"path":"/Users"}`, "400 invalidSyntax"},
		{"GET", `{"method":"GET","path":"/Users"}`, "GET 400 invalidSyntax"},
		{"a method that is a number", `{"method":7,"path":"/Users"}`, "400 invalidSyntax"},
		{"a method in lower case", `{"method":"delete","path":"/Users/1"}`, "DELETE 404"},
		{"no path", `{"method":"DELETE"}`, "DELETE 400 invalidSyntax"},
		{"a path that is an object", `{"method":"DELETE","path":{}}`, "DELETE 400 invalidSyntax"},
		{"a path without its slash", `{"method":"DELETE","path":"Users/1"}`, "DELETE 404"},
		{"a URL as path", `{"method":"DELETE","path":"` + c.base + `/Users/1"}`, "DELETE 404"},
		{"a path with a query", `{"method":"DELETE","path":"/Users/1?x=y"}`, "DELETE 400 invalidSyntax"},
		{"a path that is not well-formed", `{"method":"DELETE","path":"/Users/%zz"}`, "DELETE 400 invalidSyntax"},
		{"a long path", `{"method":"DELETE","path":"/Users/` + strings.Repeat("x", 9000) + `"}`, "DELETE 414"},
		{"a path too deep", `{"method":"DELETE","path":"/Users/1/2"}`, "DELETE 404"},
		{"a collection", `{"method":"DELETE","path":"/Users"}`, "DELETE 405"},
		{"POST to a resource", `{"method":"POST","bulkId":"u","path":"/Users/1","data":{"userName":"x"}}`, "POST u 405"},
		{"no such endpoint", `{"method":"POST","bulkId":"u","path":"/Widgets","data":{}}`, "POST u 404"},
		{"discovery", `{"method":"PUT","path":"/Schemas/x","data":{}}`, "PUT 404"},
		{"a bulk request", `{"method":"POST","bulkId":"u","path":"/Bulk","data":` + bulkOf(bulkUser("v", "x", "")) + `}`, "POST u 400 invalidValue"},
		{"a search", `{"method":"POST","bulkId":"u","path":"/Users/.search","data":{}}`, "POST u 400 invalidValue"},
		{"me", `{"method":"PATCH","path":"/Me","data":{}}`, "PATCH 501"},
		{"a version that is a list", `{"method":"DELETE","path":"/Users/1","version":[]}`, "DELETE 400 invalidSyntax"},
		{"data that is refused alone, too", bulkUser("u", "", ""), "POST u 400 invalidValue"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			// What is wrong with one operation is that one's own affair.
			c.bulk(t, bulkOf(tt.operation, bulkUser("ok", tt.name, "")), tt.want, "POST ok 201")
		})
	}
}

func TestR125WhatIsNotABulkRequestDoesNothing(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite())
	good := bulkUser("u", "ada", "")
	for _, tt := range []struct{ name, body, kind string }{
		{"no operations", `{}`, "invalidSyntax"},
		{"an empty list", bulkOf(), "invalidSyntax"},
		{"operations that are none", bulkOf(good, `"DELETE"`), "invalidSyntax"},
		{"two operations with one bulkId", bulkOf(good, bulkUser("u", "bea", "")), "invalidValue"},
		{"a body that is a list", `[]`, "invalidSyntax"},
		{"failOnErrors that is a list", `{"failOnErrors":[],"Operations":[` + good + `]}`, "invalidValue"},
		{"failOnErrors below nought", `{"failOnErrors":-1,"Operations":[` + good + `]}`, "invalidValue"},
		{"failOnErrors that is a fraction", `{"failOnErrors":1.5,"Operations":[` + good + `]}`, "invalidValue"},
		{"failOnErrors that is nearly one", `{"failOnErrors":1.00000000000000000001,"Operations":[` + good + `]}`, "invalidValue"},
		{"failOnErrors that is a fraction as text", `{"failOnErrors":"1.0","Operations":[` + good + `]}`, "invalidValue"},
		{"failOnErrors below nought with a point", `{"failOnErrors":-1.0,"Operations":[` + good + `]}`, "invalidValue"},
		{"deep data", bulkOf(good, `{"method":"POST","path":"/Users","bulkId":"x","data":`+strings.Repeat(`{"a":`, 50)+`1`+strings.Repeat("}", 51)), "invalidSyntax"},
	} {
		if a := c.must(t, "POST", "/Bulk", tt.body, 400); a.at("scimType") != tt.kind {
			t.Errorf("%s: %s", tt.name, a)
		}
	}
	if n := c.total(t, "/Users"); n != 0.0 {
		t.Errorf("%v people were made", n)
	}
	// Clients that are not exact mean the same.
	c.bulk(t, `{"operations":`+strings.ReplaceAll(good, `"u"`, "7")+`,"failOnErrors":"0"}`, "POST 7 201")
}

func TestR126ResultsSayWhatBecameOfEachOperation(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite())
	first := c.must(t, "POST", "/Users", `{"userName":"ada"}`, 201)
	id, v1 := first.at("id").(string), first.header.Get("ETag")
	path := `"path":"/Users/` + id + `"`
	patch := func(version, title string) string {
		return fmt.Sprintf(`{"method":"PATCH",%s,"version":%q,"data":{"Operations":[{"op":"add","path":"title","value":%q}]}}`, path, version, title)
	}
	a := c.must(t, "POST", "/Bulk", bulkOf(
		bulkUser("new", "bea", ""),
		bulkUser("taken", "ADA", ""),
		patch(v1, "one"),
		patch(v1, "two"), // no longer that version
		patch("*", "three"),
		`{"method":"PUT",`+path+`,"data":{"userName":"ada"}}`,
		`{"method":"DELETE",`+path+`}`,
		`{"method":"PATCH",`+path+`,"data":{"Operations":[{"op":"remove","path":"title"}]}}`,
		`{"method":"DELETE","path":"/Users"}`,
	), 200)
	list, _ := a.at("Operations").([]any)
	for _, e := range list { // its wording is compared elsewhere
		if r, _ := e.(map[string]any)["response"].(map[string]any); r != nil {
			delete(r, "detail")
			delete(r, "schemas")
		}
	}
	bea, _ := a.at("Operations[0].location").(string)
	here := c.base + "/Users/" + id
	want := []any{
		map[string]any{"method": "POST", "bulkId": "new", "status": "201", "version": `W/"1"`, "location": bea},
		map[string]any{"method": "POST", "bulkId": "taken", "status": "409", "response": map[string]any{"status": "409", "scimType": "uniqueness"}},
		map[string]any{"method": "PATCH", "status": "200", "version": `W/"2"`, "location": here},
		map[string]any{"method": "PATCH", "status": "412", "location": here, "response": map[string]any{"status": "412"}},
		map[string]any{"method": "PATCH", "status": "200", "version": `W/"3"`, "location": here},
		map[string]any{"method": "PUT", "status": "200", "version": `W/"4"`, "location": here},
		map[string]any{"method": "DELETE", "status": "204", "location": here},
		map[string]any{"method": "PATCH", "status": "404", "location": here, "response": map[string]any{"status": "404"}},
		map[string]any{"method": "DELETE", "status": "405", "location": c.base + "/Users", "response": map[string]any{"status": "405"}}, // only a POST that fails has none
	}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Error(diff)
	}
	if b := c.must(t, "GET", strings.TrimPrefix(bea, c.base), "", 200); b.at("userName") != "bea" || b.header.Get("ETag") != `W/"1"` {
		t.Error(b)
	}
}

func TestR127FailOnErrorsBeginsNothingAfterSoMany(t *testing.T) {
	t.Parallel()
	gone := `{"method":"DELETE","path":"/Users/gone"}`
	for _, tt := range []struct {
		failOn string
		want   []string
		people any
	}{
		{`"failOnErrors":1,`, []string{"POST a 201", "DELETE 404"}, 1.0},
		{`"failOnErrors":1.0,`, []string{"POST a 201", "DELETE 404"}, 1.0}, // JSON has one type of numbers
		{`"failOnErrors":2,`, []string{"POST a 201", "DELETE 404", "POST b 201", "DELETE 404"}, 2.0},
		{`"failOnErrors":3,`, []string{"POST a 201", "DELETE 404", "POST b 201", "DELETE 404", "POST c 201"}, 3.0},
		{`"failOnErrors":0,`, []string{"POST a 201", "DELETE 404", "POST b 201", "DELETE 404", "POST c 201"}, 3.0},
		{``, []string{"POST a 201", "DELETE 404", "POST b 201", "DELETE 404", "POST c 201"}, 3.0},
	} {
		c := newClient(t, sqlite())
		body := bulkOf(bulkUser("a", "a", ""), gone, bulkUser("b", "b", ""), gone, bulkUser("c", "c", ""))
		c.bulk(t, strings.Replace(body, `"Operations"`, tt.failOn+`"Operations"`, 1), tt.want...)
		if n := c.total(t, "/Users"); n != tt.people {
			t.Errorf("%s: %v people", tt.failOn, n)
		}
	}
}

func TestR127ResultsStandInTheOrderOfTheRequest(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite())
	// The group waits for the last operation, which is not begun: the one in the middle has failed.
	body := strings.Replace(bulkOf(bulkGroup("g", "G", "bulkId:u"), `{"method":"DELETE","path":"/Users/gone"}`, bulkUser("u", "ada", "")),
		`"Operations"`, `"failOnErrors":1,"Operations"`, 1)
	c.bulk(t, body, "DELETE 404")
	c.bulk(t, strings.Replace(body, "gone", c.create(t, "/Users", `{"userName":"old"}`), 1), "POST g 201", "DELETE 204", "POST u 201")
}

func TestR128ResourcesThatReferToEachOtherAreMade(t *testing.T) {
	t.Parallel()
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, b)
			a := c.bulk(t, bulkOf(
				bulkGroup("outside", "Outside", "bulkId:one", "bulkId:boss"),
				bulkGroup("one", "One", "bulkId:two"), bulkGroup("two", "Two", "bulkId:three", "bulkId:boss"), bulkGroup("three", "Three", "bulkId:one"),
				bulkUser("boss", "boss", `,"manager":{"value":"bulkId:deputy"}`), bulkUser("deputy", "deputy", `,"manager":"bulkId:boss"`),
				bulkUser("own", "own", `,"manager":{"value":"bulkId:own"}`),
			), "POST outside 201", "POST one 201", "POST two 201", "POST three 201", "POST boss 201", "POST deputy 201", "POST own 201")
			const manager = "<urn:ietf:params:scim:schemas:extension:enterprise:2.0:User>.manager.value"
			got := map[string]any{}
			for _, g := range []string{"outside", "one", "two", "three"} {
				got[g] = c.memberIDs(t, made(a, g))
			}
			for _, u := range []string{"boss", "deputy", "own"} {
				user := c.must(t, "GET", "/Users/"+made(a, u), "", 200)
				got[u] = user.at(manager)
				if user.header.Get("ETag") != `W/"1"` {
					t.Errorf("%s was written more than once", u)
				}
			}
			sorted := func(ids ...string) []string { slices.Sort(ids); return ids }
			want := map[string]any{
				"outside": sorted(made(a, "one"), made(a, "boss")), "one": sorted(made(a, "two")), "two": sorted(made(a, "three"), made(a, "boss")),
				"three": sorted(made(a, "one")), "boss": made(a, "deputy"), "deputy": made(a, "boss"), "own": made(a, "own"),
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A circle that cannot be made is refused with 409, and nothing of it is left.
func TestR128CirclesThatCannotBeClosedLeaveNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		operations []string
		want       []string
		groups     any
		people     any
	}{
		{"one is invalid", []string{bulkGroup("a", "A", "bulkId:b"), bulkGroup("b", "", "bulkId:a"), bulkUser("u", "bea", "")},
			[]string{"POST a 409", "POST b 400 invalidValue", "POST u 201"}, 0.0, 2.0},
		{"one has a value that is taken", []string{bulkUser("a", "bea", `,"manager":"bulkId:b"`), bulkUser("b", "cleo", `,"manager":"bulkId:c"`),
			bulkUser("c", "ada", `,"manager":"bulkId:d"`), bulkUser("d", "dora", `,"manager":"bulkId:a"`)},
			[]string{"POST a 409", "POST b 409", "POST c 409 uniqueness", "POST d 409"}, 0.0, 1.0},
		{"one needs what was not made", []string{bulkGroup("a", "A", "bulkId:b"), bulkGroup("b", "B", "bulkId:a", "bulkId:x"), bulkUser("x", "ADA", "")},
			[]string{"POST a 409", "POST b 409", "POST x 409 uniqueness"}, 0.0, 1.0},
		{"what needs the circle is not made", []string{bulkGroup("g", "G", "bulkId:a"), bulkGroup("a", "", "bulkId:b"), bulkGroup("b", "B", "bulkId:a")},
			[]string{"POST g 409", "POST a 400 invalidValue", "POST b 409"}, 0.0, 1.0},
		{"a group in itself", []string{bulkGroup("a", "A", "bulkId:a"), bulkGroup("b", "B", "bulkId:a")},
			[]string{"POST a 400 invalidValue", "POST b 409"}, 0.0, 1.0},
		{"nobody makes one", []string{bulkGroup("a", "A", "bulkId:b"), bulkGroup("b", "B", "bulkId:a", "bulkId:nobody")},
			[]string{"POST a 409", "POST b 400 invalidValue"}, 0.0, 1.0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, sqlite())
			c.create(t, "/Users", `{"userName":"ada"}`)
			a := c.bulk(t, bulkOf(tt.operations...), tt.want...)
			if n, m := c.total(t, "/Groups"), c.total(t, "/Users"); n != tt.groups || m != tt.people {
				t.Errorf("%v groups, %v people", n, m)
			}
			for i, w := range tt.want {
				if where := a.at(fmt.Sprintf("Operations[%d].location", i)); (where == nil) == strings.HasSuffix(w, "201") {
					t.Errorf("%s has the location %v", w, where)
				}
			}
		})
	}
}

func TestR129ReferencesAreReplacedInPathAndData(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite())
	old := c.create(t, "/Users", `{"userName":"old"}`)
	team := c.create(t, "/Groups", `{"displayName":"Team","members":[{"value":"`+old+`"}]}`)
	a := c.bulk(t, bulkOf(
		`{"method":"PATCH","path":"/Groups/`+team+`","data":{"Operations":[{"op":"add","path":"members","value":[{"value":"bulkId:u"},{"value":"bulkId:v"}]}]}}`,
		`{"method":"PATCH","path":"/Groups/`+team+`","data":{"Operations":[{"op":"remove","path":"members[value eq \"bulkId:v\" or value eq \"`+old+`\"]"}]}}`,
		`{"method":"PATCH","path":"/Groups/bulkId:g","data":{"Operations":[{"op":"replace","path":"displayName","value":"Renamed"}]}}`,
		`{"method":"PUT","path":"/Groups/bulkId:h","data":{"displayName":"H","members":[{"$ref":"`+c.base+`/Users/bulkId:u"},{"$ref":"bulkId:v"}]}}`,
		`{"method":"DELETE","path":"/Users/bulkId:w"}`,
		bulkGroup("g", "G", "bulkId:u", "bulkId:h"),
		bulkUser("u", "u", `,"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"bulkId:v","$ref":"../Users/bulkId:v"}}`),
		bulkUser("v", "v", ""), bulkUser("w", "w", ""), bulkGroup("h", "H"),
		`{"method":"PATCH","path":"/Users/bulkId:u","data":{"Operations":[{"op":"add","path":"title","value":"bulkId is a word"}]}}`,
		`{"method":"DELETE","path":"/Users/bulkId:nobody"}`,
		bulkUser("x", "x", `,"manager":"bulkId:nobody"`),
		bulkUser("y", "", ""),
		`{"method":"PATCH","path":"/Groups/`+team+`","data":{"Operations":[{"op":"add","path":"members","value":[{"value":"bulkId:y"}]}]}}`,
	), "PATCH 200", "PATCH 200", "PATCH 200", "PUT 200", "DELETE 204", "POST g 201", "POST u 201", "POST v 201", "POST w 201", "POST h 201",
		"PATCH 200", "DELETE 400 invalidValue", "POST x 400 invalidValue", "POST y 400 invalidValue", "PATCH 409")
	u, v := made(a, "u"), made(a, "v")
	both := []string{u, v}
	slices.Sort(both)
	inG := []string{u, made(a, "h")}
	slices.Sort(inG)
	got := map[string]any{
		"team": c.memberIDs(t, team), "g": c.memberIDs(t, made(a, "g")), "h": c.memberIDs(t, made(a, "h")),
		"name":    c.must(t, "GET", "/Groups/"+made(a, "g"), "", 200).at("displayName"),
		"manager": c.must(t, "GET", "/Users/"+u, "", 200).at("<urn:ietf:params:scim:schemas:extension:enterprise:2.0:User>.manager.value"),
		"title":   c.must(t, "GET", "/Users/"+u, "", 200).at("title"),
		"where":   a.at("Operations[2].location"),
	}
	want := map[string]any{
		"team": []string{u}, "g": inG, "h": both, "name": "Renamed", "manager": v, "title": "bulkId is a word",
		"where": c.base + "/Groups/" + made(a, "g"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	c.must(t, "GET", "/Users/"+made(a, "w"), "", 404)
}

func TestR130RequestsAboveALimitAre413NamingIt(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite(), func(o *scim.Options) { o.Sources[0].MaxBody, o.Sources[0].Bounds.BulkOperations = 1000, 3 })
	gone := `{"method":"DELETE","path":"/Users/gone"}`
	c.bulk(t, bulkOf(gone, gone, gone), "DELETE 404", "DELETE 404", "DELETE 404")
	for limit, body := range map[string]string{
		"maxOperations, 3.":           bulkOf(bulkUser("u", "ada", ""), gone, gone, gone),
		"maxPayloadSize, 1000 bytes.": bulkOf(bulkUser("u", "ada", `,"title":"`+strings.Repeat("x", 1000)+`"`)),
	} {
		a := c.must(t, "POST", "/Bulk", body, 413)
		if detail, _ := a.at("detail").(string); !strings.HasSuffix(detail, limit) {
			t.Error(a)
		}
	}
	if n := c.total(t, "/Users"); n != 0.0 {
		t.Errorf("%v people were made", n)
	}
	c = newClient(t, sqlite())
	all := slices.Repeat([]string{gone}, 1001)
	if a := c.must(t, "POST", "/Bulk", bulkOf(all...), 413); !strings.Contains(a.String(), "maxOperations, 1000.") {
		t.Error(a)
	}
	c.bulk(t, bulkOf(all[1:]...), slices.Repeat([]string{"DELETE 404"}, 1000)...)
}

func TestR131AnOperationThatFailsUndoesNoOther(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite())
	a := c.bulk(t, bulkOf(bulkUser("a", "ada", ""), bulkUser("b", "ADA", ""), bulkUser("c", "cleo", ""),
		`{"method":"PATCH","path":"/Users/bulkId:a","data":{"Operations":[{"op":"add","path":"title","value":"x"},{"op":"remove","path":"userName"}]}}`),
		"POST a 201", "POST b 409 uniqueness", "POST c 201", "PATCH 400 mutability")
	if n := c.total(t, "/Users"); n != 2.0 {
		t.Errorf("%v people", n)
	}
	// The operation itself is done as a whole or not at all.
	if ada := c.must(t, "GET", "/Users/"+made(a, "a"), "", 200); ada.at("title") != nil {
		t.Errorf("half an operation was done: %s", ada)
	}
}

// A bulk request leaves the audit of the single requests, and sees no more than they do.
func TestBulkIsAuditedAndStaysInItsSource(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite())
	c.token(t, "okta", "other", "other-token", nil)
	a, err := c.send("POST", c.host+"/scim/okta/v2/Bulk", http.Header{"Authorization": {"Bearer other-token"}}, bulkOf(bulkUser("u", "ada", "")))
	if err != nil || !cmp.Equal(outcomes(t, a), []string{"POST u 201"}) {
		t.Fatal(err, a)
	}
	theirs := made(a, "u")
	id := c.create(t, "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"bea"}`)
	c.bulk(t, bulkOf(
		`{"method":"DELETE","path":"/Users/`+theirs+`"}`,
		`{"method":"PATCH","path":"/Users/`+id+`","data":{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Replace","path":"active","value":"False"}]}}`,
		`{"method":"PATCH","path":"/Users/`+id+`","data":"[{\"op\":\"add\",\"path\":\"title\",\"value\":\"T\"}]"}`,
		`{"method":"DELETE","path":"/Users/`+id+`"}`,
	), "DELETE 404", "PATCH 200", "PATCH 200", "DELETE 204")
	list, err := c.AuditList(t.Context(), id, 10)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(list, func(a, b model.AuditEntry) int { return a.At.Compare(b.At) })
	var got [][2]string
	for _, e := range list {
		if e.Actor == "source entra, token laptop" {
			got = append(got, [2]string{e.Action, e.Detail})
		}
	}
	want := [][2]string{
		{"scim.create", `{"kind":"user","dialect":"RFC 7644"}`},
		{"scim.patch", `{"kind":"user","dialect":"Entra legacy PATCH","notes":["part of a bulk request","op: \"Replace\" read as \"replace\"","active: \"False\" read as false"]}`},
		{"scim.patch", `{"kind":"user","dialect":"unknown","notes":["part of a bulk request","data: text read as the JSON it holds","data: list read as the operations of a PATCH"]}`},
		{"scim.delete", `{"kind":"user","dialect":"RFC 7644","notes":["part of a bulk request"]}`},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
