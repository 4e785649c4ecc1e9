package model

import (
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"strings"
)

// IDs numbers ids in the order they come: 0, 1, 2, … It is for millions of them: a UUID in its usual form takes about 25 bytes,
// and nothing in it is a pointer. Any other text may be an id, too; then the text is kept beside. The zero value is empty.
type IDs struct {
	pages [][]uuid
	slots []uint32 // a hash table: the number plus one, or 0
	n     int
	texts map[uint32]string // of ids that are no UUIDs
}

type uuid [16]byte

const pageIDs = 4096

// Len is how many ids there are.
func (s *IDs) Len() int { return s.n }

// Find is the number of an id.
func (s *IDs) Find(id string) (int, bool) { return find(s, id) }

// FindBytes is Find.
func (s *IDs) FindBytes(id []byte) (int, bool) { return find(s, id) }

// Add is the number of an id, a new one if it has none yet.
func (s *IDs) Add(id string) (n int, fresh bool) { return add(s, id) }

// AddBytes is Add.
func (s *IDs) AddBytes(id []byte) (n int, fresh bool) { return add(s, id) }

// ID is the id with the number.
func (s *IDs) ID(n int) string {
	if text, ok := s.texts[uint32(n)]; ok {
		return text
	}
	var room [36]byte
	return string(s.AppendID(room[:0], n))
}

// AppendID appends the id with the number.
func (s *IDs) AppendID(to []byte, n int) []byte {
	if text, ok := s.texts[uint32(n)]; ok {
		return append(to, text...)
	}
	u := s.key(uint32(n))
	var b [36]byte
	hex.Encode(b[:8], u[:4])
	hex.Encode(b[9:13], u[4:6])
	hex.Encode(b[14:18], u[6:8])
	hex.Encode(b[19:23], u[8:10])
	hex.Encode(b[24:], u[10:])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return append(to, b[:]...)
}

func (s *IDs) key(n uint32) *uuid { return &s.pages[n/pageIDs][n%pageIDs] }

func find[T string | []byte](s *IDs, id T) (int, bool) {
	if s.n == 0 {
		return 0, false
	}
	key, plain := parseUUID(id)
	slot, ok := look(s, id, key, plain)
	return int(s.slots[slot]) - 1, ok
}

func add[T string | []byte](s *IDs, id T) (n int, fresh bool) {
	if s.n*4 >= len(s.slots)*3 {
		s.grow()
	}
	key, plain := parseUUID(id)
	slot, ok := look(s, id, key, plain)
	if ok {
		return int(s.slots[slot]) - 1, false
	}
	if s.n%pageIDs == 0 {
		s.pages = append(s.pages, make([]uuid, pageIDs))
	}
	n = s.n
	s.n++
	*s.key(uint32(n)) = key
	if !plain {
		if s.texts == nil {
			s.texts = map[uint32]string{}
		}
		s.texts[uint32(n)] = strings.Clone(string(id))
	}
	s.slots[slot] = uint32(n) + 1
	return n, true
}

// look returns the slot of the id, or the one where it belongs.
func look[T string | []byte](s *IDs, id T, key uuid, plain bool) (slot uint64, ok bool) {
	mask := uint64(len(s.slots) - 1)
	for slot = key.hash() & mask; s.slots[slot] != 0; slot = (slot + 1) & mask {
		n := s.slots[slot] - 1
		if *s.key(n) != key {
			continue
		}
		if text, is := s.texts[n]; is != plain && (plain || text == string(id)) {
			return slot, true
		}
	}
	return slot, false
}

func (s *IDs) grow() {
	s.slots = make([]uint32, max(64, 2*len(s.slots)))
	mask := uint64(len(s.slots) - 1)
	for n := range uint32(s.n) {
		slot := s.key(n).hash() & mask
		for s.slots[slot] != 0 {
			slot = (slot + 1) & mask
		}
		s.slots[slot] = n + 1
	}
}

// hash spreads keys that count upwards, too.
func (u *uuid) hash() uint64 {
	a, b := binary.LittleEndian.Uint64(u[:8]), binary.LittleEndian.Uint64(u[8:])
	high, low := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xd1b54a32d192ed03)
	return high ^ low ^ bits.RotateLeft64(a+b, 32)*0xff51afd7ed558ccd
}

// parseUUID reads the usual form, RFC 9562 §4 in lower case. Of another text it makes a key that is not its alone.
func parseUUID[T string | []byte](id T) (key uuid, plain bool) {
	if len(id) == 36 && id[8] == '-' && id[13] == '-' && id[18] == '-' && id[23] == '-' {
		at, ok := 0, true
		for i := 0; i < 36; i += 2 {
			if i == 8 || i == 13 || i == 18 || i == 23 {
				i++
			}
			high, low := nibble(id[i]), nibble(id[i+1])
			ok = ok && high < 16 && low < 16
			key[at] = high<<4 | low&15
			at++
		}
		if ok {
			return key, true
		}
	}
	a, b := uint64(len(id)), uint64(14695981039346656037)
	for i := range len(id) { // FNV-1a, and a second sum beside it
		b = (b ^ uint64(id[i])) * 1099511628211
		a = bits.RotateLeft64(a, 7) + b
	}
	binary.LittleEndian.PutUint64(key[:8], a)
	binary.LittleEndian.PutUint64(key[8:], b)
	return key, false
}

func nibble(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 16
}
