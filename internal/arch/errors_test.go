package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/model"
)

// TestEveryCodeIsDocumented compares the catalogue in model/codes.go with the headings of docs/errors.md (D-22), in
// order, and asks for advice of its own for each code.
func TestEveryCodeIsDocumented(t *testing.T) {
	t.Parallel()
	codes := catalogue(t)
	doc, err := os.ReadFile(filepath.Join(root(t), "docs", "errors.md"))
	if err != nil {
		t.Fatal(err)
	}
	heading := regexp.MustCompile(`(?m)^## (JML-\d{4}) \S.*\n\n(.+)`)
	var documented []string
	for _, m := range heading.FindAllStringSubmatch(string(doc), -1) {
		documented = append(documented, m[1])
		if len(m[2]) < 80 {
			t.Errorf("docs/errors.md: %s has no paragraph that explains it", m[1])
		}
	}
	if diff := cmp.Diff(codes, documented); diff != "" {
		t.Errorf("model/codes.go (-) and docs/errors.md (+) differ:\n%s", diff)
	}
	fallback := model.Code("").Advice()
	for _, c := range codes {
		if c != string(model.CodeInternal) && model.Code(c).Advice() == fallback {
			t.Errorf("%s has no advice of its own", c)
		}
	}
}

// catalogue reads the constants of type Code from the source, so that none can be forgotten here.
func catalogue(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root(t), "model", "codes.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, name := range spec.Names {
			if !strings.HasPrefix(name.Name, "Code") || i >= len(spec.Values) {
				continue
			}
			value, err := strconv.Unquote(spec.Values[i].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			codes = append(codes, value)
		}
		return true
	})
	if !slices.IsSorted(codes) || len(codes) < 20 {
		t.Fatalf("the catalogue is not sorted, or was not found: %v", codes)
	}
	return codes
}
