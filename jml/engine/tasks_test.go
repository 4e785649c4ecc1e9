package engine_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/jml"
	"jmld/jml/engine"
	"jmld/jml/policy"
	"jmld/model"
	"jmld/target/manual"
)

// byHand makes the app a target without an API.
func (h *house) byHand(now func() time.Time) {
	r := rules(h.t)
	r.Policy = compiled(h.t, policy.Rule{Name: "everybody", Target: "app", When: "person.active",
		Attributes: map[string]string{"userName": "person.userName", "title": `has(person.title) ? person.title : ""`}})
	opts := h.opts
	opts.Rules = r
	opts.Targets = []engine.TargetSpec{{Target: h.plat, Class: model.ClassPlatform},
		{Target: manual.New(manual.Options{Name: "app", Assignee: "Lena Berg", Instructions: "At the desk.", Due: 72 * time.Hour, Store: h.store, Now: now}), Class: model.ClassApp}}
	h.Engine = engine.New(opts)
}

// tasks are those of everybody, in words.
func (h *house) tasks() []string {
	h.t.Helper()
	list, err := h.store.Tasks(h.ctx, model.TaskQuery{})
	if err != nil {
		h.t.Fatal(err)
	}
	var out []string
	for _, t := range list {
		out = append(out, string(t.Op)+" "+t.UserName+" "+string(t.Status))
	}
	return out
}

func (h *house) open() model.Task {
	h.t.Helper()
	list, err := h.store.Tasks(h.ctx, model.TaskQuery{Status: model.TaskOpen})
	if err != nil || len(list) != 1 {
		h.t.Fatalf("%d open tasks, %v", len(list), err)
	}
	return list[0]
}

func (h *house) decideTask(t model.Task, status model.TaskStatus) error {
	t.Status, t.Evidence, t.DecidedBy = status, "ticket 4711", "operator lena"
	now := time.Now().UTC()
	return h.store.DecideTask(h.ctx, t, model.TaskOutcome{}, model.AuditEntry{ID: model.NewID(now), At: now, Actor: "operator lena", Action: "task." + string(status),
		Subject: t.IdentityID, Detail: "{}"})
}

func (h *house) only() (state, applied model.AccountState, code model.Code, dead bool) {
	h.t.Helper()
	list, err := h.store.Accounts(h.ctx, model.AccountQuery{Target: "app"})
	if err != nil || len(list) != 1 {
		h.t.Fatalf("%d accounts, %v", len(list), err)
	}
	return list[0].State, list[0].AppliedState, list[0].ErrorCode, list[0].Dead
}

func (h *house) wantAccount(what string, want ...any) {
	h.t.Helper()
	state, applied, code, dead := h.only()
	if d := cmp.Diff(want, []any{state, applied, code, dead}); d != "" {
		h.t.Errorf("%s: %s", what, d)
	}
}

