package store

import (
	"context"
	"maps"
	"slices"
	"time"

	"gorm.io/gorm"

	"jmld/model"
)

// Tokens lists the tokens of a source, of all sources when it is "", oldest first, the revoked ones too.
func (s *Store) Tokens(ctx context.Context, source string) ([]model.Token, error) {
	var tokens []model.Token
	err := s.view(ctx, func(db *gorm.DB) error {
		if source != "" {
			db = db.Where("source = ?", source)
		}
		return db.Order("id").Find(&tokens).Error
	})
	return tokens, err
}

// AddToken stores a token.
func (s *Store) AddToken(ctx context.Context, t model.Token) error {
	t.CreatedAt, t.ExpiresAt, t.LastUsed, t.RevokedAt = given(t.CreatedAt), stampPtr(t.ExpiresAt), stampPtr(t.LastUsed), stampPtr(t.RevokedAt)
	return s.update(ctx, func(tx *gorm.DB) error { return tx.Create(&t).Error })
}

// RevokeToken ends a token now; one that is revoked already stays as it is. ErrNotFound: the source has no such token.
func (s *Store) RevokeToken(ctx context.Context, source, id string) error {
	return s.update(ctx, func(tx *gorm.DB) error {
		var t model.Token
		if err := tx.Take(&t, "source = ? AND id = ?", source, id).Error; err != nil {
			return err
		}
		return tx.Model(&t).Where("revoked_at IS NULL").Update("revoked_at", gorm.Expr(s.now())).Error
	})
}

// TouchTokens stores when tokens were used last, never moving the time backwards.
func (s *Store) TouchTokens(ctx context.Context, used map[string]time.Time) error {
	const text = "UPDATE tokens SET last_used = $2 WHERE id = $1 AND (last_used IS NULL OR last_used < $2)"
	if len(used) == 0 {
		return nil
	}
	ops := make([]op, 0, len(used))
	for _, id := range slices.Sorted(maps.Keys(used)) { // in order: two processes that do the same wait for each other
		ops = append(ops, op{text: s.sql(text), args: []any{id, stamp(used[id])}})
	}
	return s.write(ctx, ops...)
}
