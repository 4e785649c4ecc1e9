package engine_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/jml/engine"
	"jmld/model"
)

func TestAKeyThatIsNotFreeStopsNobody(t *testing.T) { // D-20
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		push := func(id, user, n string) {
			t.Helper()
			if _, err := h.scim("entra", id, user, true, number(n)); err != nil {
				t.Fatal(err)
			}
		}
		push("e1", "ada", "1")
		push("e2", "bob", "2")
		push("e2", "bob", "1") // entra mistook the number: both stay who they are
		push("e2", "bobby", "1")
		h.members("builders", engine.MemberChange{Add: []string{"e2"}})
		h.tended("bobby builds", func() bool { return cmp.Equal(h.plat.active(), []string{"bobby"}) })
		push("e1", "ada", "3") // the number is free now, and bobby gets it at the next look
		push("e2", "bobby2", "1")
		if _, err := h.scim("okta", "o1", "whoever", true, number("1")); err != nil {
			t.Fatal(err)
		}
		if n := len(h.identities()); n != 2 {
			t.Errorf("%d identities, want 2", n)
		}
	})
}

func TestADisputeIsSettledBySayingItAgain(t *testing.T) { // D-20
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		say := func() model.Link {
			t.Helper()
			out, err := h.scim("entra", "new", "new", true, number("1"))
			if err != nil {
				t.Fatal(err)
			}
			return out.Record.Link
		}
		if _, err := h.scim("entra", "old", "old", true, number("1")); err != nil {
			t.Fatal(err)
		}
		for range 2 { // saying it again changes nothing
			if say() != model.Disputed {
				t.Error("not disputed")
			}
		}
		h.members("builders", engine.MemberChange{Add: []string{"new"}})
		if err := h.gone("entra", "old"); err != nil {
			t.Fatal(err)
		}
		if say() != model.Linked {
			t.Error("the old record is gone, and the new one still disputed")
		}
		h.tended("the groups of the new record count", func() bool { return cmp.Equal(h.plat.active(), []string{"new"}) })
		if n := len(h.identities()); n != 1 {
			t.Errorf("%d identities", n)
		}
	})
}

func TestKeysChangeHandsInOneRead(t *testing.T) { // D-20
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.dir.users = people(4)
		h.sync()
		a, b := h.dir.users[0], h.dir.users[1] // they swap everything that is a key
		a.Record, b.Record = b.Record, a.Record
		a.ID, b.ID = b.ID, a.ID
		h.dir.users[0], h.dir.users[1] = a, b
		out := h.sync()
		if n := len(h.identities()); n != 4 || out.Funnel.Disputed != 0 {
			t.Errorf("%d identities, %+v", n, out.Funnel)
		}
		h.sync()
		for i, en := range h.dir.users[:2] { // what entra says about them finds the right one
			got, err := h.scim("entra", fmt.Sprint(i), en.UserName, true, nil)
			if err != nil {
				t.Fatal(err)
			}
			rec, err := h.store.Load(h.ctx, []engine.Subject{{Source: "corp", Record: en.ID}})
			if err != nil || rec[0].Record.IdentityID != got.Record.IdentityID {
				t.Errorf("%s is %s in entra and %s in corp (%v)", en.UserName, got.Record.IdentityID, rec[0].Record.IdentityID, err)
			}
		}
		if n := len(h.identities()); n != 4 {
			t.Errorf("%d identities, want 4", n)
		}
	})
}

func TestEntriesMadeAnewAreTheSamePeople(t *testing.T) { // a directory restored from a backup has new ids
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.dir.users = people(20)
		h.sync()
		for i := range h.dir.users {
			h.dir.users[i].ID = "restored-" + h.dir.users[i].ID
		}
		slices.Reverse(h.dir.users)
		out := h.sync()
		if d := cmp.Diff(names(20), h.app.active()); d != "" {
			t.Error(d)
		}
		if n := len(h.identities()); n != 20 || out.Run.State != model.RunSucceeded || out.Funnel.Disputed != 0 {
			t.Errorf("%d identities, run %+v, %+v", n, out.Run, out.Funnel)
		}
		if accounts, items := h.waiting(); accounts+items != 0 {
			t.Errorf("%d accounts wait, %d items", accounts, items)
		}
		if again := h.sync(); again.Funnel.Unchanged != 20 || again.Funnel.Absent != 0 {
			t.Errorf("%+v", again.Funnel)
		}
	})
}

func TestAReadThatFailsLaterStillTellsWhoIsInactive(t *testing.T) { // D-01
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.dir.users = people(10)
		h.sync()
		h.dir.users[2].Active = false
		h.dir.fail, h.dir.stop = model.Errorf(model.CodeSourceInterrupted, "cut"), 5
		if _, err := h.Sync(h.ctx, "corp", engine.SyncOptions{Trigger: "demand"}); model.CodeOf(err) != model.CodeSourceInterrupted {
			t.Fatal(err)
		}
		h.work()
		if d := cmp.Diff(slices.Delete(names(10), 2, 3), h.app.active()); d != "" {
			t.Error(d)
		}
	})
}

func TestAnotherSourceKeepsThePerson(t *testing.T) { // sawtooth #271
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.dir.users = people(10)
		h.sync()
		for i := range 3 {
			if _, err := h.scim("entra", fmt.Sprint(i), fmt.Sprintf("person%03d", i), true, number(fmt.Sprint(1000+i))); err != nil {
				t.Fatal(err)
			}
		}
		h.dir.users = h.dir.users[2:] // two go from the directory, entra keeps them
		h.sync()
		if d := cmp.Diff(names(10), h.app.active()); d != "" {
			t.Error(d)
		}
		if err := h.gone("entra", "0"); err != nil {
			t.Fatal(err)
		}
		h.work()
		if d := cmp.Diff(names(10)[1:], h.app.active()); d != "" {
			t.Error(d)
		}
	})
}

