package conformance_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
)

// defect is a way to be wrong, and the ids of the checks that have to say so. A * at the end stands for anything.
type defect struct {
	name   string
	wrap   wrap
	fails  string
	bounds bool // the group bounds is asked, too
	alone  bool // changes what other defects are about
}

// onRequest changes requests before they are served.
func onRequest(change func(r *http.Request, body map[string]any)) wrap {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			text, body := readBody(r)
			before := string(encode(body))
			change(r, body)
			if after := encode(body); string(after) != before {
				text = after
			}
			setBody(r, text)
			next.ServeHTTP(w, r)
		})
	}
}

func readBody(r *http.Request) ([]byte, map[string]any) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, nil
	}
	var body map[string]any
	if len(text) < 1<<20 && json.Unmarshal(text, &body) != nil {
		body = nil
	}
	return text, body
}

func setBody(r *http.Request, text []byte) {
	r.Body = io.NopCloser(bytes.NewReader(text))
	r.ContentLength = int64(len(text))
}

// onQuery changes the parameters.
func onQuery(change func(r *http.Request, q url.Values)) wrap {
	return onRequest(func(r *http.Request, _ map[string]any) {
		q, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			return
		}
		before := q.Encode()
		if change(r, q); q.Encode() != before {
			r.URL.RawQuery = q.Encode()
		}
	})
}

// onAnswer changes answers. doc is nil when there is no JSON object.
func onAnswer(change func(r *http.Request, rec *httptest.ResponseRecorder, doc map[string]any)) wrap {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			text, _ := readBody(r)
			setBody(r, text)
			seen := r.Clone(r.Context())
			setBody(seen, text)
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			var doc map[string]any
			if json.Unmarshal(rec.Body.Bytes(), &doc) != nil {
				doc = nil
			}
			change(seen, rec, doc)
			send(w, rec, doc)
		})
	}
}

// onResource changes every resource in every answer.
func onResource(change func(r *http.Request, doc map[string]any)) wrap {
	return onAnswer(func(r *http.Request, _ *httptest.ResponseRecorder, doc map[string]any) {
		if doc["id"] != nil && doc["meta"] != nil {
			change(r, doc)
		}
		list, _ := doc["Resources"].([]any)
		for _, e := range list {
			if m, ok := e.(map[string]any); ok {
				change(r, m)
			}
		}
	})
}

func isUsers(r *http.Request) bool  { return strings.HasPrefix(endpoint(r), "/Users") }
func isGroups(r *http.Request) bool { return strings.HasPrefix(endpoint(r), "/Groups") }

