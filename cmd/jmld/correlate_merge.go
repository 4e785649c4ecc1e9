package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"jmld/jml"
	"jmld/jml/engine"
	"jmld/model"
)

type movedJSON struct {
	Schema   string   `json:"schema"`
	Stays    string   `json:"stays"`
	Goes     string   `json:"goes"`
	Accounts []string `json:"accounts"` // targets whose account moved
	Both     []string `json:"both"`     // targets in which both have one
	Held     []string `json:"held"`
}

func newMerge(a *app) *cobra.Command {
	var d decision
	cmd := &cobra.Command{
		Use:   "merge PERSON OTHER",
		Short: "Two people are one: PERSON stays, and gets what OTHER has",
		Long: "Records, keys, groups and history of OTHER become PERSON's, and the accounts in targets where PERSON has none. Where both have\n" +
			"one, PERSON's stays and OTHER's waits, as it is, for a person to approve that it goes. `jmld correlate split` undoes it.",
		Example: `  jmld correlate merge ada@example.org ada.jit@example.org
  jmld correlate merge ada@example.org ada.jit@example.org --yes --reason "first login before she was provisioned"`,
		Args: exactly("PERSON", "OTHER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				into, err := findPerson(ctx, s, args[0])
				if err != nil {
					return err
				}
				from, err := findPerson(ctx, s, args[1])
				if err != nil {
					return err
				}
				pair, err := s.engine.Pair(ctx, into.ID, from.ID)
				if err != nil {
					return err
				}
				seen, err := d.seen(a, "merge", pair.Digest, func() error { return a.printPair(pair) })
				if err != nil {
					return err
				}
				out, err := s.engine.Merge(ctx, engine.Merging{Into: into.ID, From: from.ID, Digest: seen, Actor: a.operator(d.by), Reason: d.reason})
				if err != nil {
					return err
				}
				return a.printMoved(out, "merged into "+out.Stays)
			})
		},
	}
	d.flags(cmd)
	return cmd
}

func newSplit(a *app) *cobra.Command {
	var d decision
	cmd := &cobra.Command{
		Use:   "split PERSON RECORD…",
		Short: "Records of a person are another one's",
		Long: "All records that came by one merge go back to who they were, with keys and accounts. Others become somebody new: their keys go with\n" +
			"them, accounts stay. What anybody loses by it waits for approval. The rules do not join the records again.",
		Example: `  jmld correlate split ada@example.org okta/00u1x2y3
  jmld correlate split ada@example.org okta/00u1x2y3 entra/0197f6f0-7b8e-7c1d-9a53-3a5c0d1f6a11 --yes`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return exactly("PERSON", "RECORD")(cmd, args)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSite(cmd.Context(), func(ctx context.Context, s *site) error {
				who, err := findPerson(ctx, s, args[0])
				if err != nil {
					return err
				}
				var refs []engine.RecordRef
				for _, text := range args[1:] {
					ref, err := refOf(text)
					if err != nil {
						return err
					}
					refs = append(refs, ref)
				}
				div, err := s.engine.Divide(ctx, who.ID, refs)
				if err != nil {
					return missing(err, "record", strings.Join(args[1:], " "), "jmld person "+who.ID)
				}
				seen, err := d.seen(a, "split", div.Digest, func() error { return a.printDivision(div) })
				if err != nil {
					return err
				}
				out, err := s.engine.Split(ctx, engine.Splitting{Person: who.ID, Records: refs, Digest: seen, Actor: a.operator(d.by), Reason: d.reason})
				if err != nil {
					return err
				}
				return a.printMoved(out, "has the records now; "+out.Stays+" keeps the others")
			})
		},
	}
	d.flags(cmd)
	return cmd
}

func (a *app) printPair(p engine.Pair) error {
	for i, one := range []engine.Person{p.Into, p.From} {
		a.printf("%s %s  %s  (%s)\n", [2]string{"stays", "goes "}[i], one.Identity.ID, line(one.Identity.DisplayName), one.Identity.Lifecycle)
		a.printf("      known by %s; accounts %s\n", recordsLine(one.Records), accountsLine(one.Accounts))
	}
	a.printf("\n")
	t := newTable(a.stdout)
	t.row(" ", "", "STAYS", "GOES")
	for _, row := range jml.SideBySide(jml.Decode(p.Into.Identity.Attrs), jml.Decode(p.From.Identity.Attrs)) {
		mark := " "
		if row.Differs {
			mark = "≠"
		}
		t.row(mark, row.Attr, row.Values[0], row.Values[1])
	}
	if err := t.flush(); err != nil {
		return err
	}
	a.printf("\naccounts that move: %s\n", orElse(strings.Join(p.Moves, ", "), "none"))
	a.printf("both have one, the second waits for approval: %s\n", orElse(strings.Join(p.Both, ", "), "none"))
	return nil
}

func (a *app) printDivision(d engine.Division) error {
	a.printf("person %s  %s\n", d.Person.Identity.ID, line(d.Person.Identity.DisplayName))
	a.printf("  goes   %s\n  stays  %s\n", recordsLine(d.Goes), recordsLine(d.Stays))
	if d.Merge != nil {
		a.printf("  undoes the merge of %s by %s, %s\n", d.Merge.IdentityID, line(d.Merge.Actor), at(d.Merge.At))
	} else {
		a.printf("  makes somebody new\n")
	}
	return nil
}

func (a *app) printMoved(out engine.Moved, what string) error {
	if a.json() {
		v := movedJSON{"jmld.moved/1", out.Stays, out.Goes, []string{}, []string{}, []string{}}
		v.Accounts, v.Both, v.Held = append(v.Accounts, out.Accounts...), append(v.Both, out.Both...), append(v.Held, out.Plans...)
		return a.printJSON(v)
	}
	a.printf("person %s %s\n", out.Goes, what)
	if len(out.Accounts) > 0 {
		a.printf("accounts that moved: %s\n", strings.Join(out.Accounts, ", "))
	}
	a.printHeldPlans(out.Plans)
	return nil
}

// mergedInto says that a person was merged into another one.
func mergedInto(merges []model.Merge, id string) string {
	for _, m := range merges {
		if m.IdentityID == id {
			return m.IntoID
		}
	}
	return ""
}
