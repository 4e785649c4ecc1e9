package scim_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Values that are longer than an index holds are found by all of them, and taken for the same only if they are; R40 R41 R76.
func TestValuesLongerThanAnIndexHolds(t *testing.T) {
	t.Parallel()
	const many = 3000
	one, two := strings.Repeat("k", many)+"-one", strings.Repeat("k", many)+"-two"
	for _, b := range backends() {
		for _, attr := range []struct {
			name          string // in filters
			in            func(value string) map[string]any
			exact, unique bool
		}{
			{"userName", func(v string) map[string]any { return map[string]any{"userName": v} }, false, true},
			{"displayName", func(v string) map[string]any { return map[string]any{"displayName": v} }, false, false},
			{"externalId", func(v string) map[string]any { return map[string]any{"externalId": v} }, true, false},
			{"emails", func(v string) map[string]any {
				return map[string]any{"emails": []any{map[string]any{"value": v, "type": "work"}}}
			}, false, false},
			{"employeeNumber", func(v string) map[string]any { return map[string]any{"employeeNumber": v} }, false, false},
			{"title", func(v string) map[string]any { return map[string]any{"title": v} }, false, false},
			{hrURN + ":code", func(v string) map[string]any { return map[string]any{hrURN: map[string]any{"code": v}} }, true, true},
			{hrURN + ":aliases", func(v string) map[string]any { return map[string]any{hrURN: map[string]any{"aliases": []any{v}}} }, false, true},
			{hrURN + ":skills", func(v string) map[string]any { return map[string]any{hrURN: map[string]any{"skills": []any{v}}} }, false, false},
		} {
			t.Run(b.name+"/"+attr.name, func(t *testing.T) {
				t.Parallel()
				c := newHR(t, b)
				body := func(id, value string) string {
					doc := attr.in(value)
					if doc["userName"] == nil {
						doc["userName"] = id
					}
					text, err := json.Marshal(doc)
					if err != nil {
						t.Fatal(err)
					}
					return string(text)
				}
				first, second := c.create(t, "/Users", body("one", one)), c.create(t, "/Users", body("two", two))
				c.create(t, "/Users", `{"userName":"another"}`)
				if attr.unique {
					for _, again := range []string{one, two} {
						if a := c.must(t, "POST", "/Users", body("third", again), 409); a.at("scimType") != "uniqueness" {
							t.Errorf("%s", a)
						}
					}
					c.must(t, "PUT", "/Users/"+second, body("two", one), 409)
				}
				finds := func(filter string, want ...string) {
					t.Helper()
					var got []string
					list, _ := c.must(t, "GET", "/Users?attributes=id&filter="+url.QueryEscape(filter), "", 200).at("Resources").([]any)
					for _, r := range list {
						id, _ := r.(map[string]any)["id"].(string)
						got = append(got, id)
					}
					slices.Sort(got)
					slices.Sort(want)
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("%s…%s: %s", filter[:min(len(filter), 60)], filter[max(0, len(filter)-12):], diff)
					}
				}
				say := func(op, value string) string { return fmt.Sprintf("%s %s %q", attr.name, op, value) }
				finds(say("eq", one), first)
				finds(say("eq", two), second)
				finds(say("eq", one[:len(one)-1]))
				finds(say("sw", one[:many]), first, second)
				finds(say("sw", one[:many+3]), first)
				finds(say("sw", "kkk"), first, second)
				finds(say("co", one[:many]), first, second)
				finds(say("co", "k-o"), first)
				finds(say("co", one[many-2500:]), first)
				finds(say("ew", "k-two"), second)
				finds(say("ew", two[500:]), second)
				finds(say("gt", one[:many]), first, second)
				finds(say("gt", one), second)
				finds("not ("+say("co", "k-o")+") and "+say("co", "-"), second)
				finds(say("co", "-two")+` and id eq "`+second+`"`, second)
				finds(say("co", "-two") + ` and id eq "` + first + `"`)
				if attr.name == "emails" {
					finds(`emails[type eq "work" and value ew "-one"]`, first)
					finds(`emails[type eq "home" and value ew "-one"]`)
				}
				if attr.exact {
					finds(say("eq", strings.ToUpper(one)))
				} else {
					finds(say("eq", strings.ToUpper(one)), first)
				}
				c.must(t, "GET", "/Users?sortBy="+url.QueryEscape(attr.name), "", 200)
				// R30: what changes nothing is no change.
				tag := c.must(t, "GET", "/Users/"+first, "", 200).at("meta.version")
				a := c.must(t, "PATCH", "/Users/"+first, patchOf(`{"op":"replace","value":`+body("one", one)+`}`), 200)
				if got := a.at("meta.version"); got != tag {
					t.Errorf("version %v after %v", got, tag)
				}
				// Who is deactivated returns by the same name, not by one that begins alike.
				c.must(t, "PATCH", "/Users/"+first, patchOf(`{"op":"replace","path":"active","value":false}`), 200)
				if a, err := c.send("POST", "/Users", nil, body("one", one)); err != nil || a.status != 201 || a.at("id") != first {
					t.Errorf("%v %d: somebody new: %v, not %s", err, a.status, a.at("id"), first)
				}
			})
		}
	}
}
