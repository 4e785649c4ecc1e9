package scimapp_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/sampleapp"
	"jmld/jml/engine"
	"jmld/model"
	"jmld/target/scimapp"
	"jmld/target/targettest"
)

// call is a SCIM request made by somebody else.
func (r *rig) call(t testing.TB, method, path, body string) map[string]any {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.server.URL+"/scim/v2"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+canary)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 300 {
		t.Fatalf("%s %s: status %d, %v: %s", method, path, res.StatusCode, err, text)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// What was there before is taken over when it is the same person's, and never when it is somebody else's.
func TestAdoption(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		there    string // the account that was there before
		faults   sampleapp.Faults
		desired  string // "": the usual
		adopted  bool
		conflict bool
	}{
		"by externalId, whatever its name":             {there: `{"userName":"old","externalId":"identity-ada"}`, adopted: true},
		"by userName in another case":                  {there: `{"userName":"ADA@Example.org"}`, adopted: true},
		"by userName, filters on externalId refused":   {there: `{"userName":"ada@example.org"}`, faults: sampleapp.Faults{NoFilter: "externalId"}, adopted: true},
		"by userName, all filters refused":             {there: `{"userName":"ada@example.org"}`, faults: sampleapp.Faults{NoFilter: "*"}, adopted: true},
		"by externalId, all filters refused":           {there: `{"userName":"old","externalId":"identity-ada"}`, faults: sampleapp.Faults{NoFilter: "*"}, adopted: true},
		"by userName among strangers, filters ignored": {there: `{"userName":"ada@example.org"}`, faults: sampleapp.Faults{IgnoreQuery: true}, adopted: true},
		"a stranger, filters ignored":                  {there: `{"userName":"stranger@example.org"}`, faults: sampleapp.Faults{IgnoreQuery: true}},
		"the same name with somebody else's mark":      {there: `{"userName":"ada@example.org","externalId":"identity-grace"}`, conflict: true},
		"the same, all filters refused":                {there: `{"userName":"ada@example.org","externalId":"identity-grace"}`, faults: sampleapp.Faults{NoFilter: "*"}, conflict: true},
		"externalId in another case is another":        {there: `{"userName":"old","externalId":"IDENTITY-ADA"}`},
		"no externalId in the policy, none there":      {there: `{"userName":"ada@example.org"}`, desired: `{"userName":"ada@example.org"}`, adopted: true},
		"no externalId in the policy, somebody else's": {there: `{"userName":"ada@example.org","externalId":"x"}`, desired: `{"userName":"ada@example.org"}`, conflict: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, sampleapp.Faults{}, nil, nil)
			for i := range 5 {
				r.call(t, "POST", "/Users", fmt.Sprintf(`{"userName":"other%d@example.org"}`, i))
			}
			before := r.call(t, "POST", "/Users", c.there)["id"].(string)
			r.app.Misbehave(c.faults)
			want := targettest.Want("app", "ada")
			if c.desired != "" {
				want.Desired = c.desired
			}
			got, err := r.target.Ensure(t.Context(), want)
			if c.conflict {
				if model.CodeOf(err) != model.CodeTargetConflict || !engine.IsPermanent(err) {
					t.Fatalf("error %v, want a permanent conflict", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if adopted := got.NativeID == before; adopted != c.adopted || (got.Origin == model.OriginAdopted) != c.adopted {
				t.Errorf("native id %s (there: %s), origin %s; want adopted: %v", got.NativeID, before, got.Origin, c.adopted)
			}
			if got.Applied != want.Desired || got.AppliedState != model.AccountActive {
				t.Errorf("applied %s %s", got.AppliedState, got.Applied)
			}
		})
	}
}

// Somebody leaves before the account was ever made. What has the name was there before: it is deactivated, not deleted, however often.
func TestWhatWasThereBeforeIsNotDeleted(t *testing.T) {
	t.Parallel()
	r := newRig(t, sampleapp.Faults{}, nil, nil)
	there := r.call(t, "POST", "/Users", `{"userName":"ada@example.org","title":"Chief"}`)["id"].(string)
	want := targettest.Want("app", "ada")
	want.State = model.AccountAbsent
	for range 2 { // the answer to the first was lost
		got, err := r.target.Ensure(t.Context(), want)
		if err != nil || got.NativeID != there || got.Origin != model.OriginAdopted || got.AppliedState != model.AccountInactive {
			t.Fatalf("%+v, %v", got, err)
		}
		if left := r.call(t, "GET", "/Users/"+there, ""); left["active"] != false || left["title"] != "Chief" || left["externalId"] != nil {
			t.Errorf("%v", left)
		}
	}
}

// Where the provider has two accounts of one name, a person decides.
func TestTwinsAreNotGuessedBetween(t *testing.T) {
	t.Parallel()
	for _, f := range []sampleapp.Faults{{Twins: true}, {Twins: true, IgnoreQuery: true}, {Twins: true, NoFilter: "*"}} {
		for _, there := range []string{`{"userName":"ada@example.org"}`, `{"userName":"old","externalId":"identity-ada"}`} {
			r := newRig(t, f, nil, nil)
			r.call(t, "POST", "/Users", there)
			r.call(t, "POST", "/Users", there)
			_, err := r.target.Ensure(t.Context(), targettest.Want("app", "ada"))
			if model.CodeOf(err) != model.CodeTargetConflict || !engine.IsPermanent(err) || !strings.Contains(err.Error(), "2 accounts have this") {
				t.Errorf("%+v, %s: error %v, want a permanent conflict", f, there, err)
			}
		}
	}
}

// Two people of a policy without externalId still cannot share an account: the identity's id marks it.
func TestTheIdentityMarksAnAccountWithoutExternalID(t *testing.T) {
	t.Parallel()
	r := newRig(t, sampleapp.Faults{}, nil, nil)
	want := targettest.Want("app", "ada")
	want.Desired = `{"userName":"ada@example.org"}`
	a, err := r.target.Ensure(t.Context(), want)
	if err != nil || a.Applied != want.Desired {
		t.Fatalf("%+v, %v", a, err)
	}
	if got := r.call(t, "GET", "/Users/"+a.NativeID, "")["externalId"]; got != want.IdentityID {
		t.Errorf("externalId %v, want the identity's id", got)
	}
	again, err := r.target.Ensure(t.Context(), want)
	if err != nil || again.NativeID != a.NativeID {
		t.Errorf("again: %+v, %v", again, err)
	}
	want.IdentityID = "identity-other"
	if _, err := r.target.Ensure(t.Context(), want); model.CodeOf(err) != model.CodeTargetConflict || !engine.IsPermanent(err) {
		t.Errorf("error %v, want a permanent conflict", err)
	}
}

// What others keep in the account beside ours stays, by PATCH and by PUT; what we wrote and no longer want goes.
func TestWhatIsNotOursStays(t *testing.T) {
	t.Parallel()
	const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	for name, f := range map[string]sampleapp.Faults{"PATCH": {}, "PUT": {NoPatch: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, f, nil, nil)
			id := r.call(t, "POST", "/Users", `{"userName":"ada@example.org","nickName":"A","name":{"middleName":"K"},"roles":[{"value":"admin"}],
				"`+enterprise+`":{"costCenter":"7"}}`)["id"].(string)
			want := targettest.Want("app", "ada")
			want.Desired = `{"externalId":"identity-ada","name":{"givenName":"Ada"},"title":"Tester",` +
				`"` + enterprise + `":{"department":"Engines","manager":{"value":"grace"}},"userName":"ada@example.org"}`
			a, err := r.target.Ensure(t.Context(), want)
			if err != nil {
				t.Fatal(err)
			}
			a.Desired = `{"externalId":"identity-ada","name":{"givenName":"Ada"},"` + enterprise + `":{"department":"Looms"},"userName":"ada@example.org"}`
			if a, err = r.target.Ensure(t.Context(), a); err != nil {
				t.Fatal(err)
			}
			got := r.call(t, "GET", "/Users/"+id, "")
			delete(got, "meta")
			if d := cmp.Diff(map[string]any{
				"id": id, "active": true, "userName": "ada@example.org", "externalId": "identity-ada", "nickName": "A",
				"schemas":  []any{"urn:ietf:params:scim:schemas:core:2.0:User", enterprise},
				"name":     map[string]any{"middleName": "K", "givenName": "Ada"},
				"roles":    []any{map[string]any{"value": "admin"}},
				enterprise: map[string]any{"costCenter": "7", "department": "Looms"},
			}, got); d != "" {
				t.Errorf("the account (-want +got):\n%s", d)
			}
			if a.Applied != a.Desired {
				t.Errorf("applied %s, want what is ours only", a.Applied)
			}
		})
	}
}

