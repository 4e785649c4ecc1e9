package wire

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// drawn is a search's answer as a server would send it, and what it means.
type drawn struct {
	raw     []byte
	entries []string // as text
	cookie  []byte
	paged   bool
	refs    int
}

func drawAnswer(t *rapid.T) drawn {
	var d drawn
	value := rapid.SliceOfN(rapid.Byte(), 0, 300)
	name := rapid.StringMatching(`[a-zA-Z][a-zA-Z0-9;-]{0,20}`)
	for range rapid.IntRange(0, 5).Draw(t, "entries") {
		op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultEntry, nil, "")
		dn := rapid.StringN(0, 80, 200).Draw(t, "dn")
		op.AppendChild(octets(dn))
		text := dn
		list := ber.NewSequence("")
		for range rapid.IntRange(0, 4).Draw(t, "attributes") {
			attr, set := ber.NewSequence(""), ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
			n := name.Draw(t, "name")
			attr.AppendChild(octets(n))
			text += "|" + n
			for range rapid.IntRange(0, 4).Draw(t, "values") {
				v := string(value.Draw(t, "value"))
				set.AppendChild(octets(v))
				text += "=" + v
			}
			attr.AppendChild(set)
			list.AppendChild(attr)
		}
		op.AppendChild(list)
		d.raw = append(d.raw, envelope(1, op).Bytes()...)
		d.entries = append(d.entries, text)
		if rapid.IntRange(0, 9).Draw(t, "reference") == 0 {
			ref := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultReference, nil, "")
			ref.AppendChild(octets("ldap://ldap2.example.org/"))
			d.raw = append(d.raw, envelope(1, ref).Bytes()...)
			d.refs++
		}
	}
	result := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultDone, nil, "")
	result.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, int64(0), ""))
	result.AppendChild(octets(""))
	result.AppendChild(octets(""))
	done := envelope(1, result)
	if d.paged = rapid.Bool().Draw(t, "paged"); d.paged {
		paging := ldap.NewControlPaging(0)
		d.cookie = rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "cookie")
		paging.SetCookie(d.cookie)
		controls := ber.Encode(ber.ClassContext, ber.TypeConstructed, 0, nil, "")
		controls.AppendChild(paging.Encode())
		done.AppendChild(controls)
	}
	d.raw = append(d.raw, done.Bytes()...)
	return d
}

func decode(raw []byte) (entries []string, d Done, err error) {
	s := server{r: bytes.NewReader(raw)}
	d, err = New(s, s, time.Second).Search(Search{Filter: "(a=b)"}, func(e *Entry) error {
		text := e.DN
		for _, a := range e.Attrs {
			text += "|" + a.Name
			for _, v := range a.Values {
				text += "=" + string(v)
			}
		}
		entries = append(entries, text)
		return nil
	})
	return entries, d, err
}

// What a server sends is what is handed over, and what go-ldap's decoder makes of the same bytes; an answer that is cut anywhere is
// an error, and one with a byte changed is never a success with less (D-01).
func TestAnswersOfAnyShape(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := drawAnswer(t)
		entries, done, err := decode(want.raw)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want.entries, entries); d != "" {
			t.Fatalf("(-sent +read):\n%s", d)
		}
		if done.Entries != len(entries) || done.References != want.refs || done.Paged != want.paged || !bytes.Equal(done.Cookie, want.cookie) {
			t.Fatalf("%+v", done)
		}
		var reference []string
		for r := bytes.NewReader(want.raw); r.Len() > 0; {
			p, err := ber.ReadPacket(r)
			if err != nil {
				t.Fatal(err)
			}
			if op := p.Children[1]; op.Tag == ldap.ApplicationSearchResultEntry {
				text, ok := decodeEntry(op)
				if !ok {
					t.Fatal("go-ldap does not understand its own encoding")
				}
				reference = append(reference, text)
			}
		}
		if d := cmp.Diff(reference, entries); d != "" {
			t.Fatalf("(-go-ldap +wire):\n%s", d)
		}
		at := rapid.IntRange(0, len(want.raw)-1).Draw(t, "cut")
		if entries, _, err := decode(want.raw[:at]); err == nil {
			t.Fatalf("cut after %d of %d bytes: success with %d entries", at, len(want.raw), len(entries))
		}
		broken := bytes.Clone(want.raw)
		broken[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
		// One byte can make a reference of an entry, which is counted and keeps a read from being complete.
		if entries, done, err := decode(broken); err == nil && len(entries)+done.References < len(want.entries)+want.refs {
			t.Fatalf("byte %d changed: success with %d of %d entries", at, len(entries), len(want.entries))
		}
	})
}

// The answer to a bind, with whatever control: no panic, and nothing but a success or an error.
func FuzzBindAnswer(f *testing.F) {
	result := func(code int64, control string, value []byte) []byte {
		r := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationBindResponse, nil, "")
		r.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, code, ""))
		r.AppendChild(octets(""))
		r.AppendChild(octets("80090308: LdapErr: data 775, v4563"))
		m := envelope(1, r)
		if control != "" {
			c := ber.NewSequence("")
			c.AppendChild(octets(control))
			c.AppendChild(octets(string(value)))
			list := ber.Encode(ber.ClassContext, ber.TypeConstructed, 0, nil, "")
			list.AppendChild(c)
			m.AppendChild(list)
		}
		return m.Bytes()
	}
	f.Add(result(0, "", nil))
	f.Add(result(49, oidPolicy, []byte{0x30, 3, 0x81, 1, 1}))
	f.Add(result(0, oidPolicy, []byte{0x30, 6, 0xa0, 4, 0x80, 2, 0x12, 0x34}))
	f.Add(result(0, oidPolicy, []byte{0x30, 5, 0xa0, 3, 0x81, 1, 2}))
	f.Add(result(49, oidNetscapeExpired, []byte("0")))
	f.Add(result(14, "", nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := server{r: bytes.NewReader(b)}
		c := New(s, s, time.Second)
		err := c.Bind("cn=x", "y")
		if err == nil && c.Err() != nil {
			t.Fatalf("success on a connection that failed: %v", c.Err())
		}
		if p := c.Policy(); err == nil && p.Known && (p.Problem < -1 || p.Expires < -1 || p.Grace < -1) {
			t.Fatalf("%+v", p)
		}
		s.r.Reset(b)
		ext := New(s, s, time.Second)
		if err := ext.BindExternal(); err == nil && ext.Err() != nil {
			t.Fatal(fmt.Errorf("success on a connection that failed: %w", ext.Err()))
		}
	})
}
