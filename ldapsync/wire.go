package ldapsync

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Tags of the protocol operations a read meets, RFC 4511 §4.2 to §4.13, as their first byte.
const (
	opBindResponse     = 0x61
	opSearchEntry      = 0x64
	opSearchDone       = 0x65
	opSearchReference  = 0x73
	opExtendedResponse = 0x78
)

// maxMessage bounds one LDAP message. A group of a million members fits.
const maxMessage = 64 << 20

// wire is the connection the LDAP library reads from. It watches the frames of the messages that pass (RFC 4511
// §4.1.1), because the library leaves out messages it cannot use and reports some broken connections as the end of a
// result, and because it would take a message of any size:
//
//   - a read may wait for the idle time only while an answer is due, so a slow consumer is not taken for a slow server;
//   - a message that answers no request of ours, or is larger than maxMessage, ends the connection;
//   - entries and final answers are counted.
//
// One request is out at a time.
type wire struct {
	net.Conn          // TLS or TCP
	raw      net.Conn // TCP
	r        *bufio.Reader
	idle     time.Duration

	mu      sync.Mutex
	waiting bool  // for the final answer to request id
	id      int64 // of the last request
	err     error // the first
	head    [16]byte
	nhead   int
	left    int64 // of the frame, after its head
	final   bool  // the frame is the final answer to request id
	seen    tally
}

// tally counts what came in.
type tally struct {
	entries, references, done, other int
	bytes                            int64
}

func newWire(raw, conn net.Conn, idle time.Duration) *wire {
	return &wire{Conn: conn, raw: raw, r: bufio.NewReaderSize(conn, 64<<10), idle: idle}
}

// Read implements net.Conn for the library's reader.
func (w *wire) Read(p []byte) (int, error) {
	w.mu.Lock()
	if w.err != nil {
		defer w.mu.Unlock()
		return 0, w.err
	}
	w.arm()
	w.mu.Unlock()

	n, err := w.r.Read(p)

	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen.bytes += int64(n)
	if bad := w.feed(p[:n]); bad != nil {
		w.fail(bad)
		return 0, w.err
	}
	if err != nil {
		var ne net.Error
		if errors.As(err, &ne) && ne.Timeout() {
			err = fmt.Errorf("the server was silent for %s: %w", w.idle, err)
		}
		w.fail(err)
		return n, w.err
	}
	return n, nil
}

// Write implements net.Conn; the library writes one request at a time.
func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	if w.err != nil {
		defer w.mu.Unlock()
		return 0, w.err
	}
	if h, ok, err := parseHead(p); ok && err == nil {
		w.id, w.waiting, w.final = h.id, true, false
	}
	w.arm()
	w.mu.Unlock()
	if err := w.Conn.SetWriteDeadline(time.Now().Add(w.idle)); err != nil {
		return 0, err
	}
	n, err := w.Conn.Write(p)
	if err != nil {
		w.abort(err)
	}
	return n, err
}

// abort ends the connection for the reason given, if it has not ended already.
func (w *wire) abort(reason error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail(reason)
}

// failure is why the connection ended, or nil.
func (w *wire) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

func (w *wire) tally() tally {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}

// arm sets the deadline of the reads to come. The caller holds mu.
func (w *wire) arm() {
	var until time.Time
	if w.waiting {
		until = time.Now().Add(w.idle)
	}
	if err := w.Conn.SetReadDeadline(until); err != nil {
		w.fail(err)
	}
}

// fail keeps the first reason. It closes the TCP connection: closing TLS would wait for the peer.
func (w *wire) fail(reason error) {
	if w.err == nil {
		w.err = reason
		w.raw.Close()
	}
}

// feed follows the frames through p.
func (w *wire) feed(p []byte) error {
	for len(p) > 0 {
		if w.left > 0 {
			n := min(w.left, int64(len(p)))
			w.left -= n
			p = p[n:]
			w.settle()
			continue
		}
		w.head[w.nhead] = p[0]
		w.nhead++
		p = p[1:]
		h, ok, err := parseHead(w.head[:w.nhead])
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		w.left, w.nhead = h.rest, 0
		if err := w.count(h); err != nil {
			return err
		}
		w.settle()
	}
	return nil
}

// settle ends the wait once the final answer is there to its last byte.
func (w *wire) settle() {
	if w.final && w.left == 0 {
		w.final, w.waiting = false, false
	}
}

func (w *wire) count(h head) error {
	switch {
	case h.id == 0:
		return errors.New("the server sent a notice of disconnection") // RFC 4511 §4.4.1
	case !w.waiting || h.id != w.id:
		return fmt.Errorf("the server sent message %d, which answers no request", h.id)
	}
	switch h.op {
	case opSearchEntry:
		w.seen.entries++
	case opSearchReference:
		w.seen.references++
	case opSearchDone:
		w.seen.done++
		w.final = true
	case opBindResponse, opExtendedResponse:
		w.final = true
	default:
		w.seen.other++
	}
	return nil
}

// head is the beginning of an LDAP message: id, operation and how many bytes follow the operation's tag.
type head struct {
	id   int64
	op   byte
	rest int64
}

// parseHead reads the beginning of a message, ok is false when p is too short to tell. It needs at most 13 bytes.
func parseHead(p []byte) (h head, ok bool, err error) {
	if len(p) > 0 && p[0] != 0x30 {
		return h, false, fmt.Errorf("the server sent something that is not LDAP (first byte %#02x)", p[0])
	}
	length, p, ok, err := parseLength(p)
	if !ok || err != nil {
		return h, false, err
	}
	if length > maxMessage {
		return h, false, fmt.Errorf("the server sent a message of %d bytes, more than %d", length, maxMessage)
	}
	// messageID INTEGER (0 .. maxInt), then the operation's tag.
	if len(p) < 2 {
		return h, false, nil
	}
	n := int(p[1])
	if p[0] != 0x02 || n < 1 || n > 4 || length < int64(2+n+1) {
		return h, false, errors.New("the server sent a message without a message id")
	}
	if len(p) < 2+n+1 {
		return h, false, nil
	}
	for _, b := range p[2 : 2+n] {
		h.id = h.id<<8 | int64(b)
	}
	h.op = p[2+n]
	h.rest = length - int64(2+n+1)
	return h, true, nil
}

// parseLength reads tag and length, RFC 4511 §5.1: definite, here in up to four bytes.
func parseLength(p []byte) (length int64, rest []byte, ok bool, err error) {
	if len(p) < 2 {
		return 0, nil, false, nil
	}
	if p[1] < 0x80 {
		return int64(p[1]), p[2:], true, nil
	}
	n := int(p[1] & 0x7f)
	if n == 0 || n > 4 {
		return 0, nil, false, errors.New("the server sent a message of unusable length")
	}
	if len(p) < 2+n {
		return 0, nil, false, nil
	}
	for _, b := range p[2 : 2+n] {
		length = length<<8 | int64(b)
	}
	return length, p[2+n:], true, nil
}
