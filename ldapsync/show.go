package ldapsync

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"jmld/jml/entry"
	"jmld/ldapsync/wire"
	"jmld/model"
)

// View is one entry of the directory, the record it becomes, and what each mapping did.
type View struct {
	Server string
	DN     string
	ID     string
	Kind   model.Kind // "" when a read would leave the entry out, for the reason in Left
	Left   string
	Entry  []ViewAttr // sorted by name

	Mappings []ViewMapping // by path
	Status   entry.Status
	Attrs    string // the record's, canonical JSON; "" without a record
	Error    string // why there is none
	Unknown  []string

	Groups  []ViewGroup // that the person is in directly
	Members int         // of a group, with those outside
	Outside []string    // members who are nobody that is read
}

// ViewAttr is an attribute as it is in the directory. Values that are secret are withheld, and bytes are in base64.
type ViewAttr struct {
	Name     string
	Values   []string
	Count    int // of values, where not all are shown
	Withheld bool
}

// ViewMapping is what became of one SCIM attribute.
type ViewMapping struct {
	Path   string
	From   string     // LDAP attributes, or the expression
	Source []ViewAttr // values they have
	Type   string     // conversion
	Values []string
	Why    string // why there are none, or why this one of several
}

// ViewGroup is a group.
type ViewGroup struct {
	ID, Name, DN string
	Primary      bool
}

// maxShown values of one attribute are shown, and so many bytes of each.
const (
	maxShown      = 50
	maxShownValue = 300
)

// Show reads one entry, by its DN, its id or the name of a person, and says what becomes of it. It writes nothing.
func (s *Source) Show(ctx context.Context, who string) (View, error) {
	if !s.busy.TryLock() {
		return View{}, s.failed(model.CodeSourceBusy, "start", errors.New("it is being read already"))
	}
	defer s.busy.Unlock()
	ctx, cancel := context.WithTimeoutCause(ctx, s.o.Timeouts.Run, errTimeout)
	defer cancel()
	c, err := s.open(ctx)
	if err != nil {
		return View{}, err
	}
	defer c.close()
	dn, err := c.locate(ctx, who)
	if err != nil {
		return View{}, err
	}
	attrs := append([]string{"*", "+"}, s.people.request...)
	if s.o.Groups != nil {
		attrs = append(append(attrs, s.o.Groups.Name), s.preset.Members...)
	}
	e, err := c.one(ctx, dn, "(objectClass=*)", attrs)
	if err != nil {
		return View{}, err
	}
	if e == nil {
		return View{}, fmt.Errorf("%w: there is no entry %s, or %s may not read it", model.ErrNotFound, printable(dn), s.who())
	}
	v := View{Server: s.where(), DN: e.DN, Entry: viewEntry(e, s.people.slots)}
	v.ID, err = s.entryID(e)
	if err != nil {
		v.Left = "it has no id: " + err.Error()
		return v, nil
	}
	if err := c.kind(ctx, e, &v); err != nil {
		return v, err
	}
	if v.Kind == model.KindGroup {
		return v, c.viewGroup(ctx, e, &v)
	}
	return v, c.viewPerson(ctx, e, &v)
}

// locate finds the DN of who: a DN itself, an id, or the value of an attribute that userName comes from.
func (c *session) locate(ctx context.Context, who string) (string, error) {
	s := c.src
	if d, err := ldap.ParseDN(who); err == nil && len(d.RDNs) > 0 {
		return who, nil
	}
	value := ldap.EscapeFilter(who)
	var filters []string
	for _, id := range append([]string{s.o.ID}, s.preset.Aliases...) {
		filters = append(filters, "("+id+"="+idFilter(id, who)+")")
	}
	for _, attr := range s.people.userName.looksAt {
		filters = append(filters, "("+attr+"="+value+")")
	}
	if s.o.Groups != nil {
		filters = append(filters, "("+s.o.Groups.Name+"="+value+")")
	}
	var found []string
	req := wire.Search{Base: s.o.Base, Scope: ldap.ScopeWholeSubtree, Filter: "(|" + strings.Join(filters, "") + ")", Attrs: []string{s.o.ID}, PageSize: 10}
	_, err := c.search(ctx, "look for "+printable(who), req, func(e *wire.Entry) error {
		found = append(found, e.DN)
		return nil
	})
	switch {
	case err != nil:
		return "", err
	case len(found) == 0:
		return "", fmt.Errorf("%w: nothing below %s is found by %q as %s", model.ErrNotFound, s.o.Base, printable(who), strings.Join(filters, " "))
	case len(found) > 1:
		return "", fmt.Errorf("%w: %q is found in several entries; which is meant?\n  %s", model.ErrNotFound, printable(who), strings.Join(found, "\n  "))
	}
	return found[0], nil
}

