package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"jmld/jml"
	"jmld/jml/access"
	"jmld/model"
)

func newAccessExcept(a *app) *cobra.Command {
	var grant grantFlags
	var edit editFlags
	var end bool
	cmd := &cobra.Command{
		Use: "except RULE WHO", Short: "Let somebody have, for a time, what a rule of separation keeps apart",
		Long: "RULE is the name of one of policy.separation. At the end of the exception what came second goes, through the guard. --approver names another\n" +
			"person than WHO.",
		Example: `  jmld access except "builders do not run" bo@example.org --until 2027-03-31 --reason "nobody else is there yet" --approver ada@example.org
  jmld access except "builders do not run" bo@example.org --end`,
		Args: exactly("RULE", "WHO"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if end && (grant.until != "" || grant.approver != "") {
				return usage(errors.New("--end takes neither --until nor --approver"))
			}
			if end {
				edit.why = grant.reason
			}
			row := model.AccessMember{}
			if !end {
				var err error
				if row, err = grant.row(a.operator(edit.by)); err != nil {
					return err
				}
				if row.ValidTo == nil {
					return usage(errors.New("--until is missing: an exception has an end"))
				}
				if !row.ValidTo.After(a.now()) {
					return usage(errors.New("--until has passed"))
				}
			}
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				rules, err := s.cfg.Rules()
				if err != nil {
					return err
				}
				i := slices.IndexFunc(rules.Separation, func(r jml.Separation) bool { return access.ID(r.Name) == access.ID(args[0]) })
				if i < 0 {
					return notFound("there is no rule of separation %q", line(args[0]))
				}
				p, err := findPerson(ctx, s, args[1])
				if err != nil {
					return err
				}
				at := rules.Separation[i].Place()
				if row.Person, row.Place = p.ID, at; grant.approver != "" {
					by, err := findPerson(ctx, s, grant.approver)
					if err != nil {
						return err
					}
					if by.ID == p.ID || by.Lifecycle != model.Active {
						return a.denied(ctx, s, a.operator(edit.by), by.ID, at, "%s cannot approve it; expected somebody else, who is active", line(by.DisplayName))
					}
					row.Approver = "person " + by.ID
				}
				return a.edit(ctx, s, p.ID, edit, func(st *access.State, _ *access.Tree) error {
					if !end {
						st.Give(row)
						return nil
					}
					if st.Take(p.ID, at, "", true) == 0 {
						return notFound("%s has no exception from %s", line(p.DisplayName), strings.TrimSpace(rules.Separation[i].Name))
					}
					return nil
				})
			})
		},
	}
	cmd.Flags().StringVar(&grant.reason, "reason", "", "`why` (required, but for --end)")
	cmd.Flags().StringVar(&grant.approver, "approver", "", "`WHO` approved it, another person (default: whoever gives the command)")
	cmd.Flags().StringVar(&grant.until, "until", "", "`time` at which it ends, such as 2026-05-01 (required)")
	cmd.Flags().BoolVar(&end, "end", false, "end it now")
	edit.add(cmd)
	return cmd
}
