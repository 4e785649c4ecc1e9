package scim

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
)

// discovery is the documents of RFC 7644 §4, made once. The place of the base URL in them is kept open.
type discovery struct {
	types    [][]byte
	typeOf   map[string][][]byte
	schemas  [][]byte
	schemaOf map[string][][]byte // by URN in lower case
}

// baseMark stands for the base URL in a document. No JSON text holds the byte.
const baseMark = "\x00"

func newDiscovery(s *schemas) *discovery {
	d := &discovery{typeOf: map[string][][]byte{}, schemaOf: map[string][][]byte{}}
	open := func(v any) [][]byte {
		// appendString writes the mark as an escape sequence.
		return bytes.Split(appendJSON(nil, v), []byte(`\u0000`))
	}
	var types, schemas []any
	seen := map[string]bool{}
	for _, rt := range []*resourceType{s.user, s.group} {
		t := typeDocument(rt)
		types = append(types, t)
		d.typeOf[strings.ToLower(rt.name)] = open(t)
		all := []any{schemaDocument(rt.urn, rt.name, rt.description, rt.attrs)} // the common attributes are in no schema
		for _, e := range rt.extensions {
			all = append(all, schemaDocument(e.name, extensionName(e), e.description, e.subs))
		}
		for _, doc := range all {
			urn, _ := doc.(map[string]any)["id"].(string)
			if !seen[urn] {
				seen[urn] = true
				schemas = append(schemas, doc)
				d.schemaOf[strings.ToLower(urn)] = open(doc)
			}
		}
	}
	d.types = open(listDocument(types))
	d.schemas = open(listDocument(schemas))
	return d
}

func listDocument(list []any) any {
	return map[string]any{
		"schemas": []string{urnList}, "totalResults": len(list), "itemsPerPage": len(list), "startIndex": 1, "Resources": list,
	}
}

// providerDocument says what this server does (RFC 7643 §5), and nothing else.
func providerDocument() any {
	yes, no := map[string]any{"supported": true}, map[string]any{"supported": false}
	return map[string]any{
		"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"},
		"patch":   yes,
		// Each source puts its own figures here.
		"bulk":           map[string]any{"supported": true},
		"filter":         yes,
		"changePassword": no,
		"sort":           yes,
		"etag":           yes,
		"authenticationSchemes": []any{map[string]any{
			"type": "oauthbearertoken", "name": "Bearer token", "primary": true,
			"description": "A token made by the operator, in the Authorization header (RFC 6750).",
			"specUri":     "https://www.rfc-editor.org/rfc/rfc6750",
		}},
		"meta": map[string]any{"resourceType": "ServiceProviderConfig", "location": baseMark + "/ServiceProviderConfig"},
	}
}

func typeDocument(rt *resourceType) any {
	doc := map[string]any{
		"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:ResourceType"},
		"id":      rt.name, "name": rt.name, "endpoint": rt.endpoint, "description": rt.description, "schema": rt.urn,
		"meta": map[string]any{"resourceType": "ResourceType", "location": baseMark + "/ResourceTypes/" + rt.name},
	}
	var extensions []any
	for _, e := range rt.extensions {
		extensions = append(extensions, map[string]any{"schema": e.name, "required": false})
	}
	if extensions != nil {
		doc["schemaExtensions"] = extensions
	}
	return doc
}

func schemaDocument(urn, name, description string, attrs []*attribute) any {
	return map[string]any{
		"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:Schema"},
		"id":      urn, "name": name, "description": description,
		"attributes": attributeDocuments(attrs),
		"meta":       map[string]any{"resourceType": "Schema", "location": baseMark + "/Schemas/" + urn},
	}
}

func extensionName(e *attribute) string {
	switch e.name {
	case urnEnterprise:
		return "Enterprise User"
	case URNLifecycle:
		return "Lifecycle User"
	}
	return e.title
}

func attributeDocuments(attrs []*attribute) []any {
	list := make([]any, 0, len(attrs))
	for _, a := range attrs {
		doc := map[string]any{
			"name": a.name, "type": a.typ, "multiValued": a.multi, "description": a.description, "required": a.required,
			"caseExact": a.caseExact, "mutability": a.mutability, "returned": a.returned, "uniqueness": a.uniqueness,
		}
		if a.typ == typeDateTime && a.parent != nil && a.parent.name == URNLifecycle {
			// A dateTime has both date and time (RFC 7643 §2.3.5), and we take a date alone. The example is where tools
			// that make up values look for one.
			doc["type"], doc["canonicalValues"] = typeString, []string{"2026-12-31T17:00:00Z"}
		}
		if len(a.canonical) > 0 {
			doc["canonicalValues"] = a.canonical
		}
		if len(a.references) > 0 {
			doc["referenceTypes"] = a.references
		}
		if len(a.subs) > 0 {
			doc["subAttributes"] = attributeDocuments(a.subs)
		}
		list = append(list, doc)
	}
	return list
}

// discoveryRoute answers GET of a discovery endpoint. Paging and sorting are ignored, a filter is refused (RFC 7644 §4).
func (q *request) discoveryRoute(head, id string) error {
	d := q.h.discovery
	var route string
	var doc [][]byte
	switch head {
	case "serviceproviderconfig":
		route, doc = "/ServiceProviderConfig", q.source.config
		if id != "" {
			doc = nil
		}
	case "resourcetypes":
		route, doc = "/ResourceTypes", d.types
		if id != "" {
			route, doc = "/ResourceTypes/{id}", d.typeOf[strings.ToLower(id)]
		}
	case "schemas":
		route, doc = "/Schemas", d.schemas
		if id != "" {
			route, doc = "/Schemas/{id}", d.schemaOf[strings.ToLower(id)]
		}
	}
	return q.method(route, on{"GET", func() error {
		values, err := q.parameters()
		switch {
		case err != nil:
			return err
		case first(values["filter"]) != "":
			return refuse(http.StatusForbidden, "", "Discovery cannot be filtered.")
		case doc == nil:
			return notFound("There is no such document.")
		}
		base := appendString(nil, q.base)
		body := bytes.Join(doc, base[1:len(base)-1])
		q.w.Header().Set("Content-Type", q.answerType())
		q.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		q.w.WriteHeader(http.StatusOK)
		q.w.Write(body) //nolint:errcheck // the client has gone; there is nobody to tell
		return nil
	}})
}
