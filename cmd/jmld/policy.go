package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"jmld/internal/config"
	"jmld/jml"
	"jmld/jml/trial"
	"jmld/model"
)

func newPolicy(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "policy",
		Short:   "Try the policy",
		Example: "  jmld policy test cases.yaml",
		Args:    exactly(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPolicyTest(a))
	return cmd
}

func newPolicyTest(a *app) *cobra.Command {
	var verbose bool
	cmd := &cobra.Command{
		Use:   "test FILE…",
		Short: "Run cases of your own against the policy of the configuration",
		Long: "test reads files of cases: what the sources say about a person, on which day, and what is expected. It decides with the code of the\n" +
			"daemon and the rules of the configuration, day after day, and shows where something else comes out, with the rule that decided.\n" +
			"It needs no database, no network and no secrets. Nothing is held: the guard is about many people, and a case has one.\n\n" +
			"It exits with 1 when a case fails. docs/cli.md has the format, cases.example.yaml is an example.",
		Example: `  jmld policy test cases.yaml
  jmld policy test -c new.yaml cases/*.yaml             before a new configuration is installed
  jmld policy test cases.yaml -v                        with everything that happened
  jmld policy test cases.yaml -o json | jq '.cases[] | select(.ok | not)'`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(fmt.Errorf("FILE is missing: %s", cmd.UseLine()))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, files []string) error { return a.testPolicy(files, verbose) },
	}
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "show what happened to the accounts in each case")
	return cmd
}

type policyTestJSON struct {
	Schema string           `json:"schema"`
	OK     bool             `json:"ok"`
	Passed int              `json:"passed"`
	Failed int              `json:"failed"`
	Cases  []policyCaseJSON `json:"cases"`
}

type policyCaseJSON struct {
	File        string             `json:"file"`
	Line        int                `json:"line"`
	Name        string             `json:"name"`
	OK          bool               `json:"ok"`
	Differences []trial.Difference `json:"differences"`
	Happened    []happenedJSON     `json:"happened"`
	Accounts    []endJSON          `json:"accounts"`
}

type happenedJSON struct {
	At      string      `json:"at"`
	Op      model.Op    `json:"op"`
	Target  string      `json:"target"`
	Event   model.Event `json:"event,omitempty"`
	Because string      `json:"because"`
}

type endJSON struct {
	Target string             `json:"target"`
	State  model.AccountState `json:"state"`
	Name   string             `json:"name"`
}

func (a *app) testPolicy(files []string, verbose bool) error {
	cfg, err := a.read(config.Inspect)
	if err != nil {
		return err
	}
	rules, err := cfg.Rules()
	if err != nil {
		return err
	}
	doc := policyTestJSON{Schema: "jmld.policy-test/1", Cases: []policyCaseJSON{}}
	all := make([]*config.Cases, len(files))
	for i, file := range files { // mistakes before results
		if all[i], err = config.LoadCases(file, cfg); err != nil {
			if found, ok := config.IsMistakes(err); ok {
				return model.Errorf(model.CodeConfig, "%w\n%s", err, found.Summary())
			}
			return err
		}
	}
	for i, file := range files {
		for _, c := range all[i].List {
			one, err := runCase(rules, all[i], c)
			if err != nil {
				return model.Errorf(model.CodeConfig, "%s:%d: %s: %w", file, c.Line, c.Name, err)
			}
			if one.File = file; one.OK {
				doc.Passed++
			} else {
				doc.Failed++
			}
			doc.Cases = append(doc.Cases, one)
		}
	}
	doc.OK = doc.Failed == 0
	if a.json() {
		err = a.printJSON(doc)
	} else {
		a.printPolicyTest(doc, verbose)
	}
	if err == nil && !doc.OK {
		return outcome(exitError)
	}
	return err
}

func runCase(rules *jml.Rules, all *config.Cases, c trial.Case) (policyCaseJSON, error) {
	played, err := trial.Play(rules, all.Access, c)
	if err != nil {
		return policyCaseJSON{}, err
	}
	out := policyCaseJSON{Line: c.Line, Name: c.Name, Differences: c.Check(rules, played), Happened: []happenedJSON{}, Accounts: []endJSON{}}
	if out.OK = len(out.Differences) == 0; out.OK {
		out.Differences = []trial.Difference{}
	}
	for _, h := range played.Happened {
		out.Happened = append(out.Happened, happenedJSON{h.At.Format(time.RFC3339), h.Change.Op, h.Change.Target, h.Change.Event, h.Text})
	}
	for _, target := range sortedKeys(played.Accounts) {
		acct := played.Accounts[target]
		out.Accounts = append(out.Accounts, endJSON{target, acct.State, acct.UserName})
	}
	return out, nil
}

func (a *app) printPolicyTest(doc policyTestJSON, verbose bool) {
	for _, c := range doc.Cases {
		if c.OK {
			a.printf("%s    %s\n", a.colour("32", "ok"), line(c.Name))
		} else {
			a.printf("%s  %s (%s:%d)\n", a.colour("31", "FAIL"), line(c.Name), line(c.File), c.Line)
		}
		for _, d := range c.Differences {
			a.printf("        %s: expected %s; got %s\n", line(d.What), line(d.Expected), line(d.Got))
			if d.Because != "" {
				a.printf("          because %s\n", line(d.Because))
			}
		}
		if verbose || !c.OK {
			for _, h := range c.Happened {
				a.printf("        %s  %s %s (%s): %s\n", h.At, a.symbol(h.Op), line(h.Target), h.Event, line(h.Because))
			}
		}
	}
	a.printf("\n%s, %d failed\n", count(len(doc.Cases), "case"), doc.Failed)
}
