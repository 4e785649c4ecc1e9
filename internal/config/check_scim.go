package config

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"
	"unicode"
)

// checkSCIMSource is about how clients of a source show who they are.
func (d *decoder) checkSCIMSource(c *Config, s *SCIMSource, at route) {
	if d.has(at.with("networks")) && len(s.Networks) == 0 {
		d.wrong(at.with("networks"), "no networks, so that nobody could push; expected at least one, or leave the key out")
	}
	d.checkBounds(&s.Limits, at.with("limits"))
	if s.Basic != nil {
		if strings.Contains(s.Basic.User, ":") {
			d.wrong(at.with("basic", "user"), "a user name with a colon cannot be sent; expected one without") // RFC 7617 §2
		}
		d.checkCredentials(s.Basic.Password, at.with("basic", "password"))
	}
	if s.OAuth != nil {
		d.checkOAuth(s.OAuth, at.with("oauth"))
	}
	if s.JWT != nil {
		d.checkJWT(s, at.with("jwt"))
	}
	if s.MTLS != nil {
		d.checkMTLS(c, s.MTLS, at.with("mtls"))
	}
}

// maxURL is what the listener takes of a request's head.
const maxURL = 48 << 10

func (d *decoder) checkBounds(l *SCIMLimits, at route) {
	for _, bound := range []struct {
		key  string
		size Size
	}{{"url", l.URL}, {"filter", l.Filter}} {
		if bound.size < 1<<10 || bound.size > maxURL {
			d.wrong(at.with(bound.key), "%s is out of range; expected 1KiB to 48KiB", bound.size)
		}
	}
	if l.PageSize > l.MaxPageSize {
		key := "page_size"
		if !d.has(at.with(key)) {
			key = "max_page_size"
		}
		d.wrong(at.with(key), "pages of %d are larger than the largest, %d; expected page_size to be at most max_page_size", l.PageSize, l.MaxPageSize)
	}
}

func (d *decoder) checkCredentials(s Secret, at route) {
	if !s.IsSet() {
		return
	}
	if _, err := s.Credentials(); err != nil {
		d.absent(at, "%s; expected %d characters or more, one secret in a line", err, minCredential)
	}
}

func (d *decoder) checkOAuth(o *SCIMOAuth, at route) {
	if strings.ContainsFunc(o.ClientID, func(c rune) bool { return c > unicode.MaxASCII || !unicode.IsPrint(c) }) { // RFC 6749 §A.1
		d.wrong(at.with("client_id"), "characters that cannot be sent; expected printable ASCII")
	}
	if l := o.Lifetime.Std(); l < time.Minute || l > 24*time.Hour {
		d.wrong(at.with("lifetime"), "the lifetime %s is out of range; expected 1m to 24h", o.Lifetime)
	}
	d.checkCredentials(o.Secret, at.with("client_secret"))
}

func (d *decoder) checkJWT(s *SCIMSource, at route) {
	if s.OAuth == nil && !s.JWT.Bearer {
		d.mistake(d.keyPlace(at), "nothing takes these tokens; expected bearer: true, or oauth: beside jwt for the token endpoint")
	}
	k, where := &s.JWT.JWKS, at.with("jwks")
	d.checkOne(where, "url", "file")
	if k.File != "" {
		d.checkKeys(k.File, where.with("file"))
		if k.CAFile != "" {
			d.wrong(where.with("ca_file"), "ca_file has no meaning for a file; expected it with url only")
		}
	}
	if k.URL == "" {
		return
	}
	u, ok := d.httpURL(where.with("url"), k.URL)
	switch {
	case !ok:
		return
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		d.wrong(where.with("url"), "keys over plain http could be anybody's; expected https://")
	case u.Scheme == "http" && k.CAFile != "":
		d.wrong(where.with("ca_file"), "ca_file has no meaning for http; expected an https:// url")
	}
	d.checkCA(k.CAFile, where.with("ca_file"))
}

func (d *decoder) checkKeys(file Path, at route) {
	text, err := readSome(string(file), maxPEM)
	if err != nil {
		d.absent(at, "%s; expected a JWK set, a JSON file", err)
		return
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(text, &set) != nil || len(set.Keys) == 0 {
		d.wrong(at, "no keys in %s; expected a JWK set, a JSON file", file)
	}
}

func (d *decoder) checkMTLS(c *Config, m *SCIMMTLS, at route) {
	if c.Listen.TLS == nil || c.Listen.TLS.ClientCA == "" {
		d.mistake(d.keyPlace(at), "the listener asks no client for a certificate; expected client_ca_file in listen.tls")
	}
	if m.Subject == "" && m.SAN == "" && len(m.Fingerprints) == 0 {
		d.mistake(d.keyPlace(at), "every certificate of these authorities would do; expected at least one of subject, san, fingerprints")
	}
	for i, f := range m.Fingerprints {
		f = strings.ToLower(strings.ReplaceAll(f, ":", ""))
		if b, err := hex.DecodeString(f); err != nil || len(b) != 32 {
			d.wrong(at.with("fingerprints", i), "not a fingerprint; expected the SHA-256 of a certificate, 64 hexadecimal digits")
		}
		m.Fingerprints[i] = f
	}
}
