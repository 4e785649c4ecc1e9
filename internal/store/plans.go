package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"jmld/jml/engine"
	"jmld/model"
)

// Plan is one plan, or ErrNotFound.
func (s *Store) Plan(ctx context.Context, id string) (model.Plan, error) {
	var p model.Plan
	err := s.view(ctx, func(db *gorm.DB) error { return db.Take(&p, "id = ?", id).Error })
	return p, err
}

// OpenPlan is the newest held plan of the source, trigger and brake, or ErrNotFound.
func (s *Store) OpenPlan(ctx context.Context, source, trigger string, brake model.Brake) (model.Plan, error) {
	var p model.Plan
	err := s.view(ctx, func(db *gorm.DB) error {
		return db.Where(`state = ? AND source = ? AND "trigger" = ? AND brake = ?`, model.PlanHeld, source, trigger, brake).Order("id DESC").Take(&p).Error
	})
	return p, err
}

// Plans lists plans in the states (nil: all), newest first.
func (s *Store) Plans(ctx context.Context, states []model.PlanState, limit int) ([]model.Plan, error) {
	var plans []model.Plan
	err := s.view(ctx, func(db *gorm.DB) error {
		if states != nil {
			db = db.Where("state IN ?", states)
		}
		return page(db, limit, 0).Order("id DESC").Find(&plans).Error
	})
	return plans, err
}

// UnfinishedPlans are those that ended and still have items that nobody dealt with, the oldest first: a crash came between.
func (s *Store) UnfinishedPlans(ctx context.Context, limit int) ([]model.Plan, error) {
	var plans []model.Plan
	err := s.view(ctx, func(db *gorm.DB) error {
		return page(db.Where("state NOT IN ? AND items > 0", []model.PlanState{model.PlanOpen, model.PlanHeld}), limit, 0).Order("id").Find(&plans).Error
	})
	return plans, err
}

// Changes lists changes, newest first. Limit 0 lists all of them.
func (s *Store) Changes(ctx context.Context, q model.ChangeQuery) ([]model.Change, error) {
	var changes []model.Change
	err := s.view(ctx, func(db *gorm.DB) error { return changesOf(db, q).Find(&changes).Error })
	return changes, err
}

func changesOf(db *gorm.DB, q model.ChangeQuery) *gorm.DB {
	for _, c := range []struct{ column, value string }{
		{"run_id", q.RunID}, {"plan_id", q.PlanID}, {"identity_id", q.IdentityID}, {"source", q.Source}, {"target", q.Target},
	} {
		switch {
		case c.column == "identity_id" && q.Merged:
			db = db.Where("identity_id = ? OR identity_id IN (SELECT m.identity_id FROM merges m WHERE m.into_id = ?)", c.value, c.value)
		case c.value == "":
		case c.column != "identity_id" && q.IdentityID != "": // a plan has many thousands, a person few: this is no condition for an index
			db = db.Where(c.column+" || '' = ?", c.value)
		default:
			db = db.Where(c.column+" = ?", c.value).Where(c.column + " <> ''") // the latter for the partial indexes
		}
	}
	if q.States != nil {
		db = db.Where("state IN ?", q.States)
	}
	if q.Ops != nil {
		db = db.Where("op IN ?", q.Ops)
	}
	if q.Before != "" {
		db = db.Where("id < ?", q.Before)
	}
	return page(db, q.Limit, 0).Order("id DESC")
}

// Waiting counts the people with changes that wait in the plan, by kind of change.
func (s *Store) Waiting(ctx context.Context, plan string) ([]model.ChangeCount, error) {
	const text = "SELECT target, op, attrs, state = 'held', count(*) FROM changes WHERE plan_id = $1 AND plan_id <> '' " +
		"AND state IN ('pending', 'held') GROUP BY target, op, attrs, state"
	return s.countChanges(ctx, text, plan)
}

// Moved counts the people of a source with an update or a reactivation, by kind of change: of those that wait for approval, and of
// those that went since t without a person's.
func (s *Store) Moved(ctx context.Context, source string, since time.Time) ([]model.ChangeCount, error) {
	const text = "SELECT target, op, attrs, false, count(DISTINCT identity_id) FROM changes WHERE source = $1 AND at >= $2 " +
		"AND state = 'committed' AND op IN ('~', '^') AND decided_by IN ('', 'guard') GROUP BY target, op, attrs " +
		"UNION ALL SELECT target, op, attrs, true, count(*) FROM changes WHERE source = $1 AND state = 'held' AND op IN ('~', '^') GROUP BY target, op, attrs"
	return s.countChanges(ctx, text, source, stamp(since))
}

