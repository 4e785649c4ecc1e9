package scim

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/zap"

	"jmld/model"
)

// How old an issuer's keys may be, and what is read of them.
const (
	keysFresh   = 10 * time.Minute
	keysRetry   = 30 * time.Second // after a failure, or for a key that is not known, not more often
	keysUsable  = 24 * time.Hour   // while the issuer does not answer; then its tokens are not taken
	keysTimeout = 5 * time.Second
	maxKeySet   = 256 << 10
	maxKeys     = 64
	minRSA      = 2048 // bits
)

// keySet holds the keys of one issuer. They are fetched when a token needs them, by one request at a time, and not more
// often than keysRetry however many tokens name keys that do not exist.
type keySet struct {
	source string
	read   func(ctx context.Context) ([]byte, error)
	now    func() time.Time
	log    *zap.Logger

	current atomic.Pointer[keyList]
	turn    chan struct{} // holds one value: who takes it may fetch
	tried   time.Time     // by turn
}

type keyList struct {
	keys []jose.JSONWebKey
	at   time.Time
}

func newKeySet(source string, o JWKS, now func() time.Time, log *zap.Logger) *keySet {
	k := &keySet{source: source, read: o.reader(), now: now, log: log, turn: make(chan struct{}, 1)}
	k.turn <- struct{}{}
	return k
}

// find returns the keys with the id, all when it is "". None is not an error.
func (k *keySet) find(ctx context.Context, id string) ([]jose.JSONWebKey, error) {
	list := k.current.Load()
	if found := list.with(id); list.age(k.now()) <= keysFresh && len(found) > 0 {
		return found, nil
	}
	if list == nil { // there is nothing to go on with, so this waits
		select {
		case <-k.turn:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the keys of the issuer: %w", ctx.Err())
		}
	} else {
		select {
		case <-k.turn:
		default: // somebody is at it
			return k.known(id)
		}
	}
	defer func() { k.turn <- struct{}{} }()
	if now := k.now(); k.tried.IsZero() || now.Sub(k.tried) >= keysRetry {
		k.tried = now
		k.refresh(ctx)
	}
	return k.known(id)
}

func (k *keySet) known(id string) ([]jose.JSONWebKey, error) {
	list := k.current.Load()
	if list.age(k.now()) > keysUsable {
		return nil, fmt.Errorf("keys of the issuer of source %s: %w", k.source, model.ErrUnavailable)
	}
	return list.with(id), nil
}

func (k *keySet) refresh(ctx context.Context) {
	// The keys serve other requests, too: this client's leaving must not end it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keysTimeout)
	defer cancel()
	text, err := k.read(ctx)
	if err == nil {
		var keys []jose.JSONWebKey
		if keys, err = parseKeys(text); err == nil {
			k.current.Store(&keyList{keys: keys, at: k.now()})
			return
		}
	}
	k.log.Warn("keys of the token issuer cannot be read", zap.String(model.FieldSource, k.source), zap.Error(err))
}

// parseKeys keeps the keys that signatures can be checked with.
func parseKeys(text []byte) ([]jose.JSONWebKey, error) {
	var raw struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, errors.New("not a JWK set")
	}
	if len(raw.Keys) > maxKeys {
		return nil, fmt.Errorf("more than %d keys", maxKeys)
	}
	var keys []jose.JSONWebKey
	for _, one := range raw.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(one) == nil && usable(&key) { // of another kind: not for us (RFC 7517 §5)
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("no RSA key of 2048 bits or P-256 key for signatures in the JWK set")
	}
	return keys, nil
}

func usable(key *jose.JSONWebKey) bool {
	if key.Use != "" && key.Use != "sig" || !key.Valid() {
		return false
	}
	switch public := key.Key.(type) {
	case *rsa.PublicKey:
		return public.N.BitLen() >= minRSA
	case *ecdsa.PublicKey:
		return public.Curve == elliptic.P256()
	}
	return false
}

func (l *keyList) age(now time.Time) time.Duration {
	if l == nil {
		return keysUsable + 1
	}
	return now.Sub(l.at)
}

func (l *keyList) with(id string) []jose.JSONWebKey {
	if l == nil {
		return nil
	}
	var out []jose.JSONWebKey
	for _, k := range l.keys {
		if id == "" || k.KeyID == id {
			out = append(out, k)
		}
	}
	return out
}

func (o JWKS) reader() func(ctx context.Context) ([]byte, error) {
	if o.URL == "" {
		return func(context.Context) ([]byte, error) {
			f, err := os.Open(o.File)
			if err != nil {
				return nil, err
			}
			defer f.Close() //nolint:errcheck // only read
			return bounded(f)
		}
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: o.CA, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: keysTimeout, ForceAttemptHTTP2: true, MaxIdleConns: 1, IdleConnTimeout: time.Minute,
		MaxResponseHeaderBytes: 64 << 10,
	}
	c := &http.Client{
		Transport: transport, Timeout: keysTimeout,
		// A redirect could lead to http, or to inside our network.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(ctx context.Context) ([]byte, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.URL, nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Accept", "application/jwk-set+json, application/json")
		resp, err := c.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close() //nolint:errcheck // only read
		if resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("status %d", resp.StatusCode)
		}
		return bounded(resp.Body)
	}
}

func bounded(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxKeySet+1))
	if err == nil && len(text) > maxKeySet {
		err = fmt.Errorf("the JWK set is larger than %d bytes", maxKeySet)
	}
	return text, err
}
