package engine_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/jml/engine"
	"jmld/model"
)

// absent gives the house a clock and the rule of two runs and a day.
func absent(h *house) (pass func(time.Duration)) {
	now := time.Now()
	h.opts.Now = func() time.Time { return now }
	h.opts.Sources[0].Absence = engine.Absence{Runs: 2, After: 24 * time.Hour, Confirm: 8}
	h.Engine = engine.New(h.opts)
	h.dir.seen = map[string]model.SightingState{}
	return func(d time.Duration) { now = now.Add(d) }
}

func (h *house) record(id string) model.Record {
	h.t.Helper()
	p, err := h.store.Load(h.ctx, []engine.Subject{{Source: "corp", Record: id}})
	if err != nil {
		h.t.Fatal(err)
	}
	if p[0].Record == nil {
		return model.Record{}
	}
	return *p[0].Record
}

func TestMissingIsNotAbsentBeforeTwoRunsAndADay(t *testing.T) { // D-01; authentik #12722
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		pass := absent(h)
		h.dir.users = people(10)
		h.dir.groups = []model.Entry{group("builders", "dir-person000", "dir-person001")}
		h.sync()
		h.dir.users, h.dir.groups = people(9), nil
		h.dir.seen["dir-person009"], h.dir.seen["dir-builders"] = model.SightNowhere, model.SightNowhere
		stays := func(when string, runs int) {
			t.Helper()
			out := h.sync()
			if d := cmp.Diff(names(10), h.app.active()); d != "" {
				t.Errorf("%s: %s", when, d)
			}
			if d := cmp.Diff([]string{"person000", "person001"}, h.plat.active()); d != "" {
				t.Errorf("%s, the group: %s", when, d)
			}
			if rec := h.record("dir-person009"); rec.MissingRuns != runs || rec.MissingSince == nil || rec.AbsentSince != nil || out.Funnel.Missing != 2 {
				t.Errorf("%s: %+v, %+v", when, rec, out.Funnel)
			}
		}
		stays("first complete read", 1)
		stays("second complete read within the day", 2)
		pass(23 * time.Hour)
		stays("third, still within the day", 3)
		h.dir.partial = true
		pass(2 * time.Hour)
		h.sync()
		if rec := h.record("dir-person009"); rec.MissingRuns != 3 || rec.AbsentSince != nil {
			t.Errorf("a read without proof counts: %+v", rec)
		}
		h.dir.partial = false
		out := h.sync()
		if d := cmp.Diff(names(9), h.app.active()); d != "" {
			t.Error("after two reads and a day:", d)
		}
		if len(h.plat.active()) != 0 || out.Funnel.Absent != 2 || out.Run.Verdict != model.VerdictComplete {
			t.Errorf("%v, %+v", h.plat.active(), out.Funnel)
		}
		changes, err := h.store.Changes(h.ctx, model.ChangeQuery{RunID: out.Run.ID, Target: "app", Limit: 10})
		if err != nil || len(changes) != 1 || changes[0].Event != model.EventLeaver || !strings.Contains(changes[0].Because, "4 complete reads") {
			t.Errorf("%+v, %v", changes, err)
		}
	})
}

// A member's name that means nobody in the read is no member that left.
func TestWhoIsMissingStaysInTheirGroups(t *testing.T) { // D-01
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		pass := absent(h)
		h.dir.users = people(6)
		h.dir.groups = []model.Entry{group("builders", "dir-person000", "dir-person003", "dir-person004", "dir-person005")}
		h.sync()
		h.dir.users = people(3)
		h.dir.groups = []model.Entry{group("builders", "dir-person000")}
		h.dir.seen["dir-person003"], h.dir.seen["dir-person004"] = model.SightNowhere, model.SightListed // 005 was deleted
		for range 2 {
			h.sync()
			if d := cmp.Diff([]string{"person000", "person003", "person004"}, h.plat.active()); d != "" {
				t.Error(d)
			}
		}
		pass(25 * time.Hour)
		h.sync()
		if d := cmp.Diff([]string{"person000", "person004"}, h.plat.active()); d != "" {
			t.Error("two reads and a day later:", d)
		}
		h.dir.users = people(5) // everybody is back, in no group
		h.sync()
		if d := cmp.Diff([]string{"person000"}, h.plat.active()); d != "" {
			t.Error("after the return:", d)
		}
	})
}

