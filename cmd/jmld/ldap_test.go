package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/testserver"
	"jmld/ldapsync"
	"jmld/model"
)

// The probe needs the configuration and the directory, and leaves nothing behind.
func TestLDAPProbe(t *testing.T) {
	t.Parallel()
	dir := newDirectory(t, 30)
	h := dir.house(t, houseOptions{})
	before, err := filepath.Glob(filepath.Join(h.dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := h.jmld("ldap", "probe", "corp")
	if code != exitOK || !strings.Contains(stdout, "people: 30 match") || !strings.Contains(stdout, "source corp can be read") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	after, err := filepath.Glob(filepath.Join(h.dir, "*"))
	if err != nil || len(after) != len(before) {
		t.Errorf("files before %v, after %v (%v)", before, after, err)
	}
	h.write("secrets/ldap", "wrong")
	code, stdout, stderr = h.jmld("ldap", "probe", "corp")
	if code != exitIncomplete || !strings.Contains(stdout, "fail  bind") || !strings.Contains(stdout, "JML-2003") ||
		!strings.Contains(stdout, "source corp cannot be read like this") {
		t.Errorf("wrong password: exit %d\n%s%s", code, stdout, stderr)
	}
	var doc probeJSON
	code, stdout, stderr = h.jmld("ldap", "probe", "corp", "-o", "json")
	if err := json.Unmarshal([]byte(stdout), &doc); err != nil || code != exitIncomplete || len(doc.Checks) == 0 {
		t.Fatalf("exit %d, %v\n%s%s", code, err, stdout, stderr)
	}
	last := doc.Checks[len(doc.Checks)-1]
	if doc.OK || last.Name != "bind" || last.Outcome != ldapsync.CheckFail || last.Code != "JML-2003" || last.Do == "" {
		t.Errorf("%+v", doc)
	}
	if code, _, stderr := h.jmld("ldap", "probe", "nobody"); code != exitNotFound || !strings.Contains(stderr, "no source") {
		t.Errorf("no such source: exit %d, %s", code, stderr)
	}
	if code, _, stderr := h.jmld("stop", "corp"); code != exitNotFound || !strings.Contains(stderr, "not being read") {
		t.Errorf("stop: exit %d, %s", code, stderr)
	}
}

// A run shows which server was read, where the time went, and every condition of its proof.
func TestRunShowsServerAndPhases(t *testing.T) {
	t.Parallel()
	dir := newDirectory(t, 40)
	h := dir.house(t, houseOptions{})
	var done syncJSON
	h.read(&done, "sync", "corp")
	out := h.must("runs", done.Run.ID)
	for _, want := range []string{"server   " + dir.url + " (" + dir.Addr + ")", "phases   connect ", ", bind ", ", read ", ", confirm ", ", decide ", ", commit ",
		"  ok   read to the end: 40 people, 4 groups"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in:\n%s", want, out)
		}
	}
	var proof model.Proof
	if err := json.Unmarshal(done.Run.Proof, &proof); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range proof.Phases {
		names = append(names, p.Name)
	}
	if d := cmp.Diff([]string{"connect", "bind", "read", "confirm", "decide", "commit"}, names); d != "" {
		t.Errorf("phases (-want +got):\n%s", d)
	}
}

// One person is read and explained, and nothing is changed: listed, out of scope, not there.
func TestSyncOnly(t *testing.T) { // keycloak #24669
	t.Parallel()
	dir := newDirectory(t, 20)
	app := newApp(t)
	h := dir.house(t, houseOptions{App: app.url, AppToken: appSecret})
	h.must("sync", "corp")
	only := func(who string, want int, texts ...string) {
		t.Helper()
		code, stdout, stderr := h.jmld("sync", "corp", "--only", who)
		for _, text := range texts {
			if !strings.Contains(stdout+stderr, text) {
				t.Errorf("%s: %q is not in:\n%s%s", who, text, stdout, stderr)
			}
		}
		if code != want {
			t.Errorf("%s: exit %d, want %d\n%s%s", who, code, want, stdout, stderr)
		}
	}
	only("u000003", exitOK, "is listed as a person, active", "would change no account")
	dir.Replace(testserver.UserDN(3), "displayName", "Ada Changed")
	only(testserver.UserDN(3), exitChanges, "Ada Changed", "nothing was changed")
	only("u000003", exitChanges, "Ada Changed")
	only("nobody-of-this-name", exitNotFound, "nothing below")
	only("uid=nobody,"+testserver.PeopleBase, exitNotFound, "may not read it")
	only(testserver.SyncDN, exitOK, "is out of scope")
	var done syncJSON
	h.read(&done, "sync", "corp")
	if len(done.Changes) == 0 {
		t.Error("the run that follows has nothing to do: --only changed something")
	}
}
