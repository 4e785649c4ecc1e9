package ldapsync

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"jmld/jml/entry"
	"jmld/ldapsync/wire"
	"jmld/model"
)

// retroChangelog reads the retro changelog of a 389 Directory Server, whose entries carry the changed entry's nsUniqueId as targetUniqueId
// when the plug-in is told to (nsslapd-attribute: nsuniqueid:targetUniqueId). Numbers are the server's own and have no gaps.
type retroChangelog struct{}

// logEntry is one entry of the changelog.
type logEntry struct {
	number                                     int64
	own, kind, target, dn, newRDN, newSuperior string
}

func (retroChangelog) begin(ctx context.Context, r *run) (position, error) {
	if why := r.src.fits389(); why != "" {
		return position{}, unfit{why}
	}
	d, err := r.readDSE389(ctx, position{})
	switch {
	case err != nil:
		return position{}, err
	case d.name == "":
		return position{}, unfit{noName389}
	case d.changelog == "":
		return position{}, unfit{"the server shows no changelog"}
	}
	p := position{Method: entry.MethodChangelog, Server: d.name, Base: d.base, Root: d.changelog, Number: d.last}
	if d.last == 0 { // nothing has changed since the log was begun
		return p, nil
	}
	log, err := r.readLog(ctx, d.changelog, d.last, d.last)
	switch {
	case err != nil:
		return position{}, err
	case len(log) != 1:
		return position{}, unfit{fmt.Sprintf("%s may not read %s", r.src.who(), d.changelog)}
	case log[0].target == "":
		return position{}, unfit{"the changelog has no targetUniqueId"}
	}
	p.Service = log[0].own
	return p, nil
}

func (retroChangelog) since(ctx context.Context, r *run, from position) (found, error) {
	f := found{next: from, recorded: true}
	d, err := r.readDSE389(ctx, position{})
	if err != nil {
		return f, err
	}
	if doubt := d.doubt(r, from); doubt != nil {
		return f, doubt
	}
	switch {
	case d.changelog != from.Root:
		return f, &model.Doubt{Text: "the server shows no changelog any more"}
	case d.last < from.Number:
		return f, &model.Doubt{Text: fmt.Sprintf("the last change has number %d, before it was %d", d.last, from.Number)}
	case d.last-from.Number > mostChanged:
		return f, &model.Doubt{Text: fmt.Sprintf("more than %d changes", mostChanged)}
	}
	f.seen = fmt.Sprintf("nothing after change %d", d.last)
	if d.last == from.Number {
		return f, nil
	}
	log, err := r.readLog(ctx, from.Root, from.Number, d.last)
	if err != nil {
		return f, err
	}
	if from.Number > 0 { // by it we know that the numbers still are the same changes
		if len(log) == 0 || log[0].number != from.Number || log[0].own != from.Service {
			return f, &model.Doubt{Text: fmt.Sprintf("change %d of the changelog is gone, or is another one than before", from.Number)}
		}
		log = log[1:]
	}
	for i, e := range log {
		if e.number != from.Number+1+int64(i) {
			return f, &model.Doubt{Text: fmt.Sprintf("the changelog has a gap before change %d", e.number)}
		}
		if e.target == "" {
			return f, &model.Doubt{Text: fmt.Sprintf("change %d of the changelog has no targetUniqueId", e.number)}
		}
	}
	if int64(len(log)) != d.last-from.Number {
		return f, &model.Doubt{Text: fmt.Sprintf("of %d changes the changelog shows %d", d.last-from.Number, len(log))}
	}
	f.next.Number, f.next.Service = d.last, log[len(log)-1].own
	return f, f.play(log)
}

// play takes the changes one after the other.
func (f *found) play(log []logEntry) error {
	gone := map[string]bool{}
	for _, e := range log {
		switch e.kind {
		case "delete":
			gone[e.target] = true
			delete(f.changed, e.target)
		case "modrdn":
			above := e.newSuperior
			if d, err := ldap.ParseDN(e.dn); err != nil || len(d.RDNs) < 2 {
				return &model.Doubt{Text: fmt.Sprintf("change %d of the changelog renames %s", e.number, printable(e.dn))}
			} else if above == "" {
				above = (&ldap.DN{RDNs: d.RDNs[1:]}).String()
			}
			if err := f.note(e.target, change{dn: e.newRDN + "," + above}); err != nil {
				return err
			}
		default:
			delete(gone, e.target) // a tombstone can be brought back
			if _, ok := f.changed[e.target]; ok {
				continue // what it was called before counts
			}
			if err := f.note(e.target, change{dn: e.dn, leaf: e.kind == "modify" || e.kind == "add"}); err != nil {
				return err
			}
		}
	}
	for id := range gone {
		if err := f.lose(id); err != nil {
			return err
		}
	}
	slices.Sort(f.gone)
	return nil
}

func (retroChangelog) behind(was, now position) (known, behind bool, seen string) {
	return was.Server == now.Server, now.Number < was.Number, fmt.Sprintf("last change %d, before %d", now.Number, was.Number)
}

