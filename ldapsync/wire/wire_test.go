package wire

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"

	"jmld/internal/testserver"
)

func dial(t *testing.T, addr, dn string) *Conn {
	t.Helper()
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c := New(raw, raw, 10*time.Second)
	t.Cleanup(c.Close)
	if err := c.Bind(dn, testserver.Password); err != nil {
		t.Fatal(err)
	}
	return c
}

// The reader says the same as go-ldap of a real directory, with all attributes, pages or not.
func TestItReadsWhatGoLDAPReads(t *testing.T) {
	t.Parallel()
	s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(300, 20, 290) + `dn: cn=\2C odd\+one \C3\A4,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
cn: , odd+one ä
sn: x
jpegPhoto:: AAECA//+/QA=

`})
	want, got := map[string]map[string][]string{}, map[string]map[string][]string{}
	ref, err := ldap.DialURL(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer ref.Close()
	if err := ref.Bind(testserver.SyncDN, testserver.Password); err != nil {
		t.Fatal(err)
	}
	r, err := ref.Search(ldap.NewSearchRequest(testserver.Base, 2, 0, 0, 0, false, "(objectClass=*)", []string{"*", "+"}, nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range r.Entries {
		m := map[string][]string{}
		for _, a := range e.Attributes {
			m[a.Name] = a.Values
		}
		want[e.DN] = m
	}
	c := dial(t, s.Addr, testserver.SyncDN)
	if who, err := c.WhoAmI(); err != nil || who != "dn:"+testserver.SyncDN {
		t.Errorf("who am I: %q, %v", who, err)
	}
	pages := 0
	for q := (Search{Base: testserver.Base, Scope: 2, Filter: "(objectClass=*)", Attrs: []string{"*", "+"}, PageSize: 50}); ; {
		done, err := c.Search(q, func(e *Entry) error {
			m := map[string][]string{}
			for _, a := range e.Attrs {
				for _, v := range a.Values {
					m[a.Name] = append(m[a.Name], string(v))
				}
			}
			got[e.DN] = m
			return nil
		})
		if err != nil || !done.Paged || done.Entries > 50 {
			t.Fatalf("%v, %v", done, err)
		}
		pages++
		if q.Cookie = done.Cookie; len(q.Cookie) == 0 {
			break
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-go-ldap +wire):\n%s", d)
	}
	if len(got) != 330 || pages != 7 {
		t.Errorf("%d entries in %d pages, want 330 in 7", len(got), pages)
	}

	for name, q := range map[string]struct {
		Search
		code uint16
	}{
		"no base":      {Search{Base: "dc=nowhere", Scope: 2, Filter: "(cn=*)"}, ldap.LDAPResultNoSuchObject},
		"wrong cookie": {Search{Base: testserver.Base, Scope: 2, Filter: "(cn=*)", PageSize: 5, Cookie: []byte("garbage!")}, ldap.LDAPResultProtocolError},
	} {
		_, err := c.Search(q.Search, func(*Entry) error { return nil })
		if !ldap.IsErrorWithCode(err, q.code) {
			t.Errorf("%s: %v, want code %d", name, err, q.code)
		}
	}
	if _, err := c.Search(Search{Base: testserver.Base, Filter: "(cn"}, nil); err == nil || c.Err() != nil {
		t.Errorf("a filter that is none: %v; the connection: %v", err, c.Err())
	}
	if err := dial(t, s.Addr, testserver.SyncDN).Bind(testserver.SyncDN, "wrong"); !ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidCredentials) {
		t.Errorf("wrong password: %v", err)
	}
	if err := c.Bind(testserver.SyncDN, ""); err == nil {
		t.Error("an empty password is sent")
	}
}

func TestAnAbortedConnectionKeepsItsReason(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	defer far.Close()
	c := New(near, near, time.Minute)
	first := errors.New("first")
	c.Abort(first)
	c.Abort(errors.New("second"))
	if _, err := c.WhoAmI(); err != first { //nolint:errorlint // as it is
		t.Errorf("%v, want the first reason", err)
	}
	c.Close()
}

func TestMemoryGrowsWithWhatComes(t *testing.T) {
	t.Parallel()
	head := []byte{0x30, 0x84, 0x03, 0xff, 0xff, 0xff} // 64 MiB announced, little sent
	allocated := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := readMessage(bytes.NewReader(append(head[:6:6], make([]byte, 100)...)), nil, maxMessage); err == nil {
				b.Fatal("no error")
			}
		}
	}).AllocedBytesPerOp()
	if allocated > 4*keepBuffer {
		t.Errorf("%d bytes allocated for a message that did not come", allocated)
	}
	big := bytes.Repeat([]byte("x"), 5*keepBuffer+17)
	msg := append([]byte{0x30, 0x83, byte(len(big) >> 16), byte(len(big) >> 8), byte(len(big))}, big...)
	got, err := readMessage(iotest.HalfReader(bytes.NewReader(append(msg, "rest"...))), nil, maxMessage)
	if err != nil || !bytes.Equal(got, big) {
		t.Errorf("%d bytes, %v; want %d", len(got), err, len(big))
	}
}

