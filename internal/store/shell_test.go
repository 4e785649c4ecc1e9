package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"jmld/internal/store"
	"jmld/jml/engine"
	"jmld/model"
)

func TestLeaseHasOneOwnerAndAGrowingFence(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		acquire := func(owner string, ttl time.Duration, wantFence int64, wantOK bool) {
			t.Helper()
			fence, ok, err := s.Acquire(ctx, "read:corp", owner, ttl)
			if err != nil || ok != wantOK || ok && fence != wantFence {
				t.Errorf("%s: fence %d, ok %t, %v; want %d, %t", owner, fence, ok, err, wantFence, wantOK)
			}
		}
		acquire("a", time.Minute, 1, true)
		acquire("a", time.Minute, 1, true)
		acquire("b", time.Minute, 0, false)
		must(t, s.Release(ctx, "read:corp", "b"))
		acquire("b", time.Minute, 0, false)
		must(t, s.Release(ctx, "read:corp", "a"))
		acquire("b", 10*time.Millisecond, 2, true)
		time.Sleep(30 * time.Millisecond)
		acquire("a", time.Minute, 3, true)
		now := get[time.Time](t)(s.Now(ctx))
		if time.Since(now).Abs() > time.Minute || now.Location() != time.UTC {
			t.Errorf("the database's clock says %v", now)
		}
	})
}

func TestAScheduledRunStartsOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		if _, err := s.LastScheduled(ctx, "read:corp"); !errors.Is(err, model.ErrNotFound) {
			t.Errorf("got %v", err)
		}
		run := func(n int, scheduled *time.Time) *model.Run {
			return &model.Run{
				ID: fmt.Sprintf("run-%02d", n), Job: "read:corp", Source: "corp", Trigger: "schedule", ScheduledAt: scheduled,
				State: model.RunRunning, StartedAt: at(n), HeartbeatAt: at(n),
			}
		}
		first := run(1, ptr(at(10)))
		must(t, s.StartRun(ctx, first))
		if err := s.StartRun(ctx, run(2, ptr(at(10)))); !errors.Is(err, model.ErrConflict) {
			t.Errorf("got %v", err)
		}
		must(t, s.StartRun(ctx, run(3, nil)))
		must(t, s.StartRun(ctx, run(4, nil)))
		must(t, s.StartRun(ctx, run(5, ptr(at(5)))))
		if diff := cmp.Diff(*first, get[model.Run](t)(s.LastScheduled(ctx, "read:corp"))); diff != "" {
			t.Error(diff)
		}
		first.State, first.Verdict, first.Proof, first.Funnel, first.FinishedAt = model.RunSucceeded, model.VerdictComplete, "{}", `{"users":1}`, ptr(at(20))
		must(t, s.UpdateRun(ctx, first))
		if diff := cmp.Diff(*first, get[model.Run](t)(s.Run(ctx, "run-01"))); diff != "" {
			t.Error(diff)
		}
		must(t, s.AbandonRuns(ctx, "read:corp", "run-04"))
		states := map[string]model.RunState{}
		for _, r := range get[[]model.Run](t)(s.RunList(ctx, "corp", 0, "")) {
			states[r.ID] = r.State
		}
		want := map[string]model.RunState{
			"run-01": model.RunSucceeded, "run-03": model.RunAbandoned, "run-04": model.RunRunning, "run-05": model.RunAbandoned,
		}
		if diff := cmp.Diff(want, states); diff != "" {
			t.Error(diff)
		}
		late := run(3, nil)
		late.State = model.RunSucceeded
		if err := s.UpdateRun(ctx, late); !errors.Is(err, model.ErrStale) {
			t.Errorf("an abandoned run went on: %v", err)
		}
		if err := s.UpdateRun(ctx, run(9, nil)); !errors.Is(err, model.ErrNotFound) {
			t.Errorf("got %v", err)
		}
		page := get[[]model.Run](t)(s.RunList(ctx, "", 1, "run-04"))
		if len(page) != 1 || page[0].ID != "run-03" {
			t.Errorf("page %+v", page)
		}
	})
}

