package scim_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// step is one request of a case file with what has to be true of the answer and of what is stored afterwards.
type step struct {
	name           string
	method, target string
	header         http.Header
	body           string
	want           expectation
	then           string // path of a GET, or ""
	after          expectation
}

type expectation struct {
	status []int
	checks []string
}

// TestCases replays what identity providers send (M-27), on each database there is. The format is described in
// testdata/cases/README.md.
func TestCases(t *testing.T) {
	t.Parallel()
	failures := expectedFailures(t)
	files, err := filepath.Glob("testdata/cases/*.case")
	if err != nil || len(files) < 5 {
		t.Fatalf("case files: %v %v", files, err)
	}
	rows, err := filepath.Glob("testdata/rows/*.case") // the rows of the standards, each named by the steps that show it
	if err != nil || len(rows) < 4 {
		t.Fatalf("case files: %v %v", rows, err)
	}
	files = append(files, rows...)
	for _, b := range backends() {
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".case")
			t.Run(b.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				steps := readCases(t, file)
				run := &replay{client: newClient(t, b), kept: map[string]string{"nonce": "n7q2x"}}
				for _, s := range steps {
					err := run.step(s)
					reason, expected := failures[name+": "+s.name]
					switch {
					case err != nil && !expected:
						t.Errorf("%s: %v", s.name, err)
					case err == nil && expected:
						t.Errorf("%s: passes, take it from expected-failures.txt (%s)", s.name, reason)
					}
				}
			})
		}
	}
	known := map[string]bool{}
	for _, file := range files {
		for _, s := range readCases(t, file) {
			name := strings.TrimSuffix(filepath.Base(file), ".case") + ": " + s.name
			if known[name] {
				t.Errorf("two steps are called %q", name)
			}
			known[name] = true
		}
	}
	for name := range failures {
		if !known[name] {
			t.Errorf("expected-failures.txt names no step: %q", name)
		}
	}
}

func expectedFailures(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("testdata/cases/expected-failures.txt")
	if err != nil {
		t.Fatal(err)
	}
	list := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		parts := strings.SplitN(strings.TrimSpace(line), ": ", 3)
		if len(parts) != 3 {
			t.Fatalf("expected-failures.txt: %q has no reason", line)
		}
		list[parts[0]+": "+parts[1]] = parts[2]
	}
	return list
}

func readCases(t *testing.T, file string) []step {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var steps []step
	var s *step
	var into *expectation
	inBody := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "=== "):
			steps = append(steps, step{name: line[4:], header: http.Header{}})
			s, into, inBody = &steps[len(steps)-1], nil, false
		case s == nil: // the introduction
		case strings.HasPrefix(line, "--> "):
			into = &s.want
			if s.then != "" {
				into = &s.after
			}
			for _, f := range strings.Fields(line[4:]) {
				n, err := strconv.Atoi(f)
				if err != nil {
					t.Fatalf("%s: %q", file, line)
				}
				into.status = append(into.status, n)
			}
		case strings.HasPrefix(line, "then GET "):
			s.then = line[9:]
		case into != nil:
			if line = strings.TrimSpace(line); line != "" {
				into.checks = append(into.checks, line)
			}
		case s.method == "":
			s.method, s.target, _ = strings.Cut(line, " ")
		case inBody:
			s.body += line
		case line == "":
			inBody = true
		default:
			k, v, ok := strings.Cut(line, ": ")
			if !ok {
				t.Fatalf("%s: %q is no header", file, line)
			}
			s.header.Set(k, v)
		}
	}
	for _, s := range steps {
		if s.target == "" || len(s.want.status) == 0 {
			t.Fatalf("%s: step %q is not complete", file, s.name)
		}
	}
	return steps
}

// replay runs steps and keeps what later ones need.
type replay struct {
	client *client
	kept   map[string]string
}

var times = regexp.MustCompile(`\{(\d+) times (.)\}|\{(\d+) times ([^}]+)\}`)

