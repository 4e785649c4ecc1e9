package scim

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

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
)

// warnBefore is how long before a token's end the log says so, once each.
func warnBefore() [3]time.Duration {
	const day = 24 * time.Hour
	return [...]time.Duration{day, 7 * day, 30 * day}
}

// tokenTable holds the tokens of one source for a moment, so that a request costs no query for them.
type tokenTable struct {
	source string
	store  Tokens
	now    func() time.Time
	log    *zap.Logger

	current atomic.Pointer[tokenList]

	refreshing sync.Mutex
	failedAt   time.Time                // by refreshing
	warned     map[string]time.Duration // by refreshing: how long before its end it was said last

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

// warn says when a token will stop working, 30, 7 and 1 days before: a client that is locked out is often noticed weeks
// later. After a restart the last of them is said again.
func (t *tokenTable) warn(list *tokenList) {
	for i := range list.tokens {
		token := &list.tokens[i]
		if token.ExpiresAt == nil || token.RevokedAt != nil {
			continue
		}
		left := token.ExpiresAt.Sub(list.at)
		if left <= 0 {
			continue
		}
		for _, before := range warnBefore() {
			if left > before {
				continue
			}
			if said, ok := t.warned[token.ID]; !ok || said > before {
				t.warned[token.ID] = before
				t.log.Warn("scim token expires soon", zap.String(model.FieldSource, t.source), zap.String(model.FieldToken, token.Name),
					zap.Time("expires", *token.ExpiresAt))
			}
			break
		}
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
