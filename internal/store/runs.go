package store

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"jmld/model"
)

// StartRun inserts the run; ErrConflict when (Job, ScheduledAt) exists: another replica started it.
func (s *Store) StartRun(ctx context.Context, r *model.Run) error {
	row := runRow(r)
	return s.update(ctx, func(tx *gorm.DB) error { return tx.Create(&row).Error })
}

// UpdateRun stores state, verdict, proof, funnel, error and times. ErrStale: it was abandoned meanwhile.
func (s *Store) UpdateRun(ctx context.Context, r *model.Run) error {
	row := runRow(r)
	return s.update(ctx, func(tx *gorm.DB) error {
		res := tx.Model(&row).Where("state <> ?", model.RunAbandoned).
			Select("State", "Verdict", "Proof", "Funnel", "ErrorCode", "ErrorText", "HeartbeatAt", "FinishedAt").Updates(&row)
		if res.Error != nil || res.RowsAffected > 0 {
			return res.Error
		}
		if err := tx.Take(&model.Run{}, "id = ?", r.ID).Error; err != nil {
			return err
		}
		return fmt.Errorf("run %s was abandoned: %w", r.ID, model.ErrStale)
	})
}

// StopRun tells a running run to stop; text says who does. False: it does not run (any more).
func (s *Store) StopRun(ctx context.Context, id, text string) (bool, error) {
	told := false
	err := s.update(ctx, func(tx *gorm.DB) error {
		res := tx.Model(&model.Run{}).Where("id = ? AND state IN ?", id, []model.RunState{model.RunRunning, model.RunStopping}).
			Updates(map[string]any{"state": model.RunStopping, "error_text": text})
		told = res.RowsAffected > 0
		return res.Error
	})
	return told, err
}

// LastScheduled is the job's run with the newest scheduled time, or ErrNotFound.
func (s *Store) LastScheduled(ctx context.Context, job string) (model.Run, error) {
	var r model.Run
	err := s.view(ctx, func(db *gorm.DB) error {
		return db.Where("job = ? AND scheduled_at IS NOT NULL", job).Order("scheduled_at DESC").Take(&r).Error
	})
	return r, err
}

// RunsAfter are the newer runs of the run's source and job, the newest first, so many at most.
func (s *Store) RunsAfter(ctx context.Context, run model.Run, limit int) ([]model.Run, error) {
	var newer []model.Run
	err := s.view(ctx, func(db *gorm.DB) error {
		return db.Where("source = ? AND id > ? AND job = ?", run.Source, run.ID, run.Job).Order("id DESC").Limit(limit).Find(&newer).Error
	})
	return newer, err
}

// AbandonRuns marks running runs of the job, other than keep, as abandoned: their replica lost the lease.
func (s *Store) AbandonRuns(ctx context.Context, job, keep string) error {
	return s.update(ctx, func(tx *gorm.DB) error {
		return tx.Model(&model.Run{}).Where("job = ? AND state IN ? AND id <> ?", job, []model.RunState{model.RunRunning, model.RunStopping}, keep).
			Updates(map[string]any{"state": model.RunAbandoned, "finished_at": gorm.Expr(s.now())}).Error
	})
}

// Run is one run, or ErrNotFound.
func (s *Store) Run(ctx context.Context, id string) (model.Run, error) {
	var r model.Run
	err := s.view(ctx, func(db *gorm.DB) error { return db.Take(&r, "id = ?", id).Error })
	return r, err
}

// RunList lists runs, newest first, of one source or of all (""). before is the id of the last run of the page before.
func (s *Store) RunList(ctx context.Context, source string, limit int, before string) ([]model.Run, error) {
	return s.runs(ctx, source, limit, before, "")
}

// RunsTried is RunList without the runs that left the source alone.
func (s *Store) RunsTried(ctx context.Context, source string, limit int, before string) ([]model.Run, error) {
	return s.runs(ctx, source, limit, before, model.CodeSourcePaused)
}

func (s *Store) runs(ctx context.Context, source string, limit int, before string, without model.Code) ([]model.Run, error) {
	var runs []model.Run
	err := s.view(ctx, func(db *gorm.DB) error {
		if without != "" {
			db = db.Where("error_code <> ?", without)
		}
		if source != "" {
			db = db.Where("source = ?", source)
		}
		if before != "" {
			db = db.Where("id < ?", before)
		}
		return page(db, limit, 0).Order("id DESC").Find(&runs).Error
	})
	return runs, err
}

func runRow(r *model.Run) model.Run {
	row := *r
	row.StartedAt, row.HeartbeatAt = stamp(r.StartedAt), stamp(r.HeartbeatAt)
	row.ScheduledAt, row.FinishedAt = stampPtr(r.ScheduledAt), stampPtr(r.FinishedAt)
	return row
}
