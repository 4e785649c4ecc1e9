package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"jmld/internal/config"
	"jmld/internal/store"
	"jmld/model"
)

// TestReload: a configuration that cannot be adopted changes nothing of what runs, and says where it is wrong; one that can is
// adopted without a restart, new targets and all (M-40).
func TestReload(t *testing.T) {
	t.Parallel()
	h := newHouse(t, houseOptions{})
	good := h.text("config.yaml")
	secret := h.token("entra")
	d := h.serve()
	hire := func(name string) {
		t.Helper()
		a, err := d.client("entra", secret).do(http.MethodPost, "/Users", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":%q,
			"displayName":"Person","active":true,"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Engineering"}}`, name))
		if err != nil || a.status != http.StatusCreated {
			t.Fatalf("%d %v %v", a.status, a.body, err)
		}
	}
	has := func(person string, targets ...string) {
		t.Helper()
		h.until(func() bool {
			out := h.must("accounts", person)
			for _, target := range targets {
				if !strings.Contains(out, target) {
					return false
				}
			}
			return strings.Count(out, "settled") == len(targets)
		}, person+" in "+strings.Join(targets, ", "))
	}
	hire("ada@example.org")
	has("ada@example.org", "platform")

	// What does not compile, and what can never hold, is refused where it stands: by the command, and by a daemon that is sent a signal.
	for i, bad := range []struct{ is, want string }{
		{`person.departement == "Engineering"`, `unknown field "departement"; did you mean department?`},
		{`person.department == "A" && person.department == "B"`, `at once; expected a condition that can hold`},
	} {
		h.write("config.yaml", strings.Replace(good, `person.department == "Engineering"`, bad.is, 1))
		code, _, stderr := h.jmld("config", "reload")
		if code != exitError || !strings.Contains(stderr, "config.yaml:") || !strings.Contains(stderr, bad.want) {
			t.Errorf("exit %d\n%s", code, stderr)
		}
		if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		h.until(func() bool {
			return strings.Count(d.log.text(), "configuration not adopted, the running one stays") == i+1
		}, "the signal is answered")
		if log := d.log.text(); !strings.Contains(log, string(model.CodeReload)) || !strings.Contains(log, "config.yaml:") {
			t.Errorf("the log does not say where:\n%s", log)
		}
	}
	// So is what only a restart can change, as a whole.
	h.write("config.yaml", strings.Replace(strings.Replace(good, "{name: entra,", "{name: okta,", 1), `"Engineering"`, `"Nobody"`, 1))
	if code, stdout, _ := h.jmld("config", "reload"); code != exitError || !strings.Contains(stdout, "sources: entra is gone; sources: okta is new") {
		t.Errorf("exit %d\n%s", code, stdout)
	}
	hire("eve@example.org")
	has("eve@example.org", "platform")

	// A good one is adopted: people who are there get what they should have by it, in a target that was not there before.
	next := strings.Replace(good, "targets:\n", "targets:\n  - {name: extra, class: app, local: {}}\n", 1)
	next = strings.Replace(next, "  accounts:\n", "  accounts:\n    - {name: all, target: extra, when: person.active}\n", 1)
	h.write("config.yaml", strings.Replace(next, "level: info", "level: warn", 1))
	var doc reloadJSON
	h.read(&doc, "config", "reload", "--by", "ada")
	if len(doc.Replicas) != 1 || doc.Replicas[0].Outcome != model.ReloadAdopted || fmt.Sprint(doc.Replicas[0].Later) != "[log]" {
		t.Errorf("%+v", doc)
	}
	has("ada@example.org", "platform", "extra")
	page, err := http.Get(d.url + "/tasks")
	if err != nil {
		t.Fatal(err)
	}
	defer page.Body.Close()
	if text, err := io.ReadAll(page.Body); err != nil || !strings.Contains(string(text), "<option>extra") {
		t.Errorf("the console does not list the new target: %v", err)
	}
	res, err := http.Get(d.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	for _, want := range []string{`jmld_reloads_total{outcome="adopted"} 1`, `jmld_reloads_total{outcome="refused"} 3`, `jmld_rules_info{rules="` + doc.Replicas[0].Fingerprint + `"} 1`} {
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("metrics without %s: %v", want, err)
		}
	}
	if out := h.must("config", "reload"); !strings.Contains(out, string(model.ReloadUnchanged)) {
		t.Error(out)
	}
	d.stop()
}

// TestGroupsAndRolesAreAdoptedWithTheRulesOrNeitherIs: what the guard would hold of the tree keeps the rules of the same file from being
// adopted, too, until somebody approves of both.
func TestGroupsAndRolesAreAdoptedWithTheRulesOrNeitherIs(t *testing.T) {
	t.Parallel()
	h := newHouse(t, houseOptions{})
	good := h.text("config.yaml")
	h.write("config.yaml", good+`
access:
  approver: Lena Berg
  roles: [{name: Developer, permissions: {project: [edit]}}]
  groups: [{name: Builders, description: Build, parent: root, admins: ["userName:ada@example.org"]}]
`)
	d := h.serve()
	next := strings.Replace(good, `"Engineering"`, `"Nobody"`, 1)
	h.write("config.yaml", next)
	if code, stdout, stderr := h.jmld("config", "reload"); code != exitError || !strings.Contains(stdout, "nothing is declared any more") || !strings.Contains(stdout, "--approve") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	if out := h.must("access", "groups"); !strings.Contains(out, "Builders") {
		t.Errorf("gone:\n%s", out)
	}
	h.until(func() bool { return strings.Contains(d.log.text(), string(model.CodeReload)) }, "the refusal is logged")
	if log := d.log.text(); strings.Contains(log, "configuration adopted") {
		t.Errorf("half of it was adopted:\n%s", log)
	}
	// A daemon that starts with it adopts neither, stores what clients send, and decides nothing by it.
	d.stop()
	secret := h.token("entra")
	d = h.serve()
	if log := d.log.text(); !strings.Contains(log, string(model.CodeAccessHeld)) {
		t.Errorf("nothing is said:\n%s", log)
	}
	if a, err := d.client("entra", secret).do(http.MethodPost, "/Users", userJSON("ada@example.org", "Engineering")); err != nil || a.status != http.StatusCreated {
		t.Fatalf("%d %v %v", a.status, a.body, err)
	}
	if code, stdout, stderr := h.jmld("config", "reload"); code != exitError || !strings.Contains(stdout, "--approve") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	if out := h.must("access", "groups"); !strings.Contains(out, "Builders") {
		t.Errorf("gone:\n%s", out)
	}
	if out := h.must("person", "ada@example.org"); !strings.Contains(out, "ada@example.org") {
		t.Errorf("not stored:\n%s", out)
	}
	if out := h.must("config", "reload", "--approve"); !strings.Contains(out, string(model.ReloadAdopted)) {
		t.Error(out)
	}
	if out := h.must("access", "groups"); strings.Contains(out, "Builders") {
		t.Errorf("still there:\n%s", out)
	}
	d.stop()
}

// TestDoubtfulRulesThatRanBeforeKeepRunning: a newer version sees more than an older one did, and that must not stop a company's daemon.
// Rules that did not run before are refused.
func TestDoubtfulRulesThatRanBeforeKeepRunning(t *testing.T) {
	t.Parallel()
	h := newHouse(t, houseOptions{})
	h.write("config.yaml", strings.Replace(h.text("config.yaml"), `person.department == "Engineering"`, `person.department == "A" && person.department == "B"`, 1))
	if d, err := h.tryServe(); err == nil || !strings.Contains(err.Error(), "expected a condition that can hold") {
		t.Fatalf("%v, %v", d, err)
	}
	if _, err := os.Stat(filepath.Join(h.dir, "jmld.db")); err == nil {
		t.Error("whoever was sent away has made or changed the database")
	}
	data, err := os.ReadFile(h.config)
	if err != nil {
		t.Fatal(err)
	}
	_, err = config.Parse(h.config, data)
	found, ok := config.IsMistakes(err)
	if !ok || found.Config() == nil {
		t.Fatal(err)
	}
	fingerprint, err := found.Config().Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	db, err := store.Open(ctx, store.Options{URL: "sqlite:" + filepath.Join(h.dir, "jmld.db")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.AdoptRules(ctx, fingerprint) // as the older version did
	if cerr := db.Close(); err != nil || cerr != nil {
		t.Fatal(err, cerr)
	}
	d := h.serve()
	if log := d.log.text(); !strings.Contains(log, string(model.CodeRulesDoubtful)) {
		t.Errorf("nothing is said:\n%s", log)
	}
	h.must("accounts") // commands work beside it
	d.stop()
}

// Somebody may ask while a daemon starts, after it has read its file: it reads the file again rather than take the wish for an old one.
func TestAReloadAskedForDuringTheStartIsDone(t *testing.T) {
	t.Parallel()
	h := newHouse(t, houseOptions{})
	ctx := context.Background()
	db, err := store.Open(ctx, store.Options{URL: "sqlite:" + filepath.Join(h.dir, "jmld.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := db.AskReload(ctx, model.Reload{ID: "1", Actor: "ada", At: time.Now().UTC()}); err != nil {
		t.Fatal(err)
	}
	d := h.serve()
	h.until(func() bool {
		answers, err := db.ReloadAnswers(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return len(answers) == 1 && answers[0].Reload == "1" && answers[0].Outcome == model.ReloadUnchanged
	}, "an answer")
	d.stop()
}

func (h *house) text(name string) string {
	h.t.Helper()
	text, err := os.ReadFile(filepath.Join(h.dir, name))
	if err != nil {
		h.t.Fatal(err)
	}
	return string(text)
}

func (h *house) until(done func() bool, what string) {
	h.t.Helper()
	for end := time.Now().Add(2 * time.Minute); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			h.t.Fatalf("after two minutes still not: %s", what)
		}
	}
}
