package scim

import (
	"encoding/json"
	"strings"
	"testing"

	elimity "github.com/elimity-com/scim/errors"
	schema "github.com/elimity-com/scim/schema"
	"github.com/google/go-cmp/cmp"

	"jmld/model"
)

// created makes the record of a POST.
func created(rt *resourceType, body string) (*model.Record, []string, error) {
	o, err := decodeObject([]byte(body), storedDepth)
	if err != nil {
		return nil, nil, err
	}
	n := &notes{}
	c := compiler{normaliser: normaliser{n, Bounds{}.filled()}, rt: rt}
	if err := c.body(o); err != nil {
		return nil, n.list, err
	}
	doc := map[string]any{}
	if err := apply(rt, doc, c.ops); err != nil {
		return nil, n.list, err
	}
	return rt.record(nil, "entra", "r1", doc, nil), n.list, nil
}

const userSchema = `"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"]`

// D-15: each dialect is read, and each reading is noted.
func TestCreateReadsDialects(t *testing.T) {
	t.Parallel()
	rt := newSchemas().user
	for _, tt := range []struct {
		name, body, want string
		noted            []string
	}{
		{"the standard", `{` + userSchema + `,"userName":"ada","active":false}`, `{"active":false,"userName":"ada"}`, nil},
		{"active is true unless it is said", `{` + userSchema + `,"userName":"ada","active":null}`, `{"active":true,"userName":"ada"}`, nil},
		{"no schemas", `{"userName":"ada"}`, `{"active":true,"userName":"ada"}`, []string{"schemas: User assumed"}},
		{"names in another case", `{` + userSchema + `,"USERNAME":"ada","Emails":[{"Value":"a@example.org","Primary":"True"}]}`,
			`{"active":true,"emails":[{"primary":true,"value":"a@example.org"}],"userName":"ada"}`, []string{`emails.primary: "True" read as true`}},
		{"everything in arrays", `{` + userSchema + `,"userName":["ada"],"active":["false"],"name":[{"givenName":["A"]}]}`,
			`{"active":false,"name":{"givenName":"A"},"userName":"ada"}`,
			[]string{"userName: array of one read as its element", "active: array of one read as its element", `active: "false" read as false`,
				"name: array of one read as its element", "name.givenName: array of one read as its element"}},
		{"empty values", `{` + userSchema + `,"userName":"ada","title":"","emails":[],"phoneNumbers":[{"value":"","type":"work"},null],"name":{"givenName":""},"addresses":null}`,
			`{"active":true,"userName":"ada"}`, nil},
		{"a manager of SCIM 1.1", `{` + userSchema + `,"userName":"ada","manager":{"managerId":"m1","displayName":"Marta"}}`,
			`{"active":true,"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"m1"}},"userName":"ada"}`,
			[]string{"manager read as an attribute of urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", "manager.managerId read as value", "schemas: urn:ietf:params:scim:schemas:extension:enterprise:2.0:User assumed"}},
		{"dotted and qualified keys", `{` + userSchema + `,"userName":"ada","name.familyName":"B","urn:ietf:params:scim:schemas:extension:enterprise:2.0:USER:department":"D"}`,
			`{"active":true,"name":{"familyName":"B"},"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"D"},"userName":"ada"}`,
			[]string{"name.familyName: path as a key read as a path", "department: path as a key read as a path",
				"schemas: urn:ietf:params:scim:schemas:extension:enterprise:2.0:User assumed"}},
		{"the same value twice", `{` + userSchema + `,"userName":"ada","emails":[{"value":"a@example.org","type":"work"},{"value":"A@example.org","type":"WORK","primary":true}]}`,
			`{"active":true,"emails":[{"primary":true,"type":"work","value":"a@example.org"}],"userName":"ada"}`, []string{"emails: the same value given twice, kept once"}},
		{"one value for many", `{` + userSchema + `,"userName":"ada","emails":"a@example.org","roles":{"value":7}}`,
			`{"active":true,"emails":[{"value":"a@example.org"}],"roles":[{"value":"7"}],"userName":"ada"}`,
			[]string{"emails: single value read as an array of one", "emails: text read as its value", "roles: single value read as an array of one", "roles.value: number read as text"}},
		{"a list as JSON in a text within a list", `{` + userSchema + `,"userName":"ada","emails":["b@example.org","[{\"value\":\"a@example.org\",\"type\":\"work\"}]"]}`,
			`{"active":true,"emails":[{"value":"b@example.org"},{"type":"work","value":"a@example.org"}],"userName":"ada"}`,
			[]string{"emails: text read as the JSON it holds", "emails: text read as its value"}},
		{"brackets that are no JSON", `{` + userSchema + `,"userName":"ada","roles":["[Sales] lead","{lead}"],"manager":"{0198f3c2-6c1e-7b56-a1b2-5a7f3c6d8e90}"}`,
			`{"active":true,"roles":[{"value":"[Sales] lead"},{"value":"{lead}"}],"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"{0198f3c2-6c1e-7b56-a1b2-5a7f3c6d8e90}"}},"userName":"ada"}`,
			[]string{"roles: text read as its value", "manager read as an attribute of urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", "manager: text read as its value",
				"schemas: urn:ietf:params:scim:schemas:extension:enterprise:2.0:User assumed"}},
		{"what nobody knows", `{` + userSchema + `,"userName":"ada","Größe":1,"urn:x:y":{"a":1},"emails":[{"value":"a@example.org","colour":"red"}]}`,
			`{"active":true,"emails":[{"value":"a@example.org"}],"userName":"ada"}`,
			[]string{"a path that is no name: ignored", "urn:x:y: unknown, ignored", "emails.colour: unknown, ignored"}},
		{"values as they are", `{` + userSchema + `,"userName":"  Ada  B ","title":"<ä&ö>","externalId":"E"}`, `{"active":true,"externalId":"E","title":"<ä&ö>","userName":"  Ada  B "}`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rec, noted, err := created(rt, tt.body)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, rec.Attrs) + cmp.Diff(tt.noted, noted); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	s := newSchemas()
	for name, body := range map[string]string{
		"no userName":               `{` + userSchema + `}`,
		"an empty userName":         `{` + userSchema + `,"userName":""}`,
		"a userName of spaces":      `{` + userSchema + `,"userName":" \t"}`,
		"an object for text":        `{` + userSchema + `,"userName":{"a":1}}`,
		"text for an object":        `{` + userSchema + `,"userName":"ada","name":"Ada"}`,
		"two primary values":        `{` + userSchema + `,"userName":"ada","emails":[{"value":"a","primary":true},{"value":"b","primary":true}]}`,
		"a boolean that is none":    `{` + userSchema + `,"userName":"ada","active":"yes"}`,
		"a certificate that is no":  `{` + userSchema + `,"userName":"ada","x509Certificates":[{"value":"%%%"}]}`,
		"an object that is cut off": `{` + userSchema + `,"userName":"ada","manager":"{\"value\":\"m1\""}`,
		"a list that is cut off":    `{` + userSchema + `,"userName":"ada","emails":["[{\"value\":\"a@example.org\"}"]}`,
		"a date that is none":       `{` + userSchema + `,"userName":"ada","startDate":"1 May"}`,
		"U+0000":                    `{` + userSchema + `,"userName":"ada\u0000"}`,
	} {
		if rec, _, err := created(s.user, body); err == nil || refusalOf(err).ScimType != elimity.ScimTypeInvalidValue {
			t.Errorf("%s: %v, %v", name, rec, err)
		}
	}
	if _, _, err := created(s.group, `{"members":[]}`); err == nil || refusalOf(err).ScimType != elimity.ScimTypeInvalidValue {
		t.Errorf("a group without a name: %v", err)
	}
}

func TestRecordHasItsKeys(t *testing.T) {
	t.Parallel()
	rec, _, err := created(newSchemas().user, `{`+userSchema+`,"userName":"Ａda.LOVELACE@example.org","displayName":"Ada  Lovelace","externalId":"E1","active":"False"}`)
	if err != nil {
		t.Fatal(err)
	}
	if len(rec.Hash) != 16 {
		t.Errorf("hash %x", rec.Hash)
	}
	rec.Hash = nil
	want := &model.Record{
		Source: "entra", ID: "r1", Kind: model.KindUser, UserName: "Ａda.LOVELACE@example.org", UserNameKey: "ada.lovelace@example.org",
		UniqueKey: "ada.lovelace@example.org", DisplayName: "Ada  Lovelace", DisplayNameKey: "ada lovelace", ExternalID: "E1",
		Attrs: `{"active":false,"displayName":"Ada  Lovelace","externalId":"E1","userName":"Ａda.LOVELACE@example.org"}`,
	}
	if diff := cmp.Diff(want, rec); diff != "" {
		t.Error(diff)
	}
}

// TestElimityAgrees has elimity's own validation look at what the normaliser made: a second opinion on types and names.
func TestElimityAgrees(t *testing.T) {
	t.Parallel()
	rec, _, err := created(newSchemas().user, `{`+userSchema+`,"userName":"ada","name":{"familyName":"B"},"emails":["a@example.org"],"active":"true","profileUrl":"https://example.org/ada",
		"phoneNumbers":[{"value":1,"type":"work","primary":"false"}],"addresses":{"streetAddress":"Storgatan 1","type":"work"},"locale":"sv","x509Certificates":[{"value":"Zm9v"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := document(rec.Attrs)
	if err != nil {
		t.Fatal(err)
	}
	if _, bad := schema.CoreUserSchema().Validate(doc); bad != nil {
		t.Errorf("%s: %v", rec.Attrs, bad)
	}
}

// Stored text that looks like a schema is no schema.
func TestSchemasAreThoseUsed(t *testing.T) {
	t.Parallel()
	rt := newSchemas().user
	plainText := canonical(map[string]any{"title": `"` + urnEnterprise + `":{`, "userName": "a"})
	if got := rt.schemasOf(plainText); len(got) != 1 {
		t.Errorf("%s uses %v", plainText, got)
	}
	if got := rt.schemasOf(canonical(map[string]any{urnEnterprise: map[string]any{"department": "D"}})); !cmp.Equal(got, []string{urnUser, urnEnterprise}) {
		t.Errorf("got %v", got)
	}
}

// R17: numbers of a custom attribute keep all their digits; an integer has no fraction.
func TestNumbersKeepTheirDigits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		typ  string
		raw  any
		want any
	}{
		{typeInteger, json.Number("9007199254740993"), json.Number("9007199254740993")},
		{typeInteger, json.Number("-0"), json.Number("-0")},
		{typeInteger, json.Number("1.0"), json.Number("1")}, // RFC 7643 §2.3.4: neither fraction nor exponent
		{typeInteger, json.Number("123456789012345678901.000"), json.Number("123456789012345678901")},
		{typeInteger, json.Number("-25E1"), json.Number("-250")},
		{typeInteger, json.Number("2500e-2"), json.Number("25")},
		{typeInteger, json.Number("0e9"), json.Number("0")},
		{typeInteger, "1e3", json.Number("1000")},
		{typeInteger, json.Number("9007199254740993e0"), nil}, // it would be another number
		{typeInteger, json.Number("1e-400"), nil},
		{typeInteger, json.Number("123456789012345678901234567890"), json.Number("123456789012345678901234567890")},
		{typeInteger, " 42 ", json.Number("42")},
		{typeInteger, json.Number("1.5"), nil},
		{typeInteger, "forty", nil},
		{typeInteger, json.Number("1e400"), nil},
		{typeInteger, true, nil},
		{typeDecimal, json.Number("0.30000000000000004441"), json.Number("0.30000000000000004441")},
		{typeDecimal, json.Number("1.50"), json.Number("1.50")},
		{typeDecimal, "1,5", nil},
		{typeDecimal, object{}, nil},
	} {
		n := normaliser{notes: &notes{}}
		got, err := n.value(&attribute{name: "size", full: "size", typ: tt.typ}, tt.raw)
		if tt.want == nil && (err == nil || refusalOf(err).ScimType != elimity.ScimTypeInvalidValue) || tt.want != nil && (err != nil || got != tt.want) {
			t.Errorf("%s %v: %v %v", tt.typ, tt.raw, got, err)
		}
	}
}

func TestSafeName(t *testing.T) {
	t.Parallel()
	if got := safeName("a\nb c\"é" + strings.Repeat("x", 100)); got != "a?b?c??"+strings.Repeat("x", 72)+"…" {
		t.Errorf("%q", got)
	}
}

func BenchmarkNormaliseUser(b *testing.B) {
	rt := newSchemas().user
	const body = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],"externalId":"e-7001",` +
		`"userName":"Nora.Lindqvist@example.org","active":true,"displayName":"Nora Lindqvist","emails":[{"primary":true,"type":"work","value":"Nora.Lindqvist@example.org"}],` +
		`"meta":{"resourceType":"User"},"name":{"formatted":"Nora Lindqvist","familyName":"Lindqvist","givenName":"Nora"},"roles":[],` +
		`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"7001","department":"R&D","manager":{"value":"m1"}}}`
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := created(rt, body); err != nil {
			b.Fatal(err)
		}
	}
}
