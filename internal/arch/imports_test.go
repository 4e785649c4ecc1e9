package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// listed is what `go list -json` says about one package.
type listed struct {
	ImportPath string
	Imports    []string
	Deps       []string
	Standard   bool
}

// level is one line of the picture in README.md.
type level struct {
	rank  int
	name  string
	rooms []string // "scim", "target/*"
}

// TestImportsGoDown compares `go list` with the picture in README.md: a package imports only from levels below its own;
// rooms of the core may also import each other, edges never do.
func TestImportsGoDown(t *testing.T) {
	t.Parallel()
	levels := picture(t)
	packages := goList(t)
	for _, p := range packages {
		own, room, ok := place(levels, p.ImportPath)
		if !ok {
			t.Errorf("%s has no place in the picture in README.md", p.ImportPath)
			continue
		}
		for _, imported := range p.Imports {
			if imported != "jmld" && !strings.HasPrefix(imported, "jmld/") {
				continue
			}
			other, otherRoom, ok := place(levels, imported)
			switch {
			case !ok:
				t.Errorf("%s imports %s, which has no place in the picture in README.md", p.ImportPath, imported)
			case otherRoom == room: // a package and what it keeps below itself: ldapsync and ldapsync/wire
			case other.name == "core" && own.name == "core":
			case other.rank >= own.rank:
				t.Errorf("%s (%s) imports %s (%s): imports go down only", p.ImportPath, own.name, imported, other.name)
			case own.name == "aside" && other.name != "nouns":
				t.Errorf("%s stands aside of the picture and imports %s: nouns at most", p.ImportPath, imported)
			}
		}
	}
}

// TestModelNeedsOnlyTheStandardLibrary holds for everything behind its imports too.
func TestModelNeedsOnlyTheStandardLibrary(t *testing.T) {
	t.Parallel()
	packages := goList(t, "-deps")
	byPath := map[string]listed{}
	for _, p := range packages {
		byPath[p.ImportPath] = p
	}
	m, ok := byPath["jmld/model"]
	if !ok {
		t.Fatal("go list does not know jmld/model")
	}
	for _, d := range m.Deps {
		if !byPath[d].Standard {
			t.Errorf("jmld/model depends on %s", d)
		}
	}
}

// TestCoreIsPure: values in, values out. What the core may not do, it may not import.
func TestCoreIsPure(t *testing.T) {
	t.Parallel()
	impure := []string{
		"context", "crypto/rand", "database/sql", "io/fs", "io/ioutil", "log", "log/slog", "math/rand",
		"math/rand/v2", "net", "net/http", "os", "os/exec", "os/signal", "sync", "syscall", "go.uber.org/zap", "gorm.io/gorm",
	}
	for _, p := range goList(t) {
		if p.ImportPath != "jmld/jml" && p.ImportPath != "jmld/jml/policy" && p.ImportPath != "jmld/jml/entry" && p.ImportPath != "jmld/jml/access" && p.ImportPath != "jmld/jml/trial" {
			continue
		}
		for _, i := range p.Imports {
			if slices.Contains(impure, i) {
				t.Errorf("%s imports %s: the core has no context, clock, randomness, logger or I/O", p.ImportPath, i)
			}
		}
	}
}

// goList runs in the module's root over all its packages.
func goList(t *testing.T, flags ...string) []listed {
	t.Helper()
	args := append([]string{"list"}, flags...)
	args = append(args, "-json=ImportPath,Imports,Deps,Standard", "./...")
	cmd := exec.Command("go", args...)
	cmd.Dir = root(t)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	var packages []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	return packages
}

// picture reads the levels from README.md: the block that begins with "4 wiring".
func picture(t *testing.T) []level {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join(root(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var levels []level
	for line := range strings.Lines(string(readme)) {
		words := strings.Fields(line)
		if len(words) < 3 || len(words[0]) != 1 || words[0] < "0" || words[0] > "9" || !strings.HasPrefix(line, " ") {
			continue
		}
		levels = append(levels, level{rank: int(words[0][0] - '0'), name: words[1], rooms: words[2:]})
	}
	if len(levels) < 5 {
		t.Fatalf("README.md has no picture of the imports: %v", levels)
	}
	return levels
}

// place finds the level of a package and the room in it: "target/scimapp" is in the room "target/scimapp" of "target/*".
func place(levels []level, importPath string) (own level, room string, ok bool) {
	path := strings.TrimPrefix(importPath, "jmld/")
	best := -1
	for _, l := range levels {
		for _, r := range l.rooms {
			name := r
			if parent, wild := strings.CutSuffix(r, "/*"); wild {
				rest, below := strings.CutPrefix(path, parent+"/")
				if !below {
					continue
				}
				first, _, _ := strings.Cut(rest, "/")
				name = parent + "/" + first
			}
			if (path == name || strings.HasPrefix(path, name+"/")) && len(name) > best {
				own, room, ok, best = l, name, true, len(name)
			}
		}
	}
	return own, room, ok
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
