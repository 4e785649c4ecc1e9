package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"
)

//go:embed demo/config.yaml
var demoConfig string

// demoListen is where the demo listens unless it is told otherwise.
const demoListen = "127.0.0.1:8484"

// keptMark is on the lines of the demo's configuration that each start may write anew.
const keptMark = "# kept by jmld serve --demo: "

// demoPlaces fill in the kept lines.
type demoPlaces struct{ Listen, Console, LDAP, App string }

// writeDemoConfig makes the configuration, or brings the kept lines of the one that is there up to date.
func writeDemoConfig(file string, p demoPlaces) error {
	var b strings.Builder
	t, err := template.New("demo").Parse(demoConfig)
	if err != nil {
		return err
	}
	if err := t.Execute(&b, p); err != nil {
		return err
	}
	fresh := b.String()
	old, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return writePrivate(file, fresh)
	case err != nil:
		return err
	}
	kept := keptLines(fresh)
	var out strings.Builder
	for line := range strings.Lines(string(old)) {
		if _, mark, ok := strings.Cut(strings.TrimRight(line, "\r\n"), keptMark); ok && kept[mark] != "" {
			line = kept[mark] + "\n"
		}
		out.WriteString(line)
	}
	if out.String() == string(old) {
		return nil
	}
	return writePrivate(file, out.String())
}

// keptLines are the lines with the mark, by what stands after it.
func keptLines(text string) map[string]string {
	kept := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if _, mark, ok := strings.Cut(line, keptMark); ok {
			kept[mark] = line
		}
	}
	return kept
}

// keptAddress finds the address in the kept line of an earlier start, "" when there is none.
func keptAddress(file, mark string) string {
	text, err := os.ReadFile(file)
	if err != nil { // the first start; anything else is found when the file is written
		return ""
	}
	m := regexp.MustCompile(`[\w.\-\[\]:]*:\d+`).FindString(strings.Split(keptLines(string(text))[mark], keptMark)[0])
	return strings.TrimPrefix(m, "//")
}

// listenAgain takes the loopback port of an earlier start, so that the configuration stays true, or a free one.
func listenAgain(address string) (net.Listener, error) {
	if address != "" {
		if l, err := net.Listen("tcp", address); err == nil {
			return l, nil
		}
	}
	return net.Listen("tcp", "127.0.0.1:0")
}

// writePrivate replaces a file as a whole; only its owner can read it.
func writePrivate(file, text string) (err error) {
	if old, rerr := os.ReadFile(file); rerr == nil && string(old) == text {
		return os.Chmod(file, 0o600)
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".new-*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if _, err = f.WriteString(text); err != nil {
		return errors.Join(err, f.Close())
	}
	if err = f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), file); err != nil {
		return fmt.Errorf("replace %s: %w", file, err)
	}
	return nil
}
