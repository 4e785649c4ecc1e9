package sampledir

import (
	"bufio"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

const (
	maxRequest     = 1 << 20
	maxConnections = 100
	idleTime       = 10 * time.Minute
	writeTime      = 30 * time.Second

	oidWhoAmI = "1.3.6.1.4.1.4203.1.11.3"
)

// Serve answers connections of l until ctx ends; then it closes l and every connection, waits for them and returns
// nil. An error of the listener ends it too and is returned.
func (d *Dir) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel() // before the wait
	room := make(chan struct{}, maxConnections)
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("sample directory: %w", err)
		}
		select {
		case room <- struct{}{}:
		default:
			c.Close()
			continue
		}
		wg.Go(func() {
			defer func() { <-room }()
			stop := context.AfterFunc(ctx, func() { c.Close() })
			defer stop()
			(&client{dir: d, conn: c, out: bufio.NewWriter(c)}).serve()
		})
	}
}

// client is one connection.
type client struct {
	dir   *Dir
	conn  net.Conn
	out   *bufio.Writer
	bound string // DN, "" for anonymous

	cursor   *cursor // of the paged search under way
	sawWhole bool    // all people were read to the last page
}

func (c *client) serve() {
	defer func() {
		c.conn.Close()
		if c.sawWhole {
			if err := c.dir.leave(); err != nil && c.dir.Report != nil {
				c.dir.Report(fmt.Errorf("take the people who leave out of the sample directory: %w", err))
			}
		}
	}()
	in := bufio.NewReader(c.conn)
	for {
		if c.conn.SetReadDeadline(time.Now().Add(idleTime)) != nil {
			return
		}
		req, err := ber.ReadPacket(io.LimitReader(in, maxRequest))
		if err != nil {
			return
		}
		if c.conn.SetWriteDeadline(time.Now().Add(writeTime)) != nil {
			return
		}
		if err := c.answer(req); err != nil || c.out.Flush() != nil {
			return
		}
	}
}

var errUnbind = errors.New("unbind")

// answer handles one message. An error ends the connection.
func (c *client) answer(req *ber.Packet) error {
	if len(req.Children) < 2 {
		return errors.New("not an LDAP message")
	}
	id, ok := req.Children[0].Value.(int64)
	op := req.Children[1]
	if !ok || op.ClassType != ber.ClassApplication {
		return errors.New("not an LDAP message")
	}
	controls, err := parseControls(req)
	if err != nil {
		return err
	}
	switch op.Tag {
	case ldap.ApplicationBindRequest:
		return c.bind(id, op)
	case ldap.ApplicationUnbindRequest:
		return errUnbind
	case ldap.ApplicationAbandonRequest:
		return nil
	case ldap.ApplicationSearchRequest:
		return c.search(id, op, controls)
	case ldap.ApplicationExtendedRequest:
		if len(op.Children) > 0 && octets(op.Children[0]) == oidWhoAmI {
			return c.whoAmI(id)
		}
		return c.result(id, ldap.ApplicationExtendedResponse, ldap.LDAPResultProtocolError, "this extended operation is not supported", nil)
	case ldap.ApplicationModifyRequest, ldap.ApplicationAddRequest, ldap.ApplicationDelRequest,
		ldap.ApplicationModifyDNRequest, ldap.ApplicationCompareRequest:
		// Each of these has its response tag next to it.
		return c.result(id, op.Tag+1, ldap.LDAPResultUnwillingToPerform, "this directory is changed by editing "+c.dir.path, nil)
	}
	return errors.New("unknown operation")
}

// bind does simple binds, RFC 4513 §5.1. An empty password would be anonymous whatever the name: it is refused.
func (c *client) bind(id int64, op *ber.Packet) error {
	c.bound, c.cursor = "", nil
	const tag = ldap.ApplicationBindResponse
	if len(op.Children) != 3 || op.Children[2].ClassType != ber.ClassContext || op.Children[2].Tag != 0 {
		return c.result(id, tag, ldap.LDAPResultAuthMethodNotSupported, "only simple binds are supported", nil)
	}
	name, password := octets(op.Children[1]), octets(op.Children[2])
	if name == "" && password == "" {
		return c.result(id, tag, ldap.LDAPResultSuccess, "", nil)
	}
	if password == "" {
		return c.result(id, tag, ldap.LDAPResultUnwillingToPerform, "a bind needs a password", nil)
	}
	t, err := c.dir.current()
	if err != nil {
		return c.result(id, tag, ldap.LDAPResultUnavailable, err.Error(), nil)
	}
	if key, err := normalDN(name); err == nil && t.byKey[key] != nil {
		for _, v := range t.byKey[key].values("userPassword") {
			if subtle.ConstantTimeCompare([]byte(v), []byte(password)) == 1 {
				c.bound = t.byKey[key].dn
				return c.result(id, tag, ldap.LDAPResultSuccess, "", nil)
			}
		}
	}
	return c.result(id, tag, ldap.LDAPResultInvalidCredentials, "", nil)
}

func (c *client) whoAmI(id int64) error {
	authz := ""
	if c.bound != "" {
		authz = "dn:" + c.bound
	}
	op := resultPacket(ldap.ApplicationExtendedResponse, ldap.LDAPResultSuccess, "")
	op.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 11, authz, "responseValue"))
	return c.send(id, op, nil)
}

func (c *client) result(id int64, tag ber.Tag, code uint16, text string, controls *ber.Packet) error {
	return c.send(id, resultPacket(tag, code, text), controls)
}

func (c *client) send(id int64, op, controls *ber.Packet) error {
	m := ber.NewSequence("LDAPMessage")
	m.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, "messageID"))
	m.AppendChild(op)
	if controls != nil {
		m.AppendChild(controls)
	}
	_, err := c.out.Write(m.Bytes())
	return err
}

// resultPacket is an LDAPResult, RFC 4511 §4.1.9.
func resultPacket(tag ber.Tag, code uint16, text string) *ber.Packet {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "result")
	op.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, int64(code), "resultCode"))
	op.AppendChild(str("", "matchedDN"))
	op.AppendChild(str(text, "diagnosticMessage"))
	return op
}

func str(s, what string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, s, what)
}