func operations(body map[string]any) []map[string]any {
	var out []map[string]any
	list, _ := body["Operations"].([]any)
	for _, e := range list {
		if m, ok := e.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

func patching(r *http.Request) bool { return r.Method == "PATCH" }

// defects are ways to be wrong that have been seen in the field, and some that wait to be.
func defects() []defect {
	return []defect{
		{name: "ignores filters", alone: true, fails: "discovery-filter filter-* -filter-password search-type search-root group-filter group-filter-member",
			wrap: func(next http.Handler) http.Handler {
				return onQuery(func(_ *http.Request, q url.Values) { q.Del("filter") })(onRequest(func(r *http.Request, body map[string]any) {
					if strings.HasSuffix(r.URL.Path, ".search") {
						delete(body, "filter")
					}
				})(next))
			}},
		{name: "finds nobody with a filter it does not understand", fails: "filter-unknown-attribute filter-unknown-operator filter-syntax filter-parentheses filter-order-boolean",
			wrap: onAnswer(func(r *http.Request, rec *httptest.ResponseRecorder, doc map[string]any) {
				if rec.Code == 400 && r.URL.Query().Has("filter") && (isUsers(r) || isGroups(r)) {
					rec.Code = 200
					clear(doc)
					doc["schemas"], doc["totalResults"] = []any{"urn:ietf:params:scim:api:messages:2.0:ListResponse"}, 0
				}
			})},
		{name: "empties a group when one member is removed", fails: "member-remove-filter member-remove-array member-remove-stranger member-swap",
			wrap: onRequest(func(r *http.Request, body map[string]any) {
				for _, o := range operations(body) {
					path, _ := o["path"].(string)
					if verb, _ := o["op"].(string); isGroups(r) && strings.EqualFold(verb, "remove") && strings.HasPrefix(path, "members") {
						o["path"] = "members"
						delete(o, "value")
					}
				}
			})},
		{name: "empties a group when a list of members is removed", fails: "member-remove-array",
			wrap: onRequest(func(r *http.Request, body map[string]any) {
				for _, o := range operations(body) {
					if verb, _ := o["op"].(string); isGroups(r) && strings.EqualFold(verb, "remove") {
						delete(o, "value")
					}
				}
			})},
		{name: "never honours active", alone: true, fails: "create-inactive put-active patch-active dialect-false dialect-false-array dialect-pathless-active dialect-unknown-path dialect-create-string",
			wrap: onRequest(func(r *http.Request, body map[string]any) {
				if _, isMap := body["active"].(map[string]any); !isMap {
					delete(body, "active")
				}
				var kept []any
				for _, o := range operations(body) {
					value, _ := o["value"].(map[string]any)
					if o["path"] == nil {
						delete(value, "active")
					}
					if o["path"] != "active" || value != nil {
						kept = append(kept, o)
					}
				}
				if len(operations(body)) > 0 {
					if kept == nil {
						kept = []any{map[string]any{"op": "remove", "path": "nickName"}}
					}
					body["Operations"] = kept
				}
			})},
		{name: "echoes the password", fails: "create-password-hidden patch-password-hidden",
			wrap: echoPassword},
		{name: "answers a create with 200", fails: "create-status",
			wrap: onAnswer(func(_ *http.Request, rec *httptest.ResponseRecorder, _ map[string]any) {
				if rec.Code == 201 {
					rec.Code = 200
				}
			})},
		{name: "has no Location", fails: "create-location",
			wrap: onAnswer(func(_ *http.Request, rec *httptest.ResponseRecorder, _ map[string]any) { rec.Header().Del("Location") })},
		{name: "has a relative Location", fails: "create-location-absolute create-location-equal",
			wrap: onAnswer(func(r *http.Request, rec *httptest.ResponseRecorder, _ map[string]any) {
				if where := rec.Header().Get("Location"); where != "" {
					rec.Header().Set("Location", where[strings.Index(where, "/scim/"):])
				}
			})},
		{name: "has the address behind the proxy in meta.location", fails: "create-location-equal",
			wrap: onResource(func(_ *http.Request, doc map[string]any) {
				meta, ok := doc["meta"].(map[string]any)
				if !ok {
					return
				}
				where := fmt.Sprint(meta["location"])
				meta["location"] = "http://backend.internal:8080" + where[strings.Index(where, "/scim/"):]
			})},
		{name: "writes status as a number", fails: "error-status",
			wrap: onAnswer(func(_ *http.Request, rec *httptest.ResponseRecorder, doc map[string]any) {
				if rec.Code >= 400 && doc != nil {
					doc["status"] = rec.Code
				}
			})},
		{name: "answers errors with web pages", alone: true, fails: "auth-error-body create-duplicate-type error-body error-media-type",
			wrap: func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					rec := httptest.NewRecorder()
					if next.ServeHTTP(rec, r); rec.Code >= 400 {
						rec.Header().Set("Content-Type", "text/html")
						rec.Body = bytes.NewBufferString("<!doctype html><title>Oops</title><p>Something went wrong.")
					}
					send(w, rec, nil)
				})
			}},
		{name: "ignores excludedAttributes", fails: "excluded excluded-list attributes-each attributes-both group-excluded-members group-excluded-members-list",
			wrap: onQuery(func(_ *http.Request, q url.Values) { q.Del("excludedAttributes") })},
		{name: "ignores excludedAttributes for members", fails: "group-excluded-members group-excluded-members-list",
			wrap: onQuery(func(_ *http.Request, q url.Values) {
				if q.Get("excludedAttributes") == "members" {
					q.Del("excludedAttributes")
				}
			})},
		{name: "ignores attributes", alone: true, fails: "attributes attributes-list attributes-urn attributes-case attributes-sub attributes-each attributes-both attributes-unknown attributes-create attributes-patch",
			wrap: func(next http.Handler) http.Handler {
				return onQuery(func(_ *http.Request, q url.Values) { q.Del("attributes") })(next)
			}},
		{name: "does half of a PATCH", fails: "patch-atomic",
			wrap: halfPatch},
		{name: "redirects a slash too many", fails: "no-redirect",
			wrap: func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if strings.HasSuffix(r.URL.Path, "/Users/") {
						w.Header().Set("Location", strings.TrimSuffix(r.URL.Path, "/"))
						w.WriteHeader(http.StatusMovedPermanently)
						return
					}
					next.ServeHTTP(w, r)
				})
			}},
		{name: "lets everybody in", alone: true, fails: "auth-missing auth-wrong auth-wrong-write",
			wrap: onRequest(func(r *http.Request, _ map[string]any) { r.Header.Set("Authorization", "Bearer "+secret) })},
		{name: "lets in who shows no token", fails: "auth-missing",
			wrap: onRequest(func(r *http.Request, _ map[string]any) {
				if r.Header.Get("Authorization") == "" {
					r.Header.Set("Authorization", "Bearer "+secret)
				}
			})},
		{name: "has no WWW-Authenticate", fails: "auth-challenge",
			wrap: onAnswer(func(_ *http.Request, rec *httptest.ResponseRecorder, _ map[string]any) {
				rec.Header().Del("WWW-Authenticate")
			})},
		{name: "takes names that differ in case only", fails: "create-duplicate-case",
			wrap: twins},
		{name: "answers a duplicate without scimType", fails: "create-duplicate-type",
			wrap: onAnswer(func(_ *http.Request, rec *httptest.ResponseRecorder, doc map[string]any) {
				if rec.Code == 409 {
					delete(doc, "scimType")
				}
			})},
		{name: "answers a duplicate with 400", fails: "create-duplicate create-duplicate-case put-conflict patch-conflict",
			wrap: onAnswer(func(_ *http.Request, rec *httptest.ResponseRecorder, doc map[string]any) {
				if rec.Code == 409 {
					rec.Code, doc["status"] = 400, "400"
				}
			})},
		{name: "counts itemsPerPage wrong", fails: "page-items",
			wrap: onAnswer(func(r *http.Request, _ *httptest.ResponseRecorder, doc map[string]any) {
				if _, ok := doc["itemsPerPage"]; ok && !r.URL.Query().Has("cursor") {
					doc["itemsPerPage"] = 100
				}
			})},
		{name: "counts the page as the total", fails: "page-total",
			wrap: onAnswer(func(_ *http.Request, _ *httptest.ResponseRecorder, doc map[string]any) {
				if list, ok := doc["Resources"].([]any); ok && doc["totalResults"] != nil {
					doc["totalResults"] = len(list)
				}
			})},
		{name: "writes totalResults as text", fails: "page-list",
			wrap: onAnswer(func(_ *http.Request, _ *httptest.ResponseRecorder, doc map[string]any) {
				if n, ok := doc["totalResults"]; ok {
					doc["totalResults"] = fmt.Sprint(n)
				}
			})},
		{name: "answers nobody with 404", fails: "filter-none",
			wrap: onAnswer(func(r *http.Request, rec *httptest.ResponseRecorder, doc map[string]any) {
				if rec.Code == 200 && doc["totalResults"] == 0.0 && r.Method == "GET" {
					rec.Code = 404
				}
			})},
		{name: "ignores count", fails: "page-count page-walk page-count-zero page-count-negative page-not-number cursor-count",
			wrap: onQuery(func(_ *http.Request, q url.Values) { q.Del("count") })},
		{name: "ignores startIndex", fails: "page-start-index page-walk page-beyond page-not-number",
			wrap: onQuery(func(_ *http.Request, q url.Values) { q.Del("startIndex") })},
		{name: "has no order of its own", fails: "page-stable",
			wrap: func() wrap {
				var mu sync.Mutex
				asked := map[string]int{}
				return onQuery(func(r *http.Request, q url.Values) {
					mu.Lock()
					defer mu.Unlock()
					if asked[r.URL.String()]++; isUsers(r) && q.Get("count") == "3" && asked[r.URL.String()]%2 == 0 && !q.Has("sortBy") {
						q.Set("sortBy", "userName")
						q.Set("sortOrder", "descending")
					}
				})
			}()},
		{name: "ignores sortOrder", fails: "sort-descending",
			wrap: onQuery(func(_ *http.Request, q url.Values) { q.Del("sortOrder") })},
		{name: "ignores sortBy", fails: "sort-*  -sort-harmless",
			wrap: onQuery(func(_ *http.Request, q url.Values) { q.Del("sortBy") })},
		{name: "shows what was deleted", fails: "delete-read",
			wrap: undead},
		{name: "answers DELETE with 200 and a body", fails: "delete-status",
			wrap: onAnswer(func(r *http.Request, rec *httptest.ResponseRecorder, _ map[string]any) {
				if r.Method == "DELETE" && rec.Code == 204 {
					rec.Code = 200
					rec.Body = bytes.NewBufferString("{}")
				}
			})},
		{name: "keeps the names of what was deleted", fails: "delete-frees-name",
			wrap: keepNames},
		{name: "hides who is not active", fails: "inactive-read",
			wrap: onAnswer(func(r *http.Request, rec *httptest.ResponseRecorder, doc map[string]any) {
				if r.Method == "GET" && rec.Code == 200 && doc["active"] == false {
					rec.Code = 404
				}
			})},
		{name: "speaks application/json only", fails: "config-media-type read-media-type error-media-type",
			wrap: onAnswer(func(_ *http.Request, rec *httptest.ResponseRecorder, _ map[string]any) {
				rec.Header().Set("Content-Type", "application/json")
			})},
		{name: "merges on PUT", fails: "put-replace",
			wrap: onlyMerge},
		{name: "ignores what a PATCH says of one value", fails: "patch-replace-filter patch-replace-filter-whole patch-remove-filter patch-remove-filter-sub patch-invalid-path patch-primary dialect-create-by-filter",
			wrap: onRequest(func(r *http.Request, body map[string]any) {
				for _, o := range operations(body) {
					if path, _ := o["path"].(string); isUsers(r) && strings.HasPrefix(path, "emails[type") {
						o["op"], o["path"], o["value"] = "replace", "nickName", "x"
					}
				}
			})},
		{name: "appends when it should replace", fails: "patch-replace-multi member-replace member-replace-none",
			wrap: onRequest(func(_ *http.Request, body map[string]any) {
				for _, o := range operations(body) {
					if o["op"] == "replace" && (o["path"] == "emails" || o["path"] == "members") {
						o["op"] = "add"
					}
				}
			})},
		{name: "replaces when it should append", fails: "patch-add-multi patch-add-again member-add member-add-again member-swap",
			wrap: onRequest(func(_ *http.Request, body map[string]any) {
				for _, o := range operations(body) {
					if o["op"] == "add" && (o["path"] == "emails" || o["path"] == "members") {
						o["op"] = "replace"
					}
				}
			})},
		{name: "knows lower-case ops only", fails: "dialect-op-case dialect-false dialect-unknown-path dialect-manager group-external-id member-remove-array member-null-ref",
			wrap: func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					text, body := readBody(r)
					for _, o := range operations(body) {
						if s, _ := o["op"].(string); s != strings.ToLower(s) {
							scimError(w, 400, "invalidSyntax")
							return
						}
					}
					setBody(r, text)
					next.ServeHTTP(w, r)
				})
			}},
		{name: "reads every text as true", fails: "dialect-false dialect-false-array dialect-create-string",
			wrap: onRequest(func(_ *http.Request, body map[string]any) {
				if _, ok := body["active"].(string); ok {
					body["active"] = true
				}
				for _, o := range operations(body) {
					if _, isBool := o["value"].(bool); o["path"] == "active" && !isBool {
						if _, isMap := o["value"].(map[string]any); !isMap {
							o["value"] = true
						}
					}
				}
			})},
		{name: "makes a version for every PATCH", fails: "patch-unchanged",
			wrap: func() wrap {
				var mu sync.Mutex
				patches := map[any]int{}
				return onResource(func(r *http.Request, doc map[string]any) {
					mu.Lock()
					defer mu.Unlock()
					if patching(r) {
						patches[doc["id"]]++
					}
					meta, ok := doc["meta"].(map[string]any)
					if !ok {
						return
					}
					meta["lastModified"] = strings.TrimSuffix(fmt.Sprint(meta["lastModified"]), "Z") + strings.Repeat("1", patches[doc["id"]]) + "Z"
				})
			}()},
		{name: "has another version in the header", fails: "read-version",
			wrap: onAnswer(func(_ *http.Request, rec *httptest.ResponseRecorder, _ map[string]any) {
				if rec.Header().Get("ETag") != "" {
					rec.Header().Set("ETag", strings.TrimPrefix(rec.Header().Get("ETag"), "W/"))
				}
			})},
		{name: "ignores preconditions", fails: "etag-not-modified etag-several etag-put-stale etag-patch-stale etag-delete-stale",
			wrap: onRequest(func(r *http.Request, _ map[string]any) {
				r.Header.Del("If-Match")
				r.Header.Del("If-None-Match")
			})},
		{name: "writes addresses in lower case", fails: "create-roundtrip",
			wrap: onRequest(func(_ *http.Request, body map[string]any) {
				list, _ := body["emails"].([]any)
				for _, e := range list {
					if m, ok := e.(map[string]any); ok {
						m["value"] = strings.ToLower(fmt.Sprint(m["value"]))
					}
				}
			})},
		{name: "forgets externalId", fails: "create-roundtrip filter-external-id",
			wrap: onRequest(func(_ *http.Request, body map[string]any) { delete(body, "externalId") })},
		{name: "takes the client's meta", fails: "create-meta-times create-readonly put-readonly",
			wrap: func() wrap {
				return onResource(func(r *http.Request, doc map[string]any) {
					if isUsers(r) && strings.Contains(fmt.Sprint(doc["displayName"]), "Ada") {
						if meta, ok := doc["meta"].(map[string]any); ok {
							meta["created"] = "2001-01-01T00:00:00Z"
						}
					}
				})
			}()},
		{name: "lists no schemas", fails: "create-representation create-extension read-schemas patch-extension",
			wrap: onResource(func(_ *http.Request, doc map[string]any) { delete(doc, "schemas") })},
		{name: "lists the base schema only", fails: "create-extension read-schemas patch-extension",
			wrap: onResource(func(r *http.Request, doc map[string]any) {
				if list, ok := doc["schemas"].([]any); ok && isUsers(r) {
					doc["schemas"] = list[:1]
				}
			})},
		{name: "does not say who is in which group", fails: "group-of-user",
			wrap: onResource(func(_ *http.Request, doc map[string]any) { delete(doc, "groups") })},
		{name: "announces bulk and has none", alone: true, fails: "truthful-bulk",
			wrap: func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if endpoint(r) == "/Bulk" {
						scimError(w, 501, "")
						return
					}
					next.ServeHTTP(w, r)
				})
			}},
		{name: "announces PATCH and has none", alone: true, fails: "truthful-patch discovery-methods",
			wrap: func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if patching(r) {
						scimError(w, 501, "")
						return
					}
					next.ServeHTTP(w, r)
				})
			}},
		{name: "has no discovery", alone: true, fails: "config-present config-media-type types-present schemas-present discovery-methods",
			wrap: func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if p := endpoint(r); strings.HasPrefix(p, "/ServiceProviderConfig") || strings.HasPrefix(p, "/ResourceTypes") || strings.HasPrefix(p, "/Schemas") {
						scimError(w, 404, "")
						return
					}
					next.ServeHTTP(w, r)
				})
			}},
		{name: "dies of deep JSON", bounds: true, fails: "bounds-deep-json",
			wrap: func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					text, _ := readBody(r)
					if bytes.Count(text, []byte("{")) > 50_000 {
						scimError(w, 500, "")
						return
					}
					setBody(r, text)
					next.ServeHTTP(w, r)
				})
			}},
		{name: "reads a query that is broken as none", bounds: true, fails: "bounds-broken-query",
			wrap: onRequest(func(r *http.Request, _ map[string]any) {
				if _, err := url.ParseQuery(r.URL.RawQuery); err != nil {
					r.URL.RawQuery = "count=1"
				}
			})},
		{name: "loses cursors", fails: "cursor-walk",
			wrap: onAnswer(func(_ *http.Request, _ *httptest.ResponseRecorder, doc map[string]any) { delete(doc, "nextCursor") })},
		{name: "takes any cursor", fails: "cursor-invalid",
			wrap: onQuery(func(_ *http.Request, q url.Values) {
				if q.Get("cursor") == "nonsense" {
					q.Set("cursor", "")
				}
			})},
		{name: "goes on after failOnErrors", fails: "bulk-fail-on-errors",
			wrap: onRequest(func(_ *http.Request, body map[string]any) { delete(body, "failOnErrors") })},
		{name: "matches values across addresses", fails: "filter-value-path",
			wrap: onQuery(func(_ *http.Request, q url.Values) {
				q.Set("filter", strings.Replace(q.Get("filter"), `emails[type eq "work" and value sw "home."]`, `emails.type eq "work" and emails.value sw "home."`, 1))
				if q.Get("filter") == "" {
					q.Del("filter")
				}
			})},
		{name: "compares userName with case", fails: "filter-eq-case",
			wrap: onQuery(func(_ *http.Request, q url.Values) {
				if f := q.Get("filter"); strings.Contains(f, "SET-ADA") {
					q.Set("filter", strings.ReplaceAll(f, "SET-ADA", "SET-NOBODY"))
				}
			})},
	}
}
