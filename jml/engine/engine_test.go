package engine_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jmld/jml"
	"jmld/jml/engine"
	"jmld/model"
)

func TestJoinersMoversAndLeaversOfADirectory(t *testing.T) { // M-35, M-24
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.dir.users = people(10)
		h.dir.groups = []model.Entry{group("team", "dir-person001"), group("builders", "dir-person000", "dir-team")}
		first := h.sync()
		if d := cmp.Diff(names(10), h.app.active()); d != "" {
			t.Error("app accounts:", d)
		}
		if d := cmp.Diff([]string{"person000", "person001"}, h.plat.active()); d != "" {
			t.Error("platform accounts, one through a nested group:", d)
		}
		if first.Run.Verdict != model.VerdictComplete || first.Funnel.Create != 12 {
			t.Errorf("run %+v funnel %+v", first.Run, first.Funnel)
		}
		calls := h.app.calls + h.plat.calls
		again := h.sync()
		if again.Funnel.Unchanged != 12 || again.Funnel.New+again.Funnel.Changed+again.Funnel.Update != 0 || h.app.calls+h.plat.calls != calls {
			t.Errorf("an unchanged directory changed something: %+v", again.Funnel)
		}
		h.dir.users = h.dir.users[:8]                    // two leave
		h.dir.groups[0] = group("team", "dir-person002") // one moves out, one in
		out := h.sync()
		if d := cmp.Diff(names(8), h.app.active()); d != "" {
			t.Error("app accounts:", d)
		}
		if d := cmp.Diff([]string{"person000", "person002"}, h.plat.active()); d != "" {
			t.Error("platform accounts:", d)
		}
		if out.Funnel.Absent != 2 || out.Funnel.Deactivate != 3 {
			t.Errorf("funnel %+v", out.Funnel)
		}
		changes, err := h.store.Changes(h.ctx, model.ChangeQuery{RunID: out.Run.ID, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range changes {
			if c.Because == "" || c.State != model.ChangeCommitted {
				t.Errorf("a change without a reason, or not committed: %+v", c)
			}
		}
		h.dir.users = people(10) // and come back
		h.sync()
		if d := cmp.Diff(names(10), h.app.active()); d != "" {
			t.Error("app accounts after the return:", d)
		}
		if n := len(h.identities()); n != 10 {
			t.Errorf("%d identities after the return, want 10", n)
		}
		for id, n := range h.app.creates {
			if n != 1 {
				t.Errorf("account of %s created %d times", id, n)
			}
		}
	})
}

func TestNoProofNoLeaver(t *testing.T) { // D-01
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.dir.users = people(20)
		h.dir.groups = []model.Entry{group("builders", "dir-person000", "dir-person001")}
		h.sync()
		h.dir.users = append(h.dir.users[:10], person(30)) // ten gone, one new
		h.dir.groups = []model.Entry{group("builders", "dir-person030")}
		h.dir.partial = true
		out := h.sync()
		want := append(names(20), "person030")
		if d := cmp.Diff(want, h.app.active()); d != "" {
			t.Error("an unproven read took somebody away, or kept a joiner out:", d)
		}
		if d := cmp.Diff([]string{"person000", "person001", "person030"}, h.plat.active()); d != "" {
			t.Error("an unproven read took a membership away:", d)
		}
		if out.Run.Verdict != model.VerdictIncomplete || out.Run.ErrorCode != model.CodeSourceUnproven {
			t.Errorf("run %+v", out.Run)
		}
		h.dir.partial, h.dir.fail, h.dir.stop = false, model.Errorf(model.CodeSourceInterrupted, "cut"), 3
		if _, err := h.Sync(h.ctx, "corp", engine.SyncOptions{Trigger: "demand"}); model.CodeOf(err) != model.CodeSourceInterrupted {
			t.Errorf("got %v", err)
		}
		h.dir.fail, h.dir.users, h.dir.groups = nil, nil, nil
		if _, err := h.Sync(h.ctx, "corp", engine.SyncOptions{Trigger: "demand"}); model.CodeOf(err) != model.CodeSourceEmpty {
			t.Errorf("an empty directory: got %v", err)
		}
		h.work()
		if d := cmp.Diff(want, h.app.active()); d != "" {
			t.Error("a failed read took somebody away:", d)
		}
	})
}