func (r *replay) fill(s string) string {
	s = times.ReplaceAllStringFunc(s, func(m string) string {
		var n int
		var x string
		if _, err := fmt.Sscanf(m, "{%d times", &n); err != nil {
			return m
		}
		x = strings.TrimSuffix(m[strings.Index(m, "times ")+6:], "}")
		return strings.Repeat(x, n)
	})
	for name, value := range r.kept {
		s = strings.ReplaceAll(s, "{"+name+"}", value)
	}
	return strings.ReplaceAll(s, "{nothing}", "")
}

var unfilled = regexp.MustCompile(`\{[a-z]+\}`)

func (r *replay) step(s step) error {
	if missing := unfilled.FindString(r.fill(s.target + s.body + s.then)); missing != "" {
		return fmt.Errorf("%s was not kept by an earlier step", missing)
	}
	header := s.header.Clone()
	for k := range header {
		header.Set(k, r.fill(header.Get(k)))
	}
	a, err := r.client.send(s.method, r.fill(s.target), header, r.fill(s.body))
	if err != nil {
		return err
	}
	if tag := a.header.Get("ETag"); tag != "" {
		r.kept["version"] = tag
	}
	if err := r.check(a, s.want); err != nil {
		return fmt.Errorf("%w\n%s", err, a)
	}
	if s.then == "" {
		return nil
	}
	if a, err = r.client.send("GET", r.fill(s.then), http.Header{}, ""); err != nil {
		return err
	}
	if err := r.check(a, s.after); err != nil {
		return fmt.Errorf("afterwards: %w\n%s", err, a)
	}
	return nil
}

func (r *replay) check(a answer, want expectation) error {
	if !slices.Contains(want.status, a.status) {
		return fmt.Errorf("status %d, want %v", a.status, want.status)
	}
	if err := a.wellFormed(); err != nil {
		return err
	}
	for _, c := range want.checks {
		if err := r.holds(a, r.fill(c)); err != nil {
			return fmt.Errorf("%s: %w", c, err)
		}
	}
	return nil
}

func (r *replay) holds(a answer, check string) error {
	if rest, ok := strings.CutPrefix(check, "keep "); ok {
		name, path, _ := strings.Cut(rest, " ")
		v, _ := a.at(path).(string)
		if v == "" {
			return fmt.Errorf("there is nothing to keep")
		}
		r.kept[name] = v
		return nil
	}
	if rest, ok := strings.CutPrefix(check, "header "); ok {
		name, rest, _ := strings.Cut(rest, " ")
		got := a.header.Get(name)
		prefix, isPrefix := strings.CutPrefix(rest, "starts with ")
		if rest == "is present" && got != "" || rest == "is absent" && got == "" || isPrefix && strings.HasPrefix(got, prefix) {
			return nil
		}
		return fmt.Errorf("it is %q", got)
	}
	path, rest, _ := strings.Cut(check, " ")
	got := a.at(path)
	list, isList := got.([]any)
	literal := func(s string) any {
		var v any
		if err := json.Unmarshal([]byte(s), &v); err != nil {
			panic(fmt.Sprintf("%s: %v", check, err))
		}
		return v
	}
	ok := false
	word, operand, _ := strings.Cut(rest, " ")
	switch {
	case rest == "is present":
		ok = got != nil
	case rest == "is absent":
		ok = got == nil || isList && len(list) == 0
	case strings.HasPrefix(rest, "is of type "):
		ok = fmt.Sprintf("%T", got) == map[string]string{
			"string": "string", "number": "float64", "boolean": "bool", "array": "[]interface {}", "object": "map[string]interface {}",
		}[rest[11:]]
	case strings.HasPrefix(rest, "is not "):
		ok = !cmp.Equal(got, literal(rest[7:]))
	case word == "is":
		ok = cmp.Equal(got, literal(operand))
	case word == "counts":
		ok = strconv.Itoa(len(list)) == operand && isList
	case word == "contains":
		ok = slices.ContainsFunc(list, func(v any) bool { return cmp.Equal(v, literal(operand)) })
	default:
		panic("no such check: " + check)
	}
	if !ok {
		text, _ := json.Marshal(got)
		return fmt.Errorf("it is %s", text)
	}
	return nil
}

