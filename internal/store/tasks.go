package store

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"jmld/model"
)

// moveTasks follow an account to another identity; what was open for the one that is replaced is over.
const (
	dropTasks = "UPDATE tasks SET status = 'withdrawn', evidence = 'the account is another person''s', decided_by = 'engine', decided_at = now(), updated_at = now() " +
		"WHERE identity_id = $1 AND target = $2 AND status = 'open'"
	moveTasks = "UPDATE tasks SET identity_id = $2 WHERE identity_id = $1 AND target = $3"
)

// Tasks lists tasks, those due first.
func (s *Store) Tasks(ctx context.Context, q model.TaskQuery) ([]model.Task, error) {
	var tasks []model.Task
	err := s.view(ctx, func(db *gorm.DB) error {
		for _, c := range []struct{ column, value string }{
			{"id", q.ID}, {"identity_id", q.IdentityID}, {"target", q.Target}, {"assignee", q.Assignee}, {"status", string(q.Status)},
		} {
			if c.value != "" {
				db = db.Where("tasks."+c.column+" = ?", c.value)
			}
		}
		if q.Overdue {
			db = db.Where("tasks.status = ? AND tasks.due_at < "+s.now(), string(model.TaskOpen))
		}
		return page(db, q.Limit, 0).Order("due_at, id").Find(&tasks).Error
	})
	return tasks, err
}

// ReplaceTask withdraws the open task of an account for the reason, and opens next if there is one, in one transaction, in which the account
// gets the id in the target that it comes with. ErrStale:
// the account was decided or claimed meanwhile; who knows it from before must not withdraw what followed. ErrConflict: somebody else opened
// one at the same time.
func (s *Store) ReplaceTask(ctx context.Context, account model.Account, reason string, next *model.Task) error {
	return s.update(ctx, func(tx *gorm.DB) error {
		now := gorm.Expr(s.now())
		err := tx.Model(&model.Task{}).Where("identity_id = ? AND target = ? AND status = ?", account.IdentityID, account.Target, string(model.TaskOpen)).
			Updates(map[string]any{"status": string(model.TaskWithdrawn), "evidence": reason, "decided_by": "engine", "decided_at": now, "updated_at": now}).Error
		if err != nil {
			return err
		}
		if next != nil {
			t := *next
			t.DueAt, t.CreatedAt, t.UpdatedAt = stamp(t.DueAt), given(t.CreatedAt), given(t.UpdatedAt)
			if err := tx.Create(&t).Error; err != nil {
				return err
			}
		}
		// Tasks before the account, as in DecideTask: neither waits for the other.
		res := tx.Model(&model.Account{}).Where("identity_id = ? AND target = ? AND epoch = ?", account.IdentityID, account.Target, account.Epoch).
			UpdateColumn("native_id", account.NativeID)
		if res.Error == nil && res.RowsAffected != 1 {
			return fmt.Errorf("account in target %s: %w", account.Target, model.ErrStale)
		}
		return res.Error
	})
}

