package conformance_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
)

func defectsOfWriting() []defect {
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
		{name: "has the address behind the proxy in meta.location", fails: "create-location-equal read-location",
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
	}
}
