package ldapsync_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"jmld/internal/testserver"
	"jmld/ldapsync"
	"jmld/model"
)

// The certificate is wrong in each way it can be, and the password is not sent.
func TestAServerWithABadCertificateGetsNoPassword(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*x509.Certificate)
		text   string
	}{
		"expired": {func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
		}, "is valid from"},
		"not yet valid": {func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(24*time.Hour), time.Now().Add(48*time.Hour)
		}, "is valid from"},
		"of another host": {func(c *x509.Certificate) {
			c.DNSNames, c.IPAddresses = []string{"other.example.org"}, nil
		}, "another name than 127.0.0.1"},
		"of a client": {func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}, "not valid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(3, 0, 0), Certificate: c.change})
			for _, startTLS := range []bool{false, true} {
				o := options(s)
				if startTLS {
					o.URL, o.StartTLS = s.URL, true
				}
				_, p, err := read(t.Context(), source(t, o))
				mustFail(t, o, p, err, model.CodeSourceTLS)
				if !strings.Contains(err.Error(), c.text) {
					t.Errorf("StartTLS %v: %q is not in: %v", startTLS, c.text, err)
				}
			}
		})
	}
}

func TestAPinnedKeyIsWantedBesides(t *testing.T) {
	t.Parallel()
	s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(3, 1, 2)})
	o := options(s)
	o.Pins = []string{"sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}
	_, p, err := read(t.Context(), source(t, o))
	mustFail(t, o, p, err, model.CodeSourceTLS)
	seen := regexp.MustCompile(`its own is (sha256/\S{44})`).FindStringSubmatch(err.Error())
	if seen == nil {
		t.Fatalf("the error does not show the server's pin: %v", err)
	}
	o.Pins = append(o.Pins, seen[1])
	mustRead(t, source(t, o))
	other := testserver.Slapd(t, testserver.SlapdOptions{})
	o.CAFile = other.CAFile // a pin is no trust
	_, p, err = read(t.Context(), source(t, o))
	mustFail(t, o, p, err, model.CodeSourceTLS)
}

// blackHole is an address that takes connections and lets none begin: its queue is full.
func blackHole(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*syscall.SockaddrInet4).Port}
	for range 4 {
		c, err := net.DialTimeout("tcp", addr.String(), time.Second)
		if err != nil {
			return addr.String() // full
		}
		t.Cleanup(func() { c.Close() })
	}
	if runtime.GOOS == "linux" {
		t.Fatal("the queue takes more than its length")
	}
	t.Skip("this system takes connections beyond the queue's length")
	return ""
}

// mute accepts connections and says nothing.
func mute(t *testing.T) (addr string, accepted *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted = new(atomic.Int64)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			defer c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String(), accepted
}

// Each step of connecting has its own end, and obeys who cancels.
func TestEachStepOfConnectingIsGivenUp(t *testing.T) {
	t.Parallel()
	s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(3, 1, 2)})
	silent, _ := mute(t)
	stalled := testserver.Proxy(t, s.Addr)
	stalled.Stall(14) // the answer to StartTLS passes, then nothing
	noBind := testserver.Proxy(t, s.Addr)
	noBind.Stall(0)
	hole := blackHole(t)
	deaf := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", nobodyAnswers(t))
	}}
	for name, c := range map[string]struct {
		change func(*ldapsync.Options)
		text   string
	}{
		"resolve":       {func(o *ldapsync.Options) { o.URL, o.Resolver = "ldaps://ldap.example.org", deaf }, "look up"},
		"resolve SRV":   {func(o *ldapsync.Options) { o.URL, o.SRV, o.Resolver = "", "example.org", deaf }, "look up _ldaps._tcp.example.org"},
		"dial":          {func(o *ldapsync.Options) { o.URL = "ldaps://" + hole }, "connect: no answer within 2s"},
		"handshake":     {func(o *ldapsync.Options) { o.URL = "ldaps://" + silent }, "TLS handshake: no answer within 2s"},
		"StartTLS":      {func(o *ldapsync.Options) { o.URL, o.StartTLS = "ldap://"+silent, true }, "StartTLS: no answer within 2s"},
		"stalled after": {func(o *ldapsync.Options) { o.URL, o.StartTLS = "ldap://"+stalled.Addr, true }, "TLS handshake: no answer within 2s"},
		"bind":          {func(o *ldapsync.Options) { o.URL, o.CAFile = "ldap://"+noBind.Addr, "" }, "no answer within 2s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(s)
			o.Timeouts = ldapsync.Timeouts{Connect: 2 * time.Second, Idle: 5 * time.Minute, Run: 5 * time.Minute}
			c.change(&o)
			start := time.Now()
			_, p, err := read(t.Context(), source(t, o))
			if model.CodeOf(err) != model.CodeSourceUnreachable || p.Complete || !strings.Contains(err.Error(), c.text) {
				t.Errorf("code %s, want %s and %q in: %v", model.CodeOf(err), model.CodeSourceUnreachable, c.text, err)
			}
			if d := time.Since(start); d > time.Minute {
				t.Errorf("given up after %s", d)
			}
			o.Timeouts.Connect = 5 * time.Minute
			ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, errors.New("enough"))
			defer cancel()
			start = time.Now()
			_, p, err = read(ctx, source(t, o))
			if model.CodeOf(err) != model.CodeSourceInterrupted || p.Complete || !strings.Contains(err.Error(), "enough") {
				t.Errorf("cancelled: code %s: %v", model.CodeOf(err), err)
			}
			if d := time.Since(start); d > time.Minute {
				t.Errorf("cancelled: ended after %s", d)
			}
		})
	}
}

