package scim_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/scim"
)

// vault is a secret that can be replaced.
type vault struct {
	mu     sync.Mutex
	values []string
	err    error
}

func (v *vault) read() ([]string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.values, v.err
}

func (v *vault) put(err error, values ...string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.values, v.err = values, err
}

const (
	clientID     = "jmld client"
	clientSecret = "first+secret of%2Fthe:client"
)

func oauthClient(t testing.TB) (*client, *vault, *clock) {
	t.Helper()
	v, k := &vault{values: []string{clientSecret}}, &clock{at: time.Now()}
	return newClient(t, sqlite(), func(o *scim.Options) {
		o.Now = k.now
		o.Sources[0].OAuth = &scim.OAuth{ClientID: clientID, Secrets: v.read}
		o.Sources[1].OAuth = &scim.OAuth{ClientID: clientID, Secrets: v.read}
	}), v, k
}

// grantAnswer is what the token endpoint says.
type grantAnswer struct {
	Status    int    `json:"-"`
	Challenge string `json:"-"`
	Token     string `json:"access_token"`
	Type      string `json:"token_type"`
	Expires   int    `json:"expires_in"`
	Scope     string `json:"scope"`
	Error     string `json:"error"`
}

func (c *client) grant(t testing.TB, source, authorization string, form url.Values) grantAnswer {
	t.Helper()
	h := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Authorization": nil}
	if authorization != "" {
		h.Set("Authorization", authorization)
	}
	a, err := c.send("POST", c.host+"/scim/"+source+"/oauth/token", h, form.Encode())
	if err != nil {
		t.Fatal(err)
	}
	got := grantAnswer{Status: a.status, Challenge: a.header.Get("WWW-Authenticate")}
	if err := json.Unmarshal(a.body, &got); err != nil {
		t.Fatalf("%s: %v", a, err)
	}
	want := http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}, "Pragma": {"no-cache"}}
	for name := range want {
		if diff := cmp.Diff(want[name], a.header[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	return got
}

func basic(user, password string) string {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, password)
	return r.Header.Get("Authorization")
}

func form(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v
}

// RFC 6749 §4.4 with the credentials of §2.3.1 in the header, encoded or not, and in the body.
func TestClientCredentialsGiveAnAccessToken(t *testing.T) {
	t.Parallel()
	c, _, k := oauthClient(t)
	cc := form("grant_type", "client_credentials")
	body := form("grant_type", "client_credentials", "client_id", clientID, "client_secret", clientSecret, "scope", "anything")
	seen := map[string]bool{}
	for name, a := range map[string]grantAnswer{
		"encoded header": c.grant(t, "entra", basic(url.QueryEscape(clientID), url.QueryEscape(clientSecret)), cc),
		"plain header":   c.grant(t, "entra", basic(clientID, clientSecret), cc),
		"body":           c.grant(t, "entra", "", body),
	} {
		token := a.Token
		a.Token = ""
		if diff := cmp.Diff(grantAnswer{Status: 200, Type: "Bearer", Expires: 3600, Scope: "scim"}, a); diff != "" || seen[token] {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		seen[token] = true
		c.as(t, "Bearer "+token, c.base+"/Users", 200)
		c.as(t, "Bearer "+token, c.host+"/scim/okta/v2/Users", 401) // with the same client and secret
		c.as(t, "Bearer "+token, c.host+"/scim/none/v2/Users", 404)
		c.as(t, "Bearer "+token[:len(token)-1], c.base+"/Users", 401)
		c.as(t, "Bearer "+strings.Replace(token, "_at_", "_at_AA", 1), c.base+"/Users", 401)
	}
	if got := c.create(t, "/Users", `{"userName":"ada@example.org"}`); got == "" {
		t.Error("a stored token does not work beside")
	}
	a := c.grant(t, "entra", basic(clientID, clientSecret), cc)
	k.advance(time.Hour - time.Second)
	c.as(t, "Bearer "+a.Token, c.base+"/Users", 200)
	k.advance(time.Second)
	c.as(t, "Bearer "+a.Token, c.base+"/Users", 401)
}

// RFC 6749 §5.2: what is wrong is said with its own code, and never whether it was the id or the secret.
func TestTokenEndpointRefuses(t *testing.T) {
	t.Parallel()
	c, _, _ := oauthClient(t)
	cc := form("grant_type", "client_credentials")
	with := func(pairs ...string) url.Values {
		return form(append([]string{"grant_type", "client_credentials"}, pairs...)...)
	}
	challenge := `Basic realm="scim", charset="UTF-8"`
	unknown := grantAnswer{Status: 401, Error: "invalid_client", Challenge: challenge}
	for _, tt := range []struct {
		name, header string
		form         url.Values
		want         grantAnswer
	}{
		{"nothing", "", cc, unknown},
		{"wrong secret", basic(clientID, "wrong"), cc, unknown},
		{"wrong id", basic("other", clientSecret), cc, unknown},
		{"no pair", "Basic !", cc, unknown},
		{"bad encoding", basic("%zz", "%"), cc, unknown},
		{"a bearer token", "Bearer " + secret, cc, unknown},
		{"wrong in the body", "", with("client_id", clientID, "client_secret", "wrong"), unknown},
		{"empty secret", "", with("client_id", clientID, "client_secret", ""), unknown},
		{"an assertion without jwt", "", with("client_assertion", "a.b.c", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"), unknown},
		{"two ways", basic(clientID, clientSecret), with("client_id", clientID, "client_secret", clientSecret), grantAnswer{Status: 400, Error: "invalid_request"}},
		{"no grant", basic(clientID, clientSecret), form(), grantAnswer{Status: 400, Error: "invalid_request"}},
		{"another grant", basic(clientID, clientSecret), form("grant_type", "password"), grantAnswer{Status: 400, Error: "unsupported_grant_type"}},
		{"twice", basic(clientID, clientSecret), with("scope", "a", "scope", "b"), grantAnswer{Status: 400, Error: "invalid_request"}},
	} {
		if diff := cmp.Diff(tt.want, c.grant(t, "entra", tt.header, tt.form)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	for _, tt := range []struct {
		method, url, media, body string
		status                   int
	}{
		{"GET", "/scim/entra/oauth/token", "", "", 405},
		{"POST", "/scim/entra/oauth/token", "application/json", "{}", 400},
		{"POST", "/scim/entra/oauth/token", "application/x-www-form-urlencoded", "a=%zz", 400},
		{"POST", "/scim/entra/oauth/token", "application/x-www-form-urlencoded", strings.Repeat("a", 20_000), 413},
		{"POST", "/scim/none/oauth/token", "application/x-www-form-urlencoded", "grant_type=client_credentials", 401},
		{"POST", "/scim/entra/oauth/other", "application/x-www-form-urlencoded", "grant_type=client_credentials", 401},
	} {
		a, err := c.send(tt.method, c.host+tt.url, http.Header{"Content-Type": {tt.media}, "Authorization": nil}, tt.body)
		if err != nil || a.status != tt.status {
			t.Errorf("%s %s %.40s: %v %s", tt.method, tt.url, tt.body, err, a)
		}
	}
}

// A new secret ends the access tokens of the old one, unless both are valid for a while.
func TestAccessTokensEndWithTheSecret(t *testing.T) {
	t.Parallel()
	c, v, k := oauthClient(t)
	cc := form("grant_type", "client_credentials")
	old := c.grant(t, "entra", basic(clientID, clientSecret), cc).Token
	v.put(nil, "the second secret", clientSecret)
	k.advance(2 * time.Second)
	c.as(t, "Bearer "+old, c.base+"/Users", 200)
	both := c.grant(t, "entra", basic(clientID, clientSecret), cc).Token
	next := c.grant(t, "entra", basic(clientID, "the second secret"), cc).Token
	v.put(nil, "the second secret")
	k.advance(2 * time.Second)
	c.as(t, "Bearer "+old, c.base+"/Users", 401)
	c.as(t, "Bearer "+both, c.base+"/Users", 200) // it was made with the new secret already
	c.as(t, "Bearer "+next, c.base+"/Users", 200)
	if a := c.grant(t, "entra", basic(clientID, clientSecret), cc); a.Status != 401 {
		t.Errorf("the old secret still works: %+v", a)
	}
	v.put(errors.New("gone"))
	k.advance(2 * time.Second)
	c.as(t, "Bearer "+next, c.base+"/Users", 200)
	k.advance(9 * time.Second)
	c.as(t, "Bearer "+next, c.base+"/Users", 503)
	c.as(t, "Bearer "+secret, c.base+"/Users", 200)
}

func TestBasicLetsItsUserIn(t *testing.T) {
	t.Parallel()
	v := &vault{values: []string{"the new: password", "the old: password"}}
	c := newClient(t, sqlite(), func(o *scim.Options) { o.Sources[0].Basic = &scim.Basic{User: "okta", Passwords: v.read} })
	for header, status := range map[string]int{
		basic("okta", "the new: password"): 200, basic("okta", "the old: password"): 200, "Bearer " + secret: 200,
		basic("okta", "the new"): 401, basic("Okta", "the new: password"): 401, basic("", ""): 401, "Basic b2t0YQ==": 401, "Digest x": 401, "": 401,
	} {
		a := c.as(t, header, c.base+"/Users", status)
		if status == 401 && !cmp.Equal(a.header.Values("WWW-Authenticate")[1:], []string{`Basic realm="scim", charset="UTF-8"`}) {
			t.Errorf("%q: challenges %q", header, a.header.Values("WWW-Authenticate"))
		}
		c.as(t, header, c.host+"/scim/okta/v2/Users", 401)
	}
}

// R2: ServiceProviderConfig says what the source takes, and nothing else.
func TestAuthenticationSchemesAreTrueForEachSource(t *testing.T) {
	t.Parallel()
	v := &vault{values: []string{clientSecret}}
	c := newClient(t, sqlite(), func(o *scim.Options) {
		o.Sources[0].OAuth = &scim.OAuth{ClientID: clientID, Secrets: v.read}
		o.Sources[0].Basic = &scim.Basic{User: "okta", Passwords: v.read}
		o.Sources[0].JWT = &scim.JWT{Issuer: "i", Audience: "a", Subject: "s", Bearer: true, Keys: scim.JWKS{File: "none"}}
	})
	c.token(t, "okta", "other", "token-okta", nil)
	for source, want := range map[string][]string{
		"entra/" + secret: {"oauth2 primary", "oauthbearertoken", "oauthbearertoken", "httpbasic"},
		"okta/token-okta": {"oauthbearertoken primary"},
	} {
		name, token, _ := strings.Cut(source, "/")
		a := c.as(t, "Bearer "+token, c.host+"/scim/"+name+"/v2/ServiceProviderConfig", 200)
		var doc struct {
			Schemes []struct {
				Type    string
				Primary bool
			} `json:"authenticationSchemes"`
		}
		if err := json.Unmarshal(a.body, &doc); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range doc.Schemes {
			if s.Primary {
				s.Type += " primary"
			}
			got = append(got, s.Type)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
