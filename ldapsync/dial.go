package ldapsync

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/go-ldap/ldap/v3"

	"jmld/ldapsync/wire"
	"jmld/model"
)

// maxAddresses of one name are tried.
const maxAddresses = 16

// connect dials, secures and returns the connection; nothing has been sent but what TLS needs. Each step has the connect
// timeout: looking up the name, dialling each address, TLS.
func (s *Source) connect(ctx context.Context, v server) (*wire.Conn, error) {
	if v.unix {
		return s.connectTo(ctx, v, "unix", v.host)
	}
	addrs, err := s.resolve(ctx, v)
	if err != nil {
		return nil, err
	}
	var last error
	for _, addr := range addrs {
		w, err := s.connectTo(ctx, v, "tcp", netip.AddrPortFrom(addr, v.port).String())
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

func (s *Source) resolve(ctx context.Context, v server) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(v.host); err == nil {
		return []netip.Addr{ip}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeouts.Connect)
	defer cancel()
	addrs, err := s.o.Resolver.LookupNetIP(ctx, "ip", v.host)
	if err == nil && len(addrs) == 0 {
		err = errors.New("the name has no address")
	}
	if err != nil {
		return nil, s.failed(model.CodeSourceUnreachable, "look up the host's address", err)
	}
	if v.plain {
		for _, a := range addrs {
			if !a.Unmap().IsLoopback() {
				return nil, s.failed(model.CodeSourceTLS, "connect",
					fmt.Errorf("%s is %s, which is not loopback: the password would go out in the clear", v.host, a))
			}
		}
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	slices.SortFunc(addrs, netip.Addr.Compare) // the same address each time, as long as it answers
	return addrs[:min(len(addrs), maxAddresses)], nil
}

// connectTo has the connect timeout for the connection, and once more for TLS.
func (s *Source) connectTo(ctx context.Context, v server, network, addr string) (*wire.Conn, error) {
	d := net.Dialer{Timeout: s.o.Timeouts.Connect}
	raw, err := d.DialContext(ctx, network, addr)
	if err != nil {
		var ne net.Error
		if errors.As(err, &ne) && ne.Timeout() && ctx.Err() == nil {
			err = fmt.Errorf("no answer within %s: %w", s.o.Timeouts.Connect, err)
		}
		return nil, s.failed(model.CodeSourceUnreachable, "connect", err)
	}
	if v.plain {
		return wire.New(raw, raw, s.o.Timeouts.Idle), nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeouts.Connect)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) }) //nolint:errcheck // a closed connection needs no deadline
	conn, err := s.secure(ctx, v, raw)
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
func (s *Source) secure(ctx context.Context, v server, raw net.Conn) (net.Conn, error) {
	if !v.tls {
		if err := wire.StartTLS(raw); err != nil {
			var refused *ldap.Error
			if errors.As(err, &refused) {
				return nil, s.failed(model.CodeSourceTLS, "StartTLS", err)
			}
			return nil, s.failed(model.CodeSourceUnreachable, "StartTLS", s.patience(ctx, err))
		}
	}
	return s.handshake(ctx, v, raw)
}

// patience says that an error is the end of waiting, when it is.
func (s *Source) patience(ctx context.Context, err error) error {
	var ne net.Error
	if ctx.Err() != nil || errors.As(err, &ne) && ne.Timeout() {
		return fmt.Errorf("no answer within %s: %w", s.o.Timeouts.Connect, err)
	}
	return err
}
