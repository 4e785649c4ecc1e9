package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"gorm.io/gorm"

	"jmld/model"
)

// Hashes streams id, kind and hash of every record of the source, in no order. Both are valid during the call only.
func (s *Store) Hashes(ctx context.Context, source string, yield func(id []byte, kind model.Kind, hash []byte) error) error {
	query := "SELECT id, kind = 'group', hash FROM records WHERE source = $1"
	var group bool
	var id, hash pgtype.DriverBytes // pgx does not copy them
	into := []any{&id, &group, &hash}
	each := func(row scanner) error {
		if err := row.Scan(into...); err != nil {
			return err
		}
		return yield(id, recordKind(group), hash)
	}
	if s.lite { // a row of one text costs a third of what three columns do
		query = "SELECT (kind = 'group') || hex(hash) || ' ' || id FROM records WHERE source = $1"
		var text sql.RawBytes // nor database/sql this
		into = []any{&text}
		each = func(row scanner) error {
			if err := row.Scan(into...); err != nil {
				return err
			}
			first, id, _ := bytes.Cut(text, []byte(" "))
			n, err := hex.Decode(first[1:], first[1:])
			if err != nil {
				return err
			}
			return yield(id, recordKind(first[0] == '1'), first[1:1+n])
		}
	}
	ops := []op{{text: s.sql(query), args: []any{source}, each: each}}
	if s.lite { // what it read is not needed again, and the run needs the memory
		ops = append(ops, op{text: "PRAGMA shrink_memory"})
	}
	return s.stream(ctx, ops...)
}

func recordKind(group bool) model.Kind {
	if group {
		return model.KindGroup
	}
	return model.KindUser
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
			UpdateColumns(map[string]any{"review_at": time.Unix(0, 0).UTC(), "version": gorm.Expr("version + 1")})
		marked = int(mark.RowsAffected)
		return mark.Error
	})
	return marked, err
}

// DueReviews claims up to limit identities that are due for review by the database's clock and by the caller's: one that is behind would
// decide that nothing has happened yet, and be asked again at once. For the time of the lease nobody else gets them; after it they are
// due for anybody.
func (s *Store) DueReviews(ctx context.Context, by time.Time, lease time.Duration, limit int) ([]string, error) {
	const text = "WITH c AS MATERIALIZED (SELECT id AS iid FROM identities WHERE review_at <= now() AND review_at <= $3 ORDER BY review_at LIMIT $2 " +
		"FOR UPDATE SKIP LOCKED) UPDATE identities SET review_at = after($1), " +
		"review_run = CASE WHEN review_run = '" + model.ReviewCorrelation + "' THEN review_run ELSE '' END WHERE id IN (SELECT iid FROM c) RETURNING id"
	var ids []string
	err := s.write(ctx, op{text: s.sql(text), args: []any{lease.Microseconds(), limit, stamp(by)}, each: collect(&ids)})
	return ids, err
}

// ReviewsOf lists up to limit identities whose review a run of the job is to make, due or not, in the order of their ids, behind after.
func (s *Store) ReviewsOf(ctx context.Context, job, after string, limit int) ([]string, error) {
	const text = "SELECT id FROM identities WHERE review_run = $1 AND review_run <> '' AND id > $2 ORDER BY id LIMIT $3"
	var ids []string
	err := s.read(ctx, op{text: s.sql(text), args: []any{job, after, limit}, each: collect(&ids)})
	return ids, err
}

// collect appends the text in each row to ids.
func collect(ids *[]string) func(scanner) error {
	return func(row scanner) error {
		var id string
		err := row.Scan(&id)
		*ids = append(*ids, id)
		return err
	}
}
