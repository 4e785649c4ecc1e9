package console

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"
)

const sessionLength = 12 * time.Hour

// doors decides who may come in.
type doors struct {
	token  func() string
	secure bool
	limit  *limiter
	now    func() time.Time

	mu  sync.Mutex
	of  string // the token key was stretched from
	key []byte
}

func newDoors(o Options, now func() time.Time) *doors {
	return &doors{token: o.Token, secure: o.Secure, limit: newLimiter(now), now: now}
}

// open reports whether the console has no token.
func (d *doors) open() bool { return d.token == nil }

// here reports whether a request to an open console is from this machine and names it: DNS rebinding turns a name of
// the attacker's into 127.0.0.1, but the browser still sends that name as Host.
func (d *doors) here(r *http.Request) bool {
	a, ok := remote(r)
	return ok && a.IsLoopback() && loopbackName(r.Host)
}

func loopbackName(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") { // RFC 6761 §6.3
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

func remote(r *http.Request) (netip.Addr, bool) {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, false
	}
	return ap.Addr().Unmap().WithZone(""), true
}

// outcome of showing a token.
type outcome int

const (
	refused outcome = iota
	admitted
	throttled
)

// present compares a token with the operator's. Wrong ones are counted by address, so that guessing is slow; the right
// one is not looked at either while an address is throttled.
func (d *doors) present(r *http.Request, token string) outcome {
	a, _ := remote(r)
	if !d.limit.allowed(a) {
		return throttled
	}
	want := d.token()
	w, g := sha256.Sum256([]byte(want)), sha256.Sum256([]byte(token))
	if subtle.ConstantTimeCompare(w[:], g[:]) != 1 || want == "" {
		d.limit.missed(a)
		return refused
	}
	return admitted
}

// bearer returns the token of an Authorization header, RFC 6750 §2.1.
func bearer(r *http.Request) (string, bool) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), ok && strings.EqualFold(scheme, "Bearer")
}

func (d *doors) cookieName(r *http.Request) string {
	if d.tls(r) {
		return "__Host-jmld" // the browser then insists on Secure, Path=/ and no Domain (RFC 6265bis §4.1.3.2)
	}
	return "jmld"
}

func (d *doors) tls(r *http.Request) bool { return d.secure || r.TLS != nil }

func (d *doors) admit(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, d.cookie(r, d.seal(d.now().Add(sessionLength)), int(sessionLength/time.Second)))
}

func (d *doors) dismiss(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, d.cookie(r, "", -1))
}

func (d *doors) cookie(r *http.Request, value string, age int) *http.Cookie {
	return &http.Cookie{
		Name: d.cookieName(r), Value: value, Path: "/", MaxAge: age,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: d.tls(r),
	}
}

// session reports whether the request carries a cookie that was sealed with the token there is now, and that has not ended.
func (d *doors) session(r *http.Request) bool {
	k, err := r.Cookie(d.cookieName(r))
	if err != nil {
		return false
	}
	raw, err := base64.RawURLEncoding.DecodeString(k.Value)
	if err != nil || len(raw) != 8+sha256.Size {
		return false
	}
	token := d.token()
	end := time.Unix(int64(binary.BigEndian.Uint64(raw)), 0)
	return token != "" && hmac.Equal(raw[8:], d.mac(token, raw[:8])) && d.now().Before(end)
}

func (d *doors) seal(end time.Time) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(end.Unix()))
	return base64.RawURLEncoding.EncodeToString(append(b, d.mac(d.token(), b)...))
}

// stretch makes guessing a token from a stolen cookie expensive, should the token be a word somebody made up.
const stretch = 100_000

// mac seals with a key that comes from the token alone: a session holds on every replica behind a load balancer and after a
// restart, and ends when the token is changed.
func (d *doors) mac(token string, b []byte) []byte {
	m := hmac.New(sha256.New, d.sealKey(token))
	m.Write(b)
	return m.Sum(nil)
}

func (d *doors) sealKey(token string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.key == nil || d.of != token {
		key, err := pbkdf2.Key(sha256.New, token, []byte("jmld console session"), stretch, sha256.Size)
		if err != nil { // only for a key length that SHA-256 cannot fill, or a hash that FIPS mode forbids
			panic(err)
		}
		d.key, d.of = key, token
	}
	return d.key
}

// local returns a path of this console to go to after a form, or fallback: never another host.
func local(path, fallback string) string {
	u, err := url.Parse(path)
	if err != nil || u.Scheme != "" || u.Host != "" || u.Opaque != "" || !strings.HasPrefix(path, "/") ||
		strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n\t") {
		return fallback
	}
	return path
}