func TestADayAloneIsNotEnough(t *testing.T) { // D-01: never below two runs
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		pass := absent(h)
		h.opts.Sources[0].Absence = engine.Absence{Runs: 1}
		h.Engine = engine.New(h.opts)
		h.dir.users = people(5)
		h.sync()
		pass(48 * time.Hour)
		h.dir.users = people(4)
		h.dir.seen["dir-person004"] = model.SightNowhere
		h.sync()
		if d := cmp.Diff(names(5), h.app.active()); d != "" {
			t.Error("one read was enough:", d)
		}
		h.dir.users = people(5) // back: the count begins anew
		h.sync()
		if rec := h.record("dir-person004"); rec.MissingRuns != 0 || rec.MissingSince != nil {
			t.Errorf("%+v", rec)
		}
		h.dir.users = people(4)
		h.sync()
		if d := cmp.Diff(names(5), h.app.active()); d != "" {
			t.Error("the count went on after the return:", d)
		}
		h.sync()
		if d := cmp.Diff(names(4), h.app.active()); d != "" {
			t.Error("two reads in a row:", d)
		}
	})
}

func TestWhatIsSeenActsAtOnceAndWhatIsNotAnsweredNever(t *testing.T) { // D-01
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		absent(h)
		h.dir.users = people(10)
		h.sync()
		h.dir.users = people(6)
		h.dir.seen["dir-person006"], h.dir.seen["dir-person007"] = model.SightDeleted, model.SightElsewhere
		h.dir.seen["dir-person008"], h.dir.seen["dir-person009"] = model.SightListed, model.SightNone
		out := h.sync()
		if d := cmp.Diff(append(names(6), "person008", "person009"), h.app.active()); d != "" {
			t.Error(d)
		}
		if out.Run.Verdict != model.VerdictIncomplete || out.Run.ErrorCode != model.CodeSourceUnproven || !strings.Contains(out.Run.ErrorText, "1 without an answer") {
			t.Errorf("the run does not say who has no answer: %+v", out.Run)
		}
		events := map[string]model.Event{}
		changes, err := h.store.Changes(h.ctx, model.ChangeQuery{RunID: out.Run.ID, Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range changes {
			events[c.Who] = c.Event
			if c.Who == "Person person007" && !strings.Contains(c.Because, "out of scope") {
				t.Errorf("why: %s", c.Because)
			}
		}
		if d := cmp.Diff(map[string]model.Event{"Person person006": model.EventLeaver, "Person person007": model.EventMover}, events); d != "" {
			t.Error(d)
		}
		if rec := h.record("dir-person009"); rec.MissingRuns != 0 || rec.MissingSince != nil {
			t.Errorf("no answer is counted: %+v", rec)
		}
		h.dir.refuses = errors.New("cut")
		h.dir.seen = map[string]model.SightingState{}
		h.sync()
		if d := cmp.Diff(append(names(6), "person008", "person009"), h.app.active()); d != "" {
			t.Error("a search that failed took somebody away:", d)
		}
	})
}

func TestMoreMissingThanAreLookedForHoldsEverybody(t *testing.T) { // D-03
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		pass := absent(h)
		h.dir.users = people(20)
		h.sync()
		h.dir.users = append(people(11), person(30))
		for range 3 {
			out := h.sync()
			if d := cmp.Diff(append(names(20), "person030"), h.app.active()); d != "" {
				t.Error(d)
			}
			if out.Run.State != model.RunHeld || out.Run.ErrorCode != model.CodeSourceMissing || h.dir.asked != 0 {
				t.Errorf("%+v, %d asked", out.Run, h.dir.asked)
			}
			pass(25 * time.Hour)
		}
		if rec := h.record("dir-person019"); rec.MissingRuns != 0 {
			t.Errorf("counted: %+v", rec)
		}
	})
}

func TestAnEntryMadeAnewIsTheSamePersonWhileTheOldOneIsMissing(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		pass := absent(h)
		h.dir.users = people(3)
		h.sync()
		h.dir.users[2].ID = "another"
		h.dir.users[2].DisplayName = "Person made anew"
		h.dir.users[2].Attrs = strings.ReplaceAll(h.dir.users[2].Attrs, "Person person002", "Person made anew")
		h.dir.seen["dir-person002"] = model.SightNowhere
		for range 3 {
			out := h.sync()
			if d := cmp.Diff(names(3), h.app.active()); d != "" || len(h.identities()) != 3 || out.Funnel.Disputed+out.Funnel.Deactivate != 0 {
				t.Errorf("%s %d identities, %+v", d, len(h.identities()), out.Funnel)
			}
			pass(25 * time.Hour)
		}
		all, err := h.store.People(h.ctx, model.PeopleQuery{Search: "made anew", Limit: 5})
		if err != nil || len(all) != 1 {
			t.Errorf("the new entry's word does not count: %+v, %v", all, err)
		}
		if rec := h.record("dir-person002"); rec.ID != "" {
			t.Errorf("the old entry is still there: %+v", rec)
		}
	})
}

