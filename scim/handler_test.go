package scim_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/scim"
)

func sqlite() backend { return backends()[0] }

func (c *client) must(t testing.TB, method, target, body string, status int) answer {
	t.Helper()
	a, err := c.send(method, target, http.Header{}, body)
	if err != nil {
		t.Fatal(err)
	}
	if a.status != status {
		t.Fatalf("%s %s: %s", method, target, a)
	}
	if err := a.wellFormed(); err != nil {
		t.Fatalf("%s %s: %v: %s", method, target, err, a)
	}
	return a
}

func (c *client) create(t testing.TB, target, body string) string {
	t.Helper()
	id, _ := c.must(t, "POST", target, body, 201).at("id").(string)
	return id
}

// R12, R133, R134, R135, R137: status, scimType and Allow.
func TestWrongRequestsAreRefusedAsTheProtocolSays(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite(), func(o *scim.Options) { o.Sources[0].MaxBody = 2000 })
	long := strings.Repeat("x", 9000)
	for _, tt := range []struct {
		name, method, target, body string
		header                     http.Header
		status                     int
		kind, allow                string
	}{
		{name: "no such endpoint", method: "GET", target: "/Widgets", status: 404},
		{name: "too deep", method: "GET", target: "/Users/a/b", status: 404},
		{name: "an endpoint below bulk", method: "POST", target: "/Bulk/x", status: 404},
		{name: "another version", method: "GET", target: c.host + "/scim/entra/v3/Users", status: 400, kind: "invalidVers"},
		{name: "no version", method: "GET", target: c.host + "/scim/entra", status: 404},
		{name: "DELETE of a collection", method: "DELETE", target: "/Users", status: 405, allow: "GET, HEAD, POST"},
		{name: "POST to a resource", method: "POST", target: "/Users/1", status: 405, allow: "DELETE, GET, HEAD, PATCH, PUT"},
		{name: "PUT to discovery", method: "PUT", target: "/Schemas", status: 405, allow: "GET, HEAD"},
		{name: "GET of a search", method: "GET", target: "/Users/.search", status: 405, allow: "POST"},
		{name: "a method nobody has", method: "BREW", target: "/Users", status: 405, allow: "GET, HEAD, POST"},
		{name: "GET of bulk", method: "GET", target: "/Bulk", status: 405, allow: "POST"},
		{name: "me", method: "GET", target: "/Me", status: 501},
		{name: "XML", method: "POST", target: "/Users", body: "<x/>", header: http.Header{"Content-Type": {"application/xml"}}, status: 415},
		{name: "compressed", method: "POST", target: "/Users", body: `{}`, header: http.Header{"Content-Encoding": {"gzip"}}, status: 415},
		{name: "a long URL", method: "GET", target: "/Users?filter=" + long, status: 414},
		{name: "a long body", method: "POST", target: "/Users", body: `{"userName":"` + long + `"}`, status: 413},
		{name: "an array", method: "POST", target: "/Users", body: `[]`, status: 400, kind: "invalidSyntax"},
		{name: "no JSON", method: "PUT", target: "/Users/1", body: `{"a"`, status: 400, kind: "invalidSyntax"},
		{name: "a query that is none", method: "GET", target: "/Users?filter=%zz", status: 400, kind: "invalidSyntax"},
		{name: "a query of which a part is none", method: "PATCH", target: "/Users/1?attributes=id&excludedAttributes=%zz", body: `{"Operations":[{"op":"remove","path":"title"}]}`, status: 400, kind: "invalidSyntax"},
		{name: "a filter that is lost beside others", method: "GET", target: "/Users?count=1&filter=userName%20eq%20%zz", status: 400, kind: "invalidSyntax"},
		{name: "two filters", method: "GET", target: "/Users?filter=a%20pr&Filter=b%20pr", status: 400, kind: "invalidFilter"},
		{name: "a filter that is none", method: "GET", target: "/Users?filter=userName", status: 400, kind: "invalidFilter"},
		{name: "a start that is none", method: "GET", target: "/Users?startIndex=one", status: 400, kind: "invalidValue"},
		{name: "a count that is none", method: "GET", target: "/Users?count=1.5", status: 400, kind: "invalidValue"},
		{name: "an order that is none", method: "GET", target: "/Users?sortBy=userName&sortOrder=random", status: 400, kind: "invalidValue"},
		{name: "sorting by what is not there", method: "GET", target: "/Users?sortBy=colour", status: 400, kind: "invalidValue"},
		{name: "sorting by the password", method: "GET", target: "/Users?sortBy=password", status: 400, kind: "invalidValue"},
		{name: "sorting by a name", method: "GET", target: "/Users?sortBy=name", status: 400, kind: "invalidValue"},
		{name: "everything", method: "GET", target: "/", status: 400, kind: "tooMany"},
		{name: "a search of the wrong type", method: "POST", target: "/.search", body: `{"filter":{"a":1}}`, status: 400, kind: "invalidValue"},
		{name: "both projections", method: "GET", target: "/Users/1?attributes=id&excludedAttributes=name", status: 400, kind: "invalidValue"},
		{name: "discovery of what is not there", method: "GET", target: "/Schemas/urn:x", status: 404},
		{name: "a type that is not there", method: "GET", target: "/ResourceTypes/Widget", status: 404},
		{name: "PATCH of nobody", method: "PATCH", target: "/Users/1", body: `{"Operations":[{"op":"remove","path":"title"}]}`, status: 404},
		{name: "PUT of nobody", method: "PUT", target: "/Users/1", body: `{"userName":"a"}`, status: 404},
		{name: "DELETE of nobody", method: "DELETE", target: "/Users/1", status: 404},
		{name: "a strange id", method: "GET", target: "/Users/%2e%2e%2f%00", status: 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, err := c.send(tt.method, tt.target, tt.header, tt.body)
			if err != nil {
				t.Fatal(err)
			}
			if err := a.wellFormed(); err != nil || a.status != tt.status {
				t.Fatalf("%v: %s", err, a)
			}
			kind, _ := a.at("scimType").(string)
			if kind != tt.kind || a.header.Get("Allow") != tt.allow {
				t.Errorf("scimType %q, Allow %q", kind, a.header.Get("Allow"))
			}
		})
	}
}

