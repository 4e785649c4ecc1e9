package conformance

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

func discoveryChecks() []check {
	return []check{
		must("config-present", "7644 §4", "R141", nothing, "GET /ServiceProviderConfig answers with the service provider's configuration",
			func(_ context.Context, p *probe) error {
				if err := present(p.server.config); err != nil {
					return err
				}
				return lists(p.server.config, urnConfig)
			}),
		must("config-complete", "7643 §5", "R144", nothing, "the configuration says for every feature whether it is supported, with the figures that go with it", configComplete),
		must("config-media-type", "7644 §3.1, §8.1", "R11", nothing, "answers are application/scim+json",
			func(_ context.Context, p *probe) error {
				if err := present(p.server.config); err != nil {
					return err
				}
				return same("the media type of "+p.server.config.op, p.server.config.media(), mediaSCIM)
			}),
		should("accept-json", "7644 §3.8", "R11", nothing, "a client that accepts only application/json is served",
			func(ctx context.Context, p *probe) error {
				a, err := p.do(ctx, request{method: "GET", path: "/Users?count=1", accept: mediaJSON})
				if err != nil {
					return err
				}
				if a.status == http.StatusNotAcceptable || a.doc == nil {
					return wrong("a JSON object", "%s", a.brief())
				}
				return nil
			}),
		must("types-present", "7644 §4, RFC 7643 §6", "R141 R145", nothing, "GET /ResourceTypes lists what there is: name, endpoint and schema of each",
			func(_ context.Context, p *probe) error {
				return documents(p.server.types, "name", "endpoint", "schema")
			}),
		must("type-single", "7644 §4", "R143", nothing, "each resource type can be read by itself",
			func(ctx context.Context, p *probe) error {
				for _, doc := range listed(p.server.types) {
					id, _ := doc["id"].(string)
					if id == "" {
						id, _ = doc["name"].(string)
					}
					if err := p.single(ctx, "/ResourceTypes/"+url.PathEscape(id), "name", doc["name"]); err != nil {
						return err
					}
				}
				return some(p.server.types)
			}),
		must("type-unknown", "7644 §4", "R143", nothing, "a resource type that does not exist is 404",
			func(ctx context.Context, p *probe) error { return p.missing(ctx, "/ResourceTypes/"+p.nobody()) }),
		must("schemas-present", "7644 §4, RFC 7643 §7", "R141 R146", nothing, "GET /Schemas lists the schemas with their attributes",
			func(_ context.Context, p *probe) error { return documents(p.server.catalogue, "id", "attributes") }),
		must("schema-single", "7644 §4", "R143", nothing, "each schema can be read by its URN",
			func(ctx context.Context, p *probe) error {
				for _, doc := range listed(p.server.catalogue) {
					id, _ := doc["id"].(string)
					if err := p.single(ctx, "/Schemas/"+url.PathEscape(id), "id", id); err != nil {
						return err
					}
				}
				return some(p.server.catalogue)
			}),
		must("schema-unknown", "7644 §4", "R143", nothing, "a schema that does not exist is 404",
			func(ctx context.Context, p *probe) error { return p.missing(ctx, "/Schemas/urn:example:"+p.nobody()) }),
		must("schemas-match-types", "7643 §6", "R145", schemas, "every schema that a resource type names is one of /Schemas", schemasMatchTypes),
		must("schema-attributes", "7643 §7", "R146", schemas, "every attribute has a name, a type and characteristics that exist", schemaAttributes),
		should("schema-core", "7643 §8.7.1", "R23 R146", schemas, "the core attributes have the characteristics of the RFC", schemaCore),
		should("discovery-methods", "7644 §4, RFC 9110 §15.5.6", "R141 R135", write, "discovery can only be read: other methods are 405", discoveryMethods),
		should("discovery-filter", "7644 §4", "R142", nothing, "a filter on a discovery endpoint is 403",
			func(ctx context.Context, p *probe) error {
				if err := some(p.server.types); err != nil {
					return err
				}
				a, err := p.get(ctx, query("/ResourceTypes", "filter", `name eq "User"`))
				if err != nil {
					return err
				}
				return a.is(http.StatusForbidden)
			}),
		must("discovery-paging", "7644 §4", "R142", nothing, "paging and sorting parameters are ignored at discovery",
			func(ctx context.Context, p *probe) error {
				if err := some(p.server.types); err != nil {
					return err
				}
				a, err := p.get(ctx, query("/ResourceTypes", "startIndex", "2", "count", "0", "sortBy", "name"))
				if err != nil {
					return err
				}
				list, err := a.list()
				if err != nil {
					return err
				}
				return same("the number of resource types", len(list), len(listed(p.server.types)))
			}),
		must("unknown-endpoint", "7644 §3.12", "R135", nothing, "an endpoint that does not exist is 404",
			func(ctx context.Context, p *probe) error { return p.missing(ctx, "/"+p.nobody()) }),
		must("truthful-patch", "7644 §3.5.2, §4", "R144", write, "PATCH works as the configuration announces it", truthfulPatch),
		must("truthful-bulk", "7644 §3.7", "R124 R144", write, "bulk requests work as the configuration announces them", truthfulBulk),
		must("truthful-filter", "7644 §3.4.2.2", "R70 R144", nothing, "filters work as the configuration announces them: where there are none, a filter is refused", truthfulFilter),
		must("truthful-etag", "7644 §3.14", "R144", write|etags, "ETags are there when the configuration announces them",
			func(ctx context.Context, p *probe) error {
				u, err := p.person(ctx)
				if err != nil {
					return err
				}
				a, err := p.get(ctx, u.path())
				if err != nil {
					return err
				}
				if a.header.Get("ETag") == "" {
					return wrong("a header ETag", "%s, without one", a.brief())
				}
				return nil
			}),
	}
}

