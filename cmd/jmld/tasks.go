package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"jmld/internal/config"
	"jmld/jml"
	"jmld/model"
)

type taskJSON struct {
	ID           string             `json:"id"`
	Status       model.TaskStatus   `json:"status"`
	Overdue      bool               `json:"overdue,omitempty"`
	Target       string             `json:"target"`
	Step         string             `json:"step"`
	Who          string             `json:"who"`
	UserName     string             `json:"userName"`
	Identity     string             `json:"identity"`
	Assignee     string             `json:"assignee"`
	Due          string             `json:"due"`
	Instructions string             `json:"instructions,omitempty"`
	State        model.AccountState `json:"state"` // the account's, when it is done
	Attributes   json.RawMessage    `json:"attributes,omitempty"`
	Before       json.RawMessage    `json:"before,omitempty"`
	Because      json.RawMessage    `json:"because"`
	Evidence     string             `json:"evidence,omitempty"`
	DecidedBy    string             `json:"decidedBy,omitempty"`
	DecidedAt    string             `json:"decidedAt,omitempty"`
	Created      string             `json:"created"`
}

type tasksJSON struct {
	Schema string     `json:"schema"`
	Tasks  []taskJSON `json:"tasks"`
}

// steps are what people are asked to do.
func stepText(op model.Op) string {
	switch op {
	case model.OpCreate:
		return "make the account"
	case model.OpUpdate:
		return "change the account"
	case model.OpDeactivate:
		return "deactivate the account"
	case model.OpReactivate:
		return "reactivate the account"
	case model.OpDelete:
		return "delete the account"
	}
	return string(op)
}

func (a *app) taskView(t model.Task) taskJSON {
	v := taskJSON{ID: t.ID, Status: t.Status, Overdue: t.Status == model.TaskOpen && t.DueAt.Before(a.now()), Target: t.Target, Step: stepText(t.Op), Who: t.Who,
		UserName: t.UserName, Identity: t.IdentityID, Assignee: t.Assignee, Due: t.DueAt.UTC().Format(timeJSON), Instructions: t.Instructions, State: t.State,
		Attributes: object(t.Attributes), Before: object(t.Before), Because: object(t.Because), Evidence: t.Evidence, DecidedBy: t.DecidedBy,
		Created: t.CreatedAt.UTC().Format(timeJSON)}
	if t.DecidedAt != nil {
		v.DecidedAt = t.DecidedAt.UTC().Format(timeJSON)
	}
	return v
}

func newTasks(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "tasks", Short: "What people have to do in targets without an API for it",
		Long: "Each step in a target of the kind manual: is a task, and the account counts as what the task makes of it when somebody says that it is done.\n" +
			"Of a target with an API, the steps in manual.steps are; what the API shows then counts.",
		Example: `  jmld tasks list --overdue
  jmld tasks show 01a20480-8ff5-7610-b33f-eccec31f9047
  jmld tasks done 01a20480-8ff5-7610-b33f-eccec31f9047 --evidence "ticket 4711"
  jmld tasks refuse 01a20480-8ff5-7610-b33f-eccec31f9047 --evidence "no licence left"`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTasksList(a), newTasksShow(a), newTasksDecide(a, model.TaskDone), newTasksDecide(a, model.TaskRefused))
	return cmd
}

func newTasksList(a *app) *cobra.Command {
	q := model.TaskQuery{}
	status := string(model.TaskOpen)
	cmd := &cobra.Command{
		Use: "list", Short: "List tasks, those due first",
		Example: `  jmld tasks list --assignee lena@example.org
  jmld tasks list --status all -o json`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			known := []string{"all", string(model.TaskOpen), string(model.TaskDone), string(model.TaskRefused), string(model.TaskWithdrawn)}
			if !slices.Contains(known, status) {
				return usage(fmt.Errorf("--status %s: one of %s is expected", line(status), strings.Join(known, ", ")))
			}
			if q.Status = model.TaskStatus(status); status == "all" {
				q.Status = ""
			}
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				tasks, err := s.store.Tasks(ctx, q)
				if err != nil {
					return err
				}
				v := tasksJSON{"jmld.tasks/1", []taskJSON{}}
				for _, t := range tasks {
					v.Tasks = append(v.Tasks, a.taskView(t))
				}
				if a.json() {
					return a.printJSON(v)
				}
				if len(tasks) == 0 {
					a.printf("none\n")
					return nil
				}
				t := newTable(a.stdout)
				t.row("ID", "STATUS", "TARGET", "WHAT", "WHO", "ASSIGNEE", "DUE")
				for _, task := range v.Tasks {
					due := task.Due
					if task.Overdue {
						due += ", overdue"
					}
					t.row(task.ID, string(task.Status), task.Target, task.Step, task.Who, task.Assignee, due)
				}
				return t.flush()
			})
		},
	}
	cmd.Flags().StringVar(&status, "status", status, "open, done, refused, withdrawn or all")
	cmd.Flags().StringVar(&q.Assignee, "assignee", "", "only of this `person`, as in the configuration")
	cmd.Flags().StringVar(&q.Target, "target", "", "only in this `target`")
	cmd.Flags().BoolVar(&q.Overdue, "overdue", false, "only open ones that were due")
	cmd.Flags().IntVar(&q.Limit, "limit", 100, "at most so `many`")
	return cmd
}

