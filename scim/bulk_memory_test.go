package scim_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"jmld/scim"
)

// The largest bulk bodies there can be take a bounded multiple of their size: with references in place of members, with
// operations that are nothing but values, with paths full of references.
func TestLargestBulkIsBounded(t *testing.T) { //nolint:paralleltest // it measures the memory of the process
	const size = 4 << 20
	fill := func(before, each, after string) string {
		n := (size - len(before) - len(after)) / (len(each) + 1)
		return before + strings.Repeat(each+",", n-1) + each + after
	}
	user, group := bulkUser("colleague", "ada", ""), bulkGroup("g", "G")
	bodies := map[string]string{
		"references": fill(`{"Operations":[`+user+`,{"method":"PATCH","path":"/Groups/bulkId:g","data":{"Operations":[{"op":"add","path":"members","value":[`,
			`"bulkId:colleague"`, `]}]}},`+group+`]}`),
		"members": fill(`{"Operations":[`+user+`,{"method":"POST","bulkId":"h","path":"/Groups","data":{"displayName":"H","members":[`,
			`{"value":"bulkId:colleague"}`, `]}},`+group+`]}`),
		"a path": `{"Operations":[` + user + `,{"method":"PATCH","path":"/Groups/bulkId:g","data":{"Operations":[{"op":"remove","path":"` +
			strings.Repeat(`\"bulkId:colleague\" `, (size-2000)/21) + `"}]}},` + group + `]}`,
		"many": fill(`{"Operations":[`, strings.Repeat(" ", 4300)+`{"method":"DELETE","path":"/Users/gone"}`, `]}`),
	}
	// Each of many operations refers to all others: one circle with as many references as there can be.
	var circle []string
	for i := range 550 {
		var refs []string
		for n := range 550 {
			refs = append(refs, fmt.Sprintf(`"bulkId:%d"`, n))
		}
		circle = append(circle, fmt.Sprintf(`{"method":"POST","bulkId":"%d","path":"/Groups","data":{"members":[%s]}}`, i, strings.Join(refs, ",")))
	}
	bodies["a circle"] = bulkOf(circle...)
	for name, body := range bodies {
		p := open(t, sqlite())
		p.token(t, "entra", "laptop", secret, nil)
		h := scim.New(scim.Options{Sources: []scim.Source{{Name: "entra"}}, Pusher: p.Engine, Resources: p.Store, Tokens: p.Store})
		if len(body) > size || len(body) < size*9/10 {
			t.Fatalf("%s: a body of %d bytes", name, len(body))
		}
		r := httptest.NewRequest("POST", "/scim/entra/v2/Bulk", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+secret)
		w := httptest.NewRecorder()
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		h.ServeHTTP(w, r)
		runtime.ReadMemStats(&after)
		used := (after.TotalAlloc - before.TotalAlloc) >> 20
		t.Logf("%s: %d in %d MiB: %.150s", name, w.Code, used, w.Body)
		if w.Code != http.StatusOK || used > 100 {
			t.Errorf("%s: %d with %d MiB allocated: %.300s", name, w.Code, used, w.Body)
		}
	}
}
