package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jmld/internal/capture"
	"jmld/internal/store"
	"jmld/internal/testserver"
)

// TestCaptureHasTheSourcesSettings (D-16): declared extensions, their values and the source's limits are in the file, so that
// a replay answers the same without the configuration.
func TestCaptureHasTheSourcesSettings(t *testing.T) {
	t.Parallel()
	h := newHouse(t, houseOptions{})
	config := strings.Replace(h.file("config.yaml"), "limits: {", "limits: {bulk_operations: 1, page_size: 1, depth: 10, ", 1) + `extensions:
  - urn: urn:example:acme:2.0:User
    name: acme
    attributes:
      - {name: badge, canonical_values: [Gold, Silver], mutability: immutable}
      - {name: locker, uniqueness: server}
`
	h.write("config.yaml", config)
	secret := h.token("entra")
	d := h.serve()
	c := d.client("entra", secret)
	file := filepath.Join(h.dir, "traffic.jsonl")
	rec := h.capture("entra", "--for", "5m", "--out", file)
	acme := func(name, badge, locker string) string {
		return `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:example:acme:2.0:User"],"userName":"` + name + `","externalId":"01a20342-6c1e-7b56-a1b2-5a7f3c6d8e90",` +
			`"urn:example:acme:2.0:User":{"badge":"` + badge + `","locker":"` + locker + `"}}`
	}
	id := c.want(t, 201, "POST", "/Users", acme("kunigunde@example.org", "gold", "Schrank 17")).id()
	c.want(t, 400, "POST", "/Users", acme("wilhelmina@example.org", "Lead", "Schrank 18"))
	c.want(t, 409, "POST", "/Users", acme("wilhelmina@example.org", "Silver", "schrank 17"))
	c.want(t, 201, "POST", "/Users", acme("theodor@example.org", "Silver", "Schrank 19"))
	c.want(t, 400, "PATCH", "/Users/"+id, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"urn:example:acme:2.0:User:badge","value":"Silver"}]}`)
	c.want(t, 200, "GET", "/Users", "")
	c.want(t, 200, "GET", "/Schemas/urn:example:acme:2.0:User", "")
	c.want(t, 413, "POST", "/Bulk", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[{"method":"DELETE","path":"/Users/x"},{"method":"DELETE","path":"/Users/y"}]}`)
	c.want(t, 400, "POST", "/Users", strings.Repeat(`{"a":`, 12)+"1"+strings.Repeat("}", 12))
	rec.signal(t, os.Interrupt)
	rec.ended(t)
	d.stop()
	text := h.file("traffic.jsonl")
	for _, gone := range []string{"01a20342", "kunigunde", "chrank", "Lead"} {
		if strings.Contains(text, gone) {
			t.Errorf("%s is in the file", gone)
		}
	}
	code, stdout, stderr := h.jmld("scim", "replay", file)
	if code != exitOK || !strings.Contains(stdout, "9 played, 9 answered as captured, 0 differently") {
		t.Errorf("exit %d\n%s%s\n%s", code, stdout, stderr, text)
	}
	h.must("scim", "replay", file, "-c", h.config)
	read, err := capture.Read(strings.NewReader(text))
	if err != nil || read.Bounds.BulkOperations != 1 || read.Bounds.Page != 1 || read.Bounds.FilterTerms == 0 || len(read.Extensions) != 1 {
		t.Errorf("%+v, %v", read.Settings, err)
	}
}

// A database that has tables is refused before anything in it is changed.
func TestReplayLeavesADatabaseOfSomebodyAlone(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(*testing.T, *house) string{
		"sqlite":   func(_ *testing.T, h *house) string { return "sqlite:" + filepath.Join(h.dir, "own.db") },
		"postgres": func(t *testing.T, _ *house) string { return testserver.Postgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, houseOptions{})
			h.write("traffic.jsonl", `{"format":"jmld.capture/1","source":"entra","maxBody":1000}`+"\n"+`{"end":{}}`+"\n")
			at := database(t, h)
			h.must("scim", "replay", "traffic.jsonl", "--database", at) // it was empty
			if code, _, stderr := h.jmld("scim", "replay", "traffic.jsonl", "--database", at); code != exitUsage || !strings.Contains(stderr, "not empty") {
				t.Errorf("exit %d\n%s", code, stderr)
			}
			if db, err := store.Open(t.Context(), store.Options{URL: at}); err != nil {
				t.Error(err)
			} else if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