func (s *Store) countChanges(ctx context.Context, text string, args ...any) ([]model.ChangeCount, error) {
	var out []model.ChangeCount
	err := s.stream(ctx, op{text: s.sql(text), args: args, each: func(row scanner) error {
		var c model.ChangeCount
		err := row.Scan(&c.Target, (*string)(&c.Op), &c.Attrs, &c.Held, &c.N)
		out = append(out, c)
		return err
	}})
	return out, err
}

// Losing looks at a group, and counts its members up to count.
func (s *Store) Losing(ctx context.Context, source, group string, count int) (engine.Losing, error) {
	var l engine.Losing
	err := s.read(ctx, s.losing(source, group, count, &l))
	return l, err
}

func (s *Store) losing(source, group string, count int, l *engine.Losing) op {
	const text = "SELECT l.since, coalesce(l.had, 0), coalesce(l.lost, 0), n.members FROM " +
		"(SELECT count(*) AS members FROM (SELECT 1 FROM members WHERE source = $1 AND group_id = $2 LIMIT $3) m) n " +
		"LEFT JOIN group_losses l ON l.source = $1 AND l.group_id = $2"
	return op{text: s.sql(text), args: []any{source, group, count}, each: func(row scanner) error {
		*l = engine.Losing{Was: model.GroupLoss{Source: source, GroupID: group}, Count: count}
		var since *time.Time
		err := row.Scan(&since, &l.Was.Had, &l.Was.Lost, &l.Members)
		if since != nil {
			l.Was.Since = since.UTC()
		}
		return err
	}}
}

// SealPlan counts what waits in the plan (pending or held), computes the digest over it, stores both, and returns the
// plan. A state that is not empty becomes the plan's; what is pending in a held plan becomes held. Commits that touch the
// plan wait meanwhile. ErrNotFound: no such plan.
func (s *Store) SealPlan(ctx context.Context, id string, state model.PlanState) (model.Plan, error) {
	var plan model.Plan
	err := s.update(ctx, func(tx *gorm.DB) error {
		plan = model.Plan{}
		lock := tx.Clauses(clause.Locking{Strength: "UPDATE"}) // nothing on SQLite, which has one writer
		if err := lock.Take(&plan, "id = ?", id).Error; err != nil {
			return err
		}
		if state != "" {
			plan.State = state
		}
		if plan.State == model.PlanHeld {
			pending := tx.Model(&model.Change{}).Where("plan_id = ? AND plan_id <> '' AND state = ?", id, model.ChangePending)
			if err := pending.Update("state", model.ChangeHeld).Error; err != nil {
				return err
			}
		}
		var err error
		if plan.Items, plan.Digest, err = digest(tx, id); err != nil {
			return err
		}
		plan.UpdatedAt = stamp(time.Now())
		return tx.Model(&plan).Select("State", "Items", "Digest", "UpdatedAt").Updates(&plan).Error
	})
	return plan, err
}

// digest is SHA-256 over what would happen: the waiting items in order, each as a line of JSON.
func digest(tx *gorm.DB, plan string) (items int, sum string, err error) {
	rows, err := tx.Model(&model.Change{}).Where("plan_id = ? AND plan_id <> '' AND state IN ?", plan,
		[]model.ChangeState{model.ChangePending, model.ChangeHeld}).Order("id").
		Select("id", "identity_id", "target", "op", "before", "after").Rows()
	if err != nil {
		return 0, "", err
	}
	defer rows.Close()
	hash := sha256.New()
	lines := json.NewEncoder(hash)
	for rows.Next() {
		var line [6]string
		if err := rows.Scan(&line[0], &line[1], &line[2], &line[3], &line[4], &line[5]); err != nil {
			return 0, "", err
		}
		if err := lines.Encode(line); err != nil {
			return 0, "", err
		}
		items++
	}
	return items, hex.EncodeToString(hash.Sum(nil)), rows.Err()
}
