package access

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"jmld/model"
)

// State is everything that is stored.
type State struct {
	Revision  int64 // every change makes another one
	Roles     []model.AccessRole
	Groups    []model.AccessGroup
	Resources []model.AccessResource
	Links     []model.AccessLink
	Members   []model.AccessMember
	// Given are the birthrights of people, and Withheld the memberships that do not count, as Row names them: the last decisions made
	// them, nobody edits them.
	Given    []model.AccessMember
	Withheld map[string]bool
	// People are the identities behind correlation keys that members are named by, as far as they are known.
	People map[string]string
}

// Kinds of places.
const (
	KindGroup     = "group"
	KindApp       = "app"
	KindNamespace = "namespace"
	KindException = "separation" // of a rule of separation: there, for as long, the person may have what it keeps apart
)

// Row names a membership of an identity.
func Row(person, place, role string) string { return person + "\n" + place + "\n" + role }

// Birthright is a row for what a rule gives.
func Birthright(person string, b model.Birthright) model.AccessMember {
	why := "rule " + b.Rule
	if b.From != "" {
		why += ", by " + b.From
	}
	return model.AccessMember{Person: person, Place: b.Place, Role: b.Role, Reason: why, Approver: model.ManagedByPolicy, ManagedBy: model.ManagedByPolicy}
}

// ID is how names are compared: Unicode form NFKC, without case and needless space.
func ID(name string) string {
	if !norm.NFKC.IsNormalString(name) {
		name = norm.NFKC.String(name)
	}
	return model.FoldKey(name)
}

// Place is where a role can be held.
func Place(kind, name string) string { return kind + ":" + ID(name) }

// SplitPlace is the kind of a place and the id there.
func SplitPlace(place string) (kind, id string) {
	kind, id, _ = strings.Cut(place, ":")
	return kind, id
}

// Areas are the areas of permissions that need not be declared.
func Areas() []string { return []string{"cicd", "cluster", "project"} }

// Permission is one thing a role allows.
type Permission struct {
	Area string `json:"area"`
	Name string `json:"name"`
}

// String is "area:name".
func (p Permission) String() string { return p.Area + ":" + p.Name }

func comparePermissions(a, b Permission) int {
	return cmp.Or(cmp.Compare(a.Area, b.Area), cmp.Compare(a.Name, b.Name))
}

// EncodePermissions is the column of a role.
func EncodePermissions(list []Permission) string {
	byArea := map[string][]string{}
	for _, p := range list {
		byArea[p.Area] = append(byArea[p.Area], p.Name)
	}
	for area, names := range byArea {
		slices.Sort(names)
		byArea[area] = slices.Compact(names)
	}
	text, err := json.Marshal(byArea)
	if err != nil { // texts always marshal
		panic(fmt.Sprintf("access: %v", err))
	}
	return string(text)
}

// Permissions are those of a role, sorted.
func Permissions(r model.AccessRole) ([]Permission, error) {
	var byArea map[string][]string
	if r.Permissions != "" {
		if err := json.Unmarshal([]byte(r.Permissions), &byArea); err != nil {
			return nil, fmt.Errorf("permissions of role %s: %w", r.ID, err)
		}
	}
	var out []Permission
	for area, names := range byArea {
		for _, name := range names {
			out = append(out, Permission{area, name})
		}
	}
	slices.SortFunc(out, comparePermissions)
	return slices.Compact(out), nil
}

// who is the person a row is about, by identity if that is known.
func (s *State) who(subject string) string {
	if id := s.People[subject]; id != "" {
		return id
	}
	return subject
}

// Holds says whether the row counts at the time.
func Holds(m model.AccessMember, now time.Time) bool {
	return m.EndedAt == nil && (m.ValidFrom == nil || !now.Before(*m.ValidFrom)) && (m.ValidTo == nil || now.Before(*m.ValidTo))
}

// NextChange is when what the rows say changes by time alone, nil: never.
func NextChange(rows []model.AccessMember, now time.Time) *time.Time {
	var next *time.Time
	for _, m := range rows {
		for _, t := range []*time.Time{m.ValidFrom, m.ValidTo} {
			if t != nil && m.EndedAt == nil && t.After(now) && (next == nil || t.Before(*next)) {
				next = t
			}
		}
	}
	return next
}

// permanent rows are those that an admin or owner needs.
func permanent(m model.AccessMember) bool {
	return m.ValidFrom == nil && m.ValidTo == nil && m.EndedAt == nil
}
