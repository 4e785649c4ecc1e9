package access

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"jmld/model"
)

// The edits below change a state that is going to be checked as a whole; they refuse what the check could not see any more.

// PutRole adds a role, or changes the one of its id.
func (s *State) PutRole(r model.AccessRole) {
	s.Roles = put(s.Roles, r, func(x model.AccessRole) bool { return x.ID == r.ID })
}

// PutGroup adds a group, or changes the one of its id.
func (s *State) PutGroup(g model.AccessGroup) {
	s.Groups = put(s.Groups, g, func(x model.AccessGroup) bool { return x.ID == g.ID })
}

// PutResource adds a resource, or changes the one at its place.
func (s *State) PutResource(r model.AccessResource) {
	s.Resources = put(s.Resources, r, func(x model.AccessResource) bool { return x.Place == r.Place })
}

func put[T any](list []T, x T, same func(T) bool) []T {
	if i := slices.IndexFunc(list, same); i >= 0 {
		list[i] = x
		return list
	}
	return append(list, x)
}

// Role finds a role by name.
func (s *State) Role(name string) (model.AccessRole, error) {
	id := ID(name)
	if i := slices.IndexFunc(s.Roles, func(r model.AccessRole) bool { return r.ID == id }); i >= 0 {
		return s.Roles[i], nil
	}
	return model.AccessRole{}, fmt.Errorf("there is no role %q: %w", name, model.ErrNotFound)
}

// Group finds a group by name; the root is not among them.
func (s *State) Group(name string) (model.AccessGroup, error) {
	id := ID(name)
	if i := slices.IndexFunc(s.Groups, func(g model.AccessGroup) bool { return g.ID == id }); i >= 0 {
		return s.Groups[i], nil
	}
	return model.AccessGroup{}, fmt.Errorf("there is no group %q: %w", name, model.ErrNotFound)
}

// DropRole removes a role that nobody holds.
func (s *State) DropRole(name string) error {
	r, err := s.Role(name)
	if err != nil {
		return err
	}
	held := 0
	for _, m := range s.Members {
		if m.Role == r.ID {
			held++
		}
	}
	if held > 0 {
		return model.Errorf(model.CodeAccessRefused, "role %s is held by somebody (memberships: %d); take it away first", r.Name, held)
	}
	s.Roles = slices.DeleteFunc(s.Roles, func(x model.AccessRole) bool { return x.ID == r.ID })
	return nil
}

// DropGroup removes a group that nothing is below and nothing belongs to, with its memberships. The root stays.
func (s *State) DropGroup(name string) error {
	if ID(name) == model.AccessRoot {
		return model.Errorf(model.CodeAccessRefused, "the root is always there")
	}
	g, err := s.Group(name)
	if err != nil {
		return err
	}
	for _, x := range s.Groups {
		if x.Parent == g.ID {
			return model.Errorf(model.CodeAccessRefused, "group %s is below %s; move or remove it first", x.Name, g.Name)
		}
	}
	for _, l := range s.Links {
		if l.Owner == g.ID {
			return model.Errorf(model.CodeAccessRefused, "%s belongs to group %s; give it to another one first", l.Place, g.Name)
		}
	}
	s.Groups = slices.DeleteFunc(s.Groups, func(x model.AccessGroup) bool { return x.ID == g.ID })
	s.Members = slices.DeleteFunc(s.Members, func(m model.AccessMember) bool { return m.Place == KindGroup+":"+g.ID })
	return nil
}

// DropResource removes a resource with all that was given on it, and an app's own roles.
func (s *State) DropResource(place string) error {
	if !slices.ContainsFunc(s.Resources, func(r model.AccessResource) bool { return r.Place == place }) {
		return fmt.Errorf("there is no %s: %w", place, model.ErrNotFound)
	}
	s.Resources = slices.DeleteFunc(s.Resources, func(r model.AccessResource) bool { return r.Place == place })
	s.Links = slices.DeleteFunc(s.Links, func(l model.AccessLink) bool { return l.Place == place })
	s.Members = slices.DeleteFunc(s.Members, func(m model.AccessMember) bool { return m.Place == place })
	s.Roles = slices.DeleteFunc(s.Roles, func(r model.AccessRole) bool { return r.App == place })
	return nil
}

