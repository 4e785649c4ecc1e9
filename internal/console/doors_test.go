package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/console"
)

func TestEveryAnswerForbidsWhatThePagesDoNotNeed(t *testing.T) {
	t.Parallel()
	h := console.New(options(company(t)))
	for _, path := range []string{"/", "/nowhere", "/static/console.css", "/people?offset=x"} {
		a := get(t, h, path)
		got := map[string]string{}
		for _, k := range []string{"Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options", "Cache-Control", "Referrer-Policy"} {
			got[k] = a.Header.Get(k)
		}
		want := map[string]string{
			"Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
			"X-Content-Type-Options":  "nosniff", "X-Frame-Options": "DENY", "Cache-Control": "no-store", "Referrer-Policy": "same-origin",
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", path, d)
		}
	}
	a := get(t, h, "/")
	css := attribute(a.all("link")[0], "href")
	s := get(t, h, css).status(t, 200)
	if s.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || !strings.HasPrefix(s.Header.Get("Content-Type"), "text/css") {
		t.Errorf("%s: %v", css, s.Header)
	}
}

// Without a token only this machine gets in, under a name that is its own: a page elsewhere whose name was made to resolve
// to 127.0.0.1 does not.
func TestWithoutATokenOnlyThisMachineUnderItsOwnName(t *testing.T) {
	t.Parallel()
	h := console.New(options(company(t)))
	for _, c := range []struct {
		host, remote string
		want         int
	}{
		{"localhost:8484", "127.0.0.1:5000", 200},
		{"127.0.0.1:8484", "127.0.0.1:5000", 200},
		{"127.0.0.53", "127.0.0.1:5000", 200},
		{"[::1]:8484", "[::1]:5000", 200},
		{"jmld.localhost:8484", "127.0.0.1:5000", 200},
		{"LOCALHOST.", "[::ffff:127.0.0.1]:5000", 200},
		{"evil.example:8484", "127.0.0.1:5000", 403},
		{"localhost.evil.example", "127.0.0.1:5000", 403},
		{"127.0.0.1.evil.example", "127.0.0.1:5000", 403},
		{"", "127.0.0.1:5000", 403},
		{"localhost:8484", "192.0.2.7:5000", 403},
		{"localhost:8484", "@", 403},
		{"192.0.2.1:8484", "192.0.2.7:5000", 403},
	} {
		r := request(http.MethodGet, "/people", nil)
		r.Host, r.RemoteAddr = c.host, c.remote
		if a := do(t, h, r); a.StatusCode != c.want {
			t.Errorf("host %q from %q: %d, want %d", c.host, c.remote, a.StatusCode, c.want)
		}
	}
}

func TestFormsFromOtherSitesAreRefused(t *testing.T) {
	t.Parallel()
	f := company(t)
	h := console.New(options(f))
	for name, c := range map[string]struct {
		site, origin string
		want         int
	}{
		"our own form":                  {"same-origin", "", 303},
		"our own form, older browser":   {"", "http://localhost:8484", 303},
		"typed by the user":             {"none", "", 303},
		"another site":                  {"cross-site", "", 403},
		"a sibling site":                {"same-site", "", 403},
		"another site, older browser":   {"", "https://evil.example", 403},
		"another port, older browser":   {"", "http://localhost:9999", 403},
		"sandboxed frame":               {"", "null", 403},
		"no browser (curl) has neither": {"", "", 303},
	} {
		r := request(http.MethodPost, "/accounts/retry", url.Values{"only": {"dead"}})
		r.Header.Del("Sec-Fetch-Site")
		if c.site != "" {
			r.Header.Set("Sec-Fetch-Site", c.site)
		}
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		before := len(f.retried)
		a := do(t, h, r)
		if a.StatusCode != c.want || (len(f.retried) > before) != (c.want == 303) {
			t.Errorf("%s: %d, want %d", name, a.StatusCode, c.want)
		}
	}
}

