package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxSecret bounds a secret file: a private key chain fits, a log file named by mistake does not.
const maxSecret = 64 << 10

// hidden is what a secret looks like in any output.
const hidden = "[secret]"

// Secret says where a secret is. The secret itself is read by Value, each time, so that a rotated one is used, and it
// does not stay in memory. It has no form in which it could be printed.
type Secret struct {
	file, env string
}

// SecretFile is a secret in a file, for tests and for the demo's configuration.
func SecretFile(path string) Secret { return Secret{file: path} }

// SecretEnv is a secret in an environment variable.
func SecretEnv(name string) Secret { return Secret{env: name} }

// IsSet reports whether the configuration names a secret.
func (s Secret) IsSet() bool { return s.file != "" || s.env != "" }

// Where says where the secret is, for messages: "file /run/secrets/db", "environment variable NAME".
func (s Secret) Where() string {
	switch {
	case s.file != "":
		return "file " + s.file
	case s.env != "":
		return "environment variable " + s.env
	}
	return "nowhere"
}

// Value reads the secret. One newline at its end is not part of it. An empty secret is an error.
func (s Secret) Value() (string, error) {
	var v string
	switch {
	case s.file != "":
		data, err := readSome(s.file, maxSecret)
		if err != nil {
			return "", fmt.Errorf("secret: %w", err)
		}
		v = string(data)
	case s.env != "":
		found := false
		if v, found = os.LookupEnv(s.env); !found {
			return "", fmt.Errorf("secret: %s is not set", s.Where())
		}
	default:
		return "", errors.New("secret: none is configured")
	}
	v = strings.TrimSuffix(v, "\n")
	v = strings.TrimSuffix(v, "\r")
	if v == "" {
		return "", fmt.Errorf("secret: %s is empty", s.Where())
	}
	return v, nil
}

// What clients show us: with fewer characters it could be guessed, and more than a few at once are no rotation.
const (
	minCredential  = 16
	maxCredentials = 4
)

// Credentials reads a secret that clients show us. While one is being replaced it has two lines, the new one first, and both
// are valid.
func (s Secret) Credentials() ([]string, error) {
	v, err := s.Value()
	if err != nil {
		return nil, err
	}
	list := strings.Split(strings.ReplaceAll(v, "\r\n", "\n"), "\n")
	if len(list) > maxCredentials {
		return nil, fmt.Errorf("secret: %s has more than %d lines", s.Where(), maxCredentials)
	}
	for _, one := range list {
		if len(one) < minCredential {
			return nil, fmt.Errorf("secret: %s has a line of less than %d characters", s.Where(), minCredential)
		}
	}
	return list, nil
}

// readSome reads a file of at most limit bytes.
func readSome(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	if st, err := f.Stat(); err == nil && st.IsDir() {
		return nil, fmt.Errorf("%s is a directory", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s is larger than %s", path, Size(limit))
	}
	return data, nil
}

// String and its companions print no secret, whatever the verb.
func (Secret) String() string { return hidden }

// GoString is for %#v.
func (Secret) GoString() string { return hidden }

// Format is for every other verb.
func (Secret) Format(w fmt.State, _ rune) { io.WriteString(w, hidden) } //nolint:errcheck // fmt's own writer

// MarshalText is for JSON, YAML and XML.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// MarshalJSON is for JSON in maps and interfaces.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + hidden + `"`), nil }
