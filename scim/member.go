package scim

import (
	"slices"
	"strings"
	"unicode"

	"jmld/jml/engine"
	"jmld/model"
)

// memberOp is one operation on the members of a group. Members are never loaded to change them: a group may have a
// hundred thousand.
type memberOp struct {
	verb verb
	ids  []string
	all  bool // replace: ids is the whole set; remove: everybody
}

// member compiles an operation on members.
func (c *compiler) member(v verb, a *attribute, p path, raw any, given bool) error {
	members := a.top()
	if a != members || p.sub != "" {
		return mutability("Members are added and removed; what is in one cannot be changed.") // RFC 7643 §8.7.1
	}
	if p.filter != nil {
		ids, err := c.selectedMembers(members, p.filter)
		if err != nil {
			return err
		}
		list, isList := raw.([]any)
		switch none := raw == nil || raw == "" || isList && len(list) == 0; {
		case v == verbAdd && none:
			c.notes.add("members: no value read as the member that the filter names")
		case v == verbReplace && none:
			c.notes.add("members: no value read as remove")
			v = verbRemove
		case v == verbRemove && !none && c.namesOther(raw, ids):
			return invalidValue("The path names one member, and the value another.")
		case c.namesOther(raw, ids): // who would be left out
			return mutability("A member cannot be made another one: one is removed, the other added.") // RFC 7643 §8.7.1
		case v == verbRemove && given && !none:
			c.notes.add("members: remove with a value read without it")
		case v == verbReplace:
			c.notes.path("members: replace of a member read as add")
			v = verbAdd
		}
		if v != verbRemove { // what is added has to be what a value could be
			for _, id := range ids {
				if err := c.addable(id); err != nil {
					return err
				}
			}
		}
		c.members = append(c.members, memberOp{verb: v, ids: ids})
		return nil
	}
	if v == verbRemove && !given {
		c.members = append(c.members, memberOp{verb: verbRemove, all: true})
		return nil
	}
	ids, err := c.memberIDs(raw)
	if err != nil {
		return err
	}
	if v != verbRemove && slices.Contains(ids, c.id) {
		return errItself()
	}
	if v == verbRemove {
		// RFC 7644 §3.5.2.2 would remove everybody. Entra means those in the value.
		c.notes.add("members: remove with values read as remove those")
	}
	c.members = append(c.members, memberOp{verb: v, ids: ids, all: v == verbReplace})
	return nil
}

// namesOther says whether there is a member in the value that is none of the ids.
func (c *compiler) namesOther(raw any, ids []string) bool {
	unnoted := compiler{normaliser: normaliser{&notes{}, c.bounds}, id: c.id}
	given, err := unnoted.memberIDs(raw)
	return err == nil && slices.ContainsFunc(given, func(id string) bool { return !slices.Contains(ids, id) })
}

func (c *compiler) memberIDs(raw any) ([]string, error) {
	raw = c.unpacked("members", raw, either)
	list, ok := raw.([]any)
	if !ok && raw != nil && raw != "" {
		c.notes.add("members: single value read as an array of one")
		list = []any{raw}
	}
	ids := make([]string, 0, len(list))
	for _, e := range list {
		e = c.unpacked("members", e, "{")
		var id any = e
		if o, ok := e.(object); ok {
			if err := notDeleted("members", o); err != nil {
				return nil, err
			}
			if id, ok = o.get("value"); !ok || id == nil || id == "" {
				ref, _ := o.get("$ref")
				s, _ := ref.(string)
				id = lastSegment(s)
				c.notes.add("members: $ref read as value")
			}
		} else if e != nil {
			c.notes.add("members: text read as its value")
		}
		if s, ok := id.(string); ok {
			id = c.idOf("members", s)
		}
		switch s, ok := id.(string); {
		case !ok: // null, too: JavaScript writes what it did not find so, and a list without it would leave that member out
			return nil, invalidValue("A member has no value.")
		default:
			if err := memberID(s); err != nil {
				return nil, err
			}
			ids = append(ids, s)
		}
	}
	if len(list) > 0 && len(ids) == 0 {
		return nil, invalidValue("No member has a value.") // only [] says that there is none
	}
	return ids, nil
}

// memberID refuses what cannot be the id of a member.
func memberID(s string) error {
	switch {
	case s == "":
		return invalidValue("A member has no value.")
	case bracketed(s, either): // no id: who replaces the members by it would have nobody left
		return invalidValue("A member is a text that begins like JSON and cannot be read as that.")
	case !likeID(s): // neither is this
		return invalidValue("The value of a member is a text that is no id.")
	case len(s) > 256:
		return invalidValue("The value of a member is longer than an id.")
	}
	return nil
}

// addable is memberID of who is to be a member of this group.
func (c *compiler) addable(id string) error {
	if id == c.id {
		return errItself()
	}
	return memberID(id)
}

func errItself() error { return invalidValue("A group cannot be a member of itself.") }

// likeID tells ids from what a client sends by mistake in place of one, or of several.
func likeID(s string) bool {
	switch strings.ToLower(s) {
	case "null", "undefined", "none", "nil", "true", "false":
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r == 0x7f || strings.ContainsRune(",;|\"/?#", r) || unicode.IsSpace(r)
	})
}

// selectedMembers reads members[value eq "…"], several of them joined by or, and what stands beside a value by and: an id says who is
// meant, whatever else the client believes about the member.
func (c *compiler) selectedMembers(members *attribute, e *expr) ([]string, error) {
	f, err := elementFilter(members, e, c.notes)
	if err != nil {
		return nil, invalidPath("The filter in the path does not fit members.")
	}
	ids := c.namedMembers(f)
	if len(ids) == 0 {
		return nil, invalidPath("Members are selected by value eq.")
	}
	return ids, nil
}

// namedMembers are the ids that a filter of members can be true for; nil when it does not say whom it means.
func (c *compiler) namedMembers(f model.Filter) []string {
	switch f := f.(type) {
	case model.Compare:
		id, isText := f.Value.(string)
		switch {
		case !isText || f.Op != model.OpEq:
		case f.Attr.Path[0] == "value":
			return []string{c.idOf("members", id)}
		case f.Attr.Path[0] == "$ref" && lastSegment(id) != "":
			c.notes.path("members: $ref read as value")
			return []string{lastSegment(id)}
		}
	case model.Or:
		var ids []string
		for _, t := range f.Terms {
			some := c.namedMembers(t)
			if len(some) == 0 {
				return nil
			}
			ids = append(ids, some...)
		}
		return ids
	case model.And:
		var ids []string
		for _, t := range f.Terms {
			some := c.namedMembers(t)
			cmp, ok := t.(model.Compare)
			switch {
			case len(some) > 0 && ids == nil:
				ids = some
			case len(some) > 0, !ok, cmp.Op != model.OpEq:
				return nil
			}
		}
		if ids != nil {
			c.notes.path("members: only the value in the path is looked at")
		}
		return ids
	}
	return nil
}

// collapse makes one change of a sequence of operations on members: the last word about each member counts.
func collapse(ops []memberOp) engine.MemberChange {
	var change engine.MemberChange
	last := map[string]bool{} // id -> member afterwards
	for _, op := range ops {
		if op.all {
			change.Replace = true
			clear(last)
		}
		for _, id := range op.ids {
			last[id] = op.verb != verbRemove
		}
	}
	for id, member := range last {
		switch {
		case member:
			change.Add = append(change.Add, id)
		case !change.Replace:
			change.Drop = append(change.Drop, id)
		}
	}
	slices.Sort(change.Add)
	slices.Sort(change.Drop)
	return change
}