// Somebody writes between our read and our PUT: the ETag tells, and neither write is lost.
func TestAWriteInBetweenIsNotLost(t *testing.T) {
	t.Parallel()
	var once sync.Once
	var r *rig
	r = newRig(t, sampleapp.Faults{NoPatch: true}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method == http.MethodPut && req.Header.Get("If-Match") != "" {
				once.Do(func() {
					r.app.Misbehave(sampleapp.Faults{})
					path := strings.TrimPrefix(req.URL.Path, "/scim/v2")
					r.call(t, "PATCH", path, `{"Operations":[{"op":"add","path":"nickName","value":"A"}]}`)
					r.app.Misbehave(sampleapp.Faults{NoPatch: true})
				})
			}
			next.ServeHTTP(w, req)
		})
	}, nil)
	a, err := r.target.Ensure(t.Context(), targettest.Want("app", "ada"))
	if err != nil {
		t.Fatal(err)
	}
	a.Desired = `{"externalId":"identity-ada","title":"Countess","userName":"ada@example.org"}`
	if a, err = r.target.Ensure(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	got := r.call(t, "GET", "/Users/"+a.NativeID, "")
	if got["nickName"] != "A" || got["title"] != "Countess" {
		t.Errorf("nickName %v, title %v; want both writes", got["nickName"], got["title"])
	}
}

