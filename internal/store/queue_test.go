package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"jmld/internal/store"
	"jmld/jml/engine"
	"jmld/model"
)

func TestClaimsOfManyWorkersNeverOverlap(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		c := &engine.Commit{}
		for i := range 300 {
			c.Accounts = append(c.Accounts, account(fmt.Sprintf("i-%03d", i), "platform", "{}"))
		}
		c.Accounts = append(c.Accounts, account("i-000", "elsewhere", "{}"))
		must(t, s.Commit(ctx, c))
		var mu sync.Mutex
		var wg sync.WaitGroup
		seen := map[string]int{}
		for w := range 8 {
			wg.Go(func() {
				for {
					got, err := s.Claim(ctx, "platform", fmt.Sprint("w", w), time.Minute, 7)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					for _, a := range got {
						seen[a.IdentityID]++
						if a.Target != "platform" || a.Epoch != 1 || a.LeaseOwner != fmt.Sprint("w", w) {
							t.Errorf("claimed %+v", a)
						}
					}
					all := len(seen)
					mu.Unlock()
					if all == 300 {
						return
					}
				}
			})
		}
		wg.Wait()
		for id, n := range seen {
			if n != 1 {
				t.Errorf("%s was claimed %d times", id, n)
			}
		}
	})
}

func TestLeaversAreClaimedFirst(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		for i := range 6 {
			a := account(fmt.Sprint("i-", i), "platform", "{}")
			if i >= 4 {
				a.Priority = 0
			}
			must(t, s.Commit(ctx, &engine.Commit{Accounts: []model.Account{a}}))
		}
		var order []string
		for range 3 {
			for _, a := range get[[]model.Account](t)(s.Claim(ctx, "platform", "w", time.Minute, 3)) {
				order = append(order, a.IdentityID)
			}
		}
		if diff := cmp.Diff([]string{"i-4", "i-5", "i-0", "i-1", "i-2", "i-3"}, order); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAnEndedLeaseIsTakenOverAndItsFirstOwnerFenced(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		must(t, s.Commit(ctx, joined("entra", "1", "ada")))
		first := get[[]model.Account](t)(s.Claim(ctx, "platform", "w1", 20*time.Millisecond, 1))[0]
		time.Sleep(40 * time.Millisecond)
		second := claimOne(t, s)
		if second.Epoch != first.Epoch+1 {
			t.Errorf("epochs %d, %d", first.Epoch, second.Epoch)
		}
		if err := s.Settle(ctx, first); !errors.Is(err, model.ErrStale) {
			t.Errorf("settle by the first owner: %v", err)
		}
		if err := s.Fail(ctx, first, time.Second); !errors.Is(err, model.ErrStale) {
			t.Errorf("fail by the first owner: %v", err)
		}
		must(t, s.Settle(ctx, second))
		if due, err := s.Claim(ctx, "platform", "anybody", time.Minute, 1); len(due) > 0 || err != nil {
			t.Errorf("due: %+v, %v", due, err)
		}
	})
}

func TestAChangeThatArrivesWhileAWorkerRunsIsNotLost(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		must(t, s.Commit(ctx, joined("entra", "1", "ada")))
		claimed := claimOne(t, s)
		next := account("i-1", "platform", `{"userName":"lovelace"}`)
		must(t, s.Commit(ctx, &engine.Commit{Accounts: []model.Account{next}}))
		if got := get[[]model.Account](t)(s.Claim(ctx, "platform", "w2", time.Minute, 1)); len(got) != 0 {
			t.Fatal("a leased account was claimed")
		}
		claimed.AppliedState = model.AccountActive
		must(t, s.Settle(ctx, claimed))
		again := claimOne(t, s)
		if again.DesiredRev != 2 || again.AppliedRev != 1 || again.Desired != next.Desired {
			t.Errorf("desired revision %d (%s), applied %d", again.DesiredRev, again.Desired, again.AppliedRev)
		}
		// The same with a failure: what was wrong with the old revision says nothing about the new one.
		next.Desired = `{"userName":"king"}`
		must(t, s.Commit(ctx, &engine.Commit{Accounts: []model.Account{next}}))
		again.Attempts, again.ErrorCode, again.Dead = 12, model.CodeTargetRefused, true
		must(t, s.Fail(ctx, again, time.Hour))
		third := claimOne(t, s)
		if third.DesiredRev != 3 || third.Attempts != 0 || third.Dead || third.ErrorCode != "" {
			t.Errorf("%+v", third)
		}
	})
}

