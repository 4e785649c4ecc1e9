package httpd_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"jmld/internal/httpd"
	"jmld/model"
)

// issue writes a certificate with the serial number over the files.
func issue(t *testing.T, serial int64, files httpd.TLS) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "jmld.example.org"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &tmpl, &tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	k, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(time.Duration(serial) * time.Second) // file times may be coarse
	for name, block := range map[string]*pem.Block{files.Certificate: {Type: "CERTIFICATE", Bytes: der}, files.Key: {Type: "PRIVATE KEY", Bytes: k}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCertificateIsRenewedWithoutRestartAndABrokenOneIsNot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := httpd.TLS{Certificate: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key")}
	issue(t, 1, files)
	core, logs := observer.New(zap.InfoLevel)
	var clock atomic.Int64
	s := server(t, httpd.Options{TLS: &files, Console: status(200), Log: zap.New(core), Now: func() time.Time { return time.Unix(clock.Load(), 0) }})
	stop := run(t, s)
	serial := func() int64 {
		t.Helper()
		c, err := tls.Dial("tcp", s.Addr().String(), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec,noctx // the serial is what is looked at
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if got := serial(); got != 1 {
		t.Fatalf("serial %d", got)
	}
	issue(t, 2, files)
	if got := serial(); got != 1 {
		t.Errorf("looked at the files at each handshake: serial %d", got)
	}
	clock.Add(60)
	if got := serial(); got != 2 {
		t.Errorf("not renewed: serial %d", got)
	}
	if err := os.WriteFile(files.Key, []byte("half a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	clock.Add(60)
	if got := serial(); got != 2 {
		t.Errorf("serial %d", got)
	}
	if logs.FilterMessage("certificate not renewed, the one before stays").Len() != 1 {
		t.Error("the broken key is not in the log")
	}
	issue(t, 3, files)
	clock.Add(60)
	if got := serial(); got != 3 {
		t.Errorf("not renewed after the repair: serial %d", got)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// M-45, R1: TLS 1.2 at least (RFC 7644 §7.2).
func TestOldTLSIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := httpd.TLS{Certificate: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key")}
	issue(t, 1, files)
	s := server(t, httpd.Options{Address: "0.0.0.0:0", TLS: &files, Console: status(200)})
	stop := run(t, s)
	_, port, _ := net.SplitHostPort(s.Addr().String())
	for version, ok := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		c, err := tls.Dial("tcp", net.JoinHostPort("127.0.0.1", port), &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: version}) //nolint:gosec,noctx // the version is what is looked at
		if (err == nil) != ok {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err == nil {
			c.Close()
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestMissingCertificateIsAConfigurationError(t *testing.T) {
	t.Parallel()
	_, err := httpd.New(httpd.Options{Address: "127.0.0.1:0", TLS: &httpd.TLS{Certificate: "/none", Key: "/none"}})
	if model.CodeOf(err) != model.CodeConfig || err == nil {
		t.Errorf("%v", err)
	}
}
