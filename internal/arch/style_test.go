package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// TestNoInitAndNoGlobals: package level holds errors, constants, embedded files and nothing that changes.
func TestNoInitAndNoGlobals(t *testing.T) {
	t.Parallel()
	eachFile(t, func(path string, fset *token.FileSet, file *ast.File) {
		if strings.HasPrefix(filepath.ToSlash(path), "internal/testserver/") {
			return // one server for all tests of a process
		}
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.Name == "init" && d.Recv == nil {
					t.Errorf("%s: func init", fset.Position(d.Pos()))
				}
			case *ast.GenDecl:
				if d.Tok == token.VAR {
					checkVars(t, fset, d)
				}
			}
		}
	})
}

func checkVars(t *testing.T, fset *token.FileSet, d *ast.GenDecl) {
	t.Helper()
	for _, s := range d.Specs {
		spec := s.(*ast.ValueSpec)
		if embedded(d.Doc) || embedded(spec.Doc) {
			continue
		}
		for _, name := range spec.Names {
			switch {
			case name.Name == "_": // an assertion that a type implements an interface
			case strings.HasPrefix(name.Name, "Err"), strings.HasPrefix(name.Name, "err"):
			case strings.HasSuffix(fset.Position(d.Pos()).Filename, filepath.Join("cmd", "jmld", "main.go")): // set by the linker
			default:
				t.Errorf("%s: package variable %s", fset.Position(name.Pos()), name.Name)
			}
		}
	}
}

func embedded(doc *ast.CommentGroup) bool {
	if doc == nil {
		return false
	}
	for _, c := range doc.List {
		if strings.HasPrefix(c.Text, "//go:embed") {
			return true
		}
	}
	return false
}

// TestTheCoreReadsNoClock: time comes in as a value.
func TestTheCoreReadsNoClock(t *testing.T) {
	t.Parallel()
	eachFile(t, func(path string, fset *token.FileSet, file *ast.File) {
		if dir := filepath.ToSlash(filepath.Dir(path)); dir != "jml" && dir != "jml/policy" && dir != "jml/entry" && dir != "jml/access" && dir != "jml/trial" && dir != "model" {
			return
		}
		ast.Inspect(file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" {
				switch sel.Sel.Name {
				case "Now", "Since", "Until", "After", "Sleep", "NewTimer", "Tick":
					t.Errorf("%s: time.%s", fset.Position(n.Pos()), sel.Sel.Name)
				}
			}
			return true
		})
	})
}

// TestFilesStopAt500Lines: a longer one is two.
func TestFilesStopAt500Lines(t *testing.T) {
	t.Parallel()
	eachFile(t, func(path string, fset *token.FileSet, file *ast.File) {
		if n := fset.File(file.Pos()).LineCount(); n > 500 {
			t.Errorf("%s has %d lines", path, n)
		}
	})
}

// TestElimityHasOneName: the package's own name is that of our scim.
func TestElimityHasOneName(t *testing.T) {
	t.Parallel()
	eachFile(t, func(path string, fset *token.FileSet, file *ast.File) {
		for _, i := range file.Imports {
			if i.Path.Value == `"github.com/elimity-com/scim"` && (i.Name == nil || i.Name.Name != "elimity") {
				t.Errorf("%s: import it as elimity", fset.Position(i.Pos()))
			}
		}
	})
}

// eachFile parses every Go file of the module that is not a test.
func eachFile(t *testing.T, visit func(path string, fset *token.FileSet, file *ast.File)) {
	t.Helper()
	top := root(t)
	files := 0
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata" || d.Name() == "bin" || d.Name() == "demo-data"):
			return filepath.SkipDir
		case d.IsDir(), !strings.HasSuffix(path, ".go"), strings.HasSuffix(path, "_test.go"):
			return nil
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, path)
		if err != nil {
			return err
		}
		files++
		visit(rel, fset, file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files == 0 {
		t.Fatal("no Go file found")
	}
}
