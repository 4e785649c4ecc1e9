package scim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// said is one comparison of the elements of a list, and what it means for one of them.
type said struct {
	sub   string
	text  string
	holds func(element map[string]any) bool
}

// saying makes a comparison of sub-attributes of members or groups.
func saying(t *rapid.T, list string, ids []string) said {
	subs := []string{"value", "display", "type"}
	if list == "groups" {
		subs = subs[:2]
	}
	sub := rapid.SampledFrom(subs).Draw(t, "sub-attribute")
	op := rapid.SampledFrom([]string{"eq", "ne", "co", "sw", "ew", "gt", "le", "pr", "eq null", "ne null"}).Draw(t, "operator")
	value := rapid.SampledFrom([]string{"User", "group", "Team A", "team b", "ada", "BO", "a", "nobody", "é", "Å"}).Draw(t, "text")
	if sub == "value" {
		value = rapid.SampledFrom(ids).Draw(t, "id")
	}
	text := sub + " " + op
	if !strings.Contains(op, "null") && op != "pr" {
		text += fmt.Sprintf(" %q", value)
	}
	return said{sub, text, func(e map[string]any) bool {
		have, _ := e[sub].(string)
		want := value
		if sub != "value" {
			have, want = strings.ToLower(have), strings.ToLower(want)
		}
		switch op {
		case "pr", "ne null":
			return have != ""
		case "eq null":
			return have == ""
		case "ne":
			return have != want
		case "eq":
			return have == want
		case "co":
			return strings.Contains(have, want)
		case "sw":
			return strings.HasPrefix(have, want)
		case "ew":
			return strings.HasSuffix(have, want)
		case "gt":
			return have > want
		}
		return have != "" && have <= want
	}}
}

// What members and groups are compared with, the database answers; it finds whom the lists that the resources show would find.
func TestFiltersOfMembersAndGroups(t *testing.T) {
	t.Parallel()
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, b)
			ids := []string{"nobody-we-know"}
			for _, u := range []string{`{"userName":"ada","displayName":"ÅSA","title":"a"}`, `{"userName":"Bo"}`, `{"userName":"cy","displayName":"Ada","title":"b"}`, `{"userName":"é"}`} {
				ids = append(ids, c.create(t, "/Users", u))
			}
			member := func(list ...int) string {
				var parts []string
				for _, i := range list {
					parts = append(parts, fmt.Sprintf(`{"value":%q}`, ids[i]))
				}
				return strings.Join(parts, ",")
			}
			for _, g := range []struct {
				name    string
				members []int // numbers in ids, of the groups 5 and up
			}{{"Team A", []int{1, 2}}, {"team b", []int{5, 3}}, {"é", []int{0}}, {"Empty", nil}, {"All", []int{6, 1}}} {
				ids = append(ids, c.create(t, "/Groups", fmt.Sprintf(`{"displayName":%q,"members":[%s]}`, g.name, member(g.members...))))
			}
			resources := func(target string) map[string]map[string]any {
				found := map[string]map[string]any{}
				a := c.must(t, "GET", target, "", 200)
				list, _ := a.at("Resources").([]any)
				for _, r := range list {
					m, _ := r.(map[string]any)
					id, _ := m["id"].(string)
					found[id] = m
				}
				return found
			}
			all := map[string]map[string]map[string]any{
				"members": resources("/Groups?attributes=displayName,members,members.display"), "groups": resources("/Users?attributes=userName,title,groups"),
			}
			rapid.Check(t, func(t *rapid.T) {
				list := rapid.SampledFrom([]string{"members", "groups"}).Draw(t, "list")
				x, y := saying(t, list, ids), saying(t, list, ids)
				join, form := rapid.SampledFrom([]string{"and", "or"}).Draw(t, "join"), rapid.IntRange(0, 4).Draw(t, "form")
				some := func(elements []map[string]any, holds func(map[string]any) bool) bool {
					return slices.ContainsFunc(elements, holds)
				}
				both := func(e map[string]any) bool {
					if join == "and" {
						return x.holds(e) && y.holds(e)
					}
					return x.holds(e) || y.holds(e)
				}
				var text string
				var holds func([]map[string]any) bool
				switch form {
				case 0:
					text, holds = list+"."+x.text, func(e []map[string]any) bool {
						if strings.HasSuffix(x.text, "eq null") { // none has it
							return !some(e, func(m map[string]any) bool { return !x.holds(m) })
						}
						has := func(m map[string]any) bool { return m[x.sub] != nil && m[x.sub] != "" }
						return some(e, func(m map[string]any) bool { return has(m) && x.holds(m) }) || strings.Contains(x.text, " ne \"") && !some(e, has)
					}
				case 1:
					text, holds = list+"["+x.text+"]", func(e []map[string]any) bool { return some(e, x.holds) }
				case 2:
					text, holds = list+"["+x.text+" "+join+" "+y.text+"]", func(e []map[string]any) bool { return some(e, both) }
				case 3:
					text, holds = list+"[not ("+x.text+")]", func(e []map[string]any) bool { return some(e, func(m map[string]any) bool { return !x.holds(m) }) }
				default:
					text, holds = "not ("+list+"["+x.text+" "+join+" not ("+y.text+")])", func(e []map[string]any) bool {
						return !some(e, func(m map[string]any) bool {
							if join == "and" {
								return x.holds(m) && !y.holds(m)
							}
							return x.holds(m) || !y.holds(m)
						})
					}
				}
				target := map[string]string{"members": "/Groups", "groups": "/Users"}[list]
				var want []string
				for id, r := range all[list] {
					var elements []map[string]any
					of, _ := r[list].([]any)
					for _, e := range of {
						m, _ := e.(map[string]any)
						elements = append(elements, m)
					}
					if holds(elements) {
						want = append(want, id)
					}
				}
				c.finds(t, target, text, "id", want)
			})
		})
	}
}
