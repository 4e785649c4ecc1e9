package engine_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/store"
	"jmld/internal/testserver"
	"jmld/jml"
	"jmld/jml/engine"
	"jmld/jml/policy"
	"jmld/model"
)

// meeting is a store whose users have all made up a decision before the first of them stores it.
type meeting struct {
	engine.Store
	once sync.Once
	all  *sync.WaitGroup
}

func (m *meeting) Commit(ctx context.Context, c *engine.Commit) error {
	m.once.Do(func() {
		m.all.Done()
		m.all.Wait()
	})
	return m.Store.Commit(ctx, c)
}

// admins gives the house an app with two kinds of accounts, one of which administers it.
func (h *house) admins() {
	r := *h.opts.Rules
	name := map[string]string{"userName": "person.userName"}
	r.Policy = compiled(h.t,
		policy.Rule{Name: "admins", Target: "app", When: `has(person.title) && person.title == "Admin"`, Administrator: true,
			Attributes: map[string]string{"userName": "person.userName", "title": "person.title"}},
		policy.Rule{Name: "unlike", Target: "app", When: `has(person.title)`, Attributes: map[string]string{"userName": "person.userName", "title": `"Admin"`}},
		policy.Rule{Name: "everybody", Target: "app", When: "true", Attributes: name})
	h.opts.Rules = &r
	h.SetRules(&r)
}

// administer are the user names of those who administer the app there.
func (t *target) administer() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	for _, a := range t.has {
		if a.State == model.AccountActive && a.Administrator {
			out = append(out, a.UserName)
		}
	}
	slices.Sort(out)
	return out
}

// M-16, D-21: two replicas that take the last two administrators of a target at the same moment, whatever each of them does, leave one.
func TestTwoReplicasDoNotTakeTheLastTwoAdministrators(t *testing.T) {
	t.Parallel()
	type step struct {
		active bool
		title  string
	}
	leaves, demoted, renamed := step{false, "Admin"}, step{true, ""}, step{true, "Other"} // the last changes nothing in the target
	for name, steps := range map[string][2]step{
		"both leave":                      {leaves, leaves},
		"both have another role":          {demoted, demoted},
		"one leaves, one has another one": {leaves, demoted},
		"neither of them changes":         {renamed, renamed},
		"one leaves, one does not change": {leaves, renamed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for kind, url := range map[string]func(t *testing.T) string{
				"sqlite":   func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "jmld.db") },
				"postgres": func(t *testing.T) string { return testserver.Postgres(t) },
			} {
				t.Run(kind, func(t *testing.T) {
					t.Parallel()
					where := url(t)
					h := newHouse(t, where)
					h.admins()
					h.says("1", "ada", true, "Admin")
					h.says("2", "bob", true, "Admin")
					h.work()
					other := h.store
					if kind == "postgres" {
						var err error
						if other, err = store.Open(h.ctx, store.Options{URL: where}); err != nil {
							t.Fatal(err)
						}
						t.Cleanup(func() { other.Close() })
					}
					var together, done sync.WaitGroup
					together.Add(2)
					for i, s := range []*store.Store{h.store, other} {
						replica := *h
						replica.opts.Store, replica.opts.Replica = &meeting{Store: s, all: &together}, fmt.Sprint("replica", i)
						replica.Engine = engine.New(replica.opts)
						done.Go(func() {
							replica.says(fmt.Sprint(1+i), []string{"ada", "bob"}[i], steps[i].active, steps[i].title)
						})
					}
					done.Wait()
					h.work()
					if left, err := h.store.Administrators(h.ctx, "app"); err != nil || len(left) != 1 || !left[0].Administrator || left[0].State != model.AccountActive {
						t.Errorf("left are %+v, %v", left, err)
					}
					found, err := h.store.Changes(h.ctx, model.ChangeQuery{Ops: []model.Op{model.OpFinding}, Limit: 10})
					want := 1
					if steps[0] == renamed || steps[1] == renamed {
						want = min(len(found), 1) // who keeps what nothing takes away is no finding
					}
					if err != nil || len(found) != want {
						t.Error(len(found), err)
					}
				})
			}
		})
	}
}

// M-16, D-21: nobody is counted on whom the target does not know as an administrator yet, and may never.
func TestWhoShallAdministerDoesNotCountBeforeTheTargetKnows(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.admins()
		h.says("1", "ada", true, "Admin")
		h.says("2", "bob", true, "")
		h.work()
		h.app.set(func(a model.Account) error {
			if a.UserName == "bob" {
				return engine.Permanent(errRefused)
			}
			return nil
		})
		h.says("2", "bob", true, "Admin") // takes over
		h.says("1", "ada", true, "")
		h.work()
		if d := cmp.Diff([]string{"ada"}, h.app.administer()); d != "" {
			t.Fatal(d)
		}
		h.app.set(nil)
		if _, err := h.Retry(h.ctx, model.AccountQuery{Target: "app"}, "operator"); err != nil {
			t.Fatal(err)
		}
		h.work()
		h.says("1", "ada", true, "Deputy") // decided about once more
		h.work()
		if a := h.accountOf("ada"); a.Administrator || a.AppliedAdministrator {
			t.Errorf("%+v", a)
		}
		if a := h.accountOf("bob"); !a.AppliedAdministrator {
			t.Errorf("%+v", a)
		}
	})
}