func TestAnEntryIsBounded(t *testing.T) {
	t.Parallel()
	element := func(tag byte, body []byte) []byte {
		n := len(body)
		return append([]byte{tag, 0x84, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, body...)
	}
	name := element(tagOctets, []byte("a"))
	for what, attrs := range map[string][]byte{
		"values":     element(tagSequence, append(name, element(tagSet, bytes.Repeat([]byte{tagOctets, 0}, maxValues+1))...)),
		"attributes": bytes.Repeat(element(tagSequence, append(name, element(tagSet, nil)...)), maxAttrs+1),
	} {
		c := New(nil, nil, 0)
		err := c.entry(message{op: opSearchEntry, body: append(name, element(tagSequence, attrs)...)})
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("too many %s: %v", what, err)
		}
	}
}

// server answers with bytes that do not depend on the request.
type server struct {
	net.Conn
	r *bytes.Reader
}

func (s server) Read(p []byte) (int, error)         { return s.r.Read(p) }
func (s server) Write(p []byte) (int, error)        { return len(p), nil }
func (s server) Close() error                       { return nil }
func (s server) SetReadDeadline(t time.Time) error  { return nil }
func (s server) SetWriteDeadline(t time.Time) error { return nil }

// Any bytes of a server end in an answer or an error. Where go-ldap understands an entry, it is the same one.
func FuzzAnswers(f *testing.F) {
	entry := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultEntry, nil, "")
	entry.AppendChild(octets("uid=ada"))
	attr := ber.NewSequence("")
	attr.AppendChild(octets("mail"))
	set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
	set.AppendChild(octets("ada@example.org"))
	set.AppendChild(octets("a@example.org"))
	attr.AppendChild(set)
	list := ber.NewSequence("")
	list.AppendChild(attr)
	entry.AppendChild(list)
	result := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultDone, nil, "")
	result.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, int64(0), ""))
	result.AppendChild(octets(""))
	result.AppendChild(octets(""))
	done := envelope(1, result)
	controls := ber.Encode(ber.ClassContext, ber.TypeConstructed, 0, nil, "")
	paging := ldap.NewControlPaging(0)
	paging.SetCookie([]byte("next"))
	controls.AppendChild(paging.Encode())
	done.AppendChild(controls)
	f.Add(append(envelope(1, entry).Bytes(), done.Bytes()...))
	f.Add([]byte("\x30\x0c\x02\x01\x01\x65\x07\x0a\x01\x04\x04\x00\x04\x00"))
	f.Add([]byte("\x30\x84\x00\x00\x00\x05\x02\x01\x01\x65\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := server{r: bytes.NewReader(b)}
		c := New(s, s, time.Second)
		var got []string
		d, err := c.Search(Search{Filter: "(a=b)"}, func(e *Entry) error {
			text := e.DN
			for _, a := range e.Attrs {
				text += fmt.Sprintf("|%s", a.Name)
				for _, v := range a.Values {
					text += fmt.Sprintf("=%s", v)
				}
			}
			got = append(got, text)
			return nil
		})
		if len(got) != d.Entries {
			t.Fatalf("%d entries of %d handed over", len(got), d.Entries)
		}
		if err == nil && c.Err() != nil {
			t.Fatalf("success on a connection that failed: %v", c.Err())
		}
		r := bufio.NewReader(bytes.NewReader(b))
		for i := range got {
			m, err := ber.ReadPacket(r)
			if err != nil || len(m.Children) < 2 {
				return // go-ldap is stricter in places: long lengths, booleans
			}
			if m.Children[1].Tag != ldap.ApplicationSearchResultEntry {
				return
			}
			if want, ok := decodeEntry(m.Children[1]); ok && want != got[i] {
				t.Fatalf("entry %d: %q, go-ldap has %q", i, got[i], want)
			}
		}
		for _, op := range []func() error{
			func() error { return New(s, s, time.Second).Bind("cn=x", "y") },
			func() error { _, err := New(s, s, time.Second).WhoAmI(); return err },
			func() error { return StartTLS(s) },
		} {
			s.r.Reset(b)
			if err := op(); err == nil && !strings.ContainsAny(string(b), "\x61\x78") {
				t.Fatal("success without an answer")
			}
		}
	})
}

