package conformance_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
)

func defectsOfReading() []defect {
	return []defect{
		{name: "counts itemsPerPage wrong", fails: "page-items",
			wrap: onAnswer(func(r *http.Request, _ *httptest.ResponseRecorder, doc map[string]any) {
				if _, ok := doc["itemsPerPage"]; ok && !r.URL.Query().Has("cursor") {
					doc["itemsPerPage"] = 100
				}
			})},
		{name: "counts the page as the total", fails: "page-total",
			wrap: onAnswer(func(_ *http.Request, _ *httptest.ResponseRecorder, doc map[string]any) {
				if list, ok := doc["Resources"].([]any); ok && len(list) > 0 && doc["totalResults"] != nil {
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
	}
}
