package httpd_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"jmld/internal/httpd"
	"jmld/model"
)

func server(t *testing.T, o httpd.Options) *httpd.Server {
	t.Helper()
	if o.Address == "" {
		o.Address = "127.0.0.1:0"
	}
	s, err := httpd.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // closed already where Run ran
	return s
}

func ask(t *testing.T, s *httpd.Server, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

func status(code int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
}

// run serves until the returned stop is called, which returns what Run returned.
func run(t *testing.T, s *httpd.Server) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(time.Minute):
			return errors.New("the server does not stop")
		}
	}
	t.Cleanup(cancel)
	return stop
}

func TestHealthIsLifeAndReadyIsTheDatabase(t *testing.T) {
	t.Parallel()
	var err atomic.Value
	s := server(t, httpd.Options{Ready: func(ctx context.Context) error {
		if e, ok := err.Load().(error); ok {
			if errors.Is(e, context.DeadlineExceeded) {
				<-ctx.Done()
				return ctx.Err()
			}
			return e
		}
		return nil
	}})
	check := func(path string, code int, want map[string]string) {
		t.Helper()
		w := ask(t, s, http.MethodGet, path)
		var got map[string]string
		if e := json.Unmarshal(w.Body.Bytes(), &got); e != nil {
			t.Fatal(e)
		}
		if d := cmp.Diff(want, got); d != "" || w.Code != code {
			t.Errorf("%s: %d %s", path, w.Code, d)
		}
	}
	ok := map[string]string{"status": "ok"}
	check("/healthz", 200, ok)
	check("/readyz", 200, ok)
	err.Store(fmt.Errorf("open /var/lib/secret.db: %w", model.ErrUnavailable))
	check("/healthz", 200, ok)
	check("/readyz", 503, map[string]string{"status": "unavailable", "reason": "database_unavailable"})
	err.Store(fmt.Errorf("%w", context.DeadlineExceeded))
	check("/readyz", 503, map[string]string{"status": "unavailable", "reason": "database_timeout"})
}

func TestEveryRequestHasAnIDThatHandlersSee(t *testing.T) {
	t.Parallel()
	var seen string
	s := server(t, httpd.Options{Console: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.Header.Get("X-Request-Id") })})
	for given, kept := range map[string]bool{"": false, "abc-1.2_Z": true, "with space": false, "a\nb": false, strings.Repeat("x", 65): false, "ü": false} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if given != "" {
			r.Header.Set("X-Request-Id", given)
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		id := w.Header().Get("X-Request-Id")
		if id != seen || (id == given) != kept || !kept && len(id) != 36 {
			t.Errorf("%q became %q, the handler saw %q", given, id, seen)
		}
	}
}

func TestPanicIsOneAnswerAndOneLogLine(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.InfoLevel)
	boom := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") })
	s := server(t, httpd.Options{Log: zap.New(core), SCIM: boom, Console: boom})
	w := ask(t, s, http.MethodGet, "/scim/entra/v2/Users")
	var body map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	if w.Code != 500 || body["status"] != "500" || w.Header().Get("Content-Type") != "application/scim+json" || strings.Contains(w.Body.String(), "boom") {
		t.Errorf("%d %v", w.Code, body)
	}
	if w := ask(t, s, http.MethodGet, "/people"); w.Code != 500 || strings.Contains(w.Body.String(), "boom") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	lines := logs.FilterMessage("handler panicked").All()
	if len(lines) != 2 || lines[0].ContextMap()["request"] != w.Header().Get("X-Request-Id") || lines[0].ContextMap()["route"] != "/scim/{source}/v2/Users" {
		t.Errorf("%v", lines)
	}
}

// A client must be able to tell half an answer from a whole one.
func TestPanicAfterTheAnswerBeganCutsTheConnection(t *testing.T) {
	t.Parallel()
	s := server(t, httpd.Options{Console: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("half"))
		if err := http.NewResponseController(w).Flush(); err != nil {
			panic(err)
		}
		panic("boom")
	})})
	stop := run(t, s)
	res, err := http.Get("http://" + s.Addr().String() + "/") //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err == nil {
		t.Errorf("read a whole answer: %q", b)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func scrape(t *testing.T, s *httpd.Server) map[string]string {
	t.Helper()
	w := ask(t, s, http.MethodGet, "/metrics")
	if w.Code != 200 {
		t.Fatalf("metrics: %d %s", w.Code, w.Body)
	}
	out := map[string]string{}
	for line := range strings.Lines(w.Body.String()) {
		if name, v, ok := cutLast(strings.TrimSpace(line)); ok && !strings.HasPrefix(line, "#") {
			out[name] = v
		}
	}
	return out
}

