package scim_test

import (
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jmld/internal/store"
	"jmld/internal/testserver"
	"jmld/jml"
	"jmld/jml/engine"
	"jmld/jml/policy"
	"jmld/model"
	"jmld/scim"
)

// backend is a database the tests run on.
type backend struct {
	name string
	url  func(t testing.TB) string
}

func backends() []backend {
	return []backend{
		{"sqlite", func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "jmld.db") }},
		{"postgres", testserver.Postgres},
	}
}

// patience is for a busy machine under the race detector; tests about time have times of their own.
const patience = 3 * time.Minute

// ports is what a handler works on: a store with an engine that has no rules and no targets.
type ports struct {
	*store.Store
	*engine.Engine
}

func open(t testing.TB, b backend) ports {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{URL: b.url(t), Timeout: patience})
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
	rules := &jml.Rules{Precedence: []string{"entra", "okta"}, Correlation: []string{"employeeNumber", "email", "userName"},
		OwnDomains: []string{"example.org"}, Policy: p}
	return ports{s, engine.New(engine.Options{Store: s, Rules: rules, Replica: "test"})}
}

const secret = "test-token-entra"

// client speaks to one source of a server of its own.
type client struct {
	ports
	http *http.Client
	host string
	base string
}

func newClient(t testing.TB, b backend, change ...func(*scim.Options)) *client {
	t.Helper()
	p := open(t, b)
	p.token(t, "entra", "laptop", secret, nil)
	o := scim.Options{Sources: []scim.Source{{Name: "entra"}, {Name: "okta"}}, Pusher: p.Engine, Resources: p.Store, Tokens: p.Store,
		Timeout: patience}
	for _, f := range change {
		f(&o)
	}
	server := httptest.NewServer(scim.New(o))
	t.Cleanup(server.Close)
	return &client{ports: p, http: server.Client(), host: server.URL, base: server.URL + "/scim/entra/v2"}
}

// over is a client of another handler on the same store.
func (c *client) over(t testing.TB, o scim.Options) *client {
	t.Helper()
	o.Sources, o.Timeout = []scim.Source{{Name: "entra"}}, patience
	server := httptest.NewServer(scim.New(o))
	t.Cleanup(server.Close)
	return &client{ports: c.ports, http: server.Client(), host: server.URL, base: server.URL + "/scim/entra/v2"}
}

func (c *client) send(method, target string, header http.Header, body string) (answer, error) {
	url := c.base + target
	if strings.HasPrefix(target, "http://") {
		url = target
	}
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	req.Header.Set("Accept", "application/scim+json")
	if body != "" {
		req.Header.Set("Content-Type", "application/scim+json")
	}
	for k, v := range header {
		req.Header[k] = v
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	return readAnswer(resp)
}

func (p ports) token(t testing.TB, source, name, secret string, expires *time.Time) model.Token {
	t.Helper()
	hash := sha256.Sum256([]byte(secret))
	now := time.Now().UTC()
	token := model.Token{ID: model.NewID(now), Source: source, Name: name, Hash: hash[:], CreatedAt: now, ExpiresAt: expires}
	if err := p.AddToken(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	return token
}
