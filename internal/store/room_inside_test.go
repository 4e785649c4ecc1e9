package store

import (
	"context"
	"path/filepath"
	"testing"

	"gorm.io/gorm"
)

// TestWhatAsksForRoomIsNotLeftBehind: the row that a write is tried with goes when it can, and until then the database is not ready.
func TestWhatAsksForRoomIsNotLeftBehind(t *testing.T) {
	t.Parallel()
	s, err := Open(context.Background(), Options{URL: "sqlite:" + filepath.Join(t.TempDir(), "jmld.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	run := func(text string) {
		t.Helper()
		if err := s.update(context.Background(), func(tx *gorm.DB) error { return tx.Exec(text).Error }); err != nil {
			t.Fatal(err)
		}
	}
	rows := func() (n int64) {
		t.Helper()
		if err := s.view(context.Background(), func(db *gorm.DB) error {
			return db.Table("settings").Where("name = 'store.room'").Count(&n).Error
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	run("CREATE TRIGGER stays BEFORE DELETE ON settings WHEN old.name = 'store.room' BEGIN SELECT RAISE(ABORT, 'it stays'); END")
	s.unwritable.Store(true)
	for range 2 {
		if err := s.Ping(context.Background()); err == nil || rows() != 1 {
			t.Fatalf("%v, %d rows", err, rows())
		}
	}
	run("DROP TRIGGER stays")
	if err := s.Ping(context.Background()); err != nil || rows() != 0 {
		t.Errorf("%v, %d rows", err, rows())
	}
}
