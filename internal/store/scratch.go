package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gorm.io/gorm"

	"jmld/jml/engine"
	"jmld/model"
)

// scratchBatch is how many rows are copied at a time.
const scratchBatch = 500

// member is a row of the table members.
type member struct {
	Source   string `gorm:"primaryKey"`
	GroupID  string `gorm:"primaryKey"`
	MemberID string `gorm:"primaryKey"`
}

// recordValue is a row of the table record_values.
type recordValue struct {
	Source   string
	RecordID string
	Attr     string
	Type     string
	Value    string
}

// formerName is a row of the table group_names.
type formerName struct {
	Source  string
	Name    string
	GroupID string
	Number  int
}

func (formerName) TableName() string { return "group_names" }

// setting is a row of the table settings.
type setting struct {
	Name  string `gorm:"primaryKey"`
	Value string
}

var _ engine.Rehearsal = (*Store)(nil)

// Scratch copies what decisions depend on, as of one moment, into a SQLite file of its own. Trying something out there
// holds nobody up and costs nothing but the copy; discard throws it away.
func (s *Store) Scratch(ctx context.Context) (engine.Store, func() error, error) {
	return s.scratch(ctx, false)
}

// Stage is Scratch with a clock that stands still until it is put forward.
func (s *Store) Stage(ctx context.Context) (engine.Stage, func() error, error) {
	return s.scratch(ctx, true)
}

// Cast marks everybody of the organisation as due for review, and returns who that is in the order of their ids. Dates of others count only
// if they come at or after from.
func (s *Store) Cast(ctx context.Context, organisation string, from time.Time) (ids []string, err error) {
	err = s.update(ctx, func(tx *gorm.DB) error {
		of := tx.Model(&model.Identity{}).Where("organisation = ?", organisation)
		return errors.Join(
			tx.Model(&model.Identity{}).Where("organisation <> ? AND review_at < ?", organisation, stamp(from)).UpdateColumn("review_at", nil).Error,
			of.Session(&gorm.Session{}).Order("id").Pluck("id", &ids).Error,
			of.Session(&gorm.Session{}).UpdateColumn("review_at", time.Unix(0, 0).UTC()).Error)
	})
	return ids, err
}

// NextReview is when somebody is due for review next, after the time; zero: nobody ever.
func (s *Store) NextReview(ctx context.Context, after time.Time) (time.Time, error) {
	var found []model.Identity
	err := s.view(ctx, func(db *gorm.DB) error {
		return db.Select("review_at").Where("review_at > ?", stamp(after)).Order("review_at").Limit(1).Find(&found).Error
	})
	if err != nil || len(found) == 0 {
		return time.Time{}, err
	}
	return found[0].ReviewAt.UTC(), nil
}

// Addressed lists people of other organisations with a record in which there is an address of one of the domains, such as example.org or
// *.example.org, in the order of their ids behind after.
func (s *Store) Addressed(ctx context.Context, organisation string, domains []string, after string, limit int) (ids []string, err error) {
	var like []string
	args := []any{organisation, after}
	for _, d := range domains {
		sub, below := strings.CutPrefix(d, "*")
		if !below {
			sub = "@" + d
		}
		like = append(like, `lower(attrs) LIKE ? ESCAPE '\'`)
		args = append(args, "%"+strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(sub))+`"%`)
	}
	if len(like) == 0 {
		return nil, nil
	}
	err = s.view(ctx, func(db *gorm.DB) error {
		return db.Raw("SELECT id FROM identities WHERE organisation <> ? AND id > ? AND id IN (SELECT identity_id FROM records WHERE identity_id <> '' AND "+
			"absent_since IS NULL AND ("+strings.Join(like, " OR ")+")) ORDER BY id LIMIT ?", append(args, limit)...).Scan(&ids).Error
	})
	return ids, err
}

func (s *Store) scratch(ctx context.Context, stage bool) (*Store, func() error, error) {
	dir, err := os.MkdirTemp("", "jmld-scratch-")
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", model.ErrUnavailable, err)
	}
	to, err := Open(ctx, Options{URL: "sqlite:" + filepath.Join(dir, "scratch.db"), Timeout: s.timeout, Simulated: stage})
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	discard := func() error { return errors.Join(to.Close(), os.RemoveAll(dir)) }
	if err := to.update(ctx, func(tx *gorm.DB) error {
		return tx.Delete(&setting{}, "name IN ?", []string{accessRev, accessFrame}).Error
	}); err != nil {
		return nil, nil, errors.Join(err, discard())
	}
	recent := "state IN ('pending', 'held') OR at > ?" // what the guard counts, whatever its window is
	month := stamp(time.Now().AddDate(0, -1, 0))
	copyAll := func(from *gorm.DB) error {
		return errors.Join(
			copyRows[model.Record](ctx, from, to), copyRows[member](ctx, from, to), copyRows[model.Identity](ctx, from, to),
			copyRows[model.IdentityKey](ctx, from, to), copyRows[model.Account](ctx, from, to), copyRows[model.Plan](ctx, from, to),
			copyRows[model.Ruling](ctx, from, to), copyRows[model.Checkpoint](ctx, from, to), copyRows[model.GroupLoss](ctx, from, to), copyRows[model.Run](ctx, from.Where("id IN (SELECT run_id FROM checkpoints) OR job LIKE 'read:%' AND verdict = 'complete' AND started_at > ?", month), to),
			copyRows[model.Change](ctx, from.Where(recent, month), to),
			copyRows[model.AccountName](ctx, from, to), copyRows[model.Merge](ctx, from, to),
			copyRows[model.AccessRole](ctx, from, to), copyRows[model.AccessGroup](ctx, from, to), copyRows[model.AccessResource](ctx, from, to),
			copyRows[model.AccessLink](ctx, from, to), copyRows[model.AccessMember](ctx, from, to),
			copyRows[formerName](ctx, from, to),                                 // by which rules follow a group that was renamed
			copyRows[recordValue](ctx, from.Where("attr = ?", managerAttr), to), // by which reports are found
			copyRows[setting](ctx, from.Where("name IN ?", []string{accessRev, accessFrame}), to),
		)
	}
	// Without the limit of one operation: it takes as long as the copy does.
	err = s.db.view(ctx, func(db *gorm.DB) error {
		if s.lite { // which views in a transaction, and that is a snapshot
			return copyAll(db)
		}
		return db.Transaction(copyAll, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	})
	if err != nil {
		return nil, nil, errors.Join(classify(ctx, err), discard())
	}
	return to, discard, nil
}

func copyRows[T any](ctx context.Context, from *gorm.DB, to *Store) error {
	rows, err := from.Model(new(T)).Rows()
	if err != nil {
		return err
	}
	defer rows.Close()
	batch := make([]T, 0, scratchBatch)
	store := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := to.update(ctx, func(tx *gorm.DB) error { return tx.CreateInBatches(&batch, 50).Error })
		batch = batch[:0]
		return err
	}
	for rows.Next() {
		var row T
		if err := from.ScanRows(rows, &row); err != nil {
			return err
		}
		if r, ok := any(&row).(*model.Record); ok && r.Hash == nil { // empty and none are alike to the driver, not to the column
			r.Hash = []byte{}
		}
		if batch = append(batch, row); len(batch) == cap(batch) {
			if err := store(); err != nil {
				return err
			}
		}
	}
	return errors.Join(rows.Err(), store())
}