// readLog reads the changes from the first number to the last, in order.
func (r *run) readLog(ctx context.Context, base string, first, last int64) ([]logEntry, error) {
	var log []logEntry
	req := wire.Search{Base: base, Scope: ldap.ScopeWholeSubtree, Filter: fmt.Sprintf("(&(changeNumber>=%d)(changeNumber<=%d))", first, last),
		Attrs: []string{"changeNumber", "changeType", "targetDn", "targetUniqueId", "newRdn", "newSuperior", "nsUniqueId"}}
	err := r.sess.listAll(ctx, "read the changes below "+base, req, func(e *wire.Entry) error {
		n, err := strconv.ParseInt(only(e, "changeNumber"), 10, 64)
		if err != nil {
			return &model.Doubt{Text: "a change without a number: " + printable(e.DN)}
		}
		l := logEntry{number: n, own: only(e, "nsUniqueId"), kind: strings.ToLower(only(e, "changeType")), dn: only(e, "targetDn"), newRDN: only(e, "newRdn"),
			newSuperior: only(e, "newSuperior")}
		if v := rawValues(e, "targetUniqueId"); len(v) == 1 {
			l.target, _ = decodeID("nsUniqueId", v[0])
		}
		if log = append(log, l); len(log) > mostChanged+1 {
			return &model.Doubt{Text: fmt.Sprintf("more than %d changes", mostChanged)}
		}
		return nil
	})
	slices.SortFunc(log, func(a, b logEntry) int { return int(a.number - b.number) })
	return log, err
}

// fits389 says why changes of entries cannot be told by nsUniqueId.
func (s *Source) fits389() string {
	switch {
	case !strings.EqualFold(s.o.ID, "nsUniqueId"):
		return "changes are told by nsUniqueId, and id is " + s.o.ID
	case !s.covered():
		return "people and groups stand below no common base"
	}
	return ""
}

// noName389 is a reason: each server numbers by itself.
const noName389 = "the server does not show netscapemdsuffix, by which it is told from its replicas"

// dse389 is what a 389 Directory Server says about itself.
type dse389 struct {
	name, changelog, root, base string
	first, last                 int64
	usn                         []int64 // of the databases, the changelog's aside
	witness                     int64   // entryUSN of the entry that had changed last; 0: it is not there
}

func (d dse389) doubt(r *run, from position) error {
	switch {
	case d.name != from.Server:
		return &model.Doubt{Text: fmt.Sprintf("the server is another one than before (%s, before %s)", d.name, from.Server)}
	case d.base != from.Base:
		return &model.Doubt{Text: fmt.Sprintf("the entry %s is another one than before", r.src.changeBase())}
	}
	return nil
}

// readDSE389 reads in one round trip what the server says about itself, and the entry that had changed last at the position.
func (r *run) readDSE389(ctx context.Context, from position) (d dse389, err error) {
	s := r.src
	base := s.changeBase()
	list := []wire.Search{
		{Filter: "(objectClass=*)", Attrs: []string{"changelog", "firstChangeNumber", "lastChangeNumber", "lastusn", "netscapemdsuffix", "namingContexts"}},
		{Base: base, Filter: "(objectClass=*)", Attrs: []string{s.o.ID}},
	}
	if from.Last != "" {
		is := "(" + s.o.ID + "=" + idFilter(s.o.ID, from.Last) + ")"
		for _, filter := range []string{is, "(&(objectClass=nsTombstone)" + is + ")"} {
			list = append(list, wire.Search{Base: from.Root, Scope: ldap.ScopeWholeSubtree, Filter: filter, Attrs: []string{"entryUSN"}})
		}
	}
	answers, err := r.sess.reads(ctx, "read what the server says about itself", list, func(n int, e *wire.Entry) {
		number := func(attr string) int64 {
			v, _ := strconv.ParseInt(only(e, attr), 10, 64) // 0: it does not say
			return v
		}
		if n > 1 {
			d.witness = max(d.witness, number("entryUSN"))
			return
		}
		if n == 1 {
			if v := rawValues(e, s.o.ID); len(v) == 1 {
				d.base, _ = decodeID(s.o.ID, v[0])
			}
			return
		}
		d.name, d.changelog, d.first, d.last = only(e, "netscapemdsuffix"), only(e, "changelog"), number("firstChangeNumber"), number("lastChangeNumber")
		for _, v := range rawValues(e, "namingContexts") {
			if dn := string(v); below(base, dn) && len(dn) > len(d.root) {
				d.root = dn
			}
		}
		for _, a := range e.Attrs {
			name, option, _ := strings.Cut(strings.ToLower(a.Name), ";")
			if name == "lastusn" && option != "changelog" {
				d.usn = append(d.usn, number(a.Name))
			}
		}
	})
	switch {
	case err != nil:
		return d, err
	case answers[0] != nil:
		return d, answers[0]
	case d.root == "":
		d.root = base
	}
	return d, answers[1]
}