func decodeEntry(op *ber.Packet) (string, bool) {
	if len(op.Children) != 2 {
		return "", false
	}
	text := op.Children[0].Data.String()
	for _, a := range op.Children[1].Children {
		if len(a.Children) != 2 {
			return "", false
		}
		text += "|" + a.Children[0].Data.String()
		for _, v := range a.Children[1].Children {
			text += "=" + v.Data.String()
		}
	}
	return text, true
}

// syncAnswers is the answer to a refresh: an entry with its state, messages and the end.
func syncAnswers(t testing.TB) (entry, deletes, presents, cookie, done []byte) {
	t.Helper()
	id := []byte("0123456789abcdef")
	tlv := func(tag byte, parts ...[]byte) []byte {
		b := bytes.Join(parts, nil)
		return append([]byte{tag, byte(len(b))}, b...)
	}
	message := func(op []byte, controls ...[]byte) []byte {
		m := append([]byte{2, 1, 1}, op...)
		if len(controls) > 0 {
			m = append(m, tlv(0xa0, controls...)...)
		}
		return tlv(0x30, m)
	}
	info := func(value []byte) []byte {
		return message(tlv(0x79, tlv(0x80, []byte(oidSyncInfo)), tlv(0x81, value)))
	}
	control := func(oid string, value []byte) []byte { return tlv(0x30, tlv(4, []byte(oid)), tlv(4, value)) }
	entry = message(tlv(0x64, tlv(4, []byte("uid=a")), tlv(0x30)), control(ldap.ControlTypeSyncState, tlv(0x30, tlv(0x0a, []byte{1}), tlv(4, id))))
	deletes = info(tlv(0xa3, tlv(4, []byte("x")), tlv(1, []byte{0xff}), tlv(0x31, tlv(4, id))))
	presents = info(tlv(0xa3, tlv(0x31, tlv(4, id))))
	cookie = info(tlv(0x80, []byte("newer")))
	done = message(tlv(0x65, tlv(0x0a, []byte{0}), tlv(4), tlv(4)), control(ldap.ControlTypeSyncDone, tlv(0x30, tlv(4, []byte("last")), tlv(1, []byte{0xff}))))
	return entry, deletes, presents, cookie, done
}

// RFC 4533: what is understood is told apart, and what is not ends the connection.
// python-ldap #564: the list of who was deleted never arrived.
func TestRefresh(t *testing.T) {
	t.Parallel()
	entry, deletes, presents, cookie, done := syncAnswers(t)
	refresh := func(answers ...[]byte) (string, Refresh, error) {
		s := server{r: bytes.NewReader(bytes.Join(answers, nil))}
		c := New(s, s, time.Second)
		said := ""
		d, err := c.Refresh(Search{Filter: "(a=*)"}, nil, func(e *Entry, id UUID, state SyncState) error {
			said += fmt.Sprint(e.DN, " ", id, " ", state, ";")
			return nil
		}, func(id UUID, present bool) error { said += fmt.Sprint(id, " ", present, ";"); return nil })
		return said, d, err
	}
	const id = "30313233-3435-3637-3839-616263646566"
	said, d, err := refresh(entry, deletes, cookie, done)
	want := Refresh{Done: Done{Entries: 1}, Synced: true, Cookie: []byte("last"), RefreshDeletes: true}
	if diff := cmp.Diff(want, d); err != nil || diff != "" || said != "uid=a "+id+" 1;"+id+" false;" {
		t.Errorf("%v, %s, %s", err, said, diff)
	}
	said, d, err = refresh(presents, []byte("\x30\x0c\x02\x01\x01\x65\x07\x0a\x01\x00\x04\x00\x04\x00"))
	if err != nil || d.Synced || !d.Presents || said != id+" true;" {
		t.Errorf("%v, %s, %+v", err, said, d)
	}
	for name, b := range map[string][]byte{
		"an entry without a state":     []byte("\x30\x0e\x02\x01\x01\x64\x09\x04\x05uid=a\x30\x00"),
		"an unknown state":             bytes.Replace(entry, []byte("\x0a\x01\x01"), []byte("\x0a\x01\x04"), 1),
		"a short id":                   bytes.Replace(deletes, []byte("\x31\x12\x04\x10"), []byte("\x31\x12\x04\x0f"), 1),
		"another intermediate message": bytes.Replace(deletes, []byte(oidSyncInfo), []byte("1.3.6.1.4.1.4203.1.9.1.5"), 1),
		"an unknown message":           bytes.Replace(deletes, []byte{0xa3}, []byte{0xa4}, 1),
		"another request's":            bytes.Replace(deletes, []byte{2, 1, 1}, []byte{2, 1, 7}, 1),
	} {
		if said, _, err := refresh(b, done); err == nil || said != "" {
			t.Errorf("%s: %v, %s", name, err, said)
		}
	}
	// A search that did not ask for it gets none of it.
	s := server{r: bytes.NewReader(append(deletes, done...))}
	if _, err := New(s, s, time.Second).Search(Search{Filter: "(a=*)"}, func(*Entry) error { return nil }); err == nil {
		t.Error("an intermediate response to a plain search")
	}
}

