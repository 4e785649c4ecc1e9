package store_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"jmld/internal/store"
	"jmld/internal/testserver"
	"jmld/jml/engine"
	"jmld/model"
)

var _ engine.Store = (*store.Store)(nil)

// onBoth runs a test on an empty database of each kind.
func onBoth(t *testing.T, test func(t *testing.T, s *store.Store)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, open(t, "sqlite:"+filepath.Join(t.TempDir(), "jmld.db")))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, open(t, testserver.Postgres(t)))
	})
}

func open(tb testing.TB, url string) *store.Store {
	tb.Helper()
	s, err := store.Open(context.Background(), store.Options{URL: url, Timeout: 3 * time.Minute}) // the race detector on a busy machine
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// ctxOf ends before the test does.
func ctxOf(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	tb.Cleanup(cancel)
	return ctx
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func get[T any](tb testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		tb.Helper()
		must(tb, err)
		return v
	}
}

// at is a fixed time, in the past for every database's clock.
func at(seconds int) time.Time {
	return time.Date(2026, 3, 1, 9, 0, seconds, 123456000, time.UTC)
}

func ptr[T any](v T) *T { return &v }

// user makes a SCIM user as the engine would.
func user(source, id, name, identity string) model.Record {
	return model.Record{
		Source: source, ID: id, Kind: model.KindUser, UserName: name, UserNameKey: model.FoldKey(name),
		DisplayName: "Name of " + name, DisplayNameKey: model.FoldKey("Name of " + name), ExternalID: "x-" + id, Active: true,
		UniqueKey: model.FoldKey(name), IdentityID: identity, Link: model.Linked, Attrs: `{"userName":"` + name + `"}`,
		Hash: []byte("0123456789abcdef"), Version: 1, CreatedAt: at(1), UpdatedAt: at(2),
	}
}

func group(source, id, name string) model.Record {
	return model.Record{
		Source: source, ID: id, Kind: model.KindGroup, DisplayName: name, DisplayNameKey: model.FoldKey(name), Active: true,
		Attrs: "{}", Hash: []byte("fedcba9876543210"), Version: 1, CreatedAt: at(1), UpdatedAt: at(1),
	}
}

func person(id, name string) model.Identity {
	return model.Identity{
		ID: id, Lifecycle: model.Active, UserName: name, DisplayName: "Name of " + name, Email: name + "@example.org",
		SearchKey:  model.FoldKey("Name of "+name) + "\n" + model.FoldKey(name) + "\n" + name + "@example.org",
		Categories: "platform", Attrs: "{}", Provenance: "{}", Version: 1, CreatedAt: at(1), UpdatedAt: at(2),
	}
}

func account(identity, target, desired string) model.Account {
	return model.Account{
		IdentityID: identity, Target: target, Class: model.ClassPlatform, Origin: model.OriginOurs, State: model.AccountActive,
		UserName: "user-" + identity, Desired: desired, DesiredRev: 1, Because: "{}", Priority: 1, CreatedAt: at(1), UpdatedAt: at(1),
	}
}

// joined is one new person with a record, a key, a value, an account, a change and an audit entry.
func joined(source, id, name string) *engine.Commit {
	r := user(source, "r-"+id, name, "i-"+id)
	return &engine.Commit{
		Records: []engine.Write{{New: &r, AddValues: []model.Value{{Attr: "emails.value", Type: "work", Value: name + "@example.org"}}}},
		Identities: []engine.IdentityWrite{{New: person("i-"+id, name), AddKeys: []model.Key{
			{Name: "userName", Value: model.FoldKey(name)}, {Name: "email", Value: name + "@example.org"},
		}}},
		Accounts: []model.Account{account("i-"+id, "platform", `{"userName":"`+name+`"}`)},
		Changes: []model.Change{{
			ID: "c-" + id, Source: source, IdentityID: "i-" + id, Who: name, Target: "platform", Op: model.OpCreate,
			Event: model.EventJoiner, Because: "{}", After: "{}", State: model.ChangeCommitted, At: at(3),
		}},
		Audit: []model.AuditEntry{{ID: "a-" + id, At: at(3), Actor: "source " + source, Action: "scim.create", Source: source, Subject: "r-" + id, Detail: "{}"}},
	}
}
