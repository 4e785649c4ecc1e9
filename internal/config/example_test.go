package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/config"
)

const example = "../../config.example.yaml"

// TestExampleIsValid reads config.example.yaml: as it stands it has no mistake, and the only warnings are about the
// secrets and certificates that are not on this machine.
func TestExampleIsValid(t *testing.T) {
	t.Parallel()
	c, err := config.Inspect(example)
	if err != nil {
		t.Fatal(err)
	}
	absent := regexp.MustCompile(`not set|no such file`)
	for _, w := range c.Warnings {
		if !absent.MatchString(w.Text) {
			t.Errorf("warning: %s", w)
		}
	}
	if len(c.Warnings) == 0 {
		t.Error("nothing is absent: the example names no secrets any more")
	}
	rules, err := c.Rules()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"corp", "entra", "branch", "headquarters"}, rules.Precedence); diff != "" {
		t.Errorf("precedence (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"example.org", "*.example.org", "example.com"}, rules.OwnDomains); diff != "" {
		t.Errorf("own domains (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"platform", "app", "scratch", "ledger", "badges"}, rules.Targets); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
}

// TestExampleLoadsWithItsSecrets puts the files in place that the example names, and then nothing at all is wrong.
func TestExampleLoadsWithItsSecrets(t *testing.T) {
	t.Setenv("JMLD_CONSOLE_TOKEN", "an operator's token")
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key := selfSigned(t)
	for path, content := range map[string]string{
		"/run/secrets/jmld-db": "a", "/run/secrets/ldap-reader": "b", "/run/secrets/app-token": "c", "/run/secrets/ledger-token": "d",
		"/run/secrets/entra-client": "a secret of the client", "/run/secrets/entra-password": "the password of the client",
		"/etc/jmld/client-ca.pem": cert, "/etc/jmld/issuer-ca.pem": cert,
		"/etc/jmld/tls.crt": cert, "/etc/jmld/tls.key": key, "/etc/jmld/ldap-ca.pem": cert, "/etc/jmld/app-ca.pem": cert,
		"/etc/jmld/ldap-client.crt": cert, "/etc/jmld/ldap-client.key": key, "/etc/jmld/jmld.keytab": "k", "/etc/krb5.conf": "[libdefaults]",
	} {
		name := filepath.Base(path)
		if !strings.Contains(string(data), path) {
			t.Errorf("the example does not name %s", path)
		}
		data = []byte(strings.ReplaceAll(string(data), path, name))
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) > 0 {
		t.Errorf("warnings: %v", c.Warnings)
	}
	if got := string(c.Sources[0].LDAP.CAFile); got != filepath.Join(dir, "ldap-ca.pem") {
		t.Errorf("a relative file is not beside the configuration: %s", got)
	}
	if got := c.Sources[1].SCIM.MTLS.Fingerprints[0]; len(got) != 64 || strings.Contains(got, ":") {
		t.Errorf("a fingerprint is not in its plain form: %s", got)
	}
	if v, err := c.Sources[0].LDAP.Password.Value(); err != nil || v != "b" {
		t.Errorf("password: %q, %v", v, err)
	}
}

// key is a key of the format, with the struct's tags.
type key struct {
	path     string
	name     string
	required bool
	def      string
}

func keysOf(t reflect.Type, path string) []key {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	var list []key
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		name, option, _ := strings.Cut(tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		full := strings.TrimPrefix(path+"."+name, ".")
		list = append(list, key{full, name, option == "required", tag.Get("default")})
		list = append(list, keysOf(t.Field(i).Type, full)...)
	}
	return list
}

func allKeys(t *testing.T) []key {
	t.Helper()
	keys := keysOf(reflect.TypeFor[config.Config](), "")
	if len(keys) < 60 {
		t.Fatalf("only %d keys were found", len(keys))
	}
	return keys
}

// TestExampleHasEveryKey looks for each key of the format in the example, as a key and not in a comment.
func TestExampleHasEveryKey(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(?m)^\s*#.*$`).ReplaceAllString(string(data), "")
	for _, k := range allKeys(t) {
		if !regexp.MustCompile(`(?m)(^|[\s{,-])` + regexp.QuoteMeta(k.name) + `:`).MatchString(text) {
			t.Errorf("%s is not in config.example.yaml", k.path)
		}
	}
}

// TestReferenceHasEveryKey compares docs/configuration.md with the structs: each key with its path, its default and
// whether it is required, and no key that is not there.
func TestReferenceHasEveryKey(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("^\\| `([a-z_.]+)` \\|[^|]*\\|([^|]*)\\|$")
	documented, inKeys := map[string]string{}, false
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		inKeys = strings.HasPrefix(line, "| Key |") || inKeys && strings.HasPrefix(line, "|")
		if m := row.FindStringSubmatch(line); inKeys && m != nil {
			documented[m[1]] = strings.TrimSpace(m[2])
		}
	}
	var paths []string
	for _, k := range allKeys(t) {
		paths = append(paths, k.path)
		said, ok := documented[k.path]
		switch {
		case !ok:
			t.Errorf("%s has no row in docs/configuration.md", k.path)
		case k.required && said != "required":
			t.Errorf("%s is required; docs/configuration.md says %q", k.path, said)
		case k.def != "" && said != "`"+k.def+"`":
			t.Errorf("%s is %s by default; docs/configuration.md says %q", k.path, k.def, said)
		}
	}
	for path := range documented {
		if !slices.Contains(paths, path) {
			t.Errorf("docs/configuration.md has a row for %s, which is no key", path)
		}
	}
}
