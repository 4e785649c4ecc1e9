package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"jmld/internal/testserver"
	"jmld/model"
)

// TestDirectoryAndPushAreOnePerson: the same employee number at the directory and at the identity provider joins them;
// the first source in the configuration wins where both speak, and nobody is guessed (M-35, D-20).
func TestDirectoryAndPushAreOnePerson(t *testing.T) {
	t.Parallel()
	dir := newDirectory(t, 12)
	app := newApp(t)
	h := dir.house(t, houseOptions{App: app.url, AppToken: appSecret})
	secret := h.token("entra")
	d := h.serve()
	c := d.client("entra", secret)
	h.must("sync", "corp")

	// Employee 100003 of the directory, as the identity provider knows them.
	c.want(t, http.StatusCreated, "POST", "/Users", userJSON("three@example.org", "Engineering", "100003"))
	var p personJSON
	h.read(&p, "person", "100003")
	var sources []string
	for _, r := range p.Records {
		sources = append(sources, r.Source)
	}
	if diff := cmp.Diff([]string{"corp", "entra"}, sources); diff != "" {
		t.Errorf("records of the person (-want +got):\n%s", diff)
	}
	var attrs map[string]any
	if err := json.Unmarshal(p.Attributes, &attrs); err != nil {
		t.Fatal(err)
	}
	if attrs["userName"] != "u000003" {
		t.Errorf("the directory comes first, and userName is %v", attrs["userName"])
	}
	text := h.must("person", "100003")
	if !strings.Contains(text, ", not entra: three@example.org (precedence corp > entra)") {
		t.Errorf("the person does not show who lost:\n%s", text)
	}

	// Keys of two people: a human decides, and nobody loses anything.
	before := people(t, h, h.config)
	c.want(t, http.StatusCreated, "POST", "/Users", strings.Replace(userJSON("u000005@example.org", "Engineering", "100004"), "Person", "Two", 1))
	for _, number := range []string{"100004", "100005"} {
		var q personJSON
		h.read(&q, "person", number)
		if len(q.Records) != 1 {
			t.Errorf("the disputed record was joined to %s: %+v", number, q.Records)
		}
	}
	if diff := cmp.Diff(before, people(t, h, h.config)); diff != "" {
		t.Errorf("a disputed record changed accounts (-before +after):\n%s", diff)
	}
	d.stop()
}

// TestPlanIsTheRun: what plan shows is what sync does, one by one (D-05), and nothing is written by it.
func TestPlanIsTheRun(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(*testing.T) string{
		"sqlite":   func(*testing.T) string { return "" },
		"postgres": func(t *testing.T) string { return testserver.Postgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := newDirectory(t, 120)
			h := dir.house(t, houseOptions{Database: database(t), Guard: "{leavers: {count: 3, share: 0%}, ceiling: 100%}"})
			compare := func(exit int, leavers int) {
				t.Helper()
				before := h.must("accounts", "--limit", "10000", "-o", "json")
				code, out, errs := h.jmld("plan", "corp", "-o", "json")
				if code != exit {
					t.Fatalf("plan: exit %d, want %d\n%s", code, exit, errs)
				}
				var planned, done syncJSON
				if err := json.Unmarshal([]byte(out), &planned); err != nil {
					t.Fatal(err)
				}
				if after := h.must("accounts", "--limit", "10000", "-o", "json"); after != before {
					t.Error("plan changed accounts")
				}
				_, out, _ = h.jmld("sync", "corp", "-o", "json")
				if err := json.Unmarshal([]byte(out), &done); err != nil {
					t.Fatal(err)
				}
				ignore := cmpopts.IgnoreFields(changeJSON{}, "ID", "Identity", "Run", "Plan", "Before", "After", "Because", "At")
				if diff := cmp.Diff(planned.Changes, done.Changes, ignore); diff != "" {
					t.Errorf("plan (-) and run (+) differ:\n%s", diff)
				}
				left := 0
				for _, c := range done.Changes {
					if c.Op == model.OpDeactivate {
						left++
					}
				}
				if left != leavers {
					t.Errorf("%d leavers, want %d", left, leavers)
				}
			}
			h.write("config.yaml", strings.Replace(h.file("config.yaml"), `has(person.department) && person.department == "Engineering"`, `"true"`, 1))
			compare(exitChanges, 0)
			compare(exitOK, 0)
			dir.change(t, 1)
			dir.Delete(testserver.UserDN(7))
			compare(exitChanges, 0) // one is missing, not absent yet
			compare(exitChanges, 1)
			for i := 20; i < 30; i++ {
				dir.Delete(testserver.UserDN(i))
			}
			compare(exitOK, 0)
			compare(exitHeld, 10)
		})
	}
}

