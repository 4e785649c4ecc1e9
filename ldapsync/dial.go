package ldapsync

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/go-ldap/ldap/v3"

	"jmld/ldapsync/wire"
	"jmld/model"
)

// maxAddresses of one name are tried.
const maxAddresses = 16

// connect dials, secures and returns the connection; nothing has been sent but what TLS needs.
func (s *Source) connect(ctx context.Context) (*wire.Conn, error) {
	addrs, err := s.resolve(ctx)
	if err != nil {
		return nil, err
	}
	var last error
	for _, addr := range addrs {
		w, err := s.connectTo(ctx, netip.AddrPortFrom(addr, s.port))
		if err == nil {
			return w, nil
		}
		last = err
		if ctx.Err() != nil || model.CodeOf(err) == model.CodeSourceTLS {
			break // another address has the same certificate
		}
	}
	return nil, last
}

func (s *Source) resolve(ctx context.Context) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(s.endpoint.host); err == nil {
		return []netip.Addr{ip}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeouts.Connect)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", s.endpoint.host)
	if err != nil {
		return nil, s.failed(model.CodeSourceUnreachable, "look up the host's address", err)
	}
	if s.endpoint.plain {
		for _, a := range addrs {
			if !a.Unmap().IsLoopback() {
				return nil, s.failed(model.CodeSourceTLS, "connect",
					fmt.Errorf("%s is %s, which is not loopback: the password would go out in the clear", s.endpoint.host, a))
			}
		}
	}
	return addrs[:min(len(addrs), maxAddresses)], nil
}

// connectTo has the connect timeout for everything up to the end of the TLS handshake.
func (s *Source) connectTo(ctx context.Context, addr netip.AddrPort) (*wire.Conn, error) {
	config, err := s.tlsConfig()
	if err != nil {
		return nil, s.failed(model.CodeSourceTLS, "read ca_file", err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeouts.Connect)
	defer cancel()
	var d net.Dialer
	raw, err := d.DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return nil, s.failed(model.CodeSourceUnreachable, "connect", err)
	}
	if s.endpoint.plain {
		return wire.New(raw, raw, s.o.Timeouts.Idle), nil
	}
	stop := context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) }) //nolint:errcheck // a closed connection needs no deadline
	conn, err := s.secure(ctx, raw, config)
	if !stop() && err == nil {
		err = s.failed(model.CodeSourceUnreachable, "secure the connection", context.Cause(ctx))
	}
	if err != nil {
		raw.Close()
		return nil, err
	}
	return wire.New(conn, raw, s.o.Timeouts.Idle), nil
}

// secure does StartTLS where it is asked for, then the handshake.
func (s *Source) secure(ctx context.Context, raw net.Conn, config *tls.Config) (net.Conn, error) {
	if !s.endpoint.tls {
		if err := wire.StartTLS(raw); err != nil {
			var refused *ldap.Error
			if errors.As(err, &refused) {
				return nil, s.failed(model.CodeSourceTLS, "StartTLS", err)
			}
			return nil, s.failed(model.CodeSourceUnreachable, "StartTLS", err)
		}
	}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		var ne net.Error
		if ctx.Err() != nil || errors.As(err, &ne) && ne.Timeout() {
			return nil, s.failed(model.CodeSourceUnreachable, "TLS handshake", fmt.Errorf("no answer within %s: %w", s.o.Timeouts.Connect, err))
		}
		return nil, s.failed(model.CodeSourceTLS, "TLS handshake", tlsCause(err, config.ServerName))
	}
	return conn, nil
}

func (s *Source) tlsConfig() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.o.ServerName, RootCAs: s.o.CAs}
	if c.ServerName == "" {
		c.ServerName = s.endpoint.host
	}
	if c.RootCAs == nil && s.o.CAFile != "" && !s.endpoint.plain {
		pem, err := os.ReadFile(s.o.CAFile)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no PEM certificate", s.o.CAFile)
		}
	}
	return c, nil
}

// tlsCause says in words what is wrong with the certificate.
func tlsCause(err error, name string) error {
	var (
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("the certificate is signed by nobody in ca_file: %w", err)
	case errors.As(err, &host):
		return fmt.Errorf("the certificate is for another name than %s: %w", name, err)
	case errors.As(err, &invalid):
		return fmt.Errorf("the certificate is not valid: %w", err)
	case errors.As(err, &record):
		return fmt.Errorf("the server does not speak TLS on this port: %w", err)
	}
	return err
}