// Several searches at once are answered in any order.
func TestReads(t *testing.T) {
	t.Parallel()
	answer := func(id byte, dn string, code byte) []byte {
		e := append([]byte{0x30, byte(9 + len(dn)), 2, 1, id, 0x64, byte(4 + len(dn)), 4, byte(len(dn))}, dn+"\x30\x00"...)
		return append(e, 0x30, 0x0c, 2, 1, id, 0x65, 7, 0x0a, 1, code, 4, 0, 4, 0)
	}
	reads := func(b []byte) ([]error, map[int]string, error) {
		s := server{r: bytes.NewReader(b)}
		c := New(s, s, time.Second)
		got := map[int]string{}
		answers, _, err := c.Reads([]Search{{Filter: "(a=*)"}, {Filter: "(b=*)"}}, func(n int, e *Entry) { got[n] += e.DN })
		if c.Trips() != 1 {
			t.Errorf("%d round trips", c.Trips())
		}
		return answers, got, err
	}
	answers, got, err := reads(append(answer(2, "b", 0), answer(1, "a", 32)...))
	if err != nil || answers[1] != nil || answers[0] == nil || got[0] != "a" || got[1] != "b" {
		t.Errorf("%v %v %v", answers, got, err)
	}
	for name, b := range map[string][]byte{"twice": append(answer(2, "b", 0), answer(2, "a", 0)...), "another": answer(3, "a", 0), "none": answer(1, "a", 0)} {
		if _, _, err := reads(b); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Whatever a server sends to a refresh, nothing breaks.
func FuzzRefresh(f *testing.F) {
	entry, deletes, presents, cookie, done := syncAnswers(f)
	f.Add(bytes.Join([][]byte{entry, deletes, presents, cookie, done}, nil))
	f.Add(append(deletes, done...))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := server{r: bytes.NewReader(b)}
		c := New(s, s, time.Second)
		n := 0
		d, err := c.Refresh(Search{Filter: "(a=*)"}, nil, func(*Entry, UUID, SyncState) error { n++; return nil }, func(UUID, bool) error { return nil })
		if n != d.Entries {
			t.Errorf("%d entries, %d said", n, d.Entries)
		}
		if err == nil && c.Err() != nil {
			t.Errorf("success on a connection that ended: %v", c.Err())
		}
	})
}

// [MS-ADTS] §3.1.1.3.4.1.3: flags, a number and a cookie, and nothing else.
func TestDirSyncAnswer(t *testing.T) {
	t.Parallel()
	more, cookie, err := DirSyncAnswer([]byte("\x30\x09\x02\x01\x01\x02\x01\x00\x04\x01c"))
	if err != nil || !more || string(cookie) != "c" {
		t.Errorf("%v %q %v", more, cookie, err)
	}
	if more, _, err := DirSyncAnswer([]byte("\x30\x08\x02\x01\x00\x02\x01\x00\x04\x00")); err != nil || more {
		t.Errorf("the last one: %v %v", more, err)
	}
	for _, b := range []string{"", "\x30", "\x30\x00", "\x30\x03\x02\x01\x00", "\x30\x06\x02\x01\x00\x02\x01\x00", "\x30\x09\x02\x01\x00\x02\x01\x00\x04\x02c",
		"\x30\x0a\x02\x01\x00\x02\x01\x00\x04\x00\x04\x00", "\x30\x08\x02\x01\x00\x02\x01\x00\x04\x00x", "\x30\x07\x02\x00\x02\x01\x00\x04\x00"} {
		if _, _, err := DirSyncAnswer([]byte(b)); err == nil {
			t.Errorf("%q is understood", b)
		}
	}
}
