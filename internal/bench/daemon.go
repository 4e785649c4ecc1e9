package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"jmld/internal/store"
	"jmld/jml"
	"jmld/jml/engine"
	"jmld/jml/policy"
	"jmld/model"
	"jmld/target/local"
)

const (
	pushed  = "entra" // the SCIM source
	read    = "corp"  // the directory
	appName = "app"
	token   = "bench-token-of-nobody"
)

// rules are those of a small installation: everybody active has an account in one app.
func rules() (*jml.Rules, error) {
	p, mistakes := policy.Compile(policy.Config{
		Organisations: []policy.Organisation{{Name: "Example", Own: true, Domains: []string{"example.org"}}},
		Categories:    []policy.Category{{Name: model.CategoryApp, When: "true"}},
		Accounts:      []policy.Rule{{Name: "everybody", Target: appName, When: `"app" in person.categories`}},
	}, []string{appName})
	if len(mistakes) > 0 {
		return nil, fmt.Errorf("policy: %s", mistakes[0].Text)
	}
	return &jml.Rules{
		Precedence: []string{read, pushed}, Correlation: []string{"employeeNumber", "userName", "email"}, OwnDomains: []string{"example.org"},
		Policy: p, Targets: []string{appName},
	}, nil
}

// raised lets everything through: the guard does its work and never holds.
func raised() jml.Limits {
	all := jml.Limit{Count: 1 << 40}
	return jml.Limits{Count: 1 << 40, Share: 1, Ceiling: 1, Floor: 1 << 40, Window: 24 * time.Hour, Expiry: time.Hour, Changed: all, Emptied: all,
		Movers: all, Week: all, Joiners: all, Returns: all, Group: all, GroupEmptied: 1 << 40, Shrink: all, Renewed: all, Clock: time.Hour}
}

// roomy keeps room in the heap as the daemon does, in what serves and reads as in what measures the floor.
func roomy(heap *engine.Heap) (stop func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	return heap.Keep(engine.Roomy)
}

// assemble puts a store and the engine together as the daemon does.
func assemble(db *store.Store, heap *engine.Heap, sources ...engine.ReadSource) (*engine.Engine, error) {
	r, err := rules()
	if err != nil {
		return nil, err
	}
	return engine.New(engine.Options{
		Store: db, Rules: r, Guard: raised(), Sources: sources, Replica: "bench", Heap: heap,
		Targets: []engine.TargetSpec{{Target: local.New(appName, model.ClassApp, db, time.Now), Class: model.ClassApp}},
	}), nil
}

// listen serves on loopback until the measurement ends; it returns the URL.
func listen(t *tb, handler func(url string) http.Handler) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	url := "http://" + l.Addr().String()
	server := &http.Server{Handler: handler(url), ReadHeaderTimeout: 5 * time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Logf("close server: %v", err)
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Logf("server: %v", err)
		}
	})
	return url, nil
}
