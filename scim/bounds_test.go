package scim_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/scim"
)

// repeated is n texts of the form, joined by the separator; %d is the number of each.
func repeated(n int, separator, form string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(form, i)
	}
	return strings.Join(all, separator)
}

// TestEachBoundIsTheSources sends what is just within and just above each bound of one source to it, and to a source with
// the defaults, which takes both.
func TestEachBoundIsTheSources(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite(), func(o *scim.Options) {
		o.Sources[0].Bounds = scim.Bounds{URL: 1500, Depth: 10, Values: 10, Filter: 200, FilterDepth: 5, FilterTerms: 4, BulkOperations: 3, PatchOperations: 10}
	})
	c.token(t, "okta", "okta", "token-okta", nil)
	nested := func(n int) string {
		return `{"userName":"nested","colour":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`
	}
	filter := func(f string) string { return "/Users?filter=" + url.QueryEscape(f) }
	sized := func(n int) string { return `userName eq "` + strings.Repeat("x", n-len(`userName eq ""`)) + `"` }
	operations := func(n int) string { return patchOf(repeated(n, ",", `{"op":"add","path":"title","value":"%d"}`)) }
	for _, tt := range []struct {
		name, method, target string
		body                 func(n int) string
		most, status         int
		kind, says           string
	}{
		{"URL", "GET", "", func(n int) string { return "/Users?x=" + strings.Repeat("x", n-len("/scim/entra/v2/Users?x=")) }, 1500, 414, "", "1500 bytes"},
		{"depth of JSON", "POST", "/Users", nested, 10, 400, "invalidSyntax", "10 levels"},
		{"values of an attribute", "POST", "/Users", func(n int) string {
			return `{"userName":"values","roles":[` + repeated(n, ",", `{"value":"%d"}`) + `]}`
		}, 10, 400, "invalidValue", "10 values"},
		{"values of an attribute, added one by one", "PATCH", "/Users/{id}", func(n int) string {
			return patchOf(`{"op":"replace","path":"roles","value":[`+repeated(n-1, ",", `{"value":"%d"}`)+`]}`, `{"op":"add","path":"roles","value":[{"value":"last"}]}`)
		}, 10, 400, "invalidValue", "10 values"},
		{"size of a filter", "GET", "", func(n int) string { return filter(sized(n)) }, 200, 400, "invalidFilter", "200 bytes"},
		{"size of a path", "PATCH", "/Users/{id}", func(n int) string {
			return patchOf(`{"op":"remove","path":"emails[value eq \"` + strings.Repeat("x", n-len(`emails[value eq ""]`)) + `\"]"}`)
		}, 200, 400, "invalidPath", "200 bytes"},
		{"depth of a filter", "GET", "", func(n int) string {
			return filter(strings.Repeat("(", n) + "title pr" + strings.Repeat(")", n))
		}, 5, 400, "invalidFilter", "5 levels"},
		{"terms of a filter", "GET", "", func(n int) string { return filter(repeated(n, " or ", `title eq "%d"`)) }, 4, 400, "invalidFilter", "4 terms"},
		{"operations of a bulk request", "POST", "/Bulk", func(n int) string {
			return bulkOf(repeated(n, ",", `{"method":"DELETE","path":"/Users/%d"}`))
		}, 3, 413, "", "maxOperations, 3"},
		{"operations of a PATCH", "PATCH", "/Users/{id}", operations, 10, 400, "invalidValue", "10 operations"},
		{"operations of a PATCH on members", "PATCH", "/Groups/{group}", func(n int) string {
			return patchOf(repeated(n+20, ",", `{"op":"add","path":"members","value":[{"value":"%d"}]}`))
		}, 10, 200, "", ""},
	} {
		for source, token := range map[string]string{"entra": secret, "okta": "token-okta"} {
			base, header := c.host+"/scim/"+source+"/v2", http.Header{"Authorization": {"Bearer " + token}}
			at := func(method, target, body string) answer {
				a, err := c.send(method, base+target, header, body)
				if err != nil {
					t.Fatal(err)
				}
				return a
			}
			user := at("POST", "/Users", `{"userName":"ada"}`)
			group := at("POST", "/Groups", `{"displayName":"G"}`)
			id, _ := user.at("id").(string)
			groupID, _ := group.at("id").(string)
			try := func(n int) answer {
				body, target := tt.body(n), strings.NewReplacer("{id}", id, "{group}", groupID).Replace(tt.target)
				if tt.method == "GET" {
					target, body = body, ""
				}
				a := at(tt.method, target, body)
				if made, ok := a.at("id").(string); ok && tt.method == "POST" {
					at("DELETE", tt.target+"/"+made, "")
				}
				return a
			}
			if a := try(tt.most); a.status >= 300 {
				t.Errorf("%s, %s: within the bound: %s", tt.name, source, a)
			}
			want := tt.status
			if source == "okta" {
				want = 200
			}
			a := try(tt.most + 1)
			kind, _ := a.at("scimType").(string)
			detail, _ := a.at("detail").(string)
			switch {
			case want < 300 && a.status >= 300:
				t.Errorf("%s, %s: above the bound of another: %s", tt.name, source, a)
			case want >= 300 && (a.status != want || kind != tt.kind || !strings.Contains(detail, tt.says)):
				t.Errorf("%s, %s: %s", tt.name, source, a)
			}
			at("DELETE", "/Users/"+id, "")
			at("DELETE", "/Groups/"+groupID, "")
		}
	}
}

// RFC 7644 §3.4.2.4, RFC 9865 §4: pages have the sizes of the source, and ServiceProviderConfig says them.
func TestPagesHaveTheSizesOfTheSource(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite(), func(o *scim.Options) {
		o.Sources[0].Bounds, o.Sources[0].AnnounceCursors = scim.Bounds{Page: 2, MaxPage: 3}, true
	})
	c.token(t, "okta", "okta", "token-okta", nil)
	for i := range 5 {
		c.create(t, "/Users", fmt.Sprintf(`{"userName":"%d"}`, i))
	}
	for target, want := range map[string]any{"/Users": 2.0, "/Users?count=3": 3.0, "/Users?count=100": 3.0, "/Users?cursor=": 2.0, "/Users?cursor&count=4": 3.0, "/Users?count=0": 0.0} {
		if a := c.must(t, "GET", target, "", 200); a.at("itemsPerPage") != want || a.at("totalResults") != 5.0 && !strings.Contains(target, "cursor") {
			t.Errorf("%s: %s", target, a)
		}
	}
	config := c.must(t, "GET", "/ServiceProviderConfig", "", 200)
	if diff := cmp.Diff(any(map[string]any{"supported": true, "maxResults": 3.0}), config.at("filter")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(any(map[string]any{
		"cursor": true, "index": true, "defaultPaginationMethod": "index", "defaultPageSize": 2.0, "maxPageSize": 3.0, "cursorTimeout": 3600.0,
	}), config.at("pagination")); diff != "" {
		t.Error(diff)
	}
	if a := c.as(t, "Bearer token-okta", c.host+"/scim/okta/v2/ServiceProviderConfig", 200); a.at("pagination") != nil {
		t.Errorf("announced without being told to: %s", a)
	}
}
