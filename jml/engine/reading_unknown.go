package engine

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"jmld/jml"
	"jmld/model"
)

// keepUnknown puts into the entry's record what the record in the store has of the attributes that the source could not
// tell: unknown is not no. Of somebody new a user name and a status must be known, and by what they are told from other people.
func keepUnknown(rules *jml.Rules, en model.Entry, cur *model.Record) (model.Record, error) {
	next := en.Record
	if len(en.Unknown) == 0 {
		return next, nil
	}
	if cur == nil {
		needed := append([]string{"userName", "active"}, rules.Correlation...)
		for _, pointer := range en.Unknown {
			name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(pointer, "/"+jml.EnterpriseUser), "/"), "/")
			if name == "emails" {
				name = jml.KeyEmail
			}
			if slices.Contains(needed, name) {
				return next, model.Errorf(model.CodeSourceEntry, "it is new, and its %s is unknown", name)
			}
		}
		return next, nil
	}
	before, err := attributes(cur.Attrs)
	if err != nil {
		return next, fmt.Errorf("the record %s in the store: %w", cur.ID, err)
	}
	now, err := attributes(next.Attrs)
	if err != nil {
		return next, err
	}
	for _, pointer := range en.Unknown {
		copyAt(before, now, strings.Split(strings.TrimPrefix(pointer, "/"), "/"))
	}
	next.Attrs = jml.Canonical(now)
	if slices.Contains(en.Unknown, "/userName") {
		next.UserName, next.UserNameKey, next.UniqueKey = cur.UserName, cur.UserNameKey, cur.UniqueKey
	}
	if slices.Contains(en.Unknown, "/displayName") {
		next.DisplayName, next.DisplayNameKey = cur.DisplayName, cur.DisplayNameKey
	}
	if slices.Contains(en.Unknown, "/active") {
		next.Active = cur.Active
	}
	return next, nil
}

// mergedKeys asks for the keys that the records have with what is kept of them, and says whether there are others than before.
func (rd *reading) mergedKeys(entries []model.Entry, people []Person, subjects []Subject) (more bool) {
	for i, en := range entries {
		if len(en.Unknown) == 0 || people[i].Record == nil {
			continue
		}
		next, err := keepUnknown(rd.rules, en, people[i].Record)
		if err != nil {
			continue // said when it is decided
		}
		if keys := rd.rules.Keys(next); !slices.Equal(keys, subjects[i].Keys) {
			subjects[i].Keys, more = keys, true
		}
	}
	return more
}

func attributes(text string) (map[string]any, error) {
	var attrs map[string]any
	if err := json.Unmarshal([]byte(text), &attrs); err != nil {
		return nil, fmt.Errorf("its attributes: %w", err)
	}
	return attrs, nil
}

// copyAt copies the value at a path (RFC 6901) if there is one.
func copyAt(from, to map[string]any, path []string) {
	name := strings.NewReplacer("~1", "/", "~0", "~").Replace(path[0])
	value, ok := from[name]
	if !ok {
		return
	}
	if len(path) == 1 {
		to[name] = value
		return
	}
	inner, ok := value.(map[string]any)
	if !ok {
		return
	}
	outer, ok := to[name].(map[string]any)
	if !ok {
		outer = map[string]any{}
		to[name] = outer
	}
	copyAt(inner, outer, path[1:])
	if len(outer) == 0 {
		delete(to, name)
	}
}
