package conformance_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
)

func defectsOfPatching() []defect {
	return []defect{
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
