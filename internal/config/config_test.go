package config_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/config"
)

//nolint:gochecknoglobals // a flag
var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// load reads a file of the corpus under a short name, so that the golden files are the same everywhere.
func load(t *testing.T, path string) (*config.Config, string) {
	t.Helper()
	c, err := config.Load(path)
	dir, absErr := filepath.Abs("testdata")
	if absErr != nil {
		t.Fatal(absErr)
	}
	if err == nil {
		return c, ""
	}
	if _, ok := config.IsMistakes(err); !ok {
		t.Fatalf("%s: %v", path, err)
	}
	return nil, strings.ReplaceAll(strings.ReplaceAll(err.Error(), dir, "DIR"), filepath.ToSlash(path), filepath.Base(path)) + "\n"
}

func corpus(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/" + dir + "/*.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("no corpus: %v", err)
	}
	return files
}

// TestMistakes compares what is said about each file of testdata/bad: every mistake, with line, column, the line itself
// and what is expected (M-45: plain connections and inline secrets are among them).
func TestMistakes(t *testing.T) {
	t.Parallel()
	for _, file := range corpus(t, "bad") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			_, got := load(t, file)
			if got == "" {
				t.Fatal("no mistake was found")
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".txt", got)
		})
	}
}

// TestMistakesShowNoSecret looks for the values of secrets that stand in the files, in whatever is said about them (M-45).
func TestMistakesShowNoSecret(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, file := range corpus(t, "bad") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(data, []byte("hunter2")) {
			continue
		}
		seen++
		if _, said := load(t, file); strings.Contains(said, "hunter2") {
			t.Errorf("%s: a secret is shown:\n%s", file, said)
		}
	}
	if seen < 3 {
		t.Errorf("only %d files have secrets in them", seen)
	}
}

// TestGood compares what is read from each file of testdata/good, with the defaults, and its warnings.
func TestGood(t *testing.T) {
	t.Parallel()
	for _, file := range corpus(t, "good") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			c, said := load(t, file)
			if said != "" {
				t.Fatal(said)
			}
			if _, err := c.Rules(); err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			for _, w := range c.Warnings {
				fmt.Fprintf(&out, "warning: %s\n", strings.ReplaceAll(w.String(), file, filepath.Base(file)))
			}
			c.Warnings = nil
			enc := json.NewEncoder(&out)
			enc.SetEscapeHTML(false)
			enc.SetIndent("", "  ")
			if err := enc.Encode(c); err != nil {
				t.Fatal(err)
			}
			dir, err := filepath.Abs("testdata")
			if err != nil {
				t.Fatal(err)
			}
			got := strings.ReplaceAll(out.String(), dir, "DIR")
			if strings.Contains(got, "token-for-tests") {
				t.Error("a secret is shown")
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".json", got)
		})
	}
}
