package testserver

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// ProxyServer forwards TCP connections and can break them: after a number of bytes of answers it cuts the connection,
// or passes nothing more while the connection stays open.
type ProxyServer struct {
	Addr string // 127.0.0.1:…

	target string
	after  atomic.Int64 // bytes of answers that pass, or < 0 for all
	stall  atomic.Bool
	passed atomic.Int64

	mu    sync.Mutex
	hush  chan struct{} // closed when the connections there are pass nothing any more
	conns map[net.Conn]bool
	done  bool
	wg    sync.WaitGroup
}

// Proxy starts a proxy to the address, on a free loopback port, that ends with the test.
func Proxy(tb testing.TB, target string) *ProxyServer {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &ProxyServer{Addr: l.Addr().String(), target: target, hush: make(chan struct{}), conns: map[net.Conn]bool{}}
	p.after.Store(-1)
	p.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(c) })
		}
	})
	tb.Cleanup(func() {
		l.Close()
		p.mu.Lock()
		p.done = true
		for c := range p.conns {
			c.Close()
		}
		p.mu.Unlock()
		p.wg.Wait()
	})
	return p
}

// Pass lets the connections to come pass unharmed.
func (p *ProxyServer) Pass() { p.after.Store(-1) }

// Cut ends each connection to come after n bytes of answers.
func (p *ProxyServer) Cut(n int64) { p.stall.Store(false); p.after.Store(n) }

// Stall keeps each connection to come open, silent after n bytes of answers.
func (p *ProxyServer) Stall(n int64) { p.stall.Store(true); p.after.Store(n) }

// Hush keeps the connections there are open, and silent. Those to come pass.
func (p *ProxyServer) Hush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.hush)
	p.hush = make(chan struct{})
}

// Passed is how many bytes of answers have passed so far, in all connections.
func (p *ProxyServer) Passed() int64 { return p.passed.Load() }

func (p *ProxyServer) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		client.Close()
		return
	}
	hush, ok := p.keep(client, server)
	if !ok {
		return
	}
	defer p.drop(client, server)
	after, stall := p.after.Load(), p.stall.Load()
	p.wg.Go(func() {
		io.Copy(server, hushReader{client, hush}) //nolint:errcheck // either side may end as it likes
		server.Close()
	})
	var answers io.Reader = hushReader{server, hush}
	if after >= 0 {
		answers = io.LimitReader(answers, after)
	}
	io.Copy(client, countingReader{answers, &p.passed}) //nolint:errcheck // either side may end as it likes
	if after >= 0 && stall {
		io.Copy(io.Discard, server) //nolint:errcheck // until the client gives up
	}
}

func (p *ProxyServer) keep(conns ...net.Conn) (hush chan struct{}, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		if p.done {
			c.Close()
		}
		p.conns[c] = true
	}
	return p.hush, !p.done
}

func (p *ProxyServer) drop(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		c.Close()
		delete(p.conns, c)
	}
}

type countingReader struct {
	io.Reader
	n *atomic.Int64
}

func (r countingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.n.Add(int64(n))
	return n, err
}

// hushReader loses what it reads from when hush is closed.
type hushReader struct {
	io.Reader
	hush chan struct{}
}

func (r hushReader) Read(p []byte) (int, error) {
	for {
		n, err := r.Reader.Read(p)
		select {
		case <-r.hush:
			if err != nil {
				return 0, err
			}
		default:
			return n, err
		}
	}
}
