package scim_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const enterpriseURN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

// somebody is all that the model knows of a user: texts by name, addresses and roles, and who is the manager.
type somebody struct {
	Active  bool
	Texts   map[string]string
	Emails  map[string]string // by type
	Primary string            // the type of the primary address
	Roles   []string
}

// somegroup is all that the model knows of a group.
type somegroup struct {
	Name    string
	Members map[string]bool
}

// an op is one operation of a PATCH as some client writes it.
type op = map[string]any

// writes says one thing in the ways that clients have of it: RFC 7644, Entra in both dialects, Okta, OneLogin, Keycloak, authentik and
// whoever sends what Postman collections show.
type writes struct{ t *rapid.T }

func (w writes) pick(forms ...op) op { return forms[rapid.IntRange(0, len(forms)-1).Draw(w.t, "form")] }

func (w writes) word(words ...string) string { return rapid.SampledFrom(words).Draw(w.t, "word") }

func (w writes) set() string { return w.word("add", "replace", "Add", "Replace", "REPLACE") }

func (w writes) remove() string { return w.word("remove", "Remove") }

func (w writes) name(attr string) string {
	switch rapid.IntRange(0, 2).Draw(w.t, "name") {
	case 0:
		return strings.ToUpper(attr[:1]) + attr[1:]
	case 1:
		if attr == "department" || strings.HasPrefix(attr, "manager") {
			return enterpriseURN + ":" + attr
		}
		return "urn:ietf:params:scim:schemas:core:2.0:User:" + attr
	}
	return attr
}

// nested is {"name": {"givenName": v}}, or the attribute below its extension.
func nested(attr string, v any) op {
	if top, sub, ok := strings.Cut(attr, "."); ok {
		return op{top: op{sub: v}}
	}
	if attr == "department" || attr == "manager" {
		return op{enterpriseURN: op{attr: v}}
	}
	return op{attr: v}
}

