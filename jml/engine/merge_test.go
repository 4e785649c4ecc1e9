package engine_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"jmld/jml/access"
	"jmld/jml/engine"
	"jmld/model"
)

func (h *house) merge(into, from string) engine.Moved {
	h.t.Helper()
	pair, err := h.Pair(h.ctx, into, from)
	if err != nil {
		h.t.Fatal(err)
	}
	out, err := h.Merge(h.ctx, engine.Merging{Into: into, From: from, Digest: pair.Digest, Actor: "operator ada", Reason: "one person"})
	if err != nil {
		h.t.Fatal(err)
	}
	h.work()
	return out
}

func (h *house) split(person string, refs ...engine.RecordRef) engine.Moved {
	h.t.Helper()
	d, err := h.Divide(h.ctx, person, refs)
	if err != nil {
		h.t.Fatal(err)
	}
	out, err := h.Split(h.ctx, engine.Splitting{Person: person, Records: refs, Digest: d.Digest, Actor: "operator ada"})
	if err != nil {
		h.t.Fatal(err)
	}
	h.work()
	return out
}

// whole is everything about people, without what every decision renews.
func (h *house) whole(ids ...string) []engine.Person {
	h.t.Helper()
	var subjects []engine.Subject
	for _, id := range ids {
		subjects = append(subjects, engine.Subject{Identity: id})
	}
	out, err := h.store.Load(h.ctx, subjects)
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

func TestMergeThenSplitIsWhatWas(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		ada, jit := h.say("entra", "e1", "ada", "1").IdentityID, h.say("okta", "o1", "ada-jit", "9").IdentityID
		h.members("builders", engine.MemberChange{Add: []string{"e1"}})
		h.tend()
		before := h.whole(ada, jit)
		moved := h.merge(jit, ada) // app: both have one; platform: moves
		if diff := cmp.Diff(engine.Moved{Stays: jit, Goes: ada, Accounts: []string{"platform"}, Both: []string{"app"}}, moved,
			cmpopts.IgnoreFields(engine.Moved{}, "Plans")); diff != "" || len(moved.Plans) != 1 {
			t.Error(diff, moved.Plans)
		}
		if diff := cmp.Diff([]string{"ada", "ada"}, h.app.active()); diff != "" { // the one that stays has the name entra says
			t.Error("nobody loses an account by a merge:", diff)
		}
		if p := h.whole(jit)[0]; len(p.Records) != 2 || len(p.Accounts) != 2 || len(p.Keys) != 4 || len(p.Groups) != 1 {
			t.Errorf("%+v", p)
		}
		if got := h.say("entra", "e1", "ada", "1"); got.IdentityID != jit { // said again
			t.Error(got.IdentityID)
		}
		if found, err := h.store.People(h.ctx, model.PeopleQuery{}); err != nil || len(found) != 1 {
			t.Errorf("%d people, %v", len(found), err)
		}
		h.split(jit, engine.RecordRef{Source: "entra", ID: "e1"})
		h.tend()
		ignore := cmp.Options{
			cmpopts.IgnoreFields(model.Identity{}, "Version", "UpdatedAt", "Provenance"), cmpopts.IgnoreFields(model.Record{}, "Version"),
			cmpopts.IgnoreFields(model.Account{}, "DesiredRev", "AppliedRev", "AppliedAt", "Epoch", "UpdatedAt", "Because"),
			cmpopts.IgnoreFields(engine.Person{}, "AccessFrame"), cmpopts.EquateEmpty(),
		}
		if diff := cmp.Diff(before, h.whole(ada, jit), ignore); diff != "" {
			t.Error(diff)
		}
		if creates := h.plat.creates; len(creates) != 1 {
			t.Errorf("accounts were made anew: %v", creates)
		}
	})
}

