package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"jmld/internal/config"
)

func selfSigned(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "jmld.example.org"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}))
}

// TestSecretIsNeverPrinted tries every way in which a value reaches a log or a page (M-45).
func TestSecretIsNeverPrinted(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secret-file-name")
	if err := os.WriteFile(file, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := config.SecretFile(file)
	if v, err := s.Value(); err != nil || v != "hunter2" {
		t.Fatalf("the secret is %q, %v", v, err)
	}
	in := struct{ S any }{s}
	var said []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		said = append(said, fmt.Sprintf(verb, s), fmt.Sprintf(verb, &s))
	}
	said = append(said, fmt.Sprint(in), s.String(), s.GoString())
	for _, v := range []any{s, &s, in, map[string]any{"s": s}} {
		j, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		y, err := yaml.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, string(j), string(y))
	}
	core, logs := observer.New(zap.DebugLevel)
	zap.New(core).Info("x", zap.Any("s", s), zap.Stringer("t", s), zap.Reflect("r", s))
	said = append(said, fmt.Sprint(logs.All()[0].ContextMap()))
	for _, text := range said {
		if strings.Contains(text, "hunter2") || !strings.Contains(text, "[secret]") && !strings.HasPrefix(text, "[") {
			t.Errorf("printed: %s", text)
		}
	}
}

// TestSecretIsReadWhenItIsNeeded: a rotated secret is used without a restart.
func TestSecretIsReadWhenItIsNeeded(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	s := config.SecretFile(file)
	for _, step := range []struct{ content, want string }{
		{"first\n", "first"}, {"second", "second"}, {"with space \n", "with space "}, {"two\n\n", "two\n"}, {"dos\r\n", "dos"},
	} {
		if err := os.WriteFile(file, []byte(step.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Value(); err != nil || got != step.want {
			t.Errorf("%q: got %q, %v; want %q", step.content, got, err, step.want)
		}
	}
}

func TestSecretThatIsNotThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, s := range map[string]config.Secret{
		"none is configured": {}, "no such file": config.SecretFile(filepath.Join(dir, "nowhere")),
		"is a directory": config.SecretFile(dir), "is empty": config.SecretFile(write("empty", "\n")),
		"is larger than 64KiB": config.SecretFile(write("big", strings.Repeat("hunter2 ", 10_000))),
		"is not set":           config.SecretEnv("JMLD_TEST_NOT_SET"),
	} {
		v, err := s.Value()
		if err == nil || v != "" || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %q, %v", name, v, err)
		}
	}
}
