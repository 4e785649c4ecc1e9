package ldapsync

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"jmld/jml/engine"
	"jmld/jml/entry"
	"jmld/ldapsync/wire"
	"jmld/model"
)

const (
	// mostFew changes are followed one by one; with more, everybody is listed.
	mostFew = 500
	// mostUnread entries that could not be used before are tried again.
	mostUnread = 100
	// mostResolved names are looked up; with more, everybody is listed by name.
	mostResolved = 5000
	// mostAlone of them are looked up one by one.
	mostAlone = 1000
	// mostContainers changed ones are looked into.
	mostContainers = 50
)

// few is a read of what changed only, and of what that may have changed:
//
//	what changed, by id, as people and as groups; what is neither is missing, if it was known
//	-> people whose manager, and groups whose member, names it now and did not in the store, or the other way round
//	-> the names in all of these, looked up
//	-> their content
//	-> whom they named in the store and do not name now: who is not found by id either is missing, and nobody is lost by it yet
//
// Nobody else is listed.
type few struct {
	q       engine.Changes
	found   found
	changed map[string]bool    // ids that changed, or are missing
	absent  int                // known before
	people  map[string]bool    // to be read
	groups  map[string]bool    // to be read
	self    map[string]bool    // groups that changed themselves
	names   map[string]bool    // DNs in what is to be read
	asked   map[nameKey]string // of each of them a spelling, once they are looked up
	uids    map[string]bool    // and user names
	long    bool               // a group whose members come in parts
	listed  []located          // changed people and groups
	primary map[string]string
	before  map[string]bool // named by what was read, in the store only
	hidden  bool            // no group shows a member
}

// located is an entry that changed and is one of those to be listed.
type located struct {
	id, dn string
	kind   model.Kind
	uids   []string
	sid    string // of the primary group
}

// errMany says that there is too much to follow one by one.
var errMany = errors.New("too many changes to follow")

