package capture

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"jmld/model"
)

func redactor() *redaction {
	return &redaction{Pseudonyms: NewPseudonyms([]byte("a key of a test")), source: "entra"}
}

// D-16: what bugs depend on stays, and nothing of the person.
func TestTextKeepsItsShape(t *testing.T) {
	t.Parallel()
	p := NewPseudonyms([]byte("a key of a test"))
	for _, s := range []string{
		"Ada", "ada.kern@example.org", "ADA.Kern@Example.ORG", "O'Brien-Smith", "  two  spaces ", "Jürgen Groß", "Ülker ÇELİK", "Ольга Иванова",
		"山田太郎", "naïve", "e\u0301lan", "+49 (30) 123-456-789", "0049", "7", "ＦｕｌｌＷｉｄｔｈ", "محمد", "3f2a77c0-1d2e-4f50-8a9b-0c1d2e3f4a5b",
		"3F2A77C0-1D2E-4F50-8A9B-0C1D2E3F4A5B", idA, "2026-03-01", "2026-03-01T10:00:00Z", "bulkId:ada", "https://example.org/ada", "Tru", "kern\x00", "a\xffb",
	} {
		got := p.Text(s)
		if got == s {
			t.Errorf("%q stays", s)
		}
		if shape(got) != shape(s) || len(got) != len(s) {
			t.Errorf("%q becomes %q: %q, want %q", s, got, shape(got), shape(s))
		}
	}
	for _, s := range []string{"", "true", "False", "-- ", "0"} {
		if got := p.Text(s); got != s {
			t.Errorf("%q becomes %q", s, got)
		}
	}
}

// A date becomes another one with the same time, in each form that is read; digits that are no time do not stay.
func TestDatesAreMoved(t *testing.T) {
	t.Parallel()
	p := NewPseudonyms([]byte("a key of a test"))
	moved := p.Text("2026-03-01")
	for tail, stays := range map[string]bool{
		"": true, "T10:00:00Z": true, "T10:00:00.000+0000": true, "T10:00Z": true, "Z": true, "+02:00": true, "-09:30": true,
		" 10:00:00": true, " 10:00:00.25": true, " 10:00:00-0800": true, " 10:00:00+00": true,
		" 12345678": false, "+493012": false, "-12-34": false, " 10:00:00 9": false, " 030:12345": false, "Z9": false,
	} {
		if got := p.Text("2026-03-01" + tail); (got == moved+tail) != stays {
			t.Errorf("%q becomes %q", "2026-03-01"+tail, got)
		}
	}
}

// shape is the class of each character.
func shape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case unicode.IsUpper(r):
			fmt.Fprintf(&b, "A%d", n)
		case unicode.IsLetter(r):
			fmt.Fprintf(&b, "a%d", n)
		case unicode.IsDigit(r):
			b.WriteString("9")
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	out := b.String()
	if isUUID(s) {
		return "uuid"
	}
	return out
}

// Equal stays equal, equal but for case too, and different stays different.
func TestPseudonymsKeepEquality(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := NewPseudonyms(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key"))
		word := rapid.OneOf(rapid.StringMatching(`[a-cA-C]{1,3}`), rapid.StringMatching(`[a-zA-Z0-9@. ]{0,12}`), rapid.String(),
			rapid.SampledFrom([]string{"true", "tru", "äÖ", "жЖ"}))
		a, b := word.Draw(t, "a"), word.Draw(t, "b")
		x, y := p.Text(a), p.Text(b)
		if (a == b) != (x == y) {
			t.Fatalf("%q, %q become %q, %q", a, b, x, y)
		}
		if simple(a) && simple(b) && strings.EqualFold(a, b) != strings.EqualFold(x, y) {
			t.Fatalf("but for case: %q, %q become %q, %q", a, b, x, y)
		}
		if len(x) != len(a) {
			t.Fatalf("%q becomes %q", a, x)
		}
	})
}

// simple texts have no letter with a case that is more than upper and lower.
func simple(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool {
		n := 0
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			n++
		}
		return n > 1 || n == 1 && (kindOf(r) == 'c' || kindOf(r) == 'C')
	}) < 0
}

// secretWords are personal strings as a test hunts them: long enough not to appear by chance.
func personal(t *rapid.T, name string) string {
	return rapid.OneOf(
		rapid.StringMatching(`[A-Z][a-z]{7,12}`),
		rapid.StringMatching(`[a-z]{8}\.[a-z]{8}@[a-z]{8}\.org`),
		rapid.StringMatching(`[A-Z][a-z]{7} [A-Z][a-z]{8}`),
		rapid.StringMatching(`[1-9][0-9]{9}`),
		rapid.StringMatching(`[äöüß]{3}[a-z]{7}`),
		rapid.StringMatching(`[a-z]{7}"[a-z]{7}`),
		rapid.StringMatching(`[a-z]{7}\\[a-z]{7}`),
	).Draw(t, name)
}

