package scim

import (
	"encoding/json"
	"testing"

	elimity "github.com/elimity-com/scim/errors"
	"github.com/google/go-cmp/cmp"

	"jmld/jml/engine"
)

func operationsOf(t *testing.T, ops ...map[string]any) string {
	t.Helper()
	text, err := json.Marshal(ops)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Who is told 200 believes that the person is deactivated.
func TestStateUnderAnotherName(t *testing.T) {
	t.Parallel()
	const (
		core  = "urn:ietf:params:scim:schemas:core:2.0:User"
		read  = "read"
		wrong = "refused"
		alien = "passed over"
	)
	rt := newSchemas().user
	for name, want := range map[string]string{
		"active": read, "Active ": read, "/active": read, core + ":active": read, core + ".active": read,
		"User.active": read, "user.ACTIVE": read, "User:active": read, "$.active": read, "/User/active": read,

		"Users.active": wrong, "$.User.active": wrong, "..active": wrong, ".active": wrong, "active.": wrong, "active:": wrong, "//active": wrong,
		"Users/7/active": wrong, "#/active": wrong, "@active": wrong, "${active}": wrong, "\ufeffactive": wrong,
		"active/value": wrong, "attributes.active": wrong, "name.active": wrong, core + "/active": wrong, core + ": active": wrong, core + "::active": wrong,
		"core:2.0:User:active": wrong, "urn:ietf:params:scim:schemas:core:2.0:active": wrong, "urn:ietf:params:scim:schemas:core:1.0:User:active": wrong,
		urnEnterprise + ":active": wrong, urnEnterprise + ".active": wrong, URNLifecycle + ":active": wrong, "urn:scim:schemas:extension:enterprise:1.0:active": wrong,

		"isActive": alien, "is active": alien, "inactive": alien, "réactive": alien, "status": alien, "activeUntil": alien,
		"urn:example:crm:2.0:User:active": alien, "urn:ietf:params:scim:schemas:extension:Crm:2.0:User:active": alien, "urn:example:my crm:User:active": alien,
	} {
		for _, op := range []map[string]any{
			{"op": "replace", "path": name, "value": false},
			{"op": "replace", "value": map[string]any{name: "False"}},
		} {
			ops := operationsOf(t, op)
			got, _, noted, err := patched(rt, `{"active":true,"userName":"ada"}`, ops)
			switch {
			case want == wrong && (err == nil || refusalOf(err).Status != 400),
				want == read && (err != nil || got != `{"active":false,"userName":"ada"}`),
				want == alien && (err != nil || got != `{"active":true,"userName":"ada"}` || len(noted) == 0):
				t.Errorf("%s: not %s: %v %s %v", ops, want, err, got, noted)
			}
			// Beside the state itself it is another attribute that nobody knows, and keeps no deactivation from being done.
			both := operationsOf(t, op, map[string]any{"op": "replace", "path": "active", "value": false})
			if got, _, _, err := patched(rt, `{"active":true,"userName":"ada"}`, both); err != nil || got != `{"active":false,"userName":"ada"}` {
				t.Errorf("%s: %v %s", both, err, got)
			}
		}
		both := operationsOf(t, map[string]any{"op": "replace", "path": name, "value": false}, map[string]any{"op": "replace", "path": "active", "value": nil})
		if _, _, _, err := patched(rt, `{"active":true,"userName":"ada"}`, both); (err != nil) != (want == wrong) {
			t.Errorf("beside no state: %s: %v", both, err)
		}
		text, err := json.Marshal(map[string]any{"userName": "ada", name: false})
		if err != nil {
			t.Fatal(err)
		}
		o, err := decodeObject(text, storedDepth)
		if err != nil {
			t.Fatal(err)
		}
		c := compiler{normaliser: normaliser{&notes{}, Bounds{}.filled()}, rt: rt, id: "r1"}
		if err := c.body(o); (err != nil) != (want == wrong) {
			t.Errorf("%s in a resource: %v", name, err)
		}
	}
	for _, ops := range []string{
		`[{"op":"replace","path":"User","value":{"active":false}}]`, `[{"op":"replace","path":"$","value":{"active":false}}]`, `[{"op":"replace","path":"/","value":{"active":false}}]`,
		`[{"op":"replace","value":{"user":{"active":false}}}]`, `[{"op":"replace","path":"title","value":"x","active":false}]`, `[{"op":"replace","path":"title","value":"x"}],"active":false`,
		`[{"op":"replace","value":{"active":false,"urn:ietf:params:scim:schemas:core:2.0:User":{"active":true}}}]`, `[{"op":"replace","value":{"active":false,"User.active":true}}]`,
	} {
		if got, _, _, err := patched(rt, `{"active":true,"userName":"ada"}`, ops); err == nil || refusalOf(err).Status != 400 {
			t.Errorf("%s: %v %s", ops, err, got)
		}
	}
	for _, ops := range []string{
		`[{"op":"replace","value":{"licence":{"active":true},"title":"x"}}]`, `[{"op":"replace","path":"user","value":"ada"},{"op":"replace","path":"title","value":"x"}]`,
		`[{"op":"replace","value":{"active":false,"urn:ietf:params:scim:schemas:core:2.0:User":{"active":"False","title":"x"}}}]`,
		`[{"op":"replace","path":"active","value":true},{"op":"replace","value":{"active":false,"title":"x"}}]`,
	} {
		if got, _, _, err := patched(rt, `{"active":false,"userName":"ada"}`, ops); err != nil || got != `{"active":false,"title":"x","userName":"ada"}` {
			t.Errorf("%s: %v %s", ops, err, got)
		}
	}
}

// What leaves the state as it is says so.
func TestStateWithoutAValueIsNoted(t *testing.T) {
	t.Parallel()
	for _, op := range []string{`{"op":"replace","path":"active","value":null}`, `{"op":"replace","path":"active","value":""}`, `{"op":"add","value":{"active":[]}}`, `{"op":"remove","path":"active"}`} {
		_, _, noted, err := patched(newSchemas().user, `{"active":true,"userName":"ada"}`, `[`+op+`]`)
		if diff := cmp.Diff([]string{"active: no value, the state stays as it is"}, noted); err != nil || diff != "" {
			t.Errorf("%s: %v %s", op, err, diff)
		}
	}
}

// A PUT with the members under another name would empty the group, and a PATCH do nothing.
func TestMembersUnderAnotherName(t *testing.T) {
	t.Parallel()
	rt := newSchemas().group
	for _, tt := range []struct {
		ops  string
		want engine.MemberChange
		kind elimity.ScimType
	}{
		{ops: `[{"op":"remove","path":"Group.members","value":["a"]}]`, want: engine.MemberChange{Drop: []string{"a"}}},
		{ops: `[{"op":"add","path":"$.members","value":["a"]}]`, want: engine.MemberChange{Add: []string{"a"}}},
		{ops: `[{"op":"add","path":"urn:example:2.0:Group:members","value":["a"]},{"op":"add","path":"members","value":["b"]}]`, want: engine.MemberChange{Add: []string{"b"}}},
		{ops: `[{"op":"add","path":"/members/-","value":{"value":"a"}}]`, kind: elimity.ScimTypeInvalidPath},
		{ops: `[{"op":"remove","path":"/members/0"}]`, kind: elimity.ScimTypeInvalidPath},
		{ops: `[{"op":"remove","path":"members/a"}]`, kind: elimity.ScimTypeInvalidPath},
		{ops: `[{"op":"add","value":{"Groups.members":["a"]}}]`, kind: elimity.ScimTypeInvalidSyntax},
		{ops: `[{"op":"add","value":{"Group":{"members":["a"]}}}]`, kind: elimity.ScimTypeInvalidSyntax},
		{ops: `[{"op":"remove","path":"members","values":[{"value":"a"}]}]`, kind: elimity.ScimTypeInvalidSyntax},
		{ops: `[{"op":"remove","path":"members","members":{"value":"a"}}]`, kind: elimity.ScimTypeInvalidSyntax},
		{ops: `[{"op":"remove","path":"members","members":"a"}]`, kind: elimity.ScimTypeInvalidSyntax},
		{ops: `[{"op":"remove","path":"members","name":"all","from":null,"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}]`, want: engine.MemberChange{Replace: true}},
		{ops: `[{"op":"remove","path":"members[value eq \"a\"]","value":[{"value":"b"}]}]`, kind: elimity.ScimTypeInvalidValue},
		{ops: `[{"op":"remove","path":"members[value eq \"a\"]","value":[{"value":"a"}]}]`, want: engine.MemberChange{Drop: []string{"a"}}},
		// JavaScript writes what it does not have in a list as null: who is meant has been lost.
		{ops: `[{"op":"replace","path":"members","value":[{"value":"a"},null]}]`, kind: elimity.ScimTypeInvalidValue},
	} {
		_, got, _, err := patched(rt, `{"displayName":"G"}`, tt.ops)
		if tt.kind != "" {
			if err == nil || refusalOf(err).ScimType != tt.kind {
				t.Errorf("%s: %+v %v", tt.ops, got, err)
			}
		} else if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", tt.ops, err, diff)
		}
	}
	for _, body := range []string{`{"displayName":"G","Groups.members":[]}`, `{"displayName":"G","members.":[]}`, `{"displayName":"G","group":{"members":[]}}`, `{"displayName":"G","member":["a"]}`,
		`{"displayName":"G","Operations":[{"op":"add","path":"externalId","value":"x"}]}`, `{"displayName":"G","schemas":["URN:ietf:params:scim:api:messages:2.0:PatchOp"]}`} {
		o, err := decodeObject([]byte(body), storedDepth)
		if err != nil {
			t.Fatal(err)
		}
		c := compiler{normaliser: normaliser{&notes{}, Bounds{}.filled()}, rt: rt, id: "r1"}
		if err := c.body(o); err == nil {
			t.Errorf("taken: %s", body)
		}
	}
}
