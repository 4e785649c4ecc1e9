package access

import (
	"slices"
	"strings"
	"time"

	"jmld/model"
)

// View is what one person holds at one moment; nil is somebody who holds nothing.
type View struct {
	tree *Tree
	rows []model.AccessMember
	now  time.Time
}

// NewView is for rows that were loaded by themselves; nobody else's are asked for.
func NewView(t *Tree, rows []model.AccessMember, now time.Time) *View {
	if t == nil {
		return nil
	}
	return &View{t, rows, now}
}

// Rows are what the view is made of.
func (v *View) Rows() []model.AccessMember {
	if v == nil {
		return nil
	}
	return v.rows
}

// Of is the view with other rows.
func (v *View) Of(rows []model.AccessMember) *View {
	if v == nil {
		return nil
	}
	return NewView(v.tree, rows, v.now)
}

// Groups are the names of all groups the person is a member of, directly or from above.
func (v *View) Groups() []string { return ask(v, (*Tree).GroupNames) }

// Roles are the names of all roles the person holds somewhere.
func (v *View) Roles() []string { return ask(v, (*Tree).RoleNames) }

// Resources are the places of all resources the person holds a role on.
func (v *View) Resources() []string { return ask(v, (*Tree).Reach) }

// Permissions are what the roles allow somewhere, as "area:name".
func (v *View) Permissions() []string { return names(ask(v, (*Tree).Permissions)) }

// RolesOn are the names of the roles held at a place; a name without a kind is an app's.
func (v *View) RolesOn(place string) []string {
	if v == nil {
		return []string{}
	}
	return v.tree.RolesOn(v.rows, anyPlace(place), v.now)
}

// PermissionsOn are what the roles held at a place allow there.
func (v *View) PermissionsOn(place string) []string {
	if v == nil {
		return []string{}
	}
	return names(v.tree.PermissionsOn(v.rows, anyPlace(place), v.now))
}

// Most is a number that none of the lists is longer than.
func (v *View) Most() int {
	if v == nil || len(v.rows) == 0 {
		return 0
	}
	return max(v.tree.CountGroups(v.rows, v.now), len(v.tree.resources), len(v.tree.roleNames), len(v.tree.perms))
}

// Owns are the places of the apps the person owns, sorted.
func (v *View) Owns() []string {
	if v == nil {
		return nil
	}
	var out []string
	for _, m := range v.rows {
		if kind, _ := SplitPlace(m.Place); kind == KindApp && m.Admin && m.EndedAt == nil {
			out = append(out, m.Place)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Counting is how many memberships there are that have not ended because the person left, and the names of the groups they administer by
// some of them, which are not counted. What they own is not among them.
func (v *View) Counting() (rows int, admin []string) {
	if v == nil {
		return 0, nil
	}
	for _, m := range v.rows {
		kind, _ := SplitPlace(m.Place)
		switch {
		case m.EndedAt != nil, m.Admin && kind != KindGroup:
		case m.Admin:
			admin = append(admin, v.tree.Name(m.Place))
		default:
			rows++
		}
	}
	slices.Sort(admin)
	return rows, slices.Compact(admin)
}

// Ended is when the last of the memberships ended because the person left; nil: none has.
func (v *View) Ended() (last *time.Time) {
	if v == nil {
		return nil
	}
	for _, m := range v.rows {
		if m.EndedAt != nil && (last == nil || m.EndedAt.After(*last)) {
			last = m.EndedAt
		}
	}
	return last
}

// NextChange is when the person holds something else by time alone, nil: never.
func (v *View) NextChange() *time.Time {
	if v == nil {
		return nil
	}
	return NextChange(v.rows, v.now)
}

func ask[T any](v *View, of func(*Tree, []model.AccessMember, time.Time) []T) []T {
	if v == nil {
		return []T{}
	}
	return of(v.tree, v.rows, v.now)
}

func names(list []Permission) []string {
	out := make([]string, len(list))
	for i, p := range list {
		out[i] = p.String()
	}
	return out
}

// anyPlace is a place as rules write it.
func anyPlace(text string) string {
	switch kind, name, _ := strings.Cut(text, ":"); kind {
	case KindApp, KindNamespace, KindGroup:
		return Place(kind, name)
	}
	return Place(KindApp, text)
}
