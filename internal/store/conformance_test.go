package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"jmld/internal/store"
	"jmld/jml/engine"
	"jmld/model"
)

func TestLoadReturnsWhatCommitStored(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		c := joined("entra", "1", "ada")
		must(t, s.Commit(ctx, c))
		other := user("corp", "r-9", "ada", "i-1")
		parent, child := group("entra", "g-all", "Everybody"), group("entra", "g-dev", "developers")
		must(t, s.Commit(ctx, &engine.Commit{Records: []engine.Write{
			{New: &other}, {New: &parent, AddMembers: []string{"g-dev"}}, {New: &child, AddMembers: []string{"r-1", "r-nobody"}},
		}}))
		want := engine.Person{
			Record:   c.Records[0].New,
			Owners:   map[model.Key]string{{Name: "userName", Value: "ada"}: "i-1"},
			Identity: &c.Identities[0].New,
			Records:  []model.Record{other, *c.Records[0].New},
			Keys:     []model.Key{{Name: "email", Value: "ada@example.org"}, {Name: "userName", Value: "ada"}},
			Accounts: []model.Account{c.Accounts[0]},
			Groups: []model.Membership{
				{Source: "entra", GroupID: "g-all", DisplayName: "Everybody"},
				{Source: "entra", GroupID: "g-dev", DisplayName: "developers", Direct: true},
			},
		}
		owned := []model.Key{{Name: "userName", Value: "ada"}, {Name: "employeeNumber", Value: "7"}}
		got, err := s.Load(ctx, []engine.Subject{
			{Source: "entra", Record: "r-1", Keys: owned},
			{Identity: "i-1"},
			{Source: "okta", Record: "r-new", Keys: owned},
			{Source: "okta", Record: "r-unknown"},
		})
		must(t, err)
		if got[0].Accounts[0].DueAt == nil {
			t.Error("a new account is not due")
		}
		for i := range got {
			for j := range got[i].Accounts {
				got[i].Accounts[j].DueAt = nil
			}
		}
		byIdentity, byKey := want, want
		byIdentity.Record, byIdentity.Owners = nil, map[model.Key]string{}
		byKey.Record = nil
		if diff := cmp.Diff([]engine.Person{want, byIdentity, byKey, {Owners: map[model.Key]string{}}}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestLoadFindsNobodyWhenKeysPointToSeveral(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		must(t, s.Commit(ctx, joined("entra", "1", "ada")))
		must(t, s.Commit(ctx, joined("entra", "2", "bob")))
		got, err := s.Load(ctx, []engine.Subject{{Source: "corp", Record: "n", Keys: []model.Key{
			{Name: "userName", Value: "ada"}, {Name: "email", Value: "bob@example.org"},
		}}})
		must(t, err)
		want := []engine.Person{{Owners: map[model.Key]string{
			{Name: "userName", Value: "ada"}: "i-1", {Name: "email", Value: "bob@example.org"}: "i-2",
		}}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// D-20: two first requests for one person meet at the key.
func TestOneKeyMakesOnePersonHoweverManyTry(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		errs := make([]error, 64)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() {
				c := joined(fmt.Sprintf("source%d", i), fmt.Sprint(i), "ada")
				errs[i] = s.Commit(ctx, c)
			})
		}
		wg.Wait()
		stored := 0
		for _, err := range errs {
			switch {
			case err == nil:
				stored++
			case !errors.Is(err, model.ErrStale):
				t.Error(err)
			}
		}
		people := get[[]model.Identity](t)(s.People(ctx, model.PeopleQuery{}))
		if stored != 1 || len(people) != 1 {
			t.Errorf("%d commits succeeded, %d people exist", stored, len(people))
		}
	})
}