// A target without an API: each step is a person's task, and the account is what the task that is done made of it.
func TestStepsOfPeople(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.byHand(time.Now)
		push := func(active bool, title string) {
			t.Helper()
			if _, err := h.scim("entra", "e-ada", "ada", active, titled(title)); err != nil {
				t.Fatal(err)
			}
			h.settle()
		}
		want := func(what string, want ...string) {
			t.Helper()
			if d := cmp.Diff(want, h.tasks()); d != "" {
				t.Errorf("%s: %s", what, d)
			}
		}
		push(true, "Engineer")
		want("a joiner", "+ ada open")
		h.wantAccount("a joiner", model.AccountActive, model.AccountUnknown, model.CodeTaskOpen, false)
		first := h.open()
		if !strings.Contains(first.Because, "rule everybody holds") || first.Attributes != `{"title":"Engineer","userName":"ada"}` || first.Assignee != "Lena Berg" {
			t.Errorf("the task says %+v", first)
		}
		h.byHand(time.Now) // another process
		if _, err := h.store.Retry(h.ctx, model.AccountQuery{Target: "app"}); err != nil {
			t.Fatal(err)
		}
		h.settle()
		want("asked again", "+ ada open")

		push(true, "Architect")
		want("a change before it is done", "+ ada withdrawn", "+ ada open")
		if err := h.decideTask(h.open(), model.TaskDone); err != nil {
			t.Fatal(err)
		}
		h.wantAccount("done", model.AccountActive, model.AccountActive, model.Code(""), false)
		if err := h.decideTask(first, model.TaskDone); !errors.Is(err, model.ErrStale) {
			t.Errorf("the one before it, done late: %v", err)
		}
		h.settle()
		want("nothing else to do", "+ ada withdrawn", "+ ada done")

		push(true, "Boss")
		push(true, "Architect")
		want("changed and changed back", "+ ada withdrawn", "+ ada done", "~ ada withdrawn")

		push(false, "Architect")
		if err := h.decideTask(h.open(), model.TaskRefused); err != nil {
			t.Fatal(err)
		}
		h.wantAccount("refused", model.AccountInactive, model.AccountActive, model.CodeTaskRefused, true)
		if _, err := h.Retry(h.ctx, model.AccountQuery{Target: "app"}, "operator lena"); err != nil {
			t.Fatal(err)
		}
		h.settle()
		want("a leaver's task is never lost", "+ ada withdrawn", "+ ada done", "~ ada withdrawn", "! ada refused", "! ada open")
		if err := h.decideTask(h.open(), model.TaskDone); err != nil {
			t.Fatal(err)
		}
		h.wantAccount("gone", model.AccountInactive, model.AccountInactive, model.Code(""), false)
	})
}

// D-21: what an entry protects since somebody was asked to take it away is not asked for any more.
func TestATaskAboutWhatIsProtectedIsWithdrawn(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.byHand(time.Now)
		push := func(active bool) {
			t.Helper()
			if _, err := h.scim("entra", "e-ada", "ada", active, nil); err != nil {
				t.Fatal(err)
			}
			h.settle()
		}
		push(true)
		if err := h.decideTask(h.open(), model.TaskDone); err != nil {
			t.Fatal(err)
		}
		push(false)
		h.wantAccount("left", model.AccountInactive, model.AccountActive, model.CodeTaskOpen, false)
		r := *h.opts.Rules
		r.Policy = compiled(t, policy.Rule{Name: "everybody", Target: "app", When: "person.active", Attributes: map[string]string{"userName": "person.userName"}})
		r.Protect.People = []jml.ProtectedPeople{{Name: "in an emergency", Key: jml.KeyUserName, Pattern: "ada"}}
		h.SetRules(&r)
		if _, err := h.Retry(h.ctx, model.AccountQuery{Target: "app"}, "operator lena"); err != nil {
			t.Fatal(err)
		}
		h.settle()
		h.wantAccount("protected", model.AccountInactive, model.AccountActive, model.CodeProtected, true)
		if d := cmp.Diff([]string{"+ ada done", "! ada withdrawn"}, h.tasks()); d != "" {
			t.Error(d)
		}
	})
}