func TestTheSameAgainWritesNothing(t *testing.T) { // entries that come twice, orders that change
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.dir.users = people(10)
		h.dir.groups = []model.Entry{group("builders", "dir-person001")}
		h.sync()
		before := h.identities()
		h.dir.users = append(h.dir.users, h.dir.users[:5]...)
		slices.Reverse(h.dir.users)
		out := h.sync()
		if d := cmp.Diff(before, h.identities()); d != "" {
			t.Error(d)
		}
		if out.Funnel.New+out.Funnel.Changed+out.Funnel.Reviewed != 0 {
			t.Errorf("%+v", out.Funnel)
		}
	})
}

func TestManyWritersOfOneGroup(t *testing.T) { // peers lose members to read-modify-write
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.pushes(25)
		h.members("builders", engine.MemberChange{})
		var wg sync.WaitGroup
		for i := range 25 {
			wg.Go(func() { h.members("builders", engine.MemberChange{Add: []string{fmt.Sprint(i)}}) })
		}
		wg.Wait()
		h.tended("all of them build", func() bool { return len(h.plat.active()) == 25 })
	})
}

func TestAClockThatGoesBackwards(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		now := time.Now()
		h.opts.Now = func() time.Time { return now }
		h.Engine = engine.New(h.opts)
		var last time.Time
		for i := range 4 {
			out, err := h.scim("entra", "e1", "ada", true, map[string]any{"title": fmt.Sprint(i)})
			if err != nil {
				t.Fatal(err)
			}
			if !out.Record.UpdatedAt.After(last) || out.Record.Version != int64(i+1) {
				t.Errorf("lastModified %s after %s, version %d", out.Record.UpdatedAt, last, out.Record.Version)
			}
			last = out.Record.UpdatedAt
			now = now.Add(-time.Hour)
		}
		now = now.Add(48 * time.Hour) // and one that is ahead delays nobody
		h.members("builders", engine.MemberChange{Add: []string{"e1"}})
		h.tended("ada builds", func() bool { return cmp.Equal(h.plat.active(), []string{"ada"}) })
	})
}

func TestTargetsThatAreNoLongerConfigured(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.dir.users = people(8)
		h.dir.groups = []model.Entry{group("builders", "dir-person000")}
		h.sync()
		without := *h.opts.Rules
		without.Targets = []string{"app"}
		h.SetRules(&without)
		h.dir.users, h.dir.groups = people(8)[1:], []model.Entry{group("builders")}
		h.sync()
		if d := cmp.Diff([]string{"person000"}, h.plat.active()); d != "" {
			t.Error("an account of a target that is not configured was touched:", d)
		}
		if d := cmp.Diff(names(8)[1:], h.app.active()); d != "" {
			t.Error(d)
		}
	})
}

func TestAProtectedAccountSurvivesApproval(t *testing.T) { // D-21; zulip #13130
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.dir.users = people(30)
		h.sync()
		h.dir.users = people(20)
		plan := h.sync().Plan
		all, err := h.store.Accounts(h.ctx, model.AccountQuery{Target: "app", Search: "person025", Limit: 1})
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		all[0].Origin = model.OriginProtected
		if err := h.store.Commit(h.ctx, &engine.Commit{Accounts: all}); err != nil {
			t.Fatal(err)
		}
		out, err := h.Approve(h.ctx, plan.ID, plan.Digest, "operator ada")
		if err != nil || len(out.Committed) != 9 || len(out.Refused) != 1 {
			t.Fatal(len(out.Committed), len(out.Refused), err)
		}
		h.sync()
		if d := cmp.Diff(append(names(20), "person025"), h.app.active()); d != "" {
			t.Error(d)
		}
	})
}

func TestDeleteLeaversAndComeBack(t *testing.T) { // M-34
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		deleting := *h.opts.Rules
		deleting.Policy = deletes(t)
		h.SetRules(&deleting)
		h.pushes(3)
		h.leave(1)
		h.work()
		h.app.mu.Lock()
		states := map[model.AccountState]int{}
		for _, a := range h.app.has {
			states[a.State]++
		}
		h.app.mu.Unlock()
		if d := cmp.Diff(map[model.AccountState]int{model.AccountActive: 2, model.AccountAbsent: 1}, states); d != "" {
			t.Error(d)
		}
		if _, err := h.scim("entra", "1", "p01", true, nil); err != nil {
			t.Fatal(err)
		}
		h.work()
		if len(h.app.active()) != 3 {
			t.Error("not back")
		}
	})
}

func TestAPolicyErrorKeepsAndIsSaidOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		needs := *h.opts.Rules
		needs.Policy = numbered(t)
		h.SetRules(&needs)
		for _, attrs := range []map[string]any{number("1"), {}, {"title": "x"}, {"title": "y"}} {
			if _, err := h.scim("entra", "e1", "ada", true, attrs); err != nil {
				t.Fatal(err)
			}
		}
		h.work()
		if d := cmp.Diff([]string{"ada"}, h.app.active()); d != "" {
			t.Error(d)
		}
		found, err := h.store.Changes(h.ctx, model.ChangeQuery{Ops: []model.Op{model.OpFinding}, Limit: 10})
		if err != nil || len(found) != 1 || found[0].Code != model.CodePolicyRule {
			t.Errorf("%+v %v", found, err)
		}
	})
}
