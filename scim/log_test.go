package scim_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"jmld/scim"
)

// M-45, D-15, R6 and R8: a request's line says what was done and what was read differently; no secrets, no values.
func TestLogHasNoSecretsAndNoValues(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.DebugLevel)
	var seen []scim.Observation
	b := sqlite()
	var url string
	c := newClient(t, backend{b.name, func(t testing.TB) string { url = b.url(t); return url }}, func(o *scim.Options) {
		o.Log, o.Observe = zap.New(core), func(o scim.Observation) { seen = append(seen, o) }
	})
	id := c.create(t, "/Users", `{"schemas":["ada.private@example.org","urn:example:other"],"userName":"ada.private@example.org","password":"correct horse","title":"Private","unknown-private":1,"active":"True"}`)
	c.must(t, "GET", "/Users?filter=userName%20eq%20%22ada.private%40example.org%22", "", 200)
	c.must(t, "GET", "/Users/ada.private@example.org", "", 404)
	c.must(t, "PATCH", "/Users/"+id, `{"Operations":[{"op":"Replace","path":"emails[value eq \"ada.private@example.org\"].type","value":"work"},{"op":"add","path":"password","value":"battery staple"}]}`, 200)
	c.must(t, "PATCH", "/Users/"+id, `{"Operations":[{"op":"add","path":"ada.private@example.org","value":"x"},{"op":"add","value":{"ada.private@example.org":"x"}}]}`, 200)
	c.must(t, "GET", "/Users?filter=password%20eq%20%22correct%20horse%22", "", 400)
	var text strings.Builder
	for _, e := range logs.All() {
		line, err := json.Marshal(e.ContextMap())
		if err != nil {
			t.Fatal(err)
		}
		text.Write(line)
	}
	for _, private := range []string{"ada.private", "horse", "staple", secret, "Private\""} {
		if strings.Contains(text.String(), private) {
			t.Errorf("the log holds %q: %s", private, text.String())
		}
	}
	first := logs.FilterMessage("scim request").All()[0].ContextMap()
	delete(first, "duration")
	delete(first, "request")
	want := map[string]any{
		"method": "POST", "route": "/Users", "status": int64(201), "source": "entra", "actor": "source entra, token laptop", "record": id, "count": int64(6),
		"dialect": "Entra",
		"notes": []any{"schemas: User assumed", "password: accepted, not stored", "unknown-private: unknown, ignored", `active: "True" read as true`,
			"schemas: one that is no URN, ignored", "schemas: urn:example:other unknown, ignored"},
	}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Error(diff)
	}
	if len(seen) != 6 || seen[0].Route != "/Users" || seen[0].Status != 201 || seen[0].Source != "entra" || seen[2].Route != "/Users/{id}" {
		t.Errorf("observed %+v", seen)
	}
	for _, e := range []string{"", "-wal"} { // M-45: the password is in no file either
		data, err := os.ReadFile(strings.TrimPrefix(url, "sqlite:") + e)
		if err != nil {
			t.Fatal(err)
		}
		for _, private := range []string{"correct horse", "battery staple", secret} {
			if bytes.Contains(data, []byte(private)) {
				t.Errorf("the database holds %q", private)
			}
		}
	}
}