// present wants 200 with an object.
func present(a *answer) error {
	if a == nil {
		return wrong("status 200", "no answer")
	}
	return a.found()
}

// lists wants the URN in schemas.
func lists(a *answer, urn string) error {
	list, _ := a.doc["schemas"].([]any)
	if slices.Contains(list, any(urn)) {
		return nil
	}
	return wrong("schemas has "+urn, "%s: schemas is %s", a.op, show(a.doc["schemas"]))
}

func some(a *answer) error {
	if len(listed(a)) == 0 {
		return skip("there is none")
	}
	return nil
}

// documents wants a list whose members have what is required.
func documents(a *answer, required ...string) error {
	if err := present(a); err != nil {
		return err
	}
	list, err := a.list()
	if err != nil {
		return err
	}
	if err := lists(a, urnList); err != nil {
		return err
	}
	if len(list) == 0 {
		return wrong("at least one", "%s: none", a.op)
	}
	for _, doc := range list {
		for _, k := range required {
			if empty(doc[k]) {
				return wrong("each has "+k, "%s: %s has none", a.op, show(doc["id"]))
			}
		}
	}
	return nil
}

func (p *probe) single(ctx context.Context, path, key string, want any) error {
	a, err := p.get(ctx, path)
	if err != nil {
		return err
	}
	if err := a.found(); err != nil {
		return err
	}
	return same(key+" of "+a.op, a.doc[key], want)
}

func (p *probe) missing(ctx context.Context, path string) error {
	a, err := p.get(ctx, path)
	if err != nil {
		return err
	}
	return a.is(http.StatusNotFound)
}

func configComplete(_ context.Context, p *probe) error {
	c := p.server.config
	if c == nil || c.status != http.StatusOK || c.doc == nil {
		return skip("there is no configuration")
	}
	for _, feature := range []string{"patch", "bulk", "filter", "changePassword", "sort", "etag"} {
		if _, ok := at(c.doc, feature, "supported").(bool); !ok {
			return wrong(feature+".supported is true or false", "it is %s", show(at(c.doc, feature, "supported")))
		}
	}
	for _, figure := range [][]string{{"bulk", "maxOperations"}, {"bulk", "maxPayloadSize"}, {"filter", "maxResults"}} {
		if n, ok := at(c.doc, figure...).(float64); !ok || n < 0 || n != float64(int64(n)) {
			return wrong(strings.Join(figure, ".")+" is a number", "it is %s", show(at(c.doc, figure...)))
		}
	}
	if _, ok := c.doc["authenticationSchemes"].([]any); !ok {
		return wrong("authenticationSchemes is an array", "it is %s", show(c.doc["authenticationSchemes"]))
	}
	return nil
}

func schemasMatchTypes(_ context.Context, p *probe) error {
	if err := some(p.server.types); err != nil {
		return err
	}
	for _, doc := range listed(p.server.types) {
		urns := []any{doc["schema"]}
		for _, e := range elements(doc, "schemaExtensions") {
			urns = append(urns, e["schema"])
		}
		for _, urn := range urns {
			if s, _ := urn.(string); p.server.schemas[s] == nil {
				return wrong("/Schemas has what resource type "+show(doc["name"])+" names", "it does not have %s", show(urn))
			}
		}
	}
	return nil
}

func schemaAttributes(_ context.Context, p *probe) error {
	for _, doc := range listed(p.server.catalogue) {
		if err := characteristics(fmt.Sprint(doc["id"]), doc, "attributes", 0); err != nil {
			return err
		}
	}
	return nil
}