func TestCommitIsAllOrNothing(t *testing.T) {
	t.Parallel()
	seed := func(t *testing.T, s *store.Store) *engine.Commit {
		c := joined("entra", "1", "ada")
		must(t, s.Commit(ctxOf(t), c))
		return c
	}
	taken := user("entra", "r-2", "ADA", "")
	elsewhere := taken
	elsewhere.Source = "okta"
	for name, test := range map[string]struct {
		spoil func(first, c *engine.Commit)
		want  error
	}{
		"a userName that the source has":      {func(_, c *engine.Commit) { c.Records = append(c.Records, engine.Write{New: &taken}) }, model.ErrConflict},
		"the same userName in another source": {func(_, c *engine.Commit) { c.Records = append(c.Records, engine.Write{New: &elsewhere}) }, nil},
		"a record that exists": {func(f, c *engine.Commit) {
			r := *f.Records[0].New
			r.UniqueKey = ""
			c.Records = append(c.Records, engine.Write{New: &r})
		}, model.ErrStale},
		"a record of another version": {func(f, c *engine.Commit) {
			r := *f.Records[0].New
			r.Version = 7
			c.Records = append(c.Records, engine.Write{Old: &r, New: &r})
		}, model.ErrStale},
		"a deletion of another version": {func(f, c *engine.Commit) {
			r := *f.Records[0].New
			r.Version = 7
			c.Records = append(c.Records, engine.Write{Old: &r})
		}, model.ErrStale},
		"an identity of another version": {func(f, c *engine.Commit) {
			c.Identities = append(c.Identities, engine.IdentityWrite{New: f.Identities[0].New, Expect: 2})
		}, model.ErrStale},
		"an identity that exists": {func(f, c *engine.Commit) {
			c.Identities = append(c.Identities, engine.IdentityWrite{New: f.Identities[0].New})
		}, model.ErrStale},
		"a key that belongs to somebody":        {func(f, c *engine.Commit) { c.Identities[0].AddKeys = f.Identities[0].AddKeys }, model.ErrStale},
		"a change that exists":                  {func(f, c *engine.Commit) { c.Changes = append(c.Changes, f.Changes...) }, model.ErrStale},
		"a decision about a change that is not": {func(_, c *engine.Commit) { c.Decided = []model.Change{{ID: "none"}} }, model.ErrStale},
		"an audit entry that exists":            {func(f, c *engine.Commit) { c.Audit = append(c.Audit, f.Audit...) }, model.ErrStale},
		"an id too long for an index":           {func(_, c *engine.Commit) { c.Records[0].New.ID = strings.Repeat("x", 3000) }, model.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, s *store.Store) {
				ctx := ctxOf(t)
				firstCommit := seed(t, s)
				c := joined("entra", "3", "cleo")
				test.spoil(firstCommit, c)
				if err := s.Commit(ctx, c); !errors.Is(err, test.want) {
					t.Fatalf("got %v, want %v", err, test.want)
				}
				people := get[[]model.Identity](t)(s.People(ctx, model.PeopleQuery{}))
				entries := get[[]model.AuditEntry](t)(s.AuditList(ctx, "", 0))
				accounts := get[[]model.Account](t)(s.Accounts(ctx, model.AccountQuery{}))
				n := 1
				if test.want == nil {
					n = 2
				}
				if len(people) != n || len(entries) != n || len(accounts) != n {
					t.Errorf("%d people, %d audit entries, %d accounts", len(people), len(entries), len(accounts))
				}
			})
		})
	}
}

// Concurrent writers of one SQLite transaction group: one that fails takes nobody with it.
func TestAFailingCommitDoesNotFailItsNeighbours(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		must(t, s.Commit(ctx, joined("entra", "0", "taken")))
		var wg sync.WaitGroup
		for i := 1; i <= 200; i++ {
			wg.Go(func() {
				name, want := fmt.Sprint("user", i), error(nil)
				if i%5 == 0 {
					name, want = "taken", model.ErrStale
				}
				if err := s.Commit(ctx, joined("entra", fmt.Sprint(i), name)); !errors.Is(err, want) {
					t.Errorf("%d: got %v, want %v", i, err, want)
				}
			})
		}
		wg.Wait()
		if people := get[[]model.Identity](t)(s.People(ctx, model.PeopleQuery{})); len(people) != 161 {
			t.Errorf("%d people", len(people))
		}
	})
}

