package scim_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"jmld/internal/testserver"
	"jmld/model"
	"jmld/scim"
)

// However many searches and large groups a client asks for, another source's are answered beside them, and so is whoever looks one
// resource up; its own wait, and are told when to come again.
func TestOneSourceLeavesTurnsToTheOthers(t *testing.T) {
	t.Parallel()
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, b)
			c.token(t, "okta", "other", "token-okta", nil)
			okta := http.Header{"Authorization": {"Bearer token-okta"}}
			large := fmt.Sprintf(`{"displayName":"large","members":[%s]}`, repeated(201, ",", `{"value":"member-%d"}`))
			c.create(t, "/Users", `{"userName":"ada@example.org"}`)
			mine := c.create(t, "/Groups", large)
			a, err := c.send("POST", c.host+"/scim/okta/v2/Groups", okta, large)
			if err != nil || a.status != 201 {
				t.Fatalf("%v %s", err, a)
			}
			theirs, _ := a.at("id").(string)

			begun, release := make(chan struct{}), make(chan struct{})
			var held sync.WaitGroup
			for range turnsOf(b) {
				held.Go(func() { // a search, while it looks at a record
					nick := model.Compare{Attr: model.AttrRef{Path: []string{"nickName"}}, Op: model.OpCo, Value: "a"}
					match := func(*model.Record, []bool) bool { begun <- struct{}{}; <-release; return false }
					not := model.Not{Term: nick}
					if _, err := c.Store.Query(t.Context(), model.Query{Source: "entra", Kind: model.KindUser, Filter: not, Match: match, Limit: 1}); err != nil {
						t.Error(err)
					}
				})
				<-begun
			}
			var once sync.Once
			free := func() { once.Do(func() { close(release) }); held.Wait() }
			defer free()
			if b.name != "sqlite" { // which reads one large group at a time, whosever it is
				c.hold(t, mine, turnsOf(b))
			}
			var wg sync.WaitGroup // those of the source wait for five seconds
			for _, step := range []struct {
				source, target string
				status         int
			}{
				{"entra", "/Users?filter=" + url.QueryEscape(`displayName co "x"`), 503},
				{"entra", "/Users?filter=" + url.QueryEscape(`userName eq "ada@example.org"`), 200},
				{"entra", "/Users?startIndex=2", 200}, // which takes a turn that is left to the others, and is soon through
				{"okta", "/Users?filter=" + url.QueryEscape(`displayName co "x"`), 200},
				{"okta", "/Users?sortBy=title", 200},
				{"okta", "/Groups/" + theirs, 200},
			} {
				wg.Go(func() {
					header := http.Header{}
					if step.source == "okta" {
						header = okta
					}
					a, err := c.send("GET", c.host+"/scim/"+step.source+"/v2"+step.target, header, "")
					if err != nil || a.status != step.status || (a.header.Get("Retry-After") != "") != (step.status == 503) {
						t.Errorf("%s %s: %v %s %v", step.source, step.target, err, a, a.header)
					}
				})
			}
			wg.Wait()
			free()
			c.must(t, "GET", "/Users?filter="+url.QueryEscape(`displayName co "x"`), "", 200)
		})
	}
}

// A second of whatever a client with a token can think of, on as many connections as it may have: memory stays bounded, and
// other clients are served. It runs by itself, because it measures the process.
func TestHostileSecond(t *testing.T) { //nolint:paralleltest // measures the process
	v := &vault{values: []string{clientSecret}}
	c := newClient(t, sqlite(), func(o *scim.Options) {
		o.Sources[0].Limits = scim.Limits{Rate: 500, Burst: 1000, Concurrent: 64}
		o.Sources[0].OAuth = &scim.OAuth{ClientID: clientID, Secrets: v.read}
	})
	c.token(t, "entra", "hostile", "token-hostile", nil)
	requests := testserver.Hostile("")
	during, end := context.WithCancel(t.Context())
	defer end()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	before := stats.HeapInuse + stats.StackInuse

	var wg sync.WaitGroup
	var stop atomic.Bool
	var most, sent atomic.Uint64
	var mu sync.Mutex
	answers := map[string]map[int]int{}
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	defer transport.CloseIdleConnections()
	evil := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	answered := map[string]bool{}
	for _, shape := range requests {
		name := shape.Name
		answers[name], answered[name] = map[int]int{}, shape.Answered
		for range 4 {
			wg.Go(func() {
				for !stop.Load() {
					r, err := shape.Request(during, c.base)
					if err != nil {
						t.Error(err)
						return
					}
					r.Header.Set("Authorization", "Bearer token-hostile")
					status := 0 // the server hung up while the body was on its way
					if resp, err := evil.Do(r); err == nil {
						status = resp.StatusCode
						_, _ = io.Copy(io.Discard, resp.Body) // cut at the end
						resp.Body.Close()
					}
					sent.Add(1)
					mu.Lock()
					answers[name][status]++
					mu.Unlock()
				}
			})
		}
	}
	wg.Go(func() {
		var s runtime.MemStats
		for !stop.Load() {
			runtime.ReadMemStats(&s)
			most.Store(max(most.Load(), s.HeapInuse+s.StackInuse))
			time.Sleep(20 * time.Millisecond)
		}
	})
	var took []time.Duration
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		start := time.Now()
		if a, err := c.send("GET", "/Users?filter=userName%20eq%20%22ada%22", http.Header{}, ""); err != nil || a.status != 200 {
			t.Errorf("another client: %v %s", err, a)
		}
		took = append(took, time.Since(start))
	}
	stop.Store(true)
	end()
	wg.Wait()
	slices.Sort(took)
	grown, p99 := (most.Load()-before)>>20, took[len(took)*99/100]
	t.Logf("%d hostile requests, %d MiB more at most; %d requests of another client, p99 %s; answers %v", sent.Load(), grown, len(took), p99, answers)
	if grown > 200 {
		t.Errorf("%d MiB", grown)
	}
	if p99 > 10*time.Second { // however busy the machine is
		t.Errorf("another client waited %s", p99)
	}
	for name, got := range answers {
		for status := range got {
			if status >= 500 && status != 503 || status >= 200 && status < 300 && !answered[name] {
				t.Errorf("%s: %d", name, status)
			}
		}
	}
	c.create(t, "/Users", `{"userName":"ada@example.org"}`)
}