func TestGuardHoldsLeaversAndLetsJoinersGo(t *testing.T) { // D-03; glpi #984, firezone #9194
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.dir.users = people(40)
		h.sync()
		h.dir.users = append(people(40)[:25], person(50)) // 15 leave, one joins
		out := h.sync()
		if out.Run.State != model.RunHeld || out.Plan == nil || out.Plan.Items != 15 {
			t.Fatalf("run %+v plan %+v", out.Run, out.Plan)
		}
		if d := cmp.Diff(append(names(40), "person050"), h.app.active()); d != "" {
			t.Error("held leavers left, or the joiner waited:", d)
		}
		next := h.sync() // the same directory again: nothing new is held, nothing leaks out
		if d := cmp.Diff(append(names(40), "person050"), h.app.active()); d != "" {
			t.Error("a second run let held leavers go:", d)
		}
		if next.Plan != nil {
			t.Errorf("a second plan for the same leavers: %+v", next.Plan)
		}
		h.dir.users = append(people(40)[:27], person(50)) // two of them are back
		h.sync()
		plan, err := h.store.Plan(h.ctx, out.Plan.ID)
		if err != nil || plan.Items != 13 {
			t.Fatalf("plan %+v %v, want 13 items", plan, err)
		}
		if _, err := h.Approve(h.ctx, plan.ID, out.Plan.Digest, "operator ada"); !errors.Is(err, model.ErrStale) {
			t.Errorf("an old digest was approved: %v", err)
		}
		h.dir.users = people(40)[:28] // person027 comes back, unseen until approval
		got, err := h.Approve(h.ctx, plan.ID, plan.Digest, "operator ada")
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Committed) != 13 || len(got.Refused) != 0 || got.Plan.State != model.PlanApproved || got.Plan.Items != 0 {
			t.Errorf("approval %d committed %d refused %+v", len(got.Committed), len(got.Refused), got.Plan)
		}
		h.work()
		if d := cmp.Diff(append(names(27), "person050"), h.app.active()); d != "" {
			t.Error("after approval:", d)
		}
	})
}

func TestApprovalRefusesWhatIsNoLongerTrue(t *testing.T) { // D-02; azure-docs #35848
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.dir.users = people(30)
		h.sync()
		for i := range 30 { // the same people by SCIM, under the same employee number
			if _, err := h.scim("entra", fmt.Sprintf("e-%d", i), fmt.Sprintf("e%d", i), true, number(fmt.Sprint(1000+i))); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(h.identities()); n != 30 {
			t.Fatalf("%d identities, want 30", n)
		}
		h.opts.Rules.Authority = map[string][]string{"active": {"corp"}}
		for i := range 30 {
			h.dir.users[i].Active = false
		}
		out := h.sync()
		if out.Plan == nil || out.Plan.Items != 30 {
			t.Fatalf("plan %+v", out.Plan)
		}
		h.opts.Rules.Authority = map[string][]string{"active": {"entra"}} // now nobody is inactive
		got, err := h.Approve(h.ctx, out.Plan.ID, out.Plan.Digest, "operator ada")
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Committed) != 0 || len(got.Refused) != 30 {
			t.Errorf("%d committed, %d refused", len(got.Committed), len(got.Refused))
		}
		h.work()
		if n := len(h.app.active()); n != 30 {
			t.Errorf("%d active, want 30", n)
		}
	})
}

