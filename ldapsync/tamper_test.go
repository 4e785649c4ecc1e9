package ldapsync_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// tamper stands between us and a directory, speaks LDAP with both, and lets a fault change what the directory answers. Searches
// are counted over all connections, from 1 since the fault was set.
type tamper struct {
	url   string
	dial  func() (net.Conn, error)
	layer fault // below the one in force

	mu       sync.Mutex
	fault    *fault
	searches []query
	conns    map[net.Conn]bool
	done     bool
	wg       sync.WaitGroup
}

// query is one search.
type query struct {
	base, filter string
	scope        int64
	paged        bool
	cookie       string
	attrs        []string
	sync         bool // RFC 4533
	dirSync      bool
}

func (a query) String() string { return fmt.Sprintf("%s %s %q", a.base, a.filter, a.cookie) }

// fault changes messages. Either function may be nil.
type fault struct {
	// request changes a search before the directory sees it.
	request func(n int, a query, m *ber.Packet) *ber.Packet
	// answer says what becomes of one message of the answer to the n-th search; n is 0 for anything but a search.
	answer func(p *passing) (send []byte, then after)
}

// passing is one message on its way to us.
type passing struct {
	n       int // of the search
	id      int64
	asked   query
	op      byte // its protocol op, with the bits of class and form
	entries int  // of the same answer, that came before
	raw     []byte
}

const (
	opBindResponse = 0x61
	opEntry        = 0x64
	opDone         = 0x65
	opExtended     = 0x78
	opIntermediate = 0x79
)

// after is what becomes of the connection.
type after int

const (
	goOn  after = iota
	cut         // it ends
	quiet       // it stays, and nothing more comes
)

func newTamper(t testing.TB, dial func() (net.Conn, error), layer *fault) *tamper {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tamper{url: "ldap://" + l.Addr().String(), dial: dial, conns: map[net.Conn]bool{}}
	if layer != nil {
		p.layer = *layer
	}
	p.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
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

// set puts a fault in force, nil none, and begins to count anew. Connections of before are none of its business: there are none.
func (p *tamper) set(f *fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.searches = f, nil
}

// seen are the searches since the fault was set.
func (p *tamper) seen() []query {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]query(nil), p.searches...)
}

func (p *tamper) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = true
	return !p.done
}

