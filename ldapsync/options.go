package ldapsync

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
	"go.uber.org/zap"

	"jmld/jml/entry"
	"jmld/model"
)

// Options say which directory is read and how its entries become records. Empty fields have the defaults named.
type Options struct {
	Name string // of the source

	// Where the directory answers: URL, or Servers in the order of preference, or the domain SRV whose DNS records name them.
	URL      string // ldaps://host[:port], or ldap://host[:port] with StartTLS; plain only to loopback, or ldapi:///socket
	Servers  []string
	SRV      string
	Resolver *net.Resolver // nil: the system's

	StartTLS          bool           // RFC 4511 §4.14, before the bind, or the read fails
	CAs               *x509.CertPool // who may sign the server's certificate
	CAFile            string         // the same as a PEM file, read anew for each read; without either the system's
	ServerName        string         // the name the certificate must have; the host of the URL
	Pins              []string       // sha256/BASE64 of public keys, one of which must be in the server's verified chain
	ClientCertificate string         // PEM files, read anew for each read
	ClientKey         string

	Auth     string                 // AuthSimple, AuthExternal, AuthGSSAPI; simple
	BindDN   string                 // simple
	Password func() (string, error) // simple; asked for each read, so that it can be renewed
	Kerberos Kerberos               // gssapi

	Preset   string // what kind of directory it is, see jml/entry; it has the defaults of what follows
	Base     string // where everything is; its entry is read before and after
	ID       string // attribute with an immutable id
	People   People
	Groups   *Groups // nil: no groups
	Inactive Inactive

	PageSize    int
	Incremental entry.Method // how changes are found
	Delta       bool         // changes are going to be read: a full read finds out from where
	Timeouts    Timeouts
	Log         *zap.Logger // nil: none. DNs at debug, attribute values never
}

// People are the entries that become user records.
type People struct {
	Base   string // Options.Base
	Filter string
	// Attributes maps SCIM paths. It changes the mapping of the preset path by path; the zero value takes a path out.
	Attributes map[string]entry.Attribute
}

// Groups are the entries that become group records.
type Groups struct {
	Base   string // Options.Base
	Filter string
	Name   string
	Member string // values are DNs, or user names in memberUid
}

// Inactive says which people are not active: those with the attribute, or with one of Values when there are any; or those
// for whom one of the preset's rules holds that When names. The zero value has the preset's choice.
type Inactive struct {
	Attribute string
	Values    []string // compared without case
	When      []string // entry.Disabled, …
}

// Timeouts bound every wait.
type Timeouts struct {
	Connect time.Duration // each of: look up a name, reach one address, TLS, bind; 10 s
	Idle    time.Duration // for the next byte of an answer; 30 s
	Run     time.Duration // the whole read; 30 min
}

const maxPageSize = 100_000

func (o *Options) setDefaults() {
	set := func(s *string, def string) {
		if *s == "" {
			*s = def
		}
	}
	set(&o.Auth, AuthSimple)
	set(&o.Kerberos.Config, "/etc/krb5.conf")
	set(&o.People.Base, o.Base)
	if o.Groups != nil {
		g := *o.Groups // the caller's stays as it is
		set(&g.Base, o.Base)
		o.Groups = &g
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
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
}

// validate returns the servers that are named, or the first mistake.
func (o *Options) validate() ([]server, error) {
	wrong := func(format string, args ...any) ([]server, error) {
		return nil, model.Errorf(model.CodeConfig, "ldap source "+o.Name+": "+format, args...)
	}
	if o.Name == "" {
		return wrong("it needs a name")
	}
	fixed, err := o.parseServers()
	if err == nil {
		err = o.validateAuth(fixed)
	}
	if err != nil {
		return wrong("%w", err)
	}
	dns := map[string]string{"base": o.Base, "people.base": o.People.Base}
	filters := map[string]string{"people.filter": o.People.Filter}
	if o.Groups != nil {
		dns["groups.base"], filters["groups.filter"] = o.Groups.Base, o.Groups.Filter
	}
	if o.Auth == AuthSimple && !strings.ContainsRune(o.BindDN, '@') { // Active Directory takes ada@example.org too
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
	return fixed, nil
}

func (o *Options) parseServers() ([]server, error) {
	given := 0
	urls := slices.Clone(o.Servers)
	for _, is := range []bool{o.URL != "", len(o.Servers) > 0, o.SRV != ""} {
		if is {
			given++
		}
	}
	if given > 1 {
		return nil, errors.New("url, servers and srv are three ways to say the same; one of them")
	}
	if o.SRV != "" {
		return nil, nil
	}
	if len(urls) == 0 {
		urls = []string{o.URL}
	}
	if len(urls) > maxServers {
		return nil, fmt.Errorf("servers: %d are more than %d", len(urls), maxServers)
	}
	var list []server
	for _, u := range urls {
		v, err := parseURL(u, o.StartTLS)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(list, func(w server) bool { return w.url == v.url }) {
			return nil, fmt.Errorf("servers: %s is there twice", u)
		}
		list = append(list, v)
	}
	return list, nil
}

func (o *Options) validateAuth(fixed []server) error {
	for _, p := range o.Pins {
		digest, ok := strings.CutPrefix(p, pinPrefix)
		if b, err := base64.StdEncoding.DecodeString(digest); !ok || err != nil || len(b) != sha256.Size {
			return fmt.Errorf("pins: %q is not like sha256/BASE64", p)
		}
	}
	if (o.ClientCertificate == "") != (o.ClientKey == "") {
		return errors.New("a client certificate needs its key, and the other way round")
	}
	switch o.Auth {
	case AuthSimple:
		if o.BindDN == "" || o.Password == nil {
			return errors.New("bind_dn and password are needed: an anonymous read shows only what anybody may see")
		}
	case AuthExternal:
		for _, v := range fixed {
			if !v.unix && (o.ClientCertificate == "" || v.plain) {
				return fmt.Errorf("auth: external needs a client certificate and TLS, or ldapi; %s has neither", v.url)
			}
		}
		if o.SRV != "" && o.ClientCertificate == "" {
			return errors.New("auth: external needs a client certificate")
		}
	case AuthGSSAPI:
		return o.Kerberos.validate()
	default:
		return fmt.Errorf("auth: %q is not simple, external or gssapi", o.Auth)
	}
	return nil
}
