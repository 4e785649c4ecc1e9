package store

import (
	"context"

	"gorm.io/gorm"

	"jmld/model"
)

// Checkpoint is up to where the source was read, or ErrNotFound.
func (s *Store) Checkpoint(ctx context.Context, source string) (model.Checkpoint, error) {
	var c model.Checkpoint
	err := s.view(ctx, func(db *gorm.DB) error { return db.Take(&c, "source = ?", source).Error })
	return c, err
}

func upsertCheckpoints() insert {
	return insert{into: "checkpoints (source, profile, mark, run_id, updated_at)", tuple: tuple(5), tail: "ON CONFLICT (source) DO UPDATE SET " +
		"profile = excluded.profile, mark = excluded.mark, run_id = excluded.run_id, updated_at = excluded.updated_at"}
}

const managerAttr = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value"

// Referrers lists the people of the source whose manager is one of the ids, without duplicates.
func (s *Store) Referrers(ctx context.Context, source string, ids []string) ([]string, error) {
	const text = "SELECT DISTINCT record_id FROM record_values WHERE source = $1 AND attr = $2 AND value IN list($3)"
	var out []string
	err := s.stream(ctx, op{text: s.sql(text), args: []any{source, managerAttr, s.list(ids)}, each: func(row scanner) error {
		var id string
		err := row.Scan(&id)
		out = append(out, id)
		return err
	}})
	return out, err
}

// MemberOf lists the groups of the source that the record is a member of itself, in order.
func (s *Store) MemberOf(ctx context.Context, source, id string) ([]string, error) {
	const text = "SELECT group_id FROM members WHERE source = $1 AND member_id = $2 ORDER BY group_id"
	var out []string
	err := s.stream(ctx, op{text: s.sql(text), args: []any{source, id}, each: func(row scanner) error {
		var group string
		err := row.Scan(&group)
		out = append(out, group)
		return err
	}})
	return out, err
}