func (p *tamper) drop(c net.Conn) {
	c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

func (p *tamper) serve(client net.Conn) {
	defer p.drop(client)
	server, err := p.dial()
	if err != nil || !p.keep(client) || !p.keep(server) {
		return
	}
	defer p.drop(server)
	p.mu.Lock()
	f := p.fault
	p.mu.Unlock()
	if f == nil {
		f = &fault{}
	}
	var mu sync.Mutex
	pending := map[int64]*passing{}
	p.wg.Go(func() {
		defer server.Close() // ends the answers
		for in := bufio.NewReader(client); ; {
			m, err := ber.ReadPacket(in)
			if err != nil {
				return
			}
			if next := searchOf(m); next != nil {
				p.mu.Lock()
				p.searches = append(p.searches, next.asked)
				next.n = len(p.searches)
				p.mu.Unlock()
				mu.Lock()
				pending[next.id] = next
				mu.Unlock()
				for _, change := range []func(int, query, *ber.Packet) *ber.Packet{f.request, p.layer.request} {
					if change != nil {
						m = change(next.n, next.asked, m)
					}
				}
			}
			if _, err := server.Write(m.Bytes()); err != nil {
				return
			}
		}
	})
	for in := bufio.NewReader(server); ; {
		raw, err := readMessage(in)
		if err != nil {
			return
		}
		id, op := headOf(raw)
		mu.Lock()
		state := pending[id]
		if state == nil {
			state = &passing{id: id}
			pending[id] = state
		}
		mu.Unlock()
		state.op, state.raw = op, raw
		send, then := raw, goOn
		if p.layer.answer != nil {
			state.raw, _ = p.layer.answer(state)
			send = state.raw
		}
		if f.answer != nil {
			send, then = f.answer(state)
		}
		if op == opEntry {
			state.entries++
		}
		if _, err := client.Write(send); err != nil || then == cut {
			return
		}
		if then == quiet {
			io.Copy(io.Discard, server) //nolint:errcheck // until the client gives up
			return
		}
	}
}

// withControls is the request with other controls; change returns nil for one that stays.
func withControls(m *ber.Packet, change func(ldap.Control) ldap.Control) *ber.Packet {
	id, _ := m.Children[0].Value.(int64)
	fresh := packet(id, m.Children[1])
	list := ber.Encode(ber.ClassContext, ber.TypeConstructed, 0, nil, "")
	for _, c := range m.Children[2].Children {
		if control, err := ldap.DecodeControl(c); err == nil {
			if other := change(control); other != nil {
				c = other.Encode()
			}
		}
		list.AppendChild(c)
	}
	fresh.AppendChild(list)
	return fresh
}

// searchOf decodes a search request, nil for anything else.
func searchOf(m *ber.Packet) *passing {
	if len(m.Children) < 2 || m.Children[1].Tag != ldap.ApplicationSearchRequest {
		return nil
	}
	id, _ := m.Children[0].Value.(int64)
	op := m.Children[1]
	base, _ := op.Children[0].Value.(string)
	scope, _ := op.Children[1].Value.(int64)
	s := &passing{id: id, asked: query{base: base, scope: scope}}
	s.asked.filter, _ = ldap.DecompileFilter(op.Children[6])
	for _, a := range op.Children[7].Children {
		name, _ := a.Value.(string)
		s.asked.attrs = append(s.asked.attrs, name)
	}
	if len(m.Children) > 2 {
		for _, c := range m.Children[2].Children {
			if control, err := ldap.DecodeControl(c); err == nil {
				if paging, ok := control.(*ldap.ControlPaging); ok {
					s.asked.paged, s.asked.cookie = true, string(paging.Cookie)
				}
				s.asked.sync = s.asked.sync || control.GetControlType() == ldap.ControlTypeSyncRequest
				s.asked.dirSync = s.asked.dirSync || control.GetControlType() == ldap.ControlTypeDirSync
			}
		}
	}
	return s
}

// readMessage reads one LDAPMessage as it is.
func readMessage(in *bufio.Reader) ([]byte, error) {
	head, err := in.Peek(2)
	if err != nil {
		return nil, err
	}
	size, more := int(head[1]), 0
	if size >= 0x80 {
		more = size & 0x7f
		if more == 0 || more > 4 {
			return nil, errors.New("not a length a server sends")
		}
		if head, err = in.Peek(2 + more); err != nil {
			return nil, err
		}
		size = 0
		for _, b := range head[2:] {
			size = size<<8 | int(b)
		}
	}
	raw := make([]byte, 2+more+size)
	_, err = io.ReadFull(in, raw)
	return raw, err
}

// headOf finds message id and protocol op.
func headOf(raw []byte) (id int64, op byte) {
	at := 2
	if raw[1] >= 0x80 {
		at += int(raw[1] & 0x7f)
	}
	n := int(raw[at+1])
	for _, b := range raw[at+2 : at+2+n] {
		id = id<<8 | int64(b)
	}
	return id, raw[at+2+n]
}

// rewritten is the entry with other attributes; each attribute is its name and then its values. nil leaves the entry out.
func rewritten(raw []byte, change func(dn string, attrs [][]string) [][]string) []byte {
	m, err := ber.DecodePacketErr(raw)
	if err != nil {
		return raw
	}
	id, _ := m.Children[0].Value.(int64)
	op := m.Children[1]
	dn, _ := op.Children[0].Value.(string)
	var attrs [][]string
	for _, a := range op.Children[1].Children {
		one := []string{a.Children[0].Data.String()}
		for _, v := range a.Children[1].Children {
			one = append(one, v.Data.String())
		}
		attrs = append(attrs, one)
	}
	if attrs = change(dn, attrs); attrs == nil {
		return nil
	}
	return entryMessage(id, dn, attrs)
}

// without takes an attribute out of an entry, whatever options its name has.
func without(raw []byte, name string) []byte {
	return rewritten(raw, func(_ string, attrs [][]string) [][]string {
		left := [][]string{}
		for _, a := range attrs {
			if plain, _, _ := strings.Cut(a[0], ";"); !strings.EqualFold(plain, name) {
				left = append(left, a)
			}
		}
		return left
	})
}

// dnOf is the name of the entry.
func dnOf(raw []byte) (dn string) {
	rewritten(raw, func(name string, _ [][]string) [][]string { dn = name; return nil })
	return dn
}

// cookieOf is the cookie in the final answer of a page; ok is false when it has no paging control.
func cookieOf(raw []byte) (cookie string, ok bool) {
	m, err := ber.DecodePacketErr(raw)
	if err != nil || len(m.Children) < 3 {
		return "", false
	}
	for _, c := range m.Children[2].Children {
		if control, err := ldap.DecodeControl(c); err == nil {
			if paging, is := control.(*ldap.ControlPaging); is {
				return string(paging.Cookie), true
			}
		}
	}
	return "", false
}

// doneWith is the final answer of a search with a result code and controls.
func doneWith(id, code int64, controls ...*ber.Packet) []byte {
	m := packet(id, result(ldap.ApplicationSearchResultDone, code))
	if len(controls) > 0 {
		list := ber.Encode(ber.ClassContext, ber.TypeConstructed, 0, nil, "")
		for _, c := range controls {
			list.AppendChild(c)
		}
		m.AppendChild(list)
	}
	return m.Bytes()
}

// saying is the final answer of a search with a result code and a text.
func saying(id, code int64, text string) []byte {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultDone, nil, "")
	op.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, code, ""))
	op.AppendChild(octet(""))
	op.AppendChild(octet(text))
	return packet(id, op).Bytes()
}

func pagingControl(cookie string) *ber.Packet {
	p := ldap.NewControlPaging(0)
	p.SetCookie([]byte(cookie))
	return p.Encode()
}
