package scim_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"jmld/scim"
)

const (
	userURN  = `"urn:ietf:params:scim:schemas:core:2.0:User"`
	groupURN = `"urn:ietf:params:scim:schemas:core:2.0:Group"`
	extURN   = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
)

// patchOf is a PatchOp message.
func patchOf(operations ...string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + strings.Join(operations, ",") + `]}`
}

// strictClient has a tolerant source, entra, and a strict one, okta, with a user and a group in each.
type strictClient struct {
	*client
	user, group map[string]string
}

func newStrictClient(t *testing.T) *strictClient {
	t.Helper()
	c := &strictClient{newClient(t, sqlite(), func(o *scim.Options) { o.Sources[1].Strict = true }), map[string]string{}, map[string]string{}}
	c.token(t, "okta", "okta", "token-okta", nil)
	for _, source := range []string{"entra", "okta"} {
		for target, ids := range map[string]map[string]string{"/Users": c.user, "/Groups": c.group} {
			body := `{"schemas":[` + userURN + `],"userName":"stored","emails":[{"value":"s@example.org","type":"home"}],"nickName":"S","active":true}`
			if target == "/Groups" {
				body = `{"schemas":[` + groupURN + `],"displayName":"Stored"}`
			}
			a := c.to(t, source, "POST", target, body)
			if a.status != 201 {
				t.Fatal(a)
			}
			ids[source], _ = a.at("id").(string)
		}
	}
	return c
}