func characteristics(where string, doc map[string]any, key string, depth int) error {
	for _, a := range elements(doc, key) {
		name, _ := a["name"].(string)
		if name == "" {
			return wrong("every attribute has a name", "one of %s has none", where)
		}
		full := where + "." + name
		for k, allowed := range map[string][]string{
			"type":       {"string", "boolean", "decimal", "integer", "dateTime", "binary", "reference", "complex"},
			"mutability": {"readOnly", "readWrite", "immutable", "writeOnly"},
			"returned":   {"always", "never", "default", "request"},
			"uniqueness": {"none", "server", "global"},
		} {
			v, given := a[k]
			if s, _ := v.(string); k == "type" && !given || given && !slices.Contains(allowed, s) {
				return wrong(k+" of "+full+" is one of "+strings.Join(allowed, ", "), "it is %s", show(v))
			}
		}
		for _, k := range []string{"multiValued", "required", "caseExact"} {
			if _, ok := a[k].(bool); a[k] != nil && !ok {
				return wrong(k+" of "+full+" is true or false", "it is %s", show(a[k]))
			}
		}
		if depth > 0 && a["type"] == "complex" {
			return wrong("a sub-attribute is not complex (RFC 7643 §2.3.8)", "%s is", full)
		}
		if err := characteristics(full, a, "subAttributes", depth+1); err != nil {
			return err
		}
	}
	return nil
}

// schemaCore compares what clients decide by.
func schemaCore(_ context.Context, p *probe) error {
	doc := p.server.schemas[urnUser]
	if doc == nil {
		return skip("there is no schema %s", urnUser)
	}
	for _, want := range []struct {
		name, key string
		value     any
	}{
		{"userName", "required", true},
		{"userName", "uniqueness", "server"},
		{"userName", "caseExact", false},
		{"password", "mutability", "writeOnly"},
		{"password", "returned", "never"},
		{"groups", "mutability", "readOnly"},
		{"emails", "multiValued", true},
		{"emails", "type", "complex"},
		{"name", "type", "complex"},
		{"active", "type", "boolean"},
	} {
		a := element(doc, "attributes", "name", want.name)
		if a == nil {
			continue // a server need not have all of them
		}
		if err := same(want.key+" of "+want.name, a[want.key], want.value); err != nil {
			return err
		}
	}
	return nil
}

func discoveryMethods(ctx context.Context, p *probe) error {
	for _, path := range []string{"/ServiceProviderConfig", "/ResourceTypes", "/Schemas"} {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
			r := request{method: method, path: path}
			if method != "DELETE" {
				r.body = map[string]any{}
			}
			a, err := p.do(ctx, r)
			if err != nil {
				return err
			}
			if err := a.is(http.StatusMethodNotAllowed); err != nil {
				return err
			}
		}
	}
	return nil
}

func truthfulPatch(ctx context.Context, p *probe) error {
	if present(p.server.config) != nil {
		return skip("there is no configuration")
	}
	u, err := p.newUser(ctx)
	if err != nil {
		return err
	}
	a, err := p.patch(ctx, u, op("replace", "displayName", "Ada Lind"))
	if err != nil {
		return err
	}
	if !p.server.patch {
		return mild(a.is(501, 405))
	}
	p.believe(patch, "PATCH", a)
	return a.is(200, 204)
}

func truthfulBulk(ctx context.Context, p *probe) error {
	if present(p.server.config) != nil {
		return skip("there is no configuration")
	}
	body := map[string]any{"schemas": []any{urnBulk}, "Operations": []any{
		map[string]any{"method": "DELETE", "path": "/Users/" + p.nobody()},
	}}
	a, err := p.do(ctx, request{method: "POST", path: "/Bulk", body: body})
	if err != nil {
		return err
	}
	if !p.server.bulk {
		return mild(a.is(http.StatusNotImplemented))
	}
	p.believe(bulk, "bulk requests", a)
	return a.is(200)
}

// believe notes that a feature is announced and not there: all that needs it would fail for that one reason.
func (p *probe) believe(feature need, name string, a *answer) {
	if a.status == 404 || a.status == 405 || a.status == 501 {
		if p.server.lies == nil {
			p.server.lies = map[need]string{}
		}
		p.server.lies[feature] = fmt.Sprintf("the server announces %s and answers %d", name, a.status)
	}
}

func truthfulFilter(ctx context.Context, p *probe) error {
	a, err := p.get(ctx, query("/Users", "filter", "userName eq "+quoted(p.nobody()), "count", "10"))
	if err != nil {
		return err
	}
	if !p.server.filter {
		return a.refused("invalidFilter", 403, 501)
	}
	if a.status == 400 || a.status == 403 || a.status >= 500 {
		return a.is(200)
	}
	return nil
}
