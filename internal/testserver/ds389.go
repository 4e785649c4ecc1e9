package testserver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"
)

// DS389AdminDN may do everything in a 389 Directory Server. Its tree is that of Slapd: Base with its OUs, and SyncDN.
const (
	DS389AdminDN = "cn=Directory Manager"

	ds389Packages = "389-ds-base python3-lib389 libnss3-tools"
)

// DS389Server is a running 389 Directory Server of its own, with retro changelog, content sync, entryUSN, memberOf and
// referential integrity.
type DS389Server struct {
	URL    string // ldap://127.0.0.1:…
	TLSURL string // ldaps://localhost:…; the certificate is for localhost
	Addr   string // host and port of URL
	CAFile string

	*process
	*admin
}

// DS389Options say what the directory holds.
type DS389Options struct {
	LDIF string // entries added to the skeleton (Base, its OUs and SyncDN)
}

// DS389 starts a 389 Directory Server on free loopback ports and stops it when the test ends. Without the packages, or
// without root, the test is skipped, or fails when CI is set.
func DS389(tb testing.TB, o DS389Options) *DS389Server {
	tb.Helper()
	daemon, create := findProgram("ns-slapd"), findProgram("dscreate")
	if daemon == "" || create == "" {
		Missing(tb, "a 389 Directory Server", ds389Packages)
	}
	needRoot(tb, "dscreate makes files for other accounts")
	made, err := cached("ds389-1", daemon, func(dir string) error { return makeDS389(tb, dir, daemon, create) })
	if err != nil {
		tb.Fatalf("make a 389 Directory Server: %v", err)
	}
	dir, err := os.MkdirTemp("", "ds389")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	if err := copyTree(made, dir); err != nil {
		tb.Fatal(err)
	}
	if o.LDIF != "" {
		file := filepath.Join(dir, "content.ldif")
		writeFile(tb, file, ds389Skeleton()+o.LDIF)
		conf := move(tb, made, dir, freePort(tb), freePort(tb))
		if out, err := exec.Command(daemon, "ldif2db", "-D", conf, "-n", "userroot", "-i", file).CombinedOutput(); err != nil {
			tb.Fatalf("ldif2db: %v\n%s", err, out)
		}
	}
	for try := 1; ; try++ {
		plain, secure := freePort(tb), freePort(tb)
		s, err := startDS389(tb, dir, daemon, move(tb, made, dir, plain, secure), plain, secure)
		if err == nil {
			tb.Cleanup(s.Kill)
			return s
		}
		if try == 3 {
			tb.Fatalf("start ns-slapd: %v", err)
		}
	}
}

func startDS389(tb testing.TB, dir, daemon, conf, plain, secure string) (*DS389Server, error) {
	s := &DS389Server{
		Addr: "127.0.0.1:" + plain, URL: "ldap://127.0.0.1:" + plain, TLSURL: "ldaps://localhost:" + secure, CAFile: filepath.Join(conf, "ca.crt"),
	}
	s.admin = &admin{tb: tb, url: s.URL, dn: DS389AdminDN, password: Password}
	s.process = &process{tb: tb, name: "ns-slapd", ready: func() bool { return s.as(func(*ldap.Conn) error { return nil }) == nil }}
	s.cmd = exec.Command(daemon, "-D", conf, "-i", filepath.Join(dir, "run/dirsrv/slapd-test.pid"), "-d", "0")
	return s, s.start()
}

// move rewrites the configuration, which is full of absolute paths, for another directory and other ports. It returns
// the configuration's directory.
func move(tb testing.TB, from, to, plain, secure string) string {
	tb.Helper()
	conf := filepath.Join(to, "etc/dirsrv/slapd-test")
	file := filepath.Join(conf, "dse.ldif")
	text, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	s := strings.ReplaceAll(unfold(string(text)), from, to)
	s = regexp.MustCompile(`(?m)^nsslapd-port: .*$`).ReplaceAllString(s, "nsslapd-port: "+plain)
	s = regexp.MustCompile(`(?mi)^nsslapd-securePort: .*$`).ReplaceAllString(s, "nsslapd-secureport: "+secure)
	writeFile(tb, file, s)
	return conf
}

// unfold joins the lines that LDIF breaks, RFC 2849 note 2.
func unfold(ldif string) string { return strings.ReplaceAll(ldif, "\n ", "") }

