package wire

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// prepared is the client's end of a connection whose server sends all it has to say before the client reads of it.
type prepared struct {
	net.Conn
	said  *bytes.Reader // nil: it is read from the connection
	reads int
}

func (p *prepared) Read(b []byte) (int, error) {
	if p.said == nil {
		return p.Conn.Read(b)
	}
	p.reads++
	return p.said.Read(b)
}

// A server puts each entry into a record of TLS of its own. What there is of them is read from the kernel at once, as much as there is room
// for, not a record or its head at a time.
func TestRecordsOfTLSAreReadTogether(t *testing.T) {
	t.Parallel()
	const entries = 5000
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"ldap.example.org"}, NotBefore: time.Unix(0, 0), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(root)
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close(); far.Close() })
	sent := &recorder{Conn: far}
	server := tls.Server(sent, &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true,
	})
	raw := &prepared{Conn: near}
	client := tls.Client(NewBuffered(raw), &tls.Config{RootCAs: pool, ServerName: "ldap.example.org", MinVersion: tls.VersionTLS13})
	shaken := make(chan error, 1)
	go func() { shaken <- server.Handshake() }()
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	sent.into = &bytes.Buffer{}
	for i := range entries + 1 {
		m := foundOne()
		if i == entries {
			m = done()
		}
		if _, err := server.Write(m); err != nil {
			t.Fatal(err)
		}
	}
	raw.said = bytes.NewReader(sent.into.Bytes())
	go func() { // the request
		b := make([]byte, 4<<10)
		for {
			if _, err := far.Read(b); err != nil {
				return
			}
		}
	}()
	c := New(client, raw, time.Minute)
	t.Cleanup(c.Close)
	d, err := c.Search(Search{Base: "dc=example,dc=org", Scope: ldap.ScopeWholeSubtree, Filter: "(cn=*)", PageSize: 2 * entries}, func(*Entry) error { return nil })
	if err != nil || d.Entries != entries {
		t.Fatalf("%d entries, want %d: %v", d.Entries, entries, err)
	}
	// A part of a record may be left in the buffer each time.
	if most := sent.into.Len()/(bufferSize/2) + 1; sent.into.Len() < 2*bufferSize || raw.reads > most {
		t.Errorf("%d reads of %d bytes, want %d at most", raw.reads, sent.into.Len(), most)
	}
}

// recorder keeps what is written, once there is something to keep it in.
type recorder struct {
	net.Conn
	into *bytes.Buffer
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.into == nil {
		return r.Conn.Write(b)
	}
	return r.into.Write(b)
}