func TestSlashesDoNotMatterAndNothingRedirects(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite())
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return errors.New("redirected") }
	for i, target := range []string{"/Users/", "//Users", "/users", c.host + "//scim/entra//v2/Users"} {
		c.must(t, "POST", target, fmt.Sprintf(`{"userName":"u%d"}`, i), 201)
	}
	if n := c.must(t, "GET", "/Users", "", 200).at("totalResults"); n != 4.0 {
		t.Errorf("%v people", n)
	}
}

// R30, R138, R139, R140: RFC 7644 §3.14, RFC 9110 §13.
func TestVersions(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite())
	made := c.must(t, "POST", "/Users", `{"userName":"ada"}`, 201)
	id, v1 := made.at("id").(string), made.header.Get("ETag")
	patch := func(name string, header http.Header, status int) answer {
		t.Helper()
		a, err := c.send("PATCH", "/Users/"+id, header, `{"Operations":[{"op":"replace","path":"title","value":"`+name+`"}]}`)
		if err != nil || a.status != status {
			t.Fatalf("%v %s", err, a)
		}
		return a
	}
	a := patch("one", http.Header{"If-Match": {`W/"99", ` + v1}}, 200)
	v2 := a.header.Get("ETag")
	if v1 == v2 || a.at("meta.version") != v2 {
		t.Errorf("versions %s and %s, meta %v", v1, v2, a.at("meta.version"))
	}
	patch("two", http.Header{"If-Match": {v1}}, 412)
	patch("two", http.Header{"If-None-Match": {"*"}}, 412)
	if again := patch("one", http.Header{"If-Match": {"*"}}, 200); again.header.Get("ETag") != v2 || again.at("meta.lastModified") != a.at("meta.lastModified") {
		t.Errorf("a change of nothing made %s of %s", again, a)
	}
	for tag, status := range map[string]int{v2: 304, strings.TrimPrefix(v2, "W/"): 304, "*": 304, v1: 200} {
		got, err := c.send("GET", "/Users/"+id, http.Header{"If-None-Match": {tag}}, "")
		if err != nil || got.status != status {
			t.Errorf("If-None-Match %s: %v %s", tag, err, got)
		}
	}
	for tag, status := range map[string]int{v2: 200, "*": 200, `"x", ` + v2: 200, v1: 412} { // RFC 9110 §13.1.1: for any method
		for _, method := range []string{"GET", "HEAD"} {
			got, err := c.send(method, "/Users/"+id, http.Header{"If-Match": {tag}, "If-None-Match": {v1}}, "")
			if err != nil || got.status != status {
				t.Errorf("%s If-Match %s: %v %s", method, tag, err, got)
			}
		}
	}
	if a, err := c.send("DELETE", "/Users/"+id, http.Header{"If-Match": {v1}}, ""); err != nil || a.status != 412 {
		t.Errorf("deleted another version: %v %s", err, a)
	}
	c.must(t, "DELETE", "/Users/"+id, "", 204)
}

