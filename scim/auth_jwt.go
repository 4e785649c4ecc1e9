package scim

import (
	"context"
	"errors"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	maxJWT      = 12 << 10
	jwtLeeway   = time.Minute
	jwtLifetime = 25 * time.Hour // identity providers give an hour to a day; what is valid for years is no such token
	maxTries    = 8              // keys tried for a token that does not name its key
)

// issued checks a token that the configured identity provider signed: RS256 or ES256, with issuer, audience and subject
// as configured, and a time at which it ends (RFC 7523 §3).
func (s *source) issued(ctx context.Context, text string) (client, error) {
	wrong := func(detail string) (client, error) { return client{}, unauthorised("invalid_token", detail) }
	if len(text) > maxJWT {
		return wrong("The token is too long.")
	}
	token, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if err != nil || len(token.Headers) != 1 {
		return wrong("The token is not a JWT signed with RS256 or ES256.")
	}
	head := token.Headers[0]
	keys, err := s.keys.find(ctx, head.KeyID)
	if err != nil {
		return client{}, err
	}
	var claims jwt.Claims
	verified := false
	for i, key := range keys {
		if i == maxTries || verified {
			break
		}
		if key.Algorithm == "" || key.Algorithm == head.Algorithm {
			verified = token.Claims(key.Key, &claims) == nil
		}
	}
	if !verified {
		return wrong("The token is not signed with a key of the issuer.")
	}
	now := s.tokens.now()
	err = claims.ValidateWithLeeway(jwt.Expected{
		Issuer: s.JWT.Issuer, Subject: s.JWT.Subject, AnyAudience: jwt.Audience{s.JWT.Audience}, Time: now,
	}, jwtLeeway)
	switch {
	case errors.Is(err, jwt.ErrInvalidIssuer):
		return wrong("The token's issuer (iss) is another one.")
	case errors.Is(err, jwt.ErrInvalidAudience):
		return wrong("The token's audience (aud) is another one.")
	case errors.Is(err, jwt.ErrInvalidSubject):
		return wrong("The token's subject (sub) is another one.")
	case claims.Expiry == nil:
		return wrong("The token has no end (exp).")
	case errors.Is(err, jwt.ErrExpired):
		return wrong("The token has expired.")
	case claims.Expiry.Time().Sub(now) > jwtLifetime:
		return wrong("The token is valid for too long.")
	case err != nil:
		return wrong("The token is not valid yet.")
	}
	return newClient(s.Name, viaJWT, s.JWT.Subject, nil), nil
}
