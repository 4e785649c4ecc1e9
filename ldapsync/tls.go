package ldapsync

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"jmld/ldapsync/wire"
	"jmld/model"
)

// pinPrefix stands before the Base64 of the SHA-256 of a public key (SubjectPublicKeyInfo, RFC 7469 §2.4).
const pinPrefix = "sha256/"

// handshake makes TLS of a connection. The server is always verified: chain, name, validity, and the pins if there are any.
func (s *Source) handshake(ctx context.Context, v server, raw net.Conn) (*tls.Conn, error) {
	config, err := s.tlsConfig(v)
	if err != nil {
		return nil, s.failed(model.CodeSourceTLS, "read the certificates", err)
	}
	conn := tls.Client(wire.NewBuffered(raw), config)
	if err := conn.HandshakeContext(ctx); err != nil {
		var ne net.Error
		if ctx.Err() != nil || errors.As(err, &ne) && ne.Timeout() {
			return nil, s.failed(model.CodeSourceUnreachable, "TLS handshake", s.patience(ctx, err))
		}
		return nil, s.failed(model.CodeSourceTLS, "TLS handshake", s.tlsCause(err, config.ServerName))
	}
	state := conn.ConnectionState()
	s.tlsSeen = &state
	return conn, nil
}

func (s *Source) tlsConfig(v server) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.o.ServerName, RootCAs: s.o.CAs}
	if c.ServerName == "" {
		c.ServerName = v.host
	}
	if c.RootCAs == nil && s.o.CAFile != "" {
		pem, err := os.ReadFile(s.o.CAFile)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no PEM certificate", s.o.CAFile)
		}
	}
	if s.o.ClientCertificate != "" { // read anew each time, so that it can be renewed
		pair, err := tls.LoadX509KeyPair(s.o.ClientCertificate, s.o.ClientKey)
		if err != nil {
			return nil, err
		}
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	if len(s.o.Pins) > 0 {
		c.VerifyConnection = s.checkPins
	}
	return c, nil
}

// checkPins wants one of the pinned keys among the certificates of a verified chain.
func (s *Source) checkPins(state tls.ConnectionState) error {
	for _, chain := range state.VerifiedChains {
		for _, cert := range chain {
			pin := pinOf(cert)
			if slices.ContainsFunc(s.o.Pins, func(p string) bool { return subtle.ConstantTimeCompare([]byte(p), []byte(pin)) == 1 }) {
				return nil
			}
		}
	}
	return errPin{pinOf(state.PeerCertificates[0])}
}

// errPin is a server whose certificate is good and whose key is not one of those pinned.
type errPin struct{ seen string }

func (e errPin) Error() string { return "no pinned key is in the server's chain; its own is " + e.seen }

func pinOf(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return pinPrefix + base64.StdEncoding.EncodeToString(sum[:])
}

// tlsCause says in words what is wrong.
func (s *Source) tlsCause(err error, name string) error {
	var (
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
		pin     errPin
		alert   tls.AlertError
	)
	switch {
	case errors.As(err, &unknown):
		where := "ca_file"
		if s.o.CAFile == "" && s.o.CAs == nil {
			where = "the system's authorities; set ca_file"
		}
		return fmt.Errorf("the certificate is signed by nobody in %s: %w", where, err)
	case errors.As(err, &host):
		return fmt.Errorf("the certificate is for another name than %s: %w", name, err)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		return fmt.Errorf("the certificate of %s is valid from %s to %s: %w", invalid.Cert.Subject.CommonName,
			invalid.Cert.NotBefore.UTC().Format("2006-01-02 15:04"), invalid.Cert.NotAfter.UTC().Format("2006-01-02 15:04 UTC"), err)
	case errors.As(err, &invalid):
		return fmt.Errorf("the certificate is not valid: %w", err)
	case errors.As(err, &record):
		return fmt.Errorf("the server does not speak TLS on this port: %w", err)
	case errors.As(err, &pin):
		return pin
	case errors.As(err, &alert) && strings.Contains(err.Error(), "certificate"):
		return fmt.Errorf("the server wants a client certificate, or another one: %w", err)
	}
	return err
}
