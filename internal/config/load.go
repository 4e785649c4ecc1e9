package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"

	"jmld/model"
)

// Load reads and checks the file. A file with mistakes gives *Mistakes; one that cannot be read another error.
func Load(path string) (*Config, error) {
	data, err := readSome(path, maxFile)
	if err != nil {
		return nil, model.Errorf(model.CodeConfig, "read configuration: %w", err)
	}
	return Parse(path, data)
}

// Parse checks data as if it were the file called name; other files it names are relative to name's directory.
func Parse(name string, data []byte) (*Config, error) {
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
		d.value(tree, reflect.ValueOf(c).Elem(), nil, "")
		check(d, c)
	}
	mistakes, warnings := r.finish()
	c.Warnings = warnings
	if len(mistakes) > 0 {
		return nil, &Mistakes{List: mistakes}
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
