package local_test

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"jmld/internal/store"
	"jmld/internal/testserver"
	"jmld/jml/engine"
	"jmld/model"
	"jmld/target/local"
	"jmld/target/targettest"
)

// The same promises on the real database: each target of its own name, as in one daemon with many.
func TestConformanceInTheDatabase(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func(t *testing.T) string{
		"SQLite":     func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "jmld.db") },
		"PostgreSQL": func(t *testing.T) string { return testserver.Postgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := store.Open(t.Context(), store.Options{URL: url(t)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			for _, class := range []model.Class{model.ClassPlatform, model.ClassApp} {
				t.Run(string(class), func(t *testing.T) {
					var n atomic.Int64
					targettest.Run(t, func(testing.TB) engine.Target {
						return local.New(fmt.Sprint("target", n.Add(1)), class, s, time.Now)
					})
				})
			}
		})
	}
}
