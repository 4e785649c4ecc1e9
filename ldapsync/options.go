package ldapsync

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
	"go.uber.org/zap"

	"jmld/model"
)

// Options say which directory is read and how its entries become records. Empty fields have the defaults named.
type Options struct {
	Name       string         // of the source
	URL        string         // ldaps://host[:port], or ldap://host[:port] with StartTLS; plain only to loopback
	StartTLS   bool           // RFC 4511 §4.14, before the bind, or the read fails
	CAs        *x509.CertPool // who may sign the server's certificate
	CAFile     string         // the same as a PEM file, read anew for each read; without either the system's
	ServerName string         // the name the certificate must have; the host of URL

	BindDN   string
	Password func() (string, error) // asked for each read, so that it can be renewed

	Base     string // where everything is; its entry is read before and after
	ID       string // attribute with an immutable id; entryUUID
	People   People
	Groups   *Groups // nil: no groups
	Inactive Inactive

	PageSize int // 1000
	Timeouts Timeouts
	Log      *zap.Logger // nil: none. DNs at debug, attribute values never
}

// People are the entries that become user records.
type People struct {
	Base   string // Options.Base
	Filter string // (objectClass=inetOrgPerson)
	// Attributes maps SCIM paths to LDAP attributes. It changes DefaultAttributes path by path; an empty LDAP attribute
	// takes a path out.
	Attributes map[string]string
}

// Groups are the entries that become group records.
type Groups struct {
	Base   string // Options.Base
	Filter string // (objectClass=groupOfNames)
	Name   string // cn
	Member string // member; values are DNs
}

// Inactive says which people are not active: those with the attribute, or with one of Values when there are any.
type Inactive struct {
	Attribute string
	Values    []string // compared without case
}

// Timeouts bound every wait.
type Timeouts struct {
	Connect time.Duration // to one address, TLS included; 10 s
	Idle    time.Duration // for the next byte of an answer; 30 s
	Run     time.Duration // the whole read; 30 min
}

// endpoint is Options.URL taken apart.
type endpoint struct {
	host, port string
	tls        bool // from the first byte
	plain      bool // never any TLS
}

const (
	defaultPageSize = 1000
	maxPageSize     = 100_000
)

func (o *Options) setDefaults() {
	set := func(s *string, def string) {
		if *s == "" {
			*s = def
		}
	}
	set(&o.ID, "entryUUID")
	set(&o.People.Base, o.Base)
	set(&o.People.Filter, "(objectClass=inetOrgPerson)")
	if o.Groups != nil {
		g := *o.Groups // the caller's stays as it is
		set(&g.Base, o.Base)
		set(&g.Filter, "(objectClass=groupOfNames)")
		set(&g.Name, "cn")
		set(&g.Member, "member")
		o.Groups = &g
	}
	if o.PageSize == 0 {
		o.PageSize = defaultPageSize
	}
	for _, t := range []struct {
		d   *time.Duration
		def time.Duration
	}{{&o.Timeouts.Connect, 10 * time.Second}, {&o.Timeouts.Idle, 30 * time.Second}, {&o.Timeouts.Run, 30 * time.Minute}} {
		if *t.d == 0 {
			*t.d = t.def
		}
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
}

// validate returns the first mistake.
func (o *Options) validate() (endpoint, error) {
	wrong := func(format string, args ...any) (endpoint, error) {
		return endpoint{}, model.Errorf(model.CodeConfig, "ldap source "+o.Name+": "+format, args...)
	}
	if o.Name == "" {
		return wrong("it needs a name")
	}
	ep, err := parseURL(o.URL, o.StartTLS)
	if err != nil {
		return wrong("%w", err)
	}
	if o.BindDN == "" || o.Password == nil {
		return wrong("bind_dn and password are needed: an anonymous read shows only what anybody may see")
	}
	dns := map[string]string{"base": o.Base, "people.base": o.People.Base}
	filters := map[string]string{"people.filter": o.People.Filter}
	if o.Groups != nil {
		dns["groups.base"], filters["groups.filter"] = o.Groups.Base, o.Groups.Filter
	}
	if !strings.ContainsRune(o.BindDN, '@') { // Active Directory takes ada@example.org too
		dns["bind_dn"] = o.BindDN
	}
	for key, dn := range dns {
		if d, err := ldap.ParseDN(dn); err != nil || len(d.RDNs) == 0 {
			return wrong("%s: %q is not a DN such as dc=example,dc=org", key, dn)
		}
	}
	for key, f := range filters {
		if _, err := ldap.CompileFilter(f); err != nil {
			return wrong("%s: %q is not an LDAP filter: %w", key, f, err)
		}
	}
	if o.PageSize < 1 || o.PageSize > maxPageSize {
		return wrong("page_size: %d is not between 1 and %d", o.PageSize, maxPageSize)
	}
	if o.Timeouts.Connect < 0 || o.Timeouts.Idle < 0 || o.Timeouts.Run < 0 {
		return wrong("timeouts: none may be negative")
	}
	return ep, nil
}

// parseURL refuses what would send a password in the clear over a network.
func parseURL(raw string, startTLS bool) (endpoint, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Hostname() == "" {
		return endpoint{}, fmt.Errorf("url: %q is not like ldaps://ldap.example.org", raw)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return endpoint{}, fmt.Errorf("url: %s://%s is all that may stand there; base, filter and bind_dn have their own keys", u.Scheme, u.Host)
	}
	ep := endpoint{host: u.Hostname(), port: u.Port()}
	switch {
	case u.Scheme == "ldaps" && startTLS:
		return endpoint{}, fmt.Errorf("url: ldaps is TLS from the first byte; leave start_tls out")
	case u.Scheme == "ldaps":
		ep.tls = true
	case u.Scheme != "ldap":
		return endpoint{}, fmt.Errorf("url: the scheme is ldaps, or ldap with start_tls, not %q", u.Scheme)
	case !startTLS:
		if !loopbackName(ep.host) {
			return endpoint{}, fmt.Errorf("url: %q would send the password in the clear; use ldaps:// or start_tls: true", raw)
		}
		ep.plain = true
	}
	if ep.port == "" {
		ep.port = map[bool]string{false: "389", true: "636"}[ep.tls]
	}
	return ep, nil
}

func loopbackName(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}
