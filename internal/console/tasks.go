package console

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"go.uber.org/zap"

	"jmld/jml"
	"jmld/model"
)

// TaskBook keeps what people have to do in targets without an API; the store implements it.
type TaskBook interface {
	Tasks(ctx context.Context, q model.TaskQuery) ([]model.Task, error)
	DecideTask(ctx context.Context, t model.Task, o model.TaskOutcome, audit model.AuditEntry) error
}

type taskRow struct {
	model.Task
	Mark   mark
	Step   string
	Reason model.Reason
	Diff   difference // what the account is to have, against what it is known to have
}

func (c *console) taskRow(t model.Task) taskRow {
	row := taskRow{Task: t, Mark: taskMark(t.Status), Step: taskStep(t.Op), Reason: reason(t.Because)}
	if t.Status == model.TaskOpen && t.DueAt.Before(c.now()) {
		row.Mark = mark{"overdue", act}
	}
	if t.State == model.AccountActive {
		row.Diff = compare(attributes(t.Before), attributes(t.Attributes))
	}
	return row
}

func taskMark(s model.TaskStatus) mark {
	switch s {
	case model.TaskOpen:
		return mark{"open", watch}
	case model.TaskDone:
		return mark{"done", fine}
	case model.TaskRefused:
		return mark{"refused", act}
	}
	return mark{string(s), plain}
}

// taskStep is what a person is asked to do.
func taskStep(op model.Op) string {
	w := operation(op).Word
	if op == model.OpCreate {
		w = "make"
	}
	return strings.ToUpper(w[:1]) + w[1:] + " the account"
}

type tasksPage struct {
	Filter   model.TaskQuery
	Statuses []model.TaskStatus
	Targets  []string
	Rows     []taskRow
	More     bool
	Any      bool
}

func (c *console) tasks(ctx context.Context, r *http.Request) (view, error) {
	all := []model.TaskStatus{model.TaskOpen, model.TaskDone, model.TaskRefused, model.TaskWithdrawn}
	status, err := choice(parameter(r, "status"), append(all, "all")...)
	if err != nil {
		return view{}, err
	}
	p := tasksPage{Statuses: all, Filter: model.TaskQuery{Assignee: parameter(r, "assignee"), Target: parameter(r, "target"), Status: status,
		Overdue: parameter(r, "only") == "overdue", Limit: heldRows + 1}}
	switch p.Any = p.Filter.Assignee+p.Filter.Target+string(status) != "" || p.Filter.Overdue; status {
	case "":
		p.Filter.Status = model.TaskOpen
	case "all":
		p.Filter.Status = ""
	}
	p.Targets = c.targetNames()
	found, err := c.o.Tasks.Tasks(ctx, p.Filter)
	if err != nil {
		return view{}, err
	}
	found, p.More = more(found, heldRows)
	for _, t := range found {
		p.Rows = append(p.Rows, c.taskRow(t))
	}
	notice := ""
	switch parameter(r, "done") {
	case string(model.TaskDone):
		notice = "The task is done: the account counts as what it was to become."
	case "looked":
		notice = "The task is done: what the target shows now counts."
	case string(model.TaskRefused):
		notice = "The task is refused: its account is among the problems."
	}
	return view{name: "tasks", title: "Tasks", section: "tasks", notice: notice, data: p}, nil
}

type taskPage struct {
	taskRow
	Open   bool // it can be decided
	Named  bool // the target has an API, by which what was made is found, or named
	Refuse string
}

func (c *console) task(ctx context.Context, r *http.Request) (view, error) {
	return c.showTask(ctx, clean(r.PathValue("id")), "")
}

func (c *console) showTask(ctx context.Context, id, refuse string) (view, error) {
	found, err := c.o.Tasks.Tasks(ctx, model.TaskQuery{ID: id, Limit: 1})
	if err == nil && (id == "" || len(found) == 0) {
		err = model.ErrNotFound
	}
	if err != nil {
		return view{}, err
	}
	t := found[0]
	v := view{name: "task", title: taskStep(t.Op) + " of " + t.Who, section: "tasks",
		data: taskPage{taskRow: c.taskRow(t), Open: t.Status == model.TaskOpen || t.Status == model.TaskWithdrawn,
			Named: t.Op == model.OpCreate && c.hasAPI(t.Target), Refuse: refuse}}
	if refuse != "" {
		v.status = http.StatusConflict
	}
	return v, nil
}

// hasAPI says whether what a person did is looked at.
func (c *console) hasAPI(target string) bool {
	return slices.ContainsFunc(c.targets(), func(t Target) bool { return t.Name == target && t.Kind != "manual" })
}

// decideTask stores what the person at the browser did.
func (c *console) decideTask(ctx context.Context, r *http.Request) (view, error) {
	form, err := posted(r)
	if err != nil {
		return view{}, err
	}
	id, status := clean(r.PathValue("id")), model.TaskStatus(form("do"))
	switch {
	case status != model.TaskDone && status != model.TaskRefused:
		return view{}, badRequest("The form does not say what to do.")
	case form("by") == "":
		return view{}, badRequest("A task is done, or refused, by a person with a name.")
	case form("evidence") == "":
		return view{}, badRequest("Say what was done, or why it will not be.")
	}
	found, err := c.o.Tasks.Tasks(ctx, model.TaskQuery{ID: id, Limit: 1})
	if err == nil && (id == "" || len(found) == 0) {
		err = model.ErrNotFound
	}
	if err != nil {
		return view{}, err
	}
	t, now := found[0], c.now()
	t.Status, t.Evidence, t.DecidedBy = status, form("evidence"), actorNamed(r, form("by"))
	said := model.TaskOutcome{Look: c.hasAPI(t.Target)}
	if status == model.TaskDone && t.Op == model.OpCreate && said.Look {
		said.NativeID = form("native_id")
	}
	entry := model.AuditEntry{ID: model.NewID(now), At: now, Actor: t.DecidedBy, Action: "task." + string(status), Subject: t.IdentityID,
		Detail: jml.Canonical(map[string]string{"task": t.ID, "target": t.Target, "step": taskStep(t.Op), "evidence": t.Evidence, "nativeId": said.NativeID})}
	err = c.o.Tasks.DecideTask(ctx, t, said, entry)
	c.forget()
	switch {
	case errors.Is(err, model.ErrStale):
		return c.showTask(ctx, id, "Somebody decided about the task, or about a later one of the account, since you looked. This is how it is now.")
	case errors.Is(err, model.ErrConflict):
		return c.showTask(ctx, id, "The account has another id in the target, or this id is of somebody else's account.")
	case err != nil:
		return view{}, err
	}
	c.log.Info("task decided in the console", zap.String(model.FieldTarget, t.Target), zap.String(model.FieldKind, string(status)),
		zap.String(model.FieldActor, t.DecidedBy))
	done := string(status)
	if status == model.TaskDone && said.Look {
		done = "looked"
	}
	return view{to: link("/tasks", "done", done)}, nil
}