func cutLast(s string) (string, string, bool) {
	i := strings.LastIndexByte(s, ' ')
	if i < 0 {
		return "", "", false
	}
	return s[:i], s[i+1:], true
}

func TestRequestsAreCountedByRouteNeverByPath(t *testing.T) {
	t.Parallel()
	inner := http.NewServeMux()
	inner.Handle("GET /people/{id}", status(200))
	inner.Handle("POST /accounts/retry", status(303))
	s := server(t, httpd.Options{SCIM: status(201), Console: inner})
	for _, r := range []string{
		"GET /people/1", "GET /people/2", "GET /people/%3Cscript%3E", "POST /accounts/retry", "GET /nowhere", "BREW /people/1",
		"POST /scim/entra/v2/Users", "PATCH /scim/entra/v2/Users/1", "PATCH /scim/other/v2/Users/2", "POST /scim/x/v2/Users/.search",
		"GET /scim/x/v2/ServiceProviderConfig", "GET /scim/x/v2/Made/up", "GET /scim/x/v3/Users", "GET /scim/a/v2/Users/b/c/d", "GET /healthz", "POST //scim/entra/v2//Users",
	} {
		m, p, _ := strings.Cut(r, " ")
		ask(t, s, m, p)
	}
	got := map[string]string{}
	for name, v := range scrape(t, s) {
		if labels, ok := strings.CutPrefix(name, "jmld_http_request_duration_seconds_count"); ok {
			got[labels] = v
		}
	}
	want := map[string]string{
		`{method="GET",route="/people/{id}",status="200"}`:                            "3",
		`{method="POST",route="/accounts/retry",status="303"}`:                        "1",
		`{method="GET",route="none",status="404"}`:                                    "1",
		`{method="other",route="none",status="405"}`:                                  "1",
		`{method="POST",route="/scim/{source}/v2/Users",status="201"}`:                "2",
		`{method="PATCH",route="/scim/{source}/v2/Users/{id}",status="201"}`:          "2",
		`{method="POST",route="/scim/{source}/v2/Users/.search",status="201"}`:        "1",
		`{method="GET",route="/scim/{source}/v2/ServiceProviderConfig",status="201"}`: "1",
		`{method="GET",route="/scim/",status="201"}`:                                  "3",
		`{method="GET",route="/healthz",status="200"}`:                                "1",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

type figures struct {
	tally model.Tally
	all   []model.Problem
	runs  []model.Run
	err   error
	asked atomic.Int32
}

func (f *figures) RunList(context.Context, string, int, string) ([]model.Run, error) {
	return f.runs, f.err
}

func (f *figures) Tally(context.Context) (model.Tally, error) { f.asked.Add(1); return f.tally, f.err }

func (f *figures) Problems(context.Context) ([]model.Problem, error) { return f.all, f.err }

func TestGaugesShowTheFiguresAndNeverOldOnes(t *testing.T) {
	t.Parallel()
	clock := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	f := &figures{
		tally: model.Tally{Identities: map[model.Lifecycle]int{model.Active: 56, model.Suspended: 3}, Disputed: 1, Held: 8,
			Access: model.AccessTally{Groups: 4, Apps: 3, OwnedApps: 2, Namespaces: 6, AssignedNamespaces: 5, Memberships: 10}, Accounts: []model.AccountTally{
				{Target: "app", Class: model.ClassApp, Active: 58, Inactive: 3, Settled: 52, Due: 1, Retrying: 4, Dead: 4, Held: 2}}},
		all: []model.Problem{ // two texts of one cause are one series
			{Target: "app", Code: model.CodeTargetRefused, Text: "a", Dead: true, Count: 3, Oldest: clock.Add(-time.Hour)},
			{Target: "app", Code: model.CodeTargetRefused, Text: "b", Dead: true, Count: 1, Oldest: clock.Add(-2 * time.Hour)},
			{Target: "app", Code: model.CodeTargetUnreachable, Count: 4, Oldest: clock},
		},
	}
	read := func(source string, back time.Duration, s model.RunState, v model.Verdict, dry bool) model.Run {
		return model.Run{Source: source, State: s, Verdict: v, DryRun: dry, StartedAt: clock.Add(-back)}
	}
	f.runs = []model.Run{
		read("corp", 1*time.Minute, model.RunSucceeded, model.VerdictComplete, true), read("corp", 2*time.Minute, model.RunSucceeded, model.VerdictIncomplete, false),
		read("lab", 3*time.Minute, model.RunFailed, model.VerdictNone, false), read("corp", 4*time.Minute, model.RunHeld, model.VerdictComplete, false),
		read("corp", 5*time.Minute, model.RunSucceeded, model.VerdictComplete, false),
	}
	s := server(t, httpd.Options{Figures: f, Version: "1.2", Now: func() time.Time { return clock }})
	ours := func() map[string]string {
		m := scrape(t, s)
		maps.DeleteFunc(m, func(k, _ string) bool { return !strings.HasPrefix(k, "jmld_") || strings.HasPrefix(k, "jmld_http_") })
		return m
	}
	want := map[string]string{
		`jmld_build_info{version="1.2"}`:                                                            "1",
		`jmld_figures_up`:                                                                           "1",
		`jmld_identities{lifecycle="active"}`:                                                       "56",
		`jmld_identities{lifecycle="established"}`:                                                  "0",
		`jmld_identities{lifecycle="suspended"}`:                                                    "3",
		`jmld_identities{lifecycle="archived"}`:                                                     "0",
		`jmld_accounts{class="app",state="active",target="app"}`:                                    "58",
		`jmld_accounts{class="app",state="inactive",target="app"}`:                                  "3",
		`jmld_accounts_progress{class="app",progress="settled",target="app"}`:                       "52",
		`jmld_accounts_progress{class="app",progress="due",target="app"}`:                           "1",
		`jmld_accounts_progress{class="app",progress="retrying",target="app"}`:                      "4",
		`jmld_accounts_progress{class="app",progress="dead",target="app"}`:                          "4",
		`jmld_accounts_progress{class="app",progress="held",target="app"}`:                          "2",
		`jmld_source_last_complete_read_timestamp_seconds{source="corp"}`:                           fmt.Sprint(clock.Add(-4 * time.Minute).Unix()),
		`jmld_records_disputed`:                                                                     "1",
		`jmld_changes_held`:                                                                         "8",
		`jmld_access_objects{kind="groups"}`:                                                        "4", // M-61
		`jmld_access_objects{kind="apps"}`:                                                          "3",
		`jmld_access_objects{kind="apps_owned"}`:                                                    "2",
		`jmld_access_objects{kind="namespaces"}`:                                                    "6",
		`jmld_access_objects{kind="namespaces_assigned"}`:                                           "5",
		`jmld_access_objects{kind="memberships"}`:                                                   "10",
		`jmld_access_group_members_average`:                                                         "2.5",
		`jmld_accounts_failing{code="JML-4003",dead="true",target="app"}`:                           "4",
		`jmld_accounts_failing{code="JML-4001",dead="false",target="app"}`:                          "4",
		`jmld_accounts_failing_oldest_timestamp_seconds{code="JML-4003",dead="true",target="app"}`:  "1.795330800e+09",
		`jmld_accounts_failing_oldest_timestamp_seconds{code="JML-4001",dead="false",target="app"}`: "1.795338e+09",
	}
	got := ours()
	normal := func(m map[string]string) {
		for k, v := range m {
			var x float64
			if _, err := fmt.Sscan(v, &x); err == nil {
				m[k] = fmt.Sprint(x)
			}
		}
	}
	normal(got)
	normal(want)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	ours()
	if n := f.asked.Load(); n != 1 {
		t.Errorf("counted %d times for two scrapes in a row", n)
	}
	clock, f.err = clock.Add(time.Minute), model.ErrUnavailable
	if d := cmp.Diff(map[string]string{`jmld_build_info{version="1.2"}`: "1", `jmld_figures_up`: "0"}, ours()); d != "" {
		t.Error(d)
	}
}

// M-45, R1: nothing goes over the network in clear unless somebody wrote that it may.
func TestPlainHTTPOnlyOnLoopbackUnlessAsked(t *testing.T) {
	t.Parallel()
	s, err := httpd.New(httpd.Options{Address: "0.0.0.0:0"})
	if err == nil {
		s.Close()
	}
	if model.CodeOf(err) != model.CodeConfig || !strings.Contains(fmt.Sprint(err), "listen.tls") {
		t.Errorf("%v", err)
	}
	server(t, httpd.Options{Address: "0.0.0.0:0", Insecure: true})
	server(t, httpd.Options{Address: "[::1]:0"})
}

func TestListenerOfTheCallerStaysTheirsWhenItIsRefused(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "0.0.0.0:0") //nolint:gosec,noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	if _, err := httpd.New(httpd.Options{Listener: l}); model.CodeOf(err) != model.CodeConfig {
		t.Errorf("%v", err)
	}
	s := server(t, httpd.Options{Listener: l, Insecure: true})
	if s.Addr().String() != l.Addr().String() {
		t.Errorf("listens on %s", s.Addr())
	}
}

