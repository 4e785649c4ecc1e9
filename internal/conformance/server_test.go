package conformance_test

import (
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jmld/internal/conformance"
	"jmld/internal/store"
	"jmld/jml"
	"jmld/jml/engine"
	"jmld/jml/policy"
	"jmld/model"
	"jmld/scim"
)

const secret = "test-token-of-the-client"

// ours is our own service provider over a real store and engine.
func ours(t *testing.T, sources ...string) (http.Handler, *store.Store) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{URL: "sqlite:" + filepath.Join(t.TempDir(), "jmld.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	p, mistakes := policy.Compile(policy.Config{}, nil)
	if len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	rules := &jml.Rules{Precedence: sources, Correlation: []string{"userName"}, OwnDomains: []string{"example.org"}, Policy: p}
	e := engine.New(engine.Options{Store: s, Rules: rules, Replica: "test"})
	now := time.Now().UTC()
	hash := sha256.Sum256([]byte(secret))
	var all []scim.Source
	for _, name := range sources {
		all = append(all, scim.Source{Name: name, AnnounceCursors: true})
		if err := s.AddToken(t.Context(), model.Token{ID: model.NewID(now), Source: name, Name: "test", Hash: hash[:], CreatedAt: now}); err != nil {
			t.Fatal(err)
		}
	}
	return scim.New(scim.Options{Sources: all, Pusher: e, Resources: s, Tokens: s}), s
}

// people counts the resources that are in the store.
func people(t *testing.T, s *store.Store) int {
	t.Helper()
	n := 0
	for _, kind := range []model.Kind{model.KindUser, model.KindGroup} {
		page, err := s.Query(t.Context(), model.Query{Source: "entra", Kind: kind, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		n += page.Total
	}
	return n
}

func listen(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

func options(url string) conformance.Options {
	return conformance.Options{URL: url, Token: func() (string, error) { return secret, nil }, Write: true, Timeout: 20 * time.Second}
}

// failures are the ids of what failed, with their severity, and everything that is needed to understand them.
func failures(r conformance.Report) string {
	var b strings.Builder
	for _, res := range r.Results {
		if res.Outcome == conformance.Fail {
			b.WriteString(res.ID + " (" + string(res.Severity) + "): expected " + res.Expected + "; seen: " + res.Seen + "\n")
		}
	}
	return b.String()
}

// D-17, M-27: our own endpoint holds everything, and nothing of the test stays behind.
func TestOurOwnServerHoldsEverything(t *testing.T) {
	t.Parallel()
	h, s := ours(t, "entra")
	report, err := conformance.Run(t.Context(), options(listen(t, h)+"/scim/entra/v2"))
	if err != nil {
		t.Fatal(err)
	}
	if text := failures(report); text != "" {
		t.Errorf("failed:\n%s", text)
	}
	for _, res := range report.Results {
		if res.Outcome == conformance.Skip {
			t.Logf("skipped %s: %s", res.ID, res.Reason)
		}
	}
	t.Logf("%d checks, %d requests, %s", len(report.Results), report.Requests, report.Took)
	if n := people(t, s); n != 0 || len(report.Left) != 0 {
		t.Errorf("%d resources were left behind, %v reported", n, report.Left)
	}
}