// nobodyAnswers is the address of a socket that reads nothing.
func nobodyAnswers(t *testing.T) string {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Error(err)
		return "127.0.0.1:9"
	}
	t.Cleanup(func() { c.Close() })
	return c.LocalAddr().String()
}

// The first server is read as long as it answers, then the next, then after a while the first again. A read never changes
// servers in its midst.
func TestServersTakeOverBetweenReads(t *testing.T) {
	t.Parallel()
	ldif := testserver.LDIF(300, 2, 20)
	first := testserver.Slapd(t, testserver.SlapdOptions{LDIF: ldif})
	second := testserver.Slapd(t, testserver.SlapdOptions{LDIF: ldif})
	o := options(first)
	ca := func(s *testserver.SlapdServer) []byte {
		pem, err := os.ReadFile(s.CAFile)
		if err != nil {
			t.Fatal(err)
		}
		return pem
	}
	o.CAs, o.CAFile = x509.NewCertPool(), ""
	o.CAs.AppendCertsFromPEM(append(ca(first), ca(second)...))
	o.URL, o.Servers = "", []string{first.TLSURL, second.TLSURL}
	src := source(t, o)
	now := time.Now()
	ldapsync.SetClock(src, func() time.Time { return now })
	from := func() string {
		t.Helper()
		_, p, err := read(t.Context(), src)
		if err != nil || !p.Complete {
			t.Fatalf("%v %v", err, failedConditions(p))
		}
		return p.Server
	}
	want := func(s *testserver.SlapdServer, why string) {
		t.Helper()
		if got := from(); !strings.HasPrefix(got, s.TLSURL) {
			t.Errorf("%s: read from %s, want %s", why, got, s.TLSURL)
		}
	}
	want(first, "in order")
	n := 0
	p, err := src.Read(t.Context(), func(model.Entry) error {
		if n++; n == 120 {
			first.Kill()
		}
		return nil
	})
	if model.CodeOf(err) != model.CodeSourceInterrupted || p.Complete || !strings.HasPrefix(p.Server, first.TLSURL) {
		t.Fatalf("killed in the middle: code %s, complete %v, %s: %v", model.CodeOf(err), p.Complete, p.Server, err)
	}
	want(second, "the first is gone")
	first.Start()
	now = now.Add(10 * time.Minute)
	want(second, "it stays with the second for a while")
	now = now.Add(25 * time.Minute)
	want(first, "and goes back")
	second.Kill()
	want(first, "the second is not needed")
	first.Kill()
	_, p, err = read(t.Context(), src)
	if model.CodeOf(err) != model.CodeSourceUnreachable || !strings.Contains(err.Error(), first.TLSURL) ||
		!strings.Contains(err.Error(), "; then at "+second.TLSURL) || p.Complete {
		t.Errorf("nobody answers: %v", err)
	}
	second.Start()
	_, p, err = read(t.Context(), src)
	if err != nil || !strings.Contains(p.Conditions[0].Seen, "as "+testserver.SyncDN) {
		t.Errorf("%v, %v", err, p.Conditions)
	}
}

