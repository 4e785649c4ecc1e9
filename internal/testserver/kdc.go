package testserver

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Realm is the realm of every test KDC.
const Realm = "EXAMPLE.ORG"

const kdcPackages = "krb5-kdc krb5-admin-server libsasl2-modules-gssapi-mit"

// KDCServer is a running Kerberos server of its own.
type KDCServer struct {
	Config string // krb5.conf

	tb  testing.TB
	dir string
}

// KDC starts an MIT Kerberos server on a free loopback port that ends with the test. Without the server the test is skipped,
// or fails when CI is set.
func KDC(tb testing.TB) *KDCServer {
	tb.Helper()
	paths := map[string]string{}
	for _, name := range []string{"krb5kdc", "kdb5_util", "kadmin.local"} {
		if paths[name] = findProgram(name); paths[name] == "" {
			Missing(tb, "a Kerberos server", kdcPackages)
		}
	}
	if plugins, err := filepath.Glob("/usr/lib/*/sasl2/libgssapiv2.so"); err != nil || len(plugins) == 0 {
		Missing(tb, "Cyrus SASL with GSSAPI", kdcPackages)
	}
	dir, err := os.MkdirTemp("", "kdc")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	k := &KDCServer{Config: filepath.Join(dir, "krb5.conf"), tb: tb, dir: dir}
	port := freePort(tb)
	writeFile(tb, k.Config, fmt.Sprintf(`[libdefaults]
 default_realm = %[1]s
 dns_lookup_kdc = false
 dns_canonicalize_hostname = false
 rdns = false
 udp_preference_limit = 1
[realms]
 %[1]s = {
  kdc = 127.0.0.1:%[2]s
 }
[domain_realm]
 localhost = %[1]s
`, Realm, port))
	writeFile(tb, filepath.Join(dir, "kdc.conf"), fmt.Sprintf(`[kdcdefaults]
 kdc_listen = 127.0.0.1:%[2]s
 kdc_tcp_listen = 127.0.0.1:%[2]s
[realms]
 %[1]s = {
  database_name = %[3]s/principal
  key_stash_file = %[3]s/stash
  acl_file = %[3]s/acl
  supported_enctypes = aes256-cts-hmac-sha1-96:normal
 }
`, Realm, port, dir))
	k.run(paths["kdb5_util"], "create", "-s", "-r", Realm, "-P", Password)
	cmd := exec.Command(paths["krb5kdc"], "-n")
	cmd.Env = append(os.Environ(), k.Env()...)
	withParent(cmd)
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() }) //nolint:errcheck // it is killed
	for range 3000 {
		if c, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			c.Close()
			return k
		}
		time.Sleep(20 * time.Millisecond)
	}
	tb.Fatal("krb5kdc does not listen")
	return nil
}

// Env is what programs need to use this realm.
func (k *KDCServer) Env() []string {
	return []string{"KRB5_CONFIG=" + k.Config, "KRB5_KDC_PROFILE=" + filepath.Join(k.dir, "kdc.conf"),
		"KRB5RCACHETYPE=none", "KRB5RCACHENAME=none:"}
}

// Keytab makes a principal with a random key and returns a file with the key. Of a principal that exists the key changes.
func (k *KDCServer) Keytab(principal string) string {
	k.tb.Helper()
	file := filepath.Join(k.dir, strings.NewReplacer("/", "_", "@", "_").Replace(principal)+"."+freePort(k.tb)+".keytab")
	out := k.admin("add_principal -randkey " + principal)
	if !strings.Contains(out, "created") && !strings.Contains(out, "already exists") {
		k.tb.Fatalf("add_principal: %s", out)
	}
	k.admin("ktadd -k " + file + " " + principal)
	if _, err := os.Stat(file); err != nil {
		k.tb.Fatal(err)
	}
	return file
}

// Lock keeps the principal from getting tickets.
func (k *KDCServer) Lock(principal string) {
	k.tb.Helper()
	k.admin("modify_principal -allow_tix " + principal)
}

func (k *KDCServer) admin(query string) string {
	k.tb.Helper()
	return k.run(findProgram("kadmin.local"), "-r", Realm, "-q", query)
}

func (k *KDCServer) run(program string, args ...string) string {
	k.tb.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), k.Env()...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		k.tb.Fatalf("%s: %v\n%s", filepath.Base(program), err, out)
	}
	return string(out)
}