// Link gives an app to a group, or associates a namespace with it. An app that another group owns needs move.
func (s *State) Link(l model.AccessLink, move bool) {
	if move {
		s.Links = slices.DeleteFunc(s.Links, func(x model.AccessLink) bool { return x.Place == l.Place && x.Owner != l.Owner })
	}
	if !slices.ContainsFunc(s.Links, func(x model.AccessLink) bool { return x.Place == l.Place && x.Owner == l.Owner }) {
		s.Links = append(s.Links, l)
	}
}

// Unlink takes a resource from a group.
func (s *State) Unlink(place, group string) error {
	n := len(s.Links)
	s.Links = slices.DeleteFunc(s.Links, func(l model.AccessLink) bool { return l.Place == place && l.Owner == group })
	if len(s.Links) == n {
		return fmt.Errorf("%s does not belong to group %s: %w", place, group, model.ErrNotFound)
	}
	return nil
}

// Give adds a membership, or changes the one of the same person, place and role.
func (s *State) Give(m model.AccessMember) {
	who := s.who(m.Person)
	s.Members = put(s.Members, m, func(x model.AccessMember) bool {
		return x.Place == m.Place && x.Role == m.Role && s.who(x.Person) == who
	})
}

// Grant is Give for somebody who asks: it refuses what they have for as long already, goes on where what they have ends, and takes nothing away.
func (s *State) Grant(t *Tree, m model.AccessMember, now time.Time) error {
	if way := t.Held(m, now); way != nil {
		through := "directly"
		if !way.Direct {
			through = "through " + strings.Join(way.Path, " > ")
		}
		return model.Errorf(model.CodeAccessRefused, "the person has it in %s already, %s", t.Name(m.Place), through)
	}
	i := slices.IndexFunc(s.Members, func(x model.AccessMember) bool {
		return x.Place == m.Place && x.Role == m.Role && s.who(x.Person) == m.Person
	})
	if i >= 0 && !over(s.Members[i], now) {
		switch is := s.Members[i]; {
		case is.Admin && !m.Admin:
			return model.Errorf(model.CodeAccessRefused, "the person has it in %s as an admin until %s; expected a request to administer", t.Name(m.Place), text(is.ValidTo))
		case m.Admin && !is.Admin: // it would administer for as long as it has the role
			return model.Errorf(model.CodeAccessRefused, "the person has the role in %s; expected a request to administer without a role", t.Name(m.Place))
		case is.EndedAt != nil:
			return model.Errorf(model.CodeAccessRefused, "the person was given it in %s before they left, which is settled first", t.Name(m.Place))
		case !overlap(is, m):
			return model.Errorf(model.CodeAccessRefused, "the person has it in %s from %s until %s; expected no gap between that and this", t.Name(m.Place), text(is.ValidFrom), text(is.ValidTo))
		default:
			m.ValidFrom, m.ValidTo = earlier(is.ValidFrom, m.ValidFrom), later(is.ValidTo, m.ValidTo)
		}
	}
	s.Give(m)
	return nil
}

func text(t *time.Time) string {
	if t == nil {
		return "always"
	}
	return t.Format(time.RFC3339)
}

// Take removes what a person was given directly at a place: one role, or with all everything.
func (s *State) Take(person, place, role string, all bool) int {
	n := len(s.Members)
	s.Members = slices.DeleteFunc(s.Members, func(m model.AccessMember) bool {
		return m.Place == place && s.who(m.Person) == person && (all || m.Role == role)
	})
	return n - len(s.Members)
}

// AdminBeside says whether somebody else administers the place of the row without an end.
func (s *State) AdminBeside(m model.AccessMember) bool {
	who := s.who(m.Person)
	return slices.ContainsFunc(s.Members, func(x model.AccessMember) bool {
		return x.Place == m.Place && x.Admin && permanent(x) && s.who(x.Person) != who
	})
}

// HandOver makes somebody the owner of an app in the place of whoever was it; what the owner was given beside that stays.
func (s *State) HandOver(place string, to model.AccessMember) {
	s.Members = slices.DeleteFunc(s.Members, func(m model.AccessMember) bool { return m.Place == place && m.Admin })
	to.Place, to.Admin = place, true
	to.ValidFrom, to.ValidTo = nil, nil
	s.Give(to)
}
