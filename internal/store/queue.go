package store

import (
	"cmp"
	"context"
	"slices"
	"time"

	"gorm.io/gorm"

	"jmld/model"
)

const (
	// Leavers (priority 0) first, then the others, each part read from the index in the order of due_at. MATERIALIZED:
	// the planner must not run them twice.
	claim = "WITH a AS MATERIALIZED (SELECT identity_id AS iid FROM accounts " +
		"WHERE target = $1 AND priority = 0 AND due_at <= now() ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED), " +
		"b AS MATERIALIZED (SELECT identity_id AS iid FROM accounts " +
		"WHERE target = $1 AND priority = 1 AND due_at <= now() ORDER BY due_at LIMIT $4 - (SELECT count(*) FROM a) FOR UPDATE SKIP LOCKED) " +
		"UPDATE accounts SET due_at = after($3), lease_owner = $2, epoch = epoch + 1 " +
		"WHERE target = $1 AND identity_id IN (SELECT iid FROM a UNION ALL SELECT iid FROM b) RETURNING " + accountColumns

	settle = "UPDATE accounts SET native_id = $5, applied_state = $6, applied = $7, applied_rev = $4, applied_at = now(), " +
		"origin = CASE WHEN $8::text = '' THEN origin ELSE $8::text END, due_at = CASE WHEN desired_rev <> $4 THEN now() END, lease_owner = '', attempts = 0, " +
		"applied_administrator = $6 = 'active' AND CASE WHEN held_attrs <> '' THEN applied_administrator WHEN desired_rev <> $4 THEN $9::boolean ELSE administrator END, " +
		"error_code = '', error_text = '', dead = false, updated_at = now() " +
		"WHERE identity_id = $1 AND target = $2 AND epoch = $3"

	// A failure of an older revision says nothing about the new one, which is due at once.
	fail = "UPDATE accounts SET lease_owner = '', updated_at = now(), " +
		"due_at = CASE WHEN desired_rev <> $4 THEN now() WHEN $8::boolean THEN NULL ELSE after($9) END, " +
		"attempts = CASE WHEN desired_rev <> $4 THEN 0 ELSE $5 END, " +
		"error_code = CASE WHEN desired_rev <> $4 THEN '' ELSE $6 END, " +
		"error_text = CASE WHEN desired_rev <> $4 THEN '' ELSE $7 END, " +
		"dead = CASE WHEN desired_rev <> $4 THEN false ELSE $8::boolean END " +
		"WHERE identity_id = $1 AND target = $2 AND epoch = $3"
)

// Claim leases up to limit due accounts of the target, leavers first, and bumps their epochs. Two claims at once never
// get the same account.
func (s *Store) Claim(ctx context.Context, target, owner string, lease time.Duration, limit int) ([]model.Account, error) {
	var claimed []model.Account
	err := s.write(ctx, op{text: s.sql(claim), args: []any{target, owner, lease.Microseconds(), limit}, each: func(row scanner) error {
		var a model.Account
		err := scanAccount(row, &a)
		claimed = append(claimed, a)
		return err
	}})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(claimed, func(a, b model.Account) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.IdentityID, b.IdentityID))
	})
	return claimed, nil
}

// Settle stores what Ensure read back for the revision that was claimed. When the desired revision moved meanwhile the
// row is due again at once. ErrStale: the epoch moved on, somebody else has it.
func (s *Store) Settle(ctx context.Context, a model.Account) error {
	return s.write(ctx, op{text: s.must(settle), must: true, args: []any{
		a.IdentityID, a.Target, a.Epoch, a.DesiredRev, a.NativeID, string(a.AppliedState), a.Applied, string(a.Origin), a.Administrator,
	}})
}

// Fail stores what went wrong and when to try again. ErrStale: the epoch moved on.
func (s *Store) Fail(ctx context.Context, a model.Account, pause time.Duration) error {
	return s.write(ctx, op{text: s.must(fail), must: true, args: []any{
		a.IdentityID, a.Target, a.Epoch, a.DesiredRev, a.Attempts, string(a.ErrorCode), a.ErrorText, a.Dead, max(pause, 0).Microseconds(),
	}})
}

// Retry makes the accounts that q selects and that are not settled due now, and takes them out of the dead letter.
// Those a worker has at the moment are left to it. It returns how many it made due.
func (s *Store) Retry(ctx context.Context, q model.AccountQuery) (int, error) {
	var n int64
	err := s.update(ctx, func(tx *gorm.DB) error {
		keys := s.accounts(tx, q).Select("accounts.identity_id, accounts.target").
			Where("accounts.due_at IS NOT NULL OR accounts.dead").
			Where("NOT (accounts.lease_owner <> '' AND accounts.due_at > " + s.now() + ")")
		if q.Limit > 0 {
			keys = keys.Order("accounts.user_name, accounts.identity_id, accounts.target").Limit(q.Limit).Offset(q.Offset)
		}
		res := tx.Exec("UPDATE accounts SET due_at = "+s.now()+", dead = ?, attempts = 0 WHERE (identity_id, target) IN (?)", false, keys)
		n = res.RowsAffected
		return res.Error
	})
	return int(n), err
}

// now is the clock in SQL that GORM sends.
func (s *Store) now() string { return s.sql("now()") }
