package scim

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	elimity "github.com/elimity-com/scim/errors"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"jmld/jml/engine"
)

// patched applies the operations, given as the JSON array, to a stored resource.
func patched(rt *resourceType, stored, operations string) (doc string, change engine.MemberChange, noted []string, err error) {
	o, err := decodeObject([]byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":`+operations+`}`), storedDepth)
	if err != nil {
		return "", change, nil, err
	}
	n := &notes{}
	c := compiler{normaliser: normaliser{n, Bounds{}.filled()}, rt: rt, id: "r1", base: "https://jmld.example.org/scim/corp/v2"}
	if err := c.request(o); err != nil {
		return "", change, n.list, err
	}
	m, err := document(stored)
	if err != nil {
		return "", change, n.list, err
	}
	if err := apply(rt, m, c.ops); err != nil {
		return "", change, n.list, err
	}
	return canonical(m), collapse(c.members), n.list, nil
}

func TestPatch(t *testing.T) {
	t.Parallel()
	const (
		ent = `"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`
		two = `{"emails":[{"primary":true,"type":"work","value":"a@example.org"},{"type":"home","value":"b@example.org"}],"userName":"ada"}`
	)
	rt := newSchemas().user
	for _, tt := range []struct {
		name, stored, ops, want string
		kind                    elimity.ScimType // of the refusal
	}{
		{name: "add merges a complex attribute", stored: `{"name":{"familyName":"B"},"userName":"ada"}`,
			ops: `[{"op":"add","path":"name","value":{"givenName":"A"}}]`, want: `{"name":{"familyName":"B","givenName":"A"},"userName":"ada"}`},
		{name: "replace leaves the sub-attributes it does not name", stored: `{"name":{"familyName":"B","givenName":"A"},"userName":"ada"}`,
			ops: `[{"op":"replace","path":"name","value":{"givenName":"C","familyName":null}}]`, want: `{"name":{"givenName":"C"},"userName":"ada"}`},
		{name: "the last sub-attribute takes the attribute with it", stored: `{"name":{"givenName":"A"},"userName":"ada"}`,
			ops: `[{"op":"remove","path":"name.givenName"}]`, want: `{"userName":"ada"}`},
		{name: "the last attribute takes the extension with it", stored: `{"userName":"ada",` + ent + `:{"department":"D"}}`,
			ops: `[{"op":"replace","path":"department","value":""}]`, want: `{"userName":"ada"}`},
		{name: "a whole extension is merged", stored: `{"userName":"ada",` + ent + `:{"department":"D"}}`,
			ops:  `[{"op":"add","path":` + ent + `,"value":{"costCenter":"C","manager":"m1"}}]`,
			want: `{` + ent + `:{"costCenter":"C","department":"D","manager":{"value":"m1"}},"userName":"ada"}`},
		{name: "a whole extension is removed", stored: `{"userName":"ada",` + ent + `:{"department":"D"}}`,
			ops: `[{"op":"remove","path":` + ent + `}]`, want: `{"userName":"ada"}`},
		{name: "some of an extension are removed", stored: `{"userName":"ada",` + ent + `:{"costCenter":"C","department":"D","manager":{"value":"m1"}}}`,
			ops:  `[{"op":"remove","path":` + ent + `,"value":{"department":"D","Manager":{"value":"m1"},"colour":"red"}}]`,
			want: `{` + ent + `:{"costCenter":"C"},"userName":"ada"}`},
		{name: "of an extension what nobody knows is not removed", stored: `{"userName":"ada",` + ent + `:{"department":"D"}}`,
			ops: `[{"op":"remove","path":` + ent + `,"value":{"colour":"red"}},{"op":"remove","path":` + ent + `,"value":{}},{"op":"remove","path":` + ent + `,"value":[]}]`, want: `{` + ent + `:{"department":"D"},"userName":"ada"}`},
		{name: "some of a resource are removed", stored: two, ops: `[{"op":"remove","path":"urn:ietf:params:scim:schemas:core:2.0:User","value":{"title":"T","emails":[{"value":"b@example.org"}]}}]`,
			want: `{"emails":[{"primary":true,"type":"work","value":"a@example.org"}],"userName":"ada"}`},
		// As for an attribute that nobody knows (R120): refused, it would keep the deactivation beside it from being done.
		{name: "a filter on what is not there", stored: two, ops: `[{"op":"replace","path":"emails[colour eq \"x\"].value","value":"x"},{"op":"add","path":"emails[type eq \"work\" or not (colour pr)]","value":"x"},{"op":"replace","path":"active","value":false}]`,
			want: strings.Replace(two, `{`, `{"active":false,`, 1)},
		{name: "a remove with a filter on what is not there", stored: two, ops: `[{"op":"remove","path":"emails[colour eq \"x\"]"},{"op":"remove","path":"emails[type eq \"work\" or colour eq \"x\"].value"},{"op":"remove","path":"emails[not (colour eq \"x\")]"}]`, want: two},
		{name: "names that nobody can know", stored: `{"userName":"ada"}`, ops: `[{"op":"add","path":"urn:example:My Application:2.0:User:Cost Center","value":"7"},{"op":"add","path":"größe","value":"7"},{"op":"remove","path":"my colour"},{"op":"replace","path":"active","value":false}]`,
			want: `{"active":false,"userName":"ada"}`},
		{name: "full names below a schema", stored: `{"userName":"ada"}`,
			ops:  `[{"op":"add","path":` + ent + `,"value":{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:costCenter":"C",` + ent + `:{"department":"D"},"urn:ietf:params:scim:schemas:core:2.0:User:title":"T"}}]`,
			want: `{"title":"T",` + ent + `:{"costCenter":"C","department":"D"},"userName":"ada"}`},
		{name: "an extension that is an empty list", stored: `{"userName":"ada",` + ent + `:{"department":"D"}}`, ops: `[{"op":"replace","path":` + ent + `,"value":[]}]`, want: `{"userName":"ada"}`},
		{name: "numbers and objects for a boolean", stored: `{"active":true,"userName":"ada"}`, ops: `[{"op":"replace","path":"active","value":0},{"op":"replace","path":"active","value":"1"},{"op":"replace","path":"active","value":{"active":"0"}}]`, want: `{"active":false,"userName":"ada"}`},
		{name: "the id there is", stored: `{"userName":"ada"}`, ops: `[{"op":"replace","path":"id","value":"r1"}]`, want: `{"userName":"ada"}`},
		{name: "a new manager does not keep the reference of the old one", stored: `{"userName":"ada",` + ent + `:{"manager":{"$ref":"../m1","value":"m1"}}}`,
			ops: `[{"op":"replace","path":"manager","value":"m2"}]`, want: `{` + ent + `:{"manager":{"value":"m2"}},"userName":"ada"}`},
		{name: "a new primary value takes the mark", stored: two, ops: `[{"op":"add","path":"emails","value":{"value":"c@example.org","primary":true}}]`,
			want: `{"emails":[{"primary":false,"type":"work","value":"a@example.org"},{"type":"home","value":"b@example.org"},{"primary":true,"value":"c@example.org"}],"userName":"ada"}`},
		{name: "the mark moves by a filter", stored: two, ops: `[{"op":"replace","path":"emails[type eq \"home\"].primary","value":true}]`,
			want: `{"emails":[{"primary":false,"type":"work","value":"a@example.org"},{"primary":true,"type":"home","value":"b@example.org"}],"userName":"ada"}`},
		{name: "adding what is there changes nothing", stored: two, ops: `[{"op":"add","path":"emails","value":[{"value":"A@example.org"},{"type":"home","value":"b@example.org"}]}]`, want: two},
		{name: "removing what is not there changes nothing", stored: two, ops: `[{"op":"remove","path":"emails[type eq \"other\"]"},{"op":"remove","path":"title"},{"op":"remove","path":"name.givenName"},{"op":"remove","path":"department"}]`, want: two},
		{name: "remove with a value removes only that", stored: two, ops: `[{"op":"Remove","path":"emails","value":[{"value":"B@example.org"}]}]`,
			want: `{"emails":[{"primary":true,"type":"work","value":"a@example.org"}],"userName":"ada"}`},
		{name: "remove with a value that is not there writes nothing", stored: two, ops: `[{"op":"remove","path":"emails","value":"x@example.org"}]`, want: two},
		{name: "remove with an empty list removes nothing", stored: two, ops: `[{"op":"remove","path":"emails","value":[]}]`, want: two},
		{name: "remove of everything", stored: two, ops: `[{"op":"remove","path":"emails"}]`, want: `{"userName":"ada"}`},
		{name: "remove of a part with a value is of those", stored: two, ops: `[{"op":"remove","path":"emails.value","value":"B@example.org"}]`,
			want: `{"emails":[{"primary":true,"type":"work","value":"a@example.org"}],"userName":"ada"}`},
		{name: "remove of a part of all with a value is of those", stored: two, ops: `[{"op":"remove","path":"emails.type","value":["home"]},{"op":"remove","path":"emails.primary","value":"False"},{"op":"remove","path":"emails.value","value":""}]`,
			want: `{"emails":[{"primary":true,"type":"work","value":"a@example.org"},{"value":"b@example.org"}],"userName":"ada"}`},
		{name: "some of a name are removed", stored: `{"name":{"familyName":"B","givenName":"A"},"userName":"ada"}`,
			ops: `[{"op":"remove","path":"name","value":{"GivenName":"A","colour":"red"}},{"op":"remove","path":"/name","value":{}}]`, want: `{"name":{"familyName":"B"},"userName":"ada"}`},
		{name: "of an extension something that is no attribute is removed", stored: `{"userName":"ada",` + ent + `:{"department":"D"}}`, ops: `[{"op":"remove","path":` + ent + `,"value":"costCenter"}]`, kind: elimity.ScimTypeInvalidValue},
		{name: "of an extension several things are removed", stored: `{"userName":"ada",` + ent + `:{"department":"D"}}`, ops: `[{"op":"remove","path":` + ent + `,"value":[{"costCenter":"C"},{"division":"V"}]}]`, kind: elimity.ScimTypeInvalidValue},
		{name: "of a resource something that is no attribute is removed", stored: two, ops: `[{"op":"remove","path":"urn:ietf:params:scim:schemas:core:2.0:User","value":["emails","title"]}]`, kind: elimity.ScimTypeInvalidValue},
		{name: "an element of which only what describes it is known", stored: two, ops: `[{"op":"replace","path":"emails","value":[{"type":"work","address":"x@example.org"}]},{"op":"replace","path":"emails","value":{"primary":true,"display":"X","mail":"x@example.org"}}]`, want: two},
		{name: "elements in which nothing is known, beside empty ones", stored: two, ops: `[{"op":"replace","path":"emails","value":[null,{},{"address":"x@example.org"}]},{"op":"replace","path":"emails","value":["",{"type":"work"},{"address":"x@example.org"}]}]`, want: two},
		{name: "of an extension, or a name, an empty thing is removed", stored: `{"name":{"givenName":"A"},"userName":"ada",` + ent + `:{"department":"D"}}`,
			ops:  `[{"op":"remove","path":` + ent + `,"value":[null]},{"op":"remove","path":` + ent + `,"value":"[\"\"]"},{"op":"remove","path":"name","value":[]},{"op":"remove","path":"name","value":[null]}]`,
			want: `{"name":{"givenName":"A"},` + ent + `:{"department":"D"},"userName":"ada"}`},
		{name: "of a name something that is none of its parts is removed", stored: `{"name":{"givenName":"A"},"userName":"ada"}`, ops: `[{"op":"remove","path":"name","value":"givenName"}]`, kind: elimity.ScimTypeInvalidValue},
		{name: "a manager is removed who is another one by now", stored: `{"userName":"ada",` + ent + `:{"manager":{"$ref":"../m1","value":"m1"}}}`,
			ops: `[{"op":"remove","path":"manager","value":[{"value":"m0"}]},{"op":"remove","path":"manager","value":"https://jmld.example.org/scim/corp/v2/Users/m2"}]`, want: `{` + ent + `:{"manager":{"$ref":"../m1","value":"m1"}},"userName":"ada"}`},
		{name: "the manager there is is removed", stored: `{"userName":"ada",` + ent + `:{"manager":{"$ref":"../m1","value":"m1"}}}`, ops: `[{"op":"remove","path":"manager","value":[{"value":"m1"}]}]`, want: `{"userName":"ada"}`},
		{name: "a manager is removed without saying who", stored: `{"userName":"ada",` + ent + `:{"manager":{"$ref":"../m1","value":"m1"}}}`, ops: `[{"op":"remove","path":"manager","value":{"displayName":"Una"}}]`, want: `{"userName":"ada"}`},
		{name: "an empty element is none", stored: two, ops: `[{"op":"replace","path":"emails","value":[{"type":"work","value":"","label":"x"}]}]`, want: `{"userName":"ada"}`},
		{name: "a manager by address beside an empty value", stored: `{"userName":"ada",` + ent + `:{"manager":{"$ref":"../Users/m1","value":"m1"}}}`,
			ops: `[{"op":"replace","path":"manager","value":{"value":"","$ref":"../Users/m2"}}]`, want: `{` + ent + `:{"manager":{"$ref":"../Users/m2","value":"m2"}},"userName":"ada"}`},
		{name: "no manager, and the address of all users", stored: `{"userName":"ada",` + ent + `:{"manager":{"$ref":"../Users/m1","value":"m1"}}}`,
			ops: `[{"op":"replace","path":"manager","value":{"value":"","$ref":"https://jmld.example.org/scim/corp/v2/Users/"}}]`, want: `{"userName":"ada"}`},
		{name: "removing the value removes the element", stored: two, ops: `[{"op":"remove","path":"emails[type eq \"home\"].value"}]`,
			want: `{"emails":[{"primary":true,"type":"work","value":"a@example.org"}],"userName":"ada"}`},
		{name: "an element is made from its filter", stored: `{"userName":"ada"}`, ops: `[{"op":"replace","path":"phoneNumbers[type eq \"mobile\" and primary eq \"True\"]","value":{"value":"1"}}]`,
			want: `{"phoneNumbers":[{"primary":true,"type":"mobile","value":"1"}],"userName":"ada"}`},
		{name: "no element is made from a filter that says what it is not", stored: `{"userName":"ada"}`, ops: `[{"op":"replace","path":"emails[type ne \"work\"].value","value":"x"}]`, kind: elimity.ScimTypeNoTarget},
		{name: "an element without a value does not stay", stored: `{"userName":"ada"}`, ops: `[{"op":"add","path":"emails[type eq \"work\"].primary","value":true}]`, want: `{"userName":"ada"}`},
		{name: "a mark without a value takes none", stored: two, ops: `[{"op":"add","path":"emails[type eq \"other\"].primary","value":true}]`, want: two},
		{name: "an element that is only a mark takes none", stored: two, ops: `[{"op":"add","path":"emails","value":[{"type":"other","primary":true}]},{"op":"add","path":"emails[type eq \"x\" and primary eq true].display","value":"X"}]`, want: two},
		{name: "a mark in front of its value takes the other", stored: two, ops: `[{"op":"add","path":"emails[type eq \"other\"].primary","value":true},{"op":"add","path":"emails[primary eq true].value","value":"c@example.org"}]`,
			want: `{"emails":[{"primary":false,"type":"work","value":"a@example.org"},{"type":"home","value":"b@example.org"},{"primary":true,"type":"other","value":"c@example.org"}],"userName":"ada"}`},
		{name: "the last that had a value has the mark", stored: two, ops: `[{"op":"add","path":"emails[type eq \"x\"].primary","value":true},{"op":"add","path":"emails[type eq \"home\"].primary","value":true},{"op":"add","path":"emails[type eq \"other\"].primary","value":true}]`,
			want: `{"emails":[{"primary":false,"type":"work","value":"a@example.org"},{"primary":true,"type":"home","value":"b@example.org"}],"userName":"ada"}`},
		{name: "a mark that was taken back does not return", stored: two, ops: `[{"op":"add","path":"emails[type eq \"other\"].primary","value":true},{"op":"replace","path":"emails[type eq \"work\"].primary","value":false}]`,
			want: `{"emails":[{"primary":false,"type":"work","value":"a@example.org"},{"type":"home","value":"b@example.org"}],"userName":"ada"}`},
		{name: "nor does one that was taken back by a value", stored: two, ops: `[{"op":"add","path":"emails[type eq \"other\"].primary","value":true},{"op":"add","path":"emails","value":[{"type":"work","value":"a@example.org","primary":false}]}]`,
			want: `{"emails":[{"primary":false,"type":"work","value":"a@example.org"},{"type":"home","value":"b@example.org"}],"userName":"ada"}`},
		{name: "a mark that came and went with a value is gone", stored: two, ops: `[{"op":"add","path":"emails[type eq \"other\"].primary","value":true},{"op":"add","path":"emails[type eq \"other\"].value","value":"c@example.org"},{"op":"remove","path":"emails[type eq \"other\"]"}]`,
			want: `{"emails":[{"primary":false,"type":"work","value":"a@example.org"},{"type":"home","value":"b@example.org"}],"userName":"ada"}`},
		{name: "sub-attributes of all elements", stored: two, ops: `[{"op":"remove","path":"emails.type"}]`,
			want: `{"emails":[{"primary":true,"value":"a@example.org"},{"value":"b@example.org"}],"userName":"ada"}`},
		{name: "one value for several elements", stored: two, ops: `[{"op":"replace","path":"emails.value","value":"x@example.org"}]`, kind: elimity.ScimTypeNoTarget},
		{name: "one value for the only element", stored: `{"emails":[{"type":"work","value":"a@example.org"}],"userName":"ada"}`,
			ops: `[{"op":"replace","path":"emails.value","value":"x@example.org"}]`, want: `{"emails":[{"type":"work","value":"x@example.org"}],"userName":"ada"}`},
		{name: "elements that become the same are one", stored: two, ops: `[{"op":"replace","path":"emails[type eq \"home\"]","value":{"type":"work","value":"a@example.org"}}]`,
			want: `{"emails":[{"primary":true,"type":"work","value":"a@example.org"}],"userName":"ada"}`},
		{name: "later operations see earlier ones", stored: `{"userName":"ada"}`, ops: `[{"op":"add","path":"emails[type eq \"work\"].value","value":"x"},{"op":"replace","path":"emails[value eq \"x\"].value","value":"y"}]`,
			want: `{"emails":[{"type":"work","value":"y"}],"userName":"ada"}`},
		{name: "active cannot be emptied", stored: `{"active":false,"userName":"ada"}`, ops: `[{"op":"replace","path":"active","value":""},{"op":"add","value":{"active":null}}]`, want: `{"active":false,"userName":"ada"}`},
		{name: "keys with filters without a path", stored: two, ops: `[{"op":"replace","value":{"emails[type eq \"home\"].value":"c@example.org","name.givenName":"A","nonsense":1,"meta":{},"schemas":[]}}]`,
			want: `{"emails":[{"primary":true,"type":"work","value":"a@example.org"},{"type":"home","value":"c@example.org"}],"name":{"givenName":"A"},"userName":"ada"}`},
		{name: "a password is dropped", stored: `{"userName":"ada"}`, ops: `[{"op":"replace","path":"password","value":"x"},{"op":"add","value":{"password":"y"}}]`, want: `{"userName":"ada"}`},
		{name: "lifecycle dates", stored: `{"userName":"ada"}`, ops: `[{"op":"add","value":{"urn:ietf:params:scim:schemas:extension:jmld:2.0:User":{"endDate":"2026-12-31","sponsor":{"value":"s1"}}}}]`,
			want: `{"urn:ietf:params:scim:schemas:extension:jmld:2.0:User":{"endDate":"2026-12-31","sponsor":"s1"},"userName":"ada"}`},
		{name: "a date that is none", stored: `{"userName":"ada"}`, ops: `[{"op":"add","path":"endDate","value":"tomorrow"}]`, kind: elimity.ScimTypeInvalidValue},

		{name: "no operations", stored: two, ops: `[]`, kind: elimity.ScimTypeInvalidSyntax},
		{name: "an unknown operation", stored: two, ops: `[{"op":"move","path":"title"}]`, kind: elimity.ScimTypeInvalidSyntax},
		{name: "an operation that is none", stored: two, ops: `["add"]`, kind: elimity.ScimTypeInvalidSyntax},
		{name: "add without a value", stored: two, ops: `[{"op":"add","path":"title"}]`, kind: elimity.ScimTypeInvalidValue},
		{name: "add of text without a path", stored: two, ops: `[{"op":"add","value":"x"}]`, kind: elimity.ScimTypeInvalidValue},
		{name: "remove without a path", stored: two, ops: `[{"op":"remove","value":{"title":"x"}}]`, kind: elimity.ScimTypeNoTarget},
		{name: "a path that is none", stored: two, ops: `[{"op":"add","path":"emails[","value":"x"}]`, kind: elimity.ScimTypeInvalidPath},
		{name: "a path that is a number", stored: two, ops: `[{"op":"add","path":7,"value":"x"}]`, kind: elimity.ScimTypeInvalidPath},
		{name: "a filter on one value", stored: two, ops: `[{"op":"add","path":"title[value eq \"x\"]","value":"x"}]`, kind: elimity.ScimTypeInvalidPath},
		{name: "a filter within a filter, on what is not there", stored: two, ops: `[{"op":"add","path":"emails[colour eq \"x\" and type[colour eq \"x\"]]","value":"x"}]`, kind: elimity.ScimTypeInvalidPath},
		{name: "a filter that compares with what the part cannot be", stored: two, ops: `[{"op":"add","path":"emails[primary eq \"x\"]","value":"x"}]`, kind: elimity.ScimTypeInvalidPath},
		{name: "a filter on what is not there that is none", stored: two, ops: `[{"op":"add","path":"emails[colour is \"x\"]","value":"x"}]`, kind: elimity.ScimTypeInvalidPath},
		{name: "a known name with more behind it", stored: two, ops: `[{"op":"replace","path":"active false","value":false}]`, kind: elimity.ScimTypeInvalidPath},
		{name: "a name in quotation marks", stored: two, ops: `[{"op":"replace","path":"\"colour\"","value":"x"}]`, kind: elimity.ScimTypeInvalidPath},
		{name: "the id removed", stored: two, ops: `[{"op":"remove","path":"id","value":"r1"}]`, kind: elimity.ScimTypeMutability},
		{name: "another number for a boolean", stored: two, ops: `[{"op":"replace","path":"active","value":2}]`, kind: elimity.ScimTypeInvalidValue},
		{name: "a read-only attribute", stored: two, ops: `[{"op":"add","path":"groups","value":[{"value":"g"}]}]`, kind: elimity.ScimTypeMutability},
		{name: "a read-only sub-attribute", stored: two, ops: `[{"op":"add","path":"meta.created","value":"x"}]`, kind: elimity.ScimTypeMutability},
		{name: "another id", stored: two, ops: `[{"op":"replace","value":{"id":"r2"}}]`, kind: elimity.ScimTypeMutability},
		{name: "a required attribute removed", stored: two, ops: `[{"op":"remove","path":"userName"}]`, kind: elimity.ScimTypeMutability},
		{name: "a required attribute emptied", stored: two, ops: `[{"op":"replace","path":"userName","value":""}]`, kind: elimity.ScimTypeMutability},
		{name: "a required attribute of spaces", stored: two, ops: `[{"op":"replace","path":"userName","value":"  "}]`, kind: elimity.ScimTypeInvalidValue},
		{name: "two primary values", stored: two, ops: `[{"op":"replace","path":"emails","value":[{"value":"x","primary":true},{"value":"y","primary":"true"}]}]`, kind: elimity.ScimTypeInvalidValue},
		{name: "many made primary", stored: two, ops: `[{"op":"replace","path":"emails[value pr].primary","value":true}]`, kind: elimity.ScimTypeInvalidValue},
		{name: "a boolean that is none", stored: two, ops: `[{"op":"replace","path":"active","value":"maybe"}]`, kind: elimity.ScimTypeInvalidValue},
		{name: "several values for one", stored: two, ops: `[{"op":"replace","path":"title","value":["a","b"]}]`, kind: elimity.ScimTypeInvalidValue},
		{name: "more values than there may be", stored: `{"userName":"ada"}`, ops: `[{"op":"add","path":"roles","value":[` + strings.TrimSuffix(strings.Repeat(`"r",`, 1001), ",") + `]}]`, kind: elimity.ScimTypeInvalidValue},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, _, _, err := patched(rt, tt.stored, tt.ops)
			if tt.kind != "" {
				if r := refusalOf(err); err == nil || r.Status != 400 || r.ScimType != tt.kind {
					t.Errorf("got %s, %v", got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// D-15: what was read differently from how it was written is noted, without the values.
func TestPatchNotesTheDialect(t *testing.T) {
	t.Parallel()
	_, _, got, err := patched(newSchemas().user, `{"active":true,"userName":"ada"}`, `[
		{"op":"Replace","path":"active","value":"False"},
		{"op":"Add","path":"manager","value":[{"value":"secret-id"}]},
		{"op":"add","path":"roles","value":[{"value":"{\"value\":\"25\",\"displayName\":\"Secret\"}"}]},
		{"op":"replace","value":{"urn:example:unknown:attr":"Secret","nickName":7,"emails":{"value":"secret@example.org"}}},
		{"op":"replace","path":"roles[primary eq \"True\"].display","value":"Secret"},
		{"op":"remove","path":"emails","value":"secret@example.org"}]`)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`op: "Replace" read as "replace"`,
		`active: "False" read as false`,
		`op: "Add" read as "add"`,
		`manager read as an attribute of urn:ietf:params:scim:schemas:extension:enterprise:2.0:User`,
		`manager: array of one read as its element`,
		`roles.value: text read as the JSON it holds`,
		`roles.displayName read as display`,
		`urn:example:unknown:attr: unknown, ignored`,
		`nickName: number read as text`,
		`emails: single value read as an array of one`,
		`filter: roles.primary compared with "True" read as true`,
		`emails: text read as its value`,
		`emails: remove with values read as remove those`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPatchReadsPathsOfOtherForms(t *testing.T) {
	t.Parallel()
	s := newSchemas()
	for _, tt := range []struct{ path, want, note string }{
		{`emails [type eq "work"].value`, `{"emails":[{"type":"work","value":"x"}],"userName":"ada"}`, `emails: path with blanks read without them`},
		{`emails[type eq "work"] .value`, `{"emails":[{"type":"work","value":"x"}],"userName":"ada"}`, `emails: path with blanks read without them`},
		{"emails\t[ type eq \"work\" ] . value", `{"emails":[{"type":"work","value":"x"}],"userName":"ada"}`, `emails: path with blanks read without them`},
		{`emails[type eq "work"].value `, `{"emails":[{"type":"work","value":"x"}],"userName":"ada"}`, ``},
		{`/title`, `{"title":"x","userName":"ada"}`, `?title read as title`},
		{`/name/givenName`, `{"name":{"givenName":"x"},"userName":"ada"}`, `?name?givenName read as name.givenName`},
		{`/` + urnEnterprise + `/department`, `{"` + urnEnterprise + `":{"department":"x"},"userName":"ada"}`, `?` + urnEnterprise + `?department read as department of ` + urnEnterprise},
		{`/emails/0/value`, `{"userName":"ada"}`, `?emails?0?value: unknown, ignored`},
		{`name/givenName`, `{"userName":"ada"}`, `name?givenName: unknown, ignored`},
	} {
		ops, err := json.Marshal([]any{map[string]any{"op": "add", "path": tt.path, "value": "x"}})
		if err != nil {
			t.Fatal(err)
		}
		got, _, noted, err := patched(s.user, `{"userName":"ada"}`, string(ops))
		if diff := cmp.Diff(tt.want, got) + cmp.Diff(tt.note, strings.Join(noted, "; ")); err != nil || diff != "" {
			t.Errorf("%s: %v %s", tt.path, err, diff)
		}
		key, err := json.Marshal([]any{map[string]any{"op": "add", "value": map[string]any{tt.path: "x"}}})
		if err != nil {
			t.Fatal(err)
		}
		if got, _, _, err := patched(s.user, `{"userName":"ada"}`, string(key)); err != nil || got != tt.want {
			t.Errorf("%s as a key: %v %s", tt.path, err, got)
		}
	}
	// A text that is no name may be a value in the wrong place: nothing of it is noted, but for the schema that it begins with.
	_, _, noted, err := patched(s.user, `{"userName":"ada"}`, `[{"op":"add","path":"ada@example.org","value":"x"},{"op":"add","path":"urn:example:2.0:Cost Center","value":"x"},{"op":"add","value":{"eve@example.org":1}}]`)
	if diff := cmp.Diff([]string{"a path that is no name: ignored", "urn:example:2.0: a path below it that is no name, ignored"}, noted); err != nil || diff != "" {
		t.Error(err, diff)
	}
	_, change, _, err := patched(s.group, `{"displayName":"G"}`, `[{"op":"remove","path":"members [value eq \"a\"]"}]`)
	if diff := cmp.Diff(engine.MemberChange{Drop: []string{"a"}}, change); err != nil || diff != "" {
		t.Error(err, diff)
	}
	for _, path := range []string{`emails [type eq "work"] value`, `emails type`, `active [`, `emails[type eq "work"] . `} {
		_, _, _, err := patched(s.user, `{"userName":"ada"}`, `[{"op":"add","path":`+canonical(path)+`,"value":"x"}]`)
		if err == nil || refusalOf(err).ScimType != elimity.ScimTypeInvalidPath {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// A manager is one person: $ref and value do not name two.
func TestPatchOfTheReferenceOfAManager(t *testing.T) {
	t.Parallel()
	rt := newSchemas().user
	with := func(manager string) string {
		return `{"` + urnEnterprise + `":{"manager":` + manager + `},"userName":"ada"}`
	}
	const (
		ours  = "https://jmld.example.org/scim/corp/v2/Users/"
		one   = `{"$ref":"../Users/m1","value":"m1"}`
		read  = "manager: $ref read as value"
		other = "manager.$ref: not the address of a user here, left as it is"
	)
	for _, tt := range []struct{ path, ref, want, note string }{
		{"manager.$ref", ours + "m2", `{"$ref":"` + ours + `m2","value":"m2"}`, read},
		{"manager.$REF", "../Users/m2", `{"$ref":"../Users/m2","value":"m2"}`, read},
		{"manager.$ref", "/scim/corp/v2/Users/m2", `{"$ref":"/scim/corp/v2/Users/m2","value":"m2"}`, read},
		{"manager.$ref", "../Users/m1", one, read},
		{"manager.$ref", "https://other.example.org/scim/corp/v2/Users/m2", one, other},
		{"manager.$ref", "//other.example.org/Users/m2", one, other},
		{"manager.$ref", ours, one, other},
		{"manager.$ref", ours + "m2/x", one, other},
		{"manager.$ref", "../Groups/m2", one, other},
		{"manager.$ref", "../Users/", one, other},
		{"manager.$ref", "../Users/m2?x", one, other},
		{"manager.$ref", "urn:uuid:m2", one, other},
		{"manager.$ref", "", `{"value":"m1"}`, ""},
	} {
		ops := `[{"op":"replace","path":"` + urnEnterprise + ":" + tt.path + `","value":` + canonical(tt.ref) + `}]`
		got, _, noted, err := patched(rt, with(one), ops)
		if diff := cmp.Diff(with(tt.want), got) + cmp.Diff(tt.note, strings.Join(noted, "; ")); err != nil || diff != "" {
			t.Errorf("%s: %v %s", tt.ref, err, diff)
		}
	}
	got, _, _, err := patched(rt, with(one), `[{"op":"remove","path":"manager.$ref"}]`)
	if diff := cmp.Diff(with(`{"value":"m1"}`), got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestPatchMembers(t *testing.T) {
	t.Parallel()
	rt := newSchemas().group
	for _, tt := range []struct {
		name, ops string
		want      engine.MemberChange
		kind      elimity.ScimType
	}{
		{name: "add", ops: `[{"op":"Add","path":"members","value":[{"$ref":null,"value":"b"},{"value":"a"},{"value":"a"}]}]`, want: engine.MemberChange{Add: []string{"a", "b"}}},
		{name: "remove by filter, then add", ops: `[{"op":"remove","path":"members[value eq \"a\"]"},{"op":"add","path":"members","value":[{"value":"a"}]}]`, want: engine.MemberChange{Add: []string{"a"}}},
		{name: "add, then remove by value", ops: `[{"op":"add","path":"members","value":["a","b"]},{"op":"Remove","path":"members","value":[{"value":"a"}]}]`, want: engine.MemberChange{Add: []string{"b"}, Drop: []string{"a"}}},
		{name: "several by one filter", ops: `[{"op":"remove","path":"members[value eq \"a\" or value eq \"b\"]"}]`, want: engine.MemberChange{Drop: []string{"a", "b"}}},
		{name: "replace forgets what came before", ops: `[{"op":"add","path":"members","value":["a"]},{"op":"replace","path":"members","value":[{"value":"b"}]},{"op":"remove","path":"members[value eq \"c\"]"}]`, want: engine.MemberChange{Replace: true, Add: []string{"b"}}},
		{name: "replace by nobody", ops: `[{"op":"replace","path":"members","value":[]}]`, want: engine.MemberChange{Replace: true}},
		{name: "replace without a path", ops: `[{"op":"replace","value":{"members":[{"value":"a","display":"x"}]}}]`, want: engine.MemberChange{Replace: true, Add: []string{"a"}}},
		{name: "remove everybody", ops: `[{"op":"remove","path":"members"}]`, want: engine.MemberChange{Replace: true}},
		{name: "remove everybody, then add", ops: `[{"op":"remove","path":"members","value":null},{"op":"add","path":"members","value":"a"}]`, want: engine.MemberChange{Replace: true, Add: []string{"a"}}},
		{name: "remove nobody", ops: `[{"op":"remove","path":"members","value":[]}]`, want: engine.MemberChange{}},
		{name: "by reference", ops: `[{"op":"add","path":"members","value":[{"$ref":"https://example.org/Users/a"}]}]`, want: engine.MemberChange{Add: []string{"a"}}},
		{name: "made by a filter", ops: `[{"op":"add","path":"members[value eq \"a\"]","value":{"display":"x"}}]`, want: engine.MemberChange{Add: []string{"a"}}},

		{name: "made by a filter alone", ops: `[{"op":"add","path":"members[value eq \"a\"]","value":null}]`, want: engine.MemberChange{Add: []string{"a"}}},
		{name: "itself removed", ops: `[{"op":"remove","path":"members","value":[{"value":"r1"},{"value":"a"}]}]`, want: engine.MemberChange{Drop: []string{"a", "r1"}}},
		{name: "removed below the schema", ops: `[{"op":"remove","path":"urn:ietf:params:scim:schemas:core:2.0:Group","value":{"members":[{"value":"a"}]}}]`, want: engine.MemberChange{Drop: []string{"a"}}},
		{name: "nobody removed below the schema", ops: `[{"op":"remove","path":"urn:ietf:params:scim:schemas:core:2.0:Group","value":{"members":null}},{"op":"remove","path":"urn:ietf:params:scim:schemas:core:2.0:Group","value":{"members":[]}},{"op":"remove","path":"urn:ietf:params:scim:schemas:core:2.0:Group"}]`, want: engine.MemberChange{}},
		{name: "by an id that none can be, removed", ops: `[{"op":"remove","path":"members[value eq \"a b\"]"}]`, want: engine.MemberChange{Drop: []string{"a b"}}},

		{name: "itself", ops: `[{"op":"add","path":"members","value":[{"value":"r1"}]}]`, kind: elimity.ScimTypeInvalidValue},
		{name: "itself by a filter", ops: `[{"op":"add","path":"members[value eq \"r1\"]","value":null}]`, kind: elimity.ScimTypeInvalidValue},
		{name: "itself by a filter and a value", ops: `[{"op":"replace","path":"members[value eq \"r1\"]","value":{"display":"x"}}]`, kind: elimity.ScimTypeInvalidValue},
		{name: "nobody by a filter", ops: `[{"op":"add","path":"members[value eq \"\"]","value":null}]`, kind: elimity.ScimTypeInvalidValue},
		{name: "null by a filter", ops: `[{"op":"add","path":"members[value eq \"null\"]","value":null}]`, kind: elimity.ScimTypeInvalidValue},
		{name: "what is no id by a filter", ops: `[{"op":"add","path":"members[value eq \"a\" or value eq \"b c\"]","value":null}]`, kind: elimity.ScimTypeInvalidValue},
		{name: "what is longer than an id by a filter", ops: `[{"op":"add","path":"members[value eq \"` + strings.Repeat("x", 257) + `\"]","value":null}]`, kind: elimity.ScimTypeInvalidValue},
		{name: "without a value", ops: `[{"op":"add","path":"members","value":[{"display":"x"}]}]`, kind: elimity.ScimTypeInvalidValue},
		{name: "a number", ops: `[{"op":"add","path":"members","value":[7]}]`, kind: elimity.ScimTypeInvalidValue},
		{name: "what is in a member", ops: `[{"op":"replace","path":"members[value eq \"a\"].display","value":"x"}]`, kind: elimity.ScimTypeMutability},
		{name: "by a filter on what is not there", ops: `[{"op":"remove","path":"members[colour eq \"x\"]"}]`, kind: elimity.ScimTypeInvalidPath},
		{name: "by a filter on what is not there, beside an id", ops: `[{"op":"remove","path":"members[value eq \"a\" and colour eq \"x\"]"}]`, kind: elimity.ScimTypeInvalidPath},
		{name: "by another filter", ops: `[{"op":"remove","path":"members[type eq \"User\"]"}]`, kind: elimity.ScimTypeInvalidPath},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			doc, got, _, err := patched(rt, `{"displayName":"G"}`, tt.ops)
			if tt.kind != "" {
				if r := refusalOf(err); err == nil || r.ScimType != tt.kind {
					t.Errorf("got %+v, %v", got, err)
				}
				return
			}
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" || doc != `{"displayName":"G"}` {
				t.Errorf("%v %s %s", err, doc, diff)
			}
		})
	}
}

// TestPatchModel compares sequences of operations with a model of a resource: a map, and addresses by type.
func TestPatchModel(t *testing.T) { // Casdoor SCIM
	t.Parallel()
	rt := newSchemas().user
	rapid.Check(t, func(t *rapid.T) {
		attrs := map[string]string{"userName": "ada"}
		emails := map[string]string{}
		var ops []any
		word := rapid.StringMatching(`[a-z]{1,3}`)
		for range rapid.IntRange(1, 12).Draw(t, "operations") {
			op := map[string]any{"op": rapid.SampledFrom([]string{"add", "Replace", "REMOVE"}).Draw(t, "op")}
			remove := op["op"] == "REMOVE"
			if rapid.Bool().Draw(t, "email") {
				typ := rapid.SampledFrom([]string{"work", "home", "other"}).Draw(t, "type")
				op["path"] = fmt.Sprintf(`emails[type eq %q].value`, typ)
				if remove {
					delete(emails, typ)
				} else {
					v := word.Draw(t, "value")
					op["value"], emails[typ] = v, v
				}
			} else {
				name := rapid.SampledFrom([]string{"title", "nickName", "userName", "name.givenName", "department"}).Draw(t, "attribute")
				op["path"] = name
				switch {
				case remove && name == "userName":
					continue
				case remove:
					delete(attrs, name)
				default:
					v := word.Draw(t, "value")
					op["value"], attrs[name] = v, v
					if rapid.Bool().Draw(t, "pathless") {
						delete(op, "path")
						op["value"] = map[string]any{name: v}
					}
				}
			}
			ops = append(ops, op)
		}
		if len(ops) == 0 {
			return
		}
		text, err := json.Marshal(ops)
		if err != nil {
			t.Fatal(err)
		}
		got, _, _, err := patched(rt, `{"userName":"ada"}`, string(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		want := map[string]any{}
		for name, v := range attrs {
			switch name {
			case "name.givenName":
				want["name"] = map[string]any{"givenName": v}
			case "department":
				want[urnEnterprise] = map[string]any{"department": v}
			default:
				want[name] = v
			}
		}
		doc, err := document(got)
		if err != nil {
			t.Fatal(err)
		}
		have := map[string]string{}
		list, _ := doc["emails"].([]any)
		for _, e := range list {
			m, _ := e.(map[string]any)
			have[m["type"].(string)] = m["value"].(string)
		}
		delete(doc, "emails")
		if diff := cmp.Diff(want, doc) + cmp.Diff(emails, have); diff != "" || len(list) != len(emails) {
			t.Fatalf("%s gives %s: %s", text, got, diff)
		}
	})
}

// TestMembersModel compares collapsed operations with a set.
func TestMembersModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 0, 4)
		set := map[string]bool{}
		for _, id := range ids.Draw(t, "before") {
			set[id] = true
		}
		before := maps.Clone(set)
		var ops []memberOp
		for range rapid.IntRange(0, 6).Draw(t, "operations") {
			op := memberOp{verb: rapid.SampledFrom([]verb{verbAdd, verbReplace, verbRemove}).Draw(t, "verb"), ids: ids.Draw(t, "ids")}
			op.all = op.verb == verbReplace
			if op.verb == verbRemove && rapid.Bool().Draw(t, "everybody") {
				op.all, op.ids = true, nil
			}
			if op.all {
				clear(set)
			}
			for _, id := range op.ids {
				if op.verb == verbRemove {
					delete(set, id)
				} else {
					set[id] = true
				}
			}
			ops = append(ops, op)
		}
		change := collapse(ops)
		got := before
		if change.Replace {
			got = map[string]bool{}
		}
		for _, id := range change.Add {
			got[id] = true
		}
		for _, id := range change.Drop {
			delete(got, id)
		}
		if diff := cmp.Diff(set, got); diff != "" {
			t.Fatalf("%+v gives %+v: %s", ops, change, diff)
		}
	})
}

// FuzzPatch: whatever is sent, the result is a sound resource or a refusal, and doing it again to the same resource gives
// the same.
func FuzzPatch(f *testing.F) {
	for _, s := range []string{
		`[{"op":"Replace","path":"emails[type eq \"work\"].value","value":"x"},{"op":"add","value":{"name.givenName":"a","roles":["{\"value\":\"1\"}"]}}]`,
		`[{"op":"remove","path":"emails","value":[{"type":"work"}]},{"op":"add","path":"manager","value":[{"value":"m"}]}]`,
		`[{"op":"add","path":"emails.primary","value":"True"},{"op":"replace","path":"addresses[type eq \"work\"].locality","value":["x"]}]`,
		`[{"op":"add","path":"members","value":[{"value":"a"}]},{"op":"remove","path":"members[value eq \"b\"]"}]`,
	} {
		f.Add(s)
	}
	s := newSchemas()
	f.Fuzz(func(t *testing.T, ops string) {
		for _, rt := range []*resourceType{s.user, s.group} {
			stored := `{"active":true,"displayName":"G","emails":[{"primary":true,"type":"work","value":"a"},{"type":"home","value":"b"}],"userName":"u"}`
			if rt.kind == "group" {
				stored = `{"displayName":"G"}`
			}
			got, _, noted, err := patched(rt, stored, ops)
			if len(noted) > maxNotes {
				t.Fatalf("%d notes", len(noted))
			}
			if err != nil {
				if r := refusalOf(err); r.Status != 400 {
					t.Fatalf("%s: %v", ops, err)
				}
				continue
			}
			if again, _, _, err := patched(rt, stored, ops); err != nil || again != got {
				t.Fatalf("%s: %s, then %s %v", ops, got, again, err)
			}
			sound(t, rt, got)
		}
	})
}

// sound checks what is true of every stored resource.
func sound(t *testing.T, rt *resourceType, text string) {
	t.Helper()
	doc, err := document(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	allowed := map[string]bool{}
	for _, a := range append(slices.Clone(rt.attrs), rt.extensions...) {
		allowed[a.name] = a.mutability != readOnly && a.returned != never && a.name != "members"
	}
	allowed["externalId"] = true
	for name, v := range doc {
		if !allowed[name] {
			t.Fatalf("%s holds %s", text, name)
		}
		list, isList := v.([]any)
		if m, isMap := v.(map[string]any); v == nil || v == "" || isList && len(list) == 0 || isMap && len(m) == 0 {
			t.Fatalf("%s holds an empty %s", text, name)
		}
		if onePrimary(rt.lookup(name), list) != nil {
			t.Fatalf("%s has two primary values of %s", text, name)
		}
	}
	if err := finish(rt, doc); err != nil || canonical(doc) != text {
		t.Fatalf("%s is not finished: %v", text, err)
	}
}

func BenchmarkPatch(b *testing.B) {
	rt := newSchemas().user
	const stored = `{"active":true,"displayName":"Nora","emails":[{"primary":true,"type":"work","value":"nora@example.org"}],"externalId":"e1",` +
		`"name":{"familyName":"Lind","givenName":"Nora"},"userName":"nora@example.org"}`
	for name, ops := range map[string]string{
		"active": `[{"op":"Replace","path":"active","value":"False"}]`,
		"six": `[{"op":"Replace","path":"displayName","value":"P"},{"op":"Replace","path":"emails[type eq \"work\"].value","value":"x@example.org"},` +
			`{"op":"Replace","path":"name.givenName","value":"G"},{"op":"Replace","path":"name.familyName","value":"F"},` +
			`{"op":"Replace","path":"externalId","value":"E"},{"op":"Replace","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber","value":"7"}]`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, _, err := patched(rt, stored, ops); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
