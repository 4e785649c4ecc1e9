package store

import (
	"cmp"
	"context"
	"slices"

	"gorm.io/gorm"

	"jmld/model"
)

// maxDialectUses is how many rows of a source are kept, those that were last seen: notes name attributes, and a client may make
// up any number of them.
const maxDialectUses = 500

func upsertDialectUses() insert {
	return insert{
		into: "dialect_uses (source, dialect, note, requests, first_at, last_at, request_id, record_id)", tuple: tuple(8),
		tail: "ON CONFLICT (source, dialect, note) DO UPDATE SET requests = dialect_uses.requests + excluded.requests, " +
			"first_at = CASE WHEN excluded.first_at < dialect_uses.first_at THEN excluded.first_at ELSE dialect_uses.first_at END, " +
			"request_id = CASE WHEN excluded.last_at < dialect_uses.last_at THEN dialect_uses.request_id ELSE excluded.request_id END, " +
			"record_id = CASE WHEN excluded.last_at < dialect_uses.last_at THEN dialect_uses.record_id ELSE excluded.record_id END, " +
			"last_at = greatest(excluded.last_at, dialect_uses.last_at)",
	}
}

// CountDialects adds what was seen to what is stored, whichever replica saw it. Each row must be given once.
func (s *Store) CountDialects(ctx context.Context, uses []model.DialectUse) error {
	const forget = "DELETE FROM dialect_uses WHERE source = $1 AND (dialect, note) IN (SELECT dialect, note FROM dialect_uses " +
		"WHERE source = $1 ORDER BY last_at DESC, dialect, note LIMIT 1000 OFFSET $2)"
	if len(uses) == 0 {
		return nil
	}
	uses = slices.SortedFunc(slices.Values(uses), func(a, b model.DialectUse) int { // replicas that do the same wait for each other
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Dialect, b.Dialect), cmp.Compare(a.Note, b.Note))
	})
	ops := s.rows(upsertDialectUses(), len(uses), func(i int, to []any) []any {
		u := &uses[i]
		return append(to, u.Source, u.Dialect, u.Note, u.Requests, stamp(u.FirstAt), stamp(u.LastAt), u.RequestID, u.RecordID)
	})
	for i := range uses {
		if i == 0 || uses[i].Source != uses[i-1].Source {
			ops = append(ops, op{text: s.sql(forget), args: []any{uses[i].Source, maxDialectUses}})
		}
	}
	return s.write(ctx, ops...)
}

// Dialects lists what was seen of a source, of all sources when it is "": each dialect's requests before its notes, and of
// both the most frequent first.
func (s *Store) Dialects(ctx context.Context, source string) ([]model.DialectUse, error) {
	var uses []model.DialectUse
	err := s.view(ctx, func(db *gorm.DB) error {
		if source != "" {
			db = db.Where("source = ?", source)
		}
		return db.Find(&uses).Error // bounded by maxDialectUses
	})
	if err != nil {
		return nil, err
	}
	total := map[[2]string]int{}
	for i := range uses {
		u := &uses[i]
		u.FirstAt, u.LastAt = u.FirstAt.UTC(), u.LastAt.UTC()
		if u.Note == "" {
			total[[2]string{u.Source, u.Dialect}] = u.Requests
		}
	}
	slices.SortFunc(uses, func(a, b model.DialectUse) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source),
			-cmp.Compare(total[[2]string{a.Source, a.Dialect}], total[[2]string{b.Source, b.Dialect}]), cmp.Compare(a.Dialect, b.Dialect),
			notesLast(a.Note, b.Note), -cmp.Compare(a.Requests, b.Requests), cmp.Compare(a.Note, b.Note))
	})
	return uses, nil
}

func notesLast(a, b string) int {
	switch {
	case a == "" && b != "":
		return -1
	case a != "" && b == "":
		return 1
	}
	return 0
}
