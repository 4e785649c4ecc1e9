package scimapp_test

import (
	"crypto/sha256"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"jmld/internal/store"
	"jmld/jml"
	"jmld/jml/engine"
	"jmld/jml/policy"
	"jmld/model"
	"jmld/scim"
	"jmld/target/scimapp"
	"jmld/target/targettest"
)

// M-27: another implementation at the other end: our own service, with a source of its own for each test.
func TestConformanceWithOurOwnService(t *testing.T) {
	t.Parallel()
	db, err := store.Open(t.Context(), store.Options{URL: "sqlite:" + filepath.Join(t.TempDir(), "jmld.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	nobody, mistakes := policy.Compile(policy.Config{}, nil)
	if len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	const most = 400
	var sources []scim.Source
	rules := &jml.Rules{Policy: nobody, Correlation: []string{"externalId"}}
	hash := sha256.Sum256([]byte(canary))
	for i := range most {
		name := fmt.Sprint("idp", i)
		sources, rules.Precedence = append(sources, scim.Source{Name: name}), append(rules.Precedence, name)
	}
	e := engine.New(engine.Options{Store: db, Rules: rules})
	server := httptest.NewServer(scim.New(scim.Options{Sources: sources, Pusher: e, Resources: db, Tokens: db}))
	t.Cleanup(server.Close)
	var next atomic.Int64
	targettest.Run(t, func(t testing.TB) engine.Target {
		name := fmt.Sprint("idp", next.Add(1)-1)
		now := time.Now()
		if err := db.AddToken(t.Context(), model.Token{ID: model.NewID(now), Source: name, Name: "t", Hash: hash[:], CreatedAt: now}); err != nil {
			t.Fatal(err)
		}
		target, err := scimapp.New(scimapp.Options{
			Name: "app", URL: server.URL + "/scim/" + name + "/v2", Token: func() (string, error) { return canary, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(target.Close)
		return target
	})
}
