package ldapsync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"jmld/jml/engine"
	"jmld/jml/entry"
	"jmld/ldapsync/wire"
	"jmld/model"
)

// atOnce is how many entries one search asks for.
const atOnce = 50

var _ engine.Incremental = (*Source)(nil)

// Profile is what the options make the source list, a JSON object with the keys of the configuration.
func (s *Source) Profile() string {
	o := s.o
	p := map[string]string{"base": o.Base, "id": o.ID, "bind_dn": s.who(), "preset": o.Preset, "people.base": o.People.Base, "people.filter": o.People.Filter}
	if o.Groups != nil {
		p["groups.base"], p["groups.filter"], p["groups.member"] = o.Groups.Base, o.Groups.Filter, o.Groups.Member
	}
	b, err := json.Marshal(p)
	if err != nil { // a map of strings
		return ""
	}
	return string(b)
}

// Changes reads what changed since the mark. Nothing: that is all, in three round trips. What the server's own records of changes name is read
// alone, with what names it. What has another stamp makes everybody be listed by id, and read is the content of what changed or is not
// known, of people whose references may mean somebody else now, and of all groups. A census does the same without looking for changes. Stamps
// do not show who was deleted; the lists do.
func (s *Source) Changes(ctx context.Context, q engine.Changes, emit func(model.Entry) error) (model.Proof, error) {
	if !s.busy.TryLock() {
		return model.Proof{}, s.failed(model.CodeSourceBusy, "start", errors.New("it is being read already"))
	}
	defer s.busy.Unlock()
	ctx, cancel := context.WithTimeoutCause(ctx, s.o.Timeouts.Run, errTimeout)
	defer cancel()
	r := newRun(s)
	r.emit = emit
	p, err := r.changes(ctx, q)
	if r.sess != nil {
		r.sess.close()
	}
	return p, err
}

func (r *run) changes(ctx context.Context, q engine.Changes) (model.Proof, error) {
	s := r.src
	var err error
	if r.sess, err = s.open(ctx); err != nil {
		return r.prove(err), err
	}
	changed := map[string]change{}
	if q.Mode() == model.ModeDelta {
		f, err := r.since(ctx, q.Mark())
		if err != nil {
			return r.prove(err), err
		}
		if f.none() {
			return r.unchanged(f.seen), nil
		}
		if methodOf(r.mark.of()) != nil && !f.listAll {
			if err = r.orDoubt(r.readFew(ctx, q, f)); !errors.Is(err, errMany) {
				return r.proveFew(r.prove(err), err), err
			}
			r.startAgain()
		}
		changed = f.changed
	}
	err = r.readChanged(ctx, q, changed)
	p := r.prove(err)
	p.Users, p.Groups = r.seen.count(userListed), r.seen.count(groupListed)
	return p, err
}

// startAgain forgets what was seen in this run.
func (r *run) startAgain() {
	fresh := newRun(r.src)
	fresh.emit, fresh.sess, fresh.mark, fresh.stamps = r.emit, r.sess, r.mark, r.stamps
	*r = *fresh
}

// since looks for what changed since the mark, and moves the run's mark on.
func (r *run) since(ctx context.Context, mark string) (found, error) {
	s := r.src
	if !s.o.Delta || s.o.Incremental == entry.MethodNone {
		return found{}, &model.Doubt{Text: "changes are not configured"}
	}
	if r.mark = parsePosition(mark); r.mark.empty() {
		return found{}, &model.Doubt{Text: "the mark of the last read cannot be used"}
	}
	is := s.o.Incremental
	if methodOf(is) == nil {
		is = entry.MethodModifyTime
	}
	if is != r.mark.wanted() {
		return found{}, &model.Doubt{Text: fmt.Sprintf("changes are looked for by %s, and were by %s", is, r.mark.wanted())}
	}
	m := methodOf(r.mark.of())
	if m == nil {
		changed, err := r.sinceStamp(ctx)
		return found{changed: changed, seen: "nothing with another " + s.stamp() + ", newest " + r.mark.At}, err
	}
	f, err := m.since(ctx, r, r.mark)
	if err != nil {
		if why, ok := r.refused(err); ok {
			err = &model.Doubt{Text: fmt.Sprintf("%s cannot be used: %s", r.mark.of(), why)}
		}
		return f, err
	}
	if r.sess.referrals > 0 {
		return f, &model.Doubt{Text: "the server points elsewhere"}
	}
	r.mark = f.next
	return f, nil
}

// sinceStamp lists what has another stamp than at the mark.
func (r *run) sinceStamp(ctx context.Context) (map[string]change, error) {
	s := r.src
	if r.mark.At == "" {
		return nil, &model.Doubt{Text: "the mark of the last read cannot be used"}
	}
	if doubt := s.ahead(r.mark.At); doubt != nil {
		return nil, doubt
	}
	switch pin, err := r.pin(ctx); {
	case err != nil:
		return nil, err
	case r.mark.Server != pin:
		return nil, &model.Doubt{Text: "the server is another one than before"}
	}
	id, err := r.sess.baseID(ctx, s.changeBase())
	switch {
	case err != nil:
		return nil, err
	case id == "" || id != r.mark.Base:
		return nil, &model.Doubt{Text: fmt.Sprintf("the entry %s is another one than before", s.changeBase())}
	}
	changed := map[string]change{}
	err = r.lookForChanges(ctx, &r.mark, changed)
	switch {
	case err != nil:
		return nil, err
	case r.sess.referrals > 0:
		return nil, &model.Doubt{Text: "the server points elsewhere"}
	}
	return changed, nil
}

