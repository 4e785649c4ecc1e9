package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"jmld/model"
)

// Load reads and checks the file. A file with mistakes gives *Mistakes; one that cannot be read another error. A secret
// or a certificate that is not there is a mistake, too.
func Load(path string) (*Config, error) {
	data, err := read(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// Inspect is Load on a machine, or for a user, that need not have the secrets and certificates: where they are not there,
// it is a warning. Commands beside a running daemon use it, and whoever checks a file before it is installed.
func Inspect(path string) (*Config, error) {
	data, err := read(path)
	if err != nil {
		return nil, err
	}
	return parseFile(path, data, true)
}

func read(path string) ([]byte, error) {
	data, err := readSome(path, maxFile)
	if err != nil {
		return nil, model.Errorf(model.CodeConfig, "read configuration: %w", err)
	}
	return data, nil
}

// Parse checks data as if it were the file called name; other files it names are relative to name's directory.
func Parse(name string, data []byte) (*Config, error) { return parseFile(name, data, false) }

// ParseElsewhere is Parse on a machine that need not have the secrets and certificates.
func ParseElsewhere(name string, data []byte) (*Config, error) { return parseFile(name, data, true) }

func parseFile(name string, data []byte, elsewhere bool) (*Config, error) {
	c := &Config{}
	abs, err := filepath.Abs(name)
	if err != nil {
		return nil, model.Errorf(model.CodeConfig, "the place of %s: %w", name, err)
	}
	c.Path = abs
	text := strings.ReplaceAll(strings.TrimPrefix(string(data), "\uFEFF"), "\r\n", "\n")
	r := &report{file: name, lines: strings.Split(text, "\n")}
	if len(data) > maxFile {
		r.mistake(place{}, "the file is larger than %s; expected less", Size(maxFile))
	} else if tree := parse(r, text); tree != nil {
		d := newDecoder(r, filepath.Dir(abs))
		d.elsewhere = elsewhere
		d.value(tree, reflect.ValueOf(c).Elem(), nil, "")
		check(d, c)
	}
	mistakes, warnings := r.finish()
	c.Warnings = warnings
	if len(mistakes) > 0 {
		m := &Mistakes{List: mistakes}
		if c.compiled != nil && !slices.ContainsFunc(mistakes, func(m Mistake) bool { return !m.Lint }) {
			m.config = c
		}
		return nil, m
	}
	return c, nil
}

// IsMistakes returns the mistakes in err's chain.
func IsMistakes(err error) (*Mistakes, bool) {
	var m *Mistakes
	ok := errors.As(err, &m)
	return m, ok
}

// Summary is the last line after the mistakes: "3 mistakes in config.yaml".
func (e *Mistakes) Summary() string {
	if len(e.List) == 0 {
		return "no mistakes"
	}
	if len(e.List) == 1 {
		return "1 mistake in " + e.List[0].File
	}
	return fmt.Sprintf("%d mistakes in %s", len(e.List), e.List[0].File)
}
