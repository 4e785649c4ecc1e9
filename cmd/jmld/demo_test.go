package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/testserver"
	"jmld/model"
)

// demoRun is a running `jmld serve --demo` with the commands it printed.
type demoRun struct {
	*daemon
	dir      string
	commands []string
}

func startDemo(t *testing.T, h *house, dir string, args ...string) *demoRun {
	t.Helper()
	cmd := h.command(context.Background(), append([]string{"serve", "--demo", "--data", dir}, args...)...)
	d := &daemon{h: h, cmd: cmd, log: newLogWatch(), done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = d.log, d.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		d.err = cmd.Wait()
		close(d.done)
	}()
	t.Cleanup(d.kill)
	eventually(t, 40*time.Second, "the tour printed", func() bool {
		select {
		case <-d.done:
			t.Fatalf("the demo ended: %v\n%s", d.err, d.log.text())
		default:
		}
		return strings.Contains(d.log.text(), "Ctrl-C stops it")
	})
	r := &demoRun{daemon: d, dir: dir}
	for line := range strings.Lines(d.log.text()) {
		if !strings.HasPrefix(line, " ") && strings.TrimSpace(line) != "" {
			r.commands = append(r.commands, strings.TrimSpace(line))
		}
	}
	if len(r.commands) != 4 {
		t.Fatalf("%d commands were printed, want 4:\n%s", len(r.commands), d.log.text())
	}
	return r
}

// paste runs a printed command as a shell does.
func (r *demoRun) paste(i int) string {
	r.h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	// The running program is this test binary, which is jmld only under that name.
	self, err := os.Executable()
	if err != nil {
		r.h.t.Fatal(err)
	}
	link := filepath.Join(r.h.dir, "jmld")
	if err := os.Symlink(self, link); err != nil && !errors.Is(err, fs.ErrExist) {
		r.h.t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", strings.ReplaceAll(r.commands[i], shellQuote(self), link))
	cmd.Dir = "/"
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		r.h.t.Fatalf("%s\n%v\n%s%s", r.commands[i], err, out.String(), errs.String())
	}
	return out.String()
}

// states are a person's accounts: target -> desired state, once the targets have them.
func (r *demoRun) states(who string) map[string]model.AccountState {
	var p personJSON
	settled := false
	eventually(r.h.t, 20*time.Second, who+"'s accounts settled", func() bool {
		r.h.read(&p, "-c", filepath.Join(r.dir, "config.yaml"), "person", who)
		settled = true
		for _, acc := range p.Accounts {
			settled = settled && acc.Settled
		}
		return settled
	})
	out := map[string]model.AccountState{}
	for _, acc := range p.Accounts {
		out[acc.Target] = acc.Applied
	}
	return out
}

func (r *demoRun) env(name string) string {
	for line := range strings.Lines(r.h.file(filepath.Join("demo data", "demo.env"))) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			return v
		}
	}
	r.h.t.Fatalf("demo.env has no %s", name)
	return ""
}

// TestDemo pastes the four printed commands, stops, starts again and finds everything where it was (D-20).
func TestDemo(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		testserver.Missing(t, "curl", "curl")
	}
	h := &house{t: t, dir: t.TempDir()}
	data := filepath.Join(h.dir, "demo data") // a space, because people have them
	d := startDemo(t, h, data, "--listen", "127.0.0.1:0")
	config := filepath.Join(data, "config.yaml")

	// A second one in the same directory leaves the first alone.
	before := h.file("demo data/config.yaml")
	if code, _, stderr := h.jmld("serve", "--demo", "--data", data, "--listen", strings.TrimPrefix(d.env("JMLD_URL"), "http://")); code != exitError ||
		!strings.Contains(stderr, "--listen") || h.file("demo data/config.yaml") != before {
		t.Errorf("a second demo on the same address: exit %d\n%s", code, stderr)
	}

	d.paste(0)
	if diff := cmp.Diff(map[string]model.AccountState{"app": model.AccountActive}, d.states("lena.berg")); diff != "" {
		t.Errorf("Lena joined (-want +got):\n%s", diff)
	}
	d.paste(1)
	if diff := cmp.Diff(map[string]model.AccountState{"app": model.AccountActive, "platform": model.AccountActive}, d.states("lena.berg")); diff != "" {
		t.Errorf("Lena moved (-want +got):\n%s", diff)
	}
	d.paste(2)
	if diff := cmp.Diff(map[string]model.AccountState{"app": model.AccountInactive, "platform": model.AccountInactive}, d.states("lena.berg")); diff != "" {
		t.Errorf("Lena left (-want +got):\n%s", diff)
	}
	if out := d.paste(3); !strings.Contains(out, "!") || !strings.Contains(out, "leaver") || !strings.Contains(out, "2 missing") || !strings.Contains(out, "2 absent") {
		t.Errorf("the second read shows no two leavers:\n%s", out)
	}
	h.must("-c", config, "config", "check")
	if code, stdout, stderr := h.jmld("-c", config, "plan", "corp"); code != 0 {
		t.Errorf("nothing is left to do, and plan exits %d:\n%s%s", code, stdout, stderr)
	}
	for _, secret := range []string{"secrets/ldap", "secrets/app", "secrets/entra", "demo.env", "config.yaml", "directory.ldif", "jmld.db"} {
		st, err := os.Stat(filepath.Join(data, secret))
		if err != nil {
			t.Fatal(err)
		}
		if st.Mode().Perm()&0o077 != 0 {
			t.Errorf("others can read %s: %s", secret, st.Mode())
		}
	}
	known := people(t, h, config)
	token := d.env("JMLD_SCIM_TOKEN")
	d.stop()

	// A line of our own stays, and the second start goes on where the first was.
	text := h.file("demo data/config.yaml")
	h.write("demo data/config.yaml", strings.Replace(text, "schedule: \"30 3 * * *\"", "schedule: \"15 4 * * *\"", 1))
	d = startDemo(t, h, data)
	if !strings.Contains(h.file("demo data/config.yaml"), "15 4 * * *") {
		t.Error("the second start wrote over a line that is not its own")
	}
	if diff := cmp.Diff(known, people(t, h, config)); diff != "" {
		t.Errorf("after the second start (-before +after):\n%s", diff)
	}
	if d.env("JMLD_SCIM_TOKEN") != token {
		t.Error("the second start made another token")
	}
	for _, path := range []string{"/", "/healthz", "/readyz", "/metrics", "/people", "/runs", "/accounts"} {
		res, err := http.Get(d.env("JMLD_URL") + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err = errors.Join(err, res.Body.Close()); err != nil || res.StatusCode != http.StatusOK || len(body) == 0 {
			t.Errorf("GET %s: %d, %d bytes, %v", path, res.StatusCode, len(body), err)
		}
	}
	d.stop()
}

// people lists who has which account and what became of it.
func people(t *testing.T, h *house, config string) []string {
	t.Helper()
	var list accountsJSON
	if err := json.Unmarshal([]byte(h.must("-c", config, "accounts", "--limit", "10000", "-o", "json")), &list); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, acc := range list.Accounts {
		out = append(out, acc.UserName+" "+acc.Target+" "+string(acc.State)+" "+string(acc.Applied))
	}
	slices.Sort(out)
	return out
}
