package console_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/console"
	"jmld/internal/store"
	"jmld/jml"
	"jmld/jml/engine"
	"jmld/jml/policy"
	"jmld/model"
	"jmld/target/memory"
)

// roster is a directory of n people, all in the group builders.
type roster struct{ n int }

func (r *roster) Name() string { return "corp" }

func (r *roster) Profile() string { return "{}" }

func (r *roster) Confirm(_ context.Context, _ model.Kind, ids, _ []string, each func(string, model.Sighting)) error {
	for _, id := range ids {
		each(id, model.Sighting{State: model.SightDeleted})
	}
	return nil
}

func (r *roster) Read(_ context.Context, emit func(model.Entry) error) (model.Proof, error) {
	for i := range r.n {
		name := fmt.Sprintf("person%02d", i)
		en := model.Entry{Record: model.Record{Source: "corp", ID: "dir-" + name, Kind: model.KindUser, UserName: name, UserNameKey: name,
			DisplayName: "Person " + name, DisplayNameKey: "person " + name, Active: true,
			Attrs: jml.Canonical(map[string]any{"userName": name, "displayName": "Person " + name,
				"emails": []any{map[string]any{"value": name + "@example.org", "type": "work", "primary": true}}})}}
		sum := sha256.Sum256([]byte(en.Attrs))
		en.Hash = sum[:16]
		if err := emit(en); err != nil {
			return model.Proof{}, err
		}
	}
	return model.Proof{Complete: true, Users: r.n, Pages: 1, Conditions: []model.Condition{{Name: "search ended with success", OK: true, Seen: "result 0"}}}, nil
}

// strict is a target that says no to one user name while it is told to.
type strict struct {
	*memory.Target
	no atomic.Bool
}

func (s *strict) Ensure(ctx context.Context, want model.Account) (model.Account, error) {
	if s.no.Load() && want.UserName == "person03" {
		return model.Account{}, engine.Permanent(model.Errorf(model.CodeTargetRefused, "person03 is not wanted here"))
	}
	return s.Target.Ensure(ctx, want)
}