func TestTwoFirstRequestsAtOnceAreOnePerson(t *testing.T) { // D-20
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		for round := range 20 {
			var wg sync.WaitGroup
			for _, source := range []string{"entra", "okta"} {
				wg.Go(func() {
					if _, err := h.scim(source, fmt.Sprintf("%s-%d", source, round), fmt.Sprintf("%s%d", source, round), true, number(fmt.Sprint(round))); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		if n := len(h.identities()); n != 20 {
			t.Errorf("%d identities, want 20", n)
		}
		h.work()
		if n := len(h.app.active()); n != 20 {
			t.Errorf("%d accounts, want 20", n)
		}
	})
}

func TestLeaverByPushAndReturn(t *testing.T) { // D-19
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		push := func(active bool) {
			t.Helper()
			if _, err := h.scim("entra", "e1", "ada@example.org", active, nil); err != nil {
				t.Fatal(err)
			}
			h.work()
		}
		push(true)
		if d := cmp.Diff([]string{"ada@example.org"}, h.app.active()); d != "" {
			t.Error(d)
		}
		push(false)
		if len(h.app.active()) != 0 {
			t.Error("still active")
		}
		push(true)
		if len(h.app.active()) != 1 {
			t.Error("not back")
		}
		if err := h.gone("entra", "e1"); err != nil {
			t.Fatal(err)
		}
		h.work()
		if len(h.app.active()) != 0 {
			t.Error("deleted and still active")
		}
		if err := h.gone("entra", "e1"); !errors.Is(err, model.ErrNotFound) {
			t.Errorf("a second delete: %v", err)
		}
		if _, err := h.scim("entra", "e2", "ADA@example.org", true, nil); err != nil {
			t.Fatal(err)
		}
		h.work()
		if n := len(h.identities()); n != 1 || len(h.app.active()) != 1 {
			t.Errorf("rehire: %d identities, %d active", n, len(h.app.active()))
		}
	})
}

func TestPushesAreWatchedOverAWindow(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		for i := range 20 {
			if _, err := h.scim("entra", fmt.Sprint(i), fmt.Sprintf("p%02d", i), true, nil); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 20 {
			if _, err := h.scim("entra", fmt.Sprint(i), fmt.Sprintf("p%02d", i), false, nil); err != nil {
				t.Fatal(err)
			}
		}
		h.work()
		if n := len(h.app.active()); n != 15 {
			t.Fatalf("%d active, want 15: five may go, the rest waits", n)
		}
		plans, err := h.store.Plans(h.ctx, []model.PlanState{model.PlanHeld}, 10)
		if err != nil || len(plans) != 1 || plans[0].Items != 15 {
			t.Fatalf("plans %+v %v", plans, err)
		}
		for i := 5; i < 8; i++ { // three are activated again: their held leave is withdrawn
			if _, err := h.scim("entra", fmt.Sprint(i), fmt.Sprintf("p%02d", i), true, nil); err != nil {
				t.Fatal(err)
			}
		}
		plan, err := h.store.Plan(h.ctx, plans[0].ID)
		if err != nil || plan.Items != 12 {
			t.Fatalf("plan %+v %v", plan, err)
		}
		if _, err := h.Approve(h.ctx, plan.ID, plan.Digest, "operator ada"); err != nil {
			t.Fatal(err)
		}
		h.work()
		if d := cmp.Diff([]string{"p05", "p06", "p07"}, h.app.active()); d != "" {
			t.Error(d)
		}
	})
}

func TestATargetThatRefusesEndsInTheDeadLetter(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.app.set(func(model.Account) error {
			return engine.Permanent(model.Errorf(model.CodeTargetRefused, "userName is too short: %w", errRefused))
		})
		if _, err := h.scim("entra", "e1", "ada", true, nil); err != nil {
			t.Fatal(err)
		}
		h.work()
		dead, err := h.store.Accounts(h.ctx, model.AccountQuery{Dead: true, Limit: 10})
		if err != nil || len(dead) != 1 || dead[0].ErrorCode != model.CodeTargetRefused || dead[0].Attempts != 1 {
			t.Fatalf("dead %+v %v", dead, err)
		}
		h.app.set(nil)
		h.work()
		if len(h.app.active()) != 0 {
			t.Error("tried again though it is dead")
		}
		n, err := h.Retry(h.ctx, model.AccountQuery{Dead: true}, "operator ada")
		if err != nil || n != 1 {
			t.Fatal(n, err)
		}
		h.work()
		if len(h.app.active()) != 1 {
			t.Error("not settled after the retry")
		}
	})
}

func TestDisputedRecordsWait(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		for _, n := range []string{"1", "2"} {
			if _, err := h.scim("entra", "e"+n, "e"+n, true, number(n)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := h.scim("entra", "twin", "twin", true, number("1")); err != nil { // entra has number 1 already
			t.Fatal(err)
		}
		out, err := h.scim("okta", "o", "e2", true, number("1")) // userName of one, number of the other
		if err != nil {
			t.Fatal(err)
		}
		if out.Record.Link != model.Disputed || len(h.identities()) != 2 {
			t.Errorf("record %+v, %d identities", out.Record, len(h.identities()))
		}
		h.work()
		if d := cmp.Diff([]string{"e1", "e2"}, h.app.active()); d != "" {
			t.Error(d)
		}
	})
}