// What one server refuses is not tried at the next: each try counts towards a lock-out.
func TestARefusedPasswordIsNotTriedElsewhere(t *testing.T) {
	t.Parallel()
	s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(3, 1, 2)})
	addr, accepted := mute(t)
	o := options(s)
	o.URL, o.Servers = "", []string{s.TLSURL, "ldaps://" + addr}
	o.Password = func() (string, error) { return "wrong", nil }
	_, _, err := read(t.Context(), source(t, o))
	if model.CodeOf(err) != model.CodeSourceCredentials || accepted.Load() != 0 {
		t.Errorf("%d connections to the second server: %v", accepted.Load(), err)
	}
}

// RFC 2782: the servers come from DNS, in the order of priority, and only from below the domain.
func TestServersFromDNS(t *testing.T) {
	t.Parallel()
	s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(3, 1, 2)})
	other := testserver.Slapd(t, testserver.SlapdOptions{})
	other.Kill()
	_, live, _ := net.SplitHostPort(strings.TrimPrefix(s.TLSURL, "ldaps://"))
	_, dead, _ := net.SplitHostPort(strings.TrimPrefix(other.TLSURL, "ldaps://"))
	zone := map[string][]srvRecord{
		"_ldaps._tcp.example.org.": {{20, 0, live, "dc2.example.org."}, {10, 0, dead, "dc1.example.org."}},
		"_ldaps._tcp.evil.org.":    {{10, 0, live, "ldap.elsewhere.org."}},
	}
	o := options(s)
	o.URL, o.SRV, o.Resolver, o.ServerName = "", "example.org", dnsServer(t, zone), "localhost"
	_, p, err := read(t.Context(), source(t, o))
	if err != nil || !p.Complete || !strings.HasPrefix(p.Server, "ldaps://dc2.example.org:"+live) {
		t.Fatalf("%v, from %s", err, p.Server)
	}
	if seen := p.Conditions[0].Seen; !strings.Contains(seen, "dc1.example.org:"+dead+": connect") {
		t.Errorf("the server that failed is not named: %s", seen)
	}
	o.ServerName = ""
	_, _, err = read(t.Context(), source(t, o)) // the certificate is for localhost
	if model.CodeOf(err) != model.CodeSourceUnreachable || !strings.Contains(err.Error(), "another name than dc2.example.org") {
		t.Errorf("the name from DNS is not verified: %v", err)
	}
	o.SRV = "evil.org"
	_, _, err = read(t.Context(), source(t, o))
	if model.CodeOf(err) != model.CodeSourceTLS || !strings.Contains(err.Error(), "not below evil.org") {
		t.Errorf("a server elsewhere: %v", err)
	}
	o.SRV = "nowhere.org"
	_, _, err = read(t.Context(), source(t, o))
	if model.CodeOf(err) != model.CodeSourceUnreachable || !strings.Contains(err.Error(), "_ldaps._tcp.nowhere.org") {
		t.Errorf("no record: %v", err)
	}
}

type srvRecord struct {
	priority, weight uint16
	port, target     string
}

// dnsServer answers SRV questions from the zone, and every address question with 127.0.0.1.
func dnsServer(t *testing.T, zone map[string][]srvRecord) *net.Resolver {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			m.Response, m.Authoritative, m.Additionals = true, true, nil
			head := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
			switch records := zone[q.Name.String()]; {
			case q.Type == dnsmessage.TypeSRV:
				for _, r := range records {
					port, err := net.LookupPort("tcp", r.port)
					if err != nil {
						continue
					}
					m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.SRVResource{
						Priority: r.priority, Weight: r.weight, Port: uint16(port), Target: dnsmessage.MustNewName(r.target)}})
				}
				if len(records) == 0 {
					m.RCode = dnsmessage.RCodeNameError
				}
			case q.Type == dnsmessage.TypeA:
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}})
			}
			if out, err := m.Pack(); err == nil {
				c.WriteTo(out, from) //nolint:errcheck // the resolver asks again
			}
		}
	}()
	t.Cleanup(func() { c.Close(); <-done })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", c.LocalAddr().String())
	}}
}