func TestFailureWaitsAndRetryHurriesIt(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		must(t, s.Commit(ctx, joined("entra", "1", "ada")))
		must(t, s.Commit(ctx, joined("entra", "2", "bob")))
		fail := func(code model.Code, dead bool) {
			a := claimOne(t, s)
			a.Attempts, a.ErrorCode, a.ErrorText, a.Dead = a.Attempts+1, code, "no", dead
			must(t, s.Fail(ctx, a, time.Hour))
		}
		fail(model.CodeTargetUnreachable, false)
		fail(model.CodeTargetRefused, true)
		if due, err := s.Claim(ctx, "platform", "anybody", time.Minute, 2); len(due) > 0 || err != nil {
			t.Errorf("due within the hour: %+v, %v", due, err)
		}
		want := []model.Problem{
			{Target: "platform", Code: model.CodeTargetUnreachable, Text: "no", Count: 1},
			{Target: "platform", Code: model.CodeTargetRefused, Text: "no", Dead: true, Count: 1},
		}
		problems := get[[]model.Problem](t)(s.Problems(ctx))
		sorted := cmpopts.SortSlices(func(a, b model.Problem) bool { return a.Code < b.Code })
		if diff := cmp.Diff(want, problems, cmpopts.IgnoreFields(model.Problem{}, "Oldest"), sorted); diff != "" {
			t.Error(diff)
		}
		if time.Since(problems[0].Oldest).Abs() > time.Minute {
			t.Errorf("oldest %v", problems[0].Oldest)
		}
		tally := get[model.Tally](t)(s.Tally(ctx))
		if diff := cmp.Diff(model.Tally{
			Identities: map[model.Lifecycle]int{model.Active: 2},
			Accounts:   []model.AccountTally{{Target: "platform", Class: model.ClassPlatform, Active: 2, Retrying: 1, Dead: 1}},
		}, tally); diff != "" {
			t.Error(diff)
		}
		for _, step := range []struct {
			q    model.AccountQuery
			want int
		}{
			{model.AccountQuery{Code: model.CodeTargetRefused}, 1}, {model.AccountQuery{Target: "elsewhere"}, 0},
			{model.AccountQuery{Search: "ada", Limit: 10}, 1}, {model.AccountQuery{}, 2},
		} {
			if n := get[int](t)(s.Retry(ctx, step.q)); n != step.want {
				t.Errorf("retry %+v made %d due, want %d", step.q, n, step.want)
			}
		}
		got := get[[]model.Account](t)(s.Claim(ctx, "platform", "w", time.Minute, 5))
		if len(got) != 2 || got[0].Dead || got[1].Dead {
			t.Errorf("claimed %+v", got)
		}
		if n := get[int](t)(s.Retry(ctx, model.AccountQuery{})); n != 0 {
			t.Errorf("retry took %d accounts away from their worker", n)
		}
	})
}

func TestSettledAccountsAreNotRetried(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		must(t, s.Commit(ctx, joined("entra", "1", "ada")))
		a := claimOne(t, s)
		a.NativeID, a.AppliedState, a.Applied = "n", model.AccountActive, "{}"
		must(t, s.Settle(ctx, a))
		if n := get[int](t)(s.Retry(ctx, model.AccountQuery{})); n != 0 {
			t.Errorf("%d made due", n)
		}
		got := get[[]model.Account](t)(s.Accounts(ctx, model.AccountQuery{}))[0]
		if got.AppliedAt == nil || got.DueAt != nil || got.AppliedRev != 1 || got.LeaseOwner != "" {
			t.Errorf("%+v", got)
		}
		if tally := get[model.Tally](t)(s.Tally(ctx)); tally.Accounts[0].Settled != 1 {
			t.Errorf("%+v", tally)
		}
	})
}

func TestAnAccountThatIsOnlyHeldIsNotDue(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		held := model.Account{IdentityID: "i", Target: "platform", HeldPlan: "p"}
		must(t, s.Commit(ctx, &engine.Commit{Accounts: []model.Account{held}}))
		if due, err := s.Claim(ctx, "platform", "anybody", time.Minute, 1); len(due) > 0 || err != nil {
			t.Errorf("due: %+v, %v", due, err)
		}
	})
}