// A PUT that does not say whether somebody is active must not bring a leaver back.
func TestReplaceKeepsTheState(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite())
	id := c.create(t, "/Users", `{"userName":"ada","title":"x","active":"False"}`)
	a := c.must(t, "PUT", "/Users/"+id, `{"userName":"ada","nickName":"y","active":null}`, 200)
	if a.at("active") != false || a.at("title") != nil || a.at("nickName") != "y" {
		t.Error(a)
	}
	if a := c.must(t, "PUT", "/Users/"+id, `{"userName":"ada","active":"TRUE"}`, 200); a.at("active") != true {
		t.Error(a)
	}
}

func TestOneNameIsOnePerson(t *testing.T) {
	t.Parallel()
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, b)
			c.create(t, "/Users", `{"userName":"ada@example.org"}`)
			other := c.create(t, "/Users", `{"userName":"bob@example.org"}`)
			c.must(t, "POST", "/Users", `{"userName":"ADA@example.org"}`, 409)
			c.must(t, "PUT", "/Users/"+other, `{"userName":"ａda@example.org"}`, 409)
			a := c.must(t, "PATCH", "/Users/"+other, `{"Operations":[{"op":"replace","path":"userName","value":"Ada@example.org"}]}`, 409)
			if a.at("scimType") != "uniqueness" || bytes.Contains(a.body, []byte("da@")) {
				t.Error(a)
			}
			// Many at once: one is made.
			var wg sync.WaitGroup
			statuses := make([]int, 8)
			for i := range statuses {
				wg.Go(func() {
					a, err := c.send("POST", "/Users", nil, `{"userName":"eve@example.org"}`)
					if err == nil {
						statuses[i] = a.status
					}
				})
			}
			wg.Wait()
			count := map[int]int{}
			for _, s := range statuses {
				count[s]++
			}
			if diff := cmp.Diff(map[int]int{201: 1, 409: 7}, count); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestGroupsNestAndPeopleShowThem(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite())
	ada := c.create(t, "/Users", `{"userName":"ada","displayName":"Ada"}`)
	inner := c.create(t, "/Groups", `{"displayName":"Inner","members":[{"value":"`+ada+`"},"`+ada+`"]}`)
	outer := c.create(t, "/Groups", `{"displayName":"Outer","members":[{"value":"`+inner+`"}]}`)
	group := func(id, name, how string) map[string]any {
		return map[string]any{"value": id, "display": name, "type": how, "$ref": c.base + "/Groups/" + id}
	}
	want := []any{group(inner, "Inner", "direct"), group(outer, "Outer", "indirect")}
	if diff := cmp.Diff(any(want), c.must(t, "GET", "/Users/"+ada, "", 200).at("groups")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(any(want), c.must(t, "GET", "/Users", "", 200).at("Resources[0].groups")); diff != "" {
		t.Error(diff)
	}
	members := []any{map[string]any{"value": inner, "type": "Group", "$ref": c.base + "/Groups/" + inner}}
	if diff := cmp.Diff(any(members), c.must(t, "GET", "/Groups/"+outer, "", 200).at("members")); diff != "" {
		t.Error(diff)
	}
	for query, paths := range map[string]map[string]any{
		"/Groups/" + outer + "?attributes=members,members.display":               {"members[0].value": inner, "members[0].display": "Inner"},
		"/Groups/" + outer + "?attributes=members.value":                         {"members[0].value": inner, "members[0].display": nil, "displayName": nil, "meta": nil, "id": outer},
		"/Groups/" + outer + "?excludedAttributes=members":                       {"members": nil, "displayName": "Outer"},
		"/Groups/" + outer + "?excludedAttributes=meta,id":                       {"meta": nil, "id": outer},
		"/Users/" + ada + "?attributes=groups.display":                           {"groups[1].display": "Outer", "groups[1].value": nil},
		"/Users/" + ada + "?excludedAttributes=groups":                           {"groups": nil, "userName": "ada"},
		"/Users/" + ada + "?attributes=password,nonsense":                        {"userName": nil, "id": ada},
		"/Users/" + ada + "?attributes=meta.location":                            {"meta.location": c.base + "/Users/" + ada, "meta.created": nil},
		"/Groups?filter=members%20eq%20%22" + ada + "%22":                        {"totalResults": 1.0, "Resources[0].id": inner},
		"/?filter=displayName%20sw%20%22a%22%20or%20displayName%20ew%20%22er%22": {"totalResults": 3.0, "Resources[0].userName": "ada", "Resources[2].displayName": "Outer"},
		"/?filter=displayName%20pr&startIndex=2&count=1":                         {"totalResults": 3.0, "Resources[0].displayName": "Inner", "itemsPerPage": 1.0, "startIndex": 2.0},
		"/?filter=userName%20pr&sortBy=userName":                                 {"totalResults": 1.0},
		"/Users?sortBy=userName&sortOrder=descending&count=0":                    {"totalResults": 1.0, "Resources": []any{}},
	} {
		a := c.must(t, "GET", query, "", 200)
		for path, want := range paths {
			if got := a.at(path); !cmp.Equal(got, want) {
				t.Errorf("%s: %s is %v, want %v", query, path, got, want)
			}
		}
	}
	c.must(t, "DELETE", "/Users/"+ada, "", 204)
	if a := c.must(t, "GET", "/Groups/"+inner, "", 200); a.at("members") != nil {
		t.Errorf("a deleted person is still a member: %s", a)
	}
	c.must(t, "GET", "/Users/"+inner, "", 404) // a group is no user
	c.must(t, "PATCH", "/Users/"+inner, `{"Operations":[{"op":"add","path":"title","value":"x"}]}`, 404)
}