// one reads one entry; nil when it is not there or does not match. The entry is a copy.
func (c *session) one(ctx context.Context, dn, filter string, attrs []string) (*wire.Entry, error) {
	var found *wire.Entry
	_, err := c.search(ctx, "read the entry "+printable(dn), wire.Search{Base: dn, Scope: ldap.ScopeBaseObject, Filter: filter, Attrs: attrs},
		func(e *wire.Entry) error {
			found = &wire.Entry{DN: e.DN}
			for _, a := range e.Attrs {
				values := make([][]byte, len(a.Values))
				for i, v := range a.Values {
					values[i] = bytes.Clone(v)
				}
				found.Attrs = append(found.Attrs, wire.Attr{Name: a.Name, Values: values})
			}
			return nil
		})
	if isNoSuchObject(err) {
		return nil, nil
	}
	return found, err
}

// kind says what a read takes the entry for.
func (c *session) kind(ctx context.Context, e *wire.Entry, v *View) error {
	s := c.src
	type place struct {
		kind               model.Kind
		base, filter, what string
	}
	places := []place{{model.KindUser, s.o.People.Base, s.o.People.Filter, "people"}}
	if s.o.Groups != nil {
		places = append(places, place{model.KindGroup, s.o.Groups.Base, s.o.Groups.Filter, "groups"})
	}
	var why []string
	for _, p := range places {
		if !below(e.DN, p.base) {
			why = append(why, "it is not below "+p.base)
			continue
		}
		match, err := c.one(ctx, e.DN, p.filter, []string{s.o.ID})
		if err != nil {
			return err
		}
		if match != nil {
			v.Kind = p.kind
			return nil
		}
		why = append(why, "it does not match "+p.what+".filter "+p.filter)
	}
	v.Left = strings.Join(why, ", and ")
	return nil
}

// viewPerson converts the entry as a read does.
func (c *session) viewPerson(ctx context.Context, e *wire.Entry, v *View) error {
	s := c.src
	var lost error
	resolve := func(dn []byte) (string, bool) {
		if _, err := ldap.ParseDN(string(dn)); err != nil || lost != nil {
			return "", false
		}
		found, err := c.one(ctx, string(dn), "(objectClass=*)", []string{s.o.ID})
		if err != nil || found == nil {
			lost = err
			return "", false
		}
		id, err := s.entryID(found)
		return id, err == nil
	}
	en, doubts, err := s.person(e, v.ID, resolve)
	if err != nil {
		v.Error = err.Error()
	} else {
		v.Attrs, v.Unknown = en.Attrs, en.Unknown
	}
	values := make([][][]byte, s.people.size)
	if err := s.people.collect(e, values, &spellings{}); err != nil {
		v.Error = err.Error()
	}
	v.Status = s.people.status(values, s.now())
	s.people.compute(e.DN, values)
	for i := range s.people.fields {
		v.Mappings = append(v.Mappings, s.people.explain(&s.people.fields[i], e, values, doubts, resolve))
	}
	if lost != nil || s.o.Groups == nil || v.Kind != model.KindUser {
		return lost
	}
	return c.viewGroupsOf(ctx, e, v)
}

