package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"jmld/jml/engine"
	"jmld/model"
)

type judgedJSON struct {
	Schema   string     `json:"schema"`
	Record   string     `json:"record"`
	Link     model.Link `json:"link"`
	Why      string     `json:"why,omitempty"`
	Identity string     `json:"identity,omitempty"`
	Held     []string   `json:"held"` // plans in which something waits for approval
}

func newCorrelateLink(a *app) *cobra.Command {
	var d decision
	cmd := &cobra.Command{
		Use:   "link RECORD PERSON",
		Short: "The record is about this person",
		Example: `  jmld correlate link entra/0197f6f0-7b8e-7c1d-9a53-3a5c0d1f6a11 ada@example.org --yes --reason "asked her"
  jmld correlate link entra/0197f6f0-7b8e-7c1d-9a53-3a5c0d1f6a11 ada@example.org --digest 5f2c…`,
		Args: exactly("RECORD", "PERSON"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.decideRecord(cmd.Context(), &d, args[0], model.RulingLink, args[1])
		},
	}
	d.flags(cmd)
	return cmd
}

func newCorrelateNew(a *app) *cobra.Command {
	var d decision
	cmd := &cobra.Command{
		Use:     "new RECORD",
		Short:   "The record is about somebody else, who is not known yet",
		Example: `  jmld correlate new entra/0197f6f0-7b8e-7c1d-9a53-3a5c0d1f6a11 --yes --reason "a namesake"`,
		Args:    exactly("RECORD"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.decideRecord(cmd.Context(), &d, args[0], model.RulingNew, "")
		},
	}
	d.flags(cmd)
	return cmd
}

func newCorrelateIgnore(a *app) *cobra.Command {
	var d decision
	cmd := &cobra.Command{
		Use:     "ignore RECORD",
		Short:   "The record is nobody's, and not asked about again until its keys change",
		Example: `  jmld correlate ignore entra/0197f6f0-7b8e-7c1d-9a53-3a5c0d1f6a11 --yes --reason "test account"`,
		Args:    exactly("RECORD"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.decideRecord(cmd.Context(), &d, args[0], model.RulingIgnore, "")
		},
	}
	d.flags(cmd)
	return cmd
}

func newCorrelateUndo(a *app) *cobra.Command {
	var d decision
	cmd := &cobra.Command{
		Use:     "undo RECORD",
		Short:   "Take a decision back: the rules say whom the record is about",
		Example: `  jmld correlate undo entra/0197f6f0-7b8e-7c1d-9a53-3a5c0d1f6a11 --yes`,
		Args:    exactly("RECORD"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.decideRecord(cmd.Context(), &d, args[0], "", "")
		},
	}
	d.flags(cmd)
	return cmd
}

// decideRecord stores a decision; without a kind it takes one back.
func (a *app) decideRecord(ctx context.Context, d *decision, record string, kind model.RulingKind, person string) error {
	return a.withSite(ctx, func(ctx context.Context, s *site) error {
		c, err := a.caseOf(ctx, s, record, person)
		if err != nil {
			return err
		}
		j := engine.Judgement{Record: engine.RecordRef{Source: c.Record.Source, ID: c.Record.ID}, Kind: kind, Actor: a.operator(d.by), Reason: d.reason}
		if kind == model.RulingLink {
			who, err := findPerson(ctx, s, person)
			if err != nil {
				return err
			}
			j.Identity = who.ID
		}
		what := orElse(string(kind), "undo")
		if j.Digest, err = d.seen(a, what, c.Digest, func() error { return a.printCase(c) }); err != nil {
			return err
		}
		do := s.engine.Correlate
		if kind == "" {
			do = s.engine.Uncorrelate
		}
		out, err := do(ctx, j)
		if err != nil {
			return err
		}
		return a.printJudged(out)
	})
}

func (a *app) printJudged(out engine.Judged) error {
	ref := out.Record.Source + "/" + out.Record.ID
	if a.json() {
		held := out.Plans
		if held == nil {
			held = []string{}
		}
		return a.printJSON(judgedJSON{"jmld.correlated/1", ref, out.Record.Link, out.Record.LinkText, out.Identity, held})
	}
	switch {
	case out.Identity != "":
		a.printf("%s is linked to person %s\n", line(ref), out.Identity)
	default:
		a.printf("%s is %s: %s\n", line(ref), out.Record.Link, line(out.Record.LinkText))
	}
	a.printHeldPlans(out.Plans)
	return nil
}

// printHeldPlans says where something waits.
func (a *app) printHeldPlans(plans []string) {
	if len(plans) > 0 {
		a.printf("what somebody loses by it waits for approval: jmld held %s\n", strings.Join(plans, ", "))
	}
}
