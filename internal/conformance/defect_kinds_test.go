package conformance_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
)

// echoPassword answers a resource with the password that was set.
func echoPassword(next http.Handler) http.Handler {
	var mu sync.Mutex
	known := map[any]any{}
	return onAnswer(func(r *http.Request, rec *httptest.ResponseRecorder, doc map[string]any) {
		mu.Lock()
		defer mu.Unlock()
		_, body := readBody(r)
		given := body["password"]
		for _, o := range operations(body) {
			if o["path"] == "password" {
				given = o["value"]
			}
		}
		if given != nil && rec.Code < 300 {
			known[doc["id"]] = given
		}
		if p := known[doc["id"]]; p != nil {
			doc["password"] = p
		}
	})(next)
}

// halfPatch does the operations of a PATCH one by one and stops at the first that fails.
func halfPatch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, body := readBody(r)
		setBody(r, text)
		ops := operations(body)
		if !patching(r) || len(ops) < 2 {
			next.ServeHTTP(w, r)
			return
		}
		var rec *httptest.ResponseRecorder
		for _, o := range ops {
			rec, _ = inside(next, r, "PATCH", r.URL.RequestURI(), encode(map[string]any{"schemas": body["schemas"], "Operations": []any{o}}))
			if rec.Code >= 300 {
				break
			}
		}
		send(w, rec, nil)
	})
}

// twins takes a name that is taken but for case: it is stored with a mark that no answer shows.
func twins(next http.Handler) http.Handler {
	const mark = "~twin~"
	marked := onRequest(func(r *http.Request, body map[string]any) {
		if name, _ := body["userName"].(string); r.Method == "POST" && name != strings.ToLower(name) {
			body["userName"] = name + mark
		}
	})(next)
	return onAnswer(func(_ *http.Request, _ *httptest.ResponseRecorder, doc map[string]any) {
		if name, ok := doc["userName"].(string); ok {
			doc["userName"] = strings.TrimSuffix(name, mark)
		}
	})(marked)
}

// undead answers a GET with what was there before the DELETE.
func undead(next http.Handler) http.Handler {
	var mu sync.Mutex
	last := map[string]*httptest.ResponseRecorder{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Method == "DELETE" && isUsers(r) && r.Header.Get("If-Match") == "" {
			if rec, _ := inside(next, r, "GET", r.URL.Path, nil); rec.Code == 200 {
				last[r.URL.Path] = rec
			}
		}
		if rec := last[r.URL.Path]; rec != nil && r.Method == "GET" {
			send(w, rec, nil)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// keepNames answers 409 to the name of somebody who was deleted.
func keepNames(next http.Handler) http.Handler {
	var mu sync.Mutex
	deleted := map[any]bool{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		text, body := readBody(r)
		setBody(r, text)
		switch {
		case r.Method == "DELETE":
			if _, doc := inside(next, r, "GET", r.URL.Path, nil); doc["userName"] != nil && r.Header.Get("If-Match") == "" {
				deleted[doc["userName"]] = true
			}
		case r.Method == "POST" && deleted[body["userName"]]:
			scimError(w, 409, "uniqueness")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// onlyMerge keeps on a PUT what the request does not name.
func onlyMerge(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, body := readBody(r)
		setBody(r, text)
		if r.Method == "PUT" && isUsers(r) && body["userName"] != nil {
			if rec, doc := inside(next, r, "GET", r.URL.Path, nil); rec.Code == 200 {
				for k, v := range body {
					doc[k] = v
				}
				setBody(r, encode(doc))
			}
		}
		next.ServeHTTP(w, r)
	})
}
