package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"jmld/jml/engine"
	"jmld/model"
)

// syncJSON is what a read did, or would do.
type syncJSON struct {
	Schema  string       `json:"schema"`
	Run     runJSON      `json:"run"`
	Plan    *planJSON    `json:"held,omitempty"`
	Held    []planJSON   `json:"heldPlans,omitempty"` // one for each brake
	Changes []changeJSON `json:"changes"`
	Settled int          `json:"settled"`
	Failed  int          `json:"failed"`
}

func newSync(a *app) *cobra.Command {
	var by, only, mode string
	cmd := &cobra.Command{
		Use:   "sync SOURCE",
		Short: "Read a directory now and bring the targets there",
		Long: "sync reads the source under its lease, beside a running daemon or without one, and then works off the accounts that are due.\n" +
			"Targets in memory are left to the daemon.\n\n" +
			"With --only it reads one person, by DN, id or user name, and shows what the directory has, whether a read lists it, and what a run would\n" +
			"decide; it changes nothing, and groups are not read. It exits with 2 when there would be changes, and 4 when nobody is found.",
		Example: `  jmld plan corp && jmld sync corp
  jmld sync corp --only ada
  jmld sync corp --mode delta
  jmld sync corp -o json | jq .run.funnel`,
		Args:              exactly("SOURCE"),
		ValidArgsFunction: a.completeSource(true),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withReadable(cmd.Context(), args[0], func(ctx context.Context, s *site) error {
				if only != "" {
					return a.only(ctx, s, args[0], only)
				}
				switch m := model.Mode(mode); m {
				case model.ModeFull, model.ModeDelta, model.ModeCensus:
					return a.sync(ctx, s, args[0], m, a.operator(by))
				}
				return usage(fmt.Errorf("--mode %s: full, delta or census is expected", mode))
			})
		},
	}
	cmd.Flags().StringVar(&mode, "mode", string(model.ModeFull), "what is read: full, delta (what changed) or census (ids, and who is new)")
	cmd.Flags().StringVar(&only, "only", "", "read `who` alone and show what a run would decide, without changing anything")
	cmd.Flags().StringVar(&by, "by", "", "`name` of the person who asks (default: your account here)")
	return cmd
}

func newPlan(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "plan SOURCE",
		Short: "What a read of a directory would change, without changing anything",
		Long: "plan is the run itself on a copy of the database that is thrown away: the same code to the last step, and nothing is written and no\n" +
			"target is asked. It exits with 0 when there is nothing to do, 2 when there are changes, 3 when the guard would hold some of\n" +
			"them, and 5 when the source could not be read completely.",
		Example: `  jmld plan corp
  jmld plan corp -o json | jq '.changes[] | select(.op == "!") | .who'`,
		Args:              exactly("SOURCE"),
		ValidArgsFunction: a.completeSource(true),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withReadable(cmd.Context(), args[0], func(ctx context.Context, s *site) error {
				return a.plan(ctx, s, args[0])
			})
		},
	}
}

// withReadable opens the site for a command that reads a source: it may take as long as the source's own limit.
func (a *app) withReadable(ctx context.Context, source string, do func(context.Context, *site) error) (err error) {
	s, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	switch {
	case !s.hasSource(source):
		return notFound("there is no source %q in %s (%s)", line(source), s.file, s.sourceNames())
	case !s.isRead(source):
		return usage(fmt.Errorf("source %s is pushed by its client over SCIM; only a directory can be read", source))
	}
	return do(ctx, s)
}

