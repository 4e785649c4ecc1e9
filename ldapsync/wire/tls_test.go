package wire

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"jmld/internal/testserver"
)

// counting counts reads from the kernel.
type counting struct {
	*net.TCPConn
	reads int
}

func (c *counting) Read(p []byte) (int, error) {
	c.reads++
	return c.TCPConn.Read(p)
}

// A server puts each entry into a record of TLS of its own. To wait for a handful is to wait for many of them, not for each.
func TestRecordsOfTLSAreReadTogether(t *testing.T) {
	t.Parallel()
	const people = 1500
	s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(people, 1, 2)})
	pem, err := os.ReadFile(s.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	tcp, err := net.Dial("tcp", strings.TrimPrefix(s.TLSURL, "ldaps://"))
	if err != nil {
		t.Fatal(err)
	}
	raw := &counting{TCPConn: tcp.(*net.TCPConn)}
	c := New(tls.Client(NewBuffered(raw), &tls.Config{RootCAs: pool, ServerName: "localhost", MinVersion: tls.VersionTLS12}), raw, time.Minute)
	t.Cleanup(c.Close)
	if err := c.Bind(testserver.SyncDN, testserver.Password); err != nil {
		t.Fatal(err)
	}
	raw.reads = 0
	d, err := c.Search(Search{Base: testserver.PeopleBase, Scope: 2, Filter: "(objectClass=inetOrgPerson)", Attrs: []string{"entryUUID"}, PageSize: 2 * people},
		func(*Entry) error { return nil })
	if err != nil || d.Entries != people {
		t.Fatalf("%d entries, want %d: %v", d.Entries, people, err)
	}
	if raw.reads > people/5 {
		t.Errorf("%d reads for %d entries", raw.reads, people)
	}
}
