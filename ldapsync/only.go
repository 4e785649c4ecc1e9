package ldapsync

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-ldap/ldap/v3"

	"jmld/model"
)

// Found is an entry that somebody asked for, and what a read makes of it.
type Found struct {
	DN, ID  string
	Left    string      // why a read leaves it out; "" when it is listed as a person
	Entry   model.Entry // what a read hands out of the person
	Skipped string      // why it hands out nothing
}

// Only reads one person, by DN, id or user name, and says what a read would make of the entry. model.ErrNotFound: it is not there, or
// the account may not see it; servers answer the same.
func (s *Source) Only(ctx context.Context, who string) (Found, error) {
	if !s.busy.TryLock() {
		return Found{}, s.failed(model.CodeSourceBusy, "start", errors.New("it is being read already"))
	}
	defer s.busy.Unlock()
	ctx, cancel := context.WithTimeoutCause(ctx, s.o.Timeouts.Run, errTimeout)
	defer cancel()
	c, err := s.open(ctx)
	if err != nil {
		return Found{}, err
	}
	defer c.close()
	dn, err := c.locate(ctx, who)
	if err != nil {
		return Found{}, err
	}
	e, err := c.one(ctx, dn, "(objectClass=*)", s.people.request)
	if err != nil {
		return Found{}, err
	}
	if e == nil {
		return Found{}, fmt.Errorf("%w: there is no entry %s, or %s may not read it", model.ErrNotFound, printable(dn), s.who())
	}
	out := Found{DN: printable(e.DN)}
	if out.ID, err = s.entryID(e); err != nil {
		out.Skipped = err.Error()
		return out, nil
	}
	v := View{ID: out.ID}
	if err := c.kind(ctx, e, &v); err != nil {
		return out, err
	}
	switch v.Kind {
	case model.KindUser:
		if out.Entry, _, err = s.person(e, out.ID, c.resolver(ctx)); err != nil {
			out.Skipped = err.Error()
		}
	case model.KindGroup:
		out.Left = "it is a group"
	default:
		out.Left = v.Left
	}
	return out, nil
}

// resolver finds the ids of listed people that a DN names, with a search for each.
func (c *session) resolver(ctx context.Context) func(dn []byte) (string, bool) {
	s := c.src
	return func(dn []byte) (string, bool) {
		if _, err := ldap.ParseDN(string(dn)); err != nil || !below(string(dn), s.o.People.Base) {
			return "", false
		}
		e, err := c.one(ctx, string(dn), s.o.People.Filter, []string{s.o.ID})
		if err != nil || e == nil {
			return "", false
		}
		id, err := s.entryID(e)
		return id, err == nil
	}
}
