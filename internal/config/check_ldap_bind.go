package config

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

const wantURL = "; expected ldaps://HOST, ldap://HOST with start_tls: true, or ldapi:///SOCKET"

// checkServers wants exactly one of url, servers and srv.
func (d *decoder) checkServers(l *LDAP, at route) {
	var given []string
	for _, key := range []string{"url", "servers", "srv"} {
		if d.has(at.with(key)) {
			given = append(given, key)
		}
	}
	switch {
	case len(given) == 0:
		d.mistake(d.keyPlace(at), "url is missing; expected url, servers or srv, to say where the directory is")
		return
	case len(given) > 1:
		d.mistake(d.keyPlace(at.with(given[1])), "%s and %s say the same; expected one of them", given[0], given[1])
		return
	}
	switch given[0] {
	case "url":
		d.checkLDAPURL(l.URL, l, at, at.with("url"))
	case "servers":
		if len(l.Servers) == 0 || len(l.Servers) > 16 {
			d.wrong(at.with("servers"), "%d servers; expected 1 to 16", len(l.Servers))
		}
		for i, u := range l.Servers {
			d.checkLDAPURL(u, l, at, at.with("servers", i))
			if slices.Contains(l.Servers[:i], u) {
				d.wrong(at.with("servers", i), "%s is there twice; expected it once", u)
			}
		}
	case "srv":
		if !isDomain(l.SRV) {
			d.wrong(at.with("srv"), "not a domain; expected a name such as example.org")
		}
	}
}

func isDomain(s string) bool {
	return len(s) < 254 && regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+\.?$`).MatchString(s)
}

func (d *decoder) checkLDAPURL(raw string, l *LDAP, at, here route) {
	if raw == "" {
		return
	}
	if path, ok := strings.CutPrefix(raw, "ldapi://"); ok {
		if p, err := url.PathUnescape(path); err != nil || !strings.HasPrefix(p, "/") {
			d.wrong(here, "not a socket"+wantURL)
		}
		if l.StartTLS {
			d.wrong(at.with("start_tls"), "start_tls has no meaning for ldapi, which never leaves this machine; expected one of them")
		}
		return
	}
	u, err := url.Parse(raw)
	switch {
	case err == nil && u.User != nil:
		d.conceal(d.values[here.String()])
		d.wrong(here, "a name or password does not belong into the URL; expected bind_dn and password")
		return
	case err != nil || u.Scheme != "ldap" && u.Scheme != "ldaps" || u.Hostname() == "" || !validPort(u.Port()):
		d.wrong(here, "not the URL of a directory"+wantURL)
		return
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		d.wrong(here, "the URL has more than a host; expected base, filter and attributes under keys of their own")
		return
	case u.Scheme == "ldaps" && l.StartTLS:
		d.wrong(at.with("start_tls"), "start_tls has no meaning for ldaps, which is TLS from the start; expected one of them")
	case u.Scheme == "ldap" && !l.StartTLS && !isLoopback(u.Hostname()):
		d.wrong(here, "plain LDAP to another machine would show the password"+wantURL)
	case u.Scheme == "ldap" && !l.StartTLS && (l.CAFile != "" || l.Server != ""):
		key := "ca_file"
		if l.CAFile == "" {
			key = "server_name"
		}
		d.wrong(at.with(key), "%s has no meaning without TLS"+wantURL, key)
	}
}

// checkBind wants what the way to bind needs, and nothing that would be ignored.
func (d *decoder) checkBind(l *LDAP, at route) {
	for i, p := range l.Pins {
		digest, ok := strings.CutPrefix(p, "sha256/")
		if b, err := base64.StdEncoding.DecodeString(digest); !ok || err != nil || len(b) != sha256.Size {
			d.wrong(at.with("pins", i), "not a pin; expected sha256/ and the Base64 of the SHA-256 of a public key")
		}
	}
	if c := l.Client; c != nil && c.Certificate != "" && c.Key != "" {
		if _, err := tls.LoadX509KeyPair(string(c.Certificate), string(c.Key)); err != nil {
			d.absent(at.with("client_certificate", "certificate"), "%s; expected a certificate and its key, PEM files", err)
		}
	}
	if l.Auth != "simple" {
		for _, key := range []string{"bind_dn", "password"} {
			if d.has(at.with(key)) {
				d.mistake(d.keyPlace(at.with(key)), "%s has no meaning with auth: %s; expected it only with auth: simple", key, l.Auth)
			}
		}
	}
	if d.has(at.with("kerberos")) && l.Auth != "gssapi" {
		d.mistake(d.keyPlace(at.with("kerberos")), "kerberos has no meaning without auth: gssapi; expected both, or neither")
	}
	switch l.Auth {
	case "simple":
		if !d.has(at.with("bind_dn")) {
			d.mistake(d.keyPlace(at), "bind_dn is missing; expected the DN of who reads, or another auth")
		}
		if !strings.ContainsRune(l.BindDN, '@') { // Active Directory takes ada@example.org, too
			d.checkDN(l.BindDN, at.with("bind_dn"))
		}
		if !d.has(at.with("password")) && d.has(at.with("bind_dn")) {
			d.mistake(d.keyPlace(at), "password is missing; expected password: {file: …} or {env: …}")
		}
		d.checkSecret(l.Password, at.with("password"))
	case "external":
		if l.Client == nil && !strings.HasPrefix(l.URL, "ldapi:") {
			d.wrong(at.with("auth"), "auth: external shows a client certificate, or the user of a socket; expected client_certificate, or a url with ldapi")
		}
	case "gssapi":
		k := l.Kerberos
		if k == nil {
			d.wrong(at.with("auth"), "auth: gssapi needs a key; expected kerberos: {principal: …, keytab: …}")
			return
		}
		if name, realm, ok := strings.Cut(k.Principal, "@"); k.Principal != "" && (!ok || name == "" || realm == "") {
			d.wrong(at.with("kerberos", "principal"), "not a principal; expected such as jmld@EXAMPLE.ORG")
		}
		for _, f := range []struct {
			file Path
			key  string
		}{{k.Keytab, "keytab"}, {k.Config, "config"}} {
			if f.file == "" {
				continue
			}
			if _, err := readSome(string(f.file), maxPEM); err != nil {
				d.absent(at.with("kerberos", f.key), "%s; expected a file that can be read", err)
			}
		}
	}
}
