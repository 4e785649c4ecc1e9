package scim

import (
	"crypto/x509"
	"net/netip"
	"time"
)

// Secrets reads the secrets that are valid now. While one is being replaced there are two; none is an error.
type Secrets func() ([]string, error)

// Access says who may push to a source, beside clients with a stored bearer token, and how much.
type Access struct {
	Networks []netip.Prefix // where clients may be; nil: anywhere
	Basic    *Basic
	OAuth    *OAuth
	JWT      *JWT
	MTLS     *MTLS
	Limits   Limits
}

// Basic is a user with a password (RFC 7617), for clients that have nothing better.
type Basic struct {
	User      string
	Passwords Secrets
}

// OAuth is a client that gets access tokens at /scim/{source}/oauth/token (RFC 6749 §4.4).
type OAuth struct {
	ClientID string
	Secrets  Secrets
	Lifetime time.Duration // of an access token; 0: an hour
}

// JWT is a client with signed tokens of an identity provider: as its assertion at the token endpoint (RFC 7523 §2.2)
// when the source has OAuth, and in place of a token of ours when Bearer is set.
type JWT struct {
	Issuer, Audience, Subject string // each has to be equal
	Keys                      JWKS
	Bearer                    bool
}

// JWKS is where the keys of an issuer are (RFC 7517): one of URL and File.
type JWKS struct {
	URL  string
	CA   *x509.CertPool // nil: the system's
	File string
}

// MTLS is a client with a certificate that an authority of the listener signed. What is set has to be equal.
type MTLS struct {
	Subject      string   // RFC 2253: "CN=okta,O=Example"
	SAN          string   // a DNS name, e-mail address, URI or IP address
	Fingerprints []string // SHA-256 of the certificate, hexadecimal; one of them
}

// Limits are of one client in this process.
type Limits struct {
	Rate       float64 // requests in a second; 0: any
	Burst      int     // at once above the rate; at least 1
	Concurrent int     // under way at the same time; 0: any
}

// newSource makes what requests to a source need.
func (h *Handler) newSource(o Source) *source {
	s := &source{Source: o, limits: newLimiter(o.Limits, o.MaxBody, h.o.Now), tokens: tokenTable{
		source: o.Name, store: h.o.Tokens, now: h.o.Now, log: h.o.Log, warned: map[string]time.Duration{}, touched: map[string]time.Time{},
	}}
	if o.Basic != nil {
		s.passwords = secretCache{read: o.Basic.Passwords, now: h.o.Now}
	}
	if o.OAuth != nil {
		oauth := *o.OAuth
		if oauth.Lifetime <= 0 {
			oauth.Lifetime = defaultLifetime
		}
		s.OAuth, s.clientSecrets = &oauth, secretCache{read: oauth.Secrets, now: h.o.Now}
	}
	if o.JWT != nil {
		s.keys = newKeySet(o.Name, o.JWT.Keys, h.o.Now, h.o.Log)
	}
	s.config = s.provider()
	return s
}