// makeDS389 creates an instance with everything below dir. dscreate starts services with systemctl whatever it is told
// unless the defaults it reads say that there is no systemd; PREFIX is how it finds other defaults.
func makeDS389(tb testing.TB, dir, daemon, create string) error {
	for _, d := range []string{
		"share/dirsrv/inf", "etc/dirsrv", "etc/default", "inst", "dev/shm", "run/dirsrv", "run/lock/dirsrv", "var/lib/dirsrv", "var/log/dirsrv", "tmp",
	} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil { //nolint:gosec // a test's
			return err
		}
	}
	for from, to := range map[string]string{
		"/etc/dirsrv/config": "etc/dirsrv/config", "/etc/dirsrv/schema": "etc/dirsrv/schema", "/usr/share/dirsrv/data": "share/dirsrv/data",
	} {
		if err := os.MkdirAll(filepath.Join(dir, to), 0o755); err != nil { //nolint:gosec // a test's
			return err
		}
		if err := copyTree(from, filepath.Join(dir, to)); err != nil {
			return err
		}
	}
	if err := os.Symlink("/usr/share/dirsrv/schema", filepath.Join(dir, "share/dirsrv/schema")); err != nil {
		return err
	}
	defaults, err := os.ReadFile("/usr/share/dirsrv/inf/defaults.inf")
	if err != nil {
		return err
	}
	text := string(defaults)
	for pattern, with := range map[string]string{
		`(?m)^with_systemd = .*`:     "with_systemd = 0",
		`(?m)^(user|group) = .*`:     "${1} = root",
		`= /(etc|var|run|dev/shm)\b`: "= " + dir + "/${1}",
		`(?m)^data_dir = .*`:         "data_dir = " + dir + "/share",
		`(?m)^tmp_dir = .*`:          "tmp_dir = " + dir + "/tmp",
		`(?m)^inst_dir = .*`:         "inst_dir = " + dir + "/inst",
	} {
		text = regexp.MustCompile(pattern).ReplaceAllString(text, with)
	}
	plain, secure := freePort(tb), freePort(tb)
	answers := filepath.Join(dir, "test.inf")
	for file, text := range map[string]string{
		filepath.Join(dir, "share/dirsrv/inf/defaults.inf"): text,
		answers: strings.NewReplacer("$PORT", plain, "$SECURE", secure, "$PASSWORD", Password, "$BASE", Base).Replace(`[general]
full_machine_name = localhost
strict_host_checking = False
systemd = False
selinux = False
start = False
[slapd]
instance_name = test
port = $PORT
secure_port = $SECURE
root_password = $PASSWORD
self_sign_cert = True
user = root
group = root
[backend-userroot]
suffix = $BASE
`),
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
	}
	cmd := exec.Command(create, "-v", "from-file", answers)
	cmd.Env = append(systemPath(), "PREFIX="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("dscreate: %w\n%s", err, out)
	}
	return prepareDS389(tb, dir, daemon, plain, secure)
}

// prepareDS389 switches the plug-ins on and lets SyncDN read everything, the changes included.
func prepareDS389(tb testing.TB, dir, daemon, plain, secure string) error {
	conf := move(tb, dir, dir, plain, secure)
	file := filepath.Join(conf, "dse.ldif")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	s := string(text)
	for _, plugin := range []string{"Retro Changelog Plugin", "Content Synchronization", "USN", "MemberOf Plugin", "referential integrity postoperation"} {
		entry := regexp.MustCompile(`(?mi)^dn: cn=` + plugin + `,cn=plugins,cn=config\n(?:.+\n)*`)
		if !entry.MatchString(s) {
			return fmt.Errorf("no plug-in %s in %s", plugin, file)
		}
		s = entry.ReplaceAllStringFunc(s, func(e string) string {
			e = regexp.MustCompile(`(?mi)^nsslapd-pluginEnabled: .*$`).ReplaceAllString(e, "nsslapd-pluginEnabled: on")
			if plugin == "Retro Changelog Plugin" {
				e = regexp.MustCompile(`(?mi)^nsslapd-attribute: .*\n`).ReplaceAllString(e, "") + "nsslapd-attribute: nsuniqueid:targetUniqueId\n"
			}
			return e
		})
	}
	const limits = "nsslapd-listenhost: 127.0.0.1\nnsslapd-securelistenhost: localhost\n"
	s = regexp.MustCompile(`(?m)^dn: cn=config\n`).ReplaceAllString(s, "dn: cn=config\n"+limits)
	if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
		return err
	}
	skeletonFile := filepath.Join(dir, "skeleton.ldif")
	if err := os.WriteFile(skeletonFile, []byte(ds389Skeleton()), 0o600); err != nil {
		return err
	}
	if out, err := exec.Command(daemon, "ldif2db", "-D", conf, "-n", "userroot", "-i", skeletonFile).CombinedOutput(); err != nil {
		return fmt.Errorf("ldif2db: %w\n%s", err, out)
	}
	server, err := startDS389(nil, dir, daemon, conf, plain, secure)
	if err != nil {
		return err
	}
	defer server.Kill()
	changes := ldap.NewModifyRequest("cn=changelog", nil)
	changes.Add("aci", []string{ds389Right})
	if err := server.as(func(c *ldap.Conn) error { return c.Modify(changes) }); err != nil {
		return err
	}
	server.Stop()
	regions, err := filepath.Glob(filepath.Join(dir, "var/lib/dirsrv/slapd-test/db/__db.*")) // shared memory, 100 MB, made anew
	for _, name := range regions {
		err = errors.Join(err, os.Remove(name))
	}
	return err
}

// ds389Skeleton is skeleton with the right to read it, and without limits for SyncDN.
func ds389Skeleton() string {
	s := strings.Replace(skeleton("389"), "description: 389\n", "description: 389\naci: "+ds389Right+"\n", 1)
	return strings.Replace(s, "dn: "+SyncDN+"\n", "dn: "+SyncDN+"\nnsSizeLimit: -1\nnsLookThroughLimit: -1\nnsIDListScanLimit: -1\n"+
		"nsPagedSizeLimit: -1\nnsPagedLookThroughLimit: -1\nnsPagedIDListScanLimit: -1\n", 1)
}

const ds389Right = `(targetattr = "*")(version 3.0; acl "sync reads"; allow (read, search, compare) userdn = "ldap:///` + SyncDN + `";)`
