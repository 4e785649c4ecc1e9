package scim_test

import (
	"net/http"
	"net/url"
	"testing"
)

// FuzzRequest sends anything to the whole server on a real database: what a client sends is never an internal error, and
// every answer is well-formed.
func FuzzRequest(f *testing.F) {
	for _, s := range [][3]string{
		{`userName eq "ada" and emails[type eq "work"].value co "x"`, `{"userName":"ada","emails":["a@example.org"]}`, `{"Operations":[{"op":"Add","path":"title","value":"x"}]}`},
		{`not (title sw "\u00e9%_'") or meta.created gt "2026-01-01T00:00:00Z"`, `{"userName":"'; --","name":{"givenName":"😀"}}`, `{"Operations":[{"op":"replace","value":{"active":"False"}}]}`},
		{`id ge "\"" or schemas eq "x" or employeeNumber pr`, `[]`, `{"Operations":[{"op":"remove","path":"emails[value pr]"}]}`},
		{`members eq "x" or displayName ne "\\"`, `{"displayName":"g","members":[{"value":"x"}]}`, `{"Operations":[{"op":"add","path":"members","value":[{"value":"\u2028"}]}]}`},
	} {
		f.Add(s[0], s[1], s[2])
	}
	c := newClient(f, sqlite())
	f.Fuzz(func(t *testing.T, filter, body, operations string) {
		send := func(method, target, body string) answer {
			a, err := c.send(method, target, http.Header{"Content-Type": {"application/json"}}, body)
			if err != nil {
				t.Fatalf("%s %s %q: %v", method, target, body, err)
			}
			if err := a.wellFormed(); err != nil || a.status >= 500 {
				t.Fatalf("%s %s %q: %v %s", method, target, body, err, a)
			}
			return a
		}
		for _, endpoint := range []string{"/Users", "/Groups"} {
			if len(filter) < 2000 {
				send("GET", endpoint+"?sortBy=externalId&filter="+url.QueryEscape(filter), "")
			}
			a := send("POST", endpoint, body)
			id, ok := a.at("id").(string)
			if !ok {
				continue
			}
			send("PATCH", endpoint+"/"+id, operations)
			if again := send("PUT", endpoint+"/"+id, string(a.body)); again.status != 200 {
				t.Fatalf("what was answered cannot be sent back: %s %s", a, again)
			}
			send("DELETE", endpoint+"/"+id, "")
		}
	})
}
