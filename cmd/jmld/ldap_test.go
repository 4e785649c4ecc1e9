package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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