func TestPlansAreSealedOverWhatWaits(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		if _, err := s.OpenPlan(ctx, "corp", "read", model.BrakeLeavers); !errors.Is(err, model.ErrNotFound) {
			t.Errorf("got %v", err)
		}
		plan := model.Plan{
			ID: "plan", RunID: "run", Source: "corp", Trigger: "read", State: model.PlanOpen, Brake: model.BrakeLeavers, ExpiresAt: at(50), CreatedAt: at(1), UpdatedAt: at(1),
		}
		change := func(n int, state model.ChangeState, by string) model.Change {
			return model.Change{
				ID: fmt.Sprint("c", n), PlanID: "plan", RunID: "run", Source: "corp", IdentityID: fmt.Sprint("i", n), Target: "app",
				Op: model.OpDeactivate, Before: "{}", After: "{}", Because: "{}", State: state, At: at(n), DecidedBy: by,
			}
		}
		c := &engine.Commit{Plans: []model.Plan{plan}, Changes: []model.Change{
			change(1, model.ChangePending, ""), change(2, model.ChangePending, ""), change(3, model.ChangeCommitted, "guard"),
			change(4, model.ChangeCommitted, ""), change(5, model.ChangeCommitted, "operator ada"),
		}}
		must(t, s.Commit(ctx, c))
		sealed := get[model.Plan](t)(s.SealPlan(ctx, "plan", model.PlanHeld))
		if sealed.Items != 2 || len(sealed.Digest) != 64 || sealed.State != model.PlanHeld {
			t.Errorf("sealed %+v", sealed)
		}
		open := get[model.Plan](t)(s.OpenPlan(ctx, "corp", "read", model.BrakeLeavers))
		if diff := cmp.Diff(sealed, open, cmpopts.IgnoreFields(model.Plan{}, "UpdatedAt")); diff != "" {
			t.Error(diff)
		}
		again := get[model.Plan](t)(s.SealPlan(ctx, "plan", ""))
		if again.Digest != sealed.Digest || again.State != model.PlanHeld {
			t.Errorf("nothing changed, and it is %+v", again)
		}
		held := get[[]model.Change](t)(s.Changes(ctx, model.ChangeQuery{PlanID: "plan", States: []model.ChangeState{model.ChangeHeld}}))
		if len(held) != 2 || held[0].ID != "c2" {
			t.Errorf("held %+v", held)
		}
		// D-05: a person approved one; the guard counts only what went without a person.
		must(t, s.Commit(ctx, &engine.Commit{Decided: []model.Change{
			{ID: "c1", State: model.ChangeCommitted, DecidedBy: "operator ada", DecidedAt: ptr(at(8))},
		}}))
		if n := get[map[string]int](t)(s.Lost(ctx, "corp", at(0))); !maps.Equal(n, map[string]int{"": 2, "app": 2}) {
			t.Errorf("lost %v, want those of the guard and those committed at once", n)
		}
		twice, other := change(6, model.ChangeCommitted, ""), change(7, model.ChangeCommitted, "")
		twice.IdentityID, twice.Target, other.Target = "i4", "platform", "platform"
		must(t, s.Commit(ctx, &engine.Commit{Changes: []model.Change{twice, other}}))
		if n := get[map[string]int](t)(s.Lost(ctx, "corp", at(0))); !maps.Equal(n, map[string]int{"": 3, "app": 2, "platform": 2}) {
			t.Errorf("lost %v, want whoever lost several accounts once", n)
		}
		if n := get[map[string]int](t)(s.Lost(ctx, "corp", at(40))); !maps.Equal(n, map[string]int{"": 0}) {
			t.Errorf("lost %v, want nobody", n)
		}
		if n := get[map[string]int](t)(s.Lost(ctx, "corp", at(4))); n[""] != 2 || n["app"] != 1 {
			t.Errorf("lost %v since the fourth", n)
		}
		got := get[[]model.Change](t)(s.Changes(ctx, model.ChangeQuery{RunID: "run", IdentityID: "i1", Ops: []model.Op{model.OpDeactivate}}))
		want := change(1, model.ChangeCommitted, "operator ada")
		want.DecidedAt = ptr(at(8))
		if diff := cmp.Diff([]model.Change{want}, got); diff != "" {
			t.Error(diff)
		}
		left := get[model.Plan](t)(s.SealPlan(ctx, "plan", ""))
		if left.Items != 1 || left.Digest == sealed.Digest {
			t.Errorf("after one was let go: %+v", left)
		}
		plans := get[[]model.Plan](t)(s.Plans(ctx, []model.PlanState{model.PlanHeld, model.PlanExpired}, 10))
		if len(plans) != 1 || plans[0].ID != "plan" {
			t.Errorf("plans %+v", plans)
		}
		page := get[[]model.Change](t)(s.Changes(ctx, model.ChangeQuery{Source: "corp", Before: "c5", Limit: 2}))
		if len(page) != 2 || page[0].ID != "c4" || page[1].ID != "c3" {
			t.Errorf("page %+v", page)
		}
		if _, err := s.SealPlan(ctx, "none", ""); !errors.Is(err, model.ErrNotFound) {
			t.Errorf("got %v", err)
		}
		if tally := get[model.Tally](t)(s.Tally(ctx)); tally.Held != 1 {
			t.Errorf("tally %+v", tally)
		}
	})
}

