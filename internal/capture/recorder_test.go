package capture

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/model"
)

// shelf is a store that can be slow or out of order.
type shelf struct {
	mu     sync.Mutex
	list   []model.Capture
	lines  []Line
	stored []int // lines at a time
	broken bool
	block  chan struct{}
}

func (s *shelf) Captures(context.Context) ([]model.Capture, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return nil, errors.New("out of order")
	}
	return s.list, nil
}

func (s *shelf) AddCaptureLines(ctx context.Context, lines []model.CaptureLine) error {
	if s.block != nil {
		select {
		case <-s.block:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return errors.New("out of order")
	}
	s.stored = append(s.stored, len(lines))
	for _, l := range lines {
		var line Line
		if err := json.Unmarshal([]byte(l.Text), &line); err != nil {
			return err
		}
		s.lines = append(s.lines, line)
	}
	return nil
}

func (s *shelf) SweepCaptures(context.Context) error { return nil }

func (s *shelf) set(list ...model.Capture) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = list
}

func (s *shelf) exchanges() (out []Exchange, lost int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lines {
		if l.Exchange != nil {
			out = append(out, *l.Exchange)
		}
		if l.Lost != nil {
			lost += l.Lost.Exchanges
		}
	}
	return out, lost
}

// record runs a recorder over h while test sends to it.
func record(t *testing.T, s *shelf, h http.HandlerFunc, test func(send func(method, target, body string) *http.Response, r *Recorder)) {
	t.Helper()
	r := NewRecorder(s, "replica", time.Now, func(error) {})
	server := httptest.NewServer(r.Wrap(h))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	test(func(method, target, body string) *http.Response {
		t.Helper()
		req, err := http.NewRequest(method, server.URL+target, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer very-secret-token")
		req.Header.Set("Cookie", "session=very-secret-token")
		res, err := server.Client().Do(req)
		if err != nil {
			return nil
		}
		defer res.Body.Close()
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			return nil
		}
		return res
	}, r)
	cancel()
	wg.Wait()
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not yet: %s", what)
		}
	}
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	Of(r.Context()).Record(&model.Record{ID: r.URL.Path, Kind: model.KindUser, Attrs: `{"userName":"Ada"}`})
	w.Header().Set("Content-Type", "application/scim+json")
	w.Write(body) //nolint:errcheck // a test's client reads
}

