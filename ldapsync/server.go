package ldapsync

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"jmld/model"
)

// switchBack is how long a server that failed is asked last. Then the order of the configuration counts again.
const switchBack = 30 * time.Minute

// maxServers of one source.
const maxServers = 16

// server is one place where the directory answers.
type server struct {
	url   string // as the operator writes it
	host  string // or the path of a Unix socket
	port  uint16
	unix  bool
	tls   bool // from the first byte
	plain bool // never any TLS
}

// servers lists where to connect, in the order to try.
func (s *Source) servers(ctx context.Context) ([]server, error) {
	list := s.fixed
	if s.o.SRV != "" {
		var err error
		if list, err = s.lookupSRV(ctx); err != nil {
			return nil, err
		}
	}
	return s.inOrder(list), nil
}

// inOrder puts servers that failed a while ago behind the others: who was read after a failure is read again, until it is
// time to look after the first one. Changes of server cost a full read, so they are not made for nothing.
func (s *Source) inOrder(list []server) []server {
	list = slices.Clone(list)
	failed := func(v server) int {
		if t, ok := s.trouble[v.url]; ok && s.now().Sub(t) < switchBack {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(list, func(a, b server) int { return failed(a) - failed(b) })
	return list
}

// lookupSRV finds the servers of a domain, RFC 2782: _ldaps._tcp, or _ldap._tcp with StartTLS. Among equal priorities the
// greater weight goes first and no dice are thrown: the same server is wanted each time.
func (s *Source) lookupSRV(ctx context.Context) ([]server, error) {
	service := "ldaps"
	if s.o.StartTLS {
		service = "ldap"
	}
	name := "_" + service + "._tcp." + s.o.SRV
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeouts.Connect)
	defer cancel()
	_, found, err := s.o.Resolver.LookupSRV(ctx, service, "tcp", s.o.SRV)
	if len(found) == 0 {
		if err == nil {
			err = errors.New("no record")
		}
		return nil, s.failed(model.CodeSourceUnreachable, "look up "+name, err)
	}
	slices.SortStableFunc(found, func(a, b *net.SRV) int {
		if d := int(a.Priority) - int(b.Priority); d != 0 {
			return d
		}
		if d := int(b.Weight) - int(a.Weight); d != 0 {
			return d
		}
		return strings.Compare(a.Target, b.Target)
	})
	var list []server
	for _, r := range found[:min(len(found), maxServers)] {
		host := strings.ToLower(strings.TrimSuffix(r.Target, "."))
		domain := strings.ToLower(strings.TrimSuffix(s.o.SRV, "."))
		if s.o.ServerName == "" && host != domain && !strings.HasSuffix(host, "."+domain) {
			// RFC 4513 §3.1.3: a name that DNS alone vouches for is no name to look for in a certificate.
			return nil, s.failed(model.CodeSourceTLS, "look up "+name,
				fmt.Errorf("it names %s, which is not below %s; set server_name, or list the servers", printable(host), s.o.SRV))
		}
		v := server{host: host, port: r.Port, tls: service == "ldaps"}
		v.url = service + "://" + net.JoinHostPort(host, strconv.Itoa(int(r.Port)))
		list = append(list, v)
	}
	return list, nil
}

// parseURL refuses what would send a password in the clear over a network.
func parseURL(raw string, startTLS bool) (server, error) {
	if path, ok := strings.CutPrefix(raw, "ldapi://"); ok {
		path, err := url.PathUnescape(path)
		switch {
		case err != nil || !strings.HasPrefix(path, "/"):
			return server{}, fmt.Errorf("url: %q is not like ldapi:///run/slapd/ldapi", raw)
		case startTLS:
			return server{}, errors.New("url: ldapi never leaves this machine; leave start_tls out")
		}
		return server{url: raw, host: path, unix: true, plain: true}, nil
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Hostname() == "" {
		return server{}, fmt.Errorf("url: %q is not like ldaps://ldap.example.org", raw)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return server{}, fmt.Errorf("url: %s://%s is all that may stand there; base, filter and bind_dn have their own keys", u.Scheme, u.Host)
	}
	v := server{url: raw, host: u.Hostname(), port: 389}
	switch {
	case u.Scheme == "ldaps" && startTLS:
		return server{}, fmt.Errorf("url: ldaps is TLS from the first byte; leave start_tls out")
	case u.Scheme == "ldaps":
		v.tls, v.port = true, 636
	case u.Scheme != "ldap":
		return server{}, fmt.Errorf("url: the scheme is ldaps, ldapi, or ldap with start_tls, not %q", u.Scheme)
	case !startTLS:
		if !loopbackName(v.host) {
			return server{}, fmt.Errorf("url: %q would send the password in the clear; use ldaps:// or start_tls: true", raw)
		}
		v.plain = true
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return server{}, fmt.Errorf("url: %q is not a port", p)
		}
		v.port = uint16(n)
	}
	return v, nil
}

func loopbackName(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}