func TestAddressInUseIsAnError(t *testing.T) {
	t.Parallel()
	s := server(t, httpd.Options{})
	if _, err := httpd.New(httpd.Options{Address: s.Addr().String()}); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("%v", err)
	}
}

func TestRequestsUnderWayFinishAndReadyzSaysSo(t *testing.T) {
	t.Parallel()
	began, finish := make(chan struct{}), make(chan struct{})
	s := server(t, httpd.Options{Console: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(began)
		<-finish
		if err := r.Context().Err(); err != nil {
			t.Errorf("the request was cancelled by the end of the daemon: %v", err)
		}
		_, _ = w.Write([]byte("done"))
	})})
	stop := run(t, s)
	body := make(chan string, 1)
	go func() {
		res, err := http.Get("http://" + s.Addr().String() + "/") //nolint:noctx // a test
		if err != nil {
			body <- err.Error()
			return
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		body <- string(b)
	}()
	<-began
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	deadline := time.Now().Add(time.Minute)
	for ask(t, s, http.MethodGet, "/readyz").Code != http.StatusServiceUnavailable {
		if time.Now().After(deadline) {
			t.Fatal("/readyz never says that the daemon stops")
		}
		time.Sleep(5 * time.Millisecond)
	}
	close(finish)
	if got := <-body; got != "done" {
		t.Errorf("the request got %q", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestDrainEnds(t *testing.T) {
	t.Parallel()
	began := make(chan struct{})
	gone := make(chan struct{})
	s := server(t, httpd.Options{Drain: 50 * time.Millisecond, Console: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
		close(gone)
	})})
	stop := run(t, s)
	go func() {
		if res, err := http.Get("http://" + s.Addr().String() + "/"); err == nil { //nolint:noctx // a test
			res.Body.Close()
		}
	}()
	<-began
	if err := stop(); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("%v", err)
	}
	select {
	case <-gone:
	case <-time.After(time.Minute):
		t.Error("the request was not cancelled")
	}
}