// Who leaves before the account was said to be made has a task all the same: somebody may have made it.
func TestWhoLeavesWhileTheirAccountIsMade(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		later := time.Duration(0)
		h.byHand(func() time.Time { return time.Now().Add(later) })
		push := func(active bool) {
			t.Helper()
			if _, err := h.scim("entra", "e-ada", "ada", active, number("1")); err != nil {
				t.Fatal(err)
			}
			h.settle()
		}
		push(true)
		task := h.open()
		later = 80 * time.Hour
		if _, err := h.store.Retry(h.ctx, model.AccountQuery{Target: "app"}); err != nil {
			t.Fatal(err)
		}
		h.settle()
		h.wantAccount("overdue", model.AccountActive, model.AccountUnknown, model.CodeTaskOverdue, false)
		push(false)
		if d := cmp.Diff([]string{"+ ada withdrawn", "! ada open"}, h.tasks()); d != "" {
			t.Error(d)
		}
		h.wantAccount("perhaps made", model.AccountInactive, model.AccountUnknown, model.CodeTaskOpen, false)
		if err := h.decideTask(task, model.TaskRefused); !errors.Is(err, model.ErrStale) {
			t.Errorf("refused after it was withdrawn: %v", err)
		}
		if err := h.decideTask(task, model.TaskDone); err != nil {
			t.Fatal(err)
		}
		h.settle()
		if d := cmp.Diff([]string{"+ ada done", "! ada open"}, h.tasks()); d != "" {
			t.Errorf("made all the same: %s", d)
		}
		h.wantAccount("made all the same", model.AccountInactive, model.AccountActive, model.CodeTaskOpen, false)
		if err := h.decideTask(h.open(), model.TaskDone); err != nil {
			t.Fatal(err)
		}
		h.settle()
		h.wantAccount("not there", model.AccountInactive, model.AccountInactive, model.Code(""), false)
	})
}

// A worker that is late, because its process stood still, knows the account from before: it neither opens what is done nor withdraws what a
// leaver needs.
func TestALateWorkerLeavesTasksAlone(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.byHand(time.Now)
		late := manual.New(manual.Options{Name: "app", Assignee: "Lena Berg", Due: time.Hour, Store: h.store, Now: time.Now})
		asks := func(what string, known model.Account, want ...string) {
			t.Helper()
			if _, err := late.Ensure(h.ctx, known); !errors.Is(err, model.ErrStale) {
				t.Errorf("%s: %v", what, err)
			}
			if d := cmp.Diff(want, h.tasks()); d != "" {
				t.Errorf("%s: %s", what, d)
			}
		}
		account := func() model.Account {
			t.Helper()
			list, err := h.store.Accounts(h.ctx, model.AccountQuery{Target: "app"})
			if err != nil || len(list) != 1 {
				t.Fatalf("%d accounts, %v", len(list), err)
			}
			return list[0]
		}
		push := func(active bool, title string) {
			t.Helper()
			if _, err := h.scim("entra", "e-ada", "ada", active, titled(title)); err != nil {
				t.Fatal(err)
			}
			h.settle()
		}
		push(true, "Engineer")
		known := account()
		if err := h.decideTask(h.open(), model.TaskDone); err != nil {
			t.Fatal(err)
		}
		asks("made", known, "+ ada done")
		push(true, "Architect")
		known = account()
		push(false, "Architect")
		asks("left", known, "+ ada done", "~ ada withdrawn", "! ada open")
	})
}

// M-41: a task is of whoever is responsible now, and due when it was due.
func TestAnOpenTaskFollowsItsAssignee(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, h *house) {
		h.byHand(time.Now)
		if _, err := h.scim("entra", "e-ada", "ada", true, titled("Engineer")); err != nil {
			t.Fatal(err)
		}
		h.settle()
		before := h.open()
		list, err := h.store.Accounts(h.ctx, model.AccountQuery{Target: "app"})
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		for range 2 {
			other := manual.New(manual.Options{Name: "app", Assignee: "Bo Lind", Due: time.Hour, Store: h.store, Now: time.Now})
			if _, err := other.Ensure(h.ctx, list[0]); model.CodeOf(err) != model.CodeTaskOpen {
				t.Fatal(err)
			}
		}
		if after := h.open(); after.Assignee != "Bo Lind" || !after.DueAt.Equal(before.DueAt) || after.Op != before.Op {
			t.Errorf("%+v, was %+v", after, before)
		}
		if d := cmp.Diff([]string{"+ ada open", "+ ada withdrawn"}, slices.Sorted(slices.Values(h.tasks()))); d != "" {
			t.Error(d)
		}
	})
}
