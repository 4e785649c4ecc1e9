package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"jmld/internal/testserver"
)

// directory is a real slapd with people in it.
type directory struct {
	*testserver.SlapdServer
	url, bindDN, password, base string

	people []string // user names
}

func newDirectory(t *testing.T, people int) *directory {
	t.Helper()
	s := testserver.Slapd(t, testserver.SlapdOptions{LDIF: testserver.LDIF(people, 4, 10)})
	d := &directory{SlapdServer: s, url: s.URL, bindDN: testserver.SyncDN, password: testserver.Password, base: testserver.Base}
	for i := range people {
		d.people = append(d.people, fmt.Sprintf("u%06d", i))
	}
	return d
}

// change gives the next read something to do.
func (d *directory) change(t *testing.T, round int) {
	t.Helper()
	for i := range 5 {
		n := (round*5 + i) % len(d.people)
		d.Replace(testserver.UserDN(n), "displayName", fmt.Sprintf("Person %d of round %d", n, round))
	}
}

func (d *directory) house(t *testing.T, o houseOptions) *house {
	t.Helper()
	if o.LDAP == "" {
		o.LDAP = d.url
	}
	o.BindDN, o.Password, o.Base = d.bindDN, d.password, d.base
	return newHouse(t, o)
}

// TestSlapdKilledInMidRead: what was not read is not concluded from; the next read goes on (D-01).
func TestSlapdKilledInMidRead(t *testing.T) {
	t.Parallel()
	const people = 1500
	app := newApp(t)
	dir := newDirectory(t, people)
	proxy := testserver.Proxy(t, dir.Addr)
	h := dir.house(t, houseOptions{LDAP: "ldap://" + proxy.Addr, App: app.url, AppToken: appSecret})
	d := h.serve()
	h.must("sync", "corp")
	eventually(t, time.Minute, "everybody in the app", func() bool { return app.createdOnce(t) == people })
	all := proxy.Passed()

	for _, part := range []int64{4, 2} { // a quarter of the way, half of the way
		proxy.Stall(all / part)
		before := proxy.Passed()
		read := make(chan result, 1)
		go func() {
			code, stdout, stderr := h.jmld("sync", "corp")
			read <- result{code, stdout, stderr}
		}()
		eventually(t, 20*time.Second, "the read half-way", func() bool { return proxy.Passed()-before >= all/part })
		dir.Kill()
		r := <-read
		if r.code != exitIncomplete || !strings.Contains(r.stderr, "JML-2005") && !strings.Contains(r.stderr, "JML-2001") {
			t.Errorf("a read of a directory that died: exit %d, want %d with JML-2005\n%s%s", r.code, exitIncomplete, r.stdout, r.stderr)
		}
		proxy.Pass()
		dir.Start()
	}

	// The directory is down as a whole.
	dir.Kill()
	if code, stdout, stderr := h.jmld("sync", "corp"); code != exitIncomplete || !strings.Contains(stderr, "JML-2001") {
		t.Errorf("a read of a directory that is down: exit %d\n%s%s", code, stdout, stderr)
	}
	dir.Start()

	var list accountsJSON
	h.read(&list, "accounts", "--state", "inactive", "--limit", "10000")
	if len(list.Accounts) > 0 {
		t.Errorf("%d accounts were deactivated, the first %+v", len(list.Accounts), list.Accounts[0])
	}
	for name, u := range app.users(t) {
		if !u.Active {
			t.Errorf("%s is not active in the app", name)
		}
	}
	var done syncJSON
	h.read(&done, "sync", "corp")
	if done.Run.Verdict != "complete" || len(done.Changes) > 0 {
		t.Errorf("the next read: %s, %d changes", done.Run.Verdict, len(done.Changes))
	}
	d.stop()
}

type result struct {
	code           int
	stdout, stderr string
}

// TestDirectoryErrorsSayWhich: one sentence, its code, and nobody leaves (D-01).
func TestDirectoryErrorsSayWhich(t *testing.T) {
	t.Parallel()
	dir := newDirectory(t, 40)
	base := houseOptions{LDAP: dir.url, BindDN: dir.bindDN, Password: dir.password, Base: dir.base}
	h := newHouse(t, base)
	h.must("sync", "corp")
	good := h.file("config.yaml")
	for _, tc := range []struct {
		name, from, to, code string
	}{
		{"unreachable", "url: " + dir.url, "url: ldap://" + freeAddr(t), "JML-2001"},
		{"untrusted certificate", "url: " + dir.url, "url: " + dir.TLSURL, "JML-2002"},
		{"wrong base", "base: " + dir.base, "base: dc=nowhere,dc=example,dc=org", "JML-2004"},
		{"nobody", "(objectClass=inetOrgPerson)", "(uid=nobody)", "JML-2008"},
	} {
		h.write("config.yaml", strings.Replace(good, tc.from, tc.to, 1))
		code, stdout, stderr := h.jmld("sync", "corp")
		if code != exitIncomplete || !strings.Contains(stderr, tc.code) {
			t.Errorf("%s: exit %d, want %s\n%s%s", tc.name, code, tc.code, stdout, stderr)
		}
	}
	h.write("config.yaml", good)
	h.write("secrets/ldap", "wrong")
	if code, stdout, stderr := h.jmld("sync", "corp"); code != exitIncomplete || !strings.Contains(stderr, "JML-2003") || strings.Contains(stderr, "wrong\"") {
		t.Errorf("wrong password: exit %d\n%s%s", code, stdout, stderr)
	}
	h.write("secrets/ldap", dir.password)
	var done syncJSON
	h.read(&done, "sync", "corp")
	if len(done.Changes) > 0 {
		t.Errorf("after all that, %d changes", len(done.Changes))
	}
	var runs runsJSON
	h.read(&runs, "runs", "--source", "corp")
	if len(runs.Runs) < 7 {
		t.Errorf("%d runs are listed, want at least 7: failed ones count", len(runs.Runs))
	}
}