// The URL has room beside the headers, however long it may be.
func TestHeadersAreLimited(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ most, url, header, want int }{
		"headers":              {0, 1, 16 << 10, 200},
		"many headers":         {0, 1, 32 << 10, 431},
		"a URL and headers":    {0, 8 << 10, 16 << 10, 200},
		"a long URL":           {48 << 10, 48 << 10, 16 << 10, 200},
		"a longer URL":         {48 << 10, 72 << 10, 1, 431},
		"a URL as it is usual": {1 << 10, 8 << 10, 16 << 10, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := server(t, httpd.Options{Console: status(200), URL: tt.most})
			stop := run(t, s)
			c, err := net.Dial("tcp", s.Addr().String()) //nolint:noctx // a test
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(time.Minute))
			go func() { // the server may close before it read all
				_, _ = fmt.Fprintf(c, "GET /%s HTTP/1.1\r\nHost: x\r\nX-Long: %s\r\nConnection: close\r\n\r\n", strings.Repeat("u", tt.url-1), strings.Repeat("x", tt.header))
			}()
			b := make([]byte, 64)
			n, err := c.Read(b)
			if err != nil || !strings.Contains(string(b[:n]), fmt.Sprintf(" %d ", tt.want)) {
				t.Errorf("%q %v", b[:n], err)
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestErrorsAreLoggedWithoutPaths(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.InfoLevel)
	s := server(t, httpd.Options{Log: zap.New(core), SCIM: status(503), Console: status(200)})
	ask(t, s, http.MethodGet, "/people?q=secret")
	ask(t, s, http.MethodGet, "/scim/entra/v2/Users?filter=secret")
	lines := logs.FilterMessage("request").All()
	if len(lines) != 1 {
		t.Fatalf("%v", lines)
	}
	m := lines[0].ContextMap()
	keys := slices.Sorted(maps.Keys(m))
	if d := cmp.Diff([]string{"duration", "method", "remote", "request", "route", "status"}, keys); d != "" || regexp.MustCompile("secret").MatchString(fmt.Sprint(m)) {
		t.Errorf("%s %v", d, m)
	}
}
