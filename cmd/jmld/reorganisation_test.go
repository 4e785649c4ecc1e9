package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/testserver"
	"jmld/model"
)

// The rules before and after a reorganisation: who builds, and what accounts are called.
const (
	rulesBefore = platformRule + appRule
	rulesAfter  = `    - {name: makers, target: platform, when: '"makers" in person.groups && person.department == "Engineering"', attributes: {userName: person.userName, displayName: person.displayName}}
    - {name: most, target: app, when: 'person.department != "Claims"', attributes: {userName: person.userName, displayName: person.displayName + " of " + person.department}}
`
)

const reorganised = 90 // people

// department and maker are what somebody is after the reorganisation.
func department(i int) string { return []string{"Engineering", "Sales", "Claims"}[i%7%3] }
func maker(i int) bool        { return i%5 < 3 }

// TestReorganisationWithAReplicaKilled: everybody gets another name and department, a group another name and other members, and the
// daemons, one by a restart and one while it runs, other rules, while now one and now the other is killed. Accounts end as without a kill, and as a plain
// loop over the people says (M-24, D-05).
func TestReorganisationWithAReplicaKilled(t *testing.T) {
	t.Parallel()
	want := map[string]string{}
	for i := range reorganised {
		name := fmt.Sprintf("p%03d@example.org", i)
		if maker(i) && department(i) == "Engineering" {
			want["platform "+name] = fmt.Sprintf("Person %d, reorganised", i)
		}
		if department(i) != "Claims" {
			want["app "+name] = fmt.Sprintf("Person %d, reorganised of %s", i, department(i))
		}
	}
	for name, kill := range map[string]bool{"undisturbed": false, "killed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database := testserver.Postgres(t)
			app := newApp(t)
			h := newHouse(t, houseOptions{Database: database, App: app.url, AppToken: appSecret, Accounts: rulesBefore})
			r := &reorganisation{h: h, database: database, kill: kill, secret: h.token("entra"), rnd: rand.New(rand.NewPCG(2026, 11)),
				replicas: []*daemon{h.serve(), h.serve()}}
			r.hire()
			r.reorganise()
			r.settles(want)
			app.createdOnce(t)
		})
	}
}

type reorganisation struct {
	h        *house
	database string
	secret   string
	kill     bool
	rnd      *rand.Rand

	mu       sync.Mutex
	replicas []*daemon
	ids      [reorganised]string
	group    string
}

// say sends a request to one replica or the other until one of them takes it. It may be stored twice.
func (r *reorganisation) say(n int, method, path, body string) answer {
	for end := time.Now().Add(2 * time.Minute); ; n++ {
		r.mu.Lock()
		d := r.replicas[n%len(r.replicas)]
		r.mu.Unlock()
		a, err := d.client("entra", r.secret).do(method, path, body)
		if err == nil && a.status < 300 {
			return a
		}
		if err == nil && a.status != http.StatusServiceUnavailable || time.Now().After(end) {
			r.h.t.Errorf("%s %s: %d %v %v", method, path, a.status, a.body, err)
			return a
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// members is the JSON of the ids of people.
func (r *reorganisation) members(in func(i int) bool) string {
	var list []map[string]string
	for i, id := range r.ids {
		if in(i) {
			list = append(list, map[string]string{"value": id})
		}
	}
	b, err := json.Marshal(list)
	if err != nil {
		panic(err) // of texts
	}
	return string(b)
}

func (r *reorganisation) hire() {
	var wg sync.WaitGroup
	for k := range 4 {
		wg.Go(func() {
			for i := k; i < reorganised; i += 4 {
				name := fmt.Sprintf("p%03d@example.org", i)
				r.ids[i] = r.say(i, "POST", "/Users", userJSON(name, []string{"Sales", "Engineering"}[i%2])).id()
			}
		})
	}
	wg.Wait()
	r.group = r.say(0, "POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"builders","members":`+
		r.members(func(i int) bool { return i%2 == 0 })+`}`).id()
}

func (r *reorganisation) reorganise() {
	const extension = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	var wg sync.WaitGroup
	everybody := func(path string, value func(i int) string) {
		for k := range 3 {
			wg.Go(func() {
				for i := k; i < reorganised; i += 3 {
					r.say(i, "PATCH", "/Users/"+r.ids[i], patchJSON(path, value(i)))
				}
			})
		}
	}
	everybody(extension+":department", department)
	r.restart(0, false)
	r.h.write("config.yaml", strings.Replace(r.h.file("config.yaml"), rulesBefore, rulesAfter, 1))
	r.restart(1, true)
	// One has the new rules now, and the other one goes on with the old ones.
	everybody("displayName", func(i int) string { return fmt.Sprintf("Person %d, reorganised", i) })
	wg.Go(func() {
		r.say(0, "PUT", "/Groups/"+r.group, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"makers","members":`+r.members(maker)+`}`)
	})
	r.restart(1, false)
	wg.Wait()
	// The other one adopts them while it runs, and people move on under them.
	r.h.must("config", "reload")
	r.restart(0, false)
	r.restart(1, false)
}

// restart replaces a replica at a random moment: one that was killed, or one that ended as it should, which is needed for other rules.
func (r *reorganisation) restart(n int, needed bool) {
	time.Sleep(time.Duration(r.rnd.IntN(250)) * time.Millisecond)
	old := r.replicas[n]
	switch {
	case r.kill:
		old.kill()
		r.endLeases(old)
	case needed:
		old.stop()
	default:
		return
	}
	d := r.h.serve()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.replicas[n] = d
}

// endLeases has what a killed daemon had in hand wait for no lease: it would end by itself after most of a minute.
func (r *reorganisation) endLeases(d *daemon) {
	r.h.t.Helper()
	db, err := sql.Open("pgx", r.database)
	if err != nil {
		r.h.t.Fatal(err)
	}
	defer db.Close()
	_, err = db.ExecContext(context.Background(), "UPDATE accounts SET due_at = now() WHERE lease_owner LIKE $1", fmt.Sprintf("%%-%d-%%", d.cmd.Process.Pid))
	if err != nil {
		r.h.t.Fatal(err)
	}
}

// settles waits until active accounts are as they should be, in the targets.
func (r *reorganisation) settles(want map[string]string) {
	t := r.h.t
	t.Helper()
	have := func() (got map[string]string, unsettled []string) {
		var list accountsJSON
		r.h.read(&list, "accounts", "--limit", "10000")
		got = map[string]string{}
		for _, a := range list.Accounts {
			var is struct {
				DisplayName string `json:"displayName"`
			}
			if !a.Settled {
				unsettled = append(unsettled, fmt.Sprintf("%s in %s: %s after %d attempts, next %s", a.UserName, a.Target, a.Error, a.Attempts, a.Next))
			}
			if a.Applied != model.AccountActive { // of what never was there nothing was read back
				continue
			}
			if err := json.Unmarshal(a.ReadBack, &is); err != nil {
				t.Fatal(err)
			}
			got[a.Target+" "+a.UserName] = is.DisplayName
		}
		return got, unsettled
	}
	for end := time.Now().Add(4 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		got, unsettled := have()
		if len(unsettled) == 0 && cmp.Equal(want, got) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("(-want +got):\n%s\nnot settled:\n%s\n%s", cmp.Diff(want, got), strings.Join(unsettled, "\n"), r.replicas[0].log.text())
		}
	}
}
