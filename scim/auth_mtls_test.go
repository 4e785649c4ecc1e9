package scim_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"jmld/scim"
)

// authority signs client certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, key}
}

func (a authority) issue(t testing.TB, usage x509.ExtKeyUsage, ends time.Duration) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	uri, err := url.Parse("spiffe://example.org/okta")
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "okta", Organization: []string{"Example"}},
		DNSNames: []string{"okta.example.org"}, URIs: []*url.URL{uri}, ExtKeyUsage: []x509.ExtKeyUsage{usage},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(ends),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func fingerprint(c tls.Certificate) string {
	sum := sha256.Sum256(c.Certificate[0])
	return hex.EncodeToString(sum[:])
}

// M-45: a client certificate lets in where the handshake has verified it and it is the one that is configured.
func TestClientCertificatesAreCompared(t *testing.T) {
	t.Parallel()
	p := open(t, sqlite())
	p.token(t, "entra", "laptop", secret, nil)
	ca, other := newAuthority(t), newAuthority(t)
	cert := ca.issue(t, x509.ExtKeyUsageClientAuth, time.Hour)
	clock := &clock{at: time.Now()}
	for name, tt := range map[string]struct {
		m      scim.MTLS
		status int
	}{
		"subject":             {scim.MTLS{Subject: "CN=okta,O=Example"}, 200},
		"DNS name":            {scim.MTLS{SAN: "OKTA.example.org"}, 200},
		"URI":                 {scim.MTLS{SAN: "spiffe://example.org/okta"}, 200},
		"fingerprint":         {scim.MTLS{Fingerprints: []string{fingerprint(other.issue(t, x509.ExtKeyUsageClientAuth, time.Hour)), fingerprint(cert)}}, 200},
		"everything":          {scim.MTLS{Subject: "CN=okta,O=Example", SAN: "okta.example.org", Fingerprints: []string{fingerprint(cert)}}, 200},
		"part of the subject": {scim.MTLS{Subject: "CN=okta"}, 401},
		"another name":        {scim.MTLS{SAN: "example.org"}, 401},
		"another certificate": {scim.MTLS{Subject: "CN=okta,O=Example", Fingerprints: []string{fingerprint(ca.issue(t, x509.ExtKeyUsageClientAuth, time.Hour))}}, 401},
		"nothing":             {scim.MTLS{}, 401},
	} {
		h := scim.New(scim.Options{Now: clock.now, Pusher: p.Engine, Resources: p.Store, Tokens: p.Store, Sources: []scim.Source{
			{Name: "entra", Access: scim.Access{MTLS: &tt.m}}, {Name: "okta"},
		}})
		pool := x509.NewCertPool()
		pool.AddCert(ca.cert)
		server := httptest.NewUnstartedServer(h)
		server.TLS = &tls.Config{ClientCAs: pool, ClientAuth: tls.VerifyClientCertIfGiven}
		server.StartTLS()
		get := func(source, header string, certs ...tls.Certificate) (int, error) {
			transport := server.Client().Transport.(*http.Transport).Clone()
			transport.TLSClientConfig.Certificates = certs
			defer transport.CloseIdleConnections()
			c := &client{http: &http.Client{Transport: transport, Timeout: patience}, base: server.URL + "/scim/" + source + "/v2"}
			a, err := c.send("GET", "/Users", http.Header{"Authorization": {header}}, "")
			return a.status, err
		}
		want := func(status int, source, header string, certs ...tls.Certificate) {
			t.Helper()
			if got, err := get(source, header, certs...); err != nil || got != status {
				t.Errorf("%s: %d, want %d: %v", name, got, status, err)
			}
		}
		want(tt.status, "entra", "", cert)
		want(401, "okta", "", cert)
		want(401, "none", "", cert)
		want(401, "entra", "")
		want(200, "entra", "Bearer "+secret)
		want(401, "entra", "Bearer wrong", cert) // what the header says counts
		if name == "subject" {
			for what, bad := range map[string]tls.Certificate{
				"another authority": other.issue(t, x509.ExtKeyUsageClientAuth, time.Hour), "expired": ca.issue(t, x509.ExtKeyUsageClientAuth, -time.Minute),
				"a server's": ca.issue(t, x509.ExtKeyUsageServerAuth, time.Hour),
			} {
				if got, err := get("entra", "", bad); err == nil && got != 401 {
					t.Errorf("%s: let in: %d", what, got)
				}
			}
			clock.advance(2 * time.Hour)
			want(401, "entra", "", cert) // a connection may outlive the certificate
			clock.advance(-2 * time.Hour)
		}
		server.Close()
	}
}

// R2: who is elsewhere gets 403 before anything else, and only proxies we trust say where somebody is.
func TestOnlyTheNetworksOfASourceReachIt(t *testing.T) {
	t.Parallel()
	p := open(t, sqlite())
	p.token(t, "entra", "laptop", secret, nil)
	p.token(t, "okta", "other", "token-okta", nil)
	prefixes := func(list ...string) (out []netip.Prefix) {
		for _, s := range list {
			out = append(out, netip.MustParsePrefix(s))
		}
		return out
	}
	h := scim.New(scim.Options{
		Pusher: p.Engine, Resources: p.Store, Tokens: p.Store, TrustedProxies: prefixes("192.0.2.0/28", "2001:db8:1::/48"),
		Sources: []scim.Source{
			{Name: "entra", Access: scim.Access{Networks: prefixes("10.0.0.0/8", "2001:db8::1/128"), OAuth: &scim.OAuth{ClientID: "x", Secrets: (&vault{values: []string{"y"}}).read}}},
			{Name: "okta"},
		},
	})
	for _, tt := range []struct {
		from, forwarded string
		ok              bool
	}{
		{"10.1.2.3:4", "", true},
		{"[::ffff:10.1.2.3]:4", "", true},
		{"[2001:db8::1]:4", "", true},
		{"[2001:db8::2]:4", "", false},
		{"11.1.2.3:4", "", false},
		{"11.1.2.3:4", "10.1.2.3", false}, // says who is not trusted
		{"192.0.2.1:4", "10.1.2.3", true},
		{"192.0.2.1:4", "11.1.1.1, 10.1.2.3", true},
		{"192.0.2.1:4", "10.1.2.3, 11.1.1.1", false}, // the client wrote the first
		{"192.0.2.1:4", "10.1.2.3, 192.0.2.2", true},
		{"[2001:db8:1::5]:4", "10.1.2.3", true},
		{"192.0.2.1:4", "10.1.2.3:99", false},
		{"192.0.2.1:4", "unknown", false},
		{"192.0.2.1:4", "", false},
		{"192.0.2.1:4", "192.0.2.2", false},
		{"@", "", false},
	} {
		for _, path := range []string{"/scim/entra/v2/Users", "/scim/entra/oauth/token", "/scim/okta/v2/Users"} {
			r := httptest.NewRequest("GET", path, nil)
			r.RemoteAddr = tt.from
			r.Header.Set("Authorization", "Bearer "+secret)
			if tt.forwarded != "" {
				r.Header.Set("X-Forwarded-For", tt.forwarded)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			want := map[string]int{"/scim/entra/v2/Users": 200, "/scim/entra/oauth/token": 405, "/scim/okta/v2/Users": 401}[path]
			if !tt.ok && path != "/scim/okta/v2/Users" {
				want = 403
			}
			if w.Code != want {
				t.Errorf("%s: %d, want %d", fmt.Sprint(tt, path), w.Code, want)
			}
		}
	}
}
