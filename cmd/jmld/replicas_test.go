package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"jmld/internal/testserver"
)

// TestThreeReplicasDoEachPieceOfWorkOnce on one PostgreSQL: creates and changes are pushed to all of them at once, and
// one of them is killed and started again in between.
func TestThreeReplicasDoEachPieceOfWorkOnce(t *testing.T) {
	t.Parallel()
	app := newApp(t)
	h := newHouse(t, houseOptions{Database: testserver.Postgres(t), App: app.url, AppToken: appSecret})
	secret := h.token("entra")
	replicas := []*daemon{h.serve(), h.serve(), h.serve()}

	const each = 60
	ids := make([][]string, len(replicas))
	var wg sync.WaitGroup
	for i, d := range replicas {
		c := d.client("entra", secret)
		wg.Go(func() {
			for n := range each {
				a, err := c.do("POST", "/Users", userJSON(fmt.Sprintf("r%d-%d@example.org", i, n), "Engineering"))
				if err != nil || a.status != http.StatusCreated {
					t.Errorf("replica %d: %d %v %v", i, a.status, a.body, err)
					return
				}
				ids[i] = append(ids[i], a.id())
			}
		})
	}
	wg.Wait()
	// Everybody's change goes to another replica than the create did.
	for i := range replicas {
		c := replicas[(i+1)%len(replicas)].client("entra", secret)
		wg.Go(func() {
			for _, id := range ids[i] {
				a, err := c.do("PATCH", "/Users/"+id, patchJSON("displayName", "changed"))
				if err != nil || a.status != http.StatusOK && a.status != http.StatusNoContent {
					t.Errorf("change of a person of replica %d: %d %v %v", i, a.status, a.body, err)
					return
				}
			}
		})
	}
	wg.Wait()
	replicas[0].kill()

	total := each * len(replicas)
	eventually(t, time.Minute, "everybody in the app with the change", func() bool {
		users := app.users(t)
		for _, u := range users {
			if u.DisplayName != "changed" {
				return false
			}
		}
		return len(users) == total
	})
	if n := app.createdOnce(t); n != total {
		t.Errorf("%d accounts were created, want %d", n, total)
	}
	var list accountsJSON
	eventually(t, 90*time.Second, "every account settled", func() bool { // what the killed one had in hand waits for its lease
		h.read(&list, "accounts", "--unsettled")
		return len(list.Accounts) == 0
	})
	replicas[1].stop()
	replicas[2].stop()
}

// TestScheduledReadHappensOnce: three replicas, one minute, one run.
func TestScheduledReadHappensOnce(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for the minute to end")
	}
	dir := newDirectory(t, 20)
	h := dir.house(t, houseOptions{Database: testserver.Postgres(t)})
	h.write("config.yaml", strings.Replace(h.file("config.yaml"), "page_size: 100", "page_size: 100\n      schedule: \"* * * * *\"", 1))
	for range 3 {
		defer h.serve().stop()
	}
	var runs runsJSON
	eventually(t, 130*time.Second, "two scheduled runs", func() bool {
		h.read(&runs, "runs", "--source", "corp")
		return len(runs.Runs) >= 2
	})
	time.Sleep(2 * time.Second) // whoever is late would have started by now
	h.read(&runs, "runs", "--source", "corp")
	seen := map[string]bool{}
	for _, r := range runs.Runs {
		if r.Trigger != "schedule" || r.State != "succeeded" {
			t.Errorf("a run by %s that %s", r.Trigger, r.State)
		}
		if seen[r.Scheduled] {
			t.Errorf("two runs for %s", r.Scheduled)
		}
		seen[r.Scheduled] = true
	}
}

// TestTwoSourcesAtOnceMakeOneIdentity: two SCIM requests for one new person, from two sources, at the same moment, to two
// processes (D-20).
func TestTwoSourcesAtOnceMakeOneIdentity(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(*testing.T) string{
		"sqlite":   func(*testing.T) string { return "" },
		"postgres": func(t *testing.T) string { return testserver.Postgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := newApp(t)
			h := newHouse(t, houseOptions{Database: database(t), App: app.url, AppToken: appSecret, Sources: []string{"entra", "okta"}})
			one, two := h.token("entra"), h.token("okta")
			first := h.serve()
			second := first
			if name == "postgres" {
				second = h.serve()
			}
			clients := []*client{first.client("entra", one), second.client("okta", two)}
			const people = 40
			for i := range people {
				var wg sync.WaitGroup
				for k, c := range clients {
					wg.Go(func() { // different user names, the same employee number
						a, err := c.do("POST", "/Users", userJSON(fmt.Sprintf("s%d-%d@example.org", k, i), "Engineering", fmt.Sprintf("E%d", i)))
						if err != nil || a.status != http.StatusCreated {
							t.Errorf("person %d from source %d: %d %v %v", i, k, a.status, a.body, err)
						}
					})
				}
				wg.Wait()
			}
			for i := range people {
				var p personJSON
				h.read(&p, "person", fmt.Sprintf("E%d", i))
				if len(p.Records) != 2 {
					t.Fatalf("person %d has %d records: %+v", i, len(p.Records), p.Records)
				}
				if len(p.Accounts) != 2 {
					t.Fatalf("person %d has %d accounts", i, len(p.Accounts))
				}
			}
			eventually(t, time.Minute, "everybody in the app once", func() bool { return len(app.users(t)) == people })
			if n := app.createdOnce(t); n != people {
				t.Errorf("%d accounts were created for %d people", n, people)
			}
			first.stop()
		})
	}
}
