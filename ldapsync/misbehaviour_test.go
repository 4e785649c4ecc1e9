package ldapsync_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"

	"jmld/ldapsync"
	"jmld/model"
)

func fakeOptions(f *fake) ldapsync.Options {
	return ldapsync.Options{
		Name: "corp", URL: f.url, BindDN: "cn=reader", Password: password, Base: "dc=example,dc=org",
		Groups: &ldapsync.Groups{}, PageSize: 2,
		Timeouts: ldapsync.Timeouts{Connect: time.Minute, Idle: time.Minute, Run: 5 * time.Minute},
	}
}

func TestTheFakeDirectoryIsReadCompletely(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	got := mustRead(t, source(t, fakeOptions(f)))
	if f.searches != searchBaseAgain {
		t.Errorf("%d searches, want %d", f.searches, searchBaseAgain)
	}
	if d := cmp.Diff([]string{"p1", "p3"}, got["g1"].Members); d != "" || len(got) != 4 {
		t.Errorf("%d records; members (-want +got):\n%s", len(got), d)
	}
}

// D-01: whatever a server does wrong, no read with it is complete, and none hangs.
func TestAMisbehavingServerNeverLooksComplete(t *testing.T) {
	t.Parallel()
	every := []int{searchIDs1, searchIDs2, searchGroupIDs, searchPeople1, searchPeople2, searchGroups}
	people := []int{searchPeople1, searchPeople2}
	intermediate := func(id int64) []byte {
		op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationIntermediateResponse, nil, "")
		op.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 0, "1.3.6.1.4.1.4203.1.9.1.4", ""))
		return message(id, op)
	}
	for name, c := range map[string]struct {
		at     []int
		answer func(s *fakeSearch) bool
		code   model.Code // "": no error, a condition that fails
		text   string
	}{
		"no paging control": {every, func(s *fakeSearch) bool {
			s.person(1)
			s.done(0, nil)
			return true
		}, "", "paging control on every page"},
		"success, nothing and no control (389-ds, unknown cookie)": {[]int{searchIDs2, searchPeople2},
			func(s *fakeSearch) bool { s.done(0, nil); return true }, "", "paging control on every page"},
		"a page lost in the second pass": {[]int{searchPeople2},
			func(s *fakeSearch) bool { s.done(0, s.page("")); return true }, "", "listed twice alike"},
		"a continuation reference": {every, func(s *fakeSearch) bool {
			ref := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultReference, nil, "")
			ref.AppendChild(octet("ldap://elsewhere.example.org/"))
			s.raw(message(s.id, ref))
			return false
		}, "", "no referral"},
		"an entry under the id of another request": {every, func(s *fakeSearch) bool {
			s.raw(message(s.id+7, entryPacket(userDN(9), "entryUUID", "p9", "uid", "u9")))
			return false
		}, model.CodeSourceInterrupted, "answers no request"},
		"an entry without a message id": {every, func(s *fakeSearch) bool {
			m := ber.NewSequence("")
			m.AppendChild(octet("one"))
			m.AppendChild(entryPacket(userDN(9), "entryUUID", "p9"))
			s.raw(m.Bytes())
			return false
		}, model.CodeSourceInterrupted, "without a message id"},
		"an entry that is not one": {every, func(s *fakeSearch) bool {
			op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultEntry, nil, "")
			op.AppendChild(octet(userDN(9)))
			s.raw(message(s.id, op))
			return false
		}, model.CodeSourceInterrupted, ""},
		"an intermediate response": {every, func(s *fakeSearch) bool { s.raw(intermediate(s.id)); return false }, model.CodeSourceInterrupted, ""},
		"an unknown operation": {every, func(s *fakeSearch) bool {
			s.raw(message(s.id, ber.Encode(ber.ClassApplication, ber.TypeConstructed, 30, nil, "")))
			return false
		}, model.CodeSourceInterrupted, ""},
		"a notice of disconnection": {every, func(s *fakeSearch) bool {
			s.raw(message(0, result(ldap.ApplicationExtendedResponse, 52)))
			return false
		}, model.CodeSourceInterrupted, "disconnection"},
		"a huge message": {every, func(s *fakeSearch) bool {
			s.raw([]byte{0x30, 0x84, 0x17, 0xd7, 0x84, 0x00, 0x02, 0x01, byte(s.id), 0x64})
			return true
		}, model.CodeSourceInterrupted, "more than"},
		"indefinite length": {every, func(s *fakeSearch) bool { s.raw([]byte{0x30, 0x80, 0x02, 0x01, 0x02}); return true }, model.CodeSourceInterrupted, "length"},
		"HTTP":              {every, func(s *fakeSearch) bool { s.raw([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")); return true }, model.CodeSourceInterrupted, "not LDAP"},
		"a message after the final answer": {every, func(s *fakeSearch) bool {
			s.answer()
			s.raw(message(s.id, entryPacket(userDN(9), "entryUUID", "p9", "uid", "u9")))
			return true
		}, model.CodeSourceInterrupted, ""},
		"silence":      {[]int{searchIDs2, searchPeople2}, func(*fakeSearch) bool { return true }, model.CodeSourceInterrupted, "silent"},
		"time limit":   {every, func(s *fakeSearch) bool { s.done(3, s.page("")); return true }, model.CodeSourceLimit, "Time Limit"},
		"look-through": {every, func(s *fakeSearch) bool { s.done(11, s.page("")); return true }, model.CodeSourceLimit, "Admin"},
		"busy":         {every, func(s *fakeSearch) bool { s.done(51, nil); return true }, model.CodeSourceUnreachable, "Busy"},
		"referral":     {every, func(s *fakeSearch) bool { s.done(10, nil); return true }, model.CodeSourceReferral, ""},
		"unwilling":    {every, func(s *fakeSearch) bool { s.done(53, nil); return true }, model.CodeSourceInterrupted, ""},
		"no such base": {every, func(s *fakeSearch) bool { s.done(32, nil); return true }, model.CodeSourceBase, ""},
		"another base": {[]int{searchBaseAgain}, func(s *fakeSearch) bool {
			s.entry("dc=example,dc=org", "entryUUID", "other")
			s.done(0, nil)
			return true
		}, "", "base entries unchanged"},
		"base without id":  {[]int{searchBase}, func(s *fakeSearch) bool { s.entry("dc=example,dc=org"); s.done(0, nil); return true }, "", "base entries unchanged"},
		"base hidden":      {[]int{searchBase, searchBaseAgain}, func(s *fakeSearch) bool { s.done(0, nil); return true }, model.CodeSourceBase, "0 entries"},
		"two base entries": {[]int{searchBase}, func(s *fakeSearch) bool { s.entry("a=b"); s.answer(); return true }, model.CodeSourceBase, "2 entries"},
		"an entry without id": {people, func(s *fakeSearch) bool {
			s.entry(userDN(9), "uid", "u9")
			return false
		}, "", "every entry has an id"},
		"an entry with two ids": {people, func(s *fakeSearch) bool {
			s.entry(userDN(9), "uid", "u9", "entryUUID", "a", "entryUUID", "b")
			return false
		}, "", "every entry has an id"},
		"an id twice": {[]int{searchIDs2, searchPeople2}, func(s *fakeSearch) bool {
			s.entry(userDN(9), "uid", "u9", "entryUUID", "P1")
			return false
		}, "", "no id twice"},
		"a person's id on a group": {[]int{searchGroupIDs, searchGroups}, func(s *fakeSearch) bool {
			s.entry("cn=x", "cn", "x", "entryUUID", "p1", "member", userDN(1))
			return false
		}, "", "no id twice"},
		"a part of the members": {[]int{searchGroups}, func(s *fakeSearch) bool {
			s.group("member;range=0-1", userDN(1), userDN(2))
			s.done(0, s.page(""))
			return true
		}, "", "all members listed"},
		"only members from elsewhere": {[]int{searchGroups}, func(s *fakeSearch) bool {
			s.group("member", "uid=x,dc=example,dc=com", "not a DN")
			s.done(0, s.page(""))
			return true
		}, "", "members found"},
		"an entry without a DN": {people, func(s *fakeSearch) bool {
			s.entry("ada", "entryUUID", "p9", "uid", "u9")
			return false
		}, "", "every DN understood"},
		"no member of any group": {[]int{searchGroups}, func(s *fakeSearch) bool {
			s.group("member")
			s.done(0, s.page(""))
			return true
		}, "", "members found"},
		"groupOfNames without a member": {[]int{searchGroups}, func(s *fakeSearch) bool {
			s.entry("cn=other,dc=example,dc=org", "entryUUID", "g2", "cn", "other", "objectClass", "top", "objectClass", "groupOfNames")
			return false
		}, "", "all members listed"},
		"more unusable entries than can be named": {[]int{searchPeople2}, func(s *fakeSearch) bool {
			for i := range 101 {
				s.entry(userDN(100+i), "entryUUID", fmt.Sprint("n", i))
			}
			return false
		}, "", "skipped entries named"},
		"a cookie without end": {[]int{searchIDs1, searchPeople1}, func(s *fakeSearch) bool {
			s.done(0, s.page("again"))
			return true
		}, "", ""},
	} {
		for _, at := range c.at {
			t.Run(fmt.Sprintf("%s/%d", name, at), func(t *testing.T) {
				t.Parallel()
				c := c // each has its own: it is changed below
				f := newFake(t)
				o := fakeOptions(f)
				f.onSearch = func(n int, s *fakeSearch) bool { return n == at && c.answer(s) }
				if name == "silence" {
					o.Timeouts.Idle = time.Second
				}
				if name == "a cookie without end" {
					o.Timeouts.Run = 500 * time.Millisecond
					f.onSearch = func(n int, s *fakeSearch) bool { return n >= at && c.answer(s) }
					c.code, c.text = model.CodeSourceInterrupted, "timeouts.run"
				}
				start := time.Now()
				_, p, err := read(t.Context(), source(t, o))
				if d := time.Since(start); d > 50*time.Second {
					t.Errorf("it took %s", d)
				}
				if c.code != "" {
					mustFail(t, o, p, err, c.code)
					if !strings.Contains(err.Error(), c.text) {
						t.Errorf("%q is not in: %v", c.text, err)
					}
					return
				}
				if err != nil && model.CodeOf(err) != model.CodeSourceEmpty {
					t.Fatal(err)
				}
				if p.Complete || err == nil && !strings.Contains(strings.Join(failedConditions(p), "\n"), c.text+":") {
					t.Errorf("complete %v; conditions that fail: %q, want %q", p.Complete, failedConditions(p), c.text)
				}
			})
		}
	}
}

func TestAnotherIdentityAtTheEndIsNotComplete(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.whoAmI = func(n int) string { return fmt.Sprint("dn:cn=reader", n) }
	_, p, err := read(t.Context(), source(t, fakeOptions(f)))
	if err != nil || p.Complete || len(failedConditions(p)) != 1 {
		t.Errorf("err %v, complete %v, %q", err, p.Complete, failedConditions(p))
	}
	f = newFake(t)
	f.whoAmI = func(int) string { return "" }
	o := fakeOptions(f)
	_, p, err = read(t.Context(), source(t, o))
	mustFail(t, o, p, err, model.CodeSourceCredentials)
}

// One bad entry does not stop the others, and its absence is not concluded.
func TestAnUnusableEntryIsSkippedByNameAndStaysPresent(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onSearch = func(n int, s *fakeSearch) bool {
		if s.scope == 0 || s.cookie == "" || strings.Contains(s.filter, "group") {
			return false
		}
		s.person(10, "title", "bad \xff byte")
		s.person(11, "mail", "zero\x00byte@example.org")
		s.entry(userDN(12), "entryUUID", "p12")
		s.entry("uid=13\n,dc=example,dc=org", "entryUUID", "p13", "uid", " ")
		s.person(14, "title", strings.Repeat("x", 1<<20+1))
		return false
	}
	got, p, err := read(t.Context(), source(t, fakeOptions(f)))
	if err != nil || !p.Complete || len(got) != 4 {
		t.Fatalf("err %v, complete %v, %d records, %q", err, p.Complete, len(got), failedConditions(p))
	}
	want := []model.Skipped{
		{ID: "p10", Name: userDN(10), Text: "a value of title is not UTF-8"},
		{ID: "p11", Name: userDN(11), Text: "a value of mail has a zero byte"},
		{ID: "p12", Name: userDN(12), Text: "it has no userName (uid)"},
		{ID: "p13", Name: `"uid=13\n,dc=example,dc=org"`, Text: "it has no userName (uid)"},
		{ID: "p14", Name: userDN(14), Text: "a value of title has 1048577 bytes, more than 1048576"},
	}
	if d := cmp.Diff(want, p.Skipped); d != "" {
		t.Errorf("skipped (-want +got):\n%s", d)
	}
}

// A message in many small pieces is the same message.
func TestPiecesOfMessagesAreTakenTogether(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onSearch = func(_ int, s *fakeSearch) bool {
		var whole bytes.Buffer
		out := s.w
		s.w = &whole
		s.answer()
		for _, b := range whole.Bytes() {
			out.Write([]byte{b})
		}
		return true
	}
	if got := mustRead(t, source(t, fakeOptions(f))); len(got) != 4 {
		t.Errorf("%d records, want 4", len(got))
	}
}
