package ldapsync_test

import (
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// fake is a directory of three people in two pages and one group, that misbehaves where it is told to.
type fake struct {
	url string

	mu       sync.Mutex
	searches int
	// done replaces the final answer of the n-th search (1, 2, …) when it returns true.
	onSearch func(n int, s *fakeSearch) bool
	whoAmI   func(n int) string
	whos     int
}

// fakeSearch is one search and the means to answer it.
type fakeSearch struct {
	w      io.Writer
	id     int64
	base   string
	scope  int64
	cookie string
	filter string
	attrs  []string
}

func newFake(t *testing.T) *fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{url: "ldap://" + l.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer c.Close(); f.serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return f
}

func (f *fake) serve(c net.Conn) {
	for {
		m, err := ber.ReadPacket(c)
		if err != nil || len(m.Children) < 2 {
			return
		}
		id, op := m.Children[0].Value.(int64), m.Children[1]
		switch op.Tag {
		case ldap.ApplicationBindRequest:
			c.Write(message(id, result(ldap.ApplicationBindResponse, 0)))
		case ldap.ApplicationExtendedRequest:
			f.mu.Lock()
			f.whos++
			who := "dn:cn=reader"
			if f.whoAmI != nil {
				who = f.whoAmI(f.whos)
			}
			f.mu.Unlock()
			r := result(ldap.ApplicationExtendedResponse, 0)
			r.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 11, who, ""))
			c.Write(message(id, r))
		case ldap.ApplicationSearchRequest:
			s := &fakeSearch{w: c, id: id, base: op.Children[0].Value.(string), scope: op.Children[1].Value.(int64)}
			s.filter, _ = ldap.DecompileFilter(op.Children[6])
			for _, a := range op.Children[7].Children {
				s.attrs = append(s.attrs, a.Value.(string))
			}
			if len(m.Children) > 2 {
				control, err := ldap.DecodeControl(m.Children[2].Children[0])
				if paging, ok := control.(*ldap.ControlPaging); err == nil && ok {
					s.cookie = string(paging.Cookie)
				}
			}
			if slices.Contains(s.attrs, "monitorTimestamp") { // it does not tell its time
				s.done(ldap.LDAPResultNoSuchObject, nil)
				continue
			}
			f.mu.Lock()
			f.searches++
			if f.onSearch == nil || !f.onSearch(f.searches, s) {
				s.answer()
			}
			f.mu.Unlock()
		default:
			return
		}
	}
}

// The searches of a read: 1 base entry, 2-3 ids of people, 4 ids of groups, 5-6 people, 7 groups, 8 base entry.
const (
	searchBase = 1 + iota
	searchIDs1
	searchIDs2
	searchGroupIDs
	searchPeople1
	searchPeople2
	searchGroups
	searchBaseAgain
)

// answer answers well.
func (s *fakeSearch) answer() {
	switch {
	case s.scope == 0:
		s.entry("dc=example,dc=org", "entryUUID", "base")
		s.done(0, nil)
	case s.filter == "(objectClass=groupOfNames)":
		s.group("member", userDN(1), userDN(3), "uid=unknown,dc=example,dc=org")
		s.done(0, s.page(""))
	case s.cookie == "":
		s.person(1)
		s.person(2)
		s.done(0, s.page("2"))
	default:
		s.person(3)
		s.done(0, s.page(""))
	}
}

func userDN(i int) string { return fmt.Sprintf("uid=u%d,dc=example,dc=org", i) }

func (s *fakeSearch) person(i int, extra ...string) {
	s.entry(userDN(i), append([]string{"entryUUID", fmt.Sprint("p", i), "uid", fmt.Sprint("u", i)}, extra...)...)
}

func (s *fakeSearch) group(attr string, members ...string) {
	list := []string{"entryUUID", "g1", "cn", "team"}
	for _, m := range members {
		list = append(list, attr, m)
	}
	s.entry("cn=team,dc=example,dc=org", list...)
}

// entry sends an entry; pairs are names and values.
func (s *fakeSearch) entry(dn string, pairs ...string) {
	s.raw(message(s.id, entryPacket(dn, pairs...)))
}

// entryPacket makes an entry of pairs of names and values.
func entryPacket(dn string, pairs ...string) *ber.Packet {
	var attrs [][]string
	at := map[string]int{}
	for i := 0; i < len(pairs); i += 2 {
		n, ok := at[pairs[i]]
		if !ok {
			n = len(attrs)
			at[pairs[i]], attrs = n, append(attrs, []string{pairs[i]})
		}
		attrs[n] = append(attrs[n], pairs[i+1])
	}
	return entryOp(dn, attrs)
}

// entryOp makes an entry of attributes, each a name with any number of values.
func entryOp(dn string, attrs [][]string) *ber.Packet {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultEntry, nil, "")
	op.AppendChild(octet(dn))
	list := ber.NewSequence("")
	for _, a := range attrs {
		one := ber.NewSequence("")
		one.AppendChild(octet(a[0]))
		set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
		for _, v := range a[1:] {
			set.AppendChild(octet(v))
		}
		one.AppendChild(set)
		list.AppendChild(one)
	}
	op.AppendChild(list)
	return op
}

func entryMessage(id int64, dn string, attrs [][]string) []byte {
	return message(id, entryOp(dn, attrs))
}

func (s *fakeSearch) done(code int64, control *ber.Packet) {
	m := packet(s.id, result(ldap.ApplicationSearchResultDone, code))
	if control != nil {
		list := ber.Encode(ber.ClassContext, ber.TypeConstructed, 0, nil, "")
		list.AppendChild(control)
		m.AppendChild(list)
	}
	s.raw(m.Bytes())
}

func (s *fakeSearch) page(cookie string) *ber.Packet {
	p := ldap.NewControlPaging(0)
	p.SetCookie([]byte(cookie))
	return p.Encode()
}

func (s *fakeSearch) raw(b []byte) { s.w.Write(b) }

func octet(s string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, s, "")
}

func result(tag ber.Tag, code int64) *ber.Packet {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "")
	op.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, code, ""))
	op.AppendChild(octet(""))
	op.AppendChild(octet(""))
	return op
}

func packet(id int64, op *ber.Packet) *ber.Packet {
	m := ber.NewSequence("")
	m.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	m.AppendChild(op)
	return m
}

func message(id int64, op *ber.Packet) []byte { return packet(id, op).Bytes() }
