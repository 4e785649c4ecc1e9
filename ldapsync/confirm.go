package ldapsync

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"jmld/ldapsync/wire"
	"jmld/model"
)

// Confirm looks for each id alone over the whole naming context, without the filter of the source, and says what was seen. The
// search has to find the entries there first, or, where there are none, some that are listed for that: an account that may not search by
// the id finds nobody, with success.
func (s *Source) Confirm(ctx context.Context, kind model.Kind, ids, there []string, each func(string, model.Sighting)) error {
	if !s.busy.TryLock() {
		return s.failed(model.CodeSourceBusy, "start", errors.New("it is being read already"))
	}
	defer s.busy.Unlock()
	ctx, cancel := context.WithTimeoutCause(ctx, s.o.Timeouts.Run, errTimeout)
	defer cancel()
	sess, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer sess.close()
	f := finder{sess: sess}
	if f.scope, err = s.scopeOf(kind); err != nil {
		return err
	}
	if f.root, err = sess.namingContext(ctx); err != nil {
		return err
	}
	if len(there) == 0 {
		if there, err = f.some(ctx, kind); err != nil {
			return err
		}
	}
	if len(there) == 0 {
		return s.failed(model.CodeSourceUnproven, "look for entries by "+s.o.ID,
			fmt.Errorf("no %s is listed whom the search would have to find: a right that was lost would look the same", kind))
	}
	prove := func() error {
		for _, id := range there {
			if got, err := f.find(ctx, id); err != nil {
				return err
			} else if got.State != model.SightListed {
				return s.failed(model.CodeSourceUnproven, "look for entries by "+s.o.ID,
					fmt.Errorf("a search for %s, which was just read, finds it %s", id, got.State))
			}
		}
		return nil
	}
	if err := prove(); err != nil {
		return err
	}
	found := make(map[string]model.Sighting, len(ids))
	for _, id := range ids {
		got, err := f.find(ctx, id)
		if err != nil && sess.conn.Err() != nil {
			return err
		}
		if err != nil { // of this one only
			got = model.Sighting{Text: err.Error()}
		}
		found[id] = got
	}
	if err := prove(); err != nil { // nothing has changed meanwhile in what the searches may find
		return err
	}
	for _, id := range ids {
		each(id, found[id])
	}
	return nil
}

// some lists a few entries of the kind, for a run that has listed none itself.
func (f *finder) some(ctx context.Context, kind model.Kind) ([]string, error) {
	const few = 3
	s, ids := f.sess.src, []string(nil)
	_, err := f.sess.search(ctx, fmt.Sprintf("list a %s below %s", kind, f.scope.base), wire.Search{Base: f.scope.base, Scope: ldap.ScopeWholeSubtree,
		Filter: f.scope.filter, Attrs: []string{s.o.ID}, PageSize: few}, func(e *wire.Entry) error {
		if id, err := s.entryID(e); err == nil && len(ids) < few {
			ids = append(ids, id)
		}
		return nil
	})
	return ids, err
}

// scope is where the entries of a kind are listed.
type scope struct {
	base, filter string
	compiled     *ber.Packet
	attrs        []string // that the filter names
}

func (s *Source) scopeOf(kind model.Kind) (scope, error) {
	sc := scope{base: s.o.People.Base, filter: s.o.People.Filter}
	if kind == model.KindGroup && s.o.Groups != nil {
		sc.base, sc.filter = s.o.Groups.Base, s.o.Groups.Filter
	}
	var err error
	if sc.compiled, err = ldap.CompileFilter(sc.filter); err != nil {
		return sc, err
	}
	sc.attrs = filterAttrs(sc.compiled, nil)
	return sc, nil
}

// finder looks for one entry after the other.
type finder struct {
	sess  *session
	root  string
	scope scope
}

