package ldapsync

import (
	"runtime"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// names does what a map does, and places stay.
func TestNamesAreSomebodysOrNobodysYet(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var s names
		owner, place := map[nameKey]uint32{}, map[nameKey]uint32{}
		key := rapid.Custom(func(t *rapid.T) (k nameKey) {
			n := rapid.IntRange(0, 300).Draw(t, "name")
			if k = hashName([]byte(strconv.Itoa(n))); n%3 == 0 {
				clear(k[:8]) // the slot, and often most of the tag, is another's, too
				k[11] = byte(n)
			}
			return k
		})
		for range rapid.IntRange(0, 500).Draw(t, "steps") {
			k := key.Draw(t, "key")
			if rapid.Bool().Draw(t, "seen") {
				who := rapid.SampledFrom([]uint32{0, 1, 1 << 20, severalPeople}).Draw(t, "who")
				s.set(k, who)
				owner[k] = who
			} else {
				place[k] = s.place(k)
			}
		}
		for i := range 301 {
			k := hashName([]byte(strconv.Itoa(i)))
			want, known := owner[k]
			if got, ok := s.find(k); ok != known || ok && got != want {
				t.Fatalf("%d: %d, %v; want %d, %v", i, got, ok, want, known)
			}
		}
		for k, want := range owner {
			if got, ok := s.find(k); !ok || got != want {
				t.Fatalf("%x: %d, %v; want %d", k, got, ok, want)
			}
		}
		for k, at := range place {
			want, known := owner[k]
			if got, ok := s.at(at); s.place(k) != at || ok != known || ok && got != want {
				t.Fatalf("%x: place %d, was %d, of %d, %v; want %d, %v", k, s.place(k), at, got, ok, want, known)
			}
		}
	})
}

func TestManyNamesAreSmall(t *testing.T) { //nolint:paralleltest // what others keep would be counted
	var s names
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const many = 1 << 17
	for i := range uint32(many) {
		s.set(hashName([]byte(strconv.Itoa(int(i)))), i)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if kept := float64(int64(after.HeapAlloc)-int64(before.HeapAlloc)) / many; s.list.n != many || kept > 25 {
		t.Errorf("%.1f bytes for each of %d names", kept, s.list.n)
	}
}
