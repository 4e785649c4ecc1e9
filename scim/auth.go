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
	"sync/atomic"
	"time"

	elimity "github.com/elimity-com/scim/errors"
	"go.uber.org/zap"

	"jmld/model"
)

// How old what is known about tokens may be.
const (
	tokensFresh  = 250 * time.Millisecond // a revocation takes effect within this
	tokensMiss   = 20 * time.Millisecond  // an unknown token is looked up again, but not more often
	tokensUsable = 10 * time.Second       // while the store does not answer; then nobody is let in
	tokensQuery  = 2 * time.Second
	touchEvery   = time.Minute
	warnBefore   = 14 * 24 * time.Hour
	warnEvery    = 24 * time.Hour
)

// admit lets a client in that shows a valid token of the source. Somebody without one learns nothing: not even which
// sources there are.
func (q *request) admit(name string) error {
	secret, ok := bearer(q.r.Header.Get("Authorization"))
	if !ok {
		return unauthorised("", "A bearer token is needed.")
	}
	hash := sha256.Sum256([]byte(secret))
	src := q.h.sources[name]
	if src == nil {
		for _, other := range q.h.sources {
			if _, err := other.tokens.find(q.r.Context(), hash[:]); err == nil {
				return notFound("There is no such source.")
			}
		}
		return unauthorised("invalid_token", "The token is not valid.")
	}
	t, err := src.tokens.find(q.r.Context(), hash[:])
	if err != nil {
		return err
	}
	q.source, q.token = src, t
	return nil
}

// bearer reads the credentials of RFC 6750 §2.1.
func bearer(header string) (secret string, ok bool) {
	scheme, secret, _ := strings.Cut(header, " ")
	secret = strings.TrimSpace(secret)
	return secret, strings.EqualFold(scheme, "Bearer") && secret != ""
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

// tokenTable holds the tokens of one source for a moment, so that a request costs no query for them.
type tokenTable struct {
	source string
	store  Tokens
	now    func() time.Time
	log    *zap.Logger

	current atomic.Pointer[tokenList]

	refreshing sync.Mutex
	failedAt   time.Time            // by refreshing
	warned     map[string]time.Time // by refreshing

	touching sync.Mutex
	touched  map[string]time.Time // by touching
}

type tokenList struct {
	tokens []model.Token
	at     time.Time
}

// find returns the valid token with the hash, or a refusal.
func (t *tokenTable) find(ctx context.Context, hash []byte) (model.Token, error) {
	list, err := t.list(ctx, tokensFresh)
	if err != nil {
		return model.Token{}, err
	}
	token, ok := list.find(hash)
	if !ok { // it may have been made a moment ago
		if list, err = t.list(ctx, tokensMiss); err != nil {
			return model.Token{}, err
		}
		token, ok = list.find(hash)
	}
	switch now := t.now(); {
	case !ok:
		return model.Token{}, unauthorised("invalid_token", "The token is not valid.")
	case token.RevokedAt != nil:
		return model.Token{}, unauthorised("invalid_token", "The token was revoked.")
	case token.ExpiresAt != nil && !now.Before(*token.ExpiresAt):
		return model.Token{}, unauthorised("invalid_token", "The token has expired.")
	}
	return token, nil
}

// find compares with every token, so that the time it takes does not tell which one is nearly right.
func (l *tokenList) find(hash []byte) (model.Token, bool) {
	found := -1
	for i := range l.tokens {
		if subtle.ConstantTimeCompare(l.tokens[i].Hash, hash) == 1 {
			found = i
		}
	}
	if found < 0 {
		return model.Token{}, false
	}
	return l.tokens[found], true
}

// list returns the tokens as they were at most age ago. While the store does not answer, an older list serves for
// tokensUsable; after that the answer is 503, because a revocation could not be seen.
func (t *tokenTable) list(ctx context.Context, age time.Duration) (*tokenList, error) {
	list := t.current.Load()
	if list != nil && t.now().Sub(list.at) <= age {
		return list, nil
	}
	if list == nil || age < tokensFresh || t.now().Sub(list.at) > tokensUsable {
		t.refreshing.Lock()
	} else if !t.refreshing.TryLock() {
		return list, nil // somebody is at it
	}
	defer t.refreshing.Unlock()
	now := t.now()
	if list = t.current.Load(); list != nil && now.Sub(list.at) <= age {
		return list, nil
	}
	err := errors.New("it failed a moment ago")
	if t.failedAt.IsZero() || now.Sub(t.failedAt) > tokensFresh {
		var tokens []model.Token
		// The refresh serves other requests, too: this client's leaving must not end it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tokensQuery)
		defer cancel()
		if tokens, err = t.store.Tokens(ctx, t.source); err == nil {
			t.failedAt = time.Time{}
			fresh := &tokenList{tokens: tokens, at: now}
			t.current.Store(fresh)
			t.warn(fresh)
			return fresh, nil
		}
		t.failedAt = t.now()
		t.log.Warn("scim tokens cannot be read", zap.String(model.FieldSource, t.source), zap.Error(err))
	}
	if list != nil && age >= tokensFresh && t.now().Sub(list.at) <= tokensUsable {
		return list, nil
	}
	return nil, fmt.Errorf("read tokens of source %s: %w: %w", t.source, model.ErrUnavailable, err)
}

// warn says when a token will stop working: a client that is locked out is often noticed weeks later.
func (t *tokenTable) warn(list *tokenList) {
	for i := range list.tokens {
		token := &list.tokens[i]
		if token.ExpiresAt == nil || token.RevokedAt != nil {
			continue
		}
		left := token.ExpiresAt.Sub(list.at)
		if left <= 0 || left > warnBefore || list.at.Sub(t.warned[token.ID]) < warnEvery {
			continue
		}
		t.warned[token.ID] = list.at
		t.log.Warn("scim token expires soon", zap.String(model.FieldSource, t.source), zap.String(model.FieldToken, token.Name),
			zap.Time("expires", *token.ExpiresAt))
	}
}

// touch records that the token was used, at most once a minute. It is for people to see; that it fails is only logged.
func (t *tokenTable) touch(ctx context.Context, token model.Token) {
	now := t.now()
	t.touching.Lock()
	due := now.Sub(t.touched[token.ID]) >= touchEvery && (token.LastUsed == nil || now.Sub(*token.LastUsed) >= touchEvery)
	if due {
		t.touched[token.ID] = now
	}
	t.touching.Unlock()
	if !due {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := t.store.TouchTokens(ctx, map[string]time.Time{token.ID: now.UTC()}); err != nil {
		t.log.Warn("scim token's last use cannot be stored", zap.String(model.FieldSource, t.source), zap.Error(err))
	}
}