func (a *app) sync(ctx context.Context, s *site, source string, mode model.Mode, actor string) error {
	access := declaredAccess(s.cfg, actor, false)
	if err := s.engine.TakeOver(ctx, &access); err != nil { // as a daemon does that starts; beside one that runs nothing happens here
		return err
	}
	done, err := s.engine.Sync(ctx, source, engine.SyncOptions{Mode: mode, Trigger: "demand", Actor: actor, Progress: a.progress()})
	a.endProgress()
	if err != nil {
		return err
	}
	settled, failed, err := s.engine.Work(ctx)
	if err != nil {
		return fmt.Errorf("work off the accounts: %w", err)
	}
	changes, err := s.store.Changes(ctx, model.ChangeQuery{RunID: done.Run.ID, Limit: maxRows})
	if err != nil {
		return err
	}
	if a.json() {
		if err := a.printSync("jmld.sync/1", done, changes, settled, failed); err != nil {
			return err
		}
		return outcome(syncExit(done))
	}
	if err := a.printSynced(done, changes); err != nil {
		return err
	}
	switch {
	case failed > 0:
		a.printf("%s applied, %d not: jmld accounts --unsettled\n", count(settled, "account"), failed)
	case settled > 0:
		a.printf("%s applied\n", count(settled, "account"))
	}
	return outcome(syncExit(done))
}

func (a *app) plan(ctx context.Context, s *site, source string) error {
	done, err := s.engine.Sync(ctx, source, engine.SyncOptions{
		Trigger: "demand", Actor: a.operator(""), DryRun: true, Progress: a.progress(),
	})
	a.endProgress()
	if err != nil {
		return err
	}
	if a.json() {
		err = a.printSync("jmld.plan-source/1", done, done.Changes, 0, 0)
	} else {
		err = a.printSynced(done, done.Changes)
	}
	if err != nil {
		return err
	}
	code := syncExit(done)
	if code == exitOK && len(done.Changes) > 0 {
		code = exitChanges
	}
	return outcome(code)
}

// syncExit is what a read says to a script; the gravest first.
func syncExit(done engine.Synced) int {
	switch {
	case !done.Proof.Complete:
		return exitIncomplete
	case len(done.Held) > 0:
		return exitHeld
	}
	return exitOK
}

func (a *app) printSync(schema string, done engine.Synced, changes []model.Change, settled, failed int) error {
	doc := syncJSON{Schema: schema, Run: runView(done.Run), Changes: changesJSON(byPerson(changes)), Settled: settled, Failed: failed}
	if done.Plan != nil {
		p := planView(*done.Plan)
		doc.Plan = &p
	}
	for _, p := range done.Held {
		doc.Held = append(doc.Held, planView(p))
	}
	return a.printJSON(doc)
}

// printSynced lists the changes, what is held and refused, and the counts last.
func (a *app) printSynced(done engine.Synced, changes []model.Change) error {
	if err := a.printChanges(byPerson(changes)); err != nil {
		return err
	}
	if len(changes) > 0 {
		a.printf("\n")
	}
	for _, p := range done.Held {
		a.printf("held: %s\n", line(p.Reason))
		if done.Run.DryRun {
			a.printf("  A run would wait for approval of %s; everything else would go on.\n", count(p.Items, "change"))
		} else {
			a.printf("  %s for approval; everything else went on:  jmld held %s\n", count(p.Items, "change waits", "changes wait"), p.ID)
		}
	}
	a.printf("%s\n", modeLine(done.Proof))
	a.printf("%s\n", verdictLine(done.Run.Verdict, done.Proof))
	a.printf("%s\n", funnelLine(done.Funnel))
	a.printf("%s\n", a.tally(done.Funnel))
	return nil
}

// progress writes to standard error, if that is a terminal.
func (a *app) progress() func(model.Funnel) {
	if a.json() || !isTerminal(a.stderr) {
		return nil
	}
	start := a.now()
	return func(f model.Funnel) {
		rate := ""
		if took := a.now().Sub(start).Seconds(); took > 0.5 {
			rate = fmt.Sprintf(" (%.0f/s)", float64(f.Users+f.Groups)/took)
		}
		fmt.Fprintf(a.stderr, "\r%s%s\x1b[K", funnelLine(f), rate)
	}
}

func (a *app) endProgress() {
	if !a.json() && isTerminal(a.stderr) {
		fmt.Fprint(a.stderr, "\r\x1b[K")
	}
}
