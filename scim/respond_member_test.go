package scim

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A member is written as every other value is.
func TestMemberIsWrittenAsAValue(t *testing.T) {
	t.Parallel()
	q := &request{base: "https://jmld.example.org/scim/entra/v2"}
	for _, of := range []*resourceType{nil, {name: "User", endpoint: "/Users"}} {
		for _, name := range []string{"", "Ada", "a \"quoted\"\nname \u2028 é"} {
			want := map[string]any{"value": "0190-\"x"}
			if of != nil {
				want["$ref"], want["type"] = q.location(of, "0190-\"x"), of.name
			}
			if name != "" {
				want["display"] = name
			}
			if d := cmp.Diff(canonical(want), string(q.appendMember(nil, of, "0190-\"x", name))); d != "" {
				t.Error(d)
			}
		}
	}
}