// answer is what a request was answered with.
type answer struct {
	status int
	header http.Header
	body   []byte
	json   any
}

func (a answer) String() string {
	b := a.body
	if len(b) > 2000 {
		b = append(b[:2000:2000], "…"...)
	}
	return fmt.Sprintf("%d %s", a.status, b)
}

// at walks a path into the answer.
func (a answer) at(path string) any {
	v := a.json
	for path != "" {
		path = strings.TrimPrefix(path, ".")
		switch path[0] {
		case '<':
			end := strings.IndexByte(path, '>')
			m, _ := v.(map[string]any)
			v, path = m[path[1:end]], path[end+1:]
		case '[':
			end := strings.IndexByte(path, ']')
			inside := path[1:end]
			path = path[end+1:]
			list, _ := v.([]any)
			v = nil
			if key, want, ok := strings.Cut(inside, "="); ok {
				for _, e := range list {
					if m, _ := e.(map[string]any); m[key] == want {
						v = e
						break
					}
				}
			} else if n, err := strconv.Atoi(inside); err == nil && n < len(list) {
				v = list[n]
			}
		default:
			end := strings.IndexAny(path, ".[")
			if end < 0 {
				end = len(path)
			}
			m, _ := v.(map[string]any)
			v, path = m[path[:end]], path[end:]
		}
	}
	return v
}

// wellFormed is what has to be true of every answer.
func (a answer) wellFormed() error {
	if a.status == http.StatusNoContent || a.status == http.StatusNotModified {
		if len(a.body) > 0 {
			return fmt.Errorf("there is a body")
		}
		return nil
	}
	if !strings.HasPrefix(a.header.Get("Content-Type"), "application/scim+json") {
		return fmt.Errorf("media type %q", a.header.Get("Content-Type"))
	}
	schemas, _ := a.at("schemas").([]any)
	if len(schemas) == 0 {
		return fmt.Errorf("no schemas")
	}
	if bytes.Contains(a.body, []byte("correct horse")) || bytes.Contains(a.body, []byte("battery staple")) {
		return fmt.Errorf("a password is answered")
	}
	const messages = "urn:ietf:params:scim:api:messages:2.0:"
	switch {
	case a.status >= 400:
		detail, _ := a.at("detail").(string)
		if schemas[0] != messages+"Error" || a.at("status") != strconv.Itoa(a.status) || detail == "" {
			return fmt.Errorf("not a SCIM error")
		}
	case schemas[0] == messages+"ListResponse":
		list, _ := a.at("Resources").([]any)
		total, hasTotal := a.at("totalResults").(float64)
		per, hasPer := a.at("itemsPerPage").(float64)
		if !hasTotal || !hasPer || int(per) != len(list) || int(total) < len(list) {
			return fmt.Errorf("not a list")
		}
	case a.status == http.StatusCreated:
		id, _ := a.at("id").(string)
		location, _ := a.at("meta.location").(string)
		if id == "" || !strings.HasSuffix(a.header.Get("Location"), "/"+id) { // R57
			return fmt.Errorf("id and Location do not fit")
		}
		if a.at("meta") == nil { // it was not asked for
			return nil
		}
		if location != a.header.Get("Location") { // R28
			return fmt.Errorf("Location and meta.location do not fit")
		}
		if a.at("meta.version") != a.header.Get("ETag") || a.at("meta.created") != a.at("meta.lastModified") {
			return fmt.Errorf("meta does not fit")
		}
	case a.header.Get("ETag") != "" && a.at("meta") != nil && a.at("meta.version") != nil && a.at("meta.version") != a.header.Get("ETag"): // R29, R138
		return fmt.Errorf("meta.version and ETag do not fit")
	}
	return nil
}

func readAnswer(resp *http.Response) (answer, error) {
	defer resp.Body.Close()
	body, err := io.ReadAll(bufio.NewReader(resp.Body))
	if err != nil {
		return answer{}, err
	}
	a := answer{status: resp.StatusCode, header: resp.Header, body: body}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &a.json); err != nil {
			return a, fmt.Errorf("answer %d is not JSON: %w: %.200s", a.status, err, body)
		}
	}
	return a, nil
}