func TestVersionsAreComparedAndSet(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		must(t, s.Commit(ctx, joined("entra", "1", "ada")))
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for done := 0; done < 5; {
					p := get[[]engine.Person](t)(s.Load(ctx, []engine.Subject{{Source: "entra", Record: "r-1"}}))[0]
					next := *p.Record
					next.Version++
					i := *p.Identity
					err := s.Commit(ctx, &engine.Commit{
						Records:    []engine.Write{{Old: p.Record, New: &next}},
						Identities: []engine.IdentityWrite{{New: i, Expect: i.Version}},
					})
					switch {
					case err == nil:
						done++
					case !errors.Is(err, model.ErrStale):
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		p := get[[]engine.Person](t)(s.Load(ctx, []engine.Subject{{Identity: "i-1"}}))[0]
		if p.Identity.Version != 41 || p.Records[0].Version != 41 {
			t.Errorf("identity version %d, record version %d, want 41", p.Identity.Version, p.Records[0].Version)
		}
	})
}

func TestDeletingARecordRemovesWhatHangsOnIt(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		c := joined("entra", "1", "ada")
		must(t, s.Commit(ctx, c))
		g, h := group("entra", "g", "G"), group("entra", "h", "H")
		must(t, s.Commit(ctx, &engine.Commit{Records: []engine.Write{
			{New: &g, AddMembers: []string{"r-1", "h"}}, {New: &h, AddMembers: []string{"r-1"}},
		}}))
		must(t, s.Commit(ctx, &engine.Commit{Records: []engine.Write{{Old: &g}, {Old: c.Records[0].New}}}))
		if got := get[[]string](t)(s.MembersAmong(ctx, "entra", "h", nil)); len(got) != 0 {
			t.Errorf("members of h: %v", got)
		}
		// The same ids again: nothing of the old is left.
		must(t, s.Commit(ctx, &engine.Commit{Records: []engine.Write{{New: &g}, {New: c.Records[0].New}}}))
		if got := get[[]string](t)(s.MembersAmong(ctx, "entra", "g", nil)); len(got) != 0 {
			t.Errorf("members of g: %v", got)
		}
		page := get[model.Page](t)(s.Query(ctx, model.Query{Source: "entra", Kind: model.KindUser, Limit: 5, Match: func(*model.Record, []bool) bool { return true },
			Filter: model.Compare{Attr: model.AttrRef{Path: []string{"emails", "value"}}, Op: model.OpEq, Value: "ada@example.org"}}))
		if page.Total != 0 {
			t.Error("the searchable values of the deleted record are still there")
		}
	})
}

func TestAKeyMayMoveFromOnePersonToAnotherInOneCommit(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		a, b := joined("entra", "1", "ada"), joined("entra", "2", "bob")
		must(t, s.Commit(ctx, a))
		must(t, s.Commit(ctx, b))
		key := []model.Key{{Name: "userName", Value: "ada"}}
		must(t, s.Commit(ctx, &engine.Commit{Identities: []engine.IdentityWrite{
			{New: b.Identities[0].New, Expect: 1, AddKeys: key},
			{New: a.Identities[0].New, Expect: 1, DropKeys: key},
		}}))
		got := get[[]engine.Person](t)(s.Load(ctx, []engine.Subject{{Source: "x", Record: "y", Keys: key}}))[0]
		if got.Owners[key[0]] != "i-2" {
			t.Errorf("owner %q", got.Owners[key[0]])
		}
	})
}

func TestCommitNeverTouchesWhatWorkersWrite(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		must(t, s.Commit(ctx, joined("entra", "1", "ada")))
		claimed := claimOne(t, s)
		claimed.NativeID, claimed.AppliedState, claimed.Applied, claimed.Origin = "n1", model.AccountActive, `{"a":1}`, model.OriginAdopted
		must(t, s.Settle(ctx, claimed))
		same := account("i-1", "platform", `{"userName":"ada"}`)
		same.HeldPlan = "plan-1"
		must(t, s.Commit(ctx, &engine.Commit{Accounts: []model.Account{same}}))
		got := get[[]model.Account](t)(s.Accounts(ctx, model.AccountQuery{}))[0]
		want := same
		want.Origin, want.NativeID, want.AppliedState, want.Applied, want.AppliedRev, want.Epoch = model.OriginAdopted, "n1", model.AccountActive, `{"a":1}`, 1, 1
		times := cmpopts.IgnoreFields(model.Account{}, "AppliedAt", "UpdatedAt")
		if diff := cmp.Diff(want, got, times); diff != "" {
			t.Error(diff)
		}
		same.HeldPlan, same.Desired, same.Priority = "", `{"userName":"ada2"}`, 0
		must(t, s.Commit(ctx, &engine.Commit{Accounts: []model.Account{same}}))
		got = get[[]model.Account](t)(s.Accounts(ctx, model.AccountQuery{}))[0]
		if got.DueAt == nil {
			t.Error("a changed account is not due")
		}
		want.HeldPlan, want.Desired, want.DesiredRev, want.Priority = "", same.Desired, 2, 0
		if diff := cmp.Diff(want, got, times, cmpopts.IgnoreFields(model.Account{}, "DueAt")); diff != "" {
			t.Error(diff)
		}
	})
}

