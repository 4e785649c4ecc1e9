package sampledir

import (
	"bufio"
	"bytes"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// Any text is a directory or an error; and whoever leaves takes nothing else along.
func FuzzFile(f *testing.F) {
	text, err := sample()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text[:3000])
	f.Add("dn: dc=example,dc=org\ndescription: leaves\n  after the first read\n\ndn: cn=x,dc=example,dc=org\nmember: dc=exam\n ple,dc=org\n")
	f.Add("version: 1\r\n\r\ndn:: ZGM9ZXhhbXBsZSxkYz1vcmc=\r\nobjectClass: x\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		tr, err := newTree(text)
		if err != nil {
			return
		}
		rest, n := tr.without(text)
		after, err := newTree(rest)
		if err != nil {
			return // the base itself left
		}
		if len(after.entries) != len(tr.entries)-n {
			t.Fatalf("%d entries, %d leave, %d stay", len(tr.entries), n, len(after.entries))
		}
		for _, e := range after.entries {
			if e.leaver() {
				t.Fatalf("%s is still there", e.dn)
			}
		}
	})
}

// Any bytes get an answer or end the connection.
func FuzzRequest(f *testing.F) {
	d, err := Open(filepath.Join(f.TempDir(), "directory.ldif"))
	if err != nil {
		f.Fatal(err)
	}
	search := ber.NewSequence("")
	search.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, int64(7), ""))
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchRequest, nil, "")
	op.AppendChild(str(Base, ""))
	for _, v := range []int64{2, 0} {
		op.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, v, ""))
	}
	for _, v := range []int64{3, 0} {
		op.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, v, ""))
	}
	op.AppendChild(ber.NewBoolean(ber.ClassUniversal, ber.TypePrimitive, ber.TagBoolean, false, ""))
	filter, err := ldap.CompileFilter("(&(uid=*a*)(!(cn=b))(|(sn>=c)(mail=*)))")
	if err != nil {
		f.Fatal(err)
	}
	op.AppendChild(filter)
	op.AppendChild(ber.NewSequence(""))
	search.AppendChild(op)
	search.AppendChild(pagingControl("")) // as a request has it
	f.Add(search.Bytes())
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > 1<<16 {
			return
		}
		m, err := ber.ReadPacket(bytes.NewReader(raw))
		if err != nil {
			return
		}
		near, far := net.Pipe()
		defer near.Close()
		defer far.Close()
		var out bytes.Buffer
		c := &client{dir: d, conn: near, out: bufio.NewWriter(&out), bound: ReaderDN}
		if c.answer(m) == nil && c.out.Flush() == nil && out.Len() > 0 {
			for r := bytes.NewReader(out.Bytes()); r.Len() > 0; {
				if _, err := ber.ReadPacket(r); err != nil {
					t.Fatalf("the answer is not BER: %v", err)
				}
			}
		}
	})
}

func TestTheSampleIsPlausible(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	ok := regexp.MustCompile(`^[a-z]+\.[a-z]+$`)
	for _, p := range people() {
		if !ok.MatchString(p.uid) || seen[p.uid] {
			t.Errorf("uid %q", p.uid)
		}
		seen[p.uid] = true
	}
	text, err := sample()
	if err != nil {
		t.Fatal(err)
	}
	tr, err := newTree(text)
	if err != nil {
		t.Fatal(err)
	}
	left := 0
	for _, e := range tr.entries {
		if e.leaver() {
			left++
		}
		for _, name := range []string{"member", "manager"} {
			for _, dn := range e.values(name) {
				if key, err := normalDN(dn); err != nil || tr.byKey[key] == nil {
					t.Errorf("%s: %s %s is nobody", e.dn, name, dn)
				}
			}
		}
	}
	if left != 2 {
		t.Errorf("%d people leave later, want 2", left)
	}
	if strings.Contains(text, "\t") {
		t.Error("a tab in the file")
	}
}
