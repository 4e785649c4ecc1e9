package store

import (
	"context"
	"errors"
	"testing"

	"gorm.io/gorm"

	"jmld/internal/testserver"
	"jmld/model"
)

// What the server gives up for the sake of another transaction is repeated; what stays impossible is ErrStale.
func TestSerializationFailuresAreRepeated(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := openHere(t, testserver.Postgres(t))
	raise := func(code string) string { return "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '" + code + "'; END $$" }
	for code, wantTries := range map[string]int{"40001": 3, "40P01": 3, "55P03": 1} {
		tries := 0
		err := s.update(ctx, func(tx *gorm.DB) error {
			if tries++; tries < 3 {
				return tx.Exec(raise(code)).Error
			}
			return nil
		})
		if tries != wantTries || (err == nil) != (wantTries == 3) {
			t.Errorf("%s: %d tries, %v", code, tries, err)
		}
	}
	if err := s.write(ctx, op{text: raise("40001")}); !errors.Is(err, model.ErrStale) {
		t.Errorf("got %v", err)
	}
}