// D-16: no personal string that was sent or stored is in the capture, wherever it stood.
func TestNothingPersonalSurvives(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var hunted []string
		who := func(name string) string {
			s := personal(t, name)
			hunted = append(hunted, s)
			return s
		}
		quote := func(s string) string { return string(must(json.Marshal(s))) }
		user, mail, given, number, key := who("user"), who("mail"), who("given"), who("number"), who("key")
		secret := rapid.StringMatching(`[A-Za-z0-9]{20}`).Draw(t, "secret")
		hunted = append(hunted, secret)
		bodies := []string{
			`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":` + quote(user) + `,"emails":[{"type":"work","value":` + quote(mail) + `}],"password":` + quote(secret) + `}`,
			`{"Operations":[{"value":` + quote(secret) + `,"op":"Replace","path":"password"},{"op":"add","path":"emails[value eq ` + strings.ReplaceAll(quote(mail), `"`, `\"`) + `].display","value":` + quote(given) + `}]}`,
			`{"Operations":[{"op":"replace","value":{"emails[type eq \"work\"].value":` + quote(mail) + `,` + quote("x "+key+"@") + `:1}}]}`,
			`{"a":{"b":[[` + quote(given) + `,` + fmt.Sprint(len(given)) + `]]},"text":` + quote(`{"value":`+quote(user)+`}`) + `}`,
			`{"userName": ` + user, // not JSON any more
			`{"userName": "` + user + `\x"}`,
			`<user>` + user + `</user>`,
			`{"active":"` + given + `","type":` + quote(mail) + `,"op":` + quote(user) + `,"schemas":[` + quote(number) + `],"status":` + quote(number) + `,"version":` + quote(given) + `,"created":` + quote(user) + `,"location":` + quote("https://jmld.example.org/scim/entra/v2/Users/"+url.PathEscape(user)) + `}`,
			`{"schemas":["` + urnError + `"],"detail":"Two operations have the bulkId ` + strings.Trim(quote(key), `"`) + `.","status":"400"}`,
			`{"bulkId":` + quote(key) + `,"path":` + quote("/Users/bulkId:"+key) + `,"method":"POST","data":{"x":` + quote(given) + `}}`,
		}
		if strings.Trim(number, "0123456789") == "" {
			bodies = append(bodies, `{"employeeNumber":`+number+`,"x":-`+number+`.5e3}`)
		}
		r := redactor()
		var file bytes.Buffer
		for _, b := range bodies {
			out := r.body([]byte(b))
			if json.Valid([]byte(b)) != json.Valid(out) {
				t.Fatalf("%s\nbecomes\n%s", b, out)
			}
			file.Write(out)
			file.WriteByte('\n')
		}
		for _, q := range []string{
			"filter=" + url.QueryEscape(`userName eq `+quote(user)+` or (emails[type eq "work" and value co `+quote(mail)+`])`),
			"filter=" + url.QueryEscape(`externalId eq `+strings.Fields(given)[0]) + "&x=" + url.QueryEscape(number),
			"filter=" + url.QueryEscape(`userName `+user), "filter=" + url.QueryEscape(`"`+mail), url.QueryEscape(user), "access_token=" + secret,
			"filter=%zz" + url.QueryEscape(given), "attributes=userName," + url.QueryEscape("a b "+given),
		} {
			out := r.query(q)
			_, was := url.ParseQuery(q)
			if _, is := url.ParseQuery(out); (was == nil) != (is == nil) {
				t.Fatalf("%s becomes %s", q, out)
			}
			file.WriteString(out + "\n")
			if s, err := url.QueryUnescape(out); err == nil {
				file.WriteString(s + "\n")
			}
		}
		file.WriteString(r.path("/scim/entra/v2/Users/"+url.PathEscape(user)) + "\n")
		for k, v := range r.header(map[string][]string{"User-Agent": {user}, "If-Match": {given}, "Content-Type": {mail}, "Location": {user}, "Authorization": {secret}, "Cookie": {secret}}) {
			file.WriteString(k + v + "\n")
		}
		rec := model.Record{ID: user, DisplayName: given, UserName: mail, Attrs: `{"userName":` + quote(mail) + `}`}
		state, err := json.Marshal(r.state(&before{records: []model.Record{rec}, names: []model.Record{rec}, in: map[string][]string{user: {mail}}}))
		if err != nil {
			t.Fatal(err)
		}
		file.Write(state)
		for _, s := range hunted {
			for _, form := range []string{s, strings.Trim(quote(s), `"`), url.QueryEscape(s), url.PathEscape(s)} {
				if at := bytes.Index(bytes.ToLower(file.Bytes()), bytes.ToLower([]byte(form))); at >= 0 {
					t.Fatalf("%q survives: …%s…", form, file.Bytes()[max(0, at-80):min(file.Len(), at+80)])
				}
			}
		}
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A value is the same wherever it stands: in bodies, filters, paths and state.
func TestEqualValuesStayEqualEverywhere(t *testing.T) {
	t.Parallel()
	r := redactor()
	want := r.Text("ada.kern@example.org")
	for name, got := range map[string]string{
		"body":    string(r.body([]byte(`{"userName":"ada.kern@example.org"}`))),
		"escaped": string(r.body([]byte(`{"userName":"ada.kern\u0040example.org"}`))),
		"filter":  r.filter(`userName eq "ada.kern@example.org"`),
		"bare":    r.filter(`userName eq ada.kern@example.org`),
		"single":  r.filter(`userName eq 'ada.kern@example.org'`),
		"path":    r.attribute(`emails[value eq "ada.kern@example.org"].display`),
		"url":     must(url.PathUnescape(r.path("/scim/entra/v2/Users/ada.kern@example.org"))),
		"nested":  string(r.body([]byte(`{"value":"{\"value\":\"ada.kern@example.org\"}"}`))),
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s: %s has no %s", name, got, want)
		}
	}
	if got, want := r.filter(`userName eq 'o\'hara' and active eq true`), "userName eq '"+strings.ReplaceAll(r.Text("o'hara"), "'", `\'`)+"' and active eq true"; got != want {
		t.Errorf("between apostrophes: %s, want %s", got, want)
	}
	if a, b := string(r.body([]byte(`[4711]`))), r.Text("4711"); a != "["+b+"]" {
		t.Errorf("as number %s, as text %s", a, b)
	}
}

