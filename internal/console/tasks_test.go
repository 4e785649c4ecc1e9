package console_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/console"
	"jmld/model"
)

// taskBook has three tasks, and remembers what was decided.
type taskBook struct {
	tasks   []model.Task
	decided []model.Task
	said    []model.TaskOutcome
	audit   []model.AuditEntry
}

func newTaskBook() *taskBook {
	at := now().Add(-time.Hour)
	task := func(id, who string, op model.Op, due time.Duration) model.Task {
		return model.Task{ID: id, IdentityID: "i-" + id, Target: "badges", Who: who, UserName: strings.ToLower(who), Op: op, State: model.AccountActive,
			Attributes: `{"displayName":"` + who + `","title":"Engineer"}`, Because: `{"text":"rule everybody holds","rule":"everybody"}`,
			Assignee: "Lena Berg", Instructions: "At the front desk.", DueAt: now().Add(due), Status: model.TaskOpen, CreatedAt: at, UpdatedAt: at}
	}
	late, over := task("t2", "Bo", model.OpUpdate, -48*time.Hour), task("t3", "<b>Cy</b>", model.OpDeactivate, time.Hour)
	late.Before = `{"displayName":"Bo","title":"Trainee"}`
	over.Status, over.DecidedBy, over.DecidedAt, over.Evidence = model.TaskDone, "operator ada", &at, "ticket 4711"
	return &taskBook{tasks: []model.Task{late, task("t1", "Ada", model.OpCreate, 72*time.Hour), over}}
}

func (b *taskBook) Tasks(_ context.Context, q model.TaskQuery) ([]model.Task, error) {
	return filter(b.tasks, func(t model.Task) bool {
		return is(q.ID, t.ID) && is(string(q.Status), string(t.Status)) && is(q.Target, t.Target) && is(q.Assignee, t.Assignee) &&
			(!q.Overdue || t.Status == model.TaskOpen && t.DueAt.Before(now()))
	}), nil
}

func (b *taskBook) DecideTask(_ context.Context, t model.Task, o model.TaskOutcome, audit model.AuditEntry) error {
	i := slices.IndexFunc(b.tasks, func(x model.Task) bool { return x.ID == t.ID })
	if b.tasks[i].Status != model.TaskOpen {
		return model.ErrStale
	}
	b.tasks[i].Status = t.Status
	b.decided, b.said, b.audit = append(b.decided, t), append(b.said, o), append(b.audit, audit)
	return nil
}

// What people have to do is listed, those due first, and decided with a name and evidence, once (M-05, M-41).
func TestTasksAreShownAndDecided(t *testing.T) {
	t.Parallel()
	book, o := newTaskBook(), options(company(t))
	o.Tasks = book
	h := console.New(o)
	a := get(t, h, "/tasks").status(t, 200)
	want := []string{"Update the account of Bo bo badges overdue Lena Berg 2 days ago rule everybody holds rule everybody",
		"Make the account of Ada ada badges open Lena Berg in 3 days rule everybody holds rule everybody"}
	if d := cmp.Diff(want, a.rows("Tasks, those due first")); d != "" {
		t.Error(d)
	}
	if rows := get(t, h, "/tasks?only=overdue").status(t, 200).rows("Tasks, those due first"); len(rows) != 1 {
		t.Error(rows)
	}
	if rows := get(t, h, "/tasks?status=all").status(t, 200).rows("Tasks, those due first"); len(rows) != 3 {
		t.Error(rows)
	}
	get(t, h, "/tasks?status=lost").status(t, http.StatusBadRequest)
	get(t, h, "/tasks/none").status(t, http.StatusNotFound)
	get(t, h, "/tasks/t2").status(t, 200).has(t, "At the front desk.", "was Trainee", "will be Engineer", "It will not be done")
	get(t, h, "/tasks/t3").status(t, 200).has(t, "<b>Cy</b>", "ticket 4711", "by operator ada")
	get(t, h, "/tasks/t3").lacks(t, "It is done")

	post(t, h, "/tasks/t1", "do", "done", "by", "Lena Berg").status(t, http.StatusBadRequest)
	post(t, h, "/tasks/t1", "do", "done", "evidence", "badge 7").status(t, http.StatusBadRequest)
	post(t, h, "/tasks/t1", "do", "lost", "by", "Lena Berg", "evidence", "badge 7").status(t, http.StatusBadRequest)
	post(t, h, "/tasks/none", "do", "done", "by", "Lena Berg", "evidence", "badge 7").status(t, http.StatusNotFound)
	if len(book.decided) != 0 {
		t.Fatal(book.decided)
	}
	if to := post(t, h, "/tasks/t1", "do", "done", "by", "Lena Berg", "evidence", "badge 7").status(t, http.StatusSeeOther).Header.Get("Location"); to != "/tasks?done=done" {
		t.Error(to)
	}
	post(t, h, "/tasks/t1", "do", "refused", "by", "Bo", "evidence", "no").status(t, http.StatusConflict).has(t, "Nothing was decided")
	if len(book.decided) != 1 || book.decided[0].Evidence != "badge 7" || !strings.HasPrefix(book.decided[0].DecidedBy, "operator Lena Berg, ") ||
		book.audit[0].Action != "task.done" || book.audit[0].Actor != book.decided[0].DecidedBy {
		t.Error(book.decided, book.audit)
	}
	get(t, console.New(options(company(t))), "/tasks").status(t, http.StatusNotFound)
}

// What was made where there is an API is looked at, and may be named; where there is none, what the person says counts.
func TestWhatWasMadeBesideAnAPIIsNamed(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]model.TaskOutcome{"scim": {NativeID: "u-7", Look: true}, "manual": {}} {
		book, o := newTaskBook(), options(company(t))
		o.Tasks, o.Targets = book, func() []console.Target { return []console.Target{{Name: "badges", Class: model.ClassApp, Kind: kind}} }
		h := console.New(o)
		const label = "Its id in the target"
		if kind == "scim" {
			get(t, h, "/tasks/t1").status(t, 200).has(t, label)
		} else {
			get(t, h, "/tasks/t1").status(t, 200).lacks(t, label)
		}
		get(t, h, "/tasks/t2").status(t, 200).lacks(t, label)
		post(t, h, "/tasks/t1", "do", "done", "by", "Lena Berg", "evidence", "made", "native_id", "u-7").status(t, http.StatusSeeOther)
		if d := cmp.Diff([]model.TaskOutcome{want}, book.said); d != "" {
			t.Errorf("%s: %s", kind, d)
		}
	}
}
