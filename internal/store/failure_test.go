package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"jmld/internal/store"
	"jmld/internal/testserver"
	"jmld/jml/engine"
	"jmld/model"
)

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	must(t, os.WriteFile(text, []byte(strings.Repeat("this is no database\n", 500)), 0o600))
	for url, want := range map[string]error{
		"":                     model.ErrInvalid,
		"mysql://db":           model.ErrInvalid,
		"sqlite:":              model.ErrInvalid,
		"postgres://%zz":       model.ErrInvalid,
		"sqlite:" + dir:        model.ErrUnavailable,
		"sqlite:" + text:       model.ErrUnavailable,
		"sqlite:/no/such/file": model.ErrUnavailable,
		"postgres://jmld@127.0.0.1:1/jmld?sslmode=disable&connect_timeout=2": model.ErrUnavailable,
		"host=127.0.0.1 port=1 user=jmld dbname=jmld sslmode=disable":        model.ErrUnavailable,
	} {
		if s, err := store.Open(ctxOf(t), store.Options{URL: url}); !errors.Is(err, want) {
			t.Errorf("%q: %v", url, err)
			if err == nil {
				s.Close()
			}
		}
	}
}

func TestOpenNeverSaysThePassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"postgres://jmld:s3cret@127.0.0.1:1/jmld", "postgres://jmld:s3cret@127.0.0.1:port/jmld", "host=127.0.0.1 port=x password=s3cret"} {
		_, err := store.Open(ctxOf(t), store.Options{URL: url, Password: "s3cret"})
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%v", err)
		}
	}
}