func TestADryRunIsTheRunWithoutItsCommit(t *testing.T) { // D-05
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.dir.users = people(10)
		h.dir.groups = []model.Entry{group("builders", "dir-person000")}
		h.sync()
		h.dir.users = append(people(9), person(20))
		h.dir.groups = []model.Entry{group("team", "dir-person003"), group("builders", "dir-team")}
		before := h.identities()
		dry, err := h.Sync(h.ctx, "corp", engine.SyncOptions{Trigger: "demand", DryRun: true})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(before, h.identities()); d != "" {
			t.Error("a dry run wrote:", d)
		}
		wet := h.sync()
		real, err := h.store.Changes(h.ctx, model.ChangeQuery{RunID: wet.Run.ID, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(lines(dry.Changes), lines(real)); d != "" || len(real) != 4 {
			t.Error("preview and run differ:", d, lines(real))
		}
	})
}

func lines(changes []model.Change) []string {
	var out []string
	for _, c := range changes {
		out = append(out, fmt.Sprint(c.Op, c.Event, c.Who, c.Target, c.State))
	}
	slices.Sort(out)
	return out
}

// What a source could not tell stays as it is: unknown is not no (D-01, invariant 2).
func TestWhatASourceCannotTellIsKept(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		hr := "urn:example:params:scim:schemas:hr:2.0:User"
		ada := person(1)
		attrs := jml.Decode(ada.Attrs)
		attrs["title"], attrs["name"] = "Engineer", map[string]any{"givenName": "Ada", "familyName": "Kern"}
		attrs[hr] = map[string]any{"end": "2027-01-01T00:00:00Z", "level": 3}
		ada.Attrs = jml.Canonical(attrs)
		h.dir.users = []model.Entry{person(0), ada}
		h.sync()

		broken := person(1)
		broken.Active, broken.UserName, broken.UserNameKey = false, "", ""
		broken.Attrs = jml.Canonical(map[string]any{"displayName": "Ada K.", "name": map[string]any{"familyName": "King"}, "active": false,
			"emails": []any{map[string]any{"value": "other@example.org"}}})
		broken.Unknown = []string{"/active", "/emails", "/name/givenName", "/title", "/" + hr + "/end", "/userName", "/nickName", "/addresses/locality"}
		newcomer, doubtful := person(2), person(3)
		newcomer.Unknown, doubtful.Unknown = []string{"/title"}, []string{"/active"}
		h.dir.users = []model.Entry{person(0), broken, newcomer, doubtful}
		done := h.sync()

		people, err := h.store.Load(h.ctx, []engine.Subject{{Source: "corp", Record: ada.ID}, {Source: "corp", Record: doubtful.ID}, {Source: "corp", Record: newcomer.ID}})
		if err != nil {
			t.Fatal(err)
		}
		got := people[0].Record
		want := jml.Canonical(map[string]any{"displayName": "Ada K.", "name": map[string]any{"givenName": "Ada", "familyName": "King"}, "title": "Engineer",
			"userName": "person001", "emails": attrs["emails"], "active": false, hr: map[string]any{"end": "2027-01-01T00:00:00Z"}})
		if diff := cmp.Diff(want, got.Attrs); diff != "" || !got.Active || got.UserName != "person001" {
			t.Errorf("active %v, %s (-want +got):\n%s", got.Active, got.UserName, diff)
		}
		if people[1].Record != nil || people[2].Record == nil {
			t.Errorf("somebody new with an unknown status is %+v; with an unknown title %+v", people[1].Record, people[2].Record)
		}
		if skipped := done.Proof.Skipped; len(skipped) != 1 || skipped[0].ID != doubtful.ID {
			t.Errorf("skipped %+v", skipped)
		}
		if diff := cmp.Diff([]string{"person000", "person001", "person002"}, h.app.active()); diff != "" {
			t.Error(diff)
		}
		if again := h.sync(); again.Funnel.Changed != 0 {
			t.Errorf("the same doubt is a change: %+v", again.Funnel)
		}
	})
}
