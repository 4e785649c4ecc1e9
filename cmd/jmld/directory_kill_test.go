package main

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"

	"jmld/internal/testserver"
	"jmld/model"
)

const everybodyRule = `    - {name: everybody, target: platform, when: "true", attributes: {userName: person.userName, displayName: person.displayName}}
`

// onEach runs the test on both databases.
func onEach(t *testing.T, test func(t *testing.T, database string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); test(t, "") })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); test(t, testserver.Postgres(t)) })
}

// stored are the people of the source in the database, with their display names.
func stored(t *testing.T, h *house, database string) map[string]string {
	t.Helper()
	driver := "pgx"
	if database == "" {
		driver, database = "sqlite", filepath.Join(h.dir, "jmld.db")+"?_pragma=busy_timeout(30000)"
	}
	db, err := sql.Open(driver, database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query("SELECT user_name, display_name FROM records WHERE source = 'corp' AND kind = 'user' AND absent_since IS NULL")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	all := map[string]string{}
	for rows.Next() {
		var name, display string
		if err := rows.Scan(&name, &display); err != nil {
			t.Fatal(err)
		}
		all[name] = display
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// active are the user names of active accounts.
func active(h *house) []string {
	h.t.Helper()
	var list accountsJSON
	h.read(&list, "accounts", "--state", "active", "--limit", "10000")
	var names []string
	for _, a := range list.Accounts {
		if a.State == model.AccountActive {
			names = append(names, a.UserName)
		}
	}
	slices.Sort(names)
	return names
}

// TestReaderKilledInMidRunAndInACommit kills the reading process while entries arrive and while what they say is stored, with
// changes and leavers among them: after each kill nobody is lost who is there, and the next read ends where the first would have
// (D-01, D-05).
func TestReaderKilledInMidRunAndInACommit(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, database string) {
		const people = 700
		rounds := *killRounds / 2 * 2 // as many of each kind
		dir := newDirectory(t, people)
		proxy := testserver.Proxy(t, dir.Addr)
		h := dir.house(t, houseOptions{Database: database, LDAP: "ldap://" + proxy.Addr, Accounts: everybodyRule})
		want := map[string]string{}
		h.must("sync", "corp")
		all := proxy.Passed()
		maps.Copy(want, stored(t, h, database))
		if len(want) != people || len(active(h)) != people {
			t.Fatalf("%d people and %d accounts after the first read, want %d", len(want), len(active(h)), people)
		}
		rnd := rand.New(rand.NewPCG(2026, uint64(len(database))))
		last := people
		stopped := 0
		for round := range rounds {
			last--
			dir.As(func(c *ldap.Conn) error {
				for i := range 300 {
					n := (round*300 + i) % (people - rounds)
					req := ldap.NewModifyRequest(testserver.UserDN(n), nil)
					want[fmt.Sprintf("u%06d", n)] = fmt.Sprintf("Person %d of round %d", n, round)
					req.Replace("displayName", []string{fmt.Sprintf("Person %d of round %d", n, round)})
					if err := c.Modify(req); err != nil {
						return err
					}
				}
				return c.Del(ldap.NewDelRequest(testserver.UserDN(last), nil))
			})
			delete(want, fmt.Sprintf("u%06d", last))
			before := proxy.Passed()
			reader := h.command(context.Background(), "sync", "corp")
			if err := reader.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() { _ = reader.Wait(); close(ended) }()
			part := all * int64(1+rnd.IntN(9)) / 10
			if round%2 == 1 { // all is read, and most of it is still to be stored
				part = all * 97 / 100
			}
			for done := false; !done && proxy.Passed()-before < part; time.Sleep(time.Millisecond) {
				select {
				case <-ended:
					done = true
				default:
				}
			}
			time.Sleep(time.Duration(rnd.IntN(1+30*(round%2))) * time.Millisecond)
			select {
			case <-ended:
			default:
				stopped++
			}
			_ = reader.Process.Kill() // it may have ended
			<-ended
			endLease(t, h, database)
			have, accounts := stored(t, h, database), active(h)
			for name := range want {
				if _, ok := have[name]; !ok || !slices.Contains(accounts, name) {
					t.Errorf("round %d: %s is in the directory; in the database %v, with an account %v", round, name, ok, slices.Contains(accounts, name))
				}
			}
		}
		if stopped < rounds/2 {
			t.Errorf("%d of %d reads were killed before they ended: the test has shown little", stopped, rounds)
		}
		for range 2 { // whoever is missing is gone after two reads
			h.must("sync", "corp")
		}
		if d := cmp.Diff(want, stored(t, h, database)); d != "" {
			t.Errorf("(-directory +database):\n%s", d)
		}
		if d := cmp.Diff(slices.Sorted(maps.Keys(want)), active(h)); d != "" {
			t.Errorf("(-directory +accounts):\n%s", d)
		}
		t.Logf("%d of %d reads were killed", stopped, rounds)
	})
}

// TestServerChangesInMidRun: what one server had begun to list no other one goes on with; the next run begins anew elsewhere, and who
// is missing there stays until that server has said so twice (D-01).
func TestServerChangesInMidRun(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, database string) {
		const people = 300
		one, two := newDirectory(t, people), newDirectory(t, people)
		proxy := testserver.Proxy(t, one.Addr)
		h := one.house(t, houseOptions{Database: database, LDAP: "ldap://" + proxy.Addr, Accounts: everybodyRule})
		h.write("config.yaml", strings.Replace(h.file("config.yaml"), "url: ldap://"+proxy.Addr, "servers: [ldap://"+proxy.Addr+", "+two.url+"]", 1))
		h.must("sync", "corp")
		all := proxy.Passed()
		two.Delete(testserver.UserDN(7)) // it lags, or is ahead: nobody knows
		proxy.Stall(all / 2)
		if code, stdout, stderr := h.jmld("sync", "corp"); code != exitIncomplete || !strings.Contains(stderr, "JML-2005") {
			t.Errorf("the first server falls silent: exit %d\n%s%s", code, stdout, stderr)
		}
		if n := len(active(h)); n != people {
			t.Errorf("%d accounts after a read that broke off, want %d", n, people)
		}
		var done syncJSON
		for i, want := range []int{people, people - 1} {
			proxy.Cut(0) // the first server takes nobody any more
			h.read(&done, "sync", "corp")
			if done.Run.Verdict != "complete" {
				t.Errorf("read %d of the second server: %+v", i+1, done.Run)
			}
			if n := len(active(h)); n != want {
				t.Errorf("%d accounts after %d complete reads of the second server, want %d", n, i+1, want)
			}
		}
	})
}

