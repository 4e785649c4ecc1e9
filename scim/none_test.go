package scim_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/jml"
	"jmld/jml/engine"
	"jmld/model"
	"jmld/scim"
)

// personOf is the identity of a source's record.
func (p ports) personOf(t *testing.T, source, id string) model.Identity {
	t.Helper()
	found, err := p.Load(t.Context(), []engine.Subject{{Source: source, Record: id}})
	if err != nil || found[0].Identity == nil {
		t.Fatal(err)
	}
	return *found[0].Identity
}

// D-08: what a source says there is none of is empty, whatever sources behind it say; what it does not mention they say. No
// answer shows the difference (RFC 7643 §2.5), and nobody is deactivated by it.
func TestNullIsAWordAndAbsenceIsNone(t *testing.T) {
	t.Parallel()
	const person = `{"schemas":[%s],"userName":"ada","title":"%s","emails":[{"value":"ada@example.org","type":"work"}],"name":{"givenName":"Ada"},` +
		`"externalId":"%[2]s","%[3]s":{"employeeNumber":"1","department":"%[2]s"}%[4]s}`
	const url = extURN + ":department"
	for _, tt := range []struct {
		name, method, body                  string
		title, emails, given, department, a string // e entra's, o okta's, 0 none
	}{
		{"nothing said", "PUT", `{"schemas":[` + userURN + `],"userName":"ada","externalId":"Entra"}`, "o", "o", "o", "o", "true"},
		{"null", "PUT", `{"schemas":[` + userURN + `],"userName":"ada","title":null,"emails":null,"name":null,"active":null,"` + extURN + `":{"department":null}}`,
			"0", "0", "0", "0", "true"},
		{"empty text, an empty list and empty parts", "PUT", `{"schemas":[` + userURN + `],"userName":"ada","title":"","emails":[],"name":{"givenName":""},"active":"","` + extURN + `":{"department":""}}`,
			"0", "0", "0", "0", "true"},
		{"a whole extension", "PUT", `{"schemas":[` + userURN + `],"userName":"ada","` + extURN + `":null}`, "o", "o", "o", "o", "true"},
		{"replaced with null", "PATCH", patchOf(`{"op":"replace","path":"title","value":null}`, `{"op":"replace","value":{"emails":[],"active":null,"`+url+`":null}}`),
			"0", "0", "e", "0", "true"},
		{"removed", "PATCH", patchOf(`{"op":"remove","path":"title"}`, `{"op":"remove","path":"emails[type eq \"work\"]"}`, `{"op":"remove","path":"name.givenName"}`,
			`{"op":"remove","path":"active"}`, `{"op":"remove","path":"`+extURN+`"}`), "0", "0", "0", "0", "true"},
		{"a value removed that is not there", "PATCH", patchOf(`{"op":"remove","path":"emails[type eq \"home\"]"}`), "e", "e", "e", "e", "true"},
		{"removed and added", "PATCH", patchOf(`{"op":"remove","path":"title"}`, `{"op":"add","path":"title","value":"Entra"}`), "e", "e", "e", "e", "true"},
	} {
		for _, b := range backends() {
			t.Run(tt.name+"/"+b.name, func(t *testing.T) {
				t.Parallel()
				c := newClient(t, b)
				c.token(t, "okta", "okta", "token-okta", nil)
				okta := strings.NewReplacer(`ada@example.org`, `ada.o@example.org`, `"Ada"`, `"Ada O."`).Replace(fmt.Sprintf(person, userURN, "Okta", extURN, ""))
				if a, err := c.send("POST", c.host+"/scim/okta/v2/Users", http.Header{"Authorization": {"Bearer token-okta"}}, okta); err != nil || a.status != 201 {
					t.Fatal(a, err)
				}
				a, err := c.send("POST", "/Users", nil, fmt.Sprintf(person, userURN, "Entra", extURN, `,"nickName":null`))
				if err != nil || a.status != 201 {
					t.Fatal(a, err)
				}
				id, _ := a.at("id").(string)
				var last string
				for range 2 { // again changes nothing
					if a, err = c.send(tt.method, "/Users/"+id, nil, tt.body); err != nil || a.status != 200 || strings.Contains(string(a.body), "null") {
						t.Fatal(a, err)
					}
					person := c.personOf(t, "entra", id)
					if last != "" && person.Attrs != last {
						t.Errorf("the second time %s, before %s", person.Attrs, last)
					}
					last = person.Attrs
				}
				fused := jml.Decode(last)
				ext, _ := fused[jml.EnterpriseUser].(map[string]any)
				by := map[string]string{"Entra": "e", "Okta": "o", "ada@example.org": "e", "ada.o@example.org": "o", "Ada": "e", "Ada O.": "o", "<nil>": "0"}
				name, _ := fused["name"].(map[string]any)
				var address any
				if list, _ := fused["emails"].([]any); len(list) > 0 {
					address = list[0].(map[string]any)["value"]
				}
				who := func(v any) string { return by[fmt.Sprint(v)] }
				rec, err := c.Record(t.Context(), "entra", model.KindUser, id)
				if err != nil {
					t.Fatal(err)
				}
				got := []string{who(fused["title"]), who(address), who(name["givenName"]), who(ext["department"]), fmt.Sprint(rec.Active)}
				if diff := cmp.Diff([]string{tt.title, tt.emails, tt.given, tt.department, tt.a}, got); diff != "" {
					t.Errorf("title, emails, name, department, active: %s\n%s", diff, rec.Attrs)
				}
				from := c.personOf(t, "entra", id).Provenance
				if empty := strings.Contains(from, `"title":{"winner":"entra","losers":["okta"],"rule":"precedence entra > okta","empty":true`); empty != (tt.title == "0") {
					t.Errorf("title: %s", from)
				}
				for _, target := range []string{"/Users/" + id, "/Users/" + id + "?excludedAttributes=title", "/Users?filter=title+pr+or+userName+eq+%22ada%22"} {
					a, err := c.send("GET", target, nil, "")
					if err != nil || a.status != 200 || strings.Contains(string(a.body), "null") ||
						strings.Contains(string(a.body), extURN) != strings.Contains(string(a.body), "employeeNumber") {
						t.Errorf("GET %s: %v %v", target, a, err)
					}
				}
			})
		}
	}
}