// readFew reads what was found.
func (r *run) readFew(ctx context.Context, q engine.Changes, f found) error {
	w := &few{q: q, found: f, changed: map[string]bool{}, people: map[string]bool{}, groups: map[string]bool{}, self: map[string]bool{},
		names: map[string]bool{}, asked: map[nameKey]string{}, uids: map[string]bool{}, primary: map[string]string{}, before: map[string]bool{}}
	r.few = w
	ids := slices.Sorted(maps.Keys(f.changed))
	for _, id := range q.Unread(mostUnread) {
		if _, ok := f.changed[id]; !ok {
			ids = append(ids, id)
		}
	}
	if len(ids)+len(f.gone) > mostFew {
		return errMany
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	if err := r.locate(ctx, ids, true); err != nil {
		return err
	}
	if err := r.lookBelow(ctx); err != nil {
		return err
	}
	missing := func(id string, deleted bool) error {
		if !q.Missing(id, deleted) {
			return nil
		}
		w.absent++
		people, groups, err := q.Names(ctx, id)
		for _, p := range people {
			w.people[p] = true
		}
		for _, g := range groups {
			w.groups[g] = true
		}
		return err
	}
	for i, id := range append(slices.Clone(ids), f.gone...) {
		if w.changed[id] = true; r.seen.mark(id) == 0 {
			if err := missing(id, f.recorded && i >= len(ids)); err != nil {
				return err
			}
		}
	}
	for _, l := range w.listed {
		if err := r.compareNames(ctx, l); err != nil {
			return err
		}
	}
	var more []string
	for id := range w.people {
		more = append(more, id)
	}
	for id := range w.groups {
		more = append(more, id)
	}
	more = slices.DeleteFunc(compact(more), func(id string) bool { return r.seen.mark(id) != 0 })
	if err := r.locate(ctx, more, false); err != nil {
		return err
	}
	if err := r.resolveNames(ctx); err != nil {
		return err
	}
	if err := r.readByID(ctx, userListed, r.readPeopleBy); err != nil {
		return err
	}
	if r.src.o.Groups != nil {
		if err := r.fillPrimary(ctx); err != nil {
			return err
		}
		if err := r.readByID(ctx, groupListed, r.readGroupsBy); err != nil {
			return err
		}
		if err := r.lookForMembers(ctx); err != nil {
			return err
		}
	}
	if err := r.lookForNamed(ctx); err != nil {
		return err
	}
	return r.end(ctx)
}

// byIDs lists the entries of the ids that the filter lets through.
func (r *run) byIDs(ctx context.Context, step, base, filter string, ids, attrs []string, each func(*wire.Entry) error) error {
	for part := range slices.Chunk(ids, atOnce) {
		values := make([]string, len(part))
		for i, id := range part {
			values[i] = idFilter(r.src.o.ID, id)
		}
		if err := r.sess.list(ctx, step, base, "(&"+filter+oneOf([]string{r.src.o.ID}, values)+")", attrs, each); err != nil {
			return err
		}
	}
	return nil
}

// locate finds which of the ids are people and groups of the source, what they are called, and whom they name.
func (r *run) locate(ctx context.Context, ids []string, changed bool) error {
	w, o := r.few, r.src.o
	refs := r.src.references()
	attrs := append([]string{o.ID}, refs...)
	if r.src.byUID() {
		attrs = append(attrs, "uid")
	}
	if r.src.preset.Primary {
		attrs = append(attrs, "objectSid", "primaryGroupID")
	}
	note := func(m mark, e *wire.Entry) (located, bool) {
		id, err := r.src.entryID(e)
		if err != nil {
			return located{}, false // it was asked for by its id
		}
		n, fine := r.seen.note([]byte(id), m)
		if !fine {
			r.duplicates++
		}
		r.addName(e.DN, n)
		r.noteNames(e, n, m)
		return located{id: id, dn: e.DN}, true
	}
	err := r.byIDs(ctx, "list changed people below "+o.People.Base, o.People.Base, o.People.Filter, ids, attrs, func(e *wire.Entry) error {
		l, ok := note(userListed, e)
		if !ok {
			return nil
		}
		l.kind = model.KindUser
		for _, uid := range rawValues(e, "uid") {
			l.uids = append(l.uids, string(uid))
		}
		l.sid, _ = primaryOf(e)
		for _, attr := range refs {
			for _, v := range rawValues(e, attr) {
				w.names[string(v)] = true
			}
		}
		if changed {
			w.listed = append(w.listed, l)
		}
		return nil
	})
	if err != nil || o.Groups == nil {
		return err
	}
	attrs = append([]string{o.ID}, r.src.preset.Members...)
	if r.src.preset.Primary {
		attrs = append(attrs, "objectSid")
	}
	return r.byIDs(ctx, "list changed groups below "+o.Groups.Base, o.Groups.Base, o.Groups.Filter, ids, attrs, func(e *wire.Entry) error {
		l, ok := note(groupListed, e)
		if !ok {
			return nil
		}
		if l.kind = model.KindGroup; changed {
			w.listed, w.self[l.id] = append(w.listed, l), true
		}
		if r.src.preset.Primary {
			for _, v := range rawValues(e, "objectSid") {
				if sid, err := entry.SID.Convert(v); err == nil {
					w.primary[l.id] = sid
				}
			}
		}
		for _, a := range e.Attrs {
			name, options, _ := strings.Cut(a.Name, ";")
			switch {
			case !slices.ContainsFunc(r.src.preset.Members, func(m string) bool { return strings.EqualFold(m, name) }):
			case options != "":
				w.long = true
			case strings.EqualFold(name, memberUID):
				for _, v := range a.Values {
					w.uids[string(v)] = true
				}
			default:
				for _, v := range a.Values {
					w.names[string(v)] = true
				}
			}
		}
		return nil
	})
}

// references are the attributes of people that name other entries.
func (s *Source) references() []string {
	var attrs []string
	for _, f := range s.people.fields {
		for _, attr := range f.from.From {
			if f.shape == reference && !slices.Contains(attrs, attr) {
				attrs = append(attrs, attr)
			}
		}
	}
	return attrs
}

// lookBelow doubts everything when people or groups stand below an entry that changed: its name is part of theirs. The name of a base is
// not: the base was found by it.
func (r *run) lookBelow(ctx context.Context) error {
	looked := 0
	for _, id := range slices.Sorted(maps.Keys(r.few.found.changed)) {
		c := r.few.found.changed[id]
		if c.leaf || r.src.aboveAll(c.dn) {
			continue
		}
		if looked++; looked > mostContainers {
			return errMany
		}
		has, err := r.anyBelow(ctx, c.dn)
		if err != nil {
			return err
		}
		if has {
			return &model.Doubt{Text: "the container " + printable(c.dn) + " changed, perhaps its name and that of all below"}
		}
	}
	return nil
}

func (r *run) anyBelow(ctx context.Context, dn string) (has bool, err error) {
	filter := r.src.o.People.Filter
	if r.src.o.Groups != nil {
		filter = "(|" + filter + r.src.o.Groups.Filter + ")"
	}
	key, _ := dnKey(dn)
	unpaged := r.sess.unpaged
	err = r.sess.listUntil(ctx, "look below "+printable(dn), wire.Search{Base: dn, Scope: ldap.ScopeWholeSubtree, Filter: filter, Attrs: []string{"1.1"}, PageSize: 2},
		func(e *wire.Entry) error {
			if k, err := dnKey(e.DN); err != nil || k != key {
				has = true
			}
			return nil
		}, func() bool { return has })
	var answer *ldap.Error
	// Gone meanwhile, or out of our sight; 389 Directory Server says so to whoever pages by a success without the paging control.
	if errors.As(err, &answer) && answer.ResultCode == ldap.LDAPResultNoSuchObject || err == nil && r.sess.unpaged > unpaged {
		return false, &model.Doubt{Text: "the container " + printable(dn) + " changed, and cannot be looked at"}
	}
	return has, err
}

// compareNames finds people and groups that named the entry and do not any more, or do now and did not: the entry may have another name.
func (r *run) compareNames(ctx context.Context, l located) error {
	w, o := r.few, r.src.o
	people, groups, err := w.q.Names(ctx, l.id)
	if err != nil {
		return err
	}
	differ := func(into map[string]bool, stored []string, now map[string]bool) {
		for _, id := range stored {
			if !now[id] {
				into[id] = true
			}
			delete(now, id)
		}
		maps.Copy(into, now)
	}
	now := map[string]bool{}
	note := func(e *wire.Entry) error {
		if id, err := r.src.entryID(e); err == nil {
			now[id] = true
		}
		return nil
	}
	dn := []string{ldap.EscapeFilter(l.dn)}
	if refs := r.src.references(); len(refs) > 0 {
		if err := r.sess.list(ctx, "look for references below "+o.People.Base, o.People.Base, "(&"+o.People.Filter+oneOf(refs, dn)+")", []string{o.ID}, note); err != nil {
			return err
		}
		differ(w.people, people, now)
	}
	if o.Groups == nil {
		return nil
	}
	now = map[string]bool{}
	var byDN []string
	filter := "(|"
	for _, m := range r.src.preset.Members {
		if strings.EqualFold(m, memberUID) {
			if len(l.uids) > 0 {
				filter += oneOf([]string{m}, escapeAll(l.uids))
			}
			continue
		}
		byDN = append(byDN, m)
	}
	if len(byDN) > 0 {
		filter += oneOf(byDN, dn)
	}
	filter += ")"
	if len(byDN) > 0 || filter != "(|)" {
		if err := r.sess.list(ctx, "look for memberships below "+o.Groups.Base, o.Groups.Base, "(&"+o.Groups.Filter+filter+")", []string{o.ID}, note); err != nil {
			return err
		}
	}
	if l.sid != "" {
		id, err := r.groupOfSID(ctx, l.sid)
		if err != nil {
			return err
		}
		if id != "" {
			now[id] = true
		}
	}
	differ(w.groups, groups, now)
	return nil
}

// groupOfSID finds the group of the source with the security identifier; "" when there is none.
func (r *run) groupOfSID(ctx context.Context, sid string) (string, error) {
	if id, ok := r.groupBySID[sid]; ok {
		return id, nil
	}
	o := r.src.o
	err := r.sess.list(ctx, "look for a primary group", o.Groups.Base, "(&"+o.Groups.Filter+"(objectSid="+sid+"))", []string{o.ID, "objectSid"}, func(e *wire.Entry) error {
		id, err := r.src.entryID(e)
		if err != nil {
			return nil //nolint:nilerr // its own read reports it
		}
		r.noteNames(e, r.seen.number(id), groupListed)
		return nil
	})
	if _, ok := r.groupBySID[sid]; !ok && err == nil {
		r.groupBySID[sid] = "" // outside the source
	}
	return r.groupBySID[sid], err
}

// readByID reads those that were located.
func (r *run) readByID(ctx context.Context, m mark, read func(context.Context, string) error) error {
	var ids []string
	for n, have := range r.seen.marks {
		if have&m != 0 {
			ids = append(ids, r.seen.ids.ID(n))
		}
	}
	slices.Sort(ids)
	filter := r.src.o.People.Filter
	if m == groupListed {
		filter = r.src.o.Groups.Filter
	}
	for part := range slices.Chunk(ids, atOnce) {
		values := make([]string, len(part))
		for i, id := range part {
			values[i] = idFilter(r.src.o.ID, id)
		}
		if err := read(ctx, "(&"+filter+oneOf([]string{r.src.o.ID}, values)+")"); err != nil {
			return err
		}
	}
	return nil
}

// fillPrimary finds who else has the groups to be read as the primary one: of a group that did not change itself, whoever is a member and
// did not change.
func (r *run) fillPrimary(ctx context.Context) error {
	w, o := r.few, r.src.o
	if !r.src.preset.Primary {
		return nil
	}
	for _, id := range slices.Sorted(maps.Keys(w.primary)) {
		if !w.self[id] {
			members, err := w.q.Members(ctx, id)
			if err != nil {
				return err
			}
			for _, m := range members {
				if !w.changed[m] {
					r.primary[id] = append(r.primary[id], m)
				}
			}
			continue
		}
		sid := w.primary[id]
		filter := "(&" + o.People.Filter + "(primaryGroupID=" + sid[strings.LastIndexByte(sid, '-')+1:] + "))"
		err := r.sess.list(ctx, "look for members below "+o.People.Base, o.People.Base, filter, []string{o.ID, "objectSid", "primaryGroupID"}, func(e *wire.Entry) error {
			if got, ok := primaryOf(e); ok && got == sid {
				if member, err := r.src.entryID(e); err == nil {
					r.primary[id] = append(r.primary[id], member)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// proveFew says whether everything was seen that changed.
func (r *run) proveFew(p model.Proof, err error) model.Proof {
	w := r.few
	if err != nil {
		return p
	}
	p.Unlisted = true
	drop := []string{"people found", "not older than the last read"}
	if !w.hidden {
		drop = append(drop, "members found")
	}
	p.Conditions = slices.DeleteFunc(p.Conditions, func(c model.Condition) bool { return slices.Contains(drop, c.Name) })
	p.Conditions = append(p.Conditions, model.Condition{Name: "changes", OK: true, Seen: fmt.Sprintf("%d entries changed and %d are gone on the server; %d people and %d groups were read, "+
		"%d that were known are missing", len(w.found.changed), len(w.found.gone), r.users, r.groups, w.absent)})
	p.Complete = r.finished
	for _, c := range p.Conditions {
		p.Complete = p.Complete && c.OK
	}
	return p
}
