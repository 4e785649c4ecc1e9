package scim_test

import (
	"encoding/json"
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

// TestDatabaseAgreesWithMatch asks random filters of the database and, record by record, of the evaluator in memory.
// Both databases find the same people, whichever part of the filter is SQL.
func TestDatabaseAgreesWithMatch(t *testing.T) {
	t.Parallel()
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, b)
			users := []string{
				`{"userName":"ada","active":false,"title":"a","externalId":"A","emails":[{"value":"ada@example.org","type":"work","primary":true},{"value":"b@home.example.org","type":"home"}]}`,
				`{"userName":"Bob B","displayName":"ÅSA","title":"B","externalId":"a","emails":[{"value":"B@EXAMPLE.org"}],"department":"R&D","manager":"m1"}`,
				`{"userName":"ｃlara","displayName":"a%_\\","name":{"familyName":"Straße"},"roles":["a","b"],"employeeNumber":"7","active":"True"}`,
				`{"userName":"d'or","displayName":"a  b","externalId":"ab","phoneNumbers":[{"value":"+46 8","type":"Work"}],"endDate":"2026-12-31","department":"r"}`,
				`{"userName":"eve","emails":[{"type":"work","value":"a"},{"type":"other","value":"ab"}],"manager":{"value":"M1"}}`,
				`{"userName":"ß","displayName":"é","title":"é","nickName":"\u00e9"}`,
			}
			var records []model.Record
			var ids []string
			for _, u := range users {
				ids = append(ids, c.create(t, "/Users", u))
			}
			page, err := c.Query(t.Context(), model.Query{Source: "entra", Kind: model.KindUser, Limit: 100})
			if err != nil || len(page.Records) != len(users) {
				t.Fatal(page, err)
			}
			records = page.Records
			created := records[3].CreatedAt.Format("2006-01-02T15:04:05.000Z")
			rapid.Check(t, func(t *rapid.T) {
				text := filterText(t, 3, ids, created)
				_, match, err := scim.Selection(model.KindUser, text)
				if err != nil {
					t.Fatalf("%s: %v", text, err)
				}
				var want []string
				for i := range records {
					if match(&records[i], nil) {
						want = append(want, records[i].UserName)
					}
				}
				c.finds(t, "/Users", text, "userName", want)
			})
		})
	}
}

// finds asks for the resources that a filter selects, and compares one attribute of them.
func (c *client) finds(t *rapid.T, target, filter, attr string, want []string) {
	a, err := c.send("GET", target+"?filter="+url.QueryEscape(filter), nil, "")
	if err != nil || a.status != 200 {
		t.Fatalf("%s: %v %s", filter, err, a)
	}
	var got []string
	list, _ := a.at("Resources").([]any)
	for _, r := range list {
		value, _ := r.(map[string]any)[attr].(string)
		got = append(got, value)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s: expected (-) and database (+): %s", filter, diff)
	}
}

// filterText makes a valid filter.
func filterText(t *rapid.T, depth int, ids []string, created string) string {
	if depth > 0 {
		switch rapid.IntRange(0, 5).Draw(t, "form") {
		case 0:
			return fmt.Sprintf("%s and %s", group(filterText(t, depth-1, ids, created)), group(filterText(t, depth-1, ids, created)))
		case 1:
			return fmt.Sprintf("%s or %s", group(filterText(t, depth-1, ids, created)), group(filterText(t, depth-1, ids, created)))
		case 2:
			return "not (" + filterText(t, depth-1, ids, created) + ")"
		}
	}
	literal := func(s string) string {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	word := literal(rapid.SampledFrom([]string{"a", "A", "ab", "b", "ada", "ADA", "Bob b", "é", "é", "åsa", "Å", "ß", "ss", "%", "_", "\\", "'", " ", "a ",
		"a  b", "a b", "m1", "R&D", "7", "work", "home", "@example.org", "ada@example.org", "", "clara", "STRAßE", "+46", "\U0010ffff"}).Draw(t, "word"))
	op := rapid.SampledFrom([]string{"eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"}).Draw(t, "operator")
	switch rapid.IntRange(0, 8).Draw(t, "term") {
	case 0:
		return rapid.SampledFrom([]string{"title", "displayName", "emails", "emails.value", "department", "manager", "name", "roles", "userName", "externalId", "meta.created", "active", "phoneNumbers.value"}).Draw(t, "present") + " pr"
	case 1:
		return "active " + rapid.SampledFrom([]string{"eq", "ne"}).Draw(t, "equal") + " " + rapid.SampledFrom([]string{"true", `"False"`}).Draw(t, "boolean")
	case 2:
		return "meta.created " + rapid.SampledFrom([]string{"eq", "ne", "gt", "ge", "lt", "le"}).Draw(t, "order") + ` "` + created + `"`
	case 3:
		return "id " + rapid.SampledFrom([]string{"eq", "ne", "sw", "gt"}).Draw(t, "id operator") + " " + literal(rapid.SampledFrom(ids).Draw(t, "id"))
	case 4:
		typ := rapid.SampledFrom([]string{`type eq "work"`, `type eq "HOME"`, `type ne "work"`, `primary eq true`, `not (type pr)`, `type pr`}).Draw(t, "type")
		return fmt.Sprintf("%s[%s and value %s %s]", rapid.SampledFrom([]string{"emails", "phoneNumbers", "roles"}).Draw(t, "many"), typ, op, word)
	case 5:
		return fmt.Sprintf(`emails[type eq "work"].value %s %s`, op, word)
	case 6:
		return rapid.SampledFrom([]string{"title", "department", "manager", "externalId", "userName", "name.familyName", "active"}).Draw(t, "null") + " " + rapid.SampledFrom([]string{"eq", "ne"}).Draw(t, "equal") + " null"
	}
	return rapid.SampledFrom([]string{"userName", "displayName", "title", "externalId", "emails", "emails.type", "emails.value", "roles", "department",
		"employeeNumber", "manager", "name.familyName", "nickName", "phoneNumbers.value"}).Draw(t, "attribute") + " " + op + " " + word
}

func group(s string) string {
	if strings.Contains(s, " and ") || strings.Contains(s, " or ") {
		return "(" + s + ")"
	}
	return s
}