// find looks for the entry, and if it is there, why it was not listed.
func (f *finder) find(ctx context.Context, id string) (model.Sighting, error) {
	s := f.sess.src
	e, more, err := f.search(ctx, id, "")
	if err != nil {
		return model.Sighting{}, err
	}
	if e == nil && more == 0 && strings.EqualFold(s.o.ID, "nsUniqueId") {
		// 389 Directory Server shows tombstones to who asks for them.
		if e, _, err = f.search(ctx, id, "(objectClass=nsTombstone)"); err == nil && e != nil {
			return model.Sighting{State: model.SightDeleted, Text: "its tombstone is " + printable(e.dn)}, nil
		}
	}
	switch {
	case err != nil:
		return model.Sighting{}, err
	case e == nil && more > 0: // a part of the tree that another server holds may have it
		return model.Sighting{Text: "the server points elsewhere: " + printable(f.sess.firstReferral)}, nil
	case e == nil:
		return model.Sighting{State: model.SightNowhere}, nil
	case e.deleted:
		return model.Sighting{State: model.SightDeleted, Text: "its tombstone is " + printable(e.dn)}, nil
	}
	if in, err := standsBelow(e.dn, f.scope.base); err != nil {
		return model.Sighting{Text: fmt.Sprintf("it is %s, which cannot be understood: %s", printable(e.dn), err)}, nil
	} else if !in {
		return model.Sighting{State: model.SightElsewhere, Text: "it is " + printable(e.dn) + ", outside " + f.scope.base}, nil
	}
	listed, err := f.matches(ctx, e.dn, id, f.scope.filter)
	if err != nil || listed {
		return model.Sighting{State: model.SightListed, Text: "it is " + printable(e.dn)}, err
	}
	// Whether attributes went away or our right to read them did, looks the same: they count as if they matched.
	generous, err := favourable(f.scope.compiled, s.o.ID, e.has, false)
	if err != nil {
		return model.Sighting{}, err
	}
	unseen, err := f.matches(ctx, e.dn, id, generous)
	switch {
	case err != nil:
		return model.Sighting{}, err
	case unseen:
		return model.Sighting{State: model.SightNowhere, Text: fmt.Sprintf("it is %s, and not everything of it that %s asks for can be seen",
			printable(e.dn), f.scope.filter)}, nil
	}
	return model.Sighting{State: model.SightElsewhere, Text: fmt.Sprintf("it is %s and does not match %s", printable(e.dn), f.scope.filter)}, nil
}

// one is an entry that was found.
type one struct {
	dn      string
	deleted bool
	seen    []string // attributes of the filter
}

func (e *one) has(attr string) bool {
	return slices.ContainsFunc(e.seen, func(a string) bool { return strings.EqualFold(a, attr) })
}

// search finds at most one entry by its id; more counts references to other servers.
func (f *finder) search(ctx context.Context, id, and string) (found *one, more int, err error) {
	s := f.sess.src
	step := "look for the entry with " + s.o.ID + " " + id
	req := wire.Search{Base: f.root, Scope: ldap.ScopeWholeSubtree, Filter: "(" + s.o.ID + "=" + idFilter(s.o.ID, id) + ")",
		Attrs: append([]string{s.o.ID, "isDeleted"}, f.scope.attrs...)}
	if and != "" {
		req.Filter = "(&" + and + req.Filter + ")"
	}
	if strings.EqualFold(s.o.ID, "objectGUID") { // Active Directory: any naming context, tombstones too
		req.Base, req.Scope, req.Filter = "<GUID="+id+">", ldap.ScopeBaseObject, "(objectClass=*)"
		req.Controls = []ldap.Control{ldap.NewControlMicrosoftShowDeleted()}
	}
	n := 0
	done, err := f.sess.search(ctx, step, req, func(e *wire.Entry) error {
		if got, err := s.entryID(e); err != nil || got != id {
			return s.failed(model.CodeSourceUnproven, step, fmt.Errorf("the server answers with %s, which is another one", printable(e.DN)))
		}
		n++
		found = &one{dn: strings.Clone(e.DN)}
		if v := rawValues(e, "isDeleted"); len(v) == 1 && strings.EqualFold(string(v[0]), "TRUE") {
			found.deleted = true
		}
		for _, a := range f.scope.attrs {
			if len(rawValues(e, a)) > 0 {
				found.seen = append(found.seen, a)
			}
		}
		return nil
	})
	var answer *ldap.Error
	switch {
	case err != nil && req.Scope == ldap.ScopeBaseObject && errors.As(err, &answer) && answer.ResultCode == ldap.LDAPResultNoSuchObject:
		return nil, 0, nil
	case err != nil:
		return nil, 0, err
	case n > 1:
		return nil, 0, s.failed(model.CodeSourceUnproven, step, fmt.Errorf("%d entries have this id", n))
	}
	return found, done.References, nil
}

