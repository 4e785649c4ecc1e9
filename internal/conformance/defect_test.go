package conformance_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
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
	return slices.Concat(defectsOfWriting(), defectsOfReading(), defectsOfPatching())
}