// unchanged is the proof of a read that found no change. It lists nobody.
func (r *run) unchanged(seen string) model.Proof {
	c := r.sess
	return model.Proof{
		Complete: c.unpaged == 0 && c.openCookies == 0, Unlisted: true, Pages: c.pages, Bytes: c.conn.Received(), Mark: r.mark.String(), Method: r.methodSeen(),
		Server: r.src.where() + " (" + c.conn.RemoteAddr().String() + ")",
		Conditions: []model.Condition{
			{Name: "connected and bound", OK: true, Seen: "as " + r.src.who()},
			{Name: "base entry unchanged", OK: true, Seen: r.src.changeBase() + " " + r.mark.Base},
			{Name: "paging control on every page", OK: c.unpaged == 0, Seen: fmt.Sprintf("%d pages without", c.unpaged)},
			{Name: "last cookie empty", OK: c.openCookies == 0, Seen: fmt.Sprintf("%d lists with an open end", c.openCookies)},
			{Name: model.ConditionNoChange, OK: true, Seen: fmt.Sprintf("%s; %d round trips", seen, c.conn.Trips())},
		},
	}
}

// readChanged lists everybody, and reads the content of what changed and of what that may have changed.
func (r *run) readChanged(ctx context.Context, q engine.Changes, changed map[string]change) (err error) {
	s := r.src
	if err := r.begin(ctx); err != nil {
		return err
	}
	parents := map[string]bool{} // DNs of what changed → something that is listed stands below
	for _, c := range changed {
		if !c.again && !s.aboveAll(c.dn) {
			parents[strings.ToLower(c.dn)] = false
		}
	}
	want := map[string]bool{} // people to read
	names := map[string]string{}
	groups := len(changed) > 0
	r.listed = func(m mark, key []byte, e *wire.Entry) {
		id := string(key)
		fresh := !q.Known(id)
		kind := model.KindUser
		if m == groupListed {
			kind = model.KindGroup
		}
		q.Listed(id, kind)
		if _, ok := changed[id]; ok || fresh {
			groups = true
			if kind == model.KindUser {
				want[id], names[id] = true, e.DN
			}
		}
		noteParents(parents, e.DN)
	}
	if err := r.census(ctx); err != nil {
		return err
	}
	for dn, has := range parents {
		if has {
			return &model.Doubt{Text: "the container " + printable(dn) + " changed, perhaps its name and that of all below"}
		}
	}
	affected, vanished, err := q.Affected(ctx, slices.Collect(maps.Keys(changed)))
	if err != nil {
		return err
	}
	for _, id := range affected {
		want[id] = want[id] || r.seen.mark(id)&userListed != 0
	}
	if err := r.orDoubt(r.wantReferrers(ctx, want, slices.Sorted(maps.Values(names)))); err != nil {
		return err
	}
	groups = groups || vanished
	if groups && s.preset.Primary { // a member says so, not the group
		err = r.readPeople(ctx)
	} else {
		err = r.readWanted(ctx, want)
	}
	if err != nil {
		return err
	}
	if groups {
		err = r.readGroups(ctx)
	} else {
		r.seen.pass(groupListed, groupRead, nil)
	}
	if err != nil {
		return err
	}
	return r.end(ctx)
}

// aboveAll says whether everything that is read stands at or below the entry, as its DN is configured: it is not called otherwise.
func (s *Source) aboveAll(dn string) bool {
	return !slices.ContainsFunc(s.bases(), func(base string) bool { return !below(base, dn) })
}

// noteParents notes which of the DNs the entry stands below.
func noteParents(parents map[string]bool, dn string) {
	if len(parents) == 0 {
		return
	}
	dn = strings.ToLower(dn)
	for i := range len(dn) {
		if dn[i] != ',' {
			continue
		}
		if above := dn[i+1:]; !parents[above] {
			if _, ok := parents[above]; ok {
				parents[above] = true
			}
		}
	}
}

// wantReferrers adds the people whose references name one of the DNs: they may have named nobody, or somebody else, before.
func (r *run) wantReferrers(ctx context.Context, want map[string]bool, dns []string) error {
	attrs := r.src.references()
	if len(attrs) == 0 {
		return nil
	}
	o := r.src.o
	for part := range slices.Chunk(dns, atOnce) {
		filter := "(&" + o.People.Filter + oneOf(attrs, escapeAll(part)) + ")"
		err := r.sess.list(ctx, "look for references below "+o.People.Base, o.People.Base, filter, []string{o.ID}, func(e *wire.Entry) error {
			if id, err := r.src.entryID(e); err == nil {
				want[id] = want[id] || r.seen.mark(id)&userListed != 0
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// readWanted reads the people wanted; everybody, when they are many.
func (r *run) readWanted(ctx context.Context, want map[string]bool) error {
	o := r.src.o
	ids := slices.Sorted(maps.Keys(want))
	ids = slices.DeleteFunc(ids, func(id string) bool { return !want[id] })
	if len(ids)*4 > r.seen.count(userListed) && len(ids) > atOnce {
		return r.readPeople(ctx)
	}
	r.seen.pass(userListed, userRead, want)
	for part := range slices.Chunk(ids, atOnce) {
		values := make([]string, len(part))
		for i, id := range part {
			values[i] = idFilter(o.ID, id)
		}
		if err := r.readPeopleBy(ctx, "(&"+o.People.Filter+oneOf([]string{o.ID}, values)+")"); err != nil {
			return err
		}
	}
	return nil
}