// One strange entry of a directory must not stop the read of the others.
func TestStrangeValuesAreStored(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		long := strings.Repeat("größer ", 1000)
		c := joined("corp", "1", "nul\x00 and \xff")
		c.Records[0].New.Attrs = `{"title":"\u0000","userName":"x"}`
		c.Records[0].AddValues = append(c.Records[0].AddValues, model.Value{Attr: "emails.value", Value: long})
		must(t, s.Commit(ctx, c))
		d := joined("corp", "2", long)
		must(t, s.Commit(ctx, d))
		got := get[[]engine.Person](t)(s.Load(ctx, []engine.Subject{
			{Source: "corp", Record: "r-1"}, {Source: "corp", Record: "r-2", Keys: d.Identities[0].AddKeys},
		}))
		if got[0].Record.UserName != "nul\ufffd and \ufffd" || got[1].Record.UserName != long || got[1].Identity == nil {
			t.Errorf("%.100q, %.100q", got[0].Record.UserName, got[1].Record.UserName)
		}
		for _, filter := range []model.Filter{
			compare("userName", model.OpEq, long), compare("userName", model.OpSw, long[:1999]),
			compare("userName", model.OpSw, long[:3000]), compare("emails.value", model.OpEq, long+"@example.org"),
			model.Not{Term: compare("userName", model.OpNe, long)},
		} {
			title := attr("title")
			match := func(r *model.Record, _ []bool) bool { return r.ID == "r-2" }
			page := get[model.Page](t)(s.Query(ctx, model.Query{
				Source: "corp", Kind: model.KindUser, Filter: filter, Match: match, SortBy: &title, Limit: 5,
			}))
			if page.Total != 1 {
				t.Errorf("%.100v: %d found", filter, page.Total)
			}
		}
		if _, err := s.Record(ctx, "corp", model.KindUser, "r\x00"); !errors.Is(err, model.ErrNotFound) {
			t.Errorf("got %v", err)
		}
	})
}

func TestReviewMarksEverybodyBelowAGroup(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		for i, name := range []string{"top", "nested", "dropped", "added", "outside", "direct"} {
			must(t, s.Commit(ctx, joined("entra", fmt.Sprint(i), name)))
		}
		g, h := group("entra", "g", "G"), group("entra", "h", "H")
		must(t, s.Commit(ctx, &engine.Commit{Records: []engine.Write{
			{New: &g, AddMembers: []string{"r-0", "r-2", "h"}},
			{New: &h, AddMembers: []string{"r-1", "g"}}, // a cycle
		}}))
		next := g
		next.Version = 2
		must(t, s.Commit(ctx, &engine.Commit{
			Records:  []engine.Write{{Old: &g, New: &next, AddMembers: []string{"r-3"}, DropMembers: []string{"r-2"}}},
			Review:   []engine.RecordRef{{Source: "entra", ID: "g"}, {Source: "entra", ID: "r-5"}},
			ReviewAt: at(30), ReviewRun: "run-1",
		}))
		marked := func() (names []string) {
			for _, p := range get[[]model.Identity](t)(s.People(ctx, model.PeopleQuery{})) {
				if p.ReviewAt != nil {
					if p.Version != 2 || !p.ReviewAt.Equal(at(30)) || p.ReviewRun != "run-1" {
						t.Errorf("%s: version %d, review at %v by %q", p.UserName, p.Version, p.ReviewAt, p.ReviewRun)
					}
					names = append(names, p.UserName)
				}
			}
			return names
		}
		if diff := cmp.Diff([]string{"added", "direct", "dropped", "nested", "top"}, marked()); diff != "" {
			t.Error(diff)
		}
		// A deleted group: its members are known only before.
		must(t, s.Commit(ctx, &engine.Commit{
			Records: []engine.Write{{Old: &h}}, Review: []engine.RecordRef{{Source: "entra", ID: "h"}}, ReviewAt: at(10), ReviewRun: "run-2",
		}))
		got := get[model.Identity](t)(s.Identity(ctx, "i-1"))
		if got.Version != 3 || !got.ReviewAt.Equal(at(10)) || got.ReviewRun != "run-2" {
			t.Errorf("version %d, review at %v by %q", got.Version, got.ReviewAt, got.ReviewRun)
		}
	})
}

