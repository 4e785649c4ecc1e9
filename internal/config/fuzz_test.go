package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"jmld/internal/config"
	"jmld/jml/trial"
)

// FuzzParse: whatever the file, there is an answer within a second; a mistake has a place inside the file and is told on
// printable lines; a configuration without mistakes can be used.
func FuzzParse(f *testing.F) {
	for _, dir := range []string{"testdata/good", "testdata/bad", "../.."} {
		files, err := filepath.Glob(dir + "/*.yaml")
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Add([]byte(strings.Repeat("[", 5000)))
	f.Add([]byte(strings.Repeat("- ", 5000)))
	f.Add([]byte("a: " + strings.Repeat("{a: ", 5000)))
	f.Add([]byte("policy: {accounts: [{when: \"a\\x41\\u0041\\\n  b ''\"}]}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		begin := time.Now()
		c, err := config.Parse("testdata/fuzz.yaml", data)
		if d := time.Since(begin); d > 50*time.Second { // the machine may be busy; a hang is minutes
			t.Errorf("took %s", d)
		}
		if err == nil {
			if _, err := c.Rules(); err != nil {
				t.Error(err)
			}
			return
		}
		var m *config.Mistakes
		if !errors.As(err, &m) || len(m.List) == 0 {
			t.Fatalf("not mistakes: %v", err)
		}
		lines := strings.Count(string(data), "\n") + 1
		for _, one := range m.List {
			if one.Line > lines || one.Line < 0 || one.Line > 0 && one.Col < 1 || one.Text == "" {
				t.Errorf("a mistake without a place: %+v", one)
			}
			if !utf8.ValidString(one.Excerpt) || strings.ContainsAny(one.Text+one.Excerpt, "\n\r\x00\x1b") {
				t.Errorf("not printable: %+v", one)
			}
			if one.Caret < 0 || one.Caret > utf8.RuneCountInString(one.Excerpt)+200 {
				t.Errorf("the caret is nowhere: %+v", one)
			}
		}
	})
}

// TestHostileFiles: what could keep a parser busy is refused at once.
func TestHostileFiles(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"open brackets": strings.Repeat("[", 200_000), "open braces": strings.Repeat("{a: ", 100_000),
		"dashes": strings.Repeat("- ", 200_000), "question marks": strings.Repeat("? ", 200_000),
		"keys": strings.Repeat("a: 1\n", 200_000), "different keys": keys(8_000),
		"aliases":   "a: &a [x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b]\n",
		"big":       strings.Repeat("#", 2<<20),
		"one line":  "database: sqlite:" + strings.Repeat("x ", 300_000),
		"quotes":    "database: '" + strings.Repeat("''", 300_000),
		"indent":    steps(400),
		"tags":      strings.Repeat("!!str ", 100_000),
		"expr":      "policy: {categories: {app: '" + strings.Repeat("(", 10_000) + "'}}\nsources: []\n",
		"long expr": "policy: {categories: {app: 'true" + strings.Repeat(" || true", 100_000) + "'}}\nsources: []\n",
	} {
		begin := time.Now()
		_, err := config.Parse("hostile.yaml", []byte(text))
		if d := time.Since(begin); d > 2*time.Minute {
			t.Errorf("%s: took %s", name, d)
		}
		if _, ok := config.IsMistakes(err); !ok {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if n := len(err.Error()); n > 100_000 {
			t.Errorf("%s: the report has %d bytes", name, n)
		}
	}
}

func keys(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("k" + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + time.Duration(i).String() + ": 1\n")
	}
	return b.String()
}

func steps(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

// FuzzParseCases: whatever the file of cases, there is an answer; cases without mistakes can be played.
func FuzzParseCases(f *testing.F) {
	c, err := config.Inspect(example)
	if err != nil {
		f.Fatal(err)
	}
	rules, err := c.Rules()
	if err != nil {
		f.Fatal(err)
	}
	data, err := os.ReadFile("../../cases.example.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte("cases: [{name: a, day: 2026-11-02, person: {corp: {emails: [{value: a}], title: null, hr: {badge: 1}}}, expect: {person: {title: [1, {}]}}}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		cases, err := config.ParseCases("testdata/fuzz.yaml", data, c)
		if err != nil {
			var m *config.Mistakes
			if !errors.As(err, &m) || len(m.List) == 0 {
				t.Fatalf("not mistakes: %v", err)
			}
			return
		}
		for _, one := range cases.List {
			played, err := trial.Play(rules, cases.Access, one)
			if err != nil {
				t.Fatal(err)
			}
			one.Check(rules, played)
		}
	})
}
