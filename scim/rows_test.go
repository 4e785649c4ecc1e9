package scim_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestEveryRowIsNamed: R1 to R165 are the rows of the list of requirements of RFC 7643, 7644, 9865 and 9967. Each is named in a
// test, or in docs/scim.md with what we do otherwise.
func TestEveryRowIsNamed(t *testing.T) {
	t.Parallel()
	const rows = 165
	name := regexp.MustCompile(`(?:^|Test|[^0-9A-Za-z])R([1-9]\d{0,2})(?:[A-Z][a-z]|[^0-9A-Za-z]|$)`)
	named := map[int]string{}
	read := func(path string) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			for line != "" {
				at := name.FindStringSubmatchIndex(line)
				if at == nil {
					break
				}
				if n, err := strconv.Atoi(line[at[2]:at[3]]); err == nil && n <= rows {
					named[n] = path
				}
				line = line[at[3]:]
			}
		}
	}
	for _, root := range []string{".", "../internal/httpd", "../internal/conformance", "../internal/config"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && (strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".case")) && path != "rows_test.go" {
				read(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	read("../docs/scim.md")
	for n := 1; n <= rows; n++ {
		if named[n] == "" {
			t.Errorf("R%d is named nowhere", n)
		}
	}
}
