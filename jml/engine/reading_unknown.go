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
// tell: unknown is not no. Of somebody new a user name and a status must be known.
func keepUnknown(en model.Entry, cur *model.Record) (model.Record, error) {
	next := en.Record
	if len(en.Unknown) == 0 {
		return next, nil
	}
	if cur == nil {
		for _, needed := range []string{"/userName", "/active"} {
			if slices.Contains(en.Unknown, needed) {
				return next, model.Errorf(model.CodeSourceEntry, "it is new, and its %s is unknown", needed[1:])
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
