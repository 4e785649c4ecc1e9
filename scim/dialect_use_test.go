package scim_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"jmld/model"
	"jmld/scim"
)

// flush runs the handler's background work to its end, which stores what was counted.
func flush(t *testing.T, h *scim.Handler) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.Run(ctx)
}

// full refuses to store.
type full struct {
	scim.DialectUses
	refuse bool
}

func (f *full) CountDialects(ctx context.Context, uses []model.DialectUse) error {
	if f.refuse {
		return fmt.Errorf("%w: full", model.ErrUnavailable)
	}
	return f.DialectUses.CountDialects(ctx, uses)
}

// D-15: reads and writes are counted by dialect, and what was read differently with the last request it was seen in. What the
// database did not take is not lost.
func TestDialectsAreCountedAndStored(t *testing.T) {
	t.Parallel()
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, b)
			uses := &full{DialectUses: c.Store}
			h := scim.New(scim.Options{Sources: []scim.Source{{Name: "entra"}}, Pusher: c.Engine, Resources: c.Store, Tokens: c.Store, Dialects: uses})
			send := func(id, method, target, body string) string {
				t.Helper()
				r := httptest.NewRequest(method, "/scim/entra/v2"+target, strings.NewReader(body))
				r.Header.Set("Authorization", "Bearer "+secret)
				r.Header.Set("X-Request-Id", id)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if w.Code >= 300 {
					t.Fatalf("%d %s", w.Code, w.Body)
				}
				return strings.TrimPrefix(w.Header().Get("Location"), "http://example.com/scim/entra/v2/Users/")
			}
			const patchOp = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Replace","path":"active","value":"%s"}]}`
			ada := send("r1", "POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada@example.org"}`)
			send("r2", "PATCH", "/Users/"+ada, fmt.Sprintf(patchOp, "False"))
			send("r3", "PATCH", "/Users/"+ada, fmt.Sprintf(patchOp, "True"))
			uses.refuse = true
			flush(t, h)
			send("r4", "PATCH", "/Users/"+ada, fmt.Sprintf(patchOp, "False"))
			send("r5", "GET", "/Users?count=1", "")
			send("r6", "POST", "/Bulk", `{"Operations":[{"method":"PATCH","path":"/Users/`+ada+`","data":`+fmt.Sprintf(patchOp, "True")+`}]}`)
			uses.refuse = false
			flush(t, h)
			flush(t, h)
			r := httptest.NewRequest("GET", "/scim/entra/v2/Users", nil) // nobody is let in: not counted
			h.ServeHTTP(httptest.NewRecorder(), r)
			flush(t, h)
			got, err := c.Dialects(t.Context(), "entra")
			if err != nil {
				t.Fatal(err)
			}
			use := func(dialect, note string, n int, request, record string) model.DialectUse {
				return model.DialectUse{Source: "entra", Dialect: dialect, Note: note, Requests: n, RequestID: request, RecordID: record}
			}
			want := []model.DialectUse{
				use("Entra legacy PATCH", "", 4, "r6", ""), use("Entra legacy PATCH", `op: "Replace" read as "replace"`, 4, "r6", ""),
				use("Entra legacy PATCH", `active: "False" read as false`, 2, "r4", ada), use("Entra legacy PATCH", `active: "True" read as true`, 2, "r6", ""),
				use("Entra legacy PATCH", "schemas: BulkRequest assumed", 1, "r6", ""),
				use("RFC 7644", "", 2, "r5", ""),
			}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(model.DialectUse{}, "FirstAt", "LastAt")); diff != "" {
				t.Error(diff)
			}
			for _, u := range got {
				if u.FirstAt.IsZero() || u.LastAt.Before(u.FirstAt) || (u.Requests > 1) != u.FirstAt.Before(u.LastAt) {
					t.Errorf("times of %+v", u)
				}
			}
		})
	}
}

// D-15: what a strict source refused is counted as what it is, also in a bulk request and its circles; what is noted without
// another reading makes no dialect, and neither does a request that only lacks what the profiles ask for.
func TestDialectOfReadingsAndRemarks(t *testing.T) {
	t.Parallel()
	const (
		plain   = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"%s"%s}`
		circle  = `{"method":"POST","path":"/Groups","bulkId":"%s","data":{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"G","members":%s}}`
		unknown = "unknown"
		rfc     = "RFC 7644"
	)
	group := func(id, members string) string { return fmt.Sprintf(circle, id, members) }
	for _, tt := range []struct {
		name                 string
		strict               bool
		method, target, body string
		dialect              string
		notes                []string
	}{
		{"plain", true, "POST", "/Users", fmt.Sprintf(plain, "a", ""), rfc, nil},
		{"refused", true, "POST", "/Users", fmt.Sprintf(plain, "b", `,"nickName":7`), unknown, []string{"nickName: number read as text"}},
		{"refused, by its shape", true, "PATCH", "/Users/0", patchOf(`{"op":"Replace","path":"title","value":"x"}`), "Entra legacy PATCH", []string{`op: "Replace" read as "replace"`}},
		{"a refused query", true, "GET", "/Users?filter=title%20eq%207", "", unknown, []string{"filter: title compared with a number read as text"}},
		{"a query without the name of the value", true, "GET", "/Users?filter=groups%20eq%20%22x%22", "", rfc, []string{"filter: groups read as groups.value"}},
		{"what the standard has and the profiles do not", true, "PATCH", "/Users/0", patchOf(`{"op":"replace","value":{"title":"x"}}`), rfc, []string{"operation 1 has no path"}},
		{"refused in a bulk request", true, "POST", "/Bulk", bulkOf(`{"method":"POST","path":"/Users","bulkId":"u","data":` + fmt.Sprintf(plain, "c", `,"nickName":7`) + `}`), unknown, []string{"nickName: number read as text"}},
		{"refused in a circle", true, "POST", "/Bulk", bulkOf(group("a", `[{"value":"bulkId:b"}]`), group("b", `{"value":"bulkId:a"}`)), unknown, []string{"members: single value read as an array of one"}},
		{"a password", false, "POST", "/Users", fmt.Sprintf(plain, "d", `,"password":"p"`), rfc, []string{"password: accepted, not stored"}},
		{"a value given twice", false, "POST", "/Users", fmt.Sprintf(plain, "e", `,"emails":[{"value":"e@example.org"},{"value":"e@example.org"}]`), rfc, []string{"emails: the same value given twice, kept once"}},
		{"a remark in a bulk request", false, "POST", "/Bulk", bulkOf(`{"method":"POST","path":"/Users","bulkId":"u","data":` + fmt.Sprintf(plain, "f", `,"password":"p"`) + `}`), rfc, []string{"password: accepted, not stored"}},
		{"a reading in a bulk request", false, "POST", "/Bulk", bulkOf(`{"method":"POST","path":"/Users","bulkId":"u","data":` + fmt.Sprintf(plain, "g", `,"nickName":7`) + `}`), unknown, []string{"nickName: number read as text"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, sqlite())
			var kept forgetful
			h := scim.New(scim.Options{Sources: []scim.Source{{Name: "entra", Strict: tt.strict}}, Pusher: c.Engine, Resources: c.Store, Tokens: c.Store, Dialects: &kept})
			r := httptest.NewRequest(tt.method, "/scim/entra/v2"+tt.target, strings.NewReader(tt.body))
			r.Header.Set("Authorization", "Bearer "+secret)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			flush(t, h)
			want, got := []string{tt.dialect + ": "}, []string(nil)
			for _, n := range tt.notes {
				want = append(want, tt.dialect+": "+n)
			}
			for _, u := range kept.uses {
				got = append(got, u.Dialect+": "+u.Note)
			}
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s\n%d %s", diff, w.Code, w.Body)
			}
		})
	}
}

