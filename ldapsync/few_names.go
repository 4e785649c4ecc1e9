package ldapsync

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"jmld/ldapsync/wire"
	"jmld/model"
)

// resolveNames finds out which of the names in what is to be read are people and groups of the source.
func (r *run) resolveNames(ctx context.Context) error {
	for dn := range r.few.names {
		if key, err := dnKey(dn); err == nil {
			r.few.asked[key] = dn
		}
	}
	strange := map[string]nameKey{}
	if err := r.lookUpNames(ctx, strange); err != nil || len(strange) == 0 {
		return err
	}
	return r.lookForStrange(ctx, strange)
}

// lookForStrange looks by their ids for those whom a name means, of whom nothing is known and no change was told: names by id. An answer that
// had another's id is not true.
func (r *run) lookForStrange(ctx context.Context, strange map[string]nameKey) error {
	many := len(strange)
	if many > mostResolved {
		return &model.Doubt{Text: fmt.Sprintf("%d people and groups are named, of whom nothing is known and no change was told", many)}
	}
	note := func(e *wire.Entry) error {
		id, err := r.src.entryID(e)
		if err != nil {
			return nil //nolint:nilerr // it is not found then
		}
		if key, err := dnKey(e.DN); err == nil && strange[id] == key {
			delete(strange, id)
		}
		return nil
	}
	if err := r.lookForIDs(ctx, slices.Sorted(maps.Keys(strange)), note); err != nil {
		return err
	}
	if len(strange) > 0 {
		return &model.Doubt{Text: fmt.Sprintf("%d of %d people and groups that are named are not found by the ids they were shown with", len(strange), many)}
	}
	return nil
}

// lookForIDs notes the people and groups with the ids that are there.
func (r *run) lookForIDs(ctx context.Context, ids []string, note func(*wire.Entry) error) error {
	o := r.src.o
	if err := r.byIDs(ctx, "look for people below "+o.People.Base, o.People.Base, o.People.Filter, ids, []string{o.ID}, note); err != nil || o.Groups == nil {
		return err
	}
	return r.byIDs(ctx, "look for groups below "+o.Groups.Base, o.Groups.Base, o.Groups.Filter, ids, []string{o.ID}, note)
}