func TestAnotherConfigurationIsANewEpoch(t *testing.T) { // D-07; Keycloak #21359; authentik #19295
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		absent(h)
		h.dir.profile = `{"base":"dc=example,dc=org","people.filter":"(a=b)"}`
		h.dir.users = people(30)
		h.sync()
		h.dir.profile = `{"base":"dc=example,dc=org","people.filter":"(a=c)"}`
		h.dir.users = append(people(28), person(40)) // far below every limit of the guard
		h.dir.partial = true
		h.sync()
		h.dir.partial = false
		dry, err := h.Sync(h.ctx, "corp", engine.SyncOptions{DryRun: true})
		if err != nil || dry.Plan == nil || dry.Plan.Items != 2 {
			t.Fatalf("%+v, %v", dry.Plan, err)
		}
		out := h.sync()
		const why = "people.filter of the source changed: 0 joined, 0 moved and 2 would leave by it"
		if out.Run.State != model.RunHeld || out.Plan == nil || out.Plan.Items != 2 || !strings.Contains(out.Plan.Reason, why) || h.dir.asked != 0 {
			t.Fatalf("%+v, %+v", out.Run, out.Plan)
		}
		if d := cmp.Diff(append(names(30), "person040"), h.app.active()); d != "" {
			t.Error("somebody left by a configuration:", d)
		}
		if again := h.sync(); again.Plan != nil || again.Funnel.Deactivate != 0 { // the same epoch now
			t.Errorf("%+v, %+v", again.Plan, again.Funnel)
		}
		h.dir.users = append(people(29), person(40)) // one is listed again
		h.sync()
		plan, err := h.store.Plan(h.ctx, out.Plan.ID)
		if err != nil || plan.Items != 1 {
			t.Fatalf("%+v, %v", plan, err)
		}
		if _, err := h.Approve(h.ctx, plan.ID, plan.Digest, "ada"); err != nil {
			t.Fatal(err)
		}
		h.work()
		if d := cmp.Diff(append(names(29), "person040"), h.app.active()); d != "" {
			t.Error("after approval:", d)
		}
	})
}

func TestCompleteReadsInARowAreInARow(t *testing.T) { // D-01
	t.Parallel()
	for name, there := range map[string]func(d *directory){
		"found by itself": func(d *directory) { d.seen["dir-person004"] = model.SightListed },
		"unusable":        func(d *directory) { d.skips = []model.Skipped{{ID: "dir-person004"}} },
		"refused by the store": func(d *directory) {
			d.users = people(5)
			d.users[4].UniqueKey = "x"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, h *house) {
				pass := absent(h)
				h.dir.users = people(5)
				h.dir.users[0].UniqueKey = "x"
				h.sync()
				missing := func() {
					h.dir.users, h.dir.skips = people(4), nil
					h.dir.seen["dir-person004"] = model.SightNowhere
					h.sync()
					pass(25 * time.Hour)
				}
				missing()
				there(h.dir)
				h.sync()
				if rec := h.record("dir-person004"); rec.MissingRuns != 0 || rec.MissingSince != nil {
					t.Errorf("it was there: %+v", rec)
				}
				missing()
				if d := cmp.Diff(names(5), h.app.active()); d != "" {
					t.Error("the count went on:", d)
				}
				missing()
				if d := cmp.Diff(names(4), h.app.active()); d != "" {
					t.Error("two reads in a row:", d)
				}
			})
		})
	}
}

// A server that lags behind, or was restored, says old things.
func TestWhatAnotherServerSaysIsSeenTwice(t *testing.T) { // D-01
	t.Parallel()
	for _, state := range []model.SightingState{model.SightDeleted, model.SightElsewhere} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, h *house) {
				absent(h)
				h.dir.seen["dir-person003"], h.dir.seen["dir-person004"], h.dir.seen["dir-builders"] = state, state, state
				h.dir.server, h.dir.users = "one", people(5)
				h.dir.groups = []model.Entry{group("builders", "dir-person000", "dir-person004")}
				h.sync()
				h.dir.server, h.dir.users = "two", people(4)
				h.dir.groups[0].Members = h.dir.groups[0].Members[:1]
				h.sync()
				if d := cmp.Diff(names(5), h.app.active()); d != "" {
					t.Error("one read of another server:", d)
				}
				if d := cmp.Diff([]string{"person000", "person004"}, h.plat.active()); d != "" {
					t.Error("the group, by one read of another server:", d)
				}
				h.dir.server = "one"
				h.sync()
				if d := cmp.Diff(names(4), h.app.active()); d != "" {
					t.Error("two reads:", d)
				}
				h.dir.users, h.dir.groups = people(3), nil
				if dry, err := h.Sync(h.ctx, "corp", engine.SyncOptions{DryRun: true}); err != nil || dry.Funnel.Absent != 2 {
					t.Errorf("a dry run knows the server: %+v, %v", dry.Funnel, err)
				}
				h.sync()
				if d := cmp.Diff(names(3), h.app.active()); d != "" || len(h.plat.active()) != 0 {
					t.Error("the same server again:", d)
				}
			})
		})
	}
}
