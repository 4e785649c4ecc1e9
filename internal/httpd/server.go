package httpd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"jmld/model"
)

// Limits on what one client can hold on to.
const (
	headerTimeout = 10 * time.Second
	readTimeout   = 2 * time.Minute // headers and body: a slow client with a large group
	writeTimeout  = 5 * time.Minute // from the end of the headers to the end of the answer
	idleTimeout   = 2 * time.Minute
	defaultDrain  = 20 * time.Second

	// What a client may send before anybody knows who it is takes about four times its size in memory, of each connection. maxHeaders is beside
	// the URL: a token, and what proxies and browsers add.
	maxHeaders = 16 << 10
	usualURL   = 8 << 10
)

// Options make a Server.
type Options struct {
	Address  string       // host:port; port 0 takes a free one
	Listener net.Listener // instead of Address: one that is open already
	TLS      *TLS         // nil: plain HTTP
	Insecure bool         // plain HTTP on an address that is not loopback

	URL int // bytes of the longest URL that SCIM takes; 0: 8 KiB

	SCIM    http.Handler // serves /scim/; nil: there is no such path
	Console http.Handler // serves every other path; nil: not found

	// Ready reports whether the daemon can do its work: whether the database answers. It obeys ctx.
	Ready func(ctx context.Context) error
	// Figures feeds the gauges; nil: none.
	Figures Figures
	// Collectors are further metrics, of the engine or the database pool.
	Collectors []prometheus.Collector

	Log     *zap.Logger      // nil: silent
	Version string           // shown in metrics
	Drain   time.Duration    // how long requests may go on after the end was asked for; 0: 20 s
	Now     func() time.Time // nil: time.Now
}

// Server is an HTTP server that listens already.
type Server struct {
	o        Options
	log      *zap.Logger
	listener net.Listener
	handler  http.Handler
	tls      *tls.Config
	leaving  atomic.Bool
	registry *prometheus.Registry
}

// New takes the address and builds the handlers; Run serves. The caller who does not Run must Close. When New fails, a given
// Listener still belongs to the caller.
func New(o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Drain == 0 {
		o.Drain = defaultDrain
	}
	s := &Server{o: o, log: o.Log}
	if o.TLS != nil {
		c, err := newCertificate(*o.TLS, o.Log, o.Now)
		if err != nil {
			return nil, err
		}
		s.tls = &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: c.get, NextProtos: []string{"h2", "http/1.1"}}
	}
	m, err := newMetrics(o)
	if err != nil {
		return nil, err
	}
	s.registry = m.registry
	s.handler = s.routes(m)

	if s.listener = o.Listener; s.listener == nil {
		if s.listener, err = new(net.ListenConfig).Listen(context.Background(), "tcp", o.Address); err != nil {
			return nil, model.Errorf(model.CodeConfig, "listen: %w", err)
		}
	}
	if at := s.listener.Addr(); o.TLS == nil && !o.Insecure && !loopback(at) {
		if o.Listener == nil {
			s.listener.Close()
		}
		return nil, model.Errorf(model.CodeConfig,
			"listen on %s: plain HTTP only on a loopback address; set listen.tls, or listen.insecure: true behind a proxy", at)
	}
	return s, nil
}

func loopback(a net.Addr) bool {
	ap, err := netip.ParseAddrPort(a.String())
	return err == nil && ap.Addr().Unmap().IsLoopback()
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Close gives the address back without serving.
func (s *Server) Close() error { return s.listener.Close() }

// Handler is everything the server serves.
func (s *Server) Handler() http.Handler { return s.handler }

// Run serves until ctx ends; then /readyz says so, no new connection is taken, and requests under way may finish within
// the drain time. It returns nil when the end was asked for and every request finished.
func (s *Server) Run(ctx context.Context) error {
	srv := &http.Server{
		Handler: s.handler, TLSConfig: s.tls, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: max(s.o.URL, usualURL) + maxHeaders,
		// Requests outlive ctx by the drain time: they end with the connection, not with the daemon's context.
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	std, err := zap.NewStdLogAt(s.log, zap.DebugLevel) // scanners' broken handshakes are nobody's error
	if err != nil {
		return fmt.Errorf("log of the http server: %w", err)
	}
	srv.ErrorLog = std
	ended := make(chan error, 1)
	go func() {
		if s.tls != nil {
			ended <- srv.ServeTLS(s.listener, "", "")
			return
		}
		ended <- srv.Serve(s.listener)
	}()
	select {
	case err := <-ended:
		return fmt.Errorf("serve http: %w", err)
	case <-ctx.Done():
	}
	s.leaving.Store(true)
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.o.Drain)
	defer cancel()
	err = srv.Shutdown(drain)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("requests still under way after %s were cut off", s.o.Drain)
	}
	if err != nil {
		err = errors.Join(err, srv.Close())
	}
	if serr := <-ended; !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, serr)
	}
	return err
}
