package scim_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"

	"jmld/scim"
)

// issuer is an identity provider with a JWKS endpoint.
type issuer struct {
	*httptest.Server
	set    atomic.Pointer[jose.JSONWebKeySet]
	hits   atomic.Int64
	broken atomic.Pointer[http.HandlerFunc]
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	i := &issuer{}
	i.set.Store(&jose.JSONWebKeySet{})
	i.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.hits.Add(1)
		if f := i.broken.Load(); f != nil {
			(*f)(w, r)
			return
		}
		if err := json.NewEncoder(w).Encode(i.set.Load()); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) publish(keys ...jose.JSONWebKey) {
	i.set.Store(&jose.JSONWebKeySet{Keys: keys})
}

func (i *issuer) jwks() scim.JWKS {
	pool := x509.NewCertPool()
	pool.AddCert(i.Certificate())
	return scim.JWKS{URL: i.URL, CA: pool}
}

// signing is a private key with its name.
type signing struct {
	alg jose.SignatureAlgorithm
	kid string
	key crypto.Signer
}

func (s signing) public() jose.JSONWebKey {
	return jose.JSONWebKey{Key: s.key.Public(), KeyID: s.kid, Algorithm: string(s.alg), Use: "sig"}
}

func (s signing) sign(t testing.TB, claims map[string]any) string {
	t.Helper()
	return sign(t, s.alg, jose.JSONWebKey{Key: s.key, KeyID: s.kid}, claims)
}