func packed(t *rapid.T, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (w writes) text(attr, v string) op {
	verb := w.set()
	return w.pick(op{"op": verb, "path": w.name(attr), "value": v}, op{"op": verb, "value": op{w.name(attr): v}},
		op{"op": verb, "value": nested(attr, v)}, op{"op": verb, "path": attr, "value": []any{v}}, op{"op": verb, "path": nil, "value": op{attr: v}},
		op{"op": verb, "value": packed(w.t, op{attr: v})})
}

func (w writes) clear(attr string) op {
	empty := []any{"", nil, []any{}}[rapid.IntRange(0, 2).Draw(w.t, "empty")]
	return w.pick(op{"op": w.remove(), "path": w.name(attr)}, op{"op": w.set(), "path": w.name(attr), "value": empty},
		op{"op": w.set(), "value": op{w.name(attr): empty}}, op{"op": w.set(), "value": nested(attr, empty)})
}

func (w writes) active(on bool) op {
	v := []any{on, fmt.Sprint(on), strings.ToUpper(fmt.Sprint(on)), []any{fmt.Sprint(on)}, []any{on}}[rapid.IntRange(0, 4).Draw(w.t, "boolean")]
	return w.pick(op{"op": w.set(), "path": w.name("active"), "value": v}, op{"op": w.set(), "value": op{"active": v}}, op{"op": w.set(), "value": packed(w.t, op{"active": v})})
}

func (w writes) manager(id string) op {
	v := []any{id, op{"value": id}, []any{op{"value": id}}, op{"managerId": id, "displayName": "Somebody"}, op{"$ref": nil, "value": id}, packed(w.t, op{"value": id})}[rapid.IntRange(0, 5).Draw(w.t, "manager")]
	return w.pick(op{"op": w.set(), "path": w.name("manager"), "value": v}, op{"op": w.set(), "value": op{w.name("manager"): v}},
		op{"op": w.set(), "value": nested("manager", v)}, op{"op": w.set(), "path": w.name("manager.value"), "value": id})
}

func (w writes) email(typ, v string) op {
	key := fmt.Sprintf(w.word(`emails[type eq %q].value`, `Emails[Type EQ %q].Value`, `emails[ type eq %q ].value`), typ)
	return w.pick(op{"op": w.set(), "path": key, "value": v}, op{"op": w.set(), "value": op{key: v}}, op{"op": w.set(), "path": key, "value": []any{v}})
}

func (w writes) emails(list []any) op {
	forms := []op{{"op": w.set(), "path": w.name("emails"), "value": list}, {"op": w.set(), "value": op{"emails": list}}, {"op": w.set(), "path": "emails", "value": packed(w.t, list)}}
	if len(list) == 1 {
		forms = append(forms, op{"op": w.set(), "path": "emails", "value": list[0]}, op{"op": w.set(), "path": "emails", "value": []any{packed(w.t, list[0])}})
	}
	return w.pick(forms...)
}

func (w writes) roles(values []string) op {
	var texts, objects, jsons []any
	for _, v := range values {
		texts, objects = append(texts, v), append(objects, op{"value": v})
		jsons = append(jsons, op{"value": packed(w.t, op{"value": v})})
	}
	verb := w.word("replace", "Replace")
	return w.pick(op{"op": verb, "path": "roles", "value": objects}, op{"op": verb, "path": "roles", "value": texts}, op{"op": verb, "value": op{"roles": objects}}, op{"op": verb, "path": "roles", "value": jsons})
}

// change draws one thing to do to a user, does it to the model, and says it in some dialect.
func (p *somebody) change(t *rapid.T) op {
	w := writes{t}
	value := func() string { return rapid.StringMatching(`[a-zé]{1,3}`).Draw(t, "value") }
	typ := rapid.SampledFrom([]string{"work", "home", "other"}).Draw(t, "type")
	texts := []string{"title", "nickName", "displayName", "name.givenName", "name.familyName", "department", "externalId"}
	switch attr := rapid.SampledFrom(texts).Draw(t, "attribute"); rapid.IntRange(0, 9).Draw(t, "what") {
	case 0, 1:
		p.Texts[attr] = value()
		return w.text(attr, p.Texts[attr])
	case 2:
		delete(p.Texts, attr)
		return w.clear(attr)
	case 3:
		p.Active = rapid.Bool().Draw(t, "active")
		return w.active(p.Active)
	case 4:
		p.Texts["manager"] = value()
		return w.manager(p.Texts["manager"])
	case 5:
		delete(p.Texts, "manager")
		return w.clear("manager")
	case 6:
		p.Emails[typ] = value()
		return w.email(typ, p.Emails[typ])
	case 7:
		delete(p.Emails, typ)
		if p.Primary == typ {
			p.Primary = ""
		}
		return w.pick(op{"op": w.remove(), "path": fmt.Sprintf(`emails[type eq %q]`, typ)}, op{"op": w.remove(), "path": fmt.Sprintf(`emails[type eq %q].value`, typ)})
	case 8:
		if p.Emails[typ] == "" {
			p.Roles = rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]`), 0, 3, rapid.ID).Draw(t, "roles")
			return w.roles(p.Roles)
		}
		p.Primary = typ
		key := fmt.Sprintf(`emails[type eq %q].primary`, typ)
		return w.pick(op{"op": w.set(), "path": key, "value": true}, op{"op": w.set(), "path": key, "value": "True"}, op{"op": w.set(), "value": op{key: "true"}})
	}
	if rapid.Bool().Draw(t, "all") {
		p.Emails, p.Primary = map[string]string{}, ""
		return op{"op": w.remove(), "path": w.name("emails")}
	}
	p.Emails[typ] = value()
	if len(p.Emails) > 1 {
		return w.email(typ, p.Emails[typ])
	}
	o := w.emails([]any{op{"type": typ, "value": p.Emails[typ]}})
	o["op"] = w.word("replace", "Replace")
	p.Primary = ""
	return o
}

// wrongForUser draws an operation that no dialect has, with the error of RFC 7644 §3.12 for it.
func wrongForUser(t *rapid.T, taken string) (o op, status int, kind string) {
	switch rapid.IntRange(0, 9).Draw(t, "wrong") {
	case 0:
		return op{"op": "remove", "path": "userName"}, 400, "mutability"
	case 1:
		return op{"op": "Replace", "value": op{"userName": ""}}, 400, "mutability"
	case 2:
		return op{"op": "move", "path": "title", "value": "x"}, 400, "invalidSyntax"
	case 3:
		return op{"op": "add", "path": "emails[type eq", "value": "x"}, 400, "invalidPath"
	case 4:
		return op{"op": "replace", "path": "groups", "value": []any{op{"value": "g"}}}, 400, "mutability"
	case 5:
		return op{"op": "replace", "path": "active", "value": "perhaps"}, 400, "invalidValue"
	case 6:
		return op{"op": "remove"}, 400, "noTarget"
	case 7:
		return op{"op": "replace", "path": `ims[type ne "work"].value`, "value": "x"}, 400, "noTarget"
	case 8:
		return op{"op": "add", "path": "title"}, 400, "invalidValue"
	}
	return op{"op": "replace", "path": "userName", "value": taken}, 409, "uniqueness"
}

func (g *somegroup) change(t *rapid.T, ids []string) op {
	w := writes{t}
	some := rapid.SliceOfNDistinct(rapid.SampledFrom(ids), 1, 3, rapid.ID).Draw(t, "members")
	objects := make([]any, len(some))
	texts := make([]any, len(some))
	for i, id := range some {
		objects[i], texts[i] = op{"value": id, "$ref": nil}, id
	}
	var paths []string
	for _, id := range some {
		paths = append(paths, fmt.Sprintf(`value eq %q`, id))
	}
	selected := "members[" + strings.Join(paths, " or ") + "]"
	switch rapid.IntRange(0, 5).Draw(t, "what") {
	case 0:
		g.Name = rapid.StringMatching(`[a-z]{1,3}`).Draw(t, "name")
		return w.pick(op{"op": w.set(), "path": "displayName", "value": g.Name}, op{"op": w.set(), "value": op{"displayName": g.Name, "schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:Group"}}})
	case 1, 2:
		for _, id := range some {
			g.Members[id] = true
		}
		add := w.word("add", "Add")
		forms := []op{{"op": add, "path": "members", "value": objects}, {"op": add, "path": "Members", "value": texts}, {"op": add, "value": op{"members": objects}}, {"op": add, "path": selected, "value": nil}}
		if len(some) == 1 {
			forms = append(forms, op{"op": add, "path": "members", "value": objects[0]}, op{"op": add, "path": "members", "value": some[0]})
		}
		return w.pick(forms...)
	case 3, 4:
		for _, id := range some {
			delete(g.Members, id)
		}
		return w.pick(op{"op": w.remove(), "path": "members", "value": objects}, op{"op": w.remove(), "path": "members", "value": texts}, op{"op": w.remove(), "path": selected})
	}
	g.Members = map[string]bool{}
	if rapid.Bool().Draw(t, "nobody") {
		return w.pick(op{"op": w.remove(), "path": "members"}, op{"op": "replace", "path": "members", "value": []any{}}, op{"op": "Replace", "value": op{"members": nil}})
	}
	for _, id := range some {
		g.Members[id] = true
	}
	return w.pick(op{"op": "replace", "path": "members", "value": objects}, op{"op": "Replace", "value": op{"members": objects}})
}

func wrongForGroup(t *rapid.T, id, member string) (o op, status int, kind string) {
	switch rapid.IntRange(0, 4).Draw(t, "wrong") {
	case 0:
		return op{"op": "add", "path": "members", "value": []any{op{"value": id}}}, 400, "invalidValue"
	case 1:
		return op{"op": "replace", "path": fmt.Sprintf(`members[value eq %q].display`, member), "value": "x"}, 400, "mutability"
	case 2:
		return op{"op": "remove", "path": "displayName"}, 400, "mutability"
	case 3:
		return op{"op": "remove", "path": `members[type eq "User"]`}, 400, "invalidPath"
	}
	return op{"op": "add", "path": "members", "value": []any{op{"display": "nobody"}}}, 400, "invalidValue"
}

// modelled is what the model says of a user as it is shown.
func modelled(doc map[string]any) somebody {
	p := somebody{Texts: map[string]string{}, Emails: map[string]string{}}
	p.Active, _ = doc["active"].(bool)
	take := func(name string, v any) {
		if s, ok := v.(string); ok {
			p.Texts[name] = s
		}
	}
	for _, name := range []string{"title", "nickName", "displayName", "externalId"} {
		take(name, doc[name])
	}
	name, _ := doc["name"].(map[string]any)
	take("name.givenName", name["givenName"])
	take("name.familyName", name["familyName"])
	ext, _ := doc[enterpriseURN].(map[string]any)
	take("department", ext["department"])
	manager, _ := ext["manager"].(map[string]any)
	take("manager", manager["value"])
	list, _ := doc["emails"].([]any)
	for _, e := range list {
		m, _ := e.(map[string]any)
		typ, _ := m["type"].(string)
		value, _ := m["value"].(string)
		p.Emails[typ] += value // twice the same type would be seen
		if m["primary"] == true {
			p.Primary += typ
		}
	}
	roles, _ := doc["roles"].([]any)
	for _, e := range roles {
		m, _ := e.(map[string]any)
		value, _ := m["value"].(string)
		p.Roles = append(p.Roles, value)
	}
	return p
}

// PATCH does to a resource what it does to a model, whatever dialect says it: any sequence of operations in any number of requests, on
// both databases. A request with one operation that is wrong is answered with that one's error, and nothing of the others is done, the
// version included (RFC 7644 §3.5.2).
func TestPatchInAnyDialectDoesWhatTheModelDoes(t *testing.T) {
	t.Parallel()
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, b)
			taken := "taken"
			ids := []string{c.create(t, "/Users", `{"userName":"taken"}`), c.create(t, "/Users", `{"userName":"other"}`), "who-comes-later"}
			number := 0
			send := func(t *rapid.T, method, target string, body any) answer {
				text := ""
				if body != nil {
					text = packed(t, body)
				}
				a, err := c.send(method, target, nil, text)
				if err != nil {
					t.Fatal(err)
				}
				return a
			}
			patch := func(t *rapid.T, target string, ops []op) answer {
				return send(t, "PATCH", target, op{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"}, "Operations": ops})
			}
			rapid.Check(t, func(t *rapid.T) {
				number++
				user, _ := send(t, "POST", "/Users", op{"userName": fmt.Sprintf("%s-%d", b.name, number)}).at("id").(string)
				group, _ := send(t, "POST", "/Groups", op{"displayName": "g"}).at("id").(string)
				p := somebody{Active: true, Texts: map[string]string{}, Emails: map[string]string{}}
				g := somegroup{Name: "g", Members: map[string]bool{}}
				for range rapid.IntRange(1, 4).Draw(t, "requests") {
					ofUser := rapid.IntRange(0, 2).Draw(t, "of a user") > 0
					target := map[bool]string{true: "/Users/" + user, false: "/Groups/" + group}[ofUser]
					before := send(t, "GET", target, nil)
					next := somebody{p.Active, maps.Clone(p.Texts), maps.Clone(p.Emails), p.Primary, slices.Clone(p.Roles)}
					nextTeam := somegroup{g.Name, maps.Clone(g.Members)}
					var ops []op
					for range rapid.IntRange(1, 5).Draw(t, "operations") {
						if ofUser {
							ops = append(ops, next.change(t))
						} else {
							ops = append(ops, nextTeam.change(t, ids))
						}
					}
					if rapid.IntRange(0, 2).Draw(t, "right") == 0 {
						bad, status, kind := op(nil), 0, ""
						if ofUser {
							bad, status, kind = wrongForUser(t, taken)
						} else {
							bad, status, kind = wrongForGroup(t, group, ids[0])
						}
						ops = slices.Insert(ops, rapid.IntRange(0, len(ops)).Draw(t, "at"), bad)
						a := patch(t, target, ops)
						if a.status != status || a.at("scimType") != kind {
							t.Fatalf("%s: %s, not %d %s", packed(t, ops), a, status, kind)
						}
						if after := send(t, "GET", target, nil); after.String() != before.String() {
							t.Fatalf("%s was refused, and half done: %s, before %s", packed(t, ops), after, before)
						}
						continue
					}
					if a := patch(t, target, ops); a.status != 200 {
						t.Fatalf("%s: %s", packed(t, ops), a)
					}
					p, g = next, nextTeam
					after := send(t, "GET", target, nil)
					var doc map[string]any
					if err := json.Unmarshal([]byte(after.body), &doc); err != nil {
						t.Fatal(err)
					}
					if ofUser {
						slices.Sort(p.Roles)
						got := modelled(doc)
						slices.Sort(got.Roles)
						if diff := cmp.Diff(p, got, cmp.Transformer("none", func(list []string) []string { return append([]string{}, list...) })); diff != "" {
							t.Fatalf("%s: model (-) and resource (+): %s", packed(t, ops), diff)
						}
						continue
					}
					got := somegroup{Members: map[string]bool{}}
					got.Name, _ = doc["displayName"].(string)
					list, _ := doc["members"].([]any)
					for _, e := range list {
						m, _ := e.(map[string]any)
						id, _ := m["value"].(string)
						got.Members[id] = true
					}
					if diff := cmp.Diff(g, got); diff != "" || len(list) != len(g.Members) {
						t.Fatalf("%s: model (-) and group (+): %s", packed(t, ops), diff)
					}
				}
			})
		})
	}
}
