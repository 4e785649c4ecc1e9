package store

import (
	"net/url"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"jmld/internal/testserver"
)

// Connections that lay for a while, and that a firewall or a server that is no more has forgotten, say nothing. That costs nobody an answer.
func TestConnectionsThatSayNothingCostNoAnswer(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(testserver.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	proxy := testserver.Proxy(t, u.Host)
	u.Host = proxy.Addr
	s := openHere(t, u.String())
	each := func(scanner) error { return nil }
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := s.read(t.Context(), op{text: "SELECT 1 FROM pg_sleep(0.5)", each: each}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	time.Sleep(2 * layLong)
	proxy.Hush()
	for name, ask := range map[string]func() error{
		"read":   func() error { return s.read(t.Context(), op{text: "SELECT 1", each: each}) },
		"lookup": func() error { return s.lookup(t.Context(), op{text: "SELECT 1", each: each}) },
		"write":  func() error { return s.write(t.Context(), op{text: "DELETE FROM settings WHERE name = 'none'"}) },
		"view":   func() error { return s.view(t.Context(), func(db *gorm.DB) error { return db.Exec("SELECT 1").Error }) },
	} {
		wg.Go(func() {
			if err := ask(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	wg.Wait()
}
