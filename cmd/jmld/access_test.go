package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// certificate writes a certificate that has signed itself, and its key, as NAME.crt and NAME.key.
func (h *house) certificate(name string) {
	h.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name, Organization: []string{"Example"}},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		h.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		h.t.Fatal(err)
	}
	h.write(name+".crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	h.write(name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

const accessConfig = `database: sqlite:jmld.db
listen:
  address: 127.0.0.1:0
  tls: {certificate: server.crt, key: server.key, client_ca_file: okta.crt}
sources:
  - name: okta
    scim: {mtls: {subject: "CN=okta,O=Example"}}
  - name: entra
    scim:
      oauth: {client_id: entra, client_secret: {file: secret}, lifetime: 6h}
      jwt: {issuer: https://issuer.example.org, audience: api://jmld, subject: workload, jwks: {file: keys.json}}
policy: {accounts: [{name: all, target: platform, when: "true"}]}
targets: [{name: platform, class: platform, local: {}}]
`

// M-45: from the configuration to the answer, over TLS: a client with a certificate, one with a signed assertion. The access
// token is still good after a restart, as it is at another replica.
func TestClientsShowWhoTheyAreOverTLS(t *testing.T) {
	t.Parallel()
	h := newHouse(t, houseOptions{})
	h.certificate("server")
	h.certificate("okta")
	h.write("secret", "a secret that nobody is told")
	h.write("config.yaml", accessConfig)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "1"}}})
	if err != nil {
		t.Fatal(err)
	}
	h.write("keys.json", string(set))
	d := h.serve()
	d.url = strings.Replace(d.url, "http:", "https:", 1)

	certificate, err := tls.LoadX509KeyPair(filepath.Join(h.dir, "okta.crt"), filepath.Join(h.dir, "okta.key"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(h.file("server.crt")))
	request := func(want int, certs []tls.Certificate, method, url, token, body string) []byte {
		t.Helper()
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: certs}}
		defer tr.CloseIdleConnections()
		req, err := http.NewRequest(method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		if body != "" {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		res, err := (&http.Client{Transport: tr, Timeout: time.Minute}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != want {
			t.Fatalf("%s %s: %d, want %d: %v %s", method, url, res.StatusCode, want, err, text)
		}
		return text
	}
	own := []tls.Certificate{certificate}
	request(200, own, "GET", d.url+"/scim/okta/v2/Users", "", "")
	request(401, nil, "GET", d.url+"/scim/okta/v2/Users", "", "")
	request(401, own, "GET", d.url+"/scim/entra/v2/Users", "", "")

	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	assertion, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: "https://issuer.example.org", Audience: jwt.Audience{"api://jmld"}, Subject: "workload",
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(time.Hour)),
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_assertion": {assertion},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	}
	var grant struct {
		Token   string `json:"access_token"`
		Expires int    `json:"expires_in"`
	}
	if err := json.Unmarshal(request(200, nil, "POST", d.url+"/scim/entra/oauth/token", "", form.Encode()), &grant); err != nil || grant.Expires != 6*3600 {
		t.Fatalf("%v %+v", err, grant)
	}
	request(401, nil, "GET", d.url+"/scim/entra/v2/Users", assertion, "") // bearer is off
	request(200, nil, "GET", d.url+"/scim/entra/v2/Users", grant.Token, "")
	request(401, nil, "GET", d.url+"/scim/okta/v2/Users", grant.Token, "")
	d.stop()
	again := h.serve()
	again.url = strings.Replace(again.url, "http:", "https:", 1)
	request(200, nil, "GET", again.url+"/scim/entra/v2/Users", grant.Token, "")
	again.stop()
	for _, private := range []string{grant.Token, assertion, "nobody is told"} {
		if strings.Contains(d.log.text()+again.log.text(), private) {
			t.Errorf("the log shows %.20s", private)
		}
	}
}
