package scim_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"jmld/model"
	"jmld/scim"
)

// TestDatabaseAgreesWithMatchAboutExtensions: see TestDatabaseAgreesWithMatch.
func TestDatabaseAgreesWithMatchAboutExtensions(t *testing.T) {
	t.Parallel()
	people := []string{
		`"badge":"Ab","number":7,"code":"ab","union":true,"hired":"2026-11-01T08:00:00+01:00","site":{"building":"A","floor":3},"shifts":[1,20]`,
		`"badge":"b","number":-3,"code":"AB","union":false,"hired":"2026-11-01T07:00:00Z","skills":["Go","é"],"salary":-0.5,"contract":"https://example.org/a"`,
		`"number":70,"code":"é","hired":"2025-12-31T23:59:59.5Z","skills":["go "],"salary":10.25,"site":{"floor":-1},"phones":[{"value":"1","type":"Desk","cost":2}]`,
		`"salary":1e3,"code":"e\u0301x","phones":[{"value":"1","type":"home"},{"value":"2","type":"desk","cost":0.5}],"shifts":[3]`,
		`"grade":"Junior","badge":"  "`,
	}
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := newHR(t, b)
			c.create(t, "/Users", `{"userName":"none"}`)
			for i, p := range people {
				c.create(t, "/Users", userWith(fmt.Sprintf("u%d", i), p))
			}
			page, err := c.Query(t.Context(), model.Query{Source: "entra", Kind: model.KindUser, Limit: 100})
			if err != nil || len(page.Records) != len(people)+1 {
				t.Fatal(page, err)
			}
			rapid.Check(t, func(t *rapid.T) {
				text := extensionFilter(t, 2)
				_, match, err := scim.Selection(model.KindUser, text, hr()...)
				if err != nil {
					t.Fatalf("%s: %v", text, err)
				}
				var want, got []string
				for i := range page.Records {
					if match(&page.Records[i], nil) {
						want = append(want, page.Records[i].UserName)
					}
				}
				a, err := c.send("GET", "/Users?filter="+url.QueryEscape(text), nil, "")
				if err != nil || a.status != 200 {
					t.Fatalf("%s: %v %s", text, err, a)
				}
				list, _ := a.at("Resources").([]any)
				for _, r := range list {
					name, _ := r.(map[string]any)["userName"].(string)
					got = append(got, name)
				}
				slices.Sort(want)
				slices.Sort(got)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("%s: evaluator (-) and database (+): %s", text, diff)
				}
			})
			for by, want := range map[string]string{
				"number": "u1 u0 u2 none u3 u4", "salary": "u1 u2 u3 none u0 u4", "hired": "u2 u0 u1 none u3 u4", "union": "u1 u0 none u2 u3 u4",
				"badge": "u4 u0 u1 none u2 u3", "site.floor": "u2 u0 none u1 u3 u4", "skills": "u1 u2 none u0 u3 u4", "phones": "u2 u3 none u0 u1 u4",
			} {
				a := c.must(t, "GET", "/Users?sortBy="+hrURN+":"+by, "", 200)
				var got []string
				list, _ := a.at("Resources").([]any)
				for _, r := range list {
					name, _ := r.(map[string]any)["userName"].(string)
					got = append(got, name)
				}
				if s := strings.Join(got, " "); s != want {
					t.Errorf("sorted by %s: %s, not %s", by, s, want)
				}
			}
		})
	}
}

func extensionFilter(t *rapid.T, depth int) string {
	if depth > 0 {
		switch rapid.IntRange(0, 4).Draw(t, "form") {
		case 0:
			return "(" + extensionFilter(t, depth-1) + ") and (" + extensionFilter(t, depth-1) + ")"
		case 1:
			return "not (" + extensionFilter(t, depth-1) + ")"
		}
	}
	word := rapid.SampledFrom([]string{`"a"`, `"AB"`, `"b"`, `"go"`, `"é"`, `"e"`, `"Junior"`, `"1"`, `"https://example.org/a"`, `" "`, `""`}).Draw(t, "word")
	number := rapid.SampledFrom([]string{"7", "-3", "70", "3", "-1", "0", "1000", "-0.5", "10.25", "2", "20"}).Draw(t, "number")
	order := rapid.SampledFrom([]string{"eq", "ne", "gt", "ge", "lt", "le"}).Draw(t, "order")
	op := rapid.SampledFrom([]string{"eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"}).Draw(t, "operator")
	switch rapid.IntRange(0, 8).Draw(t, "term") {
	case 0:
		return hrURN + ":" + rapid.SampledFrom([]string{"badge", "number", "union", "hired", "skills", "site", "site.floor", "phones", "phones.value", "salary", "shifts"}).Draw(t, "present") + " pr"
	case 1:
		return hrURN + ":" + rapid.SampledFrom([]string{"number", "salary", "site.floor", "shifts", "phones.cost"}).Draw(t, "numeric") + " " + order + " " + number
	case 2:
		return hrURN + ":union " + rapid.SampledFrom([]string{"eq", "ne"}).Draw(t, "equal") + " " + rapid.SampledFrom([]string{"true", "false"}).Draw(t, "boolean")
	case 3:
		return hrURN + ":hired " + order + ` "` + rapid.SampledFrom([]string{"2026-11-01T07:00:00Z", "2025-12-31T23:59:59.5Z", "2026-01-01T00:00:00Z"}).Draw(t, "time") + `"`
	case 4:
		return hrURN + ":" + rapid.SampledFrom([]string{"number", "badge", "union", "hired", "site.building", "code"}).Draw(t, "null") + " " + rapid.SampledFrom([]string{"eq", "ne"}).Draw(t, "equal") + " null"
	case 5:
		return hrURN + `:phones[type eq "desk" and ` + rapid.SampledFrom([]string{"cost " + order + " " + number, "value eq " + word}).Draw(t, "part") + "]"
	case 6: // of values that have no parts
		return hrURN + ":" + rapid.SampledFrom([]string{"shifts[value " + order + " " + number + "]", "skills[value " + op + " " + word + "]",
			"skills[value pr and not (value " + op + " " + word + ")]", "shifts[value gt 1 and (value lt 20 or value " + order + " " + number + ")]"}).Draw(t, "simple")
	}
	return hrURN + ":" + rapid.SampledFrom([]string{"badge", "code", "skills", "site.building", "phones.value", "phones", "grade", "contract", "phones.type"}).Draw(t, "text") + " " + op + " " + word
}
