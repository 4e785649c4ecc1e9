package testserver

import (
	"crypto/rand"
	"crypto/x509"
	"fmt"
	mrand "math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"
)

// The names every test directory has. Everybody's password is Password.
const (
	Base       = "dc=example,dc=org"
	PeopleBase = "ou=people," + Base
	GroupsBase = "ou=groups," + Base
	HiddenBase = "ou=hidden," + Base
	AdminDN    = "cn=admin," + Base
	SyncDN     = "cn=sync,ou=services," + Base    // may read everything, without limits
	PagedDN    = "cn=paged,ou=services," + Base   // 500 entries in one answer, any number in pages; not ou=hidden, not employeeNumber
	SmallDN    = "cn=small,ou=services," + Base   // 100 entries, pages or not
	LimitedDN  = "cn=limited,ou=services," + Base // the server's default of 500
	Password   = "correct horse battery"
)

// SlapdOptions say what the directory holds.
type SlapdOptions struct {
	LDIF     string // entries added to the skeleton (Base, its OUs and the service accounts)
	Global   string // more lines of slapd.conf before the database section
	Database string // and in it
	Syncrepl bool   // the server provides what RFC 4533 needs, with a log of its last 500 changes
	// Certificate changes the server's certificate before it is signed; nil: good for localhost and 127.0.0.1.
	Certificate func(*x509.Certificate)
	Env         []string // more environment variables, NAME=VALUE
}

// SlapdServer is a running OpenLDAP server of its own.
type SlapdServer struct {
	URL    string // ldap://127.0.0.1:…
	TLSURL string // ldaps://127.0.0.1:…; the certificate is for localhost and 127.0.0.1
	Addr   string // host and port of URL
	CAFile string
	Socket string // ldapi:///…, where the client's user is known

	*process
	*admin
	dir  string
	mark string // in the base entry: by it we know our own server
}

// Slapd starts an OpenLDAP server on free loopback ports with its files in a temporary directory, and stops it when
// the test ends. Without the server the test is skipped, or fails when CI is set.
func Slapd(tb testing.TB, o SlapdOptions) *SlapdServer {
	tb.Helper()
	slapd, slapadd, schema := findSlapd(tb)
	if o.Syncrepl {
		o.Global += "\nmoduleload syncprov\nserverID 1\n"
		o.Database += "\nindex entryCSN eq\noverlay syncprov\nsyncprov-checkpoint 1 1\nsyncprov-sessionlog 500\n"
	}
	// Not tb.TempDir: its paths grow with the test's name.
	dir, err := os.MkdirTemp("", "slapd")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	s := &SlapdServer{dir: dir, mark: rand.Text(), CAFile: filepath.Join(dir, "ca.pem"), Socket: "ldapi://" + filepath.Join(dir, "ldapi")}
	s.process = &process{tb: tb, name: "slapd", ready: s.ours}
	s.admin = &admin{tb: tb, dn: AdminDN, password: Password}
	if err := writeCertificates(dir, o.Certificate); err != nil {
		tb.Fatal(err)
	}
	conf := filepath.Join(dir, "slapd.conf")
	writeFile(tb, conf, slapdConf(dir, schema, o))
	ldif := filepath.Join(dir, "content.ldif")
	writeFile(tb, ldif, skeleton(s.mark)+o.LDIF)
	if err := os.Mkdir(filepath.Join(dir, "db"), 0o700); err != nil {
		tb.Fatal(err)
	}
	if out, err := exec.Command(slapadd, "-q", "-w", "-S", "1", "-f", conf, "-l", ldif).CombinedOutput(); err != nil {
		tb.Fatalf("slapadd: %v\n%s", err, out)
	}
	tb.Cleanup(s.Kill)
	// The ports are free when asked for and may be taken a moment later: another pair then.
	for try := 1; ; try++ {
		plain, secure := freePort(tb), freePort(tb)
		s.Addr = "127.0.0.1:" + plain
		s.URL, s.TLSURL = "ldap://"+s.Addr, "ldaps://127.0.0.1:"+secure
		s.admin.url = s.URL
		s.cmd = exec.Command(slapd, "-d", "0", "-f", conf, "-h", s.URL+" "+s.TLSURL+" ldapi://"+url.PathEscape(filepath.Join(dir, "ldapi")))
		s.cmd.Env = append(os.Environ(), o.Env...)
		err := s.start()
		if err == nil {
			return s
		}
		if try == 5 {
			tb.Fatalf("start slapd: %v", err)
		}
	}
}

