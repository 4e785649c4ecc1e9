package scim_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/scim"
)

// staff makes three people and two groups, one in the other, and returns their ids by name.
func staff(t *testing.T, c *client) map[string]string {
	t.Helper()
	ids := map[string]string{}
	for _, p := range [][2]string{
		{"ada", `{"userName":"Ada@example.org","externalId":"E1","title":"Engineer","nickName":"a\"b\\cé","name":{"familyName":"Berg"},"roles":["lead","staff"],
			"emails":[{"value":"z@example.org","type":"home"},{"value":"Ada@example.org","type":"work","primary":true}],
			"employeeNumber":"7","manager":{"value":"m1"},"startDate":"2026-01-01T12:00:00+02:00","x509Certificates":[{"value":"TWE="}]}`},
		{"bob", `{"userName":"bob@example.org","externalId":"e1","title":"engineer lead","active":false,
			"emails":[{"value":"m@example.org","type":"home"}],"department":"R&D","startDate":"2026-01-01"}`},
		{"cleo", `{"userName":"cleo@example.org","emails":[{"value":"b@example.org","type":"other"},{"value":"c@example.org","type":"work"}]}`},
	} {
		ids[p[0]] = c.create(t, "/Users", p[1])
	}
	ids["team"] = c.create(t, "/Groups", fmt.Sprintf(`{"displayName":"Team","members":[{"value":%q},{"value":%q}]}`, ids["ada"], ids["bob"]))
	ids["firm"] = c.create(t, "/Groups", fmt.Sprintf(`{"displayName":"Firm","externalId":"F","members":[{"value":%q},{"value":%q}]}`, ids["team"], ids["cleo"]))
	return ids
}