func guarded(t *testing.T, token func() string, clock func() time.Time) (http.Handler, *fake) {
	t.Helper()
	f := company(t)
	o := options(f)
	o.Token, o.Now = token, clock
	return console.New(o), f
}

func from(r *http.Request) *http.Request { // anywhere, by any name
	r.Host, r.RemoteAddr = "jmld.example.org", "203.0.113.9:4000"
	return r
}

func signIn(t *testing.T, h http.Handler, token, next string) answer {
	t.Helper()
	return do(t, h, from(request(http.MethodPost, "/login", url.Values{"token": {token}, "next": {next}})))
}

func TestWithATokenNobodyGetsInWithoutIt(t *testing.T) {
	t.Parallel()
	h, f := guarded(t, func() string { return "s3cret" }, now)
	for path, want := range map[string]string{
		"/": "/login", "/people?q=ada": "/login?next=%2Fpeople%3Fq%3Dada", "/runs/" + f.runs[0].ID: "/login?next=%2Fruns%2F" + f.runs[0].ID,
	} {
		a := do(t, h, from(request(http.MethodGet, path, nil))).status(t, 303)
		if got := a.Header.Get("Location"); got != want {
			t.Errorf("%s: sent to %q, want %q", path, got, want)
		}
	}
	do(t, h, from(request(http.MethodPost, "/accounts/retry", url.Values{"only": {"dead"}}))).status(t, 401)
	if len(f.retried)+len(f.asked) != 0 {
		t.Errorf("asked %v, retried %v", f.asked, f.retried)
	}
	do(t, h, from(request(http.MethodGet, "/static/console.css", nil))).status(t, 200)
	do(t, h, from(request(http.MethodGet, "/login", nil))).status(t, 200).has(t, "Operator token")
}

func TestSignInMakesASessionThatEnds(t *testing.T) {
	t.Parallel()
	clock, token := now(), "s3cret"
	h, _ := guarded(t, func() string { return token }, func() time.Time { return clock })
	signIn(t, h, "wrong", "").status(t, 401).has(t, "That is not the operator token")
	a := signIn(t, h, "s3cret", "/people?q=ada").status(t, 303)
	if got := a.Header.Get("Location"); got != "/people?q=ada" {
		t.Errorf("sent to %q", got)
	}
	k := a.Cookies()[0]
	if !k.HttpOnly || k.SameSite != http.SameSiteStrictMode || k.Secure || k.Path != "/" {
		t.Errorf("cookie %v", k)
	}
	ask := func(k *http.Cookie) int {
		r := from(request(http.MethodGet, "/people", nil))
		r.AddCookie(k)
		return do(t, h, r).StatusCode
	}
	forged := *k
	forged.Value = k.Value[:len(k.Value)-4] + "AAAA"
	longer := *k // an end further away under the old seal
	longer.Value = "AAAB" + k.Value[4:]
	cut := *k
	cut.Value = k.Value[:12]
	if ask(k) != 200 || ask(&forged) != 303 || ask(&longer) != 303 || ask(&cut) != 303 {
		t.Error("the session does not hold, or a forged one does")
	}
	clock = clock.Add(12 * time.Hour)
	if ask(k) != 303 {
		t.Error("the session outlives its end")
	}
	clock = now()
	token = "new"
	if ask(k) != 303 {
		t.Error("the session outlives its token")
	}
	token = "s3cret"
	for other, want := range map[string]int{"s3cret": 200, "another": 303} { // another replica, with this token or another one
		replica, _ := guarded(t, func() string { return other }, now)
		r := from(request(http.MethodGet, "/people", nil))
		r.AddCookie(k)
		do(t, replica, r).status(t, want)
	}
	out := do(t, h, from(request(http.MethodPost, "/logout", url.Values{}))).status(t, 303)
	if c := out.Cookies()[0]; c.MaxAge >= 0 || c.Value != "" {
		t.Errorf("signing out keeps %v", c)
	}
}

