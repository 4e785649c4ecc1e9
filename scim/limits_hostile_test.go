package scim_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"jmld/scim"
)

// endless is a body that never ends.
type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}

// hostile are requests by somebody who has a token.
func hostile() map[string]func(base string) (*http.Request, error) {
	const size = 4<<20 - 100
	fill := func(before, unit, after string) string {
		return before + strings.TrimSuffix(strings.Repeat(unit, size/len(unit)), ",") + after
	}
	post := func(body string) func(string) (*http.Request, error) {
		return func(base string) (*http.Request, error) {
			return http.NewRequest("POST", base+"/Users", strings.NewReader(body))
		}
	}
	get := func(query string) func(string) (*http.Request, error) {
		return func(base string) (*http.Request, error) { return http.NewRequest("GET", base+"/Users?"+query, nil) }
	}
	var keys strings.Builder
	for i := 0; keys.Len() < size; i++ {
		fmt.Fprintf(&keys, `"k%d":{"a":[1]},`, i)
	}
	operations, pairs := fill(`{"Operations":[`, `{"op":"add","path":"title","value":"x"},`, `]}`), strings.Repeat("a=b&", 100_000)
	return map[string]func(string) (*http.Request, error){
		"empty objects":    post(fill(`{"x":[`, `{},`, `]}`)),
		"small objects":    post(fill(`{"x":[`, `{"a":0,"b":""},`, `]}`)),
		"objects at limit": post(fill(`{"x":[`, `{"a":"1234567890"},`, `]}`)),
		"empty arrays":     post(fill(`{"x":[`, `[],`, `]}`)),
		"numbers":          post(fill(`{"userName":"a","emails":[`, `1,`, `]}`)),
		"texts":            post(fill(`{"userName":"a","emails":[`, `{"value":"a@example.org","type":"work"},`, `]}`)),
		"keys":             post(`{` + keys.String() + `"z":0}`),
		"deep":             post(strings.Repeat(`{"a":[`, size/6)),
		"one text":         post(fill(`{"userName":"`, `\u0041`, `"}`)),
		"chunked endless": func(base string) (*http.Request, error) {
			return http.NewRequest("POST", base+"/Users", io.LimitReader(endless{}, 64<<20))
		},
		"operations": func(base string) (*http.Request, error) {
			return http.NewRequest("PATCH", base+"/Users/x", strings.NewReader(operations))
		},
		"filter":     get("filter=" + url.QueryEscape(strings.Repeat("(", 3000)+"userName pr"+strings.Repeat(")", 3000))),
		"terms":      get("filter=" + url.QueryEscape(strings.Repeat(`title co "e" or `, 90)+`title co "x"`)),
		"long URL":   get(strings.Repeat("x", 60_000)),
		"parameters": get(strings.Repeat("a=b&", 2000)),
		"wrong token": func(base string) (*http.Request, error) {
			return http.NewRequest("GET", strings.Replace(base, "entra", "okta", 1)+"/Users", nil)
		},
		"token request": func(base string) (*http.Request, error) {
			return http.NewRequest("POST", strings.TrimSuffix(base, "/v2")+"/oauth/token", strings.NewReader(pairs))
		},
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
	requests := hostile()
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
	for name, f := range requests {
		answers[name] = map[int]int{}
		for range 4 {
			wg.Go(func() {
				for !stop.Load() {
					r, err := f(c.base)
					if err != nil {
						t.Error(err)
						return
					}
					r.Header.Set("Authorization", "Bearer token-hostile")
					if r.Method != "GET" {
						r.Header.Set("Content-Type", "application/scim+json")
					}
					status := 0 // the server hung up while the body was on its way
					if resp, err := evil.Do(r); err == nil {
						status = resp.StatusCode
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
			if status >= 500 && status != 503 || status >= 200 && status < 300 && name != "terms" && name != "one text" && name != "parameters" {
				t.Errorf("%s: %d", name, status)
			}
		}
	}
	c.create(t, "/Users", `{"userName":"ada@example.org"}`)
}
