package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// Operations a server answers with, RFC 4511 §4.2 to §4.13, by their first byte.
const (
	opBindResponse     = 0x61
	opSearchEntry      = 0x64
	opSearchDone       = 0x65
	opSearchReference  = 0x73
	opExtendedResponse = 0x78
)

const (
	oidStartTLS = "1.3.6.1.4.1.1466.20037"
	oidWhoAmI   = "1.3.6.1.4.1.4203.1.11.3"

	// maxMessage bounds one message. A group of a million members fits.
	maxMessage = 64 << 20
	// keepBuffer bounds the memory kept from message to message.
	keepBuffer = 1 << 20
)

// Conn is a connection. All methods but Abort belong to one goroutine.
type Conn struct {
	conn  net.Conn     // TCP, or TLS over it
	raw   net.Conn     // TCP
	tcp   *net.TCPConn // raw, if it is one
	idle  time.Duration
	r     *bufio.Reader
	id    int64  // of the last request
	buf   []byte // the message being read
	size  int64  // bytes received
	tls   bool   // over a Buffered, which is patient in place of what reads from it
	quiet bool   // the kernel wakes nobody for little

	pace pace // of the answer being read

	trips int64 // requests sent; several at once count as one
	e     Entry
	vals  [][]byte
	// texts holds DNs.
	texts strings.Builder
	// names makes one string of each attribute description.
	names  map[string]string
	policy Policy

	mu  sync.Mutex
	err error // why the connection ended
}

// New uses a connection that is secured already; raw is the TCP connection below it. Every wait for bytes of the
// server, and every write, ends after idle.
func New(conn, raw net.Conn, idle time.Duration) *Conn {
	c := &Conn{conn: conn, raw: raw, idle: idle, names: map[string]string{}}
	if over, ok := conn.(interface{ NetConn() net.Conn }); ok {
		if b, ok := over.NetConn().(*Buffered); ok {
			b.c, c.tls = c, true
		}
	}
	c.tcp, _ = raw.(*net.TCPConn)
	c.r = bufio.NewReaderSize(patient{c}, bufferSize)
	return c
}

// Abort ends the connection for a reason, which every call from then on returns. Any goroutine may call it.
func (c *Conn) Abort(reason error) { c.fail(reason) } //nolint:errcheck // the reason itself

// Close takes leave of the server, if that can be done at once, and ends the connection.
func (c *Conn) Close() {
	if c.Err() == nil {
		bye := envelope(c.id+1, ber.Encode(ber.ClassApplication, ber.TypePrimitive, ldap.ApplicationUnbindRequest, nil, "unbind"))
		if c.raw.SetWriteDeadline(time.Now().Add(time.Second)) == nil {
			c.conn.Write(bye.Bytes()) //nolint:errcheck // RFC 4511 §4.3 wants no answer
		}
	}
	c.Abort(net.ErrClosed)
}

// Err is why the connection ended, nil while it lives.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// RemoteAddr is the server's address.
func (c *Conn) RemoteAddr() net.Addr { return c.raw.RemoteAddr() }

// Trips is how many round trips to the server there were since the connection was secured.
func (c *Conn) Trips() int64 { return c.trips }

// Received is how many bytes of messages came.
func (c *Conn) Received() int64 { return c.size }

// fail ends the connection and returns the first reason for that. It closes TCP: closing TLS would wait for the peer.
func (c *Conn) fail(reason error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = reason
		c.raw.Close()
	}
	return c.err
}

// WhoAmI asks for the authorization identity, RFC 4532.
func (c *Conn) WhoAmI() (string, error) {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationExtendedRequest, nil, "extended")
	op.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 0, oidWhoAmI, "requestName"))
	if err := c.send(op, nil); err != nil {
		return "", err
	}
	m, err := c.receive()
	if err != nil {
		return "", err
	}
	if m.op != opExtendedResponse {
		return "", c.unexpected(m)
	}
	rest, err := c.result(m)
	if err != nil {
		return "", err
	}
	for len(rest) > 0 {
		var v tlv
		if v, rest, err = next(rest); err != nil {
			return "", c.fail(err)
		}
		if v.tag == 0x8b { // responseValue [11]
			return string(v.body), nil
		}
	}
	return "", nil
}

