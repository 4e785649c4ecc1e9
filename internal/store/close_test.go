package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"jmld/internal/store"
	"jmld/jml/engine"
	"jmld/model"
)

// Whatever became of a store, and of what was asked of it, no file of its database is open behind it.
func TestNoFileStaysOpenBehindAStore(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux lists open files in /proc")
	}
	dir := t.TempDir()
	for name, use := range map[string]func(t *testing.T, ctx context.Context, url string){
		"written and read": func(t *testing.T, ctx context.Context, url string) {
			s := opened(t, ctx, url)
			c := &engine.Commit{}
			for i := range 1000 {
				r := user("corp", fmt.Sprint("r", i), fmt.Sprint("u", i), "")
				c.Records = append(c.Records, engine.Write{New: &r})
			}
			must(t, s.Commit(ctx, c))
			must(t, s.Hashes(ctx, "corp", func([]byte, model.Kind, []byte) error { return nil }))
			if _, _, err := s.Acquire(ctx, "lease", "me", time.Minute); err != nil {
				t.Error(err)
			}
			must(t, s.Close())
			must(t, s.Close())
		},
		"broken off while it is read": func(t *testing.T, ctx context.Context, url string) {
			s := opened(t, ctx, url)
			r := user("corp", "r", "u", "")
			must(t, s.Commit(ctx, &engine.Commit{Records: []engine.Write{{New: &r}}}))
			ctx, cancel := context.WithCancel(ctx)
			enough := errors.New("enough")
			err := s.Hashes(ctx, "corp", func([]byte, model.Kind, []byte) error {
				cancel()
				return enough
			})
			if err == nil {
				t.Error("the error of who reads is lost")
			}
			must(t, s.Close())
		},
		"in two stores at once": func(t *testing.T, ctx context.Context, url string) {
			one, two := opened(t, ctx, url), opened(t, ctx, url)
			for i, s := range []*store.Store{one, two} {
				r := user("corp", fmt.Sprint("r", i), fmt.Sprint("u", i), "")
				must(t, s.Commit(ctx, &engine.Commit{Records: []engine.Write{{New: &r}}}))
			}
			must(t, one.Close())
			must(t, two.Close())
		},
		"not opened in time": func(t *testing.T, ctx context.Context, url string) {
			must(t, opened(t, ctx, url).Close())
			for n := 0; n < 60; n += 4 { // as far as it comes before it is given up
				s, err := store.Open(&expiring{Context: ctx, looks: n}, store.Options{URL: url})
				if err == nil {
					must(t, s.Close())
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".db")
			use(t, ctxOf(t), "sqlite:"+file)
			left := openFiles(t, file)
			for end := time.Now().Add(time.Minute); len(left) > 0 && time.Now().Before(end); left = openFiles(t, file) {
				time.Sleep(10 * time.Millisecond) // database/sql closes in the background what is given up
			}
			if len(left) > 0 {
				t.Errorf("open: %d: %q", len(left), left[0])
			}
		})
	}
}

func opened(t *testing.T, ctx context.Context, url string) *store.Store {
	t.Helper()
	s, err := store.Open(ctx, store.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// openFiles are those of this process whose path begins like that.
func openFiles(t *testing.T, path string) []string {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range list {
		to, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && strings.HasPrefix(to, path) { // else it was closed meanwhile
			found = append(found, to)
		}
	}
	return found
}

// expiring is a context that ends when it was looked at so many times.
type expiring struct {
	context.Context
	mu    sync.Mutex
	looks int
	ended chan struct{}
}

func (e *expiring) look() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended == nil {
		e.ended = make(chan struct{})
	}
	if e.looks--; e.looks == -1 {
		close(e.ended)
	}
	return e.looks < 0
}

func (e *expiring) Done() <-chan struct{} {
	e.look()
	return e.ended
}

func (e *expiring) Err() error {
	if e.look() {
		return context.Canceled
	}
	return nil
}
