package httpd_test

import (
	"crypto/tls"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"jmld/internal/httpd"
)

// M-45: a client may show a certificate and need not; one of another authority is refused; other authorities count without
// a restart.
func TestClientCertificatesAreVerified(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pem := func(name string) httpd.TLS {
		return httpd.TLS{Certificate: filepath.Join(dir, name+".crt"), Key: filepath.Join(dir, name+".key")}
	}
	load := func(files httpd.TLS) []tls.Certificate {
		c, err := tls.LoadX509KeyPair(files.Certificate, files.Key)
		if err != nil {
			t.Fatal(err)
		}
		return []tls.Certificate{c}
	}
	files, first, second := pem("tls"), pem("first"), pem("second")
	issue(t, 1, files)
	issue(t, 2, first)
	issue(t, 3, second)
	files.ClientCA = filepath.Join(dir, "ca.pem")
	trust := func(from httpd.TLS, at time.Time) {
		text, err := os.ReadFile(from.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(files.ClientCA, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(files.ClientCA, at, at); err != nil {
			t.Fatal(err)
		}
	}
	trust(first, time.Now())
	var clock atomic.Int64
	s := server(t, httpd.Options{
		TLS: &files, Now: func() time.Time { return time.Unix(clock.Load(), 0) },
		Console: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			serial := "none"
			if len(r.TLS.VerifiedChains) > 0 {
				serial = r.TLS.VerifiedChains[0][0].SerialNumber.String()
			}
			w.Header().Set("Serial", serial)
		}),
	})
	stop := run(t, s)
	cache := tls.NewLRUClientSessionCache(8)
	shown := func(certs []tls.Certificate) string {
		tr := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: certs, ClientSessionCache: cache}} //nolint:gosec // the client's side is what is looked at
		defer tr.CloseIdleConnections()
		resp, err := (&http.Client{Transport: tr, Timeout: time.Minute}).Get("https://" + s.Addr().String() + "/page")
		if err != nil {
			return "refused"
		}
		resp.Body.Close()
		return resp.Header.Get("Serial") + " " + strconv.Itoa(resp.ProtoMajor)
	}
	for i, want := range []struct {
		certs []tls.Certificate
		said  string
	}{{nil, "none 2"}, {load(first), "2 2"}, {load(second), "refused"}} {
		if got := shown(want.certs); got != want.said {
			t.Errorf("%d: %s, want %s", i, got, want.said)
		}
	}
	trust(second, time.Now().Add(time.Minute))
	clock.Add(60)
	if a, b := shown(load(first)), shown(load(second)); a != "refused" || b != "3 2" {
		t.Errorf("after the authority was replaced: %s, %s", a, b)
	}
	if err := os.WriteFile(files.ClientCA, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	clock.Add(60)
	if got := shown(load(second)); got != "3 2" {
		t.Errorf("after the file was broken: %s", got)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
