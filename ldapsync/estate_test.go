package ldapsync_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"jmld/internal/testserver"
	"jmld/jml/entry"
	"jmld/ldapsync"
)

// estate is a kind of server, shared by many tests, each of which has a tree of its own in it.
type estate struct {
	name    string
	options ldapsync.Options // how it is read, without the base
	dial    func() (net.Conn, error)
	editor
	idAttr  string
	methods []entry.Method // how changes are read; the first one is the usual one
	root    string
	// person and group are the attributes of new entries.
	person func(name string) map[string][]string
	group  func(name string, members []string) map[string][]string
	rdn    string // of people
	layer  *fault // what the server would do if it were another one; nil: nothing
	shared bool   // there is another estate on the same server
	off    [2]string
	on     []string // what the attribute of off is without it
	// renamed follows a new RDN with what the server does not derive from it; nil: nothing does.
	renamed func(c *ldap.Conn, dn, name string) error
}

// editor changes a directory.
type editor interface {
	Dial() (*ldap.Conn, error)
}

func openLDAPEstate(t *testing.T) *estate {
	s := testserver.Slapd(t, testserver.SlapdOptions{Syncrepl: true})
	return &estate{
		name: "openldap", editor: s, root: testserver.Base, idAttr: "entryUUID", rdn: "uid",
		dial: func() (net.Conn, error) { return net.Dial("tcp", s.Addr) },
		options: ldapsync.Options{Preset: entry.OpenLDAP, BindDN: testserver.SyncDN, People: ldapsync.People{Filter: "(&(objectClass=inetOrgPerson)(!(employeeType=former)))"},
			Inactive: ldapsync.Inactive{Attribute: "description", Values: []string{"suspended"}}},
		methods: []entry.Method{entry.MethodSyncrepl, entry.MethodModifyTime},
		person:  inetPerson, group: groupOfNames, off: [2]string{"description", "suspended"},
	}
}

func ds389Estate(t *testing.T) *estate {
	s := testserver.DS389(t, testserver.DS389Options{})
	return &estate{
		name: "389ds", editor: s, root: testserver.Base, idAttr: "nsUniqueId", rdn: "uid",
		dial: func() (net.Conn, error) { return net.Dial("tcp", s.Addr) },
		options: ldapsync.Options{Preset: entry.DS389, BindDN: testserver.SyncDN,
			People: ldapsync.People{Filter: "(&(objectClass=inetOrgPerson)(!(objectClass=nsTombstone))(!(employeeType=former)))"}},
		methods: []entry.Method{entry.MethodChangelog, entry.MethodEntryUSN, entry.MethodModifyTime},
		person:  inetPerson, group: groupOfNames, off: [2]string{"nsAccountLock", "true"},
	}
}

// activeDirectories are Samba, and the same server with what Windows does and Samba does not: no more entries in a page than
// it likes (MaxPageSize), and long lists of members in parts, with an empty list under the plain name (MaxValRange).
func activeDirectories(t *testing.T) []*estate {
	samba := sambaEstate(t)
	samba.shared = true
	windows := *samba
	windows.name, windows.layer = "windows", windowsLayer()
	return []*estate{samba, &windows}
}

func sambaEstate(t *testing.T) *estate {
	s := testserver.Samba(t)
	pem, err := os.ReadFile(s.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return &estate{
		name: "samba", editor: s, root: testserver.SambaBase, idAttr: "objectGUID", rdn: "CN",
		dial: func() (net.Conn, error) { // it takes no password in clear; we do, on loopback
			return tls.Dial("tcp", net.JoinHostPort(s.Host, "636"), &tls.Config{RootCAs: pool, ServerName: s.Host, MinVersion: tls.VersionTLS12})
		},
		options: ldapsync.Options{Preset: entry.ActiveDirectory, BindDN: testserver.SambaSyncDN,
			People: ldapsync.People{Filter: "(&(objectCategory=person)(objectClass=user)(!(employeeType=former)))"}},
		methods: []entry.Method{entry.MethodUSN, entry.MethodDirSync, entry.MethodModifyTime},
		person: func(name string) map[string][]string {
			return map[string][]string{"objectClass": {"user"}, "sAMAccountName": {name}, "userPrincipalName": {name}, "userAccountControl": {"544"}}
		},
		group: func(name string, members []string) map[string][]string {
			return map[string][]string{"objectClass": {"group"}, "sAMAccountName": {name}, "member": members}
		},
		off: [2]string{"userAccountControl", "546"}, on: []string{"544"},
		renamed: func(c *ldap.Conn, dn, name string) error {
			req := ldap.NewModifyRequest(dn, nil)
			req.Replace("sAMAccountName", []string{name})
			req.Replace("userPrincipalName", []string{name})
			return c.Modify(req)
		},
	}
}

func inetPerson(name string) map[string][]string {
	return map[string][]string{"objectClass": {"inetOrgPerson"}, "uid": {name}, "cn": {name}, "sn": {name}}
}

func groupOfNames(name string, members []string) map[string][]string {
	return map[string][]string{"objectClass": {"groupOfNames"}, "cn": {name}, "member": members}
}