func TestManyOpenANewDatabaseAtOnce(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{"sqlite": "sqlite:" + filepath.Join(t.TempDir(), "with space & ?#%.db"), "postgres": testserver.Postgres(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var wg sync.WaitGroup
			for i := range 6 {
				wg.Go(func() {
					s, err := store.Open(ctxOf(t), store.Options{URL: url, MaxConns: 4})
					if err != nil {
						t.Error(err)
						return
					}
					defer s.Close()
					if err := s.Commit(ctxOf(t), joined("entra", fmt.Sprint(i), fmt.Sprint("u", i))); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			people := get[[]model.Identity](t)(open(t, url).People(ctxOf(t), model.PeopleQuery{}))
			if len(people) != 6 {
				t.Errorf("%d people", len(people))
			}
		})
	}
}

// A command beside the daemon: other processes write to the same file, and everybody sees everything.
func TestSeveralProcessesShareOneFile(t *testing.T) {
	t.Parallel()
	url := "sqlite:" + filepath.Join(t.TempDir(), "jmld.db")
	s := open(t, url)
	var wg sync.WaitGroup
	for p := range 3 {
		wg.Go(func() {
			cmd := exec.Command(os.Args[0], "-test.run=^TestHelperProcess$", "-test.v")
			cmd.Env = append(os.Environ(), "JMLD_STORE_HELPER="+url, fmt.Sprint("JMLD_STORE_HELPER_NAME=p", p))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	for i := range 100 {
		must(t, commitPatiently(t, s, joined("here", fmt.Sprint("here", i), fmt.Sprint("here", i))))
	}
	wg.Wait()
	if people := get[[]model.Identity](t)(s.People(ctxOf(t), model.PeopleQuery{})); len(people) != 400 {
		t.Errorf("%d people", len(people))
	}
}

func TestHelperProcess(t *testing.T) {
	url, name := os.Getenv("JMLD_STORE_HELPER"), os.Getenv("JMLD_STORE_HELPER_NAME")
	if url == "" {
		t.Skip("runs only inside TestSeveralProcessesShareOneFile")
	}
	s := open(t, url)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 25 {
				id := fmt.Sprint(name, "-", w, "-", i)
				if err := commitPatiently(t, s, joined(name, id, id)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// commitPatiently asks again, as every caller does, where other processes held the file for longer than one wait for
// it takes: SQLite's lock has no queue, and a busy disk lets one of them go without for seconds.
func commitPatiently(t *testing.T, s *store.Store, c *engine.Commit) error {
	t.Helper()
	deadline := time.Now().Add(3 * time.Minute)
	for {
		err := s.Commit(ctxOf(t), c)
		if !errors.Is(err, model.ErrUnavailable) || time.Now().After(deadline) {
			return err
		}
	}
}

func TestALockedFileIsUnavailableAndRecovers(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "jmld.db")
	s := open(t, "sqlite:"+path)
	db, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate")
	must(t, err)
	defer db.Close()
	tx, err := db.Begin()
	must(t, err)
	if err := s.Commit(ctxOf(t), joined("entra", "1", "ada")); !errors.Is(err, model.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if _, err := s.Load(ctxOf(t), []engine.Subject{{Identity: "i-1"}}); err != nil {
		t.Errorf("reading while another writes: %v", err)
	}
	must(t, tx.Rollback())
	must(t, s.Commit(ctxOf(t), joined("entra", "1", "ada")))
}

// A full disk: a small file system of its own, which needs root; what was accepted stays, and writing goes on with space.
func TestAFullDiskIsUnavailableAndLosesNothing(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("no tmpfs here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	s := open(t, "sqlite:"+filepath.Join(dir, "jmld.db"))
	stored := fill(t, s, 100_000)
	people := get[[]model.Identity](t)(s.People(ctxOf(t), model.PeopleQuery{}))
	if len(people) != stored {
		t.Errorf("%d commits succeeded, %d people are there", stored, len(people))
	}
	if err := s.Ping(ctxOf(t)); !errors.Is(err, model.ErrUnavailable) {
		t.Errorf("asked whether it can work on a full disk: %v", err)
	}
	if out, err := exec.Command("mount", "-o", "remount,size=64m", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	must(t, s.Ping(ctxOf(t)))
	must(t, s.Commit(ctxOf(t), joined("entra", "after", "after")))
}

// A PostgreSQL that is only read, as a standby is, is not ready, and is as soon as it takes writes again.
func TestADatabaseThatIsOnlyReadIsNotReady(t *testing.T) {
	t.Parallel()
	server := testserver.StartPostgres(t, testserver.PostgresOptions{})
	s := open(t, server.Database(t))
	admin, err := pgx.Connect(ctxOf(t), server.URL())
	must(t, err)
	defer admin.Close(ctxOf(t))
	readOnly := func(value string) {
		t.Helper()
		for _, text := range []string{"ALTER SYSTEM SET default_transaction_read_only = " + value, "SELECT pg_reload_conf()"} {
			_, err := admin.Exec(ctxOf(t), text)
			must(t, err)
		}
	}
	until := func(what string, done func(id string) bool) { // the server's processes look at their settings a moment later
		t.Helper()
		for n, deadline := 0, time.Now().Add(time.Minute); !done(fmt.Sprint(what, n)); n++ {
			if time.Now().After(deadline) {
				t.Fatal(what, "never came")
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	readOnly("on")
	until("refusal", func(id string) bool {
		return errors.Is(s.Commit(ctxOf(t), joined("entra", id, id)), model.ErrUnavailable)
	})
	until("unreadiness", func(string) bool { return errors.Is(s.Ping(ctxOf(t)), model.ErrUnavailable) })
	get[[]model.Identity](t)(s.People(ctxOf(t), model.PeopleQuery{}))
	readOnly("off")
	until("readiness", func(string) bool { return s.Ping(ctxOf(t)) == nil }) // nobody has to write first
	must(t, s.Commit(ctxOf(t), joined("entra", "after", "after")))
}

// fill commits from several goroutines until the database is full, and returns how many were stored.
func fill(t *testing.T, s *store.Store, most int) int {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	stored, full := 0, false
	for w := range 4 {
		wg.Go(func() {
			for i := range most {
				id := fmt.Sprint(w, "-", i)
				err := s.Commit(ctxOf(t), joined("entra", id, id))
				mu.Lock()
				switch {
				case err == nil:
					stored++
				case errors.Is(err, model.ErrUnavailable):
					full = true
				default:
					t.Errorf("got %v", err)
					full = true
				}
				stop := full
				mu.Unlock()
				if stop {
					return
				}
			}
		})
	}
	wg.Wait()
	if !full || stored == 0 {
		t.Fatalf("%d stored, full %t", stored, full)
	}
	return stored
}

func TestAClosedStoreIsUnavailable(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		must(t, s.Commit(ctxOf(t), joined("entra", "1", "ada")))
		must(t, s.Close())
		must(t, s.Close())
		if _, err := s.Identity(ctxOf(t), "i-1"); !errors.Is(err, model.ErrUnavailable) {
			t.Errorf("reading: %v", err)
		}
		if err := s.Commit(ctxOf(t), joined("entra", "2", "bob")); !errors.Is(err, model.ErrUnavailable) {
			t.Errorf("writing: %v", err)
		}
	})
}

func TestAReadOnlyFileIsUnavailable(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "jmld.db")
	s := open(t, "sqlite:"+path)
	must(t, s.Commit(ctxOf(t), joined("entra", "1", "ada")))
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("others may read the file: %v", info.Mode())
	}
	must(t, s.Close())
	if os.Getuid() == 0 {
		t.Skip("nothing is read-only for root")
	}
	must(t, os.Chmod(path, 0o400))
	if _, err := store.Open(ctxOf(t), store.Options{URL: "sqlite:" + path}); !errors.Is(err, model.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestPostgresGoesAndComesBack(t *testing.T) {
	t.Parallel()
	server := testserver.StartPostgres(t, testserver.PostgresOptions{Durable: true})
	s := open(t, server.Database(t))
	for i, end := range []func(testing.TB){server.Stop, server.Kill} {
		must(t, s.Commit(ctxOf(t), joined("entra", fmt.Sprint("a", i), fmt.Sprint("a", i))))
		end(t)
		for name, call := range map[string]func() error{
			"commit": func() error { return s.Commit(ctxOf(t), joined("entra", "x", "x")) },
			"load":   func() error { _, err := s.Load(ctxOf(t), []engine.Subject{{Identity: "i-x"}}); return err },
			"list":   func() error { _, err := s.People(ctxOf(t), model.PeopleQuery{}); return err },
			"run":    func() error { return s.StartRun(ctxOf(t), &model.Run{ID: "r", Job: "j"}) },
			"ping":   func() error { return s.Ping(ctxOf(t)) },
		} {
			if err := call(); !errors.Is(err, model.ErrUnavailable) {
				t.Errorf("%s without a server: %v", name, err)
			}
		}
		server.Start(t)
		// The first write may meet a dead connection of the pool; it is refused, not lost.
		deadline := time.Now().Add(2 * time.Minute)
		for n := 0; ; n++ {
			err := s.Commit(ctxOf(t), joined("entra", fmt.Sprint("b", i), fmt.Sprint("b", i)))
			if err == nil {
				break
			}
			if !errors.Is(err, model.ErrUnavailable) || time.Now().After(deadline) {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond)
		}
		must(t, s.Ping(ctxOf(t)))
		if people := get[[]model.Identity](t)(s.People(ctxOf(t), model.PeopleQuery{})); len(people) != 2*(i+1) {
			t.Errorf("%d people", len(people))
		}
	}
}

// Reads go on across a restart: a connection that died in the pool is replaced without an error.
func TestReadsSurviveARestartOfPostgres(t *testing.T) {
	t.Parallel()
	server := testserver.StartPostgres(t, testserver.PostgresOptions{})
	s := open(t, server.Database(t))
	must(t, s.Commit(ctxOf(t), joined("entra", "1", "ada")))
	server.Stop(t)
	server.Start(t)
	for range 5 {
		if got := get[[]engine.Person](t)(s.Load(ctxOf(t), []engine.Subject{{Identity: "i-1"}})); got[0].Identity == nil {
			t.Error("nobody there")
		}
	}
}

func TestACallerThatGivesUpGetsItsOwnError(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx, cancel := context.WithCancel(ctxOf(t))
		cancel()
		for name, err := range map[string]error{
			"commit": s.Commit(ctx, joined("entra", "1", "ada")),
			"load":   func() error { _, err := s.Load(ctx, []engine.Subject{{Identity: "i-1"}}); return err }(),
			"list":   func() error { _, err := s.People(ctx, model.PeopleQuery{}); return err }(),
		} {
			if !errors.Is(err, context.Canceled) || errors.Is(err, model.ErrUnavailable) {
				t.Errorf("%s: %v", name, err)
			}
		}
		must(t, s.Commit(ctxOf(t), joined("entra", "1", "ada")))
	})
}

// A caller that goes away in the middle takes nobody with it.
func TestCancelledCallersDoNotDisturbOthers(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		stored := 0
		for i := range 200 {
			wg.Go(func() {
				ctx := ctxOf(t)
				if i%2 == 0 {
					short, cancel := context.WithTimeout(ctx, time.Duration(i)*100*time.Microsecond)
					defer cancel()
					ctx = short
				}
				err := s.Commit(ctx, joined("entra", fmt.Sprint(i), fmt.Sprint(i)))
				if err == nil {
					mu.Lock()
					stored++
					mu.Unlock()
				} else if i%2 == 1 || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%d: %v", i, err)
				}
			})
		}
		wg.Wait()
		people := get[[]model.Identity](t)(s.People(ctxOf(t), model.PeopleQuery{}))
		if len(people) < stored {
			t.Errorf("%d commits succeeded, %d people are there", stored, len(people))
		}
	})
}