func TestTheAccountBothHaveGoesWithApprovalOnly(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		ada, twin := h.say("entra", "e1", "ada", "1").IdentityID, h.say("okta", "o1", "ada2", "9").IdentityID
		h.work()
		out := h.merge(ada, twin)
		h.tend()
		if diff := cmp.Diff([]string{"ada", "ada2"}, h.app.active()); diff != "" || len(out.Plans) != 1 {
			t.Fatal(diff, out.Plans)
		}
		plan, err := h.store.Plan(h.ctx, out.Plans[0])
		if err != nil || plan.Items != 1 || plan.Trigger != "correlation" {
			t.Fatalf("%+v %v", plan, err)
		}
		if _, err := h.Approve(h.ctx, plan.ID, plan.Digest, "operator ada"); err != nil {
			t.Fatal(err)
		}
		h.work()
		if diff := cmp.Diff([]string{"ada"}, h.app.active()); diff != "" {
			t.Error(diff)
		}
		h.split(ada, engine.RecordRef{Source: "okta", ID: "o1"}) // it was a mistake after all
		if diff := cmp.Diff([]string{"ada", "ada2"}, h.app.active()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestASplitWithoutAMergeMakesSomebodyNew(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		ada := h.say("entra", "e1", "ada", "1").IdentityID
		h.say("okta", "o1", "ada", "1") // the wrong number: it is bob
		h.work()
		out := h.split(ada, engine.RecordRef{Source: "okta", ID: "o1"})
		if got := h.say("okta", "o1", "bob", "1"); got.IdentityID != out.Goes {
			t.Errorf("%s, want %s: the rules must not join them again", got.IdentityID, out.Goes)
		}
		h.work()
		if diff := cmp.Diff([]string{"ada", "bob"}, h.app.active()); diff != "" {
			t.Error(diff)
		}
		if _, err := h.Divide(h.ctx, out.Goes, []engine.RecordRef{{Source: "okta", ID: "o1"}}); err == nil {
			t.Error("a split left nobody behind")
		}
	})
}

func TestAMergeOfWhatChangedIsRefused(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		ada, twin := h.say("entra", "e1", "ada", "1").IdentityID, h.say("okta", "o1", "ada2", "9").IdentityID
		pair, err := h.Pair(h.ctx, ada, twin)
		if err != nil {
			t.Fatal(err)
		}
		h.say("okta", "o1", "eve", "9")
		_, err = h.Merge(h.ctx, engine.Merging{Into: ada, From: twin, Digest: pair.Digest, Actor: "operator ada"})
		if model.CodeOf(err) != model.CodeCorrelationStale {
			t.Error(err)
		}
	})
}

func TestAnAccountThatIsGoneMakesRoomForTheOneThatMoves(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		deleting := *h.opts.Rules
		deleting.Policy = deletes(t)
		h.SetRules(&deleting)
		ada := h.say("entra", "e1", "ada", "1").IdentityID
		h.work()
		if err := h.gone("entra", "e1"); err != nil {
			t.Fatal(err)
		}
		h.work()
		back := h.say("okta", "o1", "ada2", "9").IdentityID
		h.work()
		moved := h.merge(ada, back)
		if diff := cmp.Diff(engine.Moved{Stays: ada, Goes: back, Accounts: []string{"app"}}, moved); diff != "" {
			t.Error(diff)
		}
		h.tend()
		if a := h.whole(ada)[0].Accounts; len(a) != 1 || a[0].NativeID != "n-"+back || a[0].State != model.AccountActive {
			t.Errorf("%+v", a)
		}
		if diff := cmp.Diff([]string{"ada2"}, h.app.active()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestTheDeletionOfAnAccountFoundMeanwhileIsADeactivation(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		ada := h.say("entra", "e1", "ada", "1").IdentityID
		h.work()
		a := h.whole(ada)[0].Accounts[0]
		a.Origin = model.OriginAdopted // the worker found it while the deletion was decided
		a.State, a.DesiredRev = model.AccountAbsent, a.DesiredRev+1
		if err := h.store.Commit(h.ctx, &engine.Commit{Accounts: []model.Account{a}}); err != nil {
			t.Fatal(err)
		}
		h.work()
		if got := h.whole(ada)[0].Accounts[0]; got.AppliedState != model.AccountInactive || got.AppliedRev != got.DesiredRev {
			t.Errorf("%+v", got)
		}
	})
}