func TestSupportedCountsPeopleWithAnActiveAccount(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		for i := range 4 {
			c := joined("entra", fmt.Sprint(i), fmt.Sprint("u", i))
			if i == 3 {
				c.Accounts[0].State = model.AccountInactive
			}
			must(t, s.Commit(ctx, c))
		}
		must(t, s.Commit(ctx, joined("corp", "9", "nine")))
		if n := get[map[string]int](t)(s.Supported(ctx, "entra")); n[""] != 3 || n["platform"] != 3 {
			t.Errorf("supported %v", n)
		}
	})
}

func TestTokens(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		one := model.Token{ID: "t1", Source: "entra", Name: "laptop", Hash: []byte("0123456789abcdef0123456789abcdef"), CreatedAt: at(1)}
		two := model.Token{ID: "t2", Source: "okta", Name: "other", Hash: []byte("x"), CreatedAt: at(2), ExpiresAt: ptr(at(50))}
		must(t, s.AddToken(ctx, one))
		must(t, s.AddToken(ctx, two))
		if diff := cmp.Diff([]model.Token{one, two}, get[[]model.Token](t)(s.Tokens(ctx, ""))); diff != "" {
			t.Error(diff)
		}
		must(t, s.TouchTokens(ctx, map[string]time.Time{"t1": at(9), "t2": at(9)}))
		must(t, s.TouchTokens(ctx, map[string]time.Time{"t1": at(8)}))
		must(t, s.RevokeToken(ctx, "entra", "t1"))
		got := get[[]model.Token](t)(s.Tokens(ctx, "entra"))[0]
		if got.RevokedAt == nil || time.Since(*got.RevokedAt).Abs() > time.Minute {
			t.Fatalf("revoked at %v", got.RevokedAt)
		}
		revoked := *got.RevokedAt
		must(t, s.RevokeToken(ctx, "entra", "t1"))
		one.LastUsed, one.RevokedAt = ptr(at(9)), &revoked
		if diff := cmp.Diff([]model.Token{one}, get[[]model.Token](t)(s.Tokens(ctx, "entra"))); diff != "" {
			t.Error(diff)
		}
		if err := s.RevokeToken(ctx, "entra", "t2"); !errors.Is(err, model.ErrNotFound) {
			t.Errorf("a token of another source: %v", err)
		}
	})
}

