package engine

import (
	"context"
	"strings"

	"jmld/model"
)

// A reference whose name is nobody's in the read may be to somebody who is merely missing: they are not gone before that is certain, and the
// reference stays as long. Whether they are missing shows only at the end of the read.

// keepReferences keeps those references of the record in the store that the entry has as names of nobody, to entries whose absence is not decided.
// wait: that is not known yet.
func (rd *reading) keepReferences(en model.Entry, cur *model.Record) (out model.Entry, wait bool, err error) {
	if len(en.Dangling) == 0 || cur == nil {
		return en, false, nil
	}
	before, err := attributes(cur.Attrs)
	if err != nil {
		return en, false, err
	}
	for _, pointer := range en.Dangling {
		id := referenceAt(before, strings.Split(strings.TrimPrefix(pointer, "/"), "/"))
		k := rd.known.find(id)
		switch {
		case k == nil || k.has(wasSeen):
		case !rd.referred && len(rd.dangling) < mostDisputed:
			return en, true, nil
		case !rd.referred || rd.undecided(id):
			out = en
			out.Hash, out.Unknown = nil, append(append([]string(nil), en.Unknown...), pointer) // the next read looks again
			en = out
		}
	}
	return en, false, nil
}

// referenceAt is the id of the reference at a path (RFC 6901), "" when there is none.
func referenceAt(attrs map[string]any, path []string) string {
	for i, part := range path {
		name := strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		inner, ok := attrs[name].(map[string]any)
		if !ok {
			return ""
		}
		if i == len(path)-1 {
			id, _ := inner["value"].(string) // a reference is {"value": id}
			return id
		}
		attrs = inner
	}
	return ""
}

// storeDangling stores the entries that waited, now that it is known who is missing.
func (rd *reading) storeDangling(ctx context.Context) error {
	rd.referred = true
	rd.batch, rd.dangling = append(rd.batch, rd.dangling...), nil
	return rd.flush(ctx)
}