// explain says what became of one field.
func (m *mapping) explain(f *field, e *wire.Entry, values [][][]byte, doubts []string, resolve func([]byte) (string, bool)) ViewMapping {
	out := ViewMapping{Path: f.path, From: f.says(), Type: string(f.from.Type)}
	attrs := f.looksAt
	for _, attr := range attrs {
		if raw := rawValues(e, attr); len(raw) > 0 {
			out.Source = append(out.Source, viewAttr(attr, raw, true))
		}
	}
	if out.Type == "" && len(attrs) > 0 && f.from.CEL == "" {
		out.Type = string(entry.TypeOf(attrs[0]))
	}
	got := values[f.slot]
	switch {
	case f.shape == reference:
		out.Type = string(entry.Reference)
		if len(got) > 0 {
			if id, ok := resolve(choose(got, e.DN, f.attr)); ok {
				out.Values = []string{id}
			} else {
				out.Why = "the DN names nobody that can be read"
			}
		}
	case f.shape == plural:
		for _, v := range got {
			out.Values = append(out.Values, string(v))
		}
	case len(got) > 0:
		out.Values = []string{string(choose(got, e.DN, f.attr))}
		if len(got) > 1 {
			out.Why = fmt.Sprintf("one of %d values: the one that names the entry, or the least", len(got))
		}
	}
	for _, d := range doubts {
		if reason, ok := strings.CutPrefix(d, f.path+": "); ok {
			out.Why = "unknown, so it stays as it is: " + reason
		}
	}
	if len(out.Values) == 0 && out.Why == "" {
		out.Why = "no value"
		if len(out.Source) == 0 {
			out.Why = "the entry has no " + strings.Join(attrs, " and no ")
		}
	}
	return out
}

// viewGroupsOf lists the groups that have the person as a direct member.
func (c *session) viewGroupsOf(ctx context.Context, e *wire.Entry, v *View) error {
	s := c.src
	var filters []string
	for _, m := range s.preset.Members {
		if !strings.EqualFold(m, memberUID) {
			filters = append(filters, "("+m+"="+ldap.EscapeFilter(e.DN)+")")
			continue
		}
		for _, uid := range rawValues(e, "uid") {
			filters = append(filters, "("+m+"="+ldap.EscapeFilter(string(uid))+")")
		}
	}
	primary, isPrimary := primaryOf(e)
	if isPrimary = isPrimary && s.preset.Primary; isPrimary {
		filters = append(filters, "(objectSid="+primary+")")
	}
	filter := "(&" + s.o.Groups.Filter + "(|" + strings.Join(filters, "") + "))"
	return c.list(ctx, "list the groups of "+printable(e.DN), s.o.Groups.Base, filter, []string{s.o.ID, s.o.Groups.Name, "objectSid"}, func(g *wire.Entry) error {
		id, err := s.entryID(g)
		if err != nil {
			id = "none: " + err.Error()
		}
		one := ViewGroup{ID: id, DN: g.DN}
		for _, name := range rawValues(g, s.o.Groups.Name) {
			one.Name = string(name)
		}
		if sids := rawValues(g, "objectSid"); isPrimary && len(sids) == 1 {
			sid, err := entry.SID.Convert(sids[0])
			one.Primary = err == nil && sid == primary
		}
		v.Groups = append(v.Groups, one)
		return nil
	})
}

// viewGroup counts members; whom each names is looked up as for a read.
func (c *session) viewGroup(ctx context.Context, e *wire.Entry, v *View) error {
	r := &run{src: c.src, sess: c, seen: newTable(), before: map[string]string{}, after: map[string]string{},
		groupBySID: map[string]string{}, primary: map[string][]string{}}
	if err := r.census(ctx); err != nil {
		return err
	}
	g := gathered{id: v.ID, dn: e.DN}
	err := c.src.gather(&g, e, r.member)
	if err == nil && g.part != "" {
		err = r.readRanges(ctx, &g)
	}
	var part partialError
	switch {
	case errors.As(err, &part):
		v.Error = err.Error()
		return nil
	case err != nil:
		return err
	}
	en, err := c.src.record(&g)
	if err != nil {
		v.Error = err.Error()
		return nil //nolint:nilerr // shown
	}
	v.Attrs, v.Status.Active = en.Attrs, true
	v.Members, v.Outside = len(en.Members)+len(g.outside), g.outside[:min(len(g.outside), maxShown)]
	return nil
}