func TestPeopleAreFoundByNameOrExactKey(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		for i, name := range []string{"ada", "bob", "zoë", "a_b", "a%b"} {
			must(t, s.Commit(ctx, joined("entra", fmt.Sprint(i), name)))
		}
		other := person("i-x", "old")
		other.Lifecycle = model.Archived
		must(t, s.Commit(ctx, &engine.Commit{Identities: []engine.IdentityWrite{{New: other, AddKeys: []model.Key{{Name: "employeeNumber", Value: "4711"}}}}}))
		for search, want := range map[string][]string{
			"":                 {"a%b", "a_b", "ada", "bob", "old", "zoë"},
			"NAME OF B":        {"bob"},
			"da@exam":          {"ada"},
			"ZOË":              {"zoë"},
			"a_b":              {"a_b"},
			"a%b":              {"a%b"},
			"i-1":              {"bob"},
			"r-0":              {"ada"},
			"4711":             {"old"},
			"471":              nil,
			" bob@example.org": {"bob"},
		} {
			var got []string
			for _, p := range get[[]model.Identity](t)(s.People(ctx, model.PeopleQuery{Search: search})) {
				got = append(got, p.UserName)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%q: %s", search, diff)
			}
		}
		for search, want := range map[string][]string{ // as a whole
			"Name of B": nil, "NAME OF BOB": {"bob"}, "Bob": {"bob"}, "bo": nil, "da@example.org": nil, "ADA@example.org": {"ada"}, "a%b": {"a%b"}, "a_b": {"a_b"}, "ZOË": {"zoë"},
			"i-1": {"bob"}, "r-0": {"ada"}, "4711": {"old"}, "%": nil, "ada\nada@example.org": nil,
		} {
			var got []string
			for _, p := range get[[]model.Identity](t)(s.People(ctx, model.PeopleQuery{Search: search, Whole: true})) {
				got = append(got, p.UserName)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("all of %q: %s", search, diff)
			}
		}
		got := get[[]model.Identity](t)(s.People(ctx, model.PeopleQuery{Lifecycle: model.Active, Offset: 1, Limit: 2}))
		if len(got) != 2 || got[0].UserName != "a_b" || got[1].UserName != "ada" {
			t.Errorf("%+v", got)
		}
		accounts := get[[]model.Account](t)(s.Accounts(ctx, model.AccountQuery{Search: "bob", Unsettled: true, State: model.AccountActive, Target: "platform", Class: model.ClassPlatform}))
		if len(accounts) != 1 || accounts[0].IdentityID != "i-1" {
			t.Errorf("%+v", accounts)
		}
		var all, paged []string
		for _, a := range get[[]model.Account](t)(s.Accounts(ctx, model.AccountQuery{Target: "platform"})) {
			all = append(all, a.IdentityID)
		}
		slices.Sort(all)
		for last := ""; ; {
			page := get[[]model.Account](t)(s.Accounts(ctx, model.AccountQuery{Target: "platform", ByIdentity: true, After: last, Limit: 1}))
			if len(page) == 0 {
				break
			}
			last = page[0].IdentityID
			paged = append(paged, last)
		}
		if diff := cmp.Diff(all, paged); diff != "" || len(all) < 2 {
			t.Errorf("page by page: %s %v", diff, all)
		}
		if _, err := s.Identity(ctx, "i-none"); !errors.Is(err, model.ErrNotFound) {
			t.Errorf("got %v", err)
		}
		for _, subject := range []string{"", "r-1"} {
			entries := get[[]model.AuditEntry](t)(s.AuditList(ctx, subject, 2))
			if len(entries) == 0 || entries[0].Action != "scim.create" {
				t.Errorf("audit of %q: %+v", subject, entries)
			}
		}
	})
}

