package conformance_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/conformance"
	"jmld/internal/sampleapp"
)

func TestTheCatalogueIsWellFormed(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	id, row := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`), regexp.MustCompile(`^R([1-9]\d?|1[0-5]\d|16[0-5])$`)
	section := regexp.MustCompile(`^RFC \d{4} §\d+(\.\d+)*(, (RFC \d{4} )?§\d+(\.\d+)*)*$`)
	for _, c := range conformance.Checks() {
		if !id.MatchString(c.ID) || seen[c.ID] {
			t.Errorf("%s: the id is not well-formed, or not alone", c.ID)
		}
		seen[c.ID] = true
		if !section.MatchString(c.Section) {
			t.Errorf("%s: section %q", c.ID, c.Section)
		}
		if len(c.Rows) == 0 || slices.ContainsFunc(c.Rows, func(r string) bool { return !row.MatchString(r) }) {
			t.Errorf("%s: rows %v", c.ID, c.Rows)
		}
		if c.Group == "" || c.What == "" || strings.HasSuffix(c.What, ".") || !slices.Contains(conformance.Severities(), c.Severity) {
			t.Errorf("%s: %+v", c.ID, c)
		}
	}
}

func TestWhatCannotBeRunIsSaid(t *testing.T) {
	t.Parallel()
	token := func(s string) func() (string, error) { return func() (string, error) { return s, nil } }
	for name, o := range map[string]conformance.Options{
		"no URL":             {},
		"no scheme":          {URL: "app.example.org/scim/v2"},
		"another scheme":     {URL: "ftp://app.example.org/scim/v2"},
		"plain http":         {URL: "http://app.example.org/scim/v2"},
		"a password in it":   {URL: "https://ada:x@app.example.org/scim/v2"},
		"a query":            {URL: "https://app.example.org/scim/v2?x=1"},
		"an unknown check":   {URL: "https://app.example.org/scim/v2", Only: []string{"frobnicate"}},
		"a broken pattern":   {URL: "https://app.example.org/scim/v2", Only: []string{"["}},
		"an empty token":     {URL: "https://app.example.org/scim/v2", Token: token(" ")},
		"a token of 2 lines": {URL: "https://app.example.org/scim/v2", Token: token("a\nb")},
	} {
		if _, err := conformance.Run(t.Context(), o); !errors.Is(err, conformance.ErrOptions) {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken := errors.New("the vault is sealed")
	o := conformance.Options{URL: "https://app.example.org/scim/v2", Token: func() (string, error) { return "", broken }}
	if _, err := conformance.Run(t.Context(), o); !errors.Is(err, broken) {
		t.Errorf("without a token: %v", err)
	}
}

func TestAnEndpointThatIsNotThereIsNotTested(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // it does not like our refusing its certificate
	secure.StartTLS()
	t.Cleanup(secure.Close)
	closed := listen(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { scimError(w, 401, "") }))
	for url, want := range map[string]string{gone.URL: "cannot be reached", secure.URL: "certificate", closed: "does not let us in"} {
		report, err := conformance.Run(t.Context(), options(url))
		if err == nil || !strings.Contains(err.Error(), want) || len(report.Results) > 0 {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("the token is in %v", err)
		}
	}
	o := options(secure.URL)
	o.Only, o.CAs = []string{"read-unknown"}, x509.NewCertPool()
	o.CAs.AddCert(secure.Certificate())
	if report, err := conformance.Run(t.Context(), o); err != nil || len(report.Failed()) > 0 {
		t.Errorf("with its certificate: %v %v", err, report.Failed())
	}
}

// Whatever happens to a run, nothing of it stays.
func TestAStoppedRunCleansUp(t *testing.T) {
	t.Parallel()
	h, s := ours(t, "entra")
	url := listen(t, h) + "/scim/entra/v2"
	for _, after := range []int{1, 60, 150, 250} {
		ctx, stop := context.WithCancel(t.Context())
		o := options(url)
		n := 0
		o.Progress = func(conformance.Result) {
			if n++; n == after {
				stop()
			}
		}
		report, err := conformance.Run(ctx, o)
		stop()
		if !errors.Is(err, context.Canceled) || len(report.Results) != after {
			t.Errorf("stopped after %d checks: %v, %d results", after, err, len(report.Results))
		}
		if n := people(t, s); n != 0 || len(report.Left) > 0 {
			t.Errorf("stopped after %d checks: %d resources were left, %v reported", after, n, report.Left)
		}
	}
}

// A create whose answer was lost may have happened: it is looked for.
func TestWhatALostAnswerHidesIsRemovedToo(t *testing.T) {
	t.Parallel()
	h, s := ours(t, "entra")
	var n atomic.Int32
	lossy := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" && n.Add(1)%4 == 0 {
			h.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		h.ServeHTTP(w, r)
	})
	o := options(listen(t, lossy) + "/scim/entra/v2")
	o.Only = []string{"create", "read", "put", "group"}
	report, err := conformance.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if n := people(t, s); n != 0 || len(report.Left) > 0 {
		t.Errorf("%d resources were left, %v reported", n, report.Left)
	}
}

func TestARunEndsInTime(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var n atomic.Int32
	hung := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 1 {
			scimAnswer(w, 200, map[string]any{})
			return
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { close(release) })
	o := options(hung)
	o.Timeout, o.Total, o.Write = 5*time.Second, 12*time.Second, false // the first answer comes in time on a busy machine too
	start := time.Now()
	report, err := conformance.Run(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "not finished after 12s") || time.Since(start) > time.Minute {
		t.Errorf("%v after %s", err, time.Since(start))
	}
	for _, res := range report.Results {
		if res.Outcome == conformance.Fail && !strings.Contains(res.Seen, "no answer") {
			t.Errorf("%s: %s", res.ID, res.Seen)
		}
	}
}

// What others have put there is not touched, and is in no report, however broken the server is.
func TestOthersAreNotTouched(t *testing.T) {
	t.Parallel()
	app, err := sampleapp.Open("", secret)
	if err != nil {
		t.Fatal(err)
	}
	url := listen(t, app) + "/scim/v2"
	call := func(method, path, body string) string {
		req, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+secret)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for i := range 30 {
		call("POST", "/Users", fmt.Sprintf(`{"userName":"resident%d@example.org","displayName":"Resident","title":"Keeper"}`, i))
	}
	residents := func() any { // they were there first, so they are listed first
		var doc struct{ Resources []any }
		if err := json.Unmarshal([]byte(call("GET", "/Users?count=30", "")), &doc); err != nil || len(doc.Resources) != 30 {
			t.Fatalf("%v, %d residents", err, len(doc.Resources))
		}
		return doc.Resources
	}
	before := residents()
	for name, f := range map[string]sampleapp.Faults{
		"": {}, "ignores queries": {IgnoreQuery: true}, "lies about deletion": {LieDelete: true}, "twins": {Twins: true}, "loses answers": {LoseAnswer: true, Only: "PUT"},
	} {
		app.Misbehave(f)
		o := options(url)
		o.Only = quick()
		report, err := conformance.Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		app.Misbehave(sampleapp.Faults{})
		if diff := cmp.Diff(before, residents()); diff != "" {
			t.Errorf("%s: others have changed (-before +after):\n%s", name, diff)
		}
		if strings.Contains(strings.ToLower(fmt.Sprint(report)), "resident") {
			t.Errorf("%s: somebody else is in the report", name)
		}
	}
}

// quick is everything but the large requests.
func quick() []string {
	var groups []string
	for _, c := range conformance.Checks() {
		if c.Group != "bounds" && !slices.Contains(groups, c.Group) {
			groups = append(groups, c.Group)
		}
	}
	return groups
}

// A server that answers a create with somebody else's resource does not make us remove it.
func TestOnlyOurOwnIsRemoved(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var written []string
	url := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Method != "GET" && r.Method != "POST" && strings.HasPrefix(r.URL.Path, "/Users/resident") {
			written = append(written, r.Method+" "+r.URL.Path)
		}
		scimAnswer(w, 201, map[string]any{"schemas": []any{}, "id": "resident", "userName": "resident@example.org", "meta": map[string]any{}})
	}))
	o := options(url)
	o.Only = quick()
	if _, err := conformance.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if len(written) > 0 {
		t.Errorf("somebody else was written to: %v", written)
	}
}

func TestARedirectDoesNotTakeTheTokenAlong(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	elsewhere := listen(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { asked.Add(1); scimAnswer(w, 200, map[string]any{}) }))
	url := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	o := options(url)
	o.Only = quick()
	report, err := conformance.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("%d requests went elsewhere", n)
	}
	if report.Total(conformance.Must).Fail == 0 || report.Total(conformance.Must).Pass > 3 {
		t.Errorf("a server that redirects everything: %+v", report.Total(conformance.Must))
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	url := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := readBody(r)
		if r.Method == "GET" && r.URL.Path == "/Users" && r.URL.RawQuery == "count=1" && r.Header.Get("Authorization") == "Bearer "+secret {
			scimAnswer(w, 200, map[string]any{})
			return
		}
		scimAnswer(w, 418, map[string]any{"scimType": r.Header.Get("X-Key"), "detail": r.Header.Get("Authorization") + " " + r.URL.RawQuery + string(text)})
	}))
	o := options(url)
	o.Header = http.Header{"X-Key": {"key-of-the-gateway"}}
	o.Only = quick()
	report, err := conformance.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprint(report)
	if !strings.Contains(text, "[secret]") {
		t.Error("nothing was hidden: the test tests nothing")
	}
	for _, s := range []string{secret, "key-of-the-gateway", "Pw-7-"} {
		if strings.Contains(text, s) {
			t.Errorf("%s is in the report", s)
		}
	}
}

func TestReadingOnlyReads(t *testing.T) {
	t.Parallel()
	h, _ := ours(t, "entra")
	var wrote atomic.Int32
	url := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "GET" {
			wrote.Add(1)
		}
		h.ServeHTTP(w, r)
	}))
	o := options(url + "/scim/entra/v2")
	o.Write = false
	report, err := conformance.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if n := wrote.Load(); n > 0 {
		t.Errorf("%d requests were no GET", n)
	}
	if n := report.Total(conformance.Must); n.Pass < 20 || n.Fail > 0 {
		t.Errorf("musts: %+v\n%s", n, failures(report))
	}
}

// RFC 6585 §4: a server that asks for patience is asked again.
func TestAServerMayAskForPatience(t *testing.T) {
	t.Parallel()
	h, _ := ours(t, "entra")
	var n atomic.Int32
	url := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%5 == 0 {
			w.Header().Set("Retry-After", "0")
			scimError(w, 429, "")
			return
		}
		h.ServeHTTP(w, r)
	}))
	o := options(url + "/scim/entra/v2")
	o.Only = []string{"create", "member-*", "delete"}
	report, err := conformance.Run(t.Context(), o)
	if err != nil || len(report.Failed()) > 0 {
		t.Errorf("%v\n%s", err, failures(report))
	}
}

// A run against a server that answers anything at all ends, and does not panic.
func TestAnythingMayBeAnswered(t *testing.T) {
	t.Parallel()
	shapes := []any{
		nil, true, 7, "text", []any{}, map[string]any{}, []any{1, nil, map[string]any{}},
		map[string]any{"Resources": 7, "totalResults": "x"}, map[string]any{"Resources": []any{7, nil, map[string]any{"id": 7}}},
		map[string]any{"id": "", "userName": 7, "meta": "x", "emails": map[string]any{"a": 1}, "members": 7, "schemas": "x"},
		map[string]any{"id": "..", "userName": "jmldtest-", "meta": []any{}, "emails": []any{7, nil, []any{}}, "schemas": []any{nil}},
		map[string]any{"schemas": nil, "Operations": []any{nil, map[string]any{"status": 201, "location": "/Users/7", "bulkId": 7}}},
		map[string]any{"patch": map[string]any{"supported": true}, "bulk": map[string]any{"supported": true, "maxOperations": 1e300},
			"filter": map[string]any{"supported": true}, "sort": map[string]any{"supported": true}, "etag": map[string]any{"supported": true},
			"pagination": map[string]any{"cursor": true}, "nextCursor": "x", "Resources": []any{map[string]any{"id": "7", "endpoint": "/Groups",
				"schema": 7, "schemaExtensions": []any{nil, 7}, "attributes": []any{nil, map[string]any{"name": "x", "type": 7}}}}},
	}
	for seed := range uint64(12) {
		var mu sync.Mutex
		random := rand.New(rand.NewPCG(seed, 1))
		echo := seed%3 == 0 // then runs get further: what is created seems to be there
		url := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, body := readBody(r)
			mu.Lock()
			shape := shapes[random.IntN(len(shapes))]
			status := []int{200, 200, 201, 204, 302, 400, 404, 409, 500}[random.IntN(9)]
			mu.Unlock()
			if r.URL.RawQuery == "count=1" {
				status = 200
			}
			if echo && r.Method == "POST" && body != nil {
				body["id"], body["meta"] = path.Base(r.URL.Path)+"-7", shape
				shape, status = body, 201
			}
			w.Header().Set("Location", "%zz")
			w.Header().Set("Content-Type", "application/scim+json")
			w.WriteHeader(status)
			if status != 204 {
				w.Write(encode(shape)) //nolint:errcheck // the client went away
			}
		}))
		o := options(url)
		o.Only = quick()
		report, err := conformance.Run(t.Context(), o)
		if err != nil || len(report.Results) == 0 {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

// D-17, M-27, for a target: the sample app is small on purpose, and each of its faults shows in what fails beside.
func TestFaultsOfTheSampleApp(t *testing.T) {
	t.Parallel()
	failed := func(f sampleapp.Faults) []string {
		app, err := sampleapp.Open("", secret)
		if err != nil {
			t.Fatal(err)
		}
		app.Misbehave(f)
		o := options(listen(t, app) + "/scim/v2")
		o.Only = quick()
		report, err := conformance.Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if len(report.Left) > 0 {
			t.Errorf("left behind: %v", report.Left)
		}
		return report.Failed()
	}
	usual := failed(sampleapp.Faults{})
	for _, id := range []string{"attributes", "patch-replace-filter", "types-present"} {
		if !slices.Contains(usual, id) {
			t.Errorf("the sample app does not do what %s asks, and nothing says so", id)
		}
	}
	for _, id := range []string{"create-status", "filter-eq", "page-count", "put-replace", "patch-active", "patch-atomic", "delete-read", "etag-put-stale"} {
		if slices.Contains(usual, id) {
			t.Errorf("the sample app does what %s asks, and is said not to", id)
		}
	}
	for _, tt := range []struct {
		name  string
		fault sampleapp.Faults
		want  []string
	}{
		{"active is never changed", sampleapp.Faults{LieActive: true},
			[]string{"dialect-false", "dialect-pathless-active", "dialect-unknown-path", "patch-active", "put-active"}},
		{"DELETE deactivates", sampleapp.Faults{LieDelete: true},
			[]string{"delete-again", "delete-frees-name", "delete-patch", "delete-put", "delete-query", "delete-read"}},
		{"two users may have one name", sampleapp.Faults{Twins: true}, []string{"create-duplicate", "create-duplicate-case", "patch-conflict", "put-conflict"}},
		{"no configuration", sampleapp.Faults{NoConfig: true}, []string{"config-media-type", "config-present"}},
		{"PATCH is offered and not there", sampleapp.Faults{PatchLie: true}, []string{"truthful-patch"}},
		{"PATCH is not offered", sampleapp.Faults{NoPatch: true}, nil},
	} {
		var more []string
		for _, id := range failed(tt.fault) {
			if !slices.Contains(usual, id) {
				more = append(more, id)
			}
		}
		slices.Sort(more)
		if diff := cmp.Diff(tt.want, more); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}
