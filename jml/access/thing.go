package access

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"jmld/model"
)

// Thing is something a person can have, named alike by everything that restricts who may.
type Thing struct{ Kind, ID string }

// Kinds of things, beside KindGroup.
const (
	KindRole       = "role"
	KindPermission = "permission" // "area:name"
	KindAccount    = "account"    // in a target
)

// ParseThing reads role:NAME, permission:AREA:NAME, group:NAME or account:TARGET.
func ParseThing(text string) (Thing, error) {
	kind, name, ok := strings.Cut(strings.TrimSpace(text), ":")
	name = strings.TrimSpace(name)
	switch {
	case !ok || name == "":
	case kind == KindRole || kind == KindGroup:
		return Thing{kind, ID(name)}, nil
	case kind == KindPermission && strings.Contains(name, ":"), kind == KindAccount:
		return Thing{kind, name}, nil
	}
	return Thing{}, fmt.Errorf("%q is nothing that people have; expected role:NAME, permission:AREA:NAME, group:NAME or account:TARGET", text)
}

// String is what ParseThing reads.
func (t Thing) String() string { return t.Kind + ":" + t.ID }

// Giving are the rows of which each by itself gives the thing at the time; an account is given by none.
func (t *Tree) Giving(rows []model.AccessMember, thing Thing, now time.Time) []model.AccessMember {
	var out []model.AccessMember
	for _, m := range rows {
		if Holds(m, now) && t.gives(m, thing) {
			out = append(out, m)
		}
	}
	return out
}

func (t *Tree) gives(m model.AccessMember, thing Thing) bool {
	switch thing.Kind {
	case KindRole:
		return m.Role == thing.ID
	case KindPermission:
		r := t.roles[m.Role]
		area, name, _ := strings.Cut(thing.ID, ":")
		i, known := slices.BinarySearchFunc(t.perms, Permission{area, name}, comparePermissions)
		return r != nil && known && r.perms[i/64]&(1<<(i%64)) != 0
	case KindGroup:
		kind, id := SplitPlace(m.Place)
		return kind == KindGroup && t.Above(id, thing.ID)
	}
	return false
}

// Giving are the rows of the view that give the thing.
func (v *View) Giving(thing Thing) []model.AccessMember {
	if v == nil {
		return nil
	}
	return v.tree.Giving(v.rows, thing, v.now)
}