// TestTwoReadersAtOnce start at the same moment, again and again: one reads, the other one says so or reads after it, and the end is
// that of one read.
func TestTwoReadersAtOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, database string) {
		const people, rounds = 120, 4
		dir := newDirectory(t, people)
		h := dir.house(t, houseOptions{Database: database, Accounts: everybodyRule})
		for round := range rounds {
			dir.change(t, round)
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() {
					if code, stdout, stderr := h.jmld("sync", "corp"); code != 0 && !strings.Contains(stderr, "JML-2011") {
						t.Errorf("exit %d\n%s%s", code, stdout, stderr)
					}
				})
			}
			wg.Wait()
		}
		var runs runsJSON
		h.read(&runs, "runs", "--source", "corp", "--limit", "100")
		for i, r := range runs.Runs { // the newest first
			if r.State != "succeeded" || r.Verdict != "complete" {
				t.Errorf("a run that %s, %s", r.State, r.Verdict)
			}
			if i > 0 && r.Finished > runs.Runs[i-1].Started {
				t.Errorf("two runs at once: one from %s to %s, one from %s", r.Started, r.Finished, runs.Runs[i-1].Started)
			}
		}
		if n := len(runs.Runs); n < rounds || n > 2*rounds {
			t.Errorf("%d runs of %d times two readers", n, rounds)
		}
		if have := stored(t, h, database); len(have) != people || len(active(h)) != people {
			t.Errorf("%d people, %d accounts, want %d", len(have), len(active(h)), people)
		}
	})
}
