package store

import (
	"context"
	"time"

	"gorm.io/gorm"

	"jmld/model"
)

// Hashes streams id, kind and hash of every record of the source, in no order. The hash is yield's to keep.
func (s *Store) Hashes(ctx context.Context, source string, yield func(id string, kind model.Kind, hash []byte) error) error {
	const text = "SELECT id, kind, hash FROM records WHERE source = $1"
	return s.stream(ctx, op{text: s.sql(text), args: []any{source}, each: func(row scanner) error {
		var id, kind string
		var hash []byte
		if err := row.Scan(&id, &kind, &hash); err != nil {
			return err
		}
		return yield(id, model.Kind(kind), hash)
	}})
}

// AdoptRules notes the fingerprint of the rules in force. When it is another than the one noted before, everybody becomes
// due for review in the same transaction; it returns how many. On a new database there is nobody.
func (s *Store) AdoptRules(ctx context.Context, fingerprint string) (int, error) {
	const rules = "rules"
	marked := 0
	err := s.update(ctx, func(tx *gorm.DB) error {
		set := tx.Exec("INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value "+
			"WHERE settings.value <> excluded.value", rules, fingerprint)
		if set.Error != nil || set.RowsAffected == 0 {
			return set.Error
		}
		now := gorm.Expr(s.now())
		mark := tx.Model(&model.Identity{}).Where("review_at IS NULL OR review_at > ?", now).
			UpdateColumns(map[string]any{"review_at": now, "version": gorm.Expr("version + 1")})
		marked = int(mark.RowsAffected)
		return mark.Error
	})
	return marked, err
}

// DueReviews claims up to limit identities for review: those the run wants, due or not, when it is named, else any that
// are due. For the time of the lease nobody else gets them; after it they are due for anybody, also those of the run.
func (s *Store) DueReviews(ctx context.Context, run string, lease time.Duration, limit int) ([]string, error) {
	const head = "WITH c AS MATERIALIZED (SELECT id AS iid FROM identities WHERE "
	const tail = " LIMIT $2 FOR UPDATE SKIP LOCKED) UPDATE identities SET review_at = after($1), review_run = '' " +
		"WHERE id IN (SELECT iid FROM c) RETURNING id"
	const due = head + "review_at <= now() ORDER BY review_at" + tail
	const named = head + "review_run = $3 AND review_run <> ''" + tail
	var ids []string
	o := op{text: s.sql(due), args: []any{lease.Microseconds(), limit}, each: func(row scanner) error {
		var id string
		err := row.Scan(&id)
		ids = append(ids, id)
		return err
	}}
	if run != "" {
		o.text, o.args = s.sql(named), append(o.args, run)
	}
	if err := s.write(ctx, o); err != nil {
		return nil, err
	}
	return ids, nil
}