// DecideTask makes a task done or refused, with its account in the same transaction: one that is done is what was wanted, or is looked at, one
// that is refused is in the dead letter. A task that was withdrawn may be done all the same. ErrStale: the task was decided before, or a
// later one of the account is done. ErrConflict: the account has another id in the target, or somebody else's account has this one.
func (s *Store) DecideTask(ctx context.Context, t model.Task, o model.TaskOutcome, audit model.AuditEntry) error {
	return s.update(ctx, func(tx *gorm.DB) error {
		if o.NativeID != "" {
			if err := s.nameable(tx, t, o.NativeID); err != nil {
				return err
			}
		}
		from := []string{string(model.TaskOpen)}
		if t.Status == model.TaskDone {
			from = append(from, string(model.TaskWithdrawn))
		}
		now := gorm.Expr(s.now())
		res := tx.Model(&model.Task{}).Where("id = ? AND status IN ?", t.ID, from).
			Updates(map[string]any{"status": string(t.Status), "evidence": t.Evidence, "decided_by": t.DecidedBy, "decided_at": now, "updated_at": now})
		if res.Error != nil {
			return res.Error
		}
		if res.RowsAffected != 1 {
			return fmt.Errorf("task %s was decided before: %w", t.ID, model.ErrStale)
		}
		account := tx.Model(&model.Account{}).Where("identity_id = ? AND target = ?", t.IdentityID, t.Target)
		same := fmt.Sprintf("desired_rev = %d", t.Revision)
		set := map[string]any{"epoch": gorm.Expr("epoch + 1"), "lease_owner": "", "attempts": 0, "updated_at": now}
		if t.Status == model.TaskDone {
			applied := t.Attributes
			if t.State == model.AccountAbsent {
				applied = ""
			}
			account = account.Where("NOT EXISTS (SELECT 1 FROM tasks t WHERE t.identity_id = accounts.identity_id AND t.target = accounts.target AND t.status = ? "+
				"AND t.revision > ?)", string(model.TaskDone), t.Revision)
			set["error_code"], set["error_text"], set["dead"], set["due_at"] = "", "", false, now
			if !o.Look {
				set["applied_state"], set["applied"], set["applied_rev"], set["applied_at"] = string(t.State), applied, t.Revision, now
				set["due_at"] = gorm.Expr("CASE WHEN " + same + " THEN NULL ELSE " + s.now() + " END")
				set["applied_administrator"] = gorm.Expr("? AND CASE WHEN held_attrs = '' AND "+same+" THEN administrator ELSE applied_administrator END",
					t.State == model.AccountActive)
				if t.State == model.AccountAbsent {
					set["native_id"] = ""
				}
			}
			switch {
			case o.NativeID != "":
				set["native_id"] = o.NativeID
			case o.Look && (t.Op == model.OpDeactivate || t.Op == model.OpDelete): // somebody looked: what was named and never found is not asked for again
				set["native_id"] = gorm.Expr("CASE WHEN applied_state IN ? THEN native_id ELSE '' END", known())
			}
		} else {
			account = account.Where(same).Where("due_at IS NOT NULL OR dead = ?", true) // one that is settled needs the step no more
			set["error_code"], set["error_text"], set["dead"], set["due_at"] = string(model.CodeTaskRefused), t.Evidence, true, nil
		}
		res = account.Updates(set)
		if res.Error != nil {
			return res.Error
		}
		if t.Status == model.TaskDone && res.RowsAffected != 1 {
			return fmt.Errorf("a later task of the account is done, or the account is gone: %w", model.ErrStale)
		}
		audit.At = given(audit.At)
		return tx.Create(&audit).Error
	})
}

// known are the states of an account that was there when it was read back last.
func known() []model.AccountState {
	return []model.AccountState{model.AccountActive, model.AccountInactive}
}

// EndTasks withdraws the open tasks in targets where nobody has any to do, and hurries the accounts that wait for them.
func (s *Store) EndTasks(ctx context.Context, targets []string, reason string) (int, error) {
	var n int64
	err := s.update(ctx, func(tx *gorm.DB) error {
		now := gorm.Expr(s.now())
		res := tx.Model(&model.Task{}).Where("status = ? AND target IN ?", string(model.TaskOpen), targets).
			Updates(map[string]any{"status": string(model.TaskWithdrawn), "evidence": reason, "decided_by": "engine", "decided_at": now, "updated_at": now})
		if n = res.RowsAffected; res.Error != nil || n == 0 {
			return res.Error
		}
		return tx.Model(&model.Account{}).Where("target IN ? AND error_code IN ? AND due_at IS NOT NULL AND lease_owner = ''", targets,
			[]model.Code{model.CodeTaskOpen, model.CodeTaskOverdue}).UpdateColumn("due_at", now).Error
	})
	return int(n), err
}

// nativeLock is the setting that whoever names an id locks first, so that of two who name the same one the second sees the first. It reads all
// accounts of the target: ids have no index, which every account that is worked on would pay for. On PostgreSQL only those wait for it who name one,
// too; SQLite has one writer, whom it keeps for a moment at each task that is done.
const nativeLock = "native.lock"

// nameable sees that an account may have the id in its target that a person gives it.
func (s *Store) nameable(tx *gorm.DB, t model.Task, id string) error {
	if !s.lite {
		if err := tx.Exec("SELECT value FROM settings WHERE name = ? FOR UPDATE", nativeLock).Error; err != nil {
			return err
		}
	}
	var others []model.Account
	err := tx.Where("target = ? AND (native_id = ? AND identity_id <> ? OR identity_id = ? AND native_id NOT IN ('', ?) AND applied_state IN ?)", t.Target, id,
		t.IdentityID, t.IdentityID, id, known()).Limit(1).Find(&others).Error
	switch {
	case err != nil || len(others) == 0:
		return err
	case others[0].IdentityID == t.IdentityID:
		return fmt.Errorf("the account has the id %s in target %s: %w", others[0].NativeID, t.Target, model.ErrConflict)
	}
	return fmt.Errorf("id %s in target %s is of the account %s: %w", id, t.Target, others[0].UserName, model.ErrConflict)
}
