package model

import (
	"fmt"
	"runtime"
	"testing"

	"pgregory.net/rapid"
)

// IDs does what a map and a list do together.
func TestIDsAreNumberedOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.OneOf(
			rapid.StringMatching(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-00000000000[0-9a-f]`), rapid.StringN(0, 40, 80),
			rapid.Map(rapid.IntRange(0, 50), func(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012x", n) }),
			rapid.SampledFrom([]string{"", "00000000-0000-4000-8000-00000000000G", "00000000-0000-4000-8000-00000000000A", "00000000x0000-4000-8000-000000000001"}),
		)
		var s IDs
		var list []string
		number := map[string]int{}
		for _, id := range rapid.SliceOfN(id, 0, 300).Draw(t, "ids") {
			want, known := number[id]
			if got, ok := s.Find(id); ok != known || ok && got != want {
				t.Fatalf("find %q: %d, %v; want %d, %v", id, got, ok, want, known)
			}
			if !known {
				want = len(list)
				number[id], list = want, append(list, id)
			}
			if got, fresh := s.AddBytes([]byte(id)); got != want || fresh == known {
				t.Fatalf("add %q: %d, %v; want %d, %v", id, got, fresh, want, !known)
			}
		}
		for n, id := range list {
			if got := s.ID(n); got != id {
				t.Fatalf("%d is %q, want %q", n, got, id)
			}
			if got, ok := s.FindBytes([]byte(id)); !ok || got != n {
				t.Fatalf("%q is %d, want %d", id, got, n)
			}
		}
		if s.Len() != len(list) {
			t.Fatalf("%d ids, want %d", s.Len(), len(list))
		}
	})
}

func TestManyIDsAreSmall(t *testing.T) { //nolint:paralleltest // what others keep would be counted
	var s IDs
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const many = 1 << 17
	for i := range many {
		s.Add(fmt.Sprintf("00000000-0000-4000-8000-%012x", i))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if kept := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / many; s.Len() != many || kept > 32 {
		t.Errorf("%d bytes for each of %d ids", kept, s.Len())
	} else {
		t.Logf("%d bytes for an id", kept)
	}
}
