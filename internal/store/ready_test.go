package store

import (
	"testing"
	"time"

	"jmld/internal/testserver"
)

// Connections that are to be ready are there before anybody needs them, as far as there may be so many.
func TestReadyConnectionsAreOpen(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		ready, most int
		want        int32
	}{{5, 8, 5}, {9, 6, 6}} {
		s, err := Open(t.Context(), Options{URL: testserver.Postgres(t), MaxConns: tt.most, ReadyConns: tt.ready})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		pool := s.db.(*pgDB).pool
		for end := time.Now().Add(time.Minute); pool.Stat().IdleConns() < tt.want; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d of %d connections are open", pool.Stat().IdleConns(), tt.want)
			}
		}
		if n := pool.Stat().TotalConns(); n > int32(tt.most) {
			t.Errorf("%d connections, at most %d", n, tt.most)
		}
	}
}
