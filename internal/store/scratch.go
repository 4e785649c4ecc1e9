package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

// setting is a row of the table settings.
type setting struct {
	Name  string `gorm:"primaryKey"`
	Value string
}

// Scratch copies what decisions depend on, as of one moment, into a SQLite file of its own. Trying something out there
// holds nobody up and costs nothing but the copy; discard throws it away.
func (s *Store) Scratch(ctx context.Context) (engine.Store, func() error, error) {
	dir, err := os.MkdirTemp("", "jmld-scratch-")
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", model.ErrUnavailable, err)
	}
	to, err := Open(ctx, Options{URL: "sqlite:" + filepath.Join(dir, "scratch.db"), Timeout: s.timeout})
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
