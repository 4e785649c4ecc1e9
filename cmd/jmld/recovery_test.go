package main

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"jmld/internal/testserver"
	"jmld/model"
)

func itoa(n int) string { return strconv.Itoa(n) }

var killRounds = flag.Int("kill.rounds", 10, "how often processes are killed") //nolint:gochecknoglobals // of this test binary

// TestKilledAtAnyMoment kills the daemon, and a read of the directory beside it, at random moments while SCIM clients
// create and change people. After each start every write that was acknowledged is there; at the end every account is as
// its person is, none was created twice, and nobody of the directory was lost (M-24, D-05, D-19).
func TestKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	rounds := *killRounds
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		killed(t, rounds, "")
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		killed(t, rounds, testserver.Postgres(t))
	})
}

// pushed is one person of a client and what the client knows of them.
type pushed struct {
	userName string
	id       string // "" until the create was acknowledged
	acked    int    // revision in displayName that was acknowledged
	sent     int    // and the last one sent: it may have been stored
}

func revision(n int) string { return fmt.Sprintf("revision %d", n) }

func revisionOf(displayName string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(displayName, "revision "))
	if err != nil {
		return -1
	}
	return n
}

// writer is one client: it goes on until the network fails it.
type writer struct {
	name   string
	people []*pushed
	errs   []string
}

func (w *writer) write(c *client, stop <-chan struct{}, rnd *rand.Rand, acked *atomic.Int64) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		if len(w.people) < 3 || rnd.IntN(4) == 0 {
			p := &pushed{userName: fmt.Sprintf("%s-%d@example.org", w.name, len(w.people)), sent: 1}
			w.people = append(w.people, p)
			if !w.create(c, p) {
				return
			}
			acked.Add(1)
			continue
		}
		p := w.people[rnd.IntN(len(w.people))]
		if p.id == "" {
			if !w.create(c, p) { // the answer was lost: the create is repeated, as identity providers do
				return
			}
			continue
		}
		p.sent++
		a, err := c.do("PATCH", "/Users/"+p.id, patchJSON("displayName", revision(p.sent)))
		switch {
		case err != nil:
			return
		case a.status == 200 || a.status == 204:
			p.acked = p.sent
			acked.Add(1)
		case a.status != 503:
			w.errs = append(w.errs, fmt.Sprintf("PATCH %s: %d %v", p.userName, a.status, a.body))
		}
	}
}

func (w *writer) create(c *client, p *pushed) (goOn bool) {
	a, err := c.do("POST", "/Users", strings.Replace(userJSON(p.userName, "Engineering"), "Person "+p.userName, revision(1), 1))
	switch {
	case err != nil:
		return false
	case a.status == 201:
		p.id, p.acked = a.id(), 1
	case a.status == 409:
		found, err := c.do("GET", "/Users?filter=userName+eq+%22"+p.userName+"%22", "")
		if err != nil {
			return false
		}
		list, _ := found.body["Resources"].([]any)
		if len(list) != 1 {
			w.errs = append(w.errs, fmt.Sprintf("%s exists and is found %d times", p.userName, len(list)))
			return false
		}
		p.id, _ = list[0].(map[string]any)["id"].(string)
		p.acked = 1
	case a.status != 503:
		w.errs = append(w.errs, fmt.Sprintf("POST %s: %d %v", p.userName, a.status, a.body))
	}
	return true
}

// verify compares what is stored with what was acknowledged.
func (w *writer) verify(t *testing.T, c *client, people []*pushed) {
	t.Helper()
	for _, p := range people {
		if p.id == "" {
			continue
		}
		a := c.want(t, 200, "GET", "/Users/"+p.id, "")
		name, _ := a.body["displayName"].(string)
		if n := revisionOf(name); n < p.acked || n > p.sent {
			t.Fatalf("%s: %q is stored; revision %d was acknowledged and %d sent", p.userName, name, p.acked, p.sent)
		} else {
			p.acked = n
		}
	}
}