// ClientCertificate makes a certificate for a client, signed by the server's authority: files with it and its key.
func (s *SlapdServer) ClientCertificate(name string) (cert, key string) {
	s.process.tb.Helper()
	cert, key = filepath.Join(s.dir, name+".pem"), filepath.Join(s.dir, name+".key")
	if err := writeClientCertificate(s.dir, name, cert, key); err != nil {
		s.process.tb.Fatal(err)
	}
	return cert, key
}

// ours says whether the server that answers is this one: the port may have gone to another test's.
func (s *SlapdServer) ours() bool {
	c, err := s.Dial()
	if err != nil {
		return false
	}
	defer c.Close()
	r, err := c.Search(ldap.NewSearchRequest(Base, ldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)", []string{"description"}, nil))
	return err == nil && len(r.Entries) == 1 && r.Entries[0].GetAttributeValue("description") == s.mark
}

func findSlapd(tb testing.TB) (slapd, slapadd, schema string) {
	tb.Helper()
	slapd, slapadd = findProgram("slapd"), findProgram("slapadd")
	for _, dir := range []string{"/etc/ldap/schema", "/etc/openldap/schema"} {
		if _, err := os.Stat(filepath.Join(dir, "inetorgperson.schema")); err == nil {
			schema = dir
			break
		}
	}
	if slapd == "" || slapadd == "" || schema == "" {
		Missing(tb, "an OpenLDAP server", "slapd")
	}
	return slapd, slapadd, schema
}

// freePort looks below the ports that systems give to outgoing connections: one of those could take the server's
// between Kill and Start.
func freePort(tb testing.TB) string {
	tb.Helper()
	for range 100 {
		port := strconv.Itoa(10_000 + mrand.IntN(20_000))
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err == nil {
			l.Close()
			return port
		}
	}
	tb.Fatal("no free port between 10000 and 30000")
	return ""
}

func writeFile(tb testing.TB, name, text string) {
	tb.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
}

func slapdConf(dir, schema string, o SlapdOptions) string {
	var b strings.Builder
	for _, s := range []string{"core", "cosine", "nis", "inetorgperson"} {
		fmt.Fprintf(&b, "include %s/%s.schema\n", schema, s)
	}
	if _, err := os.Stat("/usr/lib/ldap"); err == nil { // Debian builds the database as a module
		b.WriteString("modulepath /usr/lib/ldap\nmoduleload back_mdb\n")
	}
	b.WriteString(o.Global + "\n")
	fmt.Fprintf(&b, `TLSCACertificateFile %[1]s/ca.pem
TLSCertificateFile %[1]s/server.pem
TLSCertificateKeyFile %[1]s/server.key
sizelimit 500
threads 4
tool-threads 2
loglevel 0
database mdb
suffix %[2]s
rootdn %[3]s
rootpw "%[4]s"
directory %[1]s/db
maxsize 4294967296
dbnosync
index objectClass,entryUUID,uid,cn,member eq
limits dn.exact="%[5]s" size=unlimited time=unlimited
limits dn.exact="%[6]s" size.soft=500 size.hard=1000 size.prtotal=unlimited
limits dn.exact="%[7]s" size=100
access to attrs=userPassword by anonymous auth by * none
access to attrs=employeeNumber by dn.exact="%[5]s" read by * none
access to dn.subtree="%[8]s" by dn.exact="%[5]s" read by * none
access to * by users read by anonymous auth
`, dir, Base, AdminDN, Password, SyncDN, PagedDN, SmallDN, HiddenBase)
	return b.String() + o.Database + "\n"
}

func skeleton(mark string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "dn: %s\nobjectClass: organization\nobjectClass: dcObject\no: Example\ndc: example\ndescription: %s\n\n", Base, mark)
	for _, ou := range []string{"people", "groups", "services", "hidden"} {
		fmt.Fprintf(&b, "dn: ou=%[1]s,%[2]s\nobjectClass: organizationalUnit\nou: %[1]s\n\n", ou, Base)
	}
	for _, dn := range []string{SyncDN, PagedDN, SmallDN, LimitedDN} {
		cn, _, _ := strings.Cut(strings.TrimPrefix(dn, "cn="), ",")
		fmt.Fprintf(&b, "dn: %s\nobjectClass: applicationProcess\nobjectClass: simpleSecurityObject\n"+
			"cn: %s\nuserPassword: %s\n\n", dn, cn, Password)
	}
	return b.String()
}
