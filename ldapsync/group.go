package ldapsync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"jmld/jml/entry"
	"jmld/ldapsync/wire"
	"jmld/model"
)

const (
	// groupExtension is the URN under which a group's record says what SCIM has no place for.
	groupExtension = "urn:ietf:params:scim:schemas:extension:jmld:2.0:Group"
	// maxOutside members that are nobody in the read are named in the group's record; all are counted.
	maxOutside = 100
	// maxRanges parts of one list of members are asked for, and maxTries times all of them when the group changes meanwhile.
	maxRanges = 100_000
	maxTries  = 3
	memberUID = "memberuid" // RFC 2307: user names, not DNs
	ended     = -1          // a list that was read to its end
)

// partialError is a group whose members the server gave only in part.
type partialError struct{ text string }

func (e partialError) Error() string { return e.text }

// resolver finds the record id that a value of a member attribute names.
type resolver func(attr string, value []byte) (id string, ok bool)

// gathered is what is known of one group so far.
type gathered struct {
	id, dn, name string
	members      []string
	outside      []string // values that name nobody in the read
	unclear      []string // and those that name several people
	part         string   // the attribute that came in part, as the server called it
}

// gather takes name and members from an entry.
func (s *Source) gather(g *gathered, e *wire.Entry, resolve resolver) error {
	for i := range e.Attrs {
		a := &e.Attrs[i]
		base, options, _ := strings.Cut(a.Name, ";")
		switch {
		case strings.EqualFold(a.Name, s.o.Groups.Name):
			list, err := texts(a)
			if err != nil {
				return err
			}
			g.name = string(choose(list, e.DN, strings.ToLower(a.Name)))
		case !slices.ContainsFunc(s.preset.Members, func(m string) bool { return strings.EqualFold(m, base) }):
		case options == "":
			g.add(base, a.Values, resolve)
		case strings.HasPrefix(strings.ToLower(options), rangeOption):
			// Active Directory gives long lists in parts, and none under the plain name.
			g.part = a.Name
		}
	}
	return nil
}

func (g *gathered) add(attr string, values [][]byte, resolve resolver) {
	g.members = slices.Grow(g.members, len(values))
	for _, v := range values {
		if member, ok := resolve(attr, v); ok && member == "" { // of several people
			g.unclear = append(g.unclear, string(v))
		} else if ok {
			g.members = append(g.members, member)
		} else {
			g.outside = append(g.outside, string(v))
		}
	}
}

// record is the group's record. Members that are nobody in the read are counted in it, and the first of them named.
func (s *Source) record(g *gathered) (model.Entry, error) {
	if foldKey(g.name) == "" {
		return model.Entry{}, errors.New("it has no name (" + s.o.Groups.Name + ")")
	}
	if len(g.unclear) > 0 { // neither gains the membership, and nobody loses one
		return model.Entry{}, fmt.Errorf("%d of its members name several people, first %s", len(g.unclear), printable(g.unclear[0]))
	}
	out := model.Entry{Members: compact(g.members)}
	out.Record = model.Record{Kind: model.KindGroup, ID: g.id, DisplayName: g.name, Active: true}
	text := appendText([]byte(`{"displayName":`), []byte(g.name))
	if g.outside = compact(g.outside); len(g.outside) > 0 {
		text = fmt.Appendf(text, `,"%s":{"outside":{"count":%d,"names":[`, groupExtension, len(g.outside))
		for i, name := range g.outside[:min(len(g.outside), maxOutside)] {
			if i > 0 {
				text = append(text, ',')
			}
			text = appendText(text, []byte(printable(name)))
		}
		text = append(text, "]}}"...)
	}
	text = append(text, '}')
	_, hash := hashContent(nil, model.KindGroup, text, out.Members)
	s.complete(&out.Record, text, hash)
	return out, nil
}

