package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"jmld/internal/store"
	"jmld/internal/testserver"
)

// TestCaptureAndReplay (D-16): traffic of an identity provider, with people who were there before and with mistakes, is
// captured from a running daemon, says nothing about the people, and is answered the same when it is replayed.
func TestCaptureAndReplay(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(*testing.T) string{
		"sqlite":   func(*testing.T) string { return "" },
		"postgres": func(t *testing.T) string { return testserver.Postgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := database(t)
			h := newHouse(t, houseOptions{Database: at, Sources: []string{"entra", "okta"}})
			secret := h.token("entra")
			d := h.serve()
			c := d.client("entra", secret)
			known := c.want(t, 201, "POST", "/Users", userJSON("wilhelmina.zaunkoenig@example.org", "Forschungsabteilung", "4711993")).id()
			c.want(t, 200, "PATCH", "/Users/"+known, patchJSON("title", "Abteilungsleiterin"))
			boss := c.want(t, 201, "POST", "/Users", userJSON("theodor.hagebutte@example.org", "Vorstandsbuero")).id()
			inner := c.want(t, 201, "POST", "/Groups", groupJSON("Innenrevision", known, boss)).id()
			outer := c.want(t, 201, "POST", "/Groups", groupJSON("Gesamtbelegschaft", inner)).id()

			file := filepath.Join(h.dir, "traffic.jsonl")
			rec := h.capture("entra", "--for", "5m", "--out", file)
			if code, _, stderr := h.jmld("scim", "capture", "entra", "--for", "1m", "--out", filepath.Join(h.dir, "other.jsonl")); code != exitError || !strings.Contains(stderr, "one capture of a source at a time") {
				t.Errorf("a second capture: exit %d\n%s", code, stderr)
			}
			if _, err := os.Stat(filepath.Join(h.dir, "other.jsonl")); err == nil {
				t.Error("the refused capture left a file")
			}
			traffic(t, c, known, boss, inner, outer)
			rec.signal(t, os.Interrupt)
			rec.ended(t)

			text := h.file("traffic.jsonl")
			info, err := os.Stat(file)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the file is for its owner alone: %v %v", info.Mode(), err)
			}
			for _, personal := range []string{"wilhelmina", "zaunkoenig", "theodor", "hagebutte", "forschung", "vorstand", "4711993", "innenrevision",
				"gesamtbelegschaft", "leiterin", "kunigunde", "schlehdorn", "geheimes", "verwaltung", "kaffeekasse", secret, d.url} {
				if i := strings.Index(strings.ToLower(text), strings.ToLower(personal)); i >= 0 {
					t.Errorf("%q is in the file: …%s…", personal, text[max(0, i-100):min(len(text), i+100)])
				}
			}
			if !strings.Contains(text, `\"op\":\"Replace\"`) || !strings.Contains(text, "wat_isst_das") {
				t.Errorf("what the protocol says is not in the file")
			}

			code, stdout, stderr := h.jmld("scim", "replay", file)
			if code != exitOK || !strings.Contains(stdout, "0 differently") || strings.Contains(stdout, "not restored") {
				t.Fatalf("replay: exit %d\n%s%s\n%s", code, stdout, stderr, text)
			}
			if !strings.Contains(stdout, "1 not played: the client was not let in") {
				t.Errorf("what cannot be replayed is said:\n%s", stdout)
			}

			// A doctored answer is the difference that is shown, and the only one.
			doctored := strings.Replace(text, `\"active\":false`, `\"active\":true`, 1)
			if doctored == text {
				t.Fatal("nobody was deactivated")
			}
			h.write("doctored.jsonl", doctored)
			var report replayJSON
			code, stdout, _ = h.jmld("scim", "replay", "doctored.jsonl", "-o", "json")
			if err := json.Unmarshal([]byte(stdout), &report); err != nil || code != exitChanges || len(report.Differences) != 1 {
				t.Fatalf("exit %d, %v\n%s", code, err, stdout)
			}
			if diff := report.Differences[0]; !strings.HasSuffix(diff.What, "active") || diff.Captured != "true" || diff.Replayed != "false" {
				t.Errorf("got %+v", diff)
			}
			h.must("scim", "replay", file, "-c", h.config)

			// Nothing of the capture is left, and the audit knows who did it.
			d.stop()
			leavesNothing(t, at, h)
		})
	}
}

func leavesNothing(t *testing.T, database string, h *house) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{URL: orElse(database, "sqlite:"+filepath.Join(h.dir, "jmld.db"))})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	list, err := db.AuditList(t.Context(), "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	var audit []string
	for _, e := range list {
		if !strings.HasPrefix(e.Action, "scim.capture") {
			continue
		}
		audit = append(audit, e.Action+" "+e.Source)
		if lines, err := db.CaptureLines(t.Context(), e.Subject, 10); err != nil || len(lines) > 0 {
			t.Errorf("the capture left %v, %v", lines, err)
		}
	}
	if strings.Join(audit, ", ") != "scim.capture.end entra, scim.capture.begin entra" {
		t.Errorf("the audit has %v", audit)
	}
	if running, err := db.Captures(t.Context()); err != nil || len(running) > 0 {
		t.Errorf("captures %v, %v", running, err)
	}
}

