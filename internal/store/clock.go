package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"jmld/model"
)

// simulatedClock is the table with the time of a database opened with Options.Simulated: one row.
const simulatedClock = "simulated_clock"

type clockRow struct {
	At time.Time
}

func (clockRow) TableName() string { return simulatedClock }

// addClock makes the clock, showing the time it is, unless it is there.
func (s *Store) addClock(ctx context.Context) error {
	kind := "timestamptz"
	if s.lite {
		kind = "integer"
	}
	return s.update(ctx, func(tx *gorm.DB) error {
		if err := tx.Exec("CREATE TABLE IF NOT EXISTS " + simulatedClock + " (at " + kind + " NOT NULL)").Error; err != nil {
			return err
		}
		var rows int64
		if err := tx.Model(&clockRow{}).Count(&rows).Error; err != nil || rows > 0 {
			return err
		}
		return tx.Create(&clockRow{At: stamp(time.Now())}).Error
	})
}

// SetClock puts the clock of a simulated database forward or back. ErrInvalid for any other, whose clock is the server's.
func (s *Store) SetClock(ctx context.Context, at time.Time) error {
	if !s.simulated {
		return fmt.Errorf("%w: the database was not opened for a simulation", model.ErrInvalid)
	}
	return s.update(ctx, func(tx *gorm.DB) error {
		return tx.Model(&clockRow{}).Where("true").Update("at", stamp(at)).Error
	})
}
