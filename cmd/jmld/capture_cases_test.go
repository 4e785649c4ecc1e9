package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"encoding/json"
)

// TestCapturesOfEveryDialectReplay (D-16): what the case files of package scim send, each to a source of its own and all
// captured at the same time, is answered the same when it is replayed. In the second capture everybody is there already.
func TestCapturesOfEveryDialectReplay(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../scim/testdata/cases/*.case")
	if err != nil || len(files) < 5 {
		t.Fatalf("case files: %v %v", files, err)
	}
	var sources []string
	for _, f := range files {
		sources = append(sources, strings.TrimSuffix(filepath.Base(f), ".case"))
	}
	h := newHouse(t, houseOptions{Sources: sources})
	var secrets []string
	for _, s := range sources {
		secrets = append(secrets, h.token(s))
	}
	d := h.serve()
	for round := range 2 {
		var running []*capturing
		for _, s := range sources {
			running = append(running, h.beginCapture(s, "--for", "5m", "--out", fmt.Sprintf("%s-%d.jsonl", s, round)))
		}
		for _, r := range running {
			r.ready(t)
		}
		sent := make([]int, len(files))
		for i, f := range files {
			sent[i] = sendCases(t, d.client(sources[i], secrets[i]), f, fmt.Sprintf("n7q%dx", round))
		}
		for _, r := range running {
			r.signal(t, os.Interrupt)
		}
		for _, r := range running {
			r.ended(t)
		}
		for i, s := range sources {
			var report replayJSON
			code, stdout, stderr := h.jmld("scim", "replay", fmt.Sprintf("%s-%d.jsonl", s, round), "-o", "json")
			if err := json.Unmarshal([]byte(stdout), &report); err != nil {
				t.Fatalf("%s: exit %d, %v\n%s%s", s, code, err, stdout, stderr)
			}
			if report.Exchanges != sent[i] || report.Lost != 0 {
				t.Errorf("%s, round %d: %d of %d exchanges, %d lost", s, round, report.Exchanges, sent[i], report.Lost)
			}
			if len(report.NotRestored) > 0 {
				t.Errorf("%s, round %d: not restored: %v", s, round, report.NotRestored)
			}
			for _, diff := range report.Differences {
				t.Errorf("%s, round %d: %+v", s, round, diff)
			}
			if report.Played < report.Exchanges*9/10 {
				t.Errorf("%s: only %d of %d played: %v", s, report.Played, report.Exchanges, report.Skipped)
			}
		}
	}
	d.stop()
}

// sendCases sends the requests of a case file; whether their answers are right is tested there. It returns how many it sent.
func sendCases(t *testing.T, c *client, file, nonce string) int {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	many := regexp.MustCompile(`\{(\d+) times ([^}]+)\}`)
	kept := map[string]string{"nonce": nonce}
	fill := func(s string) string {
		s = many.ReplaceAllStringFunc(s, func(m string) string {
			parts := many.FindStringSubmatch(m)
			n, err := strconv.Atoi(parts[1])
			if err != nil {
				t.Fatal(err)
			}
			return strings.Repeat(parts[2], n)
		})
		for k, v := range kept {
			s = strings.ReplaceAll(s, "{"+k+"}", v)
		}
		return strings.ReplaceAll(s, "{nothing}", "")
	}
	n := 0
	send := func(method, target string, header http.Header, body string) any {
		req, err := http.NewRequest(method, c.base+fill(target), strings.NewReader(fill(body)))
		if err != nil {
			t.Fatalf("%s %s: %v", method, target, err)
		}
		req.Header.Set("Authorization", "Bearer "+c.secret)
		if body != "" {
			req.Header.Set("Content-Type", "application/scim+json")
		}
		for k := range header {
			req.Header.Set(k, fill(header.Get(k)))
		}
		res, err := c.http.Do(req)
		if err != nil {
			t.Fatalf("%s %s: %v", method, target, err)
		}
		defer res.Body.Close()
		answer, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode == http.StatusRequestHeaderFieldsTooLarge { // net/http answers itself
			return nil
		}
		n++
		if tag := res.Header.Get("ETag"); tag != "" {
			kept["version"] = tag
		}
		var v any
		_ = json.Unmarshal(answer, &v) // some are empty
		return v
	}
	for step := range bytes.SplitSeq(text, []byte("\n=== ")) {
		head, rest, _ := strings.Cut(string(step), "\n--> ")
		lines := strings.Split(head, "\n")[1:]
		if len(lines) == 0 || !strings.Contains(lines[0], " /") {
			continue // the introduction
		}
		method, target, _ := strings.Cut(lines[0], " ")
		header, body := http.Header{}, ""
		for i, l := range lines[1:] {
			if l == "" {
				body = strings.Join(lines[i+2:], "")
				break
			}
			k, v, _ := strings.Cut(l, ": ")
			header.Set(k, v)
		}
		answer := send(method, target, header, body)
		for l := range strings.Lines(rest) {
			if f := strings.Fields(l); len(f) == 3 && f[0] == "keep" {
				kept[f[1]] = walk(answer, f[2])
			} else if then, ok := strings.CutPrefix(l, "then GET "); ok {
				answer = send("GET", strings.TrimSpace(then), nil, "")
			}
		}
	}
	return n
}

// walk follows a path such as Resources[0].id.
func walk(v any, path string) string {
	for part := range strings.FieldsFuncSeq(path, func(r rune) bool { return strings.ContainsRune(".[]", r) }) {
		switch x := v.(type) {
		case map[string]any:
			v = x[part]
		case []any:
			if i, err := strconv.Atoi(part); err == nil && i < len(x) {
				v = x[i]
			} else {
				v = nil
			}
		}
	}
	s, _ := v.(string)
	return s
}
