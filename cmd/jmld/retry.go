package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"jmld/model"
)

type retryJSON struct {
	Schema   string `json:"schema"`
	Accounts int    `json:"accounts"`
}

func newRetry(a *app) *cobra.Command {
	var target, code, by string
	var all bool
	cmd := &cobra.Command{
		Use:   "retry [WHO]",
		Short: "Try accounts again now: one person's, a target's, those of one cause, or all",
		Long: "retry takes accounts out of the dead letter and makes those that wait for their next try due now. The daemon picks them up\n" +
			"within a second.",
		Example: `  jmld retry ada@example.org
  jmld retry --code JML-4003                 all that failed for one reason
  jmld retry --target app --code JML-4004
  jmld retry --all`,
		Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && target == "" && code == "" && !all {
				return usage(errors.New("say which: WHO, --target, --code or --all"))
			}
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				q := model.AccountQuery{Target: target, Code: model.Code(code), Unsettled: true}
				if target != "" && !s.hasTarget(target) {
					return notFound("there is no target %q in %s", target, s.file)
				}
				if len(args) == 1 {
					who, err := findPerson(ctx, s, args[0])
					if err != nil {
						return err
					}
					q.IdentityID = who.ID
				}
				return a.retry(ctx, s, q, a.operator(by))
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&target, "target", "", "only accounts in this `target`")
	must(cmd.RegisterFlagCompletionFunc("target", a.completeTarget()))
	f.StringVar(&code, "code", "", "only accounts that failed with this `code`")
	f.BoolVar(&all, "all", false, "every account that is not settled")
	f.StringVar(&by, "by", "", "`name` of the person who asks (default: your account here)")
	return cmd
}

func (a *app) retry(ctx context.Context, s *site, q model.AccountQuery, actor string) error {
	n, err := s.engine.Retry(ctx, q, actor)
	if err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(retryJSON{"jmld.retry/1", n})
	}
	if n == 0 {
		a.printf("nothing to try again: every account asked for is settled\n")
		return nil
	}
	a.printf("%s due now\n", count(n, "account is", "accounts are"))
	return nil
}