// A source whose nulls mean nothing is as silent with them as without; an answer is the same in any case.
func TestNullMayBeSilence(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite(), func(o *scim.Options) { o.Sources[0].NullIsSilence = true })
	a, err := c.send("POST", "/Users", nil, `{"schemas":[`+userURN+`],"userName":"ada","title":null,"emails":[]}`)
	if err != nil || a.status != 201 {
		t.Fatal(a, err)
	}
	id, _ := a.at("id").(string)
	rec, err := c.Record(t.Context(), "entra", model.KindUser, id)
	if err != nil || rec.Attrs != `{"active":true,"userName":"ada"}` {
		t.Fatal(rec.Attrs, err)
	}
	if a, err = c.send("PATCH", "/Users/"+id, nil, patchOf(`{"op":"remove","path":"title"}`)); err != nil || a.status != 200 {
		t.Fatal(a, err)
	}
	if rec, err = c.Record(t.Context(), "entra", model.KindUser, id); err != nil || rec.Attrs != `{"active":true,"userName":"ada"}` {
		t.Fatal(rec.Attrs, err)
	}
}

// Whoever has only nulls of an extension does not have the extension, and null is what is asked for with "not … pr".
func TestNullIsNotSeenByFilters(t *testing.T) {
	t.Parallel()
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, b)
			if a, err := c.send("POST", "/Users", nil, `{"schemas":[`+userURN+`],"userName":"ada","title":null,"nickName":"\":null","`+extURN+`":{"department":null}}`); err != nil || a.status != 201 {
				t.Fatal(a, err)
			}
			for filter, want := range map[string]float64{
				`title pr`: 0, `not (title pr)`: 1, `title eq null`: 1, extURN + `:department pr`: 0, `schemas eq "` + extURN + `"`: 0, `nickName pr`: 1,
			} {
				a, err := c.send("GET", "/Users?filter="+strings.NewReplacer(" ", "%20", `"`, "%22").Replace(filter), nil, "")
				if err != nil || a.status != 200 || fmt.Sprint(a.at("totalResults")) != fmt.Sprint(want) {
					t.Errorf("%s: %v %v", filter, a, err)
				}
			}
		})
	}
}