func TestCookieIsSecureUnderTLS(t *testing.T) {
	t.Parallel()
	f := company(t)
	o := options(f)
	o.Token, o.Secure = func() string { return "s3cret" }, true
	h := console.New(o)
	k := signIn(t, h, "s3cret", "").status(t, 303).Cookies()[0]
	if !k.Secure || k.Name != "__Host-jmld" {
		t.Errorf("cookie %v", k)
	}
}

func TestSignInLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	h, _ := guarded(t, func() string { return "s3cret" }, now)
	for _, next := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "javascript:alert(1)", "people", "/a\r\nX: y"} {
		if got := signIn(t, h, "s3cret", next).status(t, 303).Header.Get("Location"); got != "/" {
			t.Errorf("%q leads to %q", next, got)
		}
	}
}

func TestBearerTokenWorksForScripts(t *testing.T) {
	t.Parallel()
	h, f := guarded(t, func() string { return "s3cret" }, now)
	ask := func(auth string) answer {
		r := from(request(http.MethodGet, "/people", nil))
		r.Header.Set("Authorization", auth)
		return do(t, h, r)
	}
	ask("Bearer s3cret").status(t, 200)
	ask("bearer  s3cret").status(t, 200)
	a := ask("Bearer wrong").status(t, 401)
	if !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Bearer ") {
		t.Errorf("%v", a.Header)
	}
	r := from(request(http.MethodPost, "/held/"+f.plans[0].ID+"/approve", url.Values{"digest": {f.plans[0].Digest}, "seen": {"yes"}}))
	r.Header.Del("Sec-Fetch-Site")
	r.Header.Set("Authorization", "Bearer s3cret")
	do(t, h, r).status(t, 303)
	if d := cmp.Diff([]string{f.plans[0].ID + " d1-7c0ffee5a11 operator console, 203.0.113.9"}, f.approved); d != "" {
		t.Error(d)
	}
}

// A secret that cannot be read any more must not open the door.
func TestAnEmptyTokenLetsNobodyIn(t *testing.T) {
	t.Parallel()
	h, _ := guarded(t, func() string { return "" }, now)
	signIn(t, h, "", "").status(t, 401)
	r := from(request(http.MethodGet, "/people", nil))
	r.Header.Set("Authorization", "Bearer ")
	do(t, h, r).status(t, 401)
	do(t, h, request(http.MethodGet, "/people", nil)).status(t, 303)
}

func TestGuessingIsSlow(t *testing.T) {
	t.Parallel()
	clock := now()
	h, _ := guarded(t, func() string { return "s3cret" }, func() time.Time { return clock })
	try := func(addr, token string) int {
		r := request(http.MethodPost, "/login", url.Values{"token": {token}})
		r.Host, r.RemoteAddr = "jmld.example.org", addr
		return do(t, h, r).StatusCode
	}
	var got []int
	for range 12 {
		got = append(got, try("203.0.113.9:4000", "wrong"))
	}
	if d := cmp.Diff(append(slices.Repeat([]int{401}, 10), 429, 429), got); d != "" {
		t.Error(d)
	}
	if try("203.0.113.9:4001", "s3cret") != 429 {
		t.Error("the right token is looked at while the address is throttled")
	}
	if try("203.0.113.10:4000", "s3cret") != 303 {
		t.Error("one address locks out another")
	}
	for i := range 10 { // one IPv6 host has a whole /64
		try(fmt.Sprintf("[2001:db8::%x]:4000", i+1), "wrong")
	}
	if try("[2001:db8::ffff]:4000", "wrong") != 429 || try("[2001:db8:0:1::1]:4000", "wrong") != 401 {
		t.Error("addresses of one /64 are not counted together")
	}
	clock = clock.Add(time.Minute)
	if try("203.0.113.9:4000", "s3cret") != 303 {
		t.Error("the address never gets another chance")
	}
}
