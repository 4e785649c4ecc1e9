package engine

import (
	"encoding/binary"
	"hash/maphash"
	"runtime/debug"
	"sync"

	"jmld/model"
)

// snapshot is what a run knows of each entry of its source: what the store had, and what was read. It is made for millions.
type snapshot struct {
	ids   model.IDs
	pages [][]known
	seed  maphash.Seed
}

// known is one entry.
type known struct {
	// hash is made of the content's with the run's own seed: eight bytes are enough, as nobody can look for two contents that
	// have them in common.
	hash    [8]byte
	content bool // there is a hash
	group   bool
	seen    bool
	// listed by the ids of a delta or census; its content may come, too
	listed bool
}

const pageKnown = 4096

func newSnapshot() *snapshot { return &snapshot{seed: maphash.MakeSeed()} }

// len is how many entries there are.
func (s *snapshot) len() int { return s.ids.Len() }

// find returns what is known of an entry; nil: nothing.
func (s *snapshot) find(id string) *known {
	n, ok := s.ids.Find(id)
	if !ok {
		return nil
	}
	return s.at(n)
}

// add makes an entry known, if it is not yet.
func (s *snapshot) add(id string, kind model.Kind) *known {
	n, fresh := s.ids.Add(id)
	return s.added(n, fresh, kind)
}

// addBytes is add.
func (s *snapshot) addBytes(id []byte, kind model.Kind) *known {
	n, fresh := s.ids.AddBytes(id)
	return s.added(n, fresh, kind)
}

func (s *snapshot) added(n int, fresh bool, kind model.Kind) *known {
	if fresh && n%pageKnown == 0 {
		s.pages = append(s.pages, make([]known, pageKnown))
	}
	k := s.at(n)
	if fresh {
		k.group = kind == model.KindGroup
	}
	return k
}

func (s *snapshot) at(n int) *known { return &s.pages[n/pageKnown][n%pageKnown] }

// same says whether the hash is the one of the content that is known.
func (s *snapshot) same(k *known, hash []byte) bool {
	return k.content == (len(hash) > 0) && (!k.content || k.hash == s.digest(hash))
}

func (s *snapshot) set(k *known, hash []byte) {
	k.hash, k.content = [8]byte{}, len(hash) > 0
	if k.content {
		k.hash = s.digest(hash)
	}
}

func (s *snapshot) digest(hash []byte) (d [8]byte) {
	binary.LittleEndian.PutUint64(d[:], maphash.Bytes(s.seed, hash))
	return d
}

// list returns the ids of the entries for which which holds.
func (s *snapshot) list(which func(*known) bool) []string {
	var ids []string
	for n := range s.ids.Len() {
		if which(s.at(n)) {
			ids = append(ids, s.ids.ID(n))
		}
	}
	return ids
}

// manyKnown entries make a snapshot that counts.
const manyKnown = 250_000

// thrift has garbage collected early while snapshots are large. They are free of pointers, so that this costs little, and the
// process needs not twice the memory that is in use. It is a matter of the whole process: the first snapshot sets it, the last
// one sets it back.
type thrift struct {
	mu            sync.Mutex
	users, before int
}

func (t *thrift) begin() (end func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.users++; t.users == 1 {
		t.before = debug.SetGCPercent(10)
	}
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.users--; t.users == 0 {
			debug.SetGCPercent(t.before)
		}
	}
}

func (k *known) is(kind model.Kind) bool { return k.group == (kind == model.KindGroup) }
