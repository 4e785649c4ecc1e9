package main

import (
	"context"
	"database/sql"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"jmld/internal/testserver"
)

// refusesAndRecovers pushes to a daemon whose database is out of order: 503 with Retry-After, nothing changed; then,
// once mend has mended it, everything goes on.
func refusesAndRecovers(t *testing.T, h *house, secret string, breakIt, mend func(), meanwhile int) {
	t.Helper()
	d := h.serve()
	c := d.client("entra", secret)
	before := c.want(t, http.StatusCreated, "POST", "/Users", userJSON("before@example.org", "Engineering"))
	breakIt()
	var refused answer
	eventually(t, 40*time.Second, "a new intent refused with 503", func() bool {
		a, err := c.do("POST", "/Users", userJSON("during@example.org", "Engineering"))
		if err != nil {
			return false // the answer takes longer than this client waits
		}
		if a.status == http.StatusCreated || a.status == http.StatusConflict {
			t.Fatalf("accepted while the database is out of order: %d", a.status)
		}
		refused = a
		return a.status == http.StatusServiceUnavailable
	})
	eventually(t, 40*time.Second, "an answer of /readyz", func() bool { return d.ready(t) == meanwhile })
	if refused.header.Get("Retry-After") == "" {
		t.Errorf("the answer does not say when to come back: %v", refused.header)
	}
	mend()
	eventually(t, 40*time.Second, "the same intent accepted", func() bool {
		a, err := c.do("POST", "/Users", userJSON("during@example.org", "Engineering"))
		if err == nil && a.status == http.StatusConflict {
			t.Fatal("what was refused had been stored")
		}
		return err == nil && a.status == http.StatusCreated
	})
	c.want(t, http.StatusOK, "GET", "/Users/"+before.id(), "")
	eventually(t, 20*time.Second, "ready again", func() bool { return d.ready(t) == http.StatusOK })
	eventually(t, 75*time.Second, "every account settled", func() bool {
		var list accountsJSON
		h.read(&list, "accounts", "--unsettled")
		return len(list.Accounts) == 0
	})
	d.stop()
}

// ready is the status of /readyz, 0 without an answer.
func (d *daemon) ready(t *testing.T) int {
	t.Helper()
	res, err := http.Get(d.url + "/readyz")
	if err != nil {
		return 0
	}
	res.Body.Close()
	return res.StatusCode
}

func TestDatabaseLocked(t *testing.T) {
	t.Parallel()
	h := newHouse(t, houseOptions{})
	secret := h.token("entra")
	db, err := sql.Open("sqlite", filepath.Join(h.dir, "jmld.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	exec := func(text string) {
		t.Helper()
		if _, err := conn.ExecContext(context.Background(), text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	exec("PRAGMA busy_timeout = 5000")
	refusesAndRecovers(t, h, secret, func() { exec("BEGIN IMMEDIATE") }, func() { exec("ROLLBACK") }, http.StatusOK)
}

func TestDatabaseFull(t *testing.T) {
	t.Parallel()
	disk := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", disk, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("a full disk needs a disk of its own, and mounting one is not allowed here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	h := newHouse(t, houseOptions{Database: "sqlite:" + filepath.Join(disk, "jmld.db")})
	secret := h.token("entra")
	ballast := filepath.Join(disk, "ballast")
	refusesAndRecovers(t, h, secret, func() {
		f, err := os.Create(ballast)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for size := 64 << 10; size >= 4096; size /= 2 { // to the last page
			for err = nil; err == nil; {
				_, err = f.Write(make([]byte, size))
			}
		}
	}, func() {
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
	}, http.StatusServiceUnavailable)
}

func TestDatabaseGone(t *testing.T) {
	t.Parallel()
	server := testserver.StartPostgres(t, testserver.PostgresOptions{Durable: true})
	h := newHouse(t, houseOptions{Database: server.Database(t)})
	secret := h.token("entra")
	refusesAndRecovers(t, h, secret, func() { server.Kill(t) }, func() { server.Start(t) }, http.StatusServiceUnavailable)
}

// TestServeWaitsForPostgreSQL at the start, as after a power cut when everything comes up at once.
func TestServeWaitsForPostgreSQL(t *testing.T) {
	t.Parallel()
	server := testserver.StartPostgres(t, testserver.PostgresOptions{})
	h := newHouse(t, houseOptions{Database: server.Database(t)})
	server.Stop(t)
	if code, _, stderr := h.jmld("accounts"); code != exitError || !strings.Contains(stderr, "JML-1101") {
		t.Errorf("a command without its database: exit %d\n%s", code, stderr)
	}
	later := time.AfterFunc(2*time.Second, func() { server.Start(t) })
	defer later.Stop()
	h.serve().stop()
}