func jsonText(t *testing.T, s string) string {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// found lists by name what a query finds, in its order.
func found(a answer, ids map[string]string) string {
	var names []string
	list, _ := a.at("Resources").([]any)
	for _, r := range list {
		m, _ := r.(map[string]any)
		for name, id := range ids {
			if m["id"] == id {
				names = append(names, name)
			}
		}
	}
	return strings.Join(names, " ")
}

// RFC 7644 §3.4.2.2 on both databases, by GET and by search request (R91). A filter that is refused is never answered with
// nobody, and never with everybody (R70).
func TestFilterRows(t *testing.T) {
	t.Parallel()
	const refused = "400 invalidFilter"
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, b)
			ids := staff(t, c)
			for _, tt := range []struct{ row, target, filter, want string }{
				{"R71 eq", "/Users", `title eq "engineer"`, "ada"},
				{"R71 ne", "/Users", `title ne "engineer"`, "bob cleo"},
				{"R71 co", "/Users", `title co "NEER"`, "ada bob"},
				{"R71 sw", "/Users", `userName sw "a"`, "ada"},
				{"R71 ew", "/Users", `title ew "lead"`, "bob"},
				{"R71 pr", "/Users", `title pr`, "ada bob"},
				{"R71 gt", "/Users", `title gt "engineer"`, "bob"},
				{"R71 ge", "/Users", `title ge "engineer"`, "ada bob"},
				{"R71 lt", "/Users", `userName lt "bob@example.org"`, "ada"},
				{"R71 le", "/Users", `userName le "BOB@example.org"`, "ada bob"},
				{"R71 a date by its text", "/Users", `startDate sw "2026-01-01t"`, "ada"},
				{"R71 a date by its text", "/Users", `startDate co "01-01" and not (startDate ew "+02:00")`, "bob"},
				{"R71 a time of ours by its text", "/Users", `meta.created sw "20" and meta.lastModified ew "z" and not (meta.created co "19-")`, "ada bob cleo"},
				{"R71 a boolean has no parts", "/Users", `active co "tr"`, refused},
				{"R71 keywords in any case", "/Users", `userName EQ "ada@example.org" OR NoT (title PR)`, "ada cleo"},
				{"R72 boolean", "/Users", `active gt true`, refused},
				{"R72 boolean", "/Users", `active le false`, refused},
				{"R72 binary", "/Users", `x509Certificates.value ge "TWE="`, refused},
				{"R73 and before or", "/Users", `title pr or userName sw "c" and active eq false`, "ada bob"},
				{"R73 parentheses", "/Users", `(title pr or userName sw "c") and active eq false`, "bob"},
				{"R73 not before and", "/Users", `not (title pr) and active eq true`, "cleo"},
				{"R74 one value", "/Users", `emails[type eq "work" and value sw "c"]`, "cleo"},
				{"R74 not two values", "/Users", `emails[type eq "work" and value sw "b"]`, ""},
				{"R74 or and not inside", "/Users", `emails[(type eq "other" or primary eq true) and not (value ew "org.uk")]`, "ada cleo"},
				{"R75 escapes", "/Users", `nickName eq "a\"b\\c\u00e9"`, "ada"},
				{"R75 null", "/Users", `title eq null`, "cleo"},
				{"R75 null", "/Users", `title ne null and active eq FALSE`, "bob"},
				{"R75 a number for text", "/Users", `employeeNumber eq 7`, "ada"},
				{"R75 text that is none", "/Users", `title eq "\x"`, refused},
				{"R76 case", "/Users", `externalId eq "e1"`, "bob"},
				{"R76 case", "/Users", `userName eq "ADA@EXAMPLE.ORG"`, "ada"},
				{"R76 points in time", "/Users", `startDate gt "2026-01-01T00:30:00+01:00" and startDate lt "2026-01-01T10:00:01Z"`, "ada bob"},
				{"R76 points in time", "/Users", `startDate eq "2026-01-01T10:00:00.000Z"`, "ada"},
				{"R76 pr of what is complex", "/Users", `name pr and emails pr`, "ada"},
				{"R77 what has no value is not equal", "/Users", `department ne "r&d"`, "ada cleo"},
				{"R78 value is meant", "/Users", `emails eq "c@example.org"`, "cleo"},
				{"R78 value is meant", "/Users", `manager eq "m1"`, "ada"},
				{"R78 there is none", "/Users", `name eq "Berg"`, refused},
				{"R79 any value", "/Users", `emails.value sw "z@"`, "ada"},
				{"R79 any value", "/Users", `roles.value eq "staff" and roles.value eq "lead"`, "ada"},
				{"R80 unknown attribute", "/Users", `shoeSize eq 42`, refused},
				{"R80 unknown sub-attribute", "/Users", `emails.colour pr`, refused},
				{"R80 unknown operator", "/Users", `title like "x"`, refused},
				{"R81 no oracle", "/Users", `password sw "c" or userName pr`, refused},
				{"R82 qualified", "/Users", `urn:ietf:params:scim:schemas:core:2.0:User:userName sw "ada"`, "ada"},
				{"R82 qualified, with a part", "/Users", `urn:ietf:params:scim:schemas:core:2.0:User:name.familyName eq "berg"`, "ada"},
				{"R82 qualified, with a filter of values", "/Users", `urn:ietf:params:scim:schemas:core:2.0:User:emails[type eq "other"]`, "cleo"},
				{"R82 extension", "/Users", `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "r&d"`, "bob"},
				{"R82 extension, with a part", "/Users", `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value eq "m1"`, "ada"},
				{"R82 extension as a whole", "/Users", `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User pr`, "ada bob"},
				{"R82 a filter of an extension", "/Users", `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User[department sw "r" and not (employeeNumber pr)]`, "bob"},
				{"R82 extension as a whole", "/Users", `not (urn:ietf:params:scim:schemas:extension:jmld:2.0:User pr)`, "cleo"},
				{"R27 meta", "/Users", `meta.resourceType eq "User" and meta.created gt "2020-01-01T00:00:00Z" and meta.lastModified lt "2020-01-01T00:00:00Z"`, ""},
				{"R27 meta", "/Users", `meta.version eq "W/\"1\"" and userName sw "b"`, "bob"},
				{"R24 schemas", "/Users", `schemas eq "urn:ietf:params:scim:schemas:extension:jmld:2.0:User"`, "ada bob"},
				{"R25 id", "/Users", fmt.Sprintf(`id eq %q`, ids["bob"]), "bob"},
				{"R25 id, case-exact", "/Users", fmt.Sprintf(`id eq %q`, strings.ToUpper(ids["bob"])), ""},
				{"R51 groups", "/Users", fmt.Sprintf(`groups.value eq %q`, ids["team"]), "ada bob"},
				{"R51 groups of groups", "/Users", fmt.Sprintf(`groups eq %q and active eq true`, ids["firm"]), "ada cleo"},
				{"R51 not in a group", "/Users", fmt.Sprintf(`not (groups[value eq %q])`, ids["team"]), "cleo"},
				{"R51 groups", "/Users", `groups.value eq "none"`, ""},
				{"R51 groups by name", "/Users", `groups.display eq "Team"`, "ada bob"},
				{"R51 groups, and what is not in SQL", "/Users", `groups.display eq "Team" and schemas co "core" and (title pr and name.formatted eq null)`, "ada bob"},
				{"R51 groups, or what is not in SQL", "/Users", `groups.display eq "Team" or schemas co "nothing"`, "ada bob"},
				{"R51 in no group", "/Users", `not (groups pr)`, ""},
				{"R51 R53 how somebody is in a group", "/Users", `groups.type eq "direct"`, "ada bob cleo"},
				{"R53 members", "/Groups", fmt.Sprintf(`members eq %q`, ids["ada"]), "team"},
				{"R53 members", "/Groups", fmt.Sprintf(`members.value eq %q or displayName eq "FIRM"`, ids["bob"]), "team firm"},
				{"R53 members", "/Groups", fmt.Sprintf(`members[value eq %q]`, ids["team"]), "firm"},
				{"R53 members, and what is not them", "/Groups", fmt.Sprintf(`not (members.value eq %q) and externalId pr`, ids["ada"]), "firm"},
				{"R53 members by name", "/Groups", `members[type eq "User" and display sw "ada"]`, "team"},
				{"R53 members by type", "/Groups", `members[type eq "User"]`, "team firm"},
				{"R53 members by id", "/Groups", `members co "x"`, ""},
				{"R53 members by address", "/Groups", fmt.Sprintf(`members.$ref eq "%s/Users/%s"`, c.base, ids["ada"]), "team"},
				{"R71 meta.location", "/Users", fmt.Sprintf(`meta.location eq "%s/Users/%s"`, c.base, ids["ada"]), "ada"},
				{"R71 meta.location", "/Users", fmt.Sprintf(`meta.location ew "rs/%s" or meta.location co "%s"`, ids["bob"], ids["cleo"]), "bob cleo"},
				{"R71 meta.location", "/Users", `meta.location sw "http" and not (meta.location co "/Groups/")`, "ada bob cleo"},
				{"R71 meta.location", "/Users", `meta.location gt "i" or meta.location eq null`, ""},
				{"R67 all types", "/", `meta.resourceType eq "Group"`, "team firm"},
				{"R67 all types", "/", `externalId eq "F" or externalId eq "E1"`, "ada firm"},
				{"R68 nothing is not too much", "/", `externalId eq "none"`, ""},
				{"R69 what only one type has", "/", `userName pr`, "ada bob cleo"},
				{"R69 what only one type has", "/", `userName eq null`, "team firm"},
				{"R80 what no type has", "/", `shoeSize pr`, refused},
			} {
				search := "/.search"
				if tt.target != "/" {
					search = tt.target + search
				}
				for method, send := range map[string]func() (answer, error){
					"GET":  func() (answer, error) { return c.send("GET", tt.target+"?filter="+url.QueryEscape(tt.filter), nil, "") },
					"POST": func() (answer, error) { return c.send("POST", search, nil, `{"filter":`+jsonText(t, tt.filter)+`}`) },
				} {
					a, err := send()
					if err != nil {
						t.Fatal(err)
					}
					got := found(a, ids)
					if a.status != 200 {
						got = fmt.Sprint(a.status, " ", a.at("scimType"))
					} else if n := len(strings.Fields(got)); a.at("totalResults") != float64(n) {
						t.Errorf("%s %s %s: %d of %v", tt.row, method, tt.filter, n, a.at("totalResults"))
					}
					if err := a.wellFormed(); err != nil || got != tt.want {
						t.Errorf("%s %s %s: %q, want %q %v", tt.row, method, tt.filter, got, tt.want, err)
					}
				}
			}
		})
	}
}

