package scim

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestBulkOrderKeepsTheRequestsWhereItCan(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		before [][]int
		want   [][]int
	}{
		{"nothing to wait for", [][]int{nil, nil, nil}, [][]int{{0}, {1}, {2}}},
		{"forward", [][]int{{2}, nil, nil}, [][]int{{1}, {2}, {0}}},
		{"a chain backwards", [][]int{{1}, {2}, {3}, nil}, [][]int{{3}, {2}, {1}, {0}}},
		{"freed ones go first by their place", [][]int{{3}, {3}, nil, nil, {0}}, [][]int{{2}, {3}, {0}, {1}, {4}}},
		{"a circle and what needs it", [][]int{{1}, {3}, nil, {1}}, [][]int{{1, 3}, {0}, {2}}},
		{"two circles in one", [][]int{{1}, {0, 2}, {1}}, [][]int{{0, 1, 2}}},
	} {
		if diff := cmp.Diff(tt.want, bulkOrder(tt.before)); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
	long := make([][]int, 200_000) // deeper than any stack would bear, and no slower for it
	for i := range len(long) - 1 {
		long[i] = []int{i + 1}
	}
	if order := bulkOrder(long); len(order) != len(long) || order[0][0] != len(long)-1 {
		t.Errorf("%d units", len(order))
	}
	long[len(long)-1] = []int{0}
	if order := bulkOrder(long); len(order) != 1 || len(order[0]) != len(long) {
		t.Errorf("%d units of a circle", len(order))
	}
}

// Each operation comes once; what it needs came before or is in its unit, and then each of the unit reaches each other.
func TestBulkOrderIsRightForAnyReferences(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "n")
		before := make([][]int, n)
		reach := make([][]bool, n)
		for v := range before {
			reach[v] = make([]bool, n)
			before[v] = rapid.SliceOfNDistinct(rapid.IntRange(0, n-1).Filter(func(w int) bool { return n == 1 || w != v }), 0, min(3, n-1), rapid.ID).Draw(t, "before")
			for _, w := range before[v] {
				reach[v][w] = true
			}
		}
		for k := range n {
			for v := range n {
				for w := range n {
					reach[v][w] = reach[v][w] || reach[v][k] && reach[k][w]
				}
			}
		}
		done := map[int]bool{}
		for _, unit := range bulkOrder(before) {
			// The first in the request of those that could be next.
			for v := range n {
				if v < unit[0] && !done[v] && !slices.ContainsFunc(before[v], func(w int) bool { return !done[w] }) {
					t.Fatalf("%d before %d: %v", unit[0], v, before)
				}
			}
			for _, v := range unit {
				if done[v] {
					t.Fatalf("%d twice: %v", v, before)
				}
				done[v] = true
			}
			for i, v := range unit {
				if i > 0 && (unit[i-1] >= v || !reach[v][unit[0]] || !reach[unit[0]][v]) {
					t.Fatalf("unit %v: %v", unit, before)
				}
				for _, w := range before[v] {
					if !done[w] {
						t.Fatalf("%d without %d: %v", v, w, before)
					}
				}
			}
		}
		if len(done) != n {
			t.Fatalf("%d of %d: %v", len(done), n, before)
		}
	})
}

func TestReferencesAreFoundWhereTheyMayStand(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, method, target, data, want, wantTarget string }{
		{"values at any depth", "PUT", "x", `{"a":"bulkId:u","b":[["bulkId:u",{"c":"bulkId:u"}],1,null,true]}`, `{"a":"ID-u","b":[["ID-u",{"c":"ID-u"}],1,null,true]}`, "x"},
		{"whole texts only", "PUT", "x", `{"a":"see bulkId:u","b":"bulkid:u","c":"bulkId:","d":"x/bulkId:u"}`, `{"a":"see bulkId:u","b":"bulkid:u","c":"bulkId:","d":"x/bulkId:u"}`, "x"},
		{"ends of a $ref", "PUT", "bulkId:t", `{"a":{"$ref":"https://x/Users/bulkId:u"},"b":{"$REF":"bulkId:v"}}`, `{"a":{"$ref":"https://x/Users/ID-u"},"b":{"$REF":"ID-v"}}`, "ID-t"},
		{"not keys", "PUT", "bulkId:", `{"bulkId:u":1}`, `{"bulkId:u":1}`, "bulkId:"},
		{"operands in paths", "PATCH", "x", `{"path":"members[value eq \"bulkId:u\" or value eq \"7\" or value eq \"bulkId:v\"]"}`,
			`{"path":"members[value eq \"ID-u\" or value eq \"7\" or value eq \"ID-v\"]"}`, "x"},
		{"paths that end early", "PATCH", "x", `{"path":"a[b eq \"bulkId:u"}`, `{"path":"a[b eq \"bulkId:u"}`, "x"},
		{"paths of nobody", "PATCH", "x", `{"path":"a[b eq \"bulkId:\"] \"bulkId:v\""}`, `{"path":"a[b eq \"bulkId:\"] \"ID-v\""}`, "x"},
		{"no paths but in a PATCH", "PUT", "x", `{"path":"a[b eq \"bulkId:u\"]"}`, `{"path":"a[b eq \"bulkId:u\"]"}`, "x"},
	} {
		o, err := decodeObject([]byte(tt.data), storedDepth)
		if err != nil {
			t.Fatal(err)
		}
		op := bulkOperation{method: tt.method, target: tt.target, data: o}
		op.references(func(string) string { return "" })
		if diff := cmp.Diff(tt.data, objectText(op.data)); diff != "" || op.target != tt.target {
			t.Errorf("%s: looking changed it: %s", tt.name, diff)
		}
		op.references(func(name string) string { return "ID-" + name })
		if diff := cmp.Diff(tt.want, objectText(op.data)); diff != "" || op.target != tt.wantTarget {
			t.Errorf("%s: %s %s", tt.name, op.target, diff)
		}
	}
}

// objectText is the JSON of what was decoded, in its order.
func objectText(v any) string {
	switch v := v.(type) {
	case object:
		var parts []string
		for _, m := range v {
			parts = append(parts, canonical(m.key)+":"+objectText(m.value))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case []any:
		var parts []string
		for _, e := range v {
			parts = append(parts, objectText(e))
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	return canonical(v)
}
