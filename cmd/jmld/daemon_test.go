package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"text/template"
	"time"
)

// house is a directory with a configuration, and the daemons and commands that run with it.
type house struct {
	t      *testing.T
	dir    string
	config string
	env    []string
}

// houseOptions fill in the configuration.
type houseOptions struct {
	Database string // "": SQLite in the house
	LDAP     string // url of source corp, or ""
	BindDN   string
	Password string
	Base     string
	App      string // url of the SCIM target app, or ""
	AppToken string
	Sources  []string // pushed; nil: entra
	Guard    string   // "": wide open, because most tests are not about it
	Accounts string   // account rules, "": the usual ones
	Memory   bool     // a target in memory, too
}

const houseConfig = `database: {{printf "%q" .Database}}
listen: {address: 127.0.0.1:0}
log: {format: json, level: info}
sources:
{{- if .LDAP}}
  - name: corp
    ldap:
      url: {{.LDAP}}
      bind_dn: {{.BindDN}}
      password: {file: secrets/ldap}
      base: {{.Base}}
      people: {filter: (objectClass=inetOrgPerson)}
      groups: {filter: (objectClass=groupOfNames)}
      page_size: 100
      absence: {after: 1ms}
      timeouts: {connect: 3s, idle: 3s, run: 1m}
{{- end}}
{{- range .Sources}}
  - {name: {{.}}, scim: {limits: {requests: 0, concurrent: 0}}} # tests push as fast as they can
{{- end}}
correlation: [employeeNumber, email, userName]
organisations: [{name: Example, own: true, domains: [example.org]}]
policy:
  categories:
    platform: has(person.department) && person.department == "Engineering"
    app: "true"
  accounts:
{{.Accounts}}
guard: {{.Guard}}
targets:
  - {name: platform, class: platform, local: {}}
{{- if .App}}
  - {name: app, class: app, scim: {url: {{.App}}, token: {file: secrets/app}, timeout: 1s}}
{{- end}}
{{- if .Memory}}
  - {name: scratch, class: app, memory: {}}
{{- end}}
`

const (
	platformRule = `    - {name: builders, target: platform, when: '"platform" in person.categories', attributes: {userName: person.userName, displayName: person.displayName}}
`
	appRule = `    - {name: everybody, target: app, when: '"app" in person.categories', attributes: {userName: person.userName, displayName: person.displayName}}
`
	wideGuard = `{leavers: {count: 1000000, share: 100%}, week: {count: 1000000}, joiners: {count: 1000000}, ceiling: 100%, floor: 1000000, attributes: {changed: {count: 1000000}, emptied: {count: 1000000}}, movers: {count: 1000000}, returns: {count: 1000000},
		groups: {count: 1000000, emptied: 1000000}, reads: {fewer: {count: 1000000}, renewed: {count: 1000000}}}`
)

func newHouse(t *testing.T, o houseOptions) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir()}
	h.config = filepath.Join(h.dir, "config.yaml")
	if o.Database == "" {
		o.Database = "sqlite:jmld.db"
	}
	if o.Sources == nil {
		o.Sources = []string{"entra"}
	}
	if o.Guard == "" {
		o.Guard = wideGuard
	}
	if o.Accounts == "" {
		o.Accounts = platformRule
		if o.App != "" {
			o.Accounts += appRule
		}
	}
	h.write("secrets/ldap", orElse(o.Password, "unused"))
	h.write("secrets/app", orElse(o.AppToken, "unused"))
	var b strings.Builder
	if err := template.Must(template.New("config").Parse(houseConfig)).Execute(&b, o); err != nil {
		t.Fatal(err)
	}
	h.write("config.yaml", b.String())
	return h
}

