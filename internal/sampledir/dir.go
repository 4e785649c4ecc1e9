package sampledir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// The names of the sample.
const (
	Base        = "dc=example,dc=org"
	PeopleBase  = "ou=people," + Base
	GroupsBase  = "ou=groups," + Base
	ReaderDN    = "cn=reader,ou=services," + Base // may bind and read; its password stands in the file
	LeavesLater = "leaves after the first read"   // the description of people who do
)

// Dir is a directory kept in an LDIF file.
type Dir struct {
	// Report is told of errors that no client sees; set it before Serve. It may be nil.
	Report func(error)

	path string

	mu      sync.Mutex
	tree    *tree
	broken  error // the file as it is now cannot be used
	changed time.Time
	size    int64
}

// Open loads the file, and makes it with about sixty invented people when it is missing.
func Open(path string) (*Dir, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		text, err := sample()
		if err != nil {
			return nil, err
		}
		if err := replaceFile(path, text); err != nil {
			return nil, fmt.Errorf("make the sample directory: %w", err)
		}
	}
	d := &Dir{path: path}
	if _, err := d.current(); err != nil {
		return nil, err
	}
	return d, nil
}

// Password is what ReaderDN binds with now.
func (d *Dir) Password() (string, error) {
	t, err := d.current()
	if err != nil {
		return "", err
	}
	key, err := normalDN(ReaderDN)
	if err != nil {
		return "", err
	}
	if e := t.byKey[key]; e != nil && len(e.values("userPassword")) > 0 {
		return e.values("userPassword")[0], nil
	}
	return "", fmt.Errorf("%s: %s has no userPassword", d.path, ReaderDN)
}

// current returns the content of the file, reading it again when it changed. A file that cannot be used is an error
// until it is mended.
func (d *Dir) current() (*tree, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.load()
}

// load needs mu.
func (d *Dir) load() (*tree, error) {
	info, err := os.Stat(d.path)
	if err != nil {
		return nil, err
	}
	if d.tree != nil && info.ModTime().Equal(d.changed) && info.Size() == d.size {
		return d.tree, d.broken
	}
	text, err := os.ReadFile(d.path)
	if err != nil {
		return nil, err
	}
	t, err := newTree(string(text))
	if err != nil {
		err = fmt.Errorf("%s: %w", d.path, err)
		t = &tree{}
	}
	d.tree, d.broken, d.changed, d.size = t, err, info.ModTime(), info.Size()
	return t, err
}

// leave takes the leavers out of the file.
func (d *Dir) leave() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	text, err := os.ReadFile(d.path)
	if err != nil {
		return err
	}
	t, err := newTree(string(text))
	if err != nil {
		return nil // a slip of the hand that edits it: the next client is told, and the next whole read takes them out
	}
	rest, n := t.without(string(text))
	if n == 0 {
		return nil
	}
	if _, err := newTree(rest); err != nil {
		return fmt.Errorf("without the people who leave: %w", err)
	}
	return replaceFile(d.path, rest)
}

// replaceFile writes the file as a whole or not at all. It is for the owner's eyes: a password stands in it.
func replaceFile(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".directory-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already when all went well
	if _, err := f.WriteString(text); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
