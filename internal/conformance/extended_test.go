package conformance_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
)

// wrap is a layer around a server: what makes it offer more, or what breaks it.
type wrap func(next http.Handler) http.Handler

// inside serves a request without sending the answer.
func inside(next http.Handler, r *http.Request, method, path string, body []byte) (*httptest.ResponseRecorder, map[string]any) {
	inner := httptest.NewRequest(method, path, bytes.NewReader(body))
	inner.Header, inner.Host = r.Header.Clone(), r.Host
	inner.Header.Del("Content-Length")
	if len(body) == 0 {
		inner.Header.Del("Content-Type")
	}
	w := httptest.NewRecorder()
	next.ServeHTTP(w, inner)
	var doc map[string]any
	if json.Unmarshal(w.Body.Bytes(), &doc) != nil {
		doc = nil
	}
	return w, doc
}

// send copies an answer; a document takes the place of its body.
func send(w http.ResponseWriter, from *httptest.ResponseRecorder, doc map[string]any) {
	body := from.Body.Bytes()
	if doc != nil {
		body = encode(doc)
	}
	for k, v := range from.Header() {
		w.Header()[k] = v
	}
	w.Header().Del("Content-Length")
	w.WriteHeader(from.Code)
	w.Write(body) //nolint:errcheck // the client went away
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func scimAnswer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/scim+json")
	w.WriteHeader(status)
	w.Write(encode(v)) //nolint:errcheck // the client went away
}

func scimError(w http.ResponseWriter, status int, kind string) {
	scimAnswer(w, status, map[string]any{
		"schemas": []any{"urn:ietf:params:scim:api:messages:2.0:Error"}, "status": strconv.Itoa(status), "scimType": kind,
	})
}

func base(r *http.Request) string {
	i := strings.Index(r.URL.Path, "/v2")
	return r.URL.Path[:i+3]
}

// endpoint is the path below the base.
func endpoint(r *http.Request) string { return strings.TrimPrefix(r.URL.Path, base(r)) }

// extended offers bulk requests (RFC 7644 §3.7) and cursors (RFC 9865) on top of a server, in the simplest way, so that
// the checks about them have something to look at.
func extended(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := endpoint(r); {
		case path == "/ServiceProviderConfig" && r.Method == "GET":
			rec, doc := inside(next, r, r.Method, r.URL.RequestURI(), nil)
			if doc != nil && rec.Code == 200 {
				doc["bulk"] = map[string]any{"supported": true, "maxOperations": 20, "maxPayloadSize": 1 << 20}
				doc["pagination"] = map[string]any{"cursor": true, "index": true}
			}
			send(w, rec, doc)
		case path == "/Bulk" && r.Method == "POST":
			serveBulk(next, w, r)
		case r.Method == "GET" && r.URL.Query().Has("cursor"):
			serveCursor(next, w, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func serveCursor(next http.Handler, w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	start := 1
	if c := q.Get("cursor"); c != "" {
		text, err := base64.RawURLEncoding.DecodeString(c)
		if err == nil {
			start, err = strconv.Atoi(strings.TrimPrefix(string(text), "at "))
		}
		if err != nil {
			scimError(w, 400, "invalidCursor")
			return
		}
	}
	q.Del("cursor")
	q.Set("startIndex", strconv.Itoa(start))
	rec, doc := inside(next, r, "GET", r.URL.Path+"?"+q.Encode(), nil)
	if doc != nil && rec.Code == 200 {
		n, _ := doc["itemsPerPage"].(float64)
		total, _ := doc["totalResults"].(float64)
		delete(doc, "startIndex")
		if after := start + int(n); after <= int(total) {
			doc["nextCursor"] = base64.RawURLEncoding.EncodeToString([]byte("at " + strconv.Itoa(after)))
		}
		if start > 1 {
			doc["previousCursor"] = base64.RawURLEncoding.EncodeToString([]byte("at 1"))
		}
	}
	send(w, rec, doc)
}

func serveBulk(next http.Handler, w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	var body struct {
		FailOnErrors int
		Operations   []struct {
			Method, Path, BulkID string
			Data                 json.RawMessage
		}
	}
	if err != nil || json.Unmarshal(text, &body) != nil {
		scimError(w, 400, "invalidSyntax")
		return
	}
	if len(body.Operations) > 20 {
		scimError(w, 413, "")
		return
	}
	results := make([]any, len(body.Operations))
	made := map[string]string{}
	failed := 0
	// What refers to nobody goes first: that is all the order these requests need.
	for _, late := range []bool{false, true} {
		for i, o := range body.Operations {
			if strings.Contains(string(o.Data), "bulkId:") != late || body.FailOnErrors > 0 && failed >= body.FailOnErrors {
				continue
			}
			data := string(o.Data)
			for id, real := range made {
				data = strings.ReplaceAll(data, "bulkId:"+id, real)
			}
			res := map[string]any{"method": o.Method}
			results[i] = res
			if o.BulkID != "" {
				res["bulkId"] = o.BulkID
			} else if o.Method == "POST" {
				failed++
				res["status"] = "400"
				continue
			}
			rec, doc := inside(next, r, o.Method, base(r)+o.Path, []byte(data))
			res["status"] = fmt.Sprint(rec.Code)
			if rec.Code >= 300 {
				failed++
				res["response"] = doc
				continue
			}
			if where := rec.Header().Get("Location"); where != "" {
				res["location"] = where
				made[o.BulkID], _ = doc["id"].(string)
			}
		}
	}
	var list []any
	for _, res := range results {
		if res != nil {
			list = append(list, res)
		}
	}
	scimAnswer(w, 200, map[string]any{"schemas": []any{"urn:ietf:params:scim:api:messages:2.0:BulkResponse"}, "Operations": list})
}
