package engine_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"jmld/internal/store"
	"jmld/internal/testserver"
	"jmld/jml"
	"jmld/jml/engine"
	"jmld/jml/policy"
	"jmld/model"
)

// house is an engine on a real database with a scripted directory and targets that remember.
type house struct {
	*engine.Engine
	t     *testing.T
	ctx   context.Context
	store *store.Store
	dir   *directory
	plat  *target
	app   *target
	opts  engine.Options
}

// onBoth runs a test on an empty database of each kind.
func onBoth(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, newHouse(t, "sqlite:"+filepath.Join(t.TempDir(), "jmld.db")))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, newHouse(t, testserver.Postgres(t)))
	})
}

// emptyLite is a file with the schema: hundreds of tests would make it themselves, and take longer for it than for what they show.
var emptyLite = sync.OnceValues(func() ([]byte, error) { //nolint:gochecknoglobals // of this test binary
	dir, err := os.MkdirTemp("", "jmld-empty-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "jmld.db")
	s, err := store.Open(context.Background(), store.Options{URL: "sqlite:" + path})
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// fill puts the schema into a new SQLite file.
func fill(t *testing.T, url string) {
	t.Helper()
	path, lite := strings.CutPrefix(url, "sqlite:")
	if _, err := os.Stat(path); !lite || err == nil {
		return
	}
	empty, err := emptyLite()
	if err == nil {
		err = os.WriteFile(path, empty, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func newHouse(t *testing.T, url string) *house {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	t.Cleanup(cancel)
	fill(t, url)
	s, err := store.Open(ctx, store.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	h := &house{t: t, ctx: ctx, store: s, dir: &directory{name: "corp"}, plat: newTarget("platform"), app: newTarget("app")}
	guard := jml.DefaultLimits()
	guard.Clock = 10000 * time.Hour // tests move the engine's clock, and not the database's
	h.opts = engine.Options{
		Store: s, Rules: rules(t), Guard: guard, Log: zap.NewNop(), Replica: "one",
		Sources: []engine.ReadSource{{Source: h.dir, Timeout: time.Minute}},
		Targets: []engine.TargetSpec{{Target: h.plat, Class: model.ClassPlatform}, {Target: h.app, Class: model.ClassApp}},
	}
	h.Engine = engine.New(h.opts)
	return h
}

func rules(t testing.TB) *jml.Rules {
	t.Helper()
	own := []string{"example.org"}
	p, mistakes := policy.Compile(policy.Config{
		Organisations: []policy.Organisation{{Name: "Example", Own: true, Domains: own}, {Name: "Partner", Domains: []string{"partner.example"}}},
		Categories: []policy.Category{
			{Name: model.CategoryPlatform, When: `"builders" in person.groups && !person.external`},
			{Name: model.CategoryExtended, When: `"builders" in person.groups && person.external`},
			{Name: model.CategoryApp, When: `true`},
		},
		Accounts: []policy.Rule{
			{Name: "builders", Target: "platform", When: `"platform" in person.categories || "extended" in person.categories`},
			{Name: "everybody", Target: "app", When: `"app" in person.categories`},
		},
	}, []string{"platform", "app"})
	if len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	return &jml.Rules{Precedence: []string{"corp", "entra", "okta"}, Correlation: []string{"employeeNumber", "email", "userName"},
		OwnDomains: own, Policy: p, Targets: []string{"app", "platform"}}
}

// directory is a source under the test's control.
type directory struct {
	name    string
	users   []model.Entry
	groups  []model.Entry
	partial bool  // no proof
	stop    int   // entries before fail
	fail    error // ends the read
	during  func()
	hold    func(context.Context)

	seen    map[string]model.SightingState // of entries that are looked for; those that are not here were deleted
	refuses error                          // ends each search
	profile string                         // what it is configured to list
	asked   int                            // entries looked for
	skips   []model.Skipped
	clock   *int64 // see model.Proof
	server  string
}

func (d *directory) Name() string { return d.name }

func (d *directory) Read(ctx context.Context, emit func(model.Entry) error) (model.Proof, error) {
	n := 0
	for _, en := range slices.Concat(d.users, d.groups) {
		if d.fail != nil && n == d.stop {
			return model.Proof{Users: n}, d.fail
		}
		if err := ctx.Err(); err != nil {
			return model.Proof{}, err
		}
		en.Source = d.name
		sum := sha256.Sum256([]byte(en.Attrs + fmt.Sprint(en.Active, en.Members, en.DisplayName)))
		en.Hash = sum[:16]
		if err := emit(en); err != nil {
			return model.Proof{}, err
		}
		n++
	}
	if d.during != nil {
		d.during()
	}
	if d.hold != nil {
		d.hold(ctx)
	}
	return model.Proof{Complete: !d.partial, Users: len(d.users), Groups: len(d.groups), Skipped: slices.Clone(d.skips), Server: d.server, Clock: d.clock,
		Conditions: []model.Condition{{Name: "script", OK: !d.partial}}}, nil
}

func (d *directory) Profile() string { return d.profile }

// Confirm knows of deletions, as Active Directory does, unless it is told otherwise.
func (d *directory) Confirm(_ context.Context, _ model.Kind, ids, _ []string, each func(string, model.Sighting)) error {
	for _, id := range ids {
		if d.refuses != nil {
			return d.refuses
		}
		d.asked++
		state, told := d.seen[id]
		if !told {
			state = model.SightDeleted
		}
		each(id, model.Sighting{State: state, Text: "scripted"})
	}
	return nil
}

// person makes an entry of the directory.
func person(n int) model.Entry {
	name := fmt.Sprintf("person%03d", n)
	return model.Entry{Record: model.Record{
		ID: "dir-" + name, Kind: model.KindUser, UserName: name, UserNameKey: name, DisplayName: "Person " + name,
		DisplayNameKey: "person " + name, Active: true,
		Attrs: jml.Canonical(map[string]any{"userName": name, "displayName": "Person " + name,
			"emails":           []any{map[string]any{"value": name + "@example.org", "type": "work", "primary": true}},
			jml.EnterpriseUser: map[string]any{"employeeNumber": fmt.Sprint(1000 + n)}}),
	}}
}

func people(n int) []model.Entry {
	out := make([]model.Entry, n)
	for i := range out {
		out[i] = person(i)
	}
	return out
}

func group(name string, members ...string) model.Entry {
	return model.Entry{Record: model.Record{ID: "dir-" + name, Kind: model.KindGroup, DisplayName: name, DisplayNameKey: name, Active: true,
		Attrs: jml.Canonical(map[string]any{"displayName": name})}, Members: members}
}

// target remembers what it was brought to, and can be made to refuse.
type target struct {
	name    string
	mu      sync.Mutex
	has     map[string]model.Account
	creates map[string]int
	calls   int
	refuse  func(a model.Account) error
}

func newTarget(name string) *target {
	return &target{name: name, has: map[string]model.Account{}, creates: map[string]int{}}
}

func (t *target) Name() string { return t.name }

func (t *target) Ensure(_ context.Context, want model.Account) (model.Account, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls++
	if t.refuse != nil {
		if err := t.refuse(want); err != nil {
			return model.Account{}, err
		}
	}
	id := want.IdentityID
	if made, ok := strings.CutPrefix(want.NativeID, "n-"); ok { // for whom it was made: it may have changed hands
		id = made
	}
	if old, ok := t.has[id]; !ok || old.State == model.AccountAbsent {
		t.creates[id]++
	}
	want.NativeID, want.AppliedState, want.Applied = "n-"+id, want.State, want.Desired
	t.has[id] = want
	return want, nil
}

func (t *target) Accounts(context.Context) iter.Seq2[model.Account, error] {
	return func(yield func(model.Account, error) bool) {
		t.mu.Lock()
		defer t.mu.Unlock()
		for _, a := range t.has {
			if !yield(a, nil) {
				return
			}
		}
	}
}

func (t *target) set(refuse func(a model.Account) error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refuse = refuse
}

// active lists the user names of active accounts.
func (t *target) active() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	for _, a := range t.has {
		if a.State == model.AccountActive {
			out = append(out, a.UserName)
		}
	}
	slices.Sort(out)
	return out
}

func (h *house) sync() engine.Synced {
	h.t.Helper()
	out, err := h.Sync(h.ctx, "corp", engine.SyncOptions{Trigger: "demand", Actor: "test"})
	if err != nil {
		h.t.Fatal(err)
	}
	h.work()
	return out
}

func (h *house) work() {
	h.t.Helper()
	if _, _, err := h.Work(h.ctx); err != nil {
		h.t.Fatal(err)
	}
}

// scim pushes a user record as a SCIM client's write would.
func (h *house) scim(source, id, userName string, active bool, attrs map[string]any) (engine.Pushed, error) {
	return h.Push(h.ctx, engine.Push{Source: source, Kind: model.KindUser, ID: id, Actor: "test", Action: "scim.test",
		Change: func(cur *model.Record) (*model.Record, engine.MemberChange, error) {
			next := model.Record{UserName: userName, UserNameKey: jml.Fold(userName), UniqueKey: jml.Fold(userName), Active: active}
			if cur != nil {
				next.Version = cur.Version
			}
			m := map[string]any{"userName": userName}
			for k, v := range attrs {
				m[k] = v
			}
			next.Attrs = jml.Canonical(m)
			next.DisplayName, _ = attrs["displayName"].(string)
			next.DisplayNameKey = jml.Fold(next.DisplayName)
			return &next, engine.MemberChange{}, nil
		}})
}

func (h *house) gone(source, id string) error {
	_, err := h.Push(h.ctx, engine.Push{Source: source, Kind: model.KindUser, ID: id, Actor: "test", Action: "scim.delete",
		Change: func(*model.Record) (*model.Record, engine.MemberChange, error) {
			return nil, engine.MemberChange{}, nil
		}})
	return err
}

func number(n string) map[string]any {
	return map[string]any{jml.EnterpriseUser: map[string]any{"employeeNumber": n}}
}

func (h *house) identities() []model.Identity {
	h.t.Helper()
	all, err := h.store.People(h.ctx, model.PeopleQuery{Limit: 1000})
	if err != nil {
		h.t.Fatal(err)
	}
	return all
}

var errRefused = errors.New("no")

func names(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("person%03d", i))
	}
	return out
}

// deletes is a policy that deletes the accounts of leavers.
func deletes(t testing.TB) *policy.Policy {
	return compiled(t, policy.Rule{Name: "everybody", Target: "app", When: "true", Leaver: policy.LeaverDelete})
}

// numbered is a policy that says nothing about people without an employee number.
func numbered(t testing.TB) *policy.Policy {
	return compiled(t, policy.Rule{Name: "numbered", Target: "app", When: `person.employeeNumber != ""`})
}

func compiled(t testing.TB, rules ...policy.Rule) *policy.Policy {
	t.Helper()
	p, mistakes := policy.Compile(policy.Config{Accounts: rules}, []string{"platform", "app"})
	if len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	return p
}

// databases are the URLs of an empty database of each kind, with durable commits.
func databases(b *testing.B) map[string]func() string {
	return map[string]func() string{
		"sqlite": func() string { return "sqlite:" + filepath.Join(b.TempDir(), "jmld.db") },
		"postgres": func() string {
			return testserver.StartPostgres(b, testserver.PostgresOptions{Durable: true}).Database(b)
		},
	}
}