// rolesOf are the direct memberships by the identity's name.
func (h *house) rolesOf(id string) []string {
	h.t.Helper()
	s, err := h.store.Access(h.ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	var out []string
	for _, m := range s.Members {
		if m.Person == id {
			out = append(out, m.Place+" "+m.Role)
		}
	}
	slices.Sort(out)
	return out
}

func TestASplitGivesBackGroupsAndRoles(t *testing.T) { // M-50, M-58
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		ada, twin := h.say("entra", "e1", "ada", "1").IdentityID, h.say("okta", "o1", "ada2", "9").IdentityID
		h.edit(func(s *access.State) {
			company(s, "employeeNumber:1")
			s.Give(given(twin, "group:sales", "operator"))
			s.Give(given(twin, "group:berlin", "developer"))
			s.Give(given(ada, "group:sales", "operator"))
			s.Give(given(ada, "group:builders", "developer"))
		})
		before := map[string][]string{"ada": h.rolesOf(ada), "twin": h.rolesOf(twin)}
		h.merge(ada, twin)
		if diff := cmp.Diff([]string{"group:berlin developer", "group:builders developer", "group:sales operator"}, h.rolesOf(ada)); diff != "" || len(h.rolesOf(twin)) > 0 {
			t.Error("merged:", diff, h.rolesOf(twin))
		}
		h.split(ada, engine.RecordRef{Source: "okta", ID: "o1"})
		if diff := cmp.Diff(before, map[string][]string{"ada": h.rolesOf(ada), "twin": h.rolesOf(twin)}); diff != "" {
			t.Error("split:", diff)
		}
	})
}

// Merges and edits of the tree at once wait for each other, and all succeed.
func TestMergesAndEditsAtOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		ada, twin := h.say("entra", "e1", "ada", "1").IdentityID, h.say("okta", "o1", "ada2", "9").IdentityID
		h.edit(func(s *access.State) {
			company(s, "employeeNumber:1")
			s.Give(given(twin, "group:sales", "operator"))
		})
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := range 8 {
				_, err := h.EditAccess(h.ctx, engine.AccessEdit{Actor: "x", Manager: model.ManagedByOperator, Edit: func(s *access.State, _ *access.Tree) error {
					m := given(ada, "group:builders", "developer")
					m.Reason = fmt.Sprint("request ", i)
					s.Give(m)
					return nil
				}})
				if err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range 3 {
				// What is shown may change before it is decided: then it is shown again.
				retry := func(step func() error) {
					err := step()
					for range 50 {
						if model.CodeOf(err) != model.CodeCorrelationStale {
							break
						}
						err = step()
					}
					if err != nil {
						t.Error(err)
					}
				}
				retry(func() error {
					pair, err := h.Pair(h.ctx, ada, twin)
					if err == nil {
						_, err = h.Merge(h.ctx, engine.Merging{Into: ada, From: twin, Digest: pair.Digest, Actor: "operator ada"})
					}
					return err
				})
				refs := []engine.RecordRef{{Source: "okta", ID: "o1"}}
				retry(func() error {
					d, err := h.Divide(h.ctx, ada, refs)
					if err == nil {
						_, err = h.Split(h.ctx, engine.Splitting{Person: ada, Records: refs, Digest: d.Digest, Actor: "operator ada"})
					}
					return err
				})
			}
		})
		wg.Wait()
		if diff := cmp.Diff([]string{"group:sales operator"}, h.rolesOf(twin)); diff != "" {
			t.Error(diff)
		}
	})
}