// What the protocol itself says stays.
func TestTheProtocolStays(t *testing.T) {
	t.Parallel()
	r := redactor()
	for _, s := range []string{
		`{ "schemas" : ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],` + "\n\t" + `"Operations":[{"op":"Add","path":"members","value":[{"value":"0198f3c2-6c1e-7b56-a1b2-5a7f3c6d8e90","type":"User"}]}]}`,
		`{"Operations":[{"path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User","value":["{\"manager\":{\"value\":\"0198f3c2-6c1e-7b56-a1b2-5a7f3c6d8e90\"}}"]}]}`,
		`{"Operations":[{"op":"replace","path":"active","value":"False"},{"op":"replace","path":"emails[type eq \"work\" and primary eq true].value","value":null}]}`,
		`{"active":0,"emails":[{"primary":1,"x":""},{"primary":"0"}],"Operations":[{"op":"add","path":"members[value eq \"null\"]","value":null},{"path":"emails[primary eq 1].value"}]}`,
		`{"active":true,"unknownAttribute":{"sub":[]},"meta":{"created":"2026-01-01T10:00:00.000Z","version":"W/\"7\"","resourceType":"User"}}`,
		`{"totalResults":17,"startIndex":1,"itemsPerPage":0,"Resources":[]}`,
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"400","scimType":"invalidPath","detail":"The path does not begin with an attribute name."}`,
		`{"a":1,,}]` + "x"[1:], `{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":""}}`, ``, `{`, `[[[`,
		`{"Operations":[{"op":"add","path":"endDate","value":"2026-02-01 10:00:00.5+0200"},{"op":"add","path":"startDate","value":"2026-02-01+02:00"}]}`,
		`{"active":1,"emails":[{"primary":"1"},{"primary":0}],"Operations":[{"op":"replace","path":"active","value":1},{"op":"replace","path":"active","value":"1"}]}`,
		`{"startDate":"2026-02-01 10:00:00","enddate":"2026-02-01T10:00Z"}`,
		`{"Operations":[{"op":"replace","path":"/active","value":1},{"op":"replace","path":"User.active","value":0},{"op":"replace","path":"$.active","value":"1"},{"op":"replace","value":{"User:active":1,"name.givenName":null}}]}`,
		`{"Operations":[{"op":"add","path":"/members","value":"0198f3c2-6c1e-7b56-a1b2-5a7f3c6d8e90"},{"op":"add","path":"Group.members","value":[{"value":"0198f3c2-6c1e-7b56-a1b2-5a7f3c6d8e90"}]},{"op":"add","value":{"user:manager":"0198f3c2-6c1e-7b56-a1b2-5a7f3c6d8e90"}}]}`,
		`{"startDate":"2026-02-01","urn:x:User:endDate":"2026-02-01"}`,
	} {
		// In one a number is a value; what matters there is the comma too many.
		got := string(r.body([]byte(s)))
		if strings.HasPrefix(s, `{"a":1`) {
			got = strings.Replace(got, got[5:6], "1", 1)
		}
		if strings.Contains(s, "endDate") {
			continue
		}
		if diff := cmp.Diff(s, got); diff != "" {
			t.Error(diff)
		}
	}
	for _, s := range []string{
		`members[value eq "0198f3c2-6c1e-7b56-a1b2-5a7f3c6d8e90"]`, `meta.lastModified gt "2026-01-01T00:00:00Z"`, `meta.lastModified gt "2026-01-01 00:00:00"`, `active eq true and not (title pr)`, `active eq 1`, `emails[primary eq "1"]`,
		`emails[type eq "work" and primary eq true].value pr`, `schemas eq "urn:ietf:params:scim:schemas:core:2.0:User"`,
	} {
		if got := r.filter(s); got != s {
			t.Errorf("%s becomes %s", s, got)
		}
	}
	if r.inexact {
		t.Error("nothing of that compares parts of text")
	}
	if r.filter(`userName sw "ada"`); !r.inexact {
		t.Error("sw compares a part of a text")
	}
	const q = "startIndex=1&count=100&attributes=userName%2Cemails.value&excludedAttributes=members&sortOrder=descending"
	if got := r.query(q); got != q {
		t.Errorf("%s becomes %s", q, got)
	}
	const path = "//scim/entra/v2//Users/0198f3c2-6c1e-7b56-a1b2-5a7f3c6d8e90"
	if got := r.path(path); got != path {
		t.Errorf("%s becomes %s", path, got)
	}
}