func killed(t *testing.T, rounds int, database string) {
	const seed = 2026
	rnd := rand.New(rand.NewPCG(seed, uint64(len(database))))
	app := newApp(t)
	dir := newDirectory(t, 60)
	h := newHouse(t, houseOptions{
		Database: database, App: app.url, AppToken: appSecret,
		LDAP: dir.url, BindDN: dir.bindDN, Password: dir.password, Base: dir.base,
	})
	secret := h.token("entra")
	writers := []*writer{{name: "ada"}, {name: "max"}, {name: "ute"}}
	for round := range rounds {
		if round%5 == 4 { // before it listens, too
			early := h.command(context.Background(), "serve")
			if err := early.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(rnd.IntN(120)) * time.Millisecond)
			killOrWait(early)
		}
		d := h.serve()
		for _, w := range writers { // what was touched before the last kill, and a few others
			c := d.client("entra", secret)
			recent := w.people[max(0, len(w.people)-8):]
			w.verify(t, c, recent)
		}
		dir.change(t, round)
		reader := h.command(context.Background(), "sync", "corp")
		if err := reader.Start(); err != nil {
			t.Fatal(err)
		}
		stop := make(chan struct{})
		var acked atomic.Int64
		var wg sync.WaitGroup
		for i, w := range writers {
			c := d.client("entra", secret)
			own := rand.New(rand.NewPCG(seed, uint64(round*10+i)))
			wg.Go(func() { w.write(c, stop, own, &acked) })
		}
		// A random number of acknowledged writes, so that the test shows as much on a slow machine, and a random moment.
		for acks, end := int64(rnd.IntN(20)), time.Now().Add(3*time.Second); acked.Load() < acks && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Duration(rnd.IntN(15)) * time.Millisecond)
		d.kill()
		killOrWait(reader)
		close(stop)
		wg.Wait()
		for _, w := range writers {
			if len(w.errs) > 0 {
				t.Fatalf("round %d: %s\n%s", round, strings.Join(w.errs, "\n"), d.log.text())
			}
		}
		endLease(t, h, database)
	}

	d := h.serve()
	total := 0
	for _, w := range writers {
		w.verify(t, d.client("entra", secret), w.people)
		total += len(w.people)
	}
	dir.change(t, rounds)
	if code, stdout, stderr := h.jmld("sync", "corp"); code != 0 {
		t.Fatalf("the last read: exit %d\n%s%s", code, stdout, stderr)
	}
	// What a killed daemon had in hand waits for the end of its lease.
	eventually(t, 75*time.Second, "every account settled", func() bool {
		var list accountsJSON
		h.read(&list, "accounts", "--unsettled", "--limit", "10000")
		return len(list.Accounts) == 0
	})
	inApp := app.users(t)
	for _, w := range writers {
		for _, p := range w.people {
			if p.id == "" {
				continue
			}
			if u := inApp[p.userName]; !u.Active || u.DisplayName != revision(p.acked) {
				t.Errorf("%s has %+v in the app; %s is stored", p.userName, u, revision(p.acked))
			}
		}
	}
	for _, name := range dir.people {
		if u := inApp[name]; !u.Active {
			t.Errorf("%s of the directory has %+v in the app", name, u)
		}
	}
	var list accountsJSON
	h.read(&list, "accounts", "--limit", "10000")
	for _, acc := range list.Accounts {
		if acc.State != model.AccountActive {
			t.Errorf("%s lost the account in %s: %s", acc.UserName, acc.Target, acc.Because)
		}
	}
	created := app.createdOnce(t)
	t.Logf("%d kills, %d people pushed, %d accounts created in the app", rounds, total, created)
	if total < rounds {
		t.Errorf("only %d people were pushed in %d rounds: the test has shown little", total, rounds)
	}
}

// killOrWait kills the command unless it ended by itself.
func killOrWait(cmd *exec.Cmd) {
	_ = cmd.Process.Kill() // it may have ended
	_ = cmd.Wait()
}

// endLease is the minute after which a killed reader's lease ends: without it only the first read would happen.
func endLease(t *testing.T, h *house, database string) {
	t.Helper()
	driver := "pgx"
	if database == "" {
		driver, database = "sqlite", filepath.Join(h.dir, "jmld.db")+"?_pragma=busy_timeout(5000)"
	}
	db, err := sql.Open(driver, database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("DELETE FROM leases WHERE name = 'source:corp'"); err != nil {
		t.Fatal(err)
	}
}
