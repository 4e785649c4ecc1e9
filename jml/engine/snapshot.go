package engine

import (
	"hash/maphash"

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
	hash    uint64
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
	return k.content == (len(hash) > 0) && (!k.content || k.hash == maphash.Bytes(s.seed, hash))
}

func (s *snapshot) set(k *known, hash []byte) {
	k.hash, k.content = 0, len(hash) > 0
	if k.content {
		k.hash = maphash.Bytes(s.seed, hash)
	}
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

func (k *known) is(kind model.Kind) bool { return k.group == (kind == model.KindGroup) }
