package store_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/store"
	"jmld/jml/access"
	"jmld/jml/engine"
	"jmld/model"
)

// builders is a small tree with people in it.
func builders() access.State {
	from := at(10)
	member := func(person, place, role string, admin bool) model.AccessMember {
		return model.AccessMember{Person: person, Place: place, Role: role, Admin: admin, Reason: "request 7", Approver: "operator ada", ManagedBy: model.ManagedByOperator}
	}
	s := access.State{
		Roles: []model.AccessRole{{ID: "developer", Name: "Developer", Permissions: `{"project":["edit"]}`, ManagedBy: model.ManagedByConfig}},
		Groups: []model.AccessGroup{
			{ID: "berlin", Name: "Berlin", Description: "In Berlin", Parent: "builders", ManagedBy: model.ManagedByOperator},
			{ID: "builders", Name: "Builders", Description: "Build", Parent: model.AccessRoot, ManagedBy: model.ManagedByOperator},
		},
		Resources: []model.AccessResource{{Place: "app:crm", Name: "CRM", ManagedBy: model.ManagedByOperator}},
		Links:     []model.AccessLink{{Place: "app:crm", Owner: "berlin", Exclusive: true, ManagedBy: model.ManagedByOperator}},
		Members: []model.AccessMember{
			member("i-1", "group:berlin", "", true), member("i-1", "group:builders", "", true),
			member("email:bob@example.org", "group:builders", "developer", false), member("userName:new", "group:builders", "developer", false),
		},
		People: map[string]string{},
	}
	s.Members[2].ValidFrom = &from
	return s
}

func changeTo(t *testing.T, s *store.Store, after access.State) {
	t.Helper()
	before := get[access.State](t)(s.Access(ctxOf(t)))
	c := access.Diff(before, after)
	must(t, s.ChangeAccess(ctxOf(t), &engine.AccessChange{Expect: before.Revision, Changes: c, Affected: access.Affected(before, after, c), ReviewAt: at(0),
		Audit: []model.AuditEntry{{ID: model.NewID(time.Now()), At: at(1), Actor: "operator ada", Action: "access.group.set", Subject: "group:berlin", Detail: "{}"}}}))
}

func TestAccessReturnsWhatWasStored(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		must(t, s.Commit(ctx, joined("entra", "2", "bob")))
		want := builders()
		changeTo(t, s, want)
		want.Revision, want.People = 1, map[string]string{"email:bob@example.org": "i-2"}
		if diff := cmp.Diff(want, get[access.State](t)(s.Access(ctx))); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(model.AccessTally{Groups: 2, Apps: 1, OwnedApps: 1, Memberships: 4}, get[model.Tally](t)(s.Tally(ctx)).Access); diff != "" {
			t.Error(diff) // M-61
		}
		// Members change without the frame, everything else with it.
		next := builders()
		next.Members = next.Members[:3]
		changeTo(t, s, next)
		frame := get[access.State](t)(s.AccessFrame(ctx))
		if frame.Revision != 1 || len(frame.Members) != 0 || len(frame.Groups) != 2 {
			t.Errorf("%+v", frame)
		}
		changeTo(t, s, access.State{})
		if left := get[access.State](t)(s.Access(ctx)); left.Revision != 3 || len(left.Groups)+len(left.Roles)+len(left.Resources)+len(left.Links)+len(left.Members) != 0 {
			t.Errorf("%+v", left)
		}
		entries := get[[]model.AuditEntry](t)(s.AuditList(ctx, "group:berlin", 10))
		if len(entries) != 3 {
			t.Errorf("%d entries", len(entries))
		}
	})
}