// traffic is what Entra sends, mistakes and all.
func traffic(t *testing.T, c *client, known, boss, inner, outer string) {
	t.Helper()
	filter := func(f string) string { return "?filter=" + url.QueryEscape(f) }
	c.want(t, 200, "GET", "/Users"+filter(`userName eq "2b9b5c0e-0000-4000-8000-000000000000"`), "")
	c.want(t, 200, "GET", "/ServiceProviderConfig", "")
	c.want(t, 200, "GET", "/Users"+filter(`userName eq "Wilhelmina.Zaunkoenig@example.org"`), "")
	c.want(t, 200, "GET", "/Users/"+known, "")
	c.want(t, 200, "PATCH", "/Users/"+known, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[`+
		`{"op":"Replace","path":"active","value":"False"},{"op":"Add","path":"emails[type eq \"work\"].value","value":"w.zaunkoenig@example.org"},`+
		`{"op":"Replace","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager","value":"`+boss+`"},`+
		`{"op":"Add","path":"wat_isst_das","value":"geheimes"}]}`)
	c.want(t, 409, "POST", "/Users", userJSON("THEODOR.Hagebutte@example.org", "Verwaltung"))
	made := c.want(t, 201, "POST", "/Users", userJSON("kunigunde.schlehdorn@example.org", "Verwaltung", "8812345")).id()
	c.want(t, 200, "GET", "/Users"+filter(`emails[type eq "work"].value eq "kunigunde.schlehdorn@example.org"`), "")
	c.want(t, 400, "PATCH", "/Users/"+made, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Frobnicate","path":"title","value":"geheimes"}]}`)
	c.want(t, 400, "POST", "/Users", `{"userName": "kunigunde`)
	c.want(t, 200, "PATCH", "/Groups/"+inner, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[`+
		`{"op":"Add","path":"members","value":[{"value":"`+made+`"},{"value":"`+known+`"}]}]}`)
	c.want(t, 200, "GET", "/Users/"+made, "")
	c.want(t, 200, "GET", "/Groups/"+outer+"?excludedAttributes=members", "")
	c.want(t, 200, "GET", "/Groups"+filter(`displayName eq "Innenrevision"`), "")
	c.want(t, 201, "POST", "/Groups", groupJSON("Kaffeekasse", made, boss))
	c.want(t, 200, "PATCH", "/Groups/"+inner, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Remove","path":"members[value eq \"`+boss+`\"]"}]}`)
	c.want(t, 404, "GET", "/Users/kunigunde.schlehdorn@example.org", "")
	c.want(t, 200, "GET", "/Users"+filter(`displayName co "schleh"`)+"&sortBy=userName", "")
	c.want(t, 200, "GET", "/Users?count=1", "")
	c.want(t, 200, "POST", "/Bulk", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[`+
		`{"method":"POST","path":"/Groups","bulkId":"geheimes","data":{"displayName":"Geheimes","members":[{"value":"bulkId:wilhelmina"}]}},`+
		`{"method":"POST","path":"/Users","bulkId":"wilhelmina","data":{"userName":"w2@example.org","password":"geheimes"}},`+
		`{"method":"PATCH","path":"/Users/`+boss+`","data":{"Operations":[{"op":"replace","value":{"title":"Vorstand"}}]}}]}`)
	req := *c
	req.secret = "wrong"
	req.want(t, 401, "GET", "/Users", "")
	c.want(t, 204, "DELETE", "/Users/"+made, "")
	c.want(t, 404, "GET", "/Users/"+made, "")
	c.want(t, 200, "GET", "/Groups/"+inner, "")
}

func groupJSON(name string, members ...string) string {
	var list []string
	for _, id := range members {
		list = append(list, fmt.Sprintf(`{"value":%q}`, id))
	}
	return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":%q,"members":[%s]}`, name, strings.Join(list, ","))
}

// capturing is a running `jmld scim capture`.
type capturing struct {
	cmd    *exec.Cmd
	stderr *syncBuffer
	done   chan error
}

type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// capture begins one and waits until it records.
func (h *house) capture(args ...string) *capturing {
	h.t.Helper()
	c := h.beginCapture(args...)
	c.ready(h.t)
	return c
}

func (h *house) beginCapture(args ...string) *capturing {
	h.t.Helper()
	cmd := h.command(h.t.Context(), append([]string{"scim", "capture"}, args...)...)
	out := &syncBuffer{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	c := &capturing{cmd: cmd, stderr: out, done: make(chan error, 1)}
	go func() { c.done <- cmd.Wait() }()
	h.t.Cleanup(func() { _ = cmd.Process.Kill() }) // it may have ended
	return c
}

func (c *capturing) ready(t *testing.T) {
	t.Helper()
	eventually(t, 30*time.Second, "the capture begins", func() bool { return strings.Contains(c.stderr.String(), "capturing source") })
}

func (c *capturing) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

func (c *capturing) wait() error {
	select {
	case err := <-c.done:
		return err
	case <-time.After(time.Minute):
		return errors.New("it does not end")
	}
}

// ended waits for a clean end.
func (c *capturing) ended(t *testing.T) {
	t.Helper()
	if err := c.wait(); err != nil {
		t.Fatalf("%v\n%s", err, c.stderr)
	}
}

// A capture whose command was killed ends by itself, the daemon goes on, and another one can begin.
func TestAbandonedCaptureEnds(t *testing.T) {
	t.Parallel()
	h := newHouse(t, houseOptions{})
	secret := h.token("entra")
	d := h.serve()
	c := d.client("entra", secret)
	rec := h.capture("entra", "--for", "3s", "--out", "abandoned.jsonl")
	rec.signal(t, syscall.SIGKILL)
	if err := rec.wait(); err == nil {
		t.Fatal("it was killed")
	}
	c.want(t, http.StatusCreated, "POST", "/Users", userJSON("ada@example.org", ""))
	eventually(t, 30*time.Second, "another capture", func() bool {
		code, _, _ := h.jmld("scim", "capture", "entra", "--for", "1s", "--out", "next.jsonl")
		return code == exitOK
	})
	d.stop()
}
