package scim_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"jmld/scim"
)

// BenchmarkRequest measures whole requests without the network, from several clients at once, with durable commit.
func BenchmarkRequest(b *testing.B) {
	for _, back := range backends() {
		p := open(b, back)
		p.token(b, "entra", "laptop", secret, nil)
		h := scim.New(scim.Options{Sources: []scim.Source{{Name: "entra"}}, Pusher: p.Engine, Resources: p.Store, Tokens: p.Store})
		do := func(method, target, body string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(method, "/scim/entra/v2"+target, strings.NewReader(body))
			r.Header.Set("Authorization", "Bearer "+secret)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w
		}
		const people = 200
		ids := make([]string, people)
		for i := range ids {
			w := do("POST", "/Users", person(-i-1))
			if w.Code != http.StatusCreated {
				b.Fatal(w.Body)
			}
			location := w.Header().Get("Location")
			ids[i] = location[strings.LastIndexByte(location, '/')+1:]
		}
		var n atomic.Int64
		for _, bench := range []struct {
			name   string
			run    func(i int) *httptest.ResponseRecorder
			status int
		}{
			{"create", func(i int) *httptest.ResponseRecorder { return do("POST", "/Users", person(i)) }, http.StatusCreated},
			{"patch", func(i int) *httptest.ResponseRecorder {
				return do("PATCH", "/Users/"+ids[i%people], fmt.Sprintf(`{"Operations":[{"op":"Replace","path":"active","value":"%t"}]}`, i/people%2 == 0))
			}, http.StatusOK},
			{"lookup", func(i int) *httptest.ResponseRecorder {
				return do("GET", fmt.Sprintf("/Users?filter=userName%%20eq%%20%%22person%d@example.org%%22", -(i%people)-1), "")
			}, http.StatusOK},
			{"read", func(i int) *httptest.ResponseRecorder { return do("GET", "/Users/"+ids[i%people], "") }, http.StatusOK},
		} {
			b.Run(back.name+"/"+bench.name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetParallelism(4)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if w := bench.run(int(n.Add(1))); w.Code != bench.status {
							b.Errorf("%d %s", w.Code, w.Body)
							return
						}
					}
				})
			})
		}
	}
}

func person(i int) string {
	return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],`+
		`"externalId":"e-%[1]d","userName":"person%[1]d@example.org","active":true,"displayName":"Person %[1]d",`+
		`"emails":[{"primary":true,"type":"work","value":"person%[1]d@example.org"}],"name":{"familyName":"Person","givenName":"No %[1]d"},`+
		`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"%[1]d","department":"R&D"}}`, i)
}