func (c *strictClient) to(t *testing.T, source, method, target, body string) answer {
	t.Helper()
	header := http.Header{}
	if source == "okta" {
		header.Set("Authorization", "Bearer token-okta")
	}
	fill := strings.NewReplacer("{user}", c.user[source], "{group}", c.group[source])
	a, err := c.send(method, c.host+"/scim/"+source+"/v2"+fill.Replace(target), header, fill.Replace(body))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestStrictRefusesWhatIsOtherwiseReadDifferently sends each dialect to a tolerant source, which takes it, and to a
// strict one, which refuses it and does nothing.
func TestStrictRefusesWhatIsOtherwiseReadDifferently(t *testing.T) {
	t.Parallel()
	c := newStrictClient(t)
	user := func(more string) string {
		return `{"schemas":[` + userURN + `,"` + extURN + `"],"userName":"new"` + more + `}`
	}
	dated := func(end string) string {
		return `{"schemas":[` + userURN + `,"` + scim.URNLifecycle + `"],"userName":"new","` + scim.URNLifecycle + `":{"endDate":"` + end + `"}}`
	}
	search := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],`
	filter := func(f string) string { return "/Users?filter=" + url.QueryEscape(f) }
	for _, tt := range []struct{ name, method, target, body, kind string }{
		{"no schemas", "POST", "/Users", `{"userName":"new"}`, "invalidSyntax"},
		{"schemas of another type", "POST", "/Users", `{"schemas":[` + groupURN + `],"userName":"new"}`, "invalidSyntax"},
		{"schemas without the extension", "POST", "/Users", `{"schemas":[` + userURN + `],"userName":"new","` + extURN + `":{"department":"D"}}`, "invalidSyntax"},
		{"schemas that nobody knows", "POST", "/Users", `{"schemas":[` + userURN + `,"urn:example:other"],"userName":"new"}`, "invalidSyntax"},
		{"schemas of another type, too", "PUT", "/Groups/{group}", `{"schemas":[` + groupURN + `,` + userURN + `],"displayName":"Stored"}`, "invalidSyntax"},
		{"an unknown attribute", "POST", "/Users", user(`,"colour":"red"`), "invalidSyntax"},
		{"an unknown attribute in PUT", "PUT", "/Users/{user}", strings.Replace(user(`,"colour":"red"`), "new", "stored", 1), "invalidSyntax"},
		{"an unknown sub-attribute", "POST", "/Users", user(`,"name":{"colour":"red"}`), "invalidSyntax"},
		{"an unknown schema", "POST", "/Users", user(`,"urn:example:other":{"a":1}`), "invalidSyntax"},
		{"an unknown attribute of an extension", "POST", "/Users", user(`,"` + extURN + `":{"colour":"red"}`), "invalidSyntax"},
		{"an extension attribute without its URN", "POST", "/Users", user(`,"department":"D"`), "invalidSyntax"},
		{"a path as a key", "POST", "/Users", user(`,"name.givenName":"Ada"`), "invalidSyntax"},
		{"a URN with attribute as a key", "POST", "/Users", user(`,"` + extURN + `:department":"D"`), "invalidSyntax"},
		{"managerId", "POST", "/Users", user(`,"` + extURN + `":{"manager":{"managerId":"m"}}`), "invalidSyntax"},
		{"a boolean as text", "POST", "/Users", user(`,"active":"True"`), "invalidValue"},
		{"0 for a boolean", "POST", "/Users", user(`,"active":0`), "invalidValue"},
		{"1 for a boolean", "POST", "/Users", user(`,"emails":[{"value":"n@example.org","primary":1}]`), "invalidValue"},
		{"0 as text for a boolean", "POST", "/Users", user(`,"active":"0"`), "invalidValue"},
		{"1 as text for a boolean", "POST", "/Users", user(`,"active":"1"`), "invalidValue"},
		{"an object with its own name for a boolean", "POST", "/Users", user(`,"active":{"active":false}`), "invalidValue"},
		{"an empty list for an extension", "POST", "/Users", user(`,"` + extURN + `":[]`), "invalidValue"},
		{"a full name below a schema", "POST", "/Users", user(`,"` + extURN + `":{"` + extURN + `:department":"D"}`), "invalidSyntax"},
		{"a schema below a schema", "POST", "/Users", user(`,"` + extURN + `":{"` + extURN + `":{"department":"D"}}`), "invalidSyntax"},
		{"a name of the core schema below another", "POST", "/Users", user(`,"` + extURN + `":{"urn:ietf:params:scim:schemas:core:2.0:User:title":"T"}`), "invalidSyntax"},
		{"a key that nobody can have", "POST", "/Users", user(`,"Cost Center":"7"`), "invalidSyntax"},
		{"a number as text", "POST", "/Users", user(`,"nickName":7`), "invalidValue"},
		{"a boolean for text", "POST", "/Users", user(`,"nickName":true`), "invalidValue"},
		{"a list for one value", "POST", "/Users", user(`,"nickName":["N"]`), "invalidValue"},
		{"an object for one value", "POST", "/Users", user(`,"nickName":{"value":"N"}`), "invalidValue"},
		{"one value for many", "POST", "/Users", user(`,"emails":{"value":"n@example.org"}`), "invalidValue"},
		{"text for an object", "POST", "/Users", user(`,"emails":["n@example.org"]`), "invalidValue"},
		{"text for a manager", "POST", "/Users", user(`,"` + extURN + `":{"manager":"m"}`), "invalidValue"},
		{"JSON in text", "POST", "/Users", user(`,"name":"{\"givenName\":\"Ada\"}"`), "invalidValue"},
		{"a list of one extension", "POST", "/Users", user(`,"` + extURN + `":[{"department":"D"}]`), "invalidValue"},
		{"a date without time", "POST", "/Users", dated("2026-12-31"), "invalidValue"},
		{"a date with an offset of four digits", "POST", "/Users", dated("2026-11-23T10:00:00.000+0000"), "invalidValue"},
		{"a date without seconds", "POST", "/Users", dated("2026-11-23T10:00Z"), "invalidValue"},
		{"a date with a blank", "POST", "/Users", dated("2026-11-23 10:00:00"), "invalidValue"},
		{"a certificate with line feeds", "POST", "/Users", user(`,"x509Certificates":[{"value":"AAAA\nAAAA"}]`), "invalidValue"},
		{"members as text", "POST", "/Groups", `{"schemas":[` + groupURN + `],"displayName":"New","members":["{user}"]}`, "invalidValue"},
		{"members by $ref", "POST", "/Groups", `{"schemas":[` + groupURN + `],"displayName":"New","members":[{"$ref":"../Users/{user}"}]}`, "invalidValue"},
		{"a member as JSON in text", "POST", "/Groups", `{"schemas":[` + groupURN + `],"displayName":"New","members":["{\"value\":\"{user}\"}"]}`, "invalidValue"},
		{"no members as JSON in text", "PATCH", "/Groups/{group}", patchOf(`{"op":"replace","path":"members","value":"[]"}`), "invalidValue"},
		{"a bulk operation as JSON in text", "POST", "/Bulk", bulkOf(`{"method":"PATCH","path":"/Users/{user}","data":"[{\"op\":\"replace\",\"path\":\"nickName\",\"value\":\"N\"}]"}`), "invalidValue"},
		{"one member", "POST", "/Groups", `{"schemas":[` + groupURN + `],"displayName":"New","members":{"value":"{user}"}}`, "invalidValue"},

		{"PATCH without schemas", "PATCH", "/Users/{user}", `{"Operations":[{"op":"add","path":"nickName","value":"N"}]}`, "invalidSyntax"},
		{"a single operation", "PATCH", "/Users/{user}", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":{"op":"add","path":"nickName","value":"N"}}`, "invalidSyntax"},
		{"Replace", "PATCH", "/Users/{user}", patchOf(`{"op":"Replace","path":"nickName","value":"N"}`), "invalidSyntax"},
		{"an operation without a path", "PATCH", "/Users/{user}", patchOf(`{"op":"replace","value":{"nickName":"N"}}`), "invalidPath"},
		{"an operation with an empty path", "PATCH", "/Users/{user}", patchOf(`{"op":"replace","path":"","value":{"nickName":"N"}}`), "invalidPath"},
		{"an unknown path", "PATCH", "/Users/{user}", patchOf(`{"op":"add","path":"colour","value":"red"}`), "invalidPath"},
		{"an unknown path below a filter", "PATCH", "/Users/{user}", patchOf(`{"op":"add","path":"emails[type eq \"home\"].colour","value":"red"}`), "invalidPath"},
		{"a path that nobody can have", "PATCH", "/Users/{user}", patchOf(`{"op":"add","path":"urn:example:My Application:2.0:User:Cost Center","value":"7"}`), "invalidPath"},
		{"a path that nobody can have, removed", "PATCH", "/Users/{user}", patchOf(`{"op":"remove","path":"größe"}`), "invalidPath"},
		{"a full name below a path", "PATCH", "/Users/{user}", patchOf(`{"op":"add","path":"` + extURN + `","value":{"` + extURN + `:department":"D"}}`), "invalidSyntax"},
		{"an empty list for an extension in PATCH", "PATCH", "/Users/{user}", patchOf(`{"op":"replace","path":"` + extURN + `","value":[]}`), "invalidValue"},
		{"active as a number", "PATCH", "/Users/{user}", patchOf(`{"op":"replace","path":"active","value":0}`), "invalidValue"},
		{"active as a digit in text", "PATCH", "/Users/{user}", patchOf(`{"op":"replace","path":"active","value":"0"}`), "invalidValue"},
		{"an unknown part in a filter", "PATCH", "/Users/{user}", patchOf(`{"op":"add","path":"emails[colour eq \"red\"].value","value":"x"}`), "invalidPath"},
		{"blanks in a path", "PATCH", "/Users/{user}", patchOf(`{"op":"add","path":"emails [type eq \"home\"].value","value":"x"}`), "invalidPath"},
		{"a pointer", "PATCH", "/Users/{user}", patchOf(`{"op":"add","path":"/name/givenName","value":"x"}`), "invalidPath"},
		{"a path without URN", "PATCH", "/Users/{user}", patchOf(`{"op":"add","path":"department","value":"D"}`), "invalidPath"},
		{"active as text", "PATCH", "/Users/{user}", patchOf(`{"op":"replace","path":"active","value":"False"}`), "invalidValue"},
		{"replace of what the filter does not select", "PATCH", "/Users/{user}", patchOf(`{"op":"replace","path":"emails[type eq \"work\"].value","value":"w@example.org"}`), "noTarget"},
		{"add to what the filter does not select", "PATCH", "/Users/{user}", patchOf(`{"op":"add","path":"emails[type eq \"other\"].value","value":"w@example.org"}`), "noTarget"},
		{"a loose filter in a path", "PATCH", "/Users/{user}", patchOf(`{"op":"replace","path":"emails[primary eq \"True\"].display","value":"x"},{"op":"add","path":"emails","value":[{"value":"p@example.org","primary":true}]}`), "invalidFilter"},
		{"remove of some members by value", "PATCH", "/Groups/{group}", patchOf(`{"op":"remove","path":"members","value":[{"value":"{user}"}]}`), "invalidValue"},
		{"remove with a filter and a value", "PATCH", "/Users/{user}", patchOf(`{"op":"remove","path":"emails[type eq \"none\"]","value":[{"value":"x"}]}`), "invalidValue"},
		{"remove of a part with a value", "PATCH", "/Users/{user}", patchOf(`{"op":"remove","path":"emails.value","value":"x"}`), "invalidValue"},
		{"remove of a member with a value", "PATCH", "/Groups/{group}", patchOf(`{"op":"remove","path":"members[value eq \"{user}\"]","value":[{"value":"{user}"}]}`), "invalidValue"},
		{"the name of the type in a path", "PATCH", "/Users/{user}", patchOf(`{"op":"replace","path":"User.active","value":true}`), "invalidPath"},
		{"a JSONPath", "PATCH", "/Users/{user}", patchOf(`{"op":"replace","path":"$.active","value":true}`), "invalidPath"},
		{"remove with a value", "PATCH", "/Users/{user}", patchOf(`{"op":"remove","path":"title","value":"x"}`), "invalidValue"},
		{"replace of a member", "PATCH", "/Groups/{group}", patchOf(`{"op":"replace","path":"members[value eq \"{user}\"]","value":{"value":"{user}"}}`), "invalidPath"},
		{"add of a member without a value", "PATCH", "/Groups/{group}", patchOf(`{"op":"add","path":"members[value eq \"{user}\"]","value":null}`), "invalidValue"},
		{"replace of a member without a value", "PATCH", "/Groups/{group}", patchOf(`{"op":"replace","path":"members[value eq \"{user}\"]","value":null}`), "invalidValue"},

		{"a word as a literal", "GET", filter(`externalId eq jyoung`), "", "invalidFilter"},
		{"True", "GET", filter(`active eq True`), "", "invalidFilter"},
		{"a boolean in quotation marks", "GET", filter(`active eq "true"`), "", "invalidFilter"},
		{"a number for a boolean", "GET", filter(`active eq 1`), "", "invalidFilter"},
		{"a digit in quotation marks for a boolean", "GET", filter(`active eq "0"`), "", "invalidFilter"},
		{"a number for text", "GET", filter(`externalId eq 7`), "", "invalidFilter"},
		{"a boolean for text", "GET", filter(`externalId eq true`), "", "invalidFilter"},
		{"a date with an offset of four digits in a filter", "GET", filter(`meta.lastModified gt "2026-11-23T10:00:00.000+0000"`), "", "invalidFilter"},
		{"a date without seconds in a filter", "GET", filter(`meta.lastModified gt "2026-11-23T10:00Z"`), "", "invalidFilter"},
		{"a date with a blank in a filter", "GET", filter(`meta.lastModified gt "2026-11-23 10:00:00+02:00"`), "", "invalidFilter"},
		{"a comparison after a value filter", "GET", filter(`emails[type eq "work"].value eq "s@example.org"`), "", "invalidFilter"},
		{"a filter without URN", "GET", filter(`department eq "D"`), "", "invalidFilter"},
		{"two spaces", "GET", filter(`userName  eq "a"`), "", "invalidFilter"},
		{"a tab", "GET", filter("userName\teq \"a\""), "", "invalidFilter"},
		{"spaces in parentheses", "GET", filter(`( userName eq "a" )`), "", "invalidFilter"},
		{"no space", "GET", filter(`userName eq"a"`), "", "invalidFilter"},
		{"sorting without URN", "GET", "/Users?sortBy=department", "", "invalidValue"},
		{"a search without schemas", "POST", "/Users/.search", `{"filter":"userName pr"}`, "invalidSyntax"},
		{"a search with text for a number", "POST", "/Users/.search", search + `"count":"1"}`, "invalidValue"},
		{"a search with text for a list", "POST", "/Users/.search", search + `"attributes":"id,userName"}`, "invalidValue"},

		{"a bulk request without schemas", "POST", "/Bulk", `{"Operations":[{"method":"DELETE","path":"/Users/none"}]}`, "invalidSyntax"},
		{"a bulk method in small letters", "POST", "/Bulk", bulkOf(`{"method":"delete","path":"/Users/none"}`), "invalidSyntax"},
		{"failOnErrors as text", "POST", "/Bulk", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"failOnErrors":"1","Operations":[{"method":"DELETE","path":"/Users/none"}]}`, "invalidValue"},
	} {
		before := c.to(t, "okta", "GET", "/Users?sortBy=id", "").String() + c.to(t, "okta", "GET", "/Groups", "").String()
		if a := c.to(t, "okta", tt.method, tt.target, tt.body); a.status != 400 || a.at("scimType") != tt.kind {
			t.Errorf("%s: strict: %s", tt.name, a)
		}
		if after := c.to(t, "okta", "GET", "/Users?sortBy=id", "").String() + c.to(t, "okta", "GET", "/Groups", "").String(); after != before {
			t.Errorf("%s: strict did something", tt.name)
		}
		a := c.to(t, "entra", tt.method, tt.target, tt.body)
		if a.status >= 300 {
			t.Errorf("%s: tolerant: %s", tt.name, a)
		}
		if id, ok := a.at("id").(string); ok && a.status == 201 {
			c.to(t, "entra", "DELETE", strings.Split(tt.target, "?")[0]+"/"+id, "")
		}
	}
}

// TestStrictTakesWhatTheStandardHas: strict is no stricter than the profiles.
func TestStrictTakesWhatTheStandardHas(t *testing.T) {
	t.Parallel()
	c := newStrictClient(t)
	user := `{"schemas":[` + userURN + `,"` + extURN + `"],`
	filter := func(f string) string { return "/Users?filter=" + url.QueryEscape(f) }
	for _, tt := range []struct {
		name, method, target, body string
		status                     int
	}{
		{"names in any case", "POST", "/Users", user + `"USERNAME":"one","emails":[{"Value":"a@example.org"}],"` + strings.ToLower(extURN) + `":{"Department":"D"}}`, 201},
		{"null and empty lists", "POST", "/Users", user + `"userName":"two","nickName":null,"emails":[],"` + extURN + `":{"manager":null}}`, 201},
		{"read-only attributes", "PUT", "/Users/{user}", user + `"id":"{user}","userName":"stored","groups":[{"value":"x"}],"meta":{"version":"x"}}`, 200},
		{"a PUT without active", "PUT", "/Users/{user}", user + `"userName":"stored"}`, 200},
		{"a password", "PUT", "/Users/{user}", user + `"userName":"stored","password":"secret"}`, 200},
		{"operations with paths", "PATCH", "/Users/{user}", patchOf(
			`{"op":"add","path":"emails","value":[{"value":"w@example.org","type":"work"}]}`,
			`{"op":"replace","path":"emails[type eq \"work\"].value","value":"v@example.org"}`,
			`{"op":"add","path":"`+extURN+`:department","value":"D"}`, `{"op":"add","path":"name.givenName","value":"Ada"}`,
			`{"op":"remove","path":"emails[type eq \"none\"]"}`, `{"op":"remove","path":"nickName"}`), 200},
		{"a member by filter", "PATCH", "/Groups/{group}", patchOf(`{"op":"add","path":"members","value":[{"value":"{user}"}]}`,
			`{"op":"remove","path":"members[value eq \"{user}\"]"}`), 200},
		{"a filter", "GET", filter(`userName eq "a" and (emails[type eq "work" and value co "(  b"] or not (active eq true))`), "", 200},
		{"values without their name, an example of the standard", "GET", filter(`userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")`), "", 200},
		{"members and groups without it", "POST", "/.search", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"filter":"members eq \"x\" or groups eq \"x\""}`, 200},
		{"operators in any case", "GET", filter(`USERNAME EQ "a" AND not(title pr)`), "", 200},
		{"a member", "GET", "/Groups?filter=" + url.QueryEscape(`members.value eq "x" or members[value eq "x"]`), "", 200},
		{"an extension attribute", "GET", filter(extURN + `:department eq "D"`), "", 200},
		{"a search", "POST", "/Users/.search", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"attributes":["id"],"count":1,"filter":"userName pr"}`, 200},
		{"whole numbers with a point", "POST", "/Users/.search", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"count":1.0,"startIndex":1.0}`, 200},
		{"an unknown attribute in a filter", "GET", filter(`colour eq "red"`), "", 400},
	} {
		if a := c.to(t, "okta", tt.method, tt.target, tt.body); a.status != tt.status {
			t.Errorf("%s: %s", tt.name, a)
		}
	}
	if a := c.to(t, "okta", "GET", "/Users/{user}", ""); a.at("active") != true {
		t.Errorf("a PUT without active: %s", a)
	}
}

// TestStrictCountsInEachOperationOfABulkRequest: what is wrong with one operation is its own result.
func TestStrictCountsInEachOperationOfABulkRequest(t *testing.T) {
	t.Parallel()
	c := newStrictClient(t)
	a := c.to(t, "okta", "POST", "/Bulk", bulkOf(
		`{"method":"POST","path":"/Users","bulkId":"a","data":{"userName":"a"}}`,
		`{"method":"POST","path":"/Users","bulkId":"b","data":{"schemas":[`+userURN+`],"userName":"b"}}`,
		`{"method":"POST","path":"/Groups","bulkId":"c","data":{"schemas":[`+groupURN+`],"displayName":"c","members":[{"value":"bulkId:d"}]}}`,
		`{"method":"POST","path":"/Groups","bulkId":"d","data":{"schemas":[`+groupURN+`],"displayName":"d","members":{"value":"bulkId:c"}}}`))
	got := ""
	list, _ := a.at("Operations").([]any)
	for _, e := range list {
		m, _ := e.(map[string]any)
		s, _ := m["status"].(string)
		got += s + " "
	}
	if got != "400 201 409 400 " {
		t.Errorf("%s: %s", got, a)
	}
}

// A token that stands without its scheme (RFC 6750 §2.1) is another reading, too.
func TestStrictTakesNoTokenWithoutItsScheme(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite(), func(o *scim.Options) { o.Sources[1].Strict = true })
	want := map[string]int{"entra": 200, "okta": 400}
	for source := range want {
		c.token(t, source, "made here", "jmld_of-"+source, nil)
	}
	for source, status := range want {
		users := c.host + "/scim/" + source + "/v2/Users"
		c.as(t, "jmld_of-"+source, users, status)
		c.as(t, "Bearer jmld_of-"+source, users, 200)
	}
}