// TestAnotherServiceProvider: the SCIM target works against a second implementation, which is jmld's own (M-27).
func TestAnotherServiceProvider(t *testing.T) {
	t.Parallel()
	there := newHouse(t, houseOptions{Sources: []string{"upstream"}})
	upstream := there.token("upstream")
	other := there.serve()
	h := newHouse(t, houseOptions{App: other.url + "/scim/upstream/v2", AppToken: upstream})
	secret := h.token("entra")
	d := h.serve()
	c := d.client("entra", secret)
	a := c.want(t, http.StatusCreated, "POST", "/Users", userJSON("ada@example.org", "Sales"))

	provider := other.client("upstream", upstream)
	find := func() map[string]any {
		got, err := provider.do("GET", "/Users?filter="+url.QueryEscape(`userName eq "ada@example.org"`), "")
		if err != nil || got.status != http.StatusOK {
			t.Fatalf("%d %v %v", got.status, got.body, err)
		}
		list, _ := got.body["Resources"].([]any)
		if len(list) != 1 {
			return nil
		}
		found, _ := list[0].(map[string]any)
		return found
	}
	eventually(t, 20*time.Second, "the account there", func() bool { return find() != nil })
	c.want(t, http.StatusOK, "PATCH", "/Users/"+a.id(), patchJSON("displayName", "Ada the Second"))
	eventually(t, 20*time.Second, "the new name there", func() bool { return find()["displayName"] == "Ada the Second" })
	c.want(t, http.StatusOK, "PATCH", "/Users/"+a.id(), patchJSON("active", false))
	eventually(t, 20*time.Second, "the account inactive there", func() bool { return find()["active"] == false })
	d.stop()
	other.stop()
}

// TestEverythingOverTLS: LDAPS to the directory, https from clients and operators, a token for the console (M-45).
func TestEverythingOverTLS(t *testing.T) {
	t.Parallel()
	dir := newDirectory(t, 10)
	h := dir.house(t, houseOptions{LDAP: dir.TLSURL})
	text := strings.Replace(h.file("config.yaml"), "url: "+dir.TLSURL, "url: "+dir.TLSURL+"\n      ca_file: "+dir.CAFile, 1)
	h.write("config.yaml", text)
	h.must("sync", "corp")

	h.write("config.yaml", strings.Replace(text, dir.TLSURL, strings.Replace(dir.URL, "127.0.0.1", "ldap.example.org", 1), 1))
	if code, _, stderr := h.jmld("config", "check"); code != exitError || !strings.Contains(stderr, "ldap") {
		t.Errorf("plain LDAP to another machine is accepted: %d\n%s", code, stderr)
	}
	h.write("config.yaml", strings.Replace(text, "listen: {address: 127.0.0.1:0}", "listen: {address: 0.0.0.0:0}", 1))
	if code, _, stderr := h.jmld("config", "check"); code != exitError || !strings.Contains(stderr, "tls") || !strings.Contains(stderr, "token") {
		t.Errorf("plain http for everybody, and a console without a token, are accepted: %d\n%s", code, stderr)
	}
}
