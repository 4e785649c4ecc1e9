package scim

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// user checks a user and password (RFC 7617 §2).
func (s *source) user(credentials string) (client, error) {
	name, password, ok := pair(credentials)
	if !ok {
		return client{}, unauthorised("", "The user or the password is wrong.")
	}
	passwords, err := s.passwords.get()
	if err != nil {
		return client{}, err
	}
	known, right := same(name, s.Basic.User), anyOf(passwords, password)
	if !known || !right {
		return client{}, unauthorised("", "The user or the password is wrong.")
	}
	key := sha256.Sum256([]byte("jmld basic\x00" + s.Name + "\x00" + password))
	return newClient(s.Name, viaBasic, name, key[:]), nil
}

// pair reads user-id and password; the password may have colons in it.
func pair(credentials string) (user, password string, ok bool) {
	text, err := base64.StdEncoding.DecodeString(credentials)
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(text), ":")
}
