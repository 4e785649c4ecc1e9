package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"jmld/model"
)

// stopTimeout is how long a run may take to see that it is to stop, and to end.
const stopTimeout = 2 * time.Minute

func newStop(a *app) *cobra.Command {
	var by string
	cmd := &cobra.Command{
		Use:   "stop SOURCE",
		Short: "Stop the read of a directory that is under way",
		Long: "stop tells whoever reads the source, the daemon or another command, to stop, and waits until it has. What was decided before stays; the\n" +
			"run is incomplete, so that nothing is concluded from what was not read, and it says who stopped it. The schedule goes on.",
		Example: `  jmld stop corp
  jmld stop corp --by ada && jmld runs --source corp --limit 1`,
		Args:              exactly("SOURCE"),
		ValidArgsFunction: a.completeSource(true),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), stopTimeout)
			defer cancel()
			return a.withReadable(ctx, args[0], func(ctx context.Context, s *site) error { return a.stop(ctx, s, args[0], a.operator(by)) })
		},
	}
	cmd.Flags().StringVar(&by, "by", "", "`name` of the person who asks (default: your account here)")
	return cmd
}

func (a *app) stop(ctx context.Context, s *site, source, actor string) error {
	run, err := s.engine.Stop(ctx, source, actor)
	switch {
	case errors.Is(err, model.ErrNotFound):
		return notFound("source %s is not being read at the moment", line(source))
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("run %s did not stop within %s; it may have lost the database: jmld runs %s", run.ID, stopTimeout, run.ID)
	case err != nil:
		return err
	}
	if a.json() {
		return a.printJSON(runDocument{"jmld.run/1", runView(run), []changeJSON{}})
	}
	a.printf("run %s of source %s has ended: %s\n", run.ID, line(source), orElse(line(run.ErrorText), string(run.State)))
	return nil
}
