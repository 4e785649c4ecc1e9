package conformance

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// URNs of schemas and messages.
const (
	urnUser       = "urn:ietf:params:scim:schemas:core:2.0:User"
	urnGroup      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	urnEnterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	urnConfig     = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
	urnList       = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	urnError      = "urn:ietf:params:scim:api:messages:2.0:Error"
	urnPatch      = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	urnSearch     = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
	urnBulk       = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
)

// server is what the discovery documents say. Where there are none, the server is taken to do what most requests of
// identity providers need, PATCH and filters, and nothing else that is optional.
type server struct {
	config, types, catalogue *answer // the three documents; nil: no answer
	patch, filter            bool
	sort, etag, bulk, cursor bool
	groups, enterprise       bool
	lies                     map[need]string // what is announced and not there
	maxOperations            int
	schemas                  map[string]map[string]any // by URN
}

// attribute is one of a schema.
type attribute struct {
	schema, name, kind, mutability, returned, uniqueness string
	multi, canonical                                     bool
}

// learn reads the discovery documents. What is wrong with them is for the checks.
func (p *probe) learn(ctx context.Context) {
	s := &p.server
	read := func(path string) *answer {
		a, err := p.get(ctx, path)
		if err != nil {
			return nil
		}
		return a
	}
	s.config, s.types, s.catalogue = read("/ServiceProviderConfig"), read("/ResourceTypes"), read("/Schemas")
	s.patch, s.filter = true, true
	if c := s.config; c != nil && c.status == http.StatusOK && c.doc != nil {
		says := func(feature string) bool { return at(c.doc, feature, "supported") == true }
		s.patch, s.filter, s.sort, s.etag, s.bulk = says("patch"), says("filter"), says("sort"), says("etag"), says("bulk")
		s.cursor = at(c.doc, "pagination", "cursor") == true
		if n, ok := at(c.doc, "bulk", "maxOperations").(float64); ok {
			s.maxOperations = int(n)
		}
	}
	s.schemas = map[string]map[string]any{}
	for _, doc := range listed(s.catalogue) {
		if urn, ok := doc["id"].(string); ok {
			s.schemas[urn] = doc
		}
	}
	s.enterprise = s.schemas[urnEnterprise] != nil
	types := listed(s.types)
	for _, doc := range types {
		endpoint, _ := doc["endpoint"].(string)
		if strings.HasSuffix(endpoint, "/Groups") || endpoint == "Groups" {
			s.groups = true
		}
		for _, e := range elements(doc, "schemaExtensions") {
			if e["schema"] == urnEnterprise {
				s.enterprise = true
			}
		}
	}
	if len(types) == 0 {
		a := read("/Groups?count=1")
		s.groups = a != nil && a.status == http.StatusOK
	}
}

// listed are the resources of a list answer, as far as they can be read. A bare array, which some servers answer, is
// for the check of the list.
func listed(a *answer) []map[string]any {
	if a == nil || a.status != http.StatusOK {
		return nil
	}
	return elements(a.doc, "Resources")
}

// attributes are those of one schema.
func (s *server) attributes(urn string) []attribute {
	var out []attribute
	for _, m := range elements(s.schemas[urn], "attributes") {
		text := func(k, otherwise string) string {
			v, _ := m[k].(string)
			return orElse(v, otherwise)
		}
		// RFC 7643 §2.2 has the defaults.
		out = append(out, attribute{
			schema: urn, name: text("name", ""), kind: text("type", "string"), mutability: text("mutability", "readWrite"),
			returned: text("returned", "default"), uniqueness: text("uniqueness", "none"), multi: m["multiValued"] == true,
			canonical: !empty(m["canonicalValues"]),
		})
	}
	return out
}

// defaultAttributes stand in for a core schema that the server does not show.
func defaultAttributes() []attribute {
	var out []attribute
	for _, name := range []string{"displayName", "nickName", "title", "userType", "preferredLanguage", "locale", "timezone"} {
		out = append(out, attribute{schema: urnUser, name: name, kind: "string", mutability: "readWrite", returned: "default", uniqueness: "none"})
	}
	return out
}

// query is a path with parameters, name and value in turn.
func query(path string, pairs ...string) string {
	var parts []string
	for i := 0; i+1 < len(pairs); i += 2 {
		parts = append(parts, pairs[i]+"="+url.QueryEscape(pairs[i+1]))
	}
	if len(parts) == 0 {
		return path
	}
	return path + "?" + strings.Join(parts, "&")
}
