package scim

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// An access token is
//
//	jmld_at_ + base64url( version 1 | expiry, seconds, 8 bytes | random, 8 bytes | HMAC-SHA256, 32 bytes )
//
// with a key derived from the client's secret, the source and the client id. Every replica can check it, nothing is
// stored, another source does not take it, and it ends with the secret.
const (
	accessPrefix    = ourPrefix + "at_"
	accessVersion   = 1
	accessHead      = 1 + 8 + 8
	defaultLifetime = time.Hour
)

func (s *source) accessKey(secret string) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "jmld access token 1\x00"+s.Name+"\x00"+s.OAuth.ClientID, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive the key of access tokens: %w", err)
	}
	return key, nil
}

func accessMAC(key, head []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(head) //nolint:errcheck // never fails
	return mac.Sum(nil)
}

// issue makes an access token. The first secret is the newest.
func (s *source) issue(now time.Time) (string, error) {
	secrets, err := s.clientSecrets.get()
	if err != nil {
		return "", err
	}
	key, err := s.accessKey(secrets[0])
	if err != nil {
		return "", err
	}
	head := make([]byte, accessHead)
	head[0] = accessVersion
	binary.BigEndian.PutUint64(head[1:9], uint64(now.Add(s.OAuth.Lifetime).Unix())) //nolint:gosec // after 1970
	if _, err := rand.Read(head[9:]); err != nil {
		return "", err
	}
	return accessPrefix + base64.RawURLEncoding.EncodeToString(append(head, accessMAC(key, head)...)), nil
}

// access checks an access token of this source.
func (s *source) access(text string) (client, error) {
	if s.OAuth == nil {
		return client{}, unauthorised("invalid_token", "The token is not valid.")
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimPrefix(text, accessPrefix))
	if err != nil || len(b) != accessHead+sha256.Size || b[0] != accessVersion {
		return client{}, unauthorised("invalid_token", "The token is not valid.")
	}
	secrets, err := s.clientSecrets.get()
	if err != nil {
		return client{}, err
	}
	var key []byte // of the secret that it was made with
	for _, secret := range secrets {
		k, err := s.accessKey(secret)
		if err != nil {
			return client{}, err
		}
		if hmac.Equal(b[accessHead:], accessMAC(k, b[:accessHead])) {
			key = k
		}
	}
	now, expires := s.tokens.now(), time.Unix(int64(binary.BigEndian.Uint64(b[1:9])), 0) //nolint:gosec // ours, or the MAC is wrong
	switch {
	case key == nil:
		return client{}, unauthorised("invalid_token", "The token is not valid.")
	case !now.Before(expires), expires.Sub(now) > s.OAuth.Lifetime+time.Minute: // the lifetime may have become shorter
		return client{}, unauthorised("invalid_token", "The token has expired.")
	}
	seal := sha256.Sum256(append([]byte("jmld cursor\x00"), key...))
	return newClient(s.Name, viaOAuth, s.OAuth.ClientID, seal[:]), nil
}