// D-21: whatever decided it, the target is not told that its last administrator is one no more.
func TestTheLastAdministratorIsNotDemotedAtTheLastStepEither(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.admins()
		h.says("1", "ada", true, "Admin")
		h.work()
		a := h.accountOf("ada")
		a.Administrator, a.Desired, a.DesiredRev = false, `{"userName":"ada"}`, a.DesiredRev+1
		if err := h.store.Commit(h.ctx, &engine.Commit{Accounts: []model.Account{a}}); err != nil {
			t.Fatal(err)
		}
		h.work()
		if d := cmp.Diff([]string{"ada"}, h.app.administer()); d != "" {
			t.Error(d)
		}
		if a := h.accountOf("ada"); a.ErrorCode != model.CodeLastAdministrator || !a.Dead {
			t.Errorf("%+v", a)
		}
	})
}

// M-16, D-21: who has stood in line behind another one sees what that one did. Many at once, of whom only some leave.
func TestAdministratorsLeaveByPushesToTwoReplicasAtOnce(t *testing.T) {
	t.Parallel()
	where := testserver.Postgres(t)
	h := newHouse(t, where)
	h.admins()
	const n = 6 // the guard lets go of as many
	for i := range n {
		h.says(fmt.Sprint(i), fmt.Sprintf("admin%02d", i), true, "Admin")
	}
	h.work()
	other, err := store.Open(h.ctx, store.Options{URL: where})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	there := *h
	there.opts.Store, there.opts.Replica = other, "two"
	there.Engine = engine.New(there.opts)
	var done sync.WaitGroup
	for i := range n {
		replica := []*house{h, &there}[i%2]
		done.Go(func() {
			replica.says(fmt.Sprint(i), fmt.Sprintf("admin%02d", i), i%3 == 0, "")
		})
	}
	stop, idle := context.WithTimeout(h.ctx, 2*time.Minute)
	defer idle()
	var working sync.WaitGroup
	for _, replica := range []*house{h, &there} {
		working.Go(func() {
			if _, _, err := replica.Work(stop); err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	working.Wait()
	h.work()
	if left := h.app.administer(); len(left) != 1 {
		t.Errorf("left are %q", left)
	}
}

// M-16, D-21: of two who should both go and are looked at together, each time, one stays and not two; an approval of both is no way around it.
func TestAdministratorsLookedAtTogetherDoNotKeepEachOther(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.admins()
		wide := h.opts.Guard
		h.limits(func(l *jml.Limits) { l.Count, l.Share = 0, 0 }, nil) // every leaver waits
		h.says("1", "ada", true, "Admin")
		h.says("2", "bob", true, "Admin")
		h.work()
		h.says("1", "ada", false, "Admin")
		h.says("2", "bob", false, "Admin")
		held := h.heldPlans()
		if len(held) == 0 {
			t.Fatal("nobody waits")
		}
		for _, p := range held {
			h.approve(p)
		}
		if left := h.app.administer(); len(left) == 0 {
			t.Fatal("nobody is left")
		}
		h.limits(func(l *jml.Limits) { *l = wide }, nil)
		for range 2 { // what is said once more is no news
			if err := h.store.Commit(h.ctx, &engine.Commit{ReviewAt: time.Unix(0, 0), People: []engine.RecordRef{{Source: "entra", ID: "1"}, {Source: "entra", ID: "2"}}}); err != nil {
				t.Fatal(err)
			}
			h.tend()
		}
		if left := h.app.administer(); len(left) != 1 {
			t.Errorf("left are %q", left)
		}
	})
}

// wishful is a store that tells an approval that somebody else administers the app, as one did when it was asked.
type wishful struct{ engine.Store }

func (s wishful) Administrators(ctx context.Context, target string) ([]model.Account, error) {
	all, err := s.Store.Administrators(ctx, target)
	return append(all, model.Account{IdentityID: "somebody", Target: target, State: model.AccountActive, Administrator: true}), err
}

// M-16, D-21: what is approved is looked at again when it is stored, as everything that takes an administrator away.
func TestAnApprovalDoesNotTakeTheLastAdministrator(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.admins()
		h.says("1", "ada", true, "Admin")
		h.says("2", "bob", true, "Admin")
		h.work()
		h.limits(func(l *jml.Limits) { l.Count, l.Share = 0, 0 }, nil)
		h.says("1", "ada", false, "Admin")
		held := h.heldPlans()
		bob := h.accountOf("bob") // goes meanwhile
		bob.State, bob.DesiredRev = model.AccountInactive, bob.DesiredRev+1
		if err := h.store.Commit(h.ctx, &engine.Commit{Accounts: []model.Account{bob}}); err != nil || len(held) != 1 {
			t.Fatal(held, err)
		}
		h.opts.Store = wishful{h.store}
		h.Engine = engine.New(h.opts)
		if _, err := h.Approve(h.ctx, held[0].ID, held[0].Digest, "operator ada"); !errors.Is(err, model.ErrStale) {
			t.Errorf("approved: %v", err)
		}
		if a := h.accountOf("ada"); a.State != model.AccountActive {
			t.Errorf("%+v", a)
		}
	})
}
