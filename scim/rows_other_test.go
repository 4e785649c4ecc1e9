package scim_test

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/model"
)

// HEAD is GET without a body (RFC 9110 §9.3.2); OPTIONS is no method of ours, and its 405 says which are (R135).
func TestHeadAndOptions(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite())
	id := c.create(t, "/Users", `{"userName":"ada"}`)
	for _, target := range []string{"/Users/" + id, "/Users", "/Schemas", "/ServiceProviderConfig"} {
		get := c.must(t, "GET", target, "", 200)
		head, err := c.send("HEAD", target, nil, "")
		get.header.Del("Date")
		head.header.Del("Date")
		if err != nil || head.status != 200 || len(head.body) > 0 {
			t.Errorf("HEAD %s: %v %s", target, err, head)
		}
		if diff := cmp.Diff(get.header, head.header); diff != "" {
			t.Errorf("HEAD %s: %s", target, diff)
		}
	}
	if head, err := c.send("HEAD", "/Users/nobody", nil, ""); err != nil || head.status != 404 || len(head.body) > 0 {
		t.Errorf("HEAD of nobody: %v %s", err, head)
	}
	if a := c.must(t, "OPTIONS", "/Users/"+id, "", 405); a.header.Get("Allow") != "DELETE, GET, HEAD, PATCH, PUT" {
		t.Errorf("OPTIONS: %v", a.header)
	}
}

// R23, R145, R146: each attribute is announced with all of its characteristics, and multi-valued complex ones have the parts
// that RFC 7643 §2.4 gives them.
func TestSchemasAreComplete(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite())
	kinds := []string{"string", "boolean", "decimal", "integer", "dateTime", "binary", "reference", "complex"}
	var check func(where string, list []any)
	check = func(where string, list []any) {
		for _, e := range list {
			a, _ := e.(map[string]any)
			name, _ := a["name"].(string)
			where := where + " " + name
			for key, values := range map[string][]string{
				"mutability": {"readOnly", "readWrite", "immutable", "writeOnly"}, "returned": {"always", "never", "default", "request"},
				"uniqueness": {"none", "server", "global"}, "type": kinds,
			} {
				if v, _ := a[key].(string); !slices.Contains(values, v) {
					t.Errorf("%s: %s is %v", where, key, a[key])
				}
			}
			for _, key := range []string{"multiValued", "required", "caseExact"} {
				if _, ok := a[key].(bool); !ok {
					t.Errorf("%s: %s is %v", where, key, a[key])
				}
			}
			if s, _ := a["description"].(string); s == "" || name == "" {
				t.Errorf("%s: no description", where)
			}
			subs, _ := a["subAttributes"].([]any)
			if (a["type"] == "complex") != (len(subs) > 0) {
				t.Errorf("%s: type %v with %d sub-attributes", where, a["type"], len(subs))
			}
			names := map[string]bool{}
			for _, s := range subs {
				sub, _ := s.(map[string]any)["name"].(string)
				names[sub] = true
			}
			reference := name == "groups" || name == "members"
			if a["type"] == "complex" && a["multiValued"] == true && name != "addresses" {
				if !names["value"] || !names["display"] || !names["type"] || names["primary"] == reference || names["$ref"] != reference {
					t.Errorf("%s: has %v", where, names)
				}
			}
			check(where, subs)
		}
	}
	list, _ := c.must(t, "GET", "/Schemas", "", 200).at("Resources").([]any)
	for _, s := range list {
		m, _ := s.(map[string]any)
		urn, _ := m["id"].(string)
		attributes, _ := m["attributes"].([]any)
		if len(attributes) == 0 || m["name"] == "" {
			t.Errorf("%s: %v", urn, m)
		}
		check(urn, attributes)
	}
}

// R8: the password of a person and the tokens of clients are nowhere in the database, whichever it is. (TestLogHasNoSecretsAndNoValues
// looks into the bytes of the SQLite file.)
func TestPasswordsAreNotStored(t *testing.T) {
	t.Parallel()
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, b)
			id := c.create(t, "/Users", `{"userName":"ada","password":"correct horse"}`)
			c.must(t, "PUT", "/Users/"+id, `{"userName":"ada","password":"correct horse"}`, 200)
			c.must(t, "PATCH", "/Users/"+id, `{"Operations":[{"op":"replace","value":{"password":"battery staple"}}]}`, 200)
			rec, err := c.Record(t.Context(), "entra", model.KindUser, id)
			if err != nil || rec.Attrs != `{"active":true,"userName":"ada"}` {
				t.Errorf("%v %s", err, rec.Attrs)
			}
			tokens, err := c.Tokens(t.Context(), "entra")
			if err != nil || len(tokens) != 1 || bytes.Contains(tokens[0].Hash, []byte(secret)) || len(tokens[0].Hash) != 32 {
				t.Errorf("%v %+v", err, tokens)
			}
		})
	}
}

// R3: who is not let in is told how one is, as a SCIM error. R147: discovery is no exception.
func TestNobodyIsLetInWithoutCredentials(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite())
	for _, target := range []string{"/Users", "/Users/1", "/ServiceProviderConfig", "/Schemas", "/ResourceTypes/User", "/Bulk", "/Me", "/"} {
		a, err := c.send("GET", target, http.Header{"Authorization": {"non-token"}}, "")
		if err != nil || a.status != 401 || a.wellFormed() != nil || a.at("status") != "401" || !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer ") {
			t.Errorf("%s: %v %s %v", target, err, a, a.header)
		}
	}
}