// matches says whether the entry at the DN is the one with the id, and matches the filter.
func (f *finder) matches(ctx context.Context, dn, id, filter string) (bool, error) {
	s, n := f.sess.src, 0
	_, err := f.sess.search(ctx, "read the entry "+printable(dn), wire.Search{Base: dn, Scope: ldap.ScopeBaseObject, Filter: filter,
		Attrs: []string{s.o.ID}}, func(e *wire.Entry) error {
		if got, err := s.entryID(e); err == nil && got == id {
			n++
		}
		return nil
	})
	return n == 1, err
}

// namingContext is the root of the tree in which the base stands, RFC 4512 §5.1; the base when the server does not say.
func (c *session) namingContext(ctx context.Context) (string, error) {
	root := c.src.o.Base
	_, err := c.search(ctx, "read the root DSE", wire.Search{Scope: ldap.ScopeBaseObject, Filter: "(objectClass=*)", Attrs: []string{"namingContexts"}},
		func(e *wire.Entry) error {
			for _, v := range rawValues(e, "namingContexts") {
				if dn := string(v); below(c.src.o.Base, dn) && len(dn) < len(root) {
					root = dn
				}
			}
			return nil
		})
	var answer *ldap.Error
	if err != nil && errors.As(err, &answer) && c.conn.Err() == nil {
		return root, nil // it may not be shown to us
	}
	return root, err
}

// below says whether the entry is seen to stand at or below the base.
func below(dn, base string) bool {
	in, err := standsBelow(dn, base)
	return err == nil && in
}

// standsBelow says whether the entry stands at or below the base; an error is neither yes nor no.
func standsBelow(dn, base string) (bool, error) {
	d, err := ldap.ParseDN(dn)
	if err != nil {
		return false, err
	}
	b, err := ldap.ParseDN(base)
	return err == nil && (b.EqualFold(d) || b.AncestorOfFold(d)), err
}

// idFilter writes an id as it stands in a filter, RFC 4515 §3.
func idFilter(attr, id string) string {
	raw := strings.ReplaceAll(id, "-", "")
	b, err := hex.DecodeString(raw)
	switch strings.ToLower(attr) {
	case "guid":
		if err != nil || len(b) != 16 {
			break
		}
		return escaped(b)
	case "objectguid", "msexchmailboxguid", "ms-ds-consistencyguid":
		if err != nil || len(b) != 16 {
			break
		}
		slices.Reverse(b[0:4])
		slices.Reverse(b[4:6])
		slices.Reverse(b[6:8])
		return escaped(b)
	}
	return ldap.EscapeFilter(id)
}

func escaped(b []byte) string {
	var out strings.Builder
	for _, c := range b {
		fmt.Fprintf(&out, `\%02x`, c)
	}
	return out.String()
}

// filterAttrs lists the attributes that a compiled filter names.
func filterAttrs(p *ber.Packet, into []string) []string {
	if p.Tag == ldap.FilterAnd || p.Tag == ldap.FilterOr || p.Tag == ldap.FilterNot {
		for _, c := range p.Children {
			into = filterAttrs(c, into)
		}
		return into
	}
	name := assertedAttr(p)
	if name != "" && !slices.ContainsFunc(into, func(a string) bool { return strings.EqualFold(a, name) }) {
		into = append(into, name)
	}
	return into
}

// assertedAttr is the attribute an item of a filter is about, without options; "" for a matching rule on all.
func assertedAttr(p *ber.Packet) string {
	name := ""
	switch p.Tag {
	case ldap.FilterPresent:
		name = p.Data.String()
	case ldap.FilterExtensibleMatch:
		for _, c := range p.Children {
			if c.Tag == ldap.MatchingRuleAssertionType {
				name = c.Data.String()
			}
		}
	default:
		if len(p.Children) > 0 {
			name = p.Children[0].Data.String()
		}
	}
	name, _, _ = strings.Cut(name, ";")
	return name
}

// favourable is the filter with every item about an attribute that is not there decided so that the filter rather matches.
func favourable(p *ber.Packet, id string, has func(attr string) bool, negated bool) (string, error) {
	symbol := map[ber.Tag]string{ldap.FilterAnd: "&", ldap.FilterOr: "|", ldap.FilterNot: "!"}[p.Tag]
	if symbol == "" {
		switch attr := assertedAttr(p); {
		case attr != "" && has(attr):
			return ldap.DecompileFilter(p)
		case negated:
			return "(!(" + id + "=*))", nil
		}
		return "(" + id + "=*)", nil
	}
	out := "(" + symbol
	for _, c := range p.Children {
		part, err := favourable(c, id, has, negated != (symbol == "!"))
		if err != nil {
			return "", err
		}
		out += part
	}
	return out + ")", nil
}