// forgetful keeps what was counted in one go.
type forgetful struct{ uses []model.DialectUse }

func (f *forgetful) CountDialects(_ context.Context, uses []model.DialectUse) error {
	f.uses = uses
	return errors.New("never stored")
}

// What a client makes up takes a bounded place, however long it cannot be stored.
func TestDialectNotesAreBounded(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite())
	var kept forgetful
	h := scim.New(scim.Options{Sources: []scim.Source{{Name: "entra"}}, Pusher: c.Engine, Resources: c.Store, Tokens: c.Store, Dialects: &kept})
	for i := range 50 {
		var ops []string
		for n := range 30 {
			ops = append(ops, fmt.Sprintf(`{"op":"add","path":"madeUp%dx%d","value":1}`, i, n))
		}
		ops = append(ops, `{"op":"add","path":"active","value":"`+strings.Repeat(" ", 1000)+`true"}`)
		r := httptest.NewRequest(http.MethodPatch, "/scim/entra/v2/Users/0", strings.NewReader(`{"Operations":[`+strings.Join(ops, ",")+`]}`))
		r.Header.Set("Authorization", "Bearer "+secret)
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != http.StatusNotFound {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		flush(t, h)
	}
	total, longest := 0, 0
	for _, u := range kept.uses {
		if total += u.Requests; u.Note == "" {
			total -= u.Requests
		}
		longest = max(longest, len(u.Note))
	}
	if len(kept.uses) != 300 || total != 50*32 || longest > 310 {
		t.Errorf("%d rows of %d notes, the longest of %d bytes", len(kept.uses), total, longest)
	}
}