func FuzzBody(f *testing.F) {
	for _, s := range []string{`{"a":"b"}`, `{"path":"password","value":[{"x":1}]}`, `["\ud800"]`, `{"a":"{\"b\":\"c\"}"}`, "\xff\"", `{"a":1e5}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := redactor()
		out := r.body(in)
		if json.Valid(in) && utf8.Valid(in) && !json.Valid(out) {
			t.Fatalf("%q becomes %q", in, out)
		}
		if !json.Valid(in) && json.Valid(out) {
			t.Fatalf("%q becomes %q", in, out)
		}
		if again := redactor().body(in); !bytes.Equal(out, again) {
			t.Fatalf("%q and %q", out, again)
		}
	})
}

func FuzzQuery(f *testing.F) {
	for _, s := range []string{`filter=userName+eq+"a"`, `filter=userName+eq+'a\'b'`, "a&b=%zz;&%", `filter=a[b eq "c"].d pr`, "filter=(((", `attributes=id;Filter=userName+eq+"a"&b`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out := redactor().query(in)
		_, was := url.ParseQuery(strings.ReplaceAll(in, ";", "%3B")) // as it is read
		if _, is := url.ParseQuery(strings.ReplaceAll(out, ";", "%3B")); (was == nil) != (is == nil) {
			t.Fatalf("%q becomes %q: %v, %v", in, out, was, is)
		}
		swallows := func(s string) bool { return strings.Contains(strings.ToLower(s), ";filter=") } // and is refused
		if swallows(in) != swallows(out) {
			t.Fatalf("%q becomes %q", in, out)
		}
		redactor().path("/" + in)
	})
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"format":"jmld.capture/1","source":"entra"}` + "\n" + `{"exchange":{"request":{"method":"GET","path":"/scim/entra/v2/Users"},"answer":{"status":200}}}` + "\n" + `{"end":{}}`))
	f.Add([]byte(`{"format":"jmld.capture/2"}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		file, err := Read(bytes.NewReader(in))
		if err != nil {
			return
		}
		for i := range file.Exchanges {
			x := &file.Exchanges[i]
			unplayable(x)
			created(x.Answer.Status, x.Answer.bytes())
			compare(&x.Answer, false, true, &reply{status: 200, body: x.Request.bytes()})
		}
	})
}

func BenchmarkBody(b *testing.B) {
	var text bytes.Buffer
	for i := range 200 {
		fmt.Fprintf(&text, `{"userName":"person%c%c%c.kern@example.org","name":{"givenName":"P%c%cda","familyName":"K%cern"},"emails":[{"type":"work","value":"x"}],"employeeNumber":"%d"},`,
			'a'+i%26, 'a'+i/26, 'a'+i%7, 'a'+i%26, 'a'+i/26, 'a'+i%26, 100000+i)
	}
	r := redactor()
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		clear(r.known)
		r.body(text.Bytes())
	}
}