// StartTLS asks the server on a plain connection to go on with TLS, RFC 4511 §4.14.1, and reads its answer. Nothing is
// read beyond the answer, so nothing slipped in before the handshake is taken for an answer after it. The caller sets
// the deadline.
func StartTLS(raw net.Conn) error {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationExtendedRequest, nil, "extended")
	op.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 0, oidStartTLS, "requestName"))
	if _, err := raw.Write(envelope(1, op).Bytes()); err != nil {
		return err
	}
	const enough = 64 << 10
	b, err := readMessage(raw, nil, enough)
	if err != nil {
		return err
	}
	m, err := parseMessage(b)
	if err != nil {
		return err
	}
	if m.id != 1 || m.op != opExtendedResponse {
		return errors.New("the server did not answer the request")
	}
	_, err = parseResult(m.body)
	return err
}

// send writes one request under the next message id.
func (c *Conn) send(op *ber.Packet, controls []ldap.Control) error {
	if err := c.Err(); err != nil {
		return err
	}
	if n := c.r.Buffered(); n > 0 {
		return c.fail(fmt.Errorf("the server went on after its final answer (%d bytes)", n))
	}
	c.id++
	c.trips++
	c.pace.restart()
	m := envelope(c.id, op)
	if len(controls) > 0 {
		list := ber.Encode(ber.ClassContext, ber.TypeConstructed, 0, nil, "controls")
		for _, ctl := range controls {
			list.AppendChild(ctl.Encode())
		}
		m.AppendChild(list)
	}
	if err := c.conn.SetWriteDeadline(time.Now().Add(c.idle)); err != nil {
		return c.fail(err)
	}
	if _, err := c.conn.Write(m.Bytes()); err != nil {
		return c.fail(err)
	}
	return nil
}

// receive reads the next message, which must answer the last request. It is valid until the next call.
func (c *Conn) receive() (message, error) { return c.receiveOne(c.id) }

// receiveOne is receive for an answer to any of the requests from first on.
func (c *Conn) receiveOne(first int64) (message, error) {
	if cap(c.buf) > keepBuffer {
		c.buf = nil
	}
	b, err := readMessage(c.r, c.buf[:0], maxMessage)
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("the server ended the connection: %w", err)
		}
		return message{}, c.fail(err)
	}
	c.buf = b
	m, err := parseMessage(b)
	if err != nil {
		return message{}, c.fail(err)
	}
	switch {
	case first <= m.id && m.id <= c.id:
		return m, nil
	case m.id == 0: // RFC 4511 §4.4.1
		if _, err := parseResult(m.body); err != nil {
			return message{}, c.fail(errors.New("the server sent a notice of disconnection: " + err.Error()))
		}
		return message{}, c.fail(errors.New("the server sent a notice of disconnection"))
	}
	return message{}, c.fail(fmt.Errorf("the server sent message %d, which answers no request", m.id))
}

func (c *Conn) unexpected(m message) error {
	return c.fail(fmt.Errorf("the server sent a message (%#02x) that does not belong here", m.op))
}

// result reads an LDAPResult and returns what follows it. A code other than success is a *ldap.Error and leaves the
// connection as it is.
func (c *Conn) result(m message) ([]byte, error) {
	rest, err := parseResult(m.body)
	var answer *ldap.Error
	if err != nil && !errors.As(err, &answer) {
		return nil, c.fail(err)
	}
	return rest, err
}

func envelope(id int64, op *ber.Packet) *ber.Packet {
	m := ber.NewSequence("LDAPMessage")
	m.AppendChild(integer(id))
	m.AppendChild(op)
	return m
}

func integer(n int64) *ber.Packet {
	return ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, n, "")
}

func octets(s string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, s, "")
}