// M-53, M-51: of changes that were checked against the same tree one is stored.
func TestChangesOfTheTreeComeOneAfterTheOther(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		for round := range 3 {
			before := get[access.State](t)(s.Access(ctxOf(t)))
			errs := make([]error, 8)
			var wg sync.WaitGroup
			for i := range errs {
				wg.Go(func() {
					g := model.AccessGroup{ID: string(rune('a'+round)) + string(rune('a'+i)), Name: "n", Description: "d", Parent: model.AccessRoot, ManagedBy: model.ManagedByOperator}
					errs[i] = s.ChangeAccess(ctxOf(t), &engine.AccessChange{Expect: before.Revision, Changes: access.Changes{Groups: access.Edits[model.AccessGroup]{Put: []model.AccessGroup{g}}}})
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
			if after := get[access.State](t)(s.Access(ctxOf(t))); stored != 1 || len(after.Groups) != round+1 || after.Revision != int64(round+1) {
				t.Errorf("%d stored, %+v", stored, after)
			}
		}
	})
}

// What people were given comes with them: by identity, by a key they have, and for somebody new by a key that nobody has.
func TestLoadBringsWhatPeopleWereGiven(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		must(t, s.Commit(ctx, joined("entra", "1", "ada")))
		must(t, s.Commit(ctx, joined("entra", "2", "bob")))
		tree := builders()
		changeTo(t, s, tree)
		key := func(name, value string) []model.Key { return []model.Key{{Name: name, Value: value}} }
		for name, test := range map[string]struct {
			subject engine.Subject
			want    []string
		}{
			"by identity":               {engine.Subject{Identity: "i-1"}, []string{"group:berlin i-1", "group:builders i-1"}},
			"by record":                 {engine.Subject{Source: "entra", Record: "r-1"}, []string{"group:berlin i-1", "group:builders i-1"}},
			"by a key they have":        {engine.Subject{Source: "entra", Record: "r-2"}, []string{"group:builders email:bob@example.org"}},
			"by a key nobody has":       {engine.Subject{Source: "okta", Record: "r-9", Keys: key("userName", "new")}, []string{"group:builders userName:new"}},
			"another's key gives none":  {engine.Subject{Source: "entra", Record: "r-1", Keys: key("email", "bob@example.org")}, []string{"group:berlin i-1", "group:builders i-1"}},
			"somebody's key finds them": {engine.Subject{Source: "okta", Record: "r-9", Keys: key("userName", "bob")}, []string{"group:builders email:bob@example.org"}},
			"nobody":                    {engine.Subject{Source: "okta", Record: "r-9", Keys: key("userName", "zoe")}, nil},
		} {
			p := get[[]engine.Person](t)(s.Load(ctx, []engine.Subject{test.subject}))[0]
			var got []string
			for _, m := range p.Access {
				got = append(got, m.Place+" "+m.Person)
				if p.AccessFrame != 1 || m.Reason != "request 7" || m.Approver != "operator ada" {
					t.Errorf("%s: %+v of frame %d", name, m, p.AccessFrame)
				}
			}
			if diff := cmp.Diff(test.want, sorted(got)); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	})
}

// M-57: who is affected is due for review by the same transaction, and nobody else is.
func TestWhoIsAffectedIsDueForReview(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		for id, name := range map[string]string{"1": "ada", "2": "bob", "3": "cyd"} {
			must(t, s.Commit(ctx, joined("entra", id, name)))
		}
		changeTo(t, s, builders())
		due := get[[]string](t)(s.DueReviews(ctx, time.Now(), time.Hour, 10))
		if diff := cmp.Diff([]string{"i-1", "i-2"}, sorted(due)); diff != "" {
			t.Error(diff)
		}
		for id, want := range map[string]int64{"i-1": 2, "i-2": 2, "i-3": 1} {
			if p := get[model.Identity](t)(s.Identity(ctx, id)); p.Version != want {
				t.Errorf("%s has version %d, want %d: a decision in flight would miss it", id, p.Version, want)
			}
		}
	})
}

// What a commit does to memberships makes whoever changes the tree meanwhile start anew.
func TestACommitMovesMemberships(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		must(t, s.Commit(ctx, joined("entra", "1", "ada")))
		changeTo(t, s, builders())
		before := get[access.State](t)(s.Access(ctx))
		gone, put, ended := before.Members[0], before.Members[1], at(7)
		put.EndedAt = &ended
		must(t, s.Commit(ctx, &engine.Commit{Members: access.Edits[model.AccessMember]{Drop: []model.AccessMember{gone}, Put: []model.AccessMember{put}}}))
		after := get[access.State](t)(s.Access(ctx))
		want := append([]model.AccessMember{put}, before.Members[2:]...)
		if diff := cmp.Diff(want, after.Members); diff != "" || after.Revision != before.Revision+1 {
			t.Errorf("revision %d: %s", after.Revision, diff)
		}
	})
}

// Somebody who gets a key is looked at again when something was given by it while they were decided about.
func TestWhoGetsAKeyIsDueForWhatWasGivenByIt(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := ctxOf(t)
		tree := builders()
		row := tree.Members[0]
		row.Person = "userName:dan"
		tree.Members = append(tree.Members, row)
		changeTo(t, s, tree) // between the decision about dan and its commit
		must(t, s.Commit(ctx, joined("entra", "4", "dan")))
		must(t, s.Commit(ctx, joined("entra", "5", "eve")))
		due := get[[]string](t)(s.DueReviews(ctx, time.Now(), time.Hour, 10))
		if diff := cmp.Diff([]string{"i-4"}, due); diff != "" {
			t.Error(diff)
		}
	})
}

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}
