package store

import (
	"context"
	"slices"

	"jmld/jml/engine"
	"jmld/model"
)

// Whoever takes an administrator away locks adminLock: nobody else does before the commit. SQLite has one writer.
const (
	adminLock = "administrators.lock"

	remains    = "administrator AND state = 'active' AND applied_state = 'active'"
	oneRemains = "SELECT 1 / count(*) FROM (SELECT 1 FROM accounts WHERE target = $1 AND applied_administrator AND " + remains + " LIMIT 1) AS a"
	oneIsThere = "UPDATE settings SET value = value WHERE name = $2 AND EXISTS (SELECT 1 FROM accounts WHERE target = $1 AND applied_administrator AND " + remains + ")"
)

// lockAdministrators comes before anybody is locked: who waits keeps nobody waiting.
func (s *Store) lockAdministrators(ops []op, c *engine.Commit) []op {
	if len(c.Administrators) == 0 || s.lite {
		return ops
	}
	return append(ops, op{text: s.sql(lockAccess), args: []any{adminLock}})
}

// administratorRemains comes when the accounts are stored.
func (s *Store) administratorRemains(ops []op, c *engine.Commit) []op {
	for _, target := range slices.Compact(slices.Sorted(slices.Values(c.Administrators))) {
		if s.lite {
			ops = append(ops, op{text: s.sql(oneIsThere), must: true, args: []any{target, adminLock}})
		} else {
			ops = append(ops, op{text: s.sql(oneRemains), args: []any{target}})
		}
	}
	return ops
}

// Administrators lists accounts that administer the target, as it was told: up to 100 of those that should, and up to 100 others.
func (s *Store) Administrators(ctx context.Context, target string) ([]model.Account, error) {
	const (
		all  = "SELECT " + accountColumns + " FROM accounts WHERE target = $1 AND applied_administrator AND "
		text = "SELECT " + accountColumns + " FROM (" + all + remains + " ORDER BY identity_id LIMIT 100) AS a UNION ALL " +
			"SELECT " + accountColumns + " FROM (" + all + "NOT (" + remains + ") ORDER BY identity_id LIMIT 100) AS b"
	)
	var found []model.Account
	err := s.read(ctx, op{text: s.sql(text), args: []any{target}, each: func(row scanner) error {
		var a model.Account
		err := scanAccount(row, &a)
		found = append(found, a)
		return err
	}})
	return found, err
}