// A group larger than the answer's buffer is streamed, and its PATCH of one member does not answer slower for it.
func TestLargeGroup(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite())
	var b strings.Builder
	b.WriteString(`{"displayName":"All","members":[`)
	for i := range 25000 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"value":"00000000-0000-4000-8000-%012d"}`, i)
	}
	b.WriteString(`]}`)
	id := c.create(t, "/Groups", b.String())
	a := c.must(t, "GET", "/Groups/"+id, "", 200)
	list, _ := a.at("members").([]any)
	if len(list) != 25000 || a.header.Get("Content-Length") != "" {
		t.Errorf("%d members, length %q", len(list), a.header.Get("Content-Length"))
	}
	a = c.must(t, "PATCH", "/Groups/"+id+"?excludedAttributes=members",
		`{"Operations":[{"op":"remove","path":"members[value eq \"00000000-0000-4000-8000-000000000007\"]"}]}`, 200)
	if a.at("members") != nil {
		t.Error("members although excluded")
	}
	a = c.must(t, "PATCH", "/Groups/"+id, `{"Operations":[{"op":"replace","path":"displayName","value":"Everybody"}]}`, 204)
	if tag := c.must(t, "GET", "/Groups/"+id+"?attributes=displayName", "", 200).header.Get("ETag"); a.header.Get("ETag") != tag {
		t.Errorf("204 with version %s of %s", a.header.Get("ETag"), tag)
	}
	list, _ = c.must(t, "GET", "/Groups/"+id+"?attributes=members.value", "", 200).at("members").([]any)
	if len(list) != 24999 {
		t.Errorf("%d members", len(list))
	}
}

// R141, R143 to R146.
func TestDiscoveryFitsItself(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite(), func(o *scim.Options) { o.URL = "https://jmld.example.org/" })
	const base = "https://jmld.example.org/scim/entra/v2"
	types := c.must(t, "GET", "/ResourceTypes?count=1&startIndex=9", "", 200)
	schemas := map[string]bool{}
	list, _ := c.must(t, "GET", "/Schemas", "", 200).at("Resources").([]any)
	for _, s := range list {
		m, _ := s.(map[string]any)
		urn, _ := m["id"].(string)
		schemas[urn] = true
		one := c.must(t, "GET", "/Schemas/"+strings.ToUpper(urn), "", 200)
		if diff := cmp.Diff(s, one.json); diff != "" || one.at("meta.location") != base+"/Schemas/"+urn {
			t.Errorf("%s: %s", urn, diff)
		}
	}
	if len(schemas) != 4 || !schemas[scim.URNLifecycle] {
		t.Errorf("schemas %v", schemas)
	}
	list, _ = types.at("Resources").([]any)
	for _, r := range list {
		m, _ := r.(map[string]any)
		name, _ := m["id"].(string)
		if one := c.must(t, "GET", "/ResourceTypes/"+name, "", 200); !cmp.Equal(one.json, r) {
			t.Errorf("%s: %s", name, one)
		}
		used := []any{m["schema"]}
		extensions, _ := m["schemaExtensions"].([]any)
		for _, e := range extensions {
			used = append(used, e.(map[string]any)["schema"])
		}
		for _, urn := range used {
			if s, _ := urn.(string); !schemas[s] {
				t.Errorf("%s uses %v, which is not announced", name, urn)
			}
		}
		endpoint, _ := m["endpoint"].(string)
		c.must(t, "GET", endpoint, "", 200)
	}
	config := c.must(t, "GET", "/ServiceProviderConfig", "", 200)
	for path, want := range map[string]any{
		"patch.supported": true, "bulk.supported": true, "bulk.maxOperations": 1000.0, "bulk.maxPayloadSize": float64(4 << 20), "filter.supported": true, "filter.maxResults": 1000.0, "sort.supported": true,
		"etag.supported": true, "changePassword.supported": false, "authenticationSchemes[0].type": "oauthbearertoken",
		"meta.location": base + "/ServiceProviderConfig",
	} {
		if got := config.at(path); got != want {
			t.Errorf("%s is %v", path, got)
		}
	}
	id := c.create(t, "/Users", `{"userName":"ada"}`)
	if a := c.must(t, "GET", "/Users/"+id, "", 200); a.at("meta.location") != base+"/Users/"+id {
		t.Error(a)
	}
}

// R28, RFC 7643 §3.1: meta.location is the Content-Location of an answer that is one resource, and of no other (RFC 9110 §8.7).
func TestContentLocation(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite())
	made := c.must(t, "POST", "/Users", `{"userName":"ada"}`, 201)
	id, _ := made.at("id").(string)
	where, tag := c.base+"/Users/"+id, made.header.Get("ETag")
	for _, tt := range []struct {
		method, target, body string
		status               int
		want                 string
	}{
		{"GET", "/Users/" + id, "", 200, where},
		{"GET", "/Users/" + id + "?attributes=userName", "", 200, where},
		{"HEAD", "/Users/" + id, "", 200, where},
		{"GET", "/Users/" + id, "", 304, where}, // RFC 9110 §15.4.5
		{"PUT", "/Users/" + id, `{"userName":"ada"}`, 200, where},
		{"PATCH", "/Users/" + id, patchOf(`{"op":"add","path":"title","value":"T"}`), 200, where},
		{"PATCH", "/Users/" + id, patchOf(`{"op":"remove","path":"userName"}`), 400, ""},
		{"GET", "/Users", "", 200, ""},
		{"GET", "/Users/none", "", 404, ""},
		{"POST", "/Users", `{"userName":"ada"}`, 409, ""},
		{"DELETE", "/Users/" + id, "", 204, ""},
	} {
		header := http.Header{}
		if tt.status == 304 {
			header.Set("If-None-Match", tag)
		}
		a, err := c.send(tt.method, tt.target, header, tt.body)
		if err != nil || a.status != tt.status || a.header.Get("Content-Location") != tt.want {
			t.Errorf("%s %s: %v %s %v", tt.method, tt.target, err, a, a.header)
		}
	}
	if made.header.Get("Content-Location") != where || made.header.Get("Location") != where || made.at("meta.location") != where {
		t.Errorf("made: %s %v", made, made.header)
	}
}

// R11, RFC 7644 §3.8.
func TestAnswerIsJSONForThoseWhoAskForIt(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite())
	for accept, want := range map[string]string{
		"application/json": "application/json", "application/scim+json": "application/scim+json", "*/*": "application/scim+json",
		"application/json, application/scim+json": "application/scim+json", "text/html": "application/scim+json",
	} {
		for target, status := range map[string]int{"/Users": 200, "/Users/none": 404, "/Users?count=x": 400, "/Schemas": 200} {
			a, err := c.send("GET", target, http.Header{"Accept": {accept}}, "")
			if err != nil || a.status != status || a.header.Get("Content-Type") != want {
				t.Errorf("%s %s: %v %d %v", target, accept, err, a.status, a.header)
			}
		}
	}
}

// RFC 7644 §3.5.2.1: add never takes a member away, whatever it has for a value; replace without one does.
func TestMemberNamedByAFilter(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite())
	ada, bob := c.create(t, "/Users", `{"userName":"ada"}`), c.create(t, "/Users", `{"userName":"bob"}`)
	group := "/Groups/" + c.create(t, "/Groups", `{"displayName":"Team","members":[{"value":"`+ada+`"}]}`)
	for _, step := range []struct {
		op, value string
		id        string
		members   int
	}{
		{"add", `null`, ada, 1}, {"add", `""`, ada, 1}, {"add", `null`, bob, 2}, {"replace", `null`, bob, 1},
		{"add", `{"value":"` + bob + `"}`, bob, 2}, {"replace", `""`, bob, 1},
	} {
		a := c.must(t, "PATCH", group, `{"Operations":[{"op":"`+step.op+`","path":"members[value eq \"`+step.id+`\"]","value":`+step.value+`}]}`, 200)
		list, _ := a.at("members").([]any)
		if len(list) != step.members || a.at("members[0].value") != ada {
			t.Errorf("%s %s: %s", step.op, step.value, a)
		}
	}
}
