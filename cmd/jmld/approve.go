package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"jmld/model"
)

type approvalJSON struct {
	Schema    string       `json:"schema"`
	Plan      planJSON     `json:"plan"`
	Committed []changeJSON `json:"committed"`
	Refused   []changeJSON `json:"refused"`
}

func newApprove(a *app) *cobra.Command {
	var digest, by string
	var yes bool
	cmd := &cobra.Command{
		Use:   "approve PLAN",
		Short: "Let go exactly the list that a held plan shows",
		Long: "approve lets go what waits in a held plan. The digest stands for the list as it was shown: if the list changed since,\n" +
			"nothing is approved. Each change is decided again first; one that is no longer true is refused, the others go on.\n" +
			"Without --digest the list is shown and has to be confirmed.",
		Example: `  jmld approve 01980f3c-6c1e-7b56-a1b2-5a7f3c6d8e90
  jmld approve 01980f3c-6c1e-7b56-a1b2-5a7f3c6d8e90 --digest 5f2c… --by ada`,
		Args: exactly("PLAN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				seen := digest
				if seen == "" {
					var err error
					if seen, err = a.confirm(ctx, s, args[0], yes); err != nil {
						return err
					}
				}
				return a.approve(ctx, s, args[0], seen, a.operator(by))
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&digest, "digest", "", "digest of the list that was shown")
	f.StringVar(&by, "by", "", "`name` of the person who approves (default: your account here)")
	f.BoolVar(&yes, "yes", false, "approve the list as it is now, without being asked")
	return cmd
}

// confirm shows the list and returns its digest once somebody said yes to it.
func (a *app) confirm(ctx context.Context, s *site, id string, yes bool) (string, error) {
	p, changes, err := waiting(ctx, s, id)
	if err != nil {
		return "", err
	}
	if p.State != model.PlanHeld {
		return "", model.Errorf(model.CodePlanStale, "plan %s is %s: nothing waits in it", p.ID, p.State)
	}
	if yes {
		return p.Digest, nil
	}
	if a.json() || !isTerminal(a.stdin) {
		return "", usage(fmt.Errorf("approve needs --digest %s (the list as it is now: jmld held %s) or --yes", p.Digest, p.ID))
	}
	if err := a.printPlan(p, changes); err != nil {
		return "", err
	}
	a.printf("\nApprove? Type yes: ")
	answer, err := bufio.NewReader(a.stdin).ReadString('\n')
	if err != nil && answer == "" {
		return "", err
	}
	if strings.TrimSpace(answer) != "yes" {
		return "", errors.New("not approved; nothing was changed")
	}
	return p.Digest, nil
}

func (a *app) approve(ctx context.Context, s *site, id, digest, actor string) error {
	done, err := s.engine.Approve(ctx, id, digest, actor)
	switch {
	case errors.Is(err, model.ErrStale) && model.CodeOf(err) == model.CodeInternal:
		return model.Errorf(model.CodePlanStale, "plan %s is not the list with digest %s any more", line(id), line(digest))
	case err != nil:
		return missing(err, "plan", id, "jmld held")
	}
	if a.json() {
		return a.printJSON(approvalJSON{"jmld.approval/1", planView(done.Plan), changesJSON(done.Committed), changesJSON(done.Refused)})
	}
	if err := a.printChanges(byPerson(done.Committed)); err != nil {
		return err
	}
	a.printf("%s approved by %s; the daemon applies them now\n", count(len(done.Committed), "change"), actor)
	if len(done.Refused) > 0 {
		a.printf("\n%s no longer true and refused:\n", count(len(done.Refused), "change is", "changes are"))
		return a.printChanges(byPerson(done.Refused))
	}
	return nil
}