func TestReviewsOfTheSamePeopleAtOnceAllSucceed(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		c := &engine.Commit{}
		var ids []string
		for i := range 40 {
			one := joined("entra", fmt.Sprint(i), fmt.Sprint("u", i))
			c.Records, c.Identities = append(c.Records, one.Records...), append(c.Identities, one.Identities...)
			ids = append(ids, one.Records[0].New.ID)
		}
		for i := range 8 {
			g := group("entra", fmt.Sprint("g", i), fmt.Sprint("Group", i))
			c.Records = append(c.Records, engine.Write{New: &g, AddMembers: ids[i : i+30]})
		}
		must(t, s.Commit(ctx, c))
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for range 10 {
					if err := s.Commit(ctx, &engine.Commit{Review: []engine.RecordRef{{Source: "entra", ID: fmt.Sprint("g", i)}}, ReviewAt: at(1)}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if got := get[model.Identity](t)(s.Identity(ctx, "i-20")); got.Version != 81 {
			t.Errorf("version %d: a review was lost", got.Version)
		}
	})
}

func TestDueReviewsAreClaimedOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		var refs []engine.RecordRef
		for i := range 30 {
			must(t, s.Commit(ctx, joined("entra", fmt.Sprint(i), fmt.Sprint("u", i))))
			refs = append(refs, engine.RecordRef{Source: "entra", ID: fmt.Sprint("r-", i)})
		}
		must(t, s.Commit(ctx, &engine.Commit{Review: refs[:20], ReviewAt: time.Now().Add(time.Hour), ReviewRun: "run"}))
		must(t, s.Commit(ctx, &engine.Commit{Review: refs[20:], ReviewAt: at(0)}))
		if early := get[[]string](t)(s.DueReviews(ctx, at(0).Add(-time.Second), time.Minute, 3)); len(early) != 0 {
			t.Errorf("a caller whose clock is behind gets %v", early)
		}
		var mu sync.Mutex
		var wg sync.WaitGroup
		seen := map[string]int{}
		for range 4 {
			wg.Go(func() {
				for {
					ids, err := s.DueReviews(ctx, time.Now(), time.Minute, 3)
					if err != nil {
						t.Error(err)
					}
					if len(ids) == 0 {
						return
					}
					mu.Lock()
					for _, id := range ids {
						seen[id]++
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		for id, n := range seen {
			if n != 1 {
				t.Errorf("%s claimed %d times", id, n)
			}
		}
		if len(seen) != 10 {
			t.Errorf("%d claimed", len(seen))
		}
		var of []string
		for last := ""; ; last = of[len(of)-1] {
			ids := get[[]string](t)(s.ReviewsOf(ctx, "run", last, 7))
			if len(ids) == 0 {
				break
			}
			of = append(of, ids...)
		}
		if !slices.IsSorted(of) || len(slices.Compact(of)) != 20 {
			t.Errorf("the run has %v", of)
		}
		if none := get[[]string](t)(s.ReviewsOf(ctx, "", "", 7)); len(none) != 0 {
			t.Errorf("no run has %v", none)
		}
	})
}

func claimOne(t *testing.T, s *store.Store) model.Account {
	t.Helper()
	got := get[[]model.Account](t)(s.Claim(ctxOf(t), "platform", "w", time.Minute, 1))
	if len(got) != 1 {
		t.Fatalf("claimed %d", len(got))
	}
	return got[0]
}