func TestLocalTables(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		row := model.PlatformUser{
			Target: "platform", ID: "i-2", UserName: "Ada", Email: "ada@example.org", DisplayName: "Ada L", Active: true,
			Attributes: "{}", UpdatedAt: at(1),
		}
		want := row
		want.CreatedAt = at(1)
		for _, class := range []model.Class{model.ClassPlatform, model.ClassApp} {
			if _, err := s.GetLocal(ctx, class, "platform", "i-2"); !errors.Is(err, model.ErrNotFound) {
				t.Errorf("got %v", err)
			}
			must(t, s.PutLocal(ctx, class, row))
			same := row
			same.UpdatedAt = at(5)
			must(t, s.PutLocal(ctx, class, same))
			if diff := cmp.Diff(want, get[model.PlatformUser](t)(s.GetLocal(ctx, class, "platform", "i-2"))); diff != "" {
				t.Errorf("nothing differed: %s", diff)
			}
			same.Active = false
			must(t, s.PutLocal(ctx, class, same))
			changed := want
			changed.Active, changed.UpdatedAt = false, at(5)
			other := row
			other.ID = "i-1"
			if err := s.PutLocal(ctx, class, other); !errors.Is(err, model.ErrConflict) {
				t.Errorf("a user name that is taken: %v", err)
			}
			other.UserName = "bob"
			must(t, s.PutLocal(ctx, class, other))
			elsewhere := row
			elsewhere.Target = "scratch"
			must(t, s.PutLocal(ctx, class, elsewhere))
			other.CreatedAt = at(1)
			var got []model.PlatformUser
			must(t, s.EachLocal(ctx, class, "platform", func(u model.PlatformUser) error {
				got = append(got, u)
				return nil
			}))
			if diff := cmp.Diff([]model.PlatformUser{other, changed}, got); diff != "" {
				t.Error(diff)
			}
			stop := errors.New("stop")
			if err := s.EachLocal(ctx, class, "platform", func(model.PlatformUser) error { return stop }); !errors.Is(err, stop) {
				t.Errorf("got %v", err)
			}
			must(t, s.DeleteLocal(ctx, class, "platform", "i-2"))
			must(t, s.DeleteLocal(ctx, class, "platform", "i-2"))
			if _, err := s.GetLocal(ctx, class, "platform", "i-2"); !errors.Is(err, model.ErrNotFound) {
				t.Errorf("got %v", err)
			}
		}
		if err := s.PutLocal(ctx, "other", row); !errors.Is(err, model.ErrInvalid) {
			t.Errorf("got %v", err)
		}
	})
}

func TestHashesStreamsEveryRecordOfTheSource(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		c := &engine.Commit{}
		want := map[string]string{}
		for i := range 2000 { // SQLite answers with some hundreds at once
			r := user("corp", fmt.Sprint("r", i), fmt.Sprint("u", i), "")
			r.Hash = fmt.Appendf(nil, "%016d", i)
			switch i % 500 {
			case 3:
				r.ID, r.Hash = fmt.Sprintf("ö 1 %d\n0", i), []byte{}
			case 4: // whatever a hash is made of, and however long it is
				r.ID, r.Hash = fmt.Sprintf("16 user %d", i), bytes.Repeat([]byte{0, 'g', 0xff, ' '}, 1+i/100)
			case 5:
				r.Hash = make([]byte, 16)
			case 6:
				r.ID, r.Kind = fmt.Sprintf("user%d", i), model.KindGroup
			}
			want[r.ID] = fmt.Sprintf("%s %x", r.Kind, r.Hash)
			c.Records = append(c.Records, engine.Write{New: &r})
		}
		other := group("entra", "g", "G")
		c.Records = append(c.Records, engine.Write{New: &other})
		must(t, s.Commit(ctx, c))
		got := map[string]string{}
		must(t, s.Hashes(ctx, "corp", func(id []byte, kind model.Kind, hash []byte) error {
			if _, twice := got[string(id)]; twice {
				t.Errorf("%s comes twice", id)
			}
			got[string(id)] = fmt.Sprintf("%s %x", kind, hash)
			return nil
		}))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}
