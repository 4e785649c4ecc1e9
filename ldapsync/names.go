package ldapsync

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
)

// nameKey is a part of the SHA-256 of a normalised name.
type nameKey [12]byte

const (
	// severalPeople is what a user name resolves to that is not one person's.
	severalPeople = 1<<32 - 1
	// nobodyYet has a name that was asked for and not seen.
	nobodyYet = 1<<32 - 2
)

// names says whose hashed names are. A name has a place, which stays. It is made for millions: a name takes 21 to 24 bytes, growing
// takes little more, and none of it is a pointer.
type names struct {
	list pages[nameOf]
	// slots are a hash table: a place plus one in the low bits, and above as much of the key as fits, so that hardly another's
	// key is looked at; or 0.
	slots []uint32
	low   int    // bits of a place
	seed  uint64 // who chooses names cannot choose slots
}

type nameOf struct {
	key nameKey
	who uint32
}

// find returns whose the name is, or severalPeople; false when it was not seen.
func (s *names) find(key nameKey) (who uint32, ok bool) {
	if s.list.n == 0 {
		return 0, false
	}
	slot, _ := s.look(&key)
	if s.slots[slot] == 0 {
		return 0, false
	}
	return s.at(s.held(slot))
}

// at returns whose the name at the place is.
func (s *names) at(place uint32) (who uint32, ok bool) {
	who = s.list.at(int(place)).who
	return who, who != nobodyYet
}

// set says whose the name is from now on.
func (s *names) set(key nameKey, who uint32) { s.list.at(int(s.place(key))).who = who }

// place returns the place of a name, a new one if it has none.
func (s *names) place(key nameKey) uint32 {
	if s.list.n*4 >= len(s.slots)*3 {
		s.grow()
	}
	slot, tag := s.look(&key)
	if s.slots[slot] == 0 {
		s.list.add(nameOf{key, nobodyYet})
		s.slots[slot] = tag | uint32(s.list.n)
	}
	return s.held(slot)
}

// held is the place in a slot.
func (s *names) held(slot int) uint32 { return s.slots[slot]&(1<<s.low-1) - 1 }

// look returns the slot of a name, or the free one where it belongs, and its tag.
func (s *names) look(key *nameKey) (slot int, tag uint32) {
	for slot, tag = s.home(key); s.slots[slot] != 0; slot = s.after(slot) {
		if (s.slots[slot]^tag)>>s.low == 0 && s.list.at(int(s.held(slot))).key == *key {
			break
		}
	}
	return slot, tag
}

func (s *names) home(key *nameKey) (slot int, tag uint32) {
	high, low := bits.Mul64(binary.LittleEndian.Uint64(key[:]), s.seed)
	high, _ = bits.Mul64(high^low, uint64(len(s.slots)))
	return int(high), binary.LittleEndian.Uint32(key[8:]) << s.low
}

func (s *names) after(slot int) int {
	if slot++; slot < len(s.slots) {
		return slot
	}
	return 0
}

func (s *names) grow() {
	if s.seed == 0 {
		s.seed = rand.Uint64() | 1
	}
	s.slots = make([]uint32, max(64, len(s.slots)+len(s.slots)/2))
	s.low = bits.Len(uint(len(s.slots)))
	for i := range s.list.n {
		slot, tag := s.home(&s.list.at(i).key)
		for s.slots[slot] != 0 {
			slot = s.after(slot)
		}
		s.slots[slot] = tag | uint32(i+1)
	}
}
