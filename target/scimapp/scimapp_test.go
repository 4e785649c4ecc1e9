package scimapp_test

import (
	"bytes"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"jmld/internal/sampleapp"
	"jmld/jml/engine"
	"jmld/target/scimapp"
	"jmld/target/targettest"
)

// canary is the token of every test; it may appear in no error and no log line.
const canary = "canary-6f1d0c7be2"

// rig is a sample app behind real HTTP and a target that provisions it.
type rig struct {
	app    *sampleapp.App
	server *httptest.Server
	target *scimapp.Target
	logs   *logs
}

// logs keeps what is logged, at every level.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) Sync() error { return nil }

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logs) logger() *zap.Logger {
	return zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), l, zapcore.DebugLevel))
}

// newRig starts an app that misbehaves as told, wrapped by wrap if given.
func newRig(t testing.TB, f sampleapp.Faults, wrap func(http.Handler) http.Handler, edit func(*scimapp.Options)) *rig {
	t.Helper()
	app, err := sampleapp.Open("", canary)
	if err != nil {
		t.Fatal(err)
	}
	app.Misbehave(f)
	var h http.Handler = app
	if wrap != nil {
		h = wrap(h)
	}
	r := &rig{app: app, server: httptest.NewServer(h), logs: &logs{}}
	t.Cleanup(r.server.Close)
	o := scimapp.Options{
		Name: "app", URL: r.server.URL + "/scim/v2", Timeout: time.Minute, PageSize: 7, Log: r.logs.logger(),
		Token: func() (string, error) { return canary + "\n", nil },
	}
	if edit != nil {
		edit(&o)
	}
	if r.target, err = scimapp.New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.target.Close)
	t.Cleanup(func() {
		if strings.Contains(r.logs.String(), canary) {
			t.Errorf("the token is in the log: %s", r.logs.String())
		}
	})
	return r
}

// M-27, M-35: the same promises on providers of every kind, over real HTTP.
func TestConformance(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]sampleapp.Faults{
		"a provider that does everything":             {},
		"no PATCH":                                    {NoPatch: true},
		"PATCH offered and not implemented":           {PatchLie: true},
		"no PUT":                                      {NoPut: true},
		"no ServiceProviderConfig":                    {NoConfig: true},
		"no filter on externalId":                     {NoFilter: "externalId"},
		"no filters":                                  {NoFilter: "*"},
		"filters and pages ignored":                   {IgnoreQuery: true},
		"pages of two":                                {PageSize: 2},
		"PUT without active deactivates, PATCH works": {PutActive: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			targettest.Run(t, func(t testing.TB) engine.Target { return newRig(t, f, nil, nil).target })
		})
	}
}

func TestConformanceOverTLSWithAFile(t *testing.T) {
	t.Parallel()
	targettest.Run(t, func(t testing.TB) engine.Target {
		app, err := sampleapp.Open(t.TempDir()+"/app.json", canary)
		if err != nil {
			t.Fatal(err)
		}
		server := newTLSServer(t, app)
		pool := x509.NewCertPool()
		pool.AddCert(server.Certificate())
		target, err := scimapp.New(scimapp.Options{
			Name: "app", URL: server.URL + "/scim/v2/", CA: pool, Token: func() (string, error) { return canary, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(target.Close)
		return target
	})
}

func newTLSServer(t testing.TB, h http.Handler) *httptest.Server {
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that hang up are no news
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}
