package scimapp_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"jmld/model"
	"jmld/target/scimapp"
	"jmld/target/targettest"
)

// FuzzAnswers: whatever a provider says, Ensure ends with an error or with an account that is as wanted, and a listing
// ends.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{
		`{"id":"1","userName":"ada@example.org","externalId":"identity-ada","active":true,"totalResults":0}`,
		`{"id":1,"totalResults":1,"Resources":[{"id":"1","userName":"ADA@example.org"}]}`,
		`{"totalResults":2,"Resources":[{"id":"1"},{"id":"1"}]}`,
		`{"totalResults":1e400,"Resources":[{"id":{}}]}`, `{"totalResults":-1}`, `{"Resources":{}}`,
		`{"id":"..","active":"False","emails":[null,{}],"name":"x","totalResults":0}`,
		`[]`, `null`, `{`, ``, `"x"`, `<html>`, `{"status":"400","scimType":7,"detail":["x"]}`,
		`{"id":"1","ID":"2","USERNAME":"x","meta":{"version":"\r\n"},"totalResults":0}`,
	} {
		for _, status := range []int{200, 201, 204, 302, 400, 404, 409, 412, 429, 500} {
			f.Add(seed, status, "application/scim+json", "1")
		}
	}
	f.Fuzz(func(t *testing.T, body string, status int, contentType, retryAfter string) {
		if status < 200 || status > 599 || strings.ContainsAny(contentType+retryAfter, "\r\n\x00") {
			t.Skip()
		}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("Retry-After", retryAfter)
			w.Header().Set("Location", body)
			w.WriteHeader(status)
			w.Write([]byte(body)) //nolint:errcheck // 204 has no body
		}))
		defer server.Close()
		target, err := scimapp.New(scimapp.Options{Name: "app", URL: server.URL, Timeout: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer target.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for _, state := range []model.AccountState{model.AccountActive, model.AccountInactive, model.AccountAbsent} {
			for _, native := range []string{"", "1", "..", "a/../b?c#d"} {
				want := targettest.Want("app", "ada")
				want.State, want.NativeID = state, native
				got, err := target.Ensure(ctx, want)
				if err == nil && got.AppliedState != state && got.AppliedState != model.AccountAbsent &&
					(state != model.AccountAbsent || got.AppliedState != model.AccountInactive || got.Origin != model.OriginAdopted) {
					t.Errorf("%s: no error and state %s", state, got.AppliedState)
				}
			}
		}
		n := 0
		for range target.Accounts(ctx) {
			n++
		}
		if ctx.Err() != nil || n > len(body)+1 {
			t.Errorf("%d accounts in %d bytes, %v", n, len(body), ctx.Err())
		}
	})
}