// D-16: only the captured source is recorded, only while it is, and credentials are nowhere.
func TestRecorderRecordsOneSourceAndNoCredentials(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	record(t, s, echo, func(send func(method, target, body string) *http.Response, r *Recorder) {
		send("POST", "/scim/entra/v2/Users", `{"userName":"before"}`)
		s.set(model.Capture{ID: "c", Source: "entra", Key: []byte("key")})
		waitFor(t, "the capture is seen", func() bool { return r.active.Load() != nil })
		send("POST", "/scim/entra/v2/Users?a=b", `{"userName":"Ada"}`)
		send("POST", "/scim/okta/v2/Users", `{}`)
		send("POST", "/scim/entra/oauth/token", `client_secret=very-secret-token`)
		send("POST", "//scim//entra/v2/Users?a=b", `{"userName":"Ada"}`)
		send("GET", "/healthz", "")
		waitFor(t, "three lines", func() bool { all, _ := s.exchanges(); return len(all) == 3 })
		s.set()
		waitFor(t, "the end is seen", func() bool { return r.active.Load() == nil })
		send("POST", "/scim/entra/v2/Users", `{"userName":"after"}`)
	})
	all, lost := s.exchanges()
	if len(all) != 3 || lost != 0 {
		t.Fatalf("%d exchanges, %d lost", len(all), lost)
	}
	text, err := json.Marshal(all)
	if err != nil || strings.Contains(string(text), "very") || strings.Contains(string(text), "secret") {
		t.Errorf("%v\n%s", err, text)
	}
	p := NewPseudonyms([]byte("key"))
	ada := `{"userName":"` + p.Text("Ada") + `"}`
	got := all[0]
	want := Exchange{
		Begin: got.Begin, Micros: got.Micros, Replica: p.Text("replica"),
		Request: Request{Method: "POST", Path: "/scim/entra/v2/Users", Query: "a=" + p.Text("b"), Auth: "bearer",
			Headers: map[string]string{"User-Agent": "go-http-client"}, Body: Body{Text: ada, Length: 18}},
		Answer: Answer{Status: 200, Headers: map[string]string{"Content-Type": "application/scim+json"}, Body: Body{Text: ada, Length: 18}},
		Before: &State{Records: []Record{{ID: p.Text("/scim/entra/v2/Users"), Kind: model.KindUser, Attrs: json.RawMessage(ada)}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if b := all[1].Request.Body; b.Missing != missingWithheld || b.Text != "" || all[1].Answer.Text != "" {
		t.Errorf("what goes over the token endpoint: %+v", all[1])
	}
	if all[2].Request.Path != "//scim//entra/v2/Users" {
		t.Errorf("a slash too many is lost: %s", all[2].Request.Path)
	}
}

// What the store cannot take is lost and counted; clients wait for nothing.
func TestRecorderLosesRatherThanWaits(t *testing.T) {
	t.Parallel()
	s := &shelf{block: make(chan struct{})}
	s.set(model.Capture{ID: "c", Source: "entra", Key: []byte("key")})
	const sent = 60
	record(t, s, echo, func(send func(method, target, body string) *http.Response, r *Recorder) {
		waitFor(t, "the capture is seen", func() bool { return r.active.Load() != nil })
		body := `{"x":"` + strings.Repeat("- ", 450_000) + `"}` // 60 of them are more than may wait
		for range sent {
			if res := send("POST", "/scim/entra/v2/Users", body); res == nil || res.StatusCode != 200 {
				t.Fatal("a request failed because of the capture")
			}
			if n := r.pending.Load(); n > maxPending+2*maxRequest {
				t.Fatalf("%d bytes wait", n)
			}
		}
		close(s.block)
		waitFor(t, "all are accounted for", func() bool { all, lost := s.exchanges(); return int64(len(all))+lost == sent })
		if _, lost := s.exchanges(); lost == 0 {
			t.Error("nothing was lost, so nothing was tested")
		}
		waitFor(t, "nothing is held", func() bool { return r.pending.Load() == 0 })
	})
}

// A body that is too long, was not read, or an answer that was cut, is said to be missing.
func TestRecorderSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	s.set(model.Capture{ID: "c", Source: "entra", Key: []byte("key")})
	handler := func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("case") {
		case "unread":
			w.WriteHeader(http.StatusUnsupportedMediaType)
		case "cut":
			w.Header().Set("Content-Length", "10")
			fmt.Fprint(w, "12345")
			panic(http.ErrAbortHandler)
		default:
			echo(w, r)
		}
	}
	record(t, s, handler, func(send func(method, target, body string) *http.Response, r *Recorder) {
		waitFor(t, "the capture is seen", func() bool { return r.active.Load() != nil })
		send("POST", "/scim/entra/v2/Users?case=unread", `{"userName":"Ada"}`)
		send("POST", "/scim/entra/v2/Users?case=cut", "")
		send("POST", "/scim/entra/v2/Users?case=long", strings.Repeat("x", maxRequest+1))
		waitFor(t, "three lines", func() bool { all, _ := s.exchanges(); return len(all) == 3 })
	})
	all, _ := s.exchanges()
	var got []string
	for _, x := range all {
		got = append(got, fmt.Sprintf("%s/%s/%t/%d/%s", x.Request.Missing, x.Answer.Missing, x.Answer.Broken, x.Request.Length, unplayable(&x)))
	}
	want := []string{"unread//false/18/", "//true/0/the answer was cut off", fmt.Sprintf("long/long/false/%d/the body is not in the file", maxRequest+1)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A recorder that cannot see whether it should go on, does not.
func TestRecorderEndsWhenItIsBlind(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	s.set(model.Capture{ID: "c", Source: "entra", Key: []byte("key")})
	var mu sync.Mutex
	var ahead time.Duration
	var told atomic.Int64
	r := NewRecorder(s, "replica", func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return time.Now().Add(ahead)
	}, func(error) { told.Add(1) })
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = r.Run(ctx) }) // nil, always
	waitFor(t, "the capture is seen", func() bool { return r.active.Load() != nil })
	s.mu.Lock()
	s.broken = true
	s.mu.Unlock()
	mu.Lock()
	ahead = blindFor + time.Second
	mu.Unlock()
	waitFor(t, "it ends", func() bool { return r.active.Load() == nil })
	cancel()
	wg.Wait()
	if n := told.Load(); n != 1 {
		t.Errorf("what went wrong is told %d times", n)
	}
}