func findTask(ctx context.Context, s *site, id string) (model.Task, error) {
	tasks, err := s.store.Tasks(ctx, model.TaskQuery{ID: id, Limit: 1})
	if err != nil {
		return model.Task{}, err
	}
	if len(tasks) == 0 {
		return model.Task{}, notFound("there is no task %q: `jmld tasks list --status all` lists them", line(id))
	}
	return tasks[0], nil
}

func newTasksShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "One task: what to do, for whom, and why",
		Example: `  jmld tasks show 01a20480-8ff5-7610-b33f-eccec31f9047`,
		Args:    exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				t, err := findTask(ctx, s, args[0])
				if err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(a.taskView(t))
				}
				return a.printTask(t)
			})
		},
	}
}

func (a *app) printTask(t model.Task) error {
	v := a.taskView(t)
	var why model.Reason
	if err := json.Unmarshal([]byte(t.Because), &why); err != nil {
		return fmt.Errorf("task %s: reason: %w", t.ID, err)
	}
	a.printf("%s in %s: %s  (%s)\n", line(v.Step), line(t.Target), line(t.Who), t.Status)
	a.printf("  user name     %s\n", line(t.UserName))
	a.printf("  assignee      %s\n", line(t.Assignee))
	overdue := ""
	if v.Overdue {
		overdue = ", overdue"
	}
	a.printf("  due           %s%s\n", v.Due, overdue)
	a.printf("  because       %s\n", line(why.Text))
	if t.Instructions != "" {
		a.printf("  instructions  %s\n", strings.ReplaceAll(strings.TrimSpace(t.Instructions), "\n", "\n                "))
	}
	if t.Status != model.TaskOpen {
		a.printf("  %-13s %s, by %s at %s\n", t.Status, line(t.Evidence), line(t.DecidedBy), v.DecidedAt)
	}
	attrs := jml.Decode(t.Attributes)
	if t.State != model.AccountActive || len(attrs) == 0 {
		return nil
	}
	a.printf("\nAttributes\n")
	before := jml.Decode(t.Before)
	tab := newTable(a.stdout)
	for _, name := range attributeNames(attrs, before) {
		is, was := text(attrs[name]), text(before[name])
		note := ""
		if t.Op == model.OpUpdate && is != was {
			note = "was " + orElse(was, "none")
		}
		tab.indented(name, orElse(is, "none"), note)
	}
	return tab.flush()
}

func attributeNames(maps ...map[string]any) []string {
	var out []string
	for _, m := range maps {
		for k := range m {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	return jml.Canonical(v)
}

func newTasksDecide(a *app, status model.TaskStatus) *cobra.Command {
	var by, evidence string
	var said model.TaskOutcome
	verb, short := "done", "Say that a task is done: the account counts as what it was to become, or as what the API of its target shows"
	if status == model.TaskRefused {
		verb, short = "refuse", "Say that a task will not be done: the account goes to the dead letter"
	}
	cmd := &cobra.Command{
		Use: verb + " ID", Short: short,
		Long:    "A task that was withdrawn can be done all the same, if somebody was faster: what has to be undone then becomes a task of its own.",
		Example: fmt.Sprintf("  jmld tasks %s 01a20480-8ff5-7610-b33f-eccec31f9047 --evidence \"ticket 4711\"", verb),
		Args:    exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(evidence) == "" {
				return usage(errors.New("--evidence is missing: what was done, or why it will not be"))
			}
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				t, err := findTask(ctx, s, args[0])
				if err != nil {
					return err
				}
				if said.NativeID != "" && t.Op != model.OpCreate {
					return usage(fmt.Errorf("--native-id is of an account that was made; task %s is to %s", t.ID, stepText(t.Op)))
				}
				i := slices.IndexFunc(s.cfg.Targets, func(c config.Target) bool { return c.Name == t.Target })
				said.Look = i >= 0 && s.cfg.Targets[i].Kind() != "manual"
				if said.NativeID != "" && !said.Look {
					return usage(fmt.Errorf("--native-id is looked for by an API; target %s has none", line(t.Target)))
				}
				t.Status, t.Evidence, t.DecidedBy = status, strings.TrimSpace(evidence), a.operator(by)
				now := a.now().UTC()
				entry := model.AuditEntry{ID: model.NewID(now), At: now, Actor: t.DecidedBy, Action: "task." + string(status), Subject: t.IdentityID,
					Detail: jml.Canonical(map[string]string{"task": t.ID, "target": t.Target, "step": stepText(t.Op), "evidence": t.Evidence, "nativeId": said.NativeID})}
				if err := s.store.DecideTask(ctx, t, said, entry); err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(a.taskView(t))
				}
				a.printf("%s: %s in %s for %s\n", t.Status, stepText(t.Op), line(t.Target), line(t.Who))
				if said.Look && status == model.TaskDone {
					a.printf("what the target shows counts: `jmld accounts --target %s` says what that is\n", line(t.Target))
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&evidence, "evidence", "", "`what` was done, or why it will not be (required)")
	cmd.Flags().StringVar(&by, "by", "", "`name` of the person (default: your account here)")
	if status == model.TaskDone {
		cmd.Flags().StringVar(&said.NativeID, "native-id", "", "the target's `id` of the account that was made, where it is not to be found by its user name")
	}
	return cmd
}
