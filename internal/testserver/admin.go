package testserver

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// admin changes a directory as its administrator.
type admin struct {
	tb       testing.TB
	url      string
	caFile   string // of an ldaps url
	dn       string
	password string
}

// Add adds one entry.
func (a *admin) Add(dn string, attrs map[string][]string) {
	a.tb.Helper()
	req := ldap.NewAddRequest(dn, nil)
	for name, values := range attrs {
		req.Attribute(name, values)
	}
	a.As(func(c *ldap.Conn) error { return c.Add(req) })
}

// Replace replaces the values of one attribute; none removes it.
func (a *admin) Replace(dn, attr string, values ...string) {
	a.tb.Helper()
	req := ldap.NewModifyRequest(dn, nil)
	req.Replace(attr, values)
	a.As(func(c *ldap.Conn) error { return c.Modify(req) })
}

// Rename gives the entry another RDN, and another superior unless that is "".
func (a *admin) Rename(dn, rdn, superior string) {
	a.tb.Helper()
	a.As(func(c *ldap.Conn) error { return c.ModifyDN(ldap.NewModifyDNRequest(dn, rdn, true, superior)) })
}

// Delete deletes one entry.
func (a *admin) Delete(dn string) {
	a.tb.Helper()
	a.As(func(c *ldap.Conn) error { return c.Del(ldap.NewDelRequest(dn, nil)) })
}

// Lookup reads attributes of one entry.
func (a *admin) Lookup(dn string, attrs ...string) *ldap.Entry {
	a.tb.Helper()
	var found *ldap.Entry
	a.As(func(c *ldap.Conn) error {
		r, err := c.Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)", attrs, nil))
		if err != nil {
			return err
		}
		if len(r.Entries) != 1 {
			return fmt.Errorf("%d entries %s", len(r.Entries), dn)
		}
		found = r.Entries[0]
		return nil
	})
	return found
}

// As does something over a connection of the administrator's.
func (a *admin) As(do func(*ldap.Conn) error) {
	a.tb.Helper()
	if err := a.as(do); err != nil {
		a.tb.Fatal(err)
	}
}

func (a *admin) as(do func(*ldap.Conn) error) error {
	c, err := a.Dial()
	if err != nil {
		return err
	}
	defer c.Close()
	return do(c)
}

// Dial is a connection of the administrator's.
func (a *admin) Dial() (*ldap.Conn, error) {
	options := []ldap.DialOpt{ldap.DialWithDialer(&net.Dialer{Timeout: time.Minute})}
	if a.caFile != "" {
		pem, err := os.ReadFile(a.caFile)
		if err != nil {
			return nil, err
		}
		config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New(a.caFile + " has no certificate")
		}
		options = append(options, ldap.DialWithTLSConfig(config))
	}
	c, err := ldap.DialURL(a.url, options...)
	if err != nil {
		return nil, err
	}
	c.SetTimeout(2 * time.Minute)
	if err := c.Bind(a.dn, a.password); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}