// Over the real engine and store: what happened is shown, what is held is approved exactly, what failed is tried again.
func TestConsoleOverTheRealStoreAndEngine(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	db, err := store.Open(ctx, store.Options{URL: "sqlite:" + filepath.Join(t.TempDir(), "jmld.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	p, mistakes := policy.Compile(policy.Config{
		Organisations: []policy.Organisation{{Name: "Example", Own: true, Domains: []string{"example.org"}}},
		Categories:    []policy.Category{{Name: model.CategoryApp, When: `true`}},
		Accounts:      []policy.Rule{{Name: "everybody", Target: "app", When: `"app" in person.categories`}},
	}, []string{"app"})
	if len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	dir, app := &roster{40}, &strict{Target: memory.New("app")}
	app.no.Store(true)
	e := engine.New(engine.Options{
		Store: db, Guard: jml.DefaultLimits(), Replica: "one",
		Rules:   &jml.Rules{Precedence: []string{"corp"}, Correlation: []string{"email", "userName"}, OwnDomains: []string{"example.org"}, Policy: p, Targets: []string{"app"}},
		Sources: []engine.ReadSource{{Source: dir, Timeout: time.Minute}},
		Targets: []engine.TargetSpec{{Target: app, Class: model.ClassApp}},
	})
	h := console.New(console.Options{View: db, Approver: e,
		Sources: []console.Source{{Name: "corp", Kind: "ldap"}}, Targets: func() []console.Target { return []console.Target{{Name: "app", Class: model.ClassApp, Kind: "memory"}} }})
	sync := func() engine.Synced {
		t.Helper()
		out, err := e.Sync(ctx, "corp", engine.SyncOptions{Trigger: "demand", Actor: "test"})
		if err != nil {
			t.Fatal(err)
		}
		work(ctx, t, e)
		return out
	}

	for _, path := range []string{"/", "/runs", "/held", "/people", "/accounts", "/changes", "/problems"} {
		get(t, h, path).status(t, http.StatusOK) // on an empty database
	}
	first := sync()
	get(t, h, "/runs/"+first.Run.ID).status(t, 200).has(t, "40 new", "+ create 40", "every condition below held", "All of them")
	a := get(t, h, "/").status(t, 200)
	a.has(t, "40 people known", "1 account given up on in app", "given up on some 97 % of 40")
	if n := len(get(t, h, "/people?q=person1").rows("People")); n != 10 {
		t.Errorf("search finds %d people, want 10", n)
	}
	a = get(t, h, "/problems").status(t, 200)
	a.has(t, "JML-4003 Target refused the account", "person03 is not wanted here", "given up")
	app.no.Store(false)
	retried := post(t, h, "/accounts/retry", "target", "app", "code", "JML-4003", "only", "dead", "back", "/problems").status(t, 303)
	if got := retried.Header.Get("Location"); got != "/problems?retried=1" {
		t.Errorf("sent to %q", got)
	}
	work(ctx, t, e)
	get(t, h, "/problems").has(t, "No account has a problem")

	dir.n = 25 // 15 leave at once
	out := sync()
	if out.Plan == nil {
		t.Fatal("the guard held nothing")
	}
	a = get(t, h, "/held/"+out.Plan.ID).status(t, 200)
	a.has(t, "15 changes", "state was active → will be inactive", out.Plan.Reason)
	digest := hidden(a, "digest")
	if digest == "" || len(a.rows("Changes that wait")) != 15 {
		t.Fatalf("digest %q, %d rows", digest, len(a.rows("Changes that wait")))
	}
	get(t, h, "/runs/"+out.Run.ID).has(t, "15 of them held", "Some changes are held.")

	dir.n = 26 // one is back: withdrawn, and the list is another one
	sync()
	a = get(t, h, "/held").status(t, 200)
	plan := strings.TrimPrefix(a.link(t, "corp"), "/held/")
	post(t, h, "/held/"+plan+"/approve", "digest", digest, "seen", "yes").status(t, http.StatusConflict).has(t, "Nothing was approved")
	a = get(t, h, "/held/"+plan).status(t, 200)
	a.has(t, "Approve 14 changes")
	done := post(t, h, "/held/"+plan+"/approve", "digest", hidden(a, "digest"), "seen", "yes").status(t, http.StatusSeeOther)
	a = get(t, h, done.Header.Get("Location")).status(t, 200)
	a.has(t, "14 changes let go.", "by operator console, 127.0.0.1")
	if n := len(a.rows("Changes let go")); n != 14 {
		t.Errorf("%d let go are listed, want 14", n)
	}
	work(ctx, t, e)

	people, err := db.People(ctx, model.PeopleQuery{Search: "person39", Limit: 2})
	if err != nil || len(people) != 1 {
		t.Fatal(people, err)
	}
	a = get(t, h, "/people/"+people[0].ID).status(t, 200)
	a.has(t, "Should be inactive", "Was seen inactive", "As desired yes", "everybody")
	rows := a.rows("Changes of this person's accounts")
	if len(rows) != 2+strings.Count(strings.Join(rows, "\n"), "withdrawn") || !strings.HasPrefix(rows[0], "! deactivate leaver app state was active → will be inactive") {
		t.Errorf("history: %q", rows)
	}
	audit, err := db.AuditList(ctx, plan, 10)
	if err != nil {
		t.Fatal(err)
	}
	var did []string
	for _, en := range audit {
		did = append(did, en.Actor+": "+en.Action)
	}
	if d := cmp.Diff([]string{"operator console, 127.0.0.1: plan.approve"}, did); d != "" {
		t.Error(d)
	}
	get(t, h, "/people/none").status(t, http.StatusNotFound)
	get(t, h, "/runs/%27%3B--").status(t, http.StatusNotFound)
}

func hidden(a answer, name string) string {
	for _, in := range a.all("input") {
		if attribute(in, "name") == name {
			return attribute(in, "value")
		}
	}
	return ""
}

func work(ctx context.Context, t *testing.T, e *engine.Engine) {
	t.Helper()
	if _, _, err := e.Work(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

// The store answers every list in the order the pages rely on.
func TestRealStorePagesThroughEverythingOnce(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db, err := store.Open(ctx, store.Options{URL: "sqlite:" + filepath.Join(t.TempDir(), "jmld.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	c := &engine.Commit{}
	for i := range 130 {
		at := now().Add(time.Duration(i) * time.Second)
		id := model.NewID(at)
		c.Identities = append(c.Identities, engine.IdentityWrite{New: model.Identity{ID: id, Lifecycle: model.Active, DisplayName: fmt.Sprintf("P%03d", i),
			SearchKey: fmt.Sprintf("p%03d\n\n", i), Attrs: "{}", Provenance: "{}", Version: 1, CreatedAt: at, UpdatedAt: at}})
		c.Accounts = append(c.Accounts, model.Account{IdentityID: id, Target: "app", Class: model.ClassApp, State: model.AccountActive, UserName: fmt.Sprintf("u%03d", i),
			Desired: "{}", DesiredRev: 1, Because: "{}", CreatedAt: at, UpdatedAt: at})
		c.Changes = append(c.Changes, model.Change{ID: model.NewID(at), IdentityID: id, Who: fmt.Sprintf("P%03d", i), Target: "app", Op: model.OpCreate,
			After: `{"state":"active"}`, Because: `{"text":"because","at":"2026-11-22T09:00:00Z"}`, State: model.ChangeCommitted, At: at})
	}
	if err := db.Commit(ctx, c); err != nil {
		t.Fatal(err)
	}
	h := console.New(console.Options{View: db})
	for path, caption := range map[string]string{"/people": "People", "/accounts": "Accounts", "/changes": "Changes, newest first"} {
		var seen []string
		for page := path; ; {
			a := get(t, h, page).status(t, 200)
			seen = append(seen, a.rows(caption)...)
			if !strings.Contains(a.text(), "Next ›") || len(seen) > 200 {
				break
			}
			page = a.link(t, "Next")
		}
		for i := range seen { // the column that is unique
			seen[i] = strings.Join(strings.Fields(seen[i])[:3], " ")
		}
		slices.Sort(seen)
		if n := len(slices.Compact(seen)); n != 130 {
			t.Errorf("%s: %d different rows, want 130", path, n)
		}
	}
}
