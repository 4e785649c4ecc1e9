package ldapsync

import (
	"context"
	"fmt"
	"strconv"

	"github.com/go-ldap/ldap/v3"

	"jmld/jml/entry"
	"jmld/ldapsync/wire"
	"jmld/model"
)

// entryUSN asks a 389 Directory Server with the USN plug-in for entries and tombstones with a higher update sequence number.
type entryUSN struct{}

func (entryUSN) begin(ctx context.Context, r *run) (position, error) {
	if why := r.src.fits389(); why != "" {
		return position{}, unfit{why}
	}
	d, err := r.readDSE389(ctx, position{})
	switch {
	case err != nil:
		return position{}, err
	case d.name == "":
		return position{}, unfit{noName389}
	case len(d.usn) == 0:
		return position{}, unfit{"the server shows no lastusn"}
	case len(d.usn) > 1:
		return position{}, unfit{"the server has several databases, and does not say in which of them the base stands"}
	}
	p := position{Method: entry.MethodEntryUSN, Server: d.name, Base: d.base, Root: d.root, Number: d.usn[0], Blind: true}
	_, err = r.sess.search(ctx, "look for tombstones below "+d.root, wire.Search{Base: d.root, Scope: ldap.ScopeWholeSubtree, Filter: "(objectClass=nsTombstone)",
		Attrs: []string{"1.1"}, PageSize: 1}, func(*wire.Entry) error { p.Blind = false; return nil })
	if err != nil {
		return p, err
	}
	_, err = r.sess.search(ctx, "look for the last change below "+d.root, wire.Search{Base: d.root, Scope: ldap.ScopeWholeSubtree,
		Filter: fmt.Sprintf("(entryUSN>=%d)", p.Number), Attrs: []string{r.src.o.ID, "entryUSN"}, PageSize: 10}, func(e *wire.Entry) error {
		if id, err := r.src.entryID(e); err == nil {
			p.noteLast(id, e)
		}
		return nil
	})
	if _, ok := r.refused(err); ok { // it is a second look only
		err = nil
	}
	return p, err
}

// noteLast remembers the entry if none changed later.
func (p *position) noteLast(id string, e *wire.Entry) {
	if n, err := strconv.ParseInt(only(e, "entryUSN"), 10, 64); err == nil && n >= p.LastAt {
		p.Last, p.LastAt = id, n
	}
}

func (entryUSN) since(ctx context.Context, r *run, from position) (found, error) {
	f := found{next: from, recorded: true}
	d, err := r.readDSE389(ctx, from)
	if err != nil {
		return f, err
	}
	if doubt := d.doubt(r, from); doubt != nil {
		return f, doubt
	}
	switch {
	case from.Last != "" && d.witness < from.LastAt: // a server that was restored counts on, and may have passed where it was
		return f, &model.Doubt{Text: fmt.Sprintf("the entry %s had entryUSN %d and has %d now: was the server restored?", from.Last, from.LastAt, d.witness)}
	case len(d.usn) != 1:
		return f, &model.Doubt{Text: "the server does not show one lastusn"}
	case d.usn[0] < from.Number:
		return f, &model.Doubt{Text: fmt.Sprintf("the server's lastusn is %d, before it was %d", d.usn[0], from.Number)}
	}
	last := d.usn[0]
	f.seen = fmt.Sprintf("nothing after entryUSN %d", last)
	if last == from.Number {
		return f, nil
	}
	f.next.Number = last
	newer := fmt.Sprintf("(entryUSN>=%d)", from.Number+1)
	step := "look for changes below " + from.Root
	each := func(deleted bool) func(*wire.Entry) error {
		return func(e *wire.Entry) error {
			id, err := r.src.entryID(e)
			if err != nil {
				return &model.Doubt{Text: "an entry shows no usable nsUniqueId: " + printable(e.DN)}
			}
			if f.next.noteLast(id, e); deleted {
				return f.lose(id)
			}
			return f.note(id, change{dn: e.DN, leaf: childless(e)})
		}
	}
	for _, deleted := range []bool{false, true} {
		req := wire.Search{Base: from.Root, Scope: ldap.ScopeWholeSubtree, Filter: newer, Attrs: []string{r.src.o.ID, "hasSubordinates", "entryUSN"}}
		if deleted {
			req.Filter = "(&(objectClass=nsTombstone)" + newer + ")"
		}
		if err := r.sess.listAll(ctx, step, req, each(deleted)); err != nil {
			return f, err
		}
	}
	f.next.Blind = from.Blind && len(f.gone) == 0
	if f.none() { // entries that we may not see, or not look for in this way
		return f, &model.Doubt{Text: fmt.Sprintf("the server's lastusn is %d, before it was %d, and no change is shown", last, from.Number)}
	}
	return f, nil
}

func (entryUSN) behind(was, now position) (known, behind bool, seen string) {
	return was.Server == now.Server && was.Base == now.Base, now.Number < was.Number, fmt.Sprintf("lastusn %d, before %d", now.Number, was.Number)
}
