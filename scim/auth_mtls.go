package scim

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"slices"
	"strings"
)

// certificate checks the client's certificate. That an authority of the listener signed it, and that the client has its
// key, the handshake has proven (RFC 8446 §4.4.3); a connection may be older than the certificate is valid.
func (s *source) certificate(state *tls.ConnectionState) (client, error) {
	if len(state.VerifiedChains) == 0 {
		return client{}, unauthorised("", "The certificate is not of an authority of this server.")
	}
	leaf, now := state.VerifiedChains[0][0], s.tokens.now()
	switch {
	case now.Before(leaf.NotBefore) || now.After(leaf.NotAfter):
		return client{}, unauthorised("", "The certificate is not valid now.")
	case !s.MTLS.means(leaf):
		return client{}, unauthorised("", "The certificate is not the one of this source.")
	}
	return newClient(s.Name, viaCertificate, leaf.Subject.String(), nil), nil
}

// means says whether the certificate has everything that is configured.
func (m *MTLS) means(cert *x509.Certificate) bool {
	if m.Subject == "" && m.SAN == "" && len(m.Fingerprints) == 0 {
		return false
	}
	if m.Subject != "" && cert.Subject.String() != m.Subject {
		return false
	}
	if m.SAN != "" && !slices.ContainsFunc(alternatives(cert), func(n string) bool { return strings.EqualFold(n, m.SAN) }) {
		return false
	}
	sum := sha256.Sum256(cert.Raw)
	return len(m.Fingerprints) == 0 || slices.Contains(m.Fingerprints, hex.EncodeToString(sum[:]))
}

func alternatives(cert *x509.Certificate) []string {
	names := slices.Concat(cert.DNSNames, cert.EmailAddresses)
	for _, u := range cert.URIs {
		names = append(names, u.String())
	}
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}