func sign(t testing.TB, alg jose.SignatureAlgorithm, key any, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func rsaKey(t testing.TB, kid string, bits int) signing {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return signing{jose.RS256, kid, k}
}

func ecKey(t testing.TB, kid string) signing {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signing{jose.ES256, kid, k}
}

func claimsAt(now time.Time, change ...any) map[string]any {
	c := map[string]any{
		"iss": "https://issuer.example.org", "aud": []string{"api://other", "api://jmld"}, "sub": "workload",
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	c = maps.Clone(c)
	for i := 0; i < len(change); i += 2 {
		if name := change[i].(string); change[i+1] == nil {
			delete(c, name)
		} else {
			c[name] = change[i+1]
		}
	}
	return c
}

func jwtClient(t testing.TB, i *issuer, bearer bool) (*client, *clock) {
	t.Helper()
	v, k := &vault{values: []string{clientSecret}}, &clock{at: time.Now()}
	return newClient(t, sqlite(), func(o *scim.Options) {
		o.Now = k.now
		o.Sources[0].JWT = &scim.JWT{Issuer: "https://issuer.example.org", Audience: "api://jmld", Subject: "workload", Bearer: bearer, Keys: i.jwks()}
		o.Sources[0].OAuth = &scim.OAuth{ClientID: clientID, Secrets: v.read}
	}), k
}

// RFC 7523 §3, RFC 8725: who signed, for whom, about whom, for how long, and how.
func TestSignedTokensAreChecked(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	r, e, foreign, weak := rsaKey(t, "r", 2048), ecKey(t, "e"), ecKey(t, "e"), rsaKey(t, "weak", 1024)
	other := jose.JSONWebKey{Key: []byte(strings.Repeat("k", 32)), KeyID: "shared", Algorithm: "HS256"}
	encrypting := rsaKey(t, "enc", 2048)
	enc := encrypting.public()
	enc.Use = "enc"
	i.publish(r.public(), e.public(), weak.public(), other, enc)
	c, k := jwtClient(t, i, true)
	now := k.now()
	pem, err := x509.MarshalPKIXPublicKey(r.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	good := r.sign(t, claimsAt(now))
	head, rest, _ := strings.Cut(good, ".")
	payload, _, _ := strings.Cut(rest, ".")
	nameless := sign(t, jose.RS256, r.key, claimsAt(now))
	for _, tt := range []struct {
		name, token string
		status      int
	}{
		{"RS256", good, 200},
		{"ES256", e.sign(t, claimsAt(now)), 200},
		{"without the key's name", nameless, 200},
		{"one audience", r.sign(t, claimsAt(now, "aud", "api://jmld")), 200},
		{"a clock that is a little wrong", r.sign(t, claimsAt(now.Add(30*time.Second))), 200},
		{"another audience", r.sign(t, claimsAt(now, "aud", "api://other")), 401},
		{"no audience", r.sign(t, claimsAt(now, "aud", nil)), 401},
		{"another issuer", r.sign(t, claimsAt(now, "iss", "https://issuer.example.org/")), 401},
		{"no issuer", r.sign(t, claimsAt(now, "iss", nil)), 401},
		{"another subject", r.sign(t, claimsAt(now, "sub", "Workload")), 401},
		{"no subject", r.sign(t, claimsAt(now, "sub", nil)), 401},
		{"expired", r.sign(t, claimsAt(now, "exp", now.Add(-2*time.Minute).Unix())), 401},
		{"no end", r.sign(t, claimsAt(now, "exp", nil)), 401},
		{"valid for a year", r.sign(t, claimsAt(now, "exp", now.Add(365*24*time.Hour).Unix())), 401},
		{"not yet", r.sign(t, claimsAt(now, "nbf", now.Add(10*time.Minute).Unix())), 401},
		{"another key of the same name", foreign.sign(t, claimsAt(now)), 401},
		{"an unknown key", ecKey(t, "new").sign(t, claimsAt(now)), 401},
		{"a weak key", weak.sign(t, claimsAt(now)), 401},
		{"a key for encryption", encrypting.sign(t, claimsAt(now)), 401},
		{"RS512", sign(t, jose.RS512, jose.JSONWebKey{Key: r.key, KeyID: "r"}, claimsAt(now)), 401},
		{"PS256", sign(t, jose.PS256, jose.JSONWebKey{Key: r.key, KeyID: "r"}, claimsAt(now)), 401},
		{"HS256 with the public key as secret", sign(t, jose.HS256, jose.JSONWebKey{Key: pem, KeyID: "r"}, claimsAt(now)), 401},
		{"HS256 with a symmetric key of the set", sign(t, jose.HS256, other, claimsAt(now)), 401},
		{"alg none", "eyJhbGciOiJub25lIn0." + payload + ".", 401},
		{"no signature", head + "." + payload + ".", 401},
		{"claims of another one", head + "." + strings.Split(r.sign(t, claimsAt(now, "sub", "x")), ".")[1] + good[strings.LastIndex(good, "."):], 401},
		{"dots", "..", 401},
		{"long", good + strings.Repeat("a", 20_000), 401},
	} {
		a := c.as(t, "Bearer "+tt.token, c.base+"/Users", tt.status)
		if tt.status == 401 && !strings.Contains(a.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
			t.Errorf("%s: challenge %q", tt.name, a.header.Get("WWW-Authenticate"))
		}
	}
	c.as(t, "Bearer "+good, c.host+"/scim/okta/v2/Users", 401) // another source
	k.advance(2 * time.Hour)
	c.as(t, "Bearer "+good, c.base+"/Users", 401)
}

// RFC 7523 §2.2: the token endpoint takes the assertion; where bearer is off, nothing else does.
func TestAssertionGivesAnAccessToken(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	r := rsaKey(t, "r", 2048)
	i.publish(r.public())
	c, k := jwtClient(t, i, false)
	assertion := r.sign(t, claimsAt(k.now()))
	const typ = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	ask := func(pairs ...string) grantAnswer {
		return c.grant(t, "entra", "", form(append([]string{"grant_type", "client_credentials"}, pairs...)...))
	}
	a := ask("client_assertion", assertion, "client_assertion_type", typ, "client_id", "workload")
	if a.Status != 200 || a.Expires != 3600 {
		t.Fatalf("%+v", a)
	}
	c.as(t, "Bearer "+a.Token, c.base+"/Users", 200)
	c.as(t, "Bearer "+assertion, c.base+"/Users", 401)
	for name, tt := range map[string]struct {
		pairs  []string
		status int
		code   string
	}{
		"no type":        {[]string{"client_assertion", assertion}, 400, "invalid_request"},
		"another type":   {[]string{"client_assertion", assertion, "client_assertion_type", "saml"}, 400, "invalid_request"},
		"another client": {[]string{"client_assertion", assertion, "client_assertion_type", typ, "client_id", "x"}, 401, "invalid_client"},
		"a wrong one":    {[]string{"client_assertion", assertion + "x", "client_assertion_type", typ}, 401, "invalid_client"},
		"two ways":       {[]string{"client_assertion", assertion, "client_assertion_type", typ, "client_secret", "x"}, 400, "invalid_request"},
	} {
		if a := ask(tt.pairs...); a.Status != tt.status || a.Error != tt.code {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

// The issuer's keys are fetched when they are needed, bounded, and kept while it does not answer.
func TestKeysOfTheIssuerAreKept(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	first, second := ecKey(t, "first"), ecKey(t, "second")
	i.publish(first.public())
	c, k := jwtClient(t, i, true)
	get := func(s signing, status int) {
		t.Helper()
		c.as(t, "Bearer "+s.sign(t, claimsAt(k.now())), c.base+"/Users", status)
	}
	fetched := func(want int64) {
		t.Helper()
		if got := i.hits.Swap(0); got != want {
			t.Errorf("fetched %d times, want %d", got, want)
		}
	}
	for range 10 {
		get(first, 200)
	}
	fetched(1)
	i.publish(first.public(), second.public())
	k.advance(31 * time.Second)
	get(second, 200) // a key that is not known yet
	fetched(1)
	for range 10 {
		get(ecKey(t, "guess"), 401) // does not become a request each
	}
	fetched(0)
	i.publish(second.public())
	k.advance(11 * time.Minute)
	get(first, 401) // withdrawn
	fetched(1)
	for name, f := range map[string]http.HandlerFunc{
		"an error":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"no keys":   func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"keys":[]}`)) },
		"no JSON":   func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`<html>`)) },
		"too much":  func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(strings.Repeat(" ", 1<<20))) },
		"elsewhere": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/keys", http.StatusFound) },
	} {
		i.broken.Store(&f)
		k.advance(11 * time.Minute)
		get(second, 200)
		if i.hits.Swap(0) != 1 {
			t.Errorf("%s: not fetched once", name)
		}
	}
	k.advance(25 * time.Hour)
	get(second, 503)
	i.broken.Store(nil)
	k.advance(31 * time.Second)
	get(second, 200)
}

// A JWK set can be a file, which is read again.
func TestKeysFromAFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keys.json")
	put := func(s signing) {
		text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{s.public()}})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	k := &clock{at: time.Now()}
	c := newClient(t, sqlite(), func(o *scim.Options) {
		o.Now = k.now
		o.Sources[0].JWT = &scim.JWT{Issuer: "https://issuer.example.org", Audience: "api://jmld", Subject: "workload", Bearer: true, Keys: scim.JWKS{File: file}}
	})
	var got []int
	for range 2 {
		s := ecKey(t, "same name")
		put(s)
		k.advance(11 * time.Minute)
		a, err := c.send("GET", "/Users", http.Header{"Authorization": {"Bearer " + s.sign(t, claimsAt(k.now()))}}, "")
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, a.status)
	}
	if diff := cmp.Diff([]int{200, 200}, got); diff != "" {
		t.Error(diff)
	}
}
