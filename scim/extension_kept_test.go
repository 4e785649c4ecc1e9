package scim_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// R35 R95: what a PUT leaves out and keeps is kept with what it requires, else no client without that in its template could replace anybody.
func TestReplaceKeepsWhatTheImmutableNeeds(t *testing.T) {
	t.Parallel()
	const must = "urn:example:params:scim:must:2.0:User"
	c := newHR(t, sqlite())
	with := func(extension string) string {
		return `{"schemas":[` + userURN + `,"` + must + `"],"userName":"ada","` + must + `":{` + extension + `}}`
	}
	id := c.create(t, "/Users", with(`"needed":"n","kept":"k","since":"2026","desk":{"room":"R","number":"1","colour":"red"}`))
	for _, tt := range []struct {
		what, body string
		status     int
		want       any
	}{
		{"a part", with(`"needed":"m","desk":{"number":"1"}`), 400, nil},
		{"without the attribute around it", with(`"needed":"m","kept":"k"`), 200,
			map[string]any{"needed": "m", "kept": "k", "since": "2026", "desk": map[string]any{"room": "R", "number": "1"}}},
		{"without what the extension requires", with(`"kept":"k"`), 400, nil},
		{"without the extension", `{"schemas":[` + userURN + `],"userName":"ada"}`, 200,
			map[string]any{"needed": "m", "since": "2026", "desk": map[string]any{"room": "R", "number": "1"}}},
	} {
		a := c.must(t, "PUT", "/Users/"+id, tt.body, tt.status)
		doc, _ := a.json.(map[string]any)
		if diff := cmp.Diff(tt.want, doc[must]); diff != "" {
			t.Errorf("%s: %s", tt.what, diff)
		}
	}
}