// lookUpNames looks names up; strange takes whom they mean without being known.
func (r *run) lookUpNames(ctx context.Context, strange map[string]nameKey) error {
	w, o := r.few, r.src.o
	var open []string
	for key, dn := range w.asked {
		if _, ok := r.seen.names.find(key); !ok {
			open = append(open, dn)
		}
	}
	slices.Sort(open)
	scopes := []struct {
		base, filter string
		mark         mark
	}{{o.People.Base, o.People.Filter, userListed}}
	if o.Groups != nil {
		scopes = append(scopes, struct {
			base, filter string
			mark         mark
		}{o.Groups.Base, o.Groups.Filter, groupListed})
	}
	note := func(m mark, names bool) func(*wire.Entry) error {
		return func(e *wire.Entry) error {
			id, err := r.src.entryID(e)
			if err != nil {
				return nil //nolint:nilerr // a full read reports it
			}
			n := r.seen.number(id)
			r.addName(e.DN, n)
			if key, err := dnKey(e.DN); err == nil && w.asked[key] != "" && !w.q.Known(id) && !w.changed[id] {
				strange[id] = key
			}
			if names {
				r.noteNames(e, n, m)
			}
			return nil
		}
	}
	attrs := []string{o.ID}
	if r.src.byUID() {
		attrs = append(attrs, "uid")
	}
	if w.long || len(open) > mostResolved || len(w.uids) > mostResolved {
		for _, sc := range scopes {
			if err := r.sess.list(ctx, "list names below "+sc.base, sc.base, sc.filter, attrs, note(sc.mark, sc.mark == userListed)); err != nil {
				return err
			}
		}
		return nil
	}
	uids := slices.Sorted(maps.Keys(w.uids))
	for part := range slices.Chunk(uids, atOnce) {
		filter := "(&" + o.People.Filter + oneOf([]string{"uid"}, escapeAll(part)) + ")"
		if err := r.sess.list(ctx, "look for user names below "+o.People.Base, o.People.Base, filter, attrs, note(userListed, true)); err != nil {
			return err
		}
	}
	name := "entryDN" // RFC 5020
	if strings.EqualFold(o.ID, "objectGUID") {
		name = "distinguishedName"
	}
	for _, sc := range scopes {
		for part := range slices.Chunk(r.stillOpen(open), 4*atOnce) {
			if len(part) < atOnce/10 {
				break // one by one then
			}
			filter := "(&" + sc.filter + oneOf([]string{name}, escapeAll(part)) + ")"
			if err := r.sess.list(ctx, "look for names below "+sc.base, sc.base, filter, []string{o.ID}, note(sc.mark, false)); err != nil {
				return err
			}
		}
	}
	// What was not found in this way: the server may not search by names.
	open = r.stillOpen(open)
	if len(open) > mostAlone {
		for _, sc := range scopes {
			if err := r.sess.list(ctx, "list names below "+sc.base, sc.base, sc.filter, []string{o.ID}, note(sc.mark, false)); err != nil {
				return err
			}
		}
		return nil
	}
	for _, dn := range open {
		for _, sc := range scopes {
			if !below(dn, sc.base) {
				continue
			}
			_, err := r.sess.search(ctx, "look for "+printable(dn), wire.Search{Base: dn, Scope: ldap.ScopeBaseObject, Filter: sc.filter, Attrs: []string{o.ID}}, note(sc.mark, false))
			var answer *ldap.Error
			if errors.As(err, &answer) && (answer.ResultCode == ldap.LDAPResultNoSuchObject || answer.ResultCode == ldap.LDAPResultInvalidDNSyntax) {
				err = nil
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// stillOpen lists those of the DNs that name nobody so far.
func (r *run) stillOpen(dns []string) []string {
	return slices.DeleteFunc(slices.Clone(dns), func(dn string) bool { _, ok := r.seen.resolve([]byte(dn)); return ok })
}

// noteNamed notes whom an entry names in the store and not any more, before it is handed out: its name may mean nobody because we do not see
// its entry, of which no change was told.
func (r *run) noteNamed(ctx context.Context, en model.Entry) error {
	w := r.few
	if w == nil {
		return nil
	}
	ids, err := w.q.NamedBefore(ctx, en)
	for _, id := range ids {
		if r.seen.mark(id) == 0 && !w.changed[id] {
			w.before[id] = true
		}
	}
	return err
}

// lookForNamed looks for those by their ids. Who is there is merely not named any more, unless it is by a name that was looked up and
// meant nobody, or somebody else: an answer was not true then.
func (r *run) lookForNamed(ctx context.Context) error {
	w := r.few
	ids := slices.Sorted(maps.Keys(w.before))
	if len(ids) == 0 {
		return nil
	}
	if len(ids) > mostResolved {
		return &model.Doubt{Text: fmt.Sprintf("%d people and groups are not named any more", len(ids))}
	}
	there, denied := map[string]bool{}, 0
	note := func(e *wire.Entry) error {
		id, err := r.src.entryID(e)
		if err != nil {
			return nil //nolint:nilerr // it is not found then
		}
		there[id] = true
		if key, err := dnKey(e.DN); err == nil && w.asked[key] != "" {
			if is, _ := r.seen.named(key); is != id {
				denied++
			}
		}
		return nil
	}
	if err := r.lookForIDs(ctx, ids, note); err != nil {
		return err
	}
	if denied > 0 {
		return &model.Doubt{Text: fmt.Sprintf("%d people and groups are there by their ids, and were not found by name", denied)}
	}
	for _, id := range ids {
		if !there[id] && w.q.Missing(id, false) {
			w.absent++
		}
	}
	return nil
}

// lookForMembers looks for any group with a member, when none that was read has one that is known: an account that may not read the attribute
// sees empty groups.
func (r *run) lookForMembers(ctx context.Context) error {
	if r.groups == 0 || r.members > 0 {
		return nil
	}
	o, attrs := r.src.o, r.src.preset.Members
	found := false
	req := wire.Search{Base: o.Groups.Base, Scope: ldap.ScopeWholeSubtree, Filter: "(&" + o.Groups.Filter + oneOf(attrs, []string{"*"}) + ")", Attrs: attrs, PageSize: 1}
	_, err := r.sess.search(ctx, "look for members below "+o.Groups.Base, req, func(e *wire.Entry) error {
		for _, a := range e.Attrs {
			found = found || len(a.Values) > 0
		}
		return nil
	})
	r.few.hidden = !found
	return err
}
