package scim

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	elimity "github.com/elimity-com/scim/errors"

	"jmld/model"
)

// How a client may show who it is. Part of the audit's actor.
const (
	viaToken       = "token"
	viaBasic       = "user"
	viaOAuth       = "oauth client"
	viaJWT         = "identity provider's client"
	viaCertificate = "certificate"
)

// client is who was let in. A stored token stands for itself; the others have one made for the request, whose hash seals
// cursors like that of a stored one.
type client struct {
	via   string
	token model.Token
}

// newClient is a client that has no stored token.
func newClient(source, via, name string, key []byte) client {
	id := via + ":" + name
	if key == nil {
		sum := sha256.Sum256([]byte("jmld client\x00" + source + "\x00" + id))
		key = sum[:]
	}
	return client{via: via, token: model.Token{ID: id, Source: source, Name: name, Hash: key}}
}

// admit lets a client in that shows valid credentials of the source. Somebody without any learns nothing: not even which
// sources there are, as far as these take bearer tokens only.
func (q *request) admit(name string) error {
	src := q.h.sources[name]
	if src == nil {
		return q.admitNowhere()
	}
	c, err := src.authenticate(q.r)
	if err != nil {
		return src.challenged(err)
	}
	q.source, q.token, q.via = src, c.token, c.via
	q.notes.strict = src.Strict
	if strings.HasPrefix(q.r.Header.Get("Authorization"), ourPrefix) {
		q.notes.syntax("Authorization: token without its scheme read as a bearer token")
	}
	return nil
}

// admitNowhere answers for a source that does not exist: whoever is let in elsewhere may know that it does not.
func (q *request) admitNowhere() error {
	scheme, secret := authorization(q.r.Header)
	if scheme != "bearer" {
		return unauthorised("", "Credentials are needed.")
	}
	for _, other := range q.h.sources {
		if _, err := other.ours(q.r.Context(), secret); err == nil {
			return notFound("There is no such source.")
		}
	}
	return unauthorised("invalid_token", "The token is not valid.")
}

// authenticate finds out who the client is, or refuses. The Authorization header decides where there is one; a client
// certificate counts without it.
func (s *source) authenticate(r *http.Request) (client, error) {
	scheme, credentials := authorization(r.Header)
	switch {
	case scheme == "bearer" && s.JWT != nil && s.JWT.Bearer && strings.Count(credentials, ".") == 2:
		return s.issued(r.Context(), credentials)
	case scheme == "bearer":
		return s.ours(r.Context(), credentials)
	case scheme == "basic" && s.Basic != nil:
		return s.user(credentials)
	case scheme == "" && s.MTLS != nil && r.TLS != nil && len(r.TLS.PeerCertificates) > 0:
		return s.certificate(r.TLS)
	}
	return client{}, unauthorised("", "Credentials are needed.")
}

// ours checks a bearer token that we made: an access token, or a stored one.
func (s *source) ours(ctx context.Context, secret string) (client, error) {
	if strings.HasPrefix(secret, accessPrefix) {
		return s.access(secret)
	}
	hash := sha256.Sum256([]byte(secret))
	t, err := s.tokens.find(ctx, hash[:])
	return client{via: viaToken, token: t}, err
}

// ourPrefix is what every token begins with that is made here.
const ourPrefix = "jmld_"

// authorization reads the header (RFC 9110 §11.6.2): the scheme in small letters, and what comes after it. Both are empty
// when there is no header; a scheme without credentials is no scheme.
func authorization(h http.Header) (scheme, credentials string) {
	header := h.Get("Authorization")
	if header == "" {
		return "", ""
	}
	if strings.HasPrefix(header, ourPrefix) { // some clients send what they are given as it is
		return "bearer", header
	}
	scheme, credentials, _ = strings.Cut(header, " ")
	if credentials = strings.TrimSpace(credentials); credentials == "" {
		return "none", ""
	}
	return strings.ToLower(scheme), credentials
}

// unauthorised is RFC 6750 §3: no error code when there were no credentials.
func unauthorised(code, detail string) error {
	challenge := `Bearer realm="scim"`
	if code != "" {
		challenge += fmt.Sprintf(`, error=%q, error_description=%q`, code, detail)
	}
	return refusal{
		ScimError: elimity.ScimError{Status: http.StatusUnauthorized, Detail: detail},
		challenge: challenge,
	}
}

// basicChallenge is RFC 7617 §2 with §2.1.
const basicChallenge = `Basic realm="scim", charset="UTF-8"`

// challenged adds the schemes that the source has beside bearer tokens.
func (s *source) challenged(err error) error {
	var r refusal
	if errors.As(err, &r) && r.Status == http.StatusUnauthorized && s.Basic != nil {
		r.also = basicChallenge
		return r
	}
	return err
}

// same compares without telling by the time it takes where the difference is, or how long the right text is.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// anyOf is same with each of the list.
func anyOf(list []string, text string) bool {
	found := false
	for _, one := range list {
		if same(one, text) {
			found = true
		}
	}
	return found
}

// secretsFresh is how old secrets may be: a replaced one stops working within this time.
const secretsFresh = time.Second

// secretCache spares reading a file for each request.
type secretCache struct {
	read   Secrets
	now    func() time.Time
	mu     sync.Mutex
	values []string
	at     time.Time
}

// get returns the secrets. While they cannot be read, the last ones serve for tokensUsable, as stored tokens do.
func (c *secretCache) get() ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	age := now.Sub(c.at)
	if c.values != nil && age <= secretsFresh {
		return c.values, nil
	}
	values, err := c.read()
	if err == nil && len(values) == 0 {
		err = errors.New("there is none")
	}
	if err == nil {
		c.values, c.at = values, now
		return values, nil
	}
	if c.values != nil && age <= tokensUsable {
		return c.values, nil
	}
	return nil, fmt.Errorf("read a source's secret: %w: %w", model.ErrUnavailable, err)
}