// RFC 7644 §3.4.2.3 to §3.4.2.5 and §3.9: order, pages, attributes.
func TestQueryRows(t *testing.T) {
	t.Parallel()
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, b)
			ids := staff(t, c)
			for _, tt := range []struct {
				row, target, want string
				at                map[string]any
			}{
				{row: "R83 ascending, case does not matter", target: "/Users?sortBy=title", want: "ada bob cleo"},
				{row: "R83 missing ones first in the other order", target: "/Users?sortBy=title&sortOrder=descending", want: "cleo bob ada"},
				{row: "R83 case matters where it does", target: "/Users?sortBy=externalId", want: "ada bob cleo"},
				{row: "R83 the primary value, else the first", target: "/Users?sortBy=emails", want: "ada cleo bob"},
				{row: "R83 the primary value, else the first", target: "/Users?sortBy=emails.value&sortOrder=descending", want: "bob cleo ada"},
				{row: "R83 a part of a name", target: "/Users?sortBy=name.familyName", want: "ada bob cleo"},
				{row: "R83 an extension", target: "/Users?sortBy=urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", want: "bob ada cleo"},
				{row: "R83 what is equal stays in order", target: "/Users?sortBy=meta.resourceType", want: "ada bob cleo"},
				{row: "R83 the youngest", target: "/Users?sortBy=meta.created&sortOrder=descending&count=1", want: "cleo"},
				{row: "R83 of both types, who has it before who cannot", target: "/?filter=id+pr&sortBy=title", want: "ada bob cleo team firm"},
				{row: "R83 of both types, the other order", target: "/?filter=id+pr&sortBy=title&sortOrder=descending", want: "team firm cleo bob ada"},
				{row: "R83 of both types, a page of it", target: "/?filter=id+pr&sortBy=title&sortOrder=descending&startIndex=2&count=2", want: "firm cleo", at: map[string]any{"totalResults": 5.0}},
				{row: "R83 what neither type has", target: "/?filter=id+pr&sortBy=colour", at: map[string]any{"scimType": "invalidValue"}},
				{row: "R84 from the second", target: "/Users?startIndex=2&count=1", want: "bob", at: map[string]any{"startIndex": 2.0, "totalResults": 3.0, "itemsPerPage": 1.0}},
				{row: "R84 from before the first", target: "/Users?startIndex=0&count=1", want: "ada", at: map[string]any{"startIndex": 1.0}},
				{row: "R84 none", target: "/Users?count=0", at: map[string]any{"totalResults": 3.0, "itemsPerPage": 0.0}},
				{row: "R84 less than none", target: "/Users?count=-1", at: map[string]any{"totalResults": 3.0}},
				{row: "R85 no more than asked for", target: "/Users?count=2", want: "ada bob", at: map[string]any{"totalResults": 3.0, "itemsPerPage": 2.0}},
				{row: "R85 far more than there are", target: "/Users?count=100000", want: "ada bob cleo"},
				{row: "R86 after the last", target: "/Users?startIndex=4", at: map[string]any{"startIndex": 4.0, "totalResults": 3.0, "itemsPerPage": 0.0}},
				{row: "R65 all on one page", target: "/Users", want: "ada bob cleo", at: map[string]any{"startIndex": 1.0, "totalResults": 3.0, "itemsPerPage": 3.0}},
				{row: "R88 a part", target: "/Users?attributes=emails.type&filter=userName+sw+%22c%22", want: "cleo", at: map[string]any{
					"Resources[0].emails": []any{map[string]any{"type": "other"}, map[string]any{"type": "work"}}, "Resources[0].userName": nil}},
				{row: "R88 with its URN", target: "/Users?attributes=urn:ietf:params:scim:schemas:core:2.0:User:name.familyName,urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager&count=1", want: "ada", at: map[string]any{
					"Resources[0].name": map[string]any{"familyName": "Berg"}, "Resources[0].<urn:ietf:params:scim:schemas:extension:enterprise:2.0:User>": map[string]any{"manager": map[string]any{"value": "m1"}}}},
				{row: "R88 a whole extension", target: "/Users?attributes=urn:ietf:params:scim:schemas:extension:enterprise:2.0:User&count=1", want: "ada", at: map[string]any{
					"Resources[0].<urn:ietf:params:scim:schemas:extension:enterprise:2.0:User>.employeeNumber": "7", "Resources[0].title": nil,
					"Resources[0].schemas": []any{"urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"}}},
				{row: "R88 what nobody knows", target: "/Users?attributes=shoeSize&count=1", want: "ada", at: map[string]any{"Resources[0].title": nil}},
				{row: "R89 a part", target: "/Users?excludedAttributes=emails.value,title&count=1", want: "ada", at: map[string]any{
					"Resources[0].emails": []any{map[string]any{"type": "home"}, map[string]any{"primary": true, "type": "work"}}, "Resources[0].title": nil, "Resources[0].userName": "Ada@example.org"}},
				{row: "R89 an extension", target: "/Users?excludedAttributes=urn:ietf:params:scim:schemas:extension:enterprise:2.0:User&count=1", want: "ada", at: map[string]any{
					"Resources[0].<urn:ietf:params:scim:schemas:extension:enterprise:2.0:User>": nil, "Resources[0].title": "Engineer"}},
				{row: "R90 both", target: "/Users?attributes=title&excludedAttributes=title", at: map[string]any{"scimType": "invalidValue", "status": "400"}},
				{row: "R87 no number", target: "/Users?count=ten", at: map[string]any{"scimType": "invalidValue", "status": "400"}},
				{row: "R64 nobody", target: "/Groups?filter=displayName+eq+%22none%22", at: map[string]any{"totalResults": 0.0, "Resources": []any{}}},
				{row: "R68 everything, by mistake", target: "/", at: map[string]any{"scimType": "tooMany", "status": "400"}},
			} {
				a, err := c.send("GET", tt.target, nil, "")
				if err != nil {
					t.Fatal(err)
				}
				if err := a.wellFormed(); err != nil || found(a, ids) != tt.want {
					t.Errorf("%s %s: %q, want %q %v: %s", tt.row, tt.target, found(a, ids), tt.want, err, a)
				}
				for path, want := range tt.at {
					if diff := cmp.Diff(want, a.at(path)); diff != "" {
						t.Errorf("%s %s: %s: %s", tt.row, tt.target, path, diff)
					}
				}
			}
			// R68, R91: a search request says that everything is meant.
			if a := c.must(t, "POST", "/.search", `{"count":2.0,"startIndex":2.00}`, 200); found(a, ids) != "bob cleo" || a.at("startIndex") != 2.0 || a.at("itemsPerPage") != 2.0 {
				t.Errorf("whole numbers with a point: %s", a) // JSON has one type of numbers
			}
			for _, body := range []string{`{"count":1.5}`, `{"startIndex":2.01}`, `{"count":"2.0"}`} {
				if a := c.must(t, "POST", "/.search", body, 400); a.at("scimType") != "invalidValue" {
					t.Errorf("%s: %s", body, a)
				}
			}
			// R13: what nobody knows is harmless, whatever it is.
			if a := c.must(t, "POST", "/Users/.search", `{"colour":{"red":1},"deep":true,"meta":{},"some":[{}],"filter":"userName sw \"ada\""}`, 200); a.at("totalResults") != 1.0 {
				t.Error(a)
			}
			for _, body := range []string{`{"filter":{"userName":"ada"}}`, `{"count":true}`, `{"attributes":{}}`, `{"excludedAttributes":true}`, `{"cursor":{}}`, `{"sortBy":{}}`} {
				if a := c.must(t, "POST", "/Users/.search", body, 400); a.at("scimType") != "invalidValue" {
					t.Errorf("%s: %s", body, a)
				}
			}
			if a := c.must(t, "POST", "/.search", `{"count":4}`, 200); found(a, ids) != "ada bob cleo team" || a.at("totalResults") != 5.0 {
				t.Error(a)
			}
			// R63: one by its id; R29: its version in both places; what its location says, GET understands (R28, R43).
			one := c.must(t, "GET", "/Users/"+ids["ada"], "", 200)
			ref, _ := c.must(t, "GET", "/Groups/"+ids["team"], "", 200).at("members[0].$ref").(string)
			for _, place := range []any{one.at("meta.location"), ref} {
				where, _ := place.(string)
				if again := c.must(t, "GET", where, "", 200); !strings.HasPrefix(where, c.base+"/Users/") || again.header.Get("ETag") == "" {
					t.Errorf("%v: %s", place, again)
				}
			}
			c.must(t, "GET", "/Users/"+strings.ToUpper(ids["ada"]), "", 404) // R25: an id is case-exact
			c.must(t, "GET", "/Groups/"+ids["ada"], "", 404)
		})
	}
}

