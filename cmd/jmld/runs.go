package main

import (
	"context"

	"github.com/spf13/cobra"

	"jmld/model"
)

type runsJSON struct {
	Schema string    `json:"schema"`
	Runs   []runJSON `json:"runs"`
}

type runDocument struct {
	Schema  string       `json:"schema"`
	Run     runJSON      `json:"run"`
	Changes []changeJSON `json:"changes"`
}

func newRuns(a *app) *cobra.Command {
	var source string
	var limit int
	cmd := &cobra.Command{
		Use:   "runs [RUN]",
		Short: "What was read, and whether it was complete; or one run with its changes",
		Example: `  jmld runs
  jmld runs --source corp --limit 5
  jmld runs 01980f3c-6c1e-7b56-a1b2-5a7f3c6d8e90`,
		Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 || limit > maxRows {
				return usage(errLimit(limit))
			}
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				if len(args) == 1 {
					return a.showRun(ctx, s, args[0], limit)
				}
				return a.listRuns(ctx, s, source, limit)
			})
		},
	}
	cmd.Flags().StringVar(&source, "source", "", "only runs of this `source`")
	cmd.Flags().IntVar(&limit, "limit", 20, "at most this many rows")
	return cmd
}

func (a *app) listRuns(ctx context.Context, s *site, source string, limit int) error {
	if source != "" && !s.hasSource(source) {
		return notFound("there is no source %q in %s", source, s.file)
	}
	runs, err := s.store.RunList(ctx, source, limit, "")
	if err != nil {
		return err
	}
	if a.json() {
		doc := runsJSON{Schema: "jmld.runs/1", Runs: []runJSON{}}
		for _, r := range runs {
			doc.Runs = append(doc.Runs, runView(r))
		}
		return a.printJSON(doc)
	}
	if len(runs) == 0 {
		a.printf("no source has been read yet: jmld sync SOURCE\n")
		return nil
	}
	t := newTable(a.stdout)
	t.row("RUN", "SOURCE", "STARTED", "TRIGGER", "MODE", "STATE", "VERDICT", "CHANGES")
	for _, r := range runs {
		changes := plainTally(funnelOf(r))
		if r.ErrorCode != "" {
			changes = string(r.ErrorCode) + " " + line(r.ErrorText)
		}
		t.row(r.ID, r.Source, at(r.StartedAt), r.Trigger, string(proofOf(r).Mode), string(r.State), string(r.Verdict), changes)
	}
	return t.flush()
}

func (a *app) showRun(ctx context.Context, s *site, id string, limit int) error {
	r, err := s.store.Run(ctx, id)
	if err != nil {
		return missing(err, "run", id, "jmld runs")
	}
	changes, err := s.store.Changes(ctx, model.ChangeQuery{RunID: r.ID, Limit: limit})
	if err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(runDocument{"jmld.run/1", runView(r), changesJSON(changes)})
	}
	a.printRun(r)
	if len(changes) > 0 {
		a.printf("\nchanges, newest first (at most %d; --limit shows more):\n", limit)
	}
	return a.printChanges(changes)
}

func (a *app) printRun(r model.Run) {
	f := funnelOf(r)
	a.printf("run      %s\n", r.ID)
	a.printf("source   %s, %s, by %s\n", r.Source, r.Trigger, line(orElse(r.Actor, r.Replica)))
	a.printf("state    %s\n", r.State)
	a.printf("verdict  %s\n", verdictLine(r.Verdict, proofOf(r)))
	a.printf("started  %s\n", at(r.StartedAt))
	if r.FinishedAt != nil {
		a.printf("took     %s\n", short(r.FinishedAt.Sub(r.StartedAt)))
	}
	p := proofOf(r)
	if p.Server != "" {
		a.printf("server   %s\n", line(p.Server))
	}
	if len(p.Phases) > 0 {
		a.printf("phases   %s\n", phasesLine(p.Phases))
	}
	a.printf("mode     %s\n", modeLine(p))
	a.printf("read     %s\n", funnelLine(f))
	a.printf("decided  %s\n", a.tally(f))
	if f.Held > 0 {
		a.printf("held     %s: jmld held\n", count(f.Held, "change"))
	}
	if r.ErrorCode != "" {
		a.printf("error    %s (%s)\n         %s\n", line(r.ErrorText), r.ErrorCode, r.ErrorCode.Advice())
	}
	for _, c := range p.Conditions {
		mark := "ok "
		switch {
		case !c.OK:
			mark = "NOT"
		case c.Unseen:
			mark = "?  "
		}
		a.printf("  %s  %s: %s\n", mark, line(c.Name), line(c.Seen))
	}
	for _, sk := range p.Skipped {
		a.printf("  skipped  %s: %s\n", line(sk.Name), line(sk.Text))
	}
	for _, u := range p.UnknownAt {
		a.printf("  kept     %s: %s\n", line(u.Name), line(u.Text))
	}
	if more := p.Unknown - len(p.UnknownAt); more > 0 {
		a.printf("  kept     what could not be told of %s more\n", count(more, "entry", "entries"))
	}
}