func (h *house) write(name, text string) {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// command is the test binary under the name jmld.
func (h *house) command(ctx context.Context, args ...string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		h.t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Args = append([]string{"jmld"}, args...)
	cmd.Dir = h.dir
	cmd.Env = append(append(os.Environ(), "JMLD_CONFIG="+h.config, "NO_COLOR=1"), h.env...)
	// Should the test binary die, its daemons die with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// jmld runs a command and returns its exit code and what it printed.
func (h *house) jmld(args ...string) (code int, stdout, stderr string) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := h.command(ctx, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		h.t.Fatalf("jmld %s: %v", strings.Join(args, " "), err)
	}
	return code, out.String(), errs.String()
}

// must is jmld for a command that has to succeed.
func (h *house) must(args ...string) string {
	h.t.Helper()
	code, stdout, stderr := h.jmld(args...)
	if code != 0 {
		h.t.Fatalf("jmld %s: exit %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// read runs a command with -o json and decodes its document into v.
func (h *house) read(v any, args ...string) {
	h.t.Helper()
	out := h.must(append(args, "-o", "json")...)
	if err := json.Unmarshal([]byte(out), v); err != nil {
		h.t.Fatalf("jmld %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (h *house) token(source string) string {
	h.t.Helper()
	return strings.TrimSpace(h.must("token", "new", source))
}

// daemon is a running `jmld serve`.
type daemon struct {
	h    *house
	cmd  *exec.Cmd
	url  string
	log  *logWatch
	done chan struct{}
	err  error
}

// serve starts a daemon and waits until it listens; it is killed when the test ends.
func (h *house) serve(args ...string) *daemon {
	h.t.Helper()
	d, err := h.tryServe(args...)
	if err != nil {
		h.t.Fatal(err)
	}
	return d
}

func (h *house) tryServe(args ...string) (*daemon, error) {
	cmd := h.command(context.Background(), append([]string{"serve"}, args...)...)
	d := &daemon{h: h, cmd: cmd, log: newLogWatch(), done: make(chan struct{})}
	cmd.Stderr = d.log
	cmd.Stdout = d.log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		d.err = cmd.Wait()
		close(d.done)
	}()
	h.t.Cleanup(d.kill)
	select {
	case d.url = <-d.log.address:
		return d, nil
	case <-d.done:
		return nil, fmt.Errorf("the daemon ended: %w\n%s", d.err, d.log.text())
	case <-time.After(2 * time.Minute):
		d.kill()
		return nil, fmt.Errorf("the daemon does not listen after two minutes\n%s", d.log.text())
	}
}

// kill is kill -9.
func (d *daemon) kill() {
	_ = d.cmd.Process.Kill() // it may have ended
	<-d.done
}

// stop is Ctrl-C; the daemon has to end cleanly.
func (d *daemon) stop() {
	d.h.t.Helper()
	if err := d.cmd.Process.Signal(os.Interrupt); err != nil {
		d.h.t.Fatal(err)
	}
	select {
	case <-d.done:
		if d.err != nil {
			d.h.t.Fatalf("the daemon did not stop cleanly: %v\n%s", d.err, d.log.text())
		}
	case <-time.After(2 * time.Minute):
		d.h.t.Fatalf("the daemon did not stop\n%s", d.log.text())
	}
}

// logWatch keeps the daemon's log and finds the address it listens on.
type logWatch struct {
	mu      sync.Mutex
	all     bytes.Buffer
	partial []byte
	address chan string
	found   bool
}

func newLogWatch() *logWatch { return &logWatch{address: make(chan string, 1)} }

func (l *logWatch) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all.Write(b)
	l.partial = append(l.partial, b...)
	for {
		i := bytes.IndexByte(l.partial, '\n')
		if i < 0 {
			return len(b), nil
		}
		var entry struct {
			Msg     string `json:"message"`
			Address string `json:"address"`
		}
		if json.Unmarshal(l.partial[:i], &entry) == nil && entry.Msg == "listening" && !l.found {
			l.found = true
			l.address <- "http://" + entry.Address
		}
		l.partial = l.partial[i+1:]
	}
}

func (l *logWatch) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.all.String()
	if len(s) > 20000 {
		s = "…" + s[len(s)-20000:]
	}
	return s
}

// client is an identity provider.
type client struct {
	http   *http.Client
	base   string
	secret string
}

func (d *daemon) client(source, secret string) *client {
	return &client{
		http:   &http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 8}},
		base:   d.url + "/scim/" + source + "/v2",
		secret: secret,
	}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   map[string]any
	took   time.Duration
}

func (a answer) id() string {
	id, _ := a.body["id"].(string)
	return id
}

// do sends one request. The error is one of the network: the client does not know what became of it.
func (c *client) do(method, path, body string) (answer, error) {
	req, err := http.NewRequest(method, c.base+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+c.secret)
	if body != "" {
		req.Header.Set("Content-Type", "application/scim+json")
	}
	start := time.Now()
	res, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 8<<20))
	if err != nil {
		return answer{}, err
	}
	a := answer{status: res.StatusCode, header: res.Header, took: time.Since(start)}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &a.body); err != nil {
			return answer{}, fmt.Errorf("%s %s: %w: %s", method, path, err, text)
		}
	}
	return a, nil
}

// want is do for a request that has to be answered with the status.
func (c *client) want(t *testing.T, status int, method, path, body string) answer {
	t.Helper()
	a, err := c.do(method, path, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if a.status != status {
		t.Fatalf("%s %s: status %d, want %d: %v", method, path, a.status, status, a.body)
	}
	return a
}

// userJSON is a resource to create.
func userJSON(userName, department string, more ...string) string {
	v := map[string]any{
		"schemas":     []string{"urn:ietf:params:scim:schemas:core:2.0:User"},
		"userName":    userName,
		"externalId":  "x-" + userName,
		"displayName": "Person " + userName,
		"active":      true,
		"emails":      []any{map[string]any{"type": "work", "primary": true, "value": userName}},
	}
	enterprise := map[string]any{}
	if department != "" {
		enterprise["department"] = department
	}
	if len(more) > 0 {
		enterprise["employeeNumber"] = more[0]
	}
	v["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"] = enterprise
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// patchJSON replaces one attribute.
func patchJSON(path string, value any) string {
	b, err := json.Marshal(map[string]any{
		"schemas":    []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"},
		"Operations": []any{map[string]any{"op": "replace", "path": path, "value": value}},
	})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// eventually waits for something that takes as long as it takes. It fails after four times the limit: the machine may be busy.
func eventually(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	limit *= 4
	for end := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("after %s still not: %s", limit, what)
		}
	}
}

// freeAddr is a loopback address that was free a moment ago.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (h *house) file(name string) string {
	h.t.Helper()
	b, err := os.ReadFile(filepath.Join(h.dir, name))
	if err != nil {
		h.t.Fatal(err)
	}
	return string(b)
}