// R66: who comes or goes between two pages neither hides nor repeats others, as far as pages by index allow: new people
// come last.
func TestPagesStayInOrder(t *testing.T) {
	t.Parallel()
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, b)
			var want, got []string
			for i := range 6 {
				want = append(want, c.create(t, "/Users", fmt.Sprintf(`{"userName":"%c"}`, 'f'-i)))
			}
			for start := 1; start <= 6; start += 2 {
				a := c.must(t, "GET", fmt.Sprintf("/Users?startIndex=%d&count=2", start), "", 200)
				for i := range 2 {
					id, _ := a.at(fmt.Sprintf("Resources[%d].id", i)).(string)
					got = append(got, id)
				}
				c.create(t, "/Users", fmt.Sprintf(`{"userName":"%d"}`, start))
				c.must(t, "PATCH", "/Users/"+want[start-1], `{"Operations":[{"op":"replace","path":"title","value":"x"}]}`, 200)
			}
			if !slices.Equal(want, got) {
				t.Errorf("pages %v, want %v", got, want)
			}
		})
	}
}

// R83: what has no order of its own is refused with the reason.
func TestSortingByWhatHasNoOrderIsRefused(t *testing.T) {
	t.Parallel()
	c := newHR(t, sqlite())
	for target, reason := range map[string]string{
		"/Groups?sortBy=members":          "no value is primary or the first",
		"/Groups?sortBy=members.value":    "no value is primary or the first",
		"/Users?sortBy=groups.display":    "no value is primary or the first",
		"/Users?sortBy=name":              "one of its sub-attributes",
		"/Users?sortBy=addresses":         "one of its sub-attributes",
		"/Users?sortBy=" + hrURN:          "one of its attributes",
		"/Users?sortBy=" + hrURN + ":pin": "never returned",
		"/Users?sortBy=password":          "never returned",
		"/Users?sortBy=shoeSize":          "no attribute",
	} {
		a := c.must(t, "GET", target, "", 400)
		if detail, _ := a.at("detail").(string); a.at("scimType") != "invalidValue" || !strings.Contains(detail, reason) {
			t.Errorf("%s: %s", target, a)
		}
	}
}

// R68: a filter that would look at too many says what to add to it, and with that is answered.
func TestFilterThatLooksAtTooManySaysWhatToDo(t *testing.T) {
	t.Parallel()
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, b, func(o *scim.Options) { o.Sources[0].Bounds.Scan = 2 })
			for _, name := range []string{"a", "b", "c"} {
				c.create(t, "/Users", `{"userName":"`+name+`","title":"T"}`)
			}
			filter := url.QueryEscape(`title eq "t"`)
			for _, target := range []string{"/Users?filter=" + filter, "/Users?count=1&cursor=&filter=" + filter} {
				a := c.must(t, "GET", target, "", 400)
				if detail, _ := a.at("detail").(string); a.at("scimType") != "tooMany" || !strings.Contains(detail, "more than 2 resources") || !strings.Contains(detail, "userName") {
					t.Errorf("%s", a)
				}
			}
			for _, narrower := range []string{`title eq "t" and userName eq "a"`, `title eq "t" and userName sw "b"`} {
				if a := c.must(t, "GET", "/Users?filter="+url.QueryEscape(narrower), "", 200); a.at("totalResults") != 1.0 {
					t.Errorf("%s", a)
				}
			}
		})
	}
}
