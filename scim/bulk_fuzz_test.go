package scim_test

import (
	"net/http"
	"strings"
	"testing"
)

// FuzzBulk sends anything to /Bulk: it is never an internal error, each answer is well-formed, and a bulk answer has at most
// one result for each operation. More seeds are in testdata/fuzz/FuzzBulk.
func FuzzBulk(f *testing.F) {
	f.Add(bulkOf(bulkUser("u", "ada", ""), bulkGroup("g", "G", "bulkId:u")))
	f.Add(bulkOf(bulkGroup("g", "G", "bulkId:h"), bulkGroup("h", "H", "bulkId:g", "bulkId:h"), `{"method":"DELETE","path":"/Groups/bulkId:g"}`))
	f.Add(bulkOf(bulkUser("u", "ada", `,"manager":"bulkId:v"`), bulkUser("v", "ADA", `,"manager":"bulkId:u"`)))
	f.Add(`{"failOnErrors":1,"Operations":[{"method":"PUT","path":"/Users/1","data":{"userName":"x"}},{"method":"DELETE","path":"/Users/2","version":"W/\"1\""}]}`)
	f.Add(`{"Operations":[{"method":"PATCH","path":"/Groups/bulkId:g","data":{"Operations":[{"op":"add","path":"members[value eq \"bulkId:g\"]"}]}}]}`)
	f.Add(`{"Operations":{"method":"post","path":"Users","bulkId":7,"data":{"userName":"bulkId:7","manager":{"$ref":"/Users/bulkId:7"}}}}`)
	c := newClient(f, sqlite())
	f.Fuzz(func(t *testing.T, body string) {
		a, err := c.send("POST", "/Bulk", http.Header{"Content-Type": {"application/json"}}, body)
		if err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		if err := a.wellFormed(); err != nil || a.status >= 500 {
			t.Fatalf("%q: %v %s", body, err, a)
		}
		if a.status != 200 {
			return
		}
		list := outcomes(t, a)
		if len(list) == 0 || len(list) > strings.Count(body, "{") {
			t.Fatalf("%q: %d results", body, len(list))
		}
		for i, o := range list {
			if strings.HasSuffix(o, " 500") || strings.HasSuffix(o, " 201") && !strings.HasPrefix(o, "POST ") {
				t.Fatalf("%q: result %d is %s", body, i, o)
			}
		}
		// What was made is there, or was deleted by the same request.
		results, _ := a.at("Operations").([]any)
		for _, e := range results {
			r, _ := e.(map[string]any)
			where, _ := r["location"].(string)
			if r["status"] != "201" {
				continue
			}
			got, err := c.send("GET", strings.TrimPrefix(where, c.base), nil, "")
			if err != nil || got.status != 200 && !strings.Contains(strings.ToUpper(body), "DELETE") {
				t.Fatalf("%q: %s is %v %s", body, where, err, got)
			}
			if got.status == 200 {
				c.must(t, "DELETE", strings.TrimPrefix(where, c.base), "", 204)
			}
		}
	})
}
