package testserver

import (
	"fmt"
	mrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"golang.org/x/text/encoding/unicode"
)

// The names every Samba domain has. Passwords are Password.
const (
	SambaBase    = "DC=ad,DC=example,DC=org"
	SambaPeople  = "CN=Users," + SambaBase // where Windows puts new accounts
	SambaAdminDN = "CN=Administrator,CN=Users," + SambaBase
	SambaSyncDN  = "CN=sync,CN=Users," + SambaBase // an ordinary account, which may read nearly everything
	SambaHost    = "dc1.ad.example.org"            // in the certificate, and ldap/ with it is a service principal
	SambaRealm   = "AD.EXAMPLE.ORG"

	sambaPackages = "samba samba-ad-provision samba-dsdb-modules samba-vfs-modules python3-samba python3-markdown python3-dnspython"
	// sambaFirst is the administrator's password until Samba may take a simpler one.
	sambaFirst = "Correct-Horse-Battery-1"
)

// SambaServer is a running Active Directory domain controller of its own: Samba, which differs from Windows. It knows
// neither MaxPageSize nor MaxValRange.
type SambaServer struct {
	URL    string // ldap://127.x.y.z; a simple bind needs TLS
	TLSURL string // ldaps://127.x.y.z; the certificate is for the address and SambaHost
	Host   string // 127.x.y.z
	CAFile string

	*process
	*admin
}

// Samba starts a domain controller on a loopback address of its own, since its ports cannot be chosen, and stops it when
// the test ends. Without the packages, or without root, the test is skipped, or fails when CI is set.
func Samba(tb testing.TB) *SambaServer {
	tb.Helper()
	daemon, tool := findProgram("samba"), findProgram("samba-tool")
	if _, err := os.Stat("/usr/share/samba/setup/ad-schema"); daemon == "" || tool == "" || err != nil {
		Missing(tb, "Samba as a domain controller", sambaPackages)
	}
	needRoot(tb, "Samba listens on fixed ports below 1024")
	made, err := cached("samba1", daemon, func(dir string) error { return makeDomain(dir, daemon, tool) })
	if err != nil {
		tb.Fatalf("make a domain: %v", err)
	}
	dir, err := os.MkdirTemp("", "samba")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	if err := copyTree(made, dir); err != nil {
		tb.Fatal(err)
	}
	for try := 1; ; try++ {
		s, err := startSamba(tb, dir, daemon, freeAddress(tb), Password)
		if err == nil {
			tb.Cleanup(s.Kill)
			return s
		}
		if try == 3 {
			tb.Fatalf("start samba: %v", err)
		}
	}
}

func startSamba(tb testing.TB, dir, daemon, ip, password string) (*SambaServer, error) {
	s := &SambaServer{Host: ip, URL: "ldap://" + ip, TLSURL: "ldaps://" + ip, CAFile: filepath.Join(dir, "ca.pem")}
	s.admin = &admin{tb: tb, url: s.TLSURL, caFile: s.CAFile, dn: SambaAdminDN, password: password}
	s.process = &process{tb: tb, name: "samba", ready: func() bool { return s.as(func(*ldap.Conn) error { return nil }) == nil }}
	if err := writeCertificates(dir, nil, ip, SambaHost); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "run"), 0o755); err != nil { //nolint:gosec // Samba wants it so
		return nil, err
	}
	conf := filepath.Join(dir, "ad.conf")
	if err := os.WriteFile(conf, []byte(sambaConf(dir, ip)), 0o600); err != nil {
		return nil, err
	}
	s.cmd = exec.Command(daemon, "-s", conf, "-i", "-M", "single", "--debug-stdout")
	return s, s.start()
}

// AddPerson adds an account that may log in, with sAMAccountName and cn name, below SambaPeople.
func (s *SambaServer) AddPerson(name string, attrs map[string][]string) string {
	s.admin.tb.Helper()
	dn := "CN=" + name + "," + SambaPeople
	all := map[string][]string{
		"objectClass": {"user"}, "sAMAccountName": {name}, "userPrincipalName": {name + "@ad.example.org"},
		"userAccountControl": {"512"}, "unicodePwd": {sambaPassword(s.admin.tb, Password)},
	}
	for k, v := range attrs {
		all[k] = v
	}
	s.Add(dn, all)
	return dn
}

// AddGroup adds a global security group below SambaPeople.
func (s *SambaServer) AddGroup(name string, members ...string) string {
	s.admin.tb.Helper()
	dn := "CN=" + name + "," + SambaPeople
	attrs := map[string][]string{"objectClass": {"group"}, "sAMAccountName": {name}}
	if len(members) > 0 {
		attrs["member"] = members
	}
	s.Add(dn, attrs)
	return dn
}