func compact(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// group makes a group record of an entry that has all its members.
func (s *Source) group(e *wire.Entry, id string, resolve resolver) (g model.Entry, unresolved int, err error) {
	got := gathered{id: id, dn: e.DN}
	if err := s.gather(&got, e, resolve); err != nil {
		return g, 0, err
	}
	if got.part != "" {
		return g, 0, partialError{fmt.Sprintf("the server gave a part of its members (%s)", got.part)}
	}
	g, err = s.record(&got)
	return g, len(got.outside), err
}

// lacking is the first attribute with members that the entry's object class demands and that shows no value: the directory has one.
func (s *Source) lacking(e *wire.Entry) (attr string, lacks bool) {
	if !s.preset.NeedsMember {
		return "", false
	}
	for _, class := range rawValues(e, "objectClass") {
		switch strings.ToLower(string(class)) {
		case "groupofnames":
			attr = "member"
		case "groupofuniquenames":
			attr = "uniqueMember"
		default:
			continue
		}
		isRead := slices.ContainsFunc(s.preset.Members, func(m string) bool { return strings.EqualFold(m, attr) })
		if isRead && len(rawValues(e, attr)) == 0 {
			return attr, true
		}
	}
	return "", false
}

// readGroups reads the groups.
func (r *run) readGroups(ctx context.Context) error {
	if r.src.o.Groups == nil {
		return nil
	}
	return r.readGroupsBy(ctx, r.src.o.Groups.Filter)
}

// readGroupsBy reads those of the groups whom the filter selects, and then those whose lists of members come in parts.
func (r *run) readGroupsBy(ctx context.Context, filter string) error {
	o := r.src.o
	attrs := append([]string{o.ID, o.Groups.Name}, r.src.preset.Members...)
	if r.src.preset.NeedsMember {
		attrs = append(attrs, "objectClass")
	}
	var long []gathered
	err := r.sess.list(ctx, "read groups below "+o.Groups.Base, o.Groups.Base, filter, attrs, func(e *wire.Entry) error {
		key, _, ok := r.identify(e, groupRead)
		if !ok {
			return nil
		}
		id := string(key)
		g := gathered{id: id, dn: e.DN}
		if err := r.src.gather(&g, e, r.member); err != nil {
			r.skip(id, e.DN, err)
			return nil
		}
		if attr, lacks := r.src.lacking(e); lacks && g.part == "" {
			r.inPart(&g, partialError{"it shows no " + attr + ", which its object class demands; may it be read?"})
			return nil
		}
		if g.part != "" {
			long = append(long, gathered{id: id, dn: e.DN})
			return nil
		}
		return r.emitGroup(ctx, &g)
	})
	if err != nil {
		return err
	}
	for i := range long {
		g := &long[i]
		err := r.readRanges(ctx, g)
		var part partialError
		if errors.As(err, &part) {
			r.inPart(g, part)
			continue
		}
		if err != nil {
			return err
		}
		if err := r.emitGroup(ctx, g); err != nil {
			return err
		}
		*g = gathered{} // its members may be many
	}
	return nil
}

// inPart notes a group of whose members a part is known at most.
func (r *run) inPart(g *gathered, err partialError) {
	if r.partial++; r.firstPartial == "" {
		r.firstPartial = g.dn
	}
	r.skip(g.id, g.dn, err)
}

// emitGroup hands a group out, with the people who have it as their primary group.
func (r *run) emitGroup(ctx context.Context, g *gathered) error {
	g.members = append(g.members, r.primary[g.id]...)
	en, err := r.src.record(g)
	if err != nil {
		r.skip(g.id, g.dn, err)
		return nil
	}
	r.groups++
	r.unresolved += len(g.outside)
	r.members += len(en.Members)
	if err := r.noteNamed(ctx, en); err != nil {
		return err
	}
	return r.emit(en)
}

// member resolves a value of a member attribute.
func (r *run) member(attr string, value []byte) (string, bool) {
	if strings.EqualFold(attr, memberUID) {
		return r.seen.named(userKey(value))
	}
	return r.seen.resolve(value)
}

// userKey is the key of a user name among the names; no DN has it.
func userKey(name []byte) nameKey { return hashName([]byte("uid\x00" + foldKey(string(name)))) }

// byUID says whether members are named by user name.
func (s *Source) byUID() bool {
	return s.o.Groups != nil && slices.ContainsFunc(s.preset.Members, func(m string) bool { return strings.EqualFold(m, memberUID) })
}

// noteNames makes the entry resolvable by what else may name it: a user name, or the security identifier of a group.
func (r *run) noteNames(e *wire.Entry, n int, m mark) {
	switch {
	case m == userListed && r.src.byUID():
		for _, uid := range rawValues(e, "uid") {
			key := userKey(uid)
			if other, ok := r.seen.names.find(key); ok && other != uint32(n) {
				r.ambiguous++
				r.seen.names.set(key, severalPeople)
				continue
			}
			r.seen.names.set(key, uint32(n))
		}
	case m == groupListed && r.src.preset.Primary:
		known := false
		for _, v := range rawValues(e, "objectSid") {
			if sid, err := entry.SID.Convert(v); err == nil {
				r.groupBySID[sid], known = r.seen.ids.ID(n), true
			}
		}
		if !known {
			r.noSID++
		}
	}
}

// notePrimary notes the group that a person has as primary one, which does not list them.
func (r *run) notePrimary(e *wire.Entry, n int) {
	if !r.src.preset.Primary || r.src.o.Groups == nil {
		return
	}
	sid, ok := primaryOf(e)
	if !ok {
		for _, a := range accountAttrs() {
			if len(rawValues(e, a)) > 0 { // an account has all of them; a contact has none
				r.noPrimary++
				break
			}
		}
		return
	}
	if group, ok := r.groupBySID[sid]; ok {
		r.primary[group] = append(r.primary[group], r.seen.ids.ID(n))
	}
}

// accountAttrs are what each account of Active Directory has.
func accountAttrs() []string { return []string{"objectSid", "primaryGroupID", "userAccountControl"} }

// primaryOf is the security identifier of the entry's primary group.
func primaryOf(e *wire.Entry) (string, bool) {
	sids, rids := rawValues(e, "objectSid"), rawValues(e, "primaryGroupID")
	if len(sids) != 1 || len(rids) != 1 {
		return "", false // a contact has none
	}
	sid, err := entry.SID.Convert(sids[0])
	if err != nil {
		return "", false
	}
	if _, err := strconv.ParseUint(string(rids[0]), 10, 32); err != nil {
		return "", false
	}
	return sid[:strings.LastIndexByte(sid, '-')+1] + string(rids[0]), true
}
