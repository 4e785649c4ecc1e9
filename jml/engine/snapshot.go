package engine

import (
	"encoding/binary"
	"hash/maphash"
	"iter"

	"jmld/model"
)

// snapshot is what a run knows of each entry of its source: what the store had, and what was read. It is made for millions.
type snapshot struct {
	ids   model.IDs // a source that is compared with it adds those that are not known
	n     int
	pages [][]known
	seed  maphash.Seed
}

// known is one entry.
type known struct {
	// hash is made of the content's with the run's own seed: seven bytes are enough, as nobody can look for two contents that
	// have them in common.
	hash [7]byte
	is   facts
}

// facts are what is true of an entry.
type facts uint8

const (
	inStore facts = 1 << iota // or read: it is known
	hashed                    // it has content
	isGroup
	wasSeen
	wasListed // by the ids of a delta or census; its content may come, too
)

func (k *known) has(f facts) bool { return k.is&f != 0 }

func (k *known) note(f facts) { k.is |= f }

func (k *known) drop(f facts) { k.is &^= f }

const pageKnown = 4096

func newSnapshot() *snapshot { return &snapshot{seed: maphash.MakeSeed()} }

// len is how many entries are known.
func (s *snapshot) len() int { return s.n }

// find returns what is known of an entry; nil: nothing.
func (s *snapshot) find(id string) *known {
	n, ok := s.ids.Find(id)
	return s.numbered(n, ok)
}

// findBytes is find.
func (s *snapshot) findBytes(id []byte) *known {
	n, ok := s.ids.FindBytes(id)
	return s.numbered(n, ok)
}

func (s *snapshot) numbered(n int, ok bool) *known {
	if !ok || n >= len(s.pages)*pageKnown || !s.at(n).has(inStore) {
		return nil
	}
	return s.at(n)
}

// add makes an entry known, if it is not yet.
func (s *snapshot) add(id string, kind model.Kind) *known {
	n, _ := s.ids.Add(id)
	return s.added(n, kind)
}

// addBytes is add.
func (s *snapshot) addBytes(id []byte, kind model.Kind) *known {
	n, _ := s.ids.AddBytes(id)
	return s.added(n, kind)
}

func (s *snapshot) added(n int, kind model.Kind) *known {
	for n >= len(s.pages)*pageKnown {
		s.pages = append(s.pages, make([]known, pageKnown))
	}
	k := s.at(n)
	if !k.has(inStore) {
		s.n++
		if k.note(inStore); kind == model.KindGroup {
			k.note(isGroup)
		}
	}
	return k
}

func (s *snapshot) at(n int) *known { return &s.pages[n/pageKnown][n%pageKnown] }

// all yields what is known, by number.
func (s *snapshot) all() iter.Seq2[int, *known] { return s.from(0) }

// from is all, beginning with a number.
func (s *snapshot) from(start int) iter.Seq2[int, *known] {
	return func(yield func(int, *known) bool) {
		all := len(s.pages) * pageKnown
		for i := range all {
			n := (start + i) % all
			if k := s.at(n); k.has(inStore) && !yield(n, k) {
				return
			}
		}
	}
}

// same says whether the hash is the one of the content that is known.
func (s *snapshot) same(k *known, hash []byte) bool {
	return k.has(hashed) == (len(hash) > 0) && (!k.has(hashed) || k.hash == s.digest(hash))
}

func (s *snapshot) set(k *known, hash []byte) {
	k.hash = [7]byte{}
	if k.drop(hashed); len(hash) > 0 {
		k.note(hashed)
		k.hash = s.digest(hash)
	}
}

func (s *snapshot) digest(hash []byte) [7]byte {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], maphash.Bytes(s.seed, hash))
	return [7]byte(b[:7])
}

// list returns the ids of the entries for which which holds.
func (s *snapshot) list(which func(*known) bool) []string {
	var ids []string
	for n, k := range s.all() {
		if which(k) {
			ids = append(ids, s.ids.ID(n))
		}
	}
	return ids
}

// manyKnown entries make a snapshot that counts.
const manyKnown = 250_000

func (k *known) of(kind model.Kind) bool { return k.has(isGroup) == (kind == model.KindGroup) }
