package scim_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// M-46, R4, R7, R26: two sources in one daemon are two tenants. Neither sees, finds, changes or names what the other has, on any
// way there is, and both may have the same names.
func TestSourcesAreTenants(t *testing.T) {
	t.Parallel()
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, b)
			c.token(t, "okta", "other", "token-okta", nil)
			const body = `{"userName":"ada@example.org","externalId":"E1","displayName":"Ada of Entra"}`
			user := c.create(t, "/Users", body)
			group := c.create(t, "/Groups", `{"displayName":"Choir","externalId":"G1","members":[{"value":"`+user+`"}]}`)
			okta := func(method, target, body string) answer {
				t.Helper()
				a, err := c.send(method, c.host+"/scim/okta/v2"+target, http.Header{"Authorization": {"Bearer token-okta"}}, body)
				if err != nil {
					t.Fatal(err)
				}
				return a
			}
			for _, tt := range []struct {
				method, target, body string
				status               int
			}{
				{"GET", "/Users/" + user, "", 404},
				{"PUT", "/Users/" + user, body, 404},
				{"PATCH", "/Users/" + user, `{"Operations":[{"op":"replace","path":"active","value":false}]}`, 404},
				{"DELETE", "/Users/" + user, "", 404},
				{"GET", "/Groups/" + group, "", 404},
				{"PUT", "/Groups/" + group, `{"displayName":"Mine"}`, 404},
				{"PATCH", "/Groups/" + group, `{"Operations":[{"op":"remove","path":"members"}]}`, 404},
				{"DELETE", "/Groups/" + group, "", 404},
			} {
				if a := okta(tt.method, tt.target, tt.body); a.status != tt.status || bytes.Contains(a.body, []byte("Entra")) {
					t.Errorf("%s %s: %s", tt.method, tt.target, a)
				}
			}

			nobody := func(what string, a answer) {
				t.Helper()
				if a.status != 200 || a.at("totalResults") != 0.0 || bytes.Contains(a.body, []byte(user)) || bytes.Contains(a.body, []byte(group)) {
					t.Errorf("%s: %s", what, a)
				}
			}
			for _, filter := range []string{
				`userName pr`, `externalId eq "E1"`, `id eq "` + user + `"`, `emails pr or userName sw "a"`, `not (userName eq "x")`,
				`groups.value eq "` + group + `"`, `not (groups.value eq "` + group + `") and userName pr`,
			} {
				nobody(filter, okta("GET", "/Users?filter="+url.QueryEscape(filter), ""))
				nobody(filter, okta("POST", "/Users/.search", `{"filter":`+jsonText(t, filter)+`}`))
			}
			for _, filter := range []string{`displayName pr`, `members.value eq "` + user + `"`, `members.value eq "` + user + `" and displayName pr`} {
				nobody(filter, okta("GET", "/Groups?filter="+url.QueryEscape(filter), ""))
			}
			nobody("everybody", okta("GET", "/Users", ""))
			nobody("everything", okta("POST", "/.search", `{}`))
			nobody("by cursor", okta("GET", "/Users?cursor=&count=1", ""))

			bulk := okta("POST", "/Bulk", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[
				{"method":"PATCH","path":"/Users/%[1]s","data":{"Operations":[{"op":"replace","path":"active","value":false}]}},
				{"method":"PUT","path":"/Groups/%[2]s","data":{"displayName":"Mine"}},{"method":"DELETE","path":"/Users/%[1]s"}]}`, user, group))
			for i := range 3 {
				if bulk.at(fmt.Sprintf("Operations[%d].status", i)) != "404" {
					t.Errorf("bulk: %s", bulk)
				}
			}

			// The same names, and ids of the other as references: they stay the texts they are.
			mine := okta("POST", "/Users", `{"userName":"ada@example.org","externalId":"E1","manager":"`+user+`"}`)
			id, _ := mine.at("id").(string)
			if mine.status != 201 || id == user {
				t.Fatal(mine)
			}
			guess := okta("POST", "/Groups", `{"displayName":"Choir","externalId":"G1","members":[{"value":"`+user+`"},{"value":"`+id+`"}]}`)
			if guess.status != 201 {
				t.Fatal(guess)
			}
			for path, want := range map[string]any{"members[value=" + user + "]": map[string]any{"value": user}, "members[value=" + id + "].type": "User"} {
				if diff := cmp.Diff(want, guess.at(path)); diff != "" {
					t.Errorf("%s: %s", path, diff)
				}
			}
			named := okta("GET", "/Groups?attributes=members.display,members.value", "")
			if bytes.Contains(named.body, []byte("Entra")) {
				t.Errorf("a name of the other: %s", named)
			}
			a := c.must(t, "GET", "/Users/"+user, "", 200)
			if a.at("groups[0].value") != group || a.at("groups[1]") != nil || a.at("active") != true || a.at("displayName") != "Ada of Entra" {
				t.Errorf("a group of the other counts, or something was done: %s", a)
			}
			if g := c.must(t, "GET", "/Groups/"+group, "", 200); g.at("displayName") != "Choir" || g.at("members[0].value") != user || g.at("members[1]") != nil {
				t.Errorf("something was done: %s", g)
			}
			next, _ := c.must(t, "POST", "/.search", `{"cursor":"","count":1}`, 200).at("nextCursor").(string)
			if a := okta("GET", "/Users?count=1&cursor="+next, ""); next == "" || a.at("scimType") != "invalidCursor" { // R155
				t.Errorf("cursor: %s", a)
			}
			// The credentials of one are unknown to the other, in both directions.
			for source, token := range map[string]string{"okta": secret, "entra": "token-okta"} {
				a, err := c.send("GET", c.host+"/scim/"+source+"/v2/Users/"+user, http.Header{"Authorization": {"Bearer " + token}}, "")
				if err != nil || a.status != 401 || strings.Contains(string(a.body), "Ada") {
					t.Errorf("%s: %v %s", source, err, a)
				}
			}
		})
	}
}
