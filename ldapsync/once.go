package ldapsync

import (
	"context"
	"slices"
	"strings"

	"jmld/jml/entry"
	"jmld/ldapsync/wire"
	"jmld/model"
)

// once is a full read that does not list the people before it reads them:
//
//	groups by id and name
//	-> the people; whose references are to somebody who comes later waits, as hashes
//	-> the references, now that everybody is named; whose content is not known with them is read again
//	-> if somebody is new, or somebody known was not there: the people by id, which must be the same ones
//
// Otherwise the list is the one the store has, which earlier reads proved: it was listed twice alike. What such a read knows no better than
// the list, which is somebody new whom the server left out, the next read of changes finds: the mark stays where it was.
type once struct {
	fresh  int // not known before
	late   pages[late]
	refs   pages[uint32] // of all that wait, one after the other: places of names
	listed bool          // and listed after all
}

// late is a person who waits.
type late struct {
	n    uint32
	part [16]byte
}

// lastRef marks the last reference of a person.
const lastRef = 1 << 31

// mostAgain people are read again one by one.
const mostAgain = 1000

// mayReadOnce says whether there is something to compare a single list with.
func (r *run) mayReadOnce() bool {
	if r.known == nil || !r.known.Lacks(model.KindUser) || r.instead != "" { // nobody is known
		return false
	}
	if r.src.stamp() == "" {
		return true
	}
	is := r.src.o.Incremental
	if methodOf(is) == nil {
		is = entry.MethodModifyTime
	}
	return !r.known.Doubted() && !r.was.empty() && r.was.wanted() == is // from which changes can be read
}

func (r *run) readOnce(ctx context.Context) error {
	r.once = &once{}
	if err := r.listGroups(ctx); err != nil {
		return err
	}
	if err := r.readAll(ctx); err != nil {
		return err
	}
	if err := r.anybody(userRead); err != nil {
		return err
	}
	if err := r.readLate(ctx); err != nil {
		return err
	}
	if r.once.fresh > 0 || r.known.Lacks(model.KindUser) {
		r.once.listed = true
		if err := r.listPeople(ctx); err != nil {
			return err
		}
	}
	if !r.stamps || r.newest == "" {
		return nil
	}
	pin, err := r.pin(ctx)
	r.mark = position{Base: r.before[r.src.changeBase()], At: r.newest, Server: pin} // to compare with the one before
	return err
}

// readAll reads everybody who does not wait.
func (r *run) readAll(ctx context.Context) error {
	o, w, c := r.src.o, r.once, &r.content
	attrs := slices.Clone(r.src.people.request)
	also := func(attr string) {
		if !slices.ContainsFunc(attrs, func(a string) bool { return strings.EqualFold(a, attr) }) {
			attrs = append(attrs, attr)
		}
	}
	if r.stamps {
		also(r.src.stamp())
	}
	if r.src.byUID() {
		also("uid")
	}
	var open []uint32
	return r.sess.list(ctx, "read people below "+o.People.Base, o.People.Base, o.People.Filter, attrs, func(e *wire.Entry) error {
		id, n, ok := r.identify(e, userRead)
		if !ok {
			return nil
		}
		r.noteNames(e, n, userListed)
		if r.listed != nil {
			r.listed(userRead, id, e)
		}
		r.notePrimary(e, n)
		if !r.readContent(id, e) {
			return nil
		}
		r.doubt(id, e.DN, c.doubts)
		open = open[:0]
		waits := false
		for _, ref := range c.refs {
			key, err := dnKey(ref.dn)
			if err != nil {
				key = nameKey{} // nobody's
			}
			place := r.seen.names.place(key)
			_, found := r.seen.names.at(place)
			waits = waits || !found
			open = append(open, place)
		}
		if waits {
			w.late.add(late{uint32(n), c.part})
			open[len(open)-1] |= lastRef
			for _, place := range open {
				w.refs.add(place)
			}
			return nil
		}
		c.b = c.b[:0]
		for _, place := range open {
			who, found := r.seen.names.at(place)
			c.b = r.addReferred(c.b, who, found)
		}
		c.hash = hashNamed(c.part, c.b)
		return r.handOut(ctx, id)
	})
}

// readLate decides about those who wait.
func (r *run) readLate(ctx context.Context) error {
	w := r.once
	var again []string
	among := map[uint32]bool{}
	at := 0
	for i := range w.late.n {
		l := w.late.at(i)
		r.content.b = r.content.b[:0]
		for last := false; !last; at++ {
			place := *w.refs.at(at)
			who, found := r.seen.names.at(place &^ lastRef)
			r.content.b = r.addReferred(r.content.b, who, found)
			last = place&lastRef != 0
		}
		hash := hashNamed(l.part, r.content.b)
		r.id = r.seen.ids.AppendID(r.id[:0], int(l.n))
		if r.known.Same(model.KindUser, r.id, hash[:]) {
			continue
		}
		if among[l.n] = true; len(again) <= mostAgain {
			again = append(again, string(r.id))
		}
	}
	w.late, w.refs = pages[late]{}, pages[uint32]{}
	if len(again) == 0 {
		return nil
	}
	o := r.src.o
	each := func(e *wire.Entry) error {
		id, err := r.entryID(e)
		if err != nil {
			return nil //nolint:nilerr // it had one when it was read first
		}
		n, ok := r.seen.ids.FindBytes(id)
		if !ok || !among[uint32(n)] {
			return nil
		}
		delete(among, uint32(n)) // one that comes twice is not for this list to notice
		r.users--                // it counts again
		if !r.readContent(id, e) {
			return nil
		}
		r.nameAll()
		return r.handOut(ctx, id)
	}
	const step = "read people again below "
	if len(again) > mostAgain {
		return r.sess.list(ctx, step+o.People.Base, o.People.Base, o.People.Filter, r.src.people.request, each)
	}
	slices.Sort(again)
	return r.byIDs(ctx, step+o.People.Base, o.People.Base, o.People.Filter, again, r.src.people.request, each)
}

// pages is a list for very many, without pointers in its elements: it grows without being copied.
type pages[T any] struct {
	list [][]T
	n    int
}

const pageSize = 4096

func (p *pages[T]) add(v T) {
	if p.n%pageSize == 0 {
		p.list = append(p.list, make([]T, pageSize))
	}
	*p.at(p.n) = v
	p.n++
}

func (p *pages[T]) at(i int) *T {
	return &p.list[i/pageSize][i%pageSize]
}