// sambaPassword is a password as unicodePwd takes it: in quotes, UTF-16.
func sambaPassword(tb testing.TB, text string) string {
	out, err := unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewEncoder().String(`"` + text + `"`)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// makeDomain provisions a domain and the accounts that tests use.
func makeDomain(dir, daemon, tool string) error {
	provision := exec.Command(tool, "domain", "provision", "--realm="+SambaRealm, "--domain=AD", "--server-role=dc", "--dns-backend=NONE",
		"--backend-store=mdb", "--adminpass="+sambaFirst, "--host-name=dc1", "--host-ip=127.0.0.1", "--targetdir="+dir, "--use-rfc2307",
		// Extended attributes in a file: no file system with access lists is needed.
		"--option=posix:eadb="+dir+"/private/eadb.tdb", "--option=vfs objects=dfs_samba4 acl_xattr xattr_tdb")
	provision.Env = systemPath()
	if out, err := provision.CombinedOutput(); err != nil {
		return fmt.Errorf("samba-tool domain provision: %w\n%s", err, out)
	}
	ip, err := loopback()
	if err != nil {
		return err
	}
	s, err := startSamba(nil, dir, daemon, ip, sambaFirst)
	if err != nil {
		return err
	}
	defer s.Kill()
	if err := s.as(prepareDomain); err != nil {
		return err
	}
	s.Stop()
	spn := exec.Command(tool, "spn", "add", "ldap/"+SambaHost, "DC1$", "-s", filepath.Join(dir, "ad.conf"), "-H", filepath.Join(dir, "private/sam.ldb"))
	spn.Env = systemPath()
	if out, err := spn.CombinedOutput(); err != nil {
		return fmt.Errorf("samba-tool spn add: %w\n%s", err, out)
	}
	return os.RemoveAll(filepath.Join(dir, "run"))
}

// prepareDomain lets simple passwords be, for ever, and makes the account for reading.
func prepareDomain(c *ldap.Conn) error {
	rules := ldap.NewModifyRequest(SambaBase, nil)
	rules.Replace("pwdProperties", []string{"0"})
	rules.Replace("maxPwdAge", []string{"0"})
	rules.Replace("minPwdAge", []string{"0"})
	if err := c.Modify(rules); err != nil {
		return err
	}
	quoted, err := unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewEncoder().String(`"` + Password + `"`)
	if err != nil {
		return err
	}
	reset := ldap.NewModifyRequest(SambaAdminDN, nil)
	reset.Replace("unicodePwd", []string{quoted})
	if err := c.Modify(reset); err != nil {
		return err
	}
	sync := ldap.NewAddRequest(SambaSyncDN, nil)
	for k, v := range map[string]string{
		"objectClass": "user", "sAMAccountName": "sync", "userPrincipalName": "sync@ad.example.org", "userAccountControl": "512", "unicodePwd": quoted,
	} {
		sync.Attribute(k, []string{v})
	}
	return c.Add(sync)
}

func sambaConf(dir, ip string) string {
	return strings.NewReplacer("$DIR", dir, "$IP", ip, "$REALM", SambaRealm).Replace(`[global]
netbios name = DC1
realm = $REALM
workgroup = AD
server role = active directory domain controller
private dir = $DIR/private
lock directory = $DIR
state directory = $DIR/state
cache directory = $DIR/cache
pid directory = $DIR/run
ncalrpc dir = $DIR/run/ncalrpc
log file = $DIR/log.%m
binddns dir = $DIR/bind-dns
winbindd socket directory = $DIR/run/winbindd
ntp signd socket directory = $DIR/run/ntp_signd
interfaces = $IP/8
bind interfaces only = yes
server services = ldap, cldap, kdc
dcerpc endpoint servers =
ldap server require strong auth = allow_sasl_over_tls
ldb:nosync = true
posix:eadb = $DIR/private/eadb.tdb
disable netbios = yes
tls enabled = yes
tls keyfile = $DIR/server.key
tls certfile = $DIR/server.pem
tls cafile = $DIR/ca.pem
`)
}

// findProgram looks where servers are, too; "" when there is none.
func findProgram(name string) string {
	for _, dir := range []string{"/usr/sbin/", "/usr/local/sbin/", "/usr/local/libexec/"} {
		if _, err := os.Stat(dir + name); err == nil {
			return dir + name
		}
	}
	p, err := exec.LookPath(name)
	if err != nil {
		return ""
	}
	return p
}

// systemPath makes the tools' scripts find the system's Python, whose modules they need.
func systemPath() []string {
	return append(os.Environ(), "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8")
}

func needRoot(tb testing.TB, why string) {
	tb.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") == "true" {
		tb.Fatalf("this test needs root: %s", why)
	}
	tb.Skipf("this test needs root: %s", why)
}

func freeAddress(tb testing.TB) string {
	tb.Helper()
	ip, err := loopback()
	if err != nil {
		tb.Fatal(err)
	}
	return ip
}

// loopback is an address of this machine on which nobody speaks LDAP.
func loopback() (string, error) {
	for range 100 {
		ip := fmt.Sprintf("127.%d.%d.%d", 1+mrand.IntN(250), 1+mrand.IntN(250), 2+mrand.IntN(250))
		c, err := net.DialTimeout("tcp", ip+":389", time.Second)
		if err != nil {
			return ip, nil
		}
		c.Close()
	}
	return "", fmt.Errorf("no free address in 127.0.0.0/8")
}
