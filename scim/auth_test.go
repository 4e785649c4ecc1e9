package scim_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"jmld/model"
	"jmld/scim"
)

// clock is a time under the test's control.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// watched counts what is asked of the store, and can be broken.
type watched struct {
	store   scim.Tokens
	mu      sync.Mutex
	broken  error
	lists   int
	touches int
}

func (w *watched) Tokens(ctx context.Context, source string) ([]model.Token, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lists++
	if w.broken != nil {
		return nil, w.broken
	}
	return w.store.Tokens(ctx, source)
}

func (w *watched) TouchTokens(ctx context.Context, used map[string]time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.touches++
	if w.broken != nil {
		return w.broken
	}
	return w.store.TouchTokens(ctx, used)
}

func (w *watched) set(err error) (lists, touches int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = err
	return w.lists, w.touches
}

func watchedClient(t *testing.T, log *zap.Logger) (*client, *watched, *clock) {
	t.Helper()
	w, k := &watched{}, &clock{at: time.Now()}
	c := newClient(t, sqlite(), func(o *scim.Options) {
		w.store, o.Tokens, o.Now, o.Log = o.Tokens, w, k.now, log
	})
	return c, w, k
}

func (c *client) as(t testing.TB, header, url string, status int) answer {
	t.Helper()
	a, err := c.send("GET", url, http.Header{"Authorization": {header}}, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.wellFormed(); err != nil || a.status != status {
		t.Fatalf("%q at %s: %v %s", header, url, err, a)
	}
	if challenge := a.header.Get("WWW-Authenticate"); (status == 401) != strings.HasPrefix(challenge, `Bearer realm="scim"`) {
		t.Errorf("%q: challenge %q", header, challenge)
	}
	return a
}

// R2, R3, R5: a token has to be there, valid, and of this source.
func TestOnlyAValidTokenOfTheSourceIsLetIn(t *testing.T) {
	t.Parallel()
	c := newClient(t, sqlite())
	past, future := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	c.token(t, "okta", "other", "token-okta", nil)
	c.token(t, "entra", "old", "token-expired", &past)
	c.token(t, "entra", "new", "token-valid", &future)
	c.token(t, "entra", "made here", "jmld_made-here", &future)
	gone := c.token(t, "entra", "gone", "token-revoked", nil)
	if err := c.RevokeToken(t.Context(), "entra", gone.ID); err != nil {
		t.Fatal(err)
	}
	entra, okta, none := c.host+"/scim/entra/v2/Users", c.host+"/scim/okta/v2/Users", c.host+"/scim/none/v2/Users"
	for _, url := range []string{entra, c.host + "/scim/entra/v2/ServiceProviderConfig", c.host + "/scim/entra/v2/Bulk", c.host + "/scim/entra/v9/x", none} {
		for _, header := range []string{"", "Bearer", "Bearer ", "Bearer wrong", "Basic dGVzdDp0ZXN0", secret, "Bearer " + secret + "x", "Bearer token-expired", "Bearer token-revoked", "jmld_wrong", "jmld_made-here x"} {
			c.as(t, header, url, 401)
		}
	}
	for _, header := range []string{"Bearer " + secret, "bearer  " + secret, "BEARER token-valid", "Bearer jmld_made-here", "jmld_made-here"} {
		c.as(t, header, entra, 200)
	}
	c.as(t, "Bearer token-okta", okta, 200)
	c.as(t, "Bearer token-okta", entra, 401)
	c.as(t, "Bearer "+secret, okta, 401)
	c.as(t, "Bearer "+secret, none, 404) // who is let in somewhere may know what is not there
	if a, b := c.as(t, "Bearer wrong", entra, 401), c.as(t, "Bearer wrong", none, 401); string(a.body) != string(b.body) {
		t.Errorf("the answer tells whether a source exists: %s, %s", a, b)
	}
}

// R5: a token made or revoked beside the running daemon counts at once, or within a quarter of a second.
func TestTokensTakeEffect(t *testing.T) {
	t.Parallel()
	c, w, k := watchedClient(t, nil)
	url := c.base + "/Users"
	c.as(t, "Bearer "+secret, url, 200)
	c.as(t, "Bearer fresh", url, 401)
	k.advance(30 * time.Millisecond)
	fresh := c.token(t, "entra", "fresh", "fresh", nil)
	c.as(t, "Bearer fresh", url, 200)
	before, _ := w.set(nil)
	for range 20 {
		c.as(t, "Bearer fresh", url, 200)
		c.as(t, "Bearer guess", url, 401) // guesses do not become queries
	}
	if after, _ := w.set(nil); after != before {
		t.Errorf("%d queries for tokens", after-before)
	}
	if err := c.RevokeToken(t.Context(), "entra", fresh.ID); err != nil {
		t.Fatal(err)
	}
	k.advance(251 * time.Millisecond)
	c.as(t, "Bearer fresh", url, 401)
	expires := k.now().Add(time.Second)
	c.token(t, "entra", "short", "short", &expires)
	k.advance(30 * time.Millisecond)
	c.as(t, "Bearer short", url, 200)
	k.advance(time.Second)
	c.as(t, "Bearer short", url, 401)
}

// Without the store nobody is let in for longer than a revocation may stay unseen.
func TestTokensFailClosed(t *testing.T) {
	t.Parallel()
	c, w, k := watchedClient(t, nil)
	url := c.base + "/ServiceProviderConfig"
	c.as(t, "Bearer "+secret, url, 200)
	w.set(errors.New("secret detail"))
	k.advance(9 * time.Second)
	c.as(t, "Bearer "+secret, url, 200)
	k.advance(300 * time.Millisecond)
	c.as(t, "Bearer unknown", url, 503) // it may have been made since
	k.advance(time.Second)
	a := c.as(t, "Bearer "+secret, url, 503)
	if a.header.Get("Retry-After") == "" || bytes.Contains(a.body, []byte("secret")) {
		t.Errorf("%s %v", a, a.header)
	}
	before, _ := w.set(errors.New("still"))
	for range 10 {
		c.as(t, "Bearer "+secret, url, 503)
	}
	if after, _ := w.set(nil); after != before {
		t.Errorf("%d queries while the store does not answer", after-before)
	}
	k.advance(300 * time.Millisecond)
	c.as(t, "Bearer "+secret, url, 200)
}

func TestLastUseIsWrittenOnceAMinute(t *testing.T) {
	t.Parallel()
	c, w, k := watchedClient(t, nil)
	url := c.base + "/ServiceProviderConfig"
	for range 70 {
		c.as(t, "Bearer "+secret, url, 200)
		c.as(t, "Bearer wrong", url, 401)
		k.advance(time.Second)
	}
	if _, n := w.set(nil); n != 2 {
		t.Errorf("written %d times in 70 seconds", n)
	}
	tokens, err := c.Store.Tokens(t.Context(), "entra")
	if err != nil || len(tokens) != 1 || tokens[0].LastUsed == nil || k.now().Sub(*tokens[0].LastUsed) > 11*time.Second {
		t.Errorf("%+v %v", tokens, err)
	}
}

// D-24: a token's end is announced 30, 7 and 1 days before, once each.
func TestExpiryIsAnnouncedInTheLog(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.WarnLevel)
	c, _, k := watchedClient(t, zap.New(core))
	start, ends := k.now(), k.now().Add(32*24*time.Hour)
	never := c.token(t, "entra", "revoked", "s2", &ends)
	if err := c.RevokeToken(t.Context(), "entra", never.ID); err != nil {
		t.Fatal(err)
	}
	c.token(t, "entra", "soon", "s1", &ends)
	var said []string
	for range 33 * 4 {
		c.as(t, "Bearer "+secret, c.base+"/ServiceProviderConfig", 200)
		for _, e := range logs.TakeAll() {
			said = append(said, fmt.Sprintf("day %d: %s: %v", k.now().Sub(start)/(24*time.Hour), e.Message, e.ContextMap()["token"]))
		}
		k.advance(6 * time.Hour)
	}
	if diff := cmp.Diff([]string{
		"day 2: scim token expires soon: soon", "day 25: scim token expires soon: soon", "day 31: scim token expires soon: soon",
	}, said); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