func TestAnAccountThatIsAsWantedIsNotWritten(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var methods []string
	r := newRig(t, sampleapp.Faults{}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			mu.Lock()
			methods = append(methods, req.Method)
			mu.Unlock()
			next.ServeHTTP(w, req)
		})
	}, nil)
	a, err := r.target.Ensure(t.Context(), targettest.Want("app", "ada"))
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	methods = nil
	mu.Unlock()
	if _, err := r.target.Ensure(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"GET"}, methods); d != "" {
		t.Errorf("requests (-want +got):\n%s", d)
	}
}

// A listing is whole or an error.
func TestAListingThatDisagreesWithItselfIsAnError(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]sampleapp.Faults{
		"more announced than there are": {WrongTotal: 1},
		"fewer announced than listed":   {WrongTotal: -3},
		"none announced":                {WrongTotal: -9},
		"gone half-way":                 {Status: 500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, sampleapp.Faults{}, nil, func(o *scimapp.Options) { o.PageSize = 4 })
			for i := range 9 {
				r.call(t, "POST", "/Users", fmt.Sprintf(`{"userName":"other%d@example.org"}`, i))
			}
			if n := len(targettest.List(t, r.target)); n != 9 {
				t.Fatalf("%d accounts, want 9", n)
			}
			if f.Status == 0 {
				r.app.Misbehave(f)
			}
			n, last := 0, error(nil)
			for _, err := range r.target.Accounts(t.Context()) {
				if n++; n == 4 {
					r.app.Misbehave(f)
				}
				last = err
			}
			if code := model.CodeOf(last); last == nil || code != model.CodeTargetBroken && code != model.CodeTargetUnreachable {
				t.Errorf("the listing ended with %v", last)
			}
		})
	}
}
