package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
)

// env is the world a command sees: tests give it another one.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	now            func() time.Time
	hangup         func() <-chan os.Signal // asks for SIGHUP, which ends the process otherwise; nil: there is none
}

// app is what all commands share: the world and the global flags.
type app struct {
	env
	config string // -c
	output string // -o
}

// run executes one command line and returns its exit code.
func run(ctx context.Context, e env, args []string) int {
	a := &app{env: e}
	root := newRoot(a)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	return a.report(err)
}

// newRoot builds the command tree. It keeps nothing outside of a.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "jmld",
		Short: "Accounts for people who join, move and leave",
		Long: "jmld takes what identity providers push by SCIM and what directories list by LDAP, decides by your rules which\n" +
			"platform and app accounts should exist, and brings the targets there.",
		Example: `  jmld serve --demo                         try it: nothing to install, nothing to configure
  jmld config check -c config.yaml          every mistake in a configuration at once
  jmld serve -c config.yaml                 the daemon
  jmld plan corp                            what a read of the directory would change
  jmld person ada@example.org               one person: records, identity, accounts, and why`,
		Args:              cobra.NoArgs,
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(*cobra.Command, []string) error { return a.checkOutput() },
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
	root.SetHelpTemplate(helpTemplate)
	root.SetUsageTemplate(helpTemplate)
	flags := root.PersistentFlags()
	flags.StringVarP(&a.config, "config", "c", "", "configuration `file` (default $JMLD_CONFIG, ./config.yaml or /etc/jmld/config.yaml)")
	flags.StringVarP(&a.output, "output", "o", "text", "`format` of what is printed: text or json")
	must(root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp)))

	root.AddCommand(
		newServe(a), newConfig(a), newLDAP(a),
		newPlan(a), newSync(a), newStop(a), newRuns(a), newHeld(a), newApprove(a),
		newPerson(a), newPeople(a), newOrganisation(a), newCorrelate(a), newAccounts(a), newAccess(a), newTasks(a), newRetry(a),
		newToken(a), newSCIM(a), newPolicy(a), newSimulate(a), newVersion(a), newExitCodes(a),
	)
	return root
}

// helpTemplate shows examples first: they are what most people came for.
const helpTemplate = `{{with (or .Long .Short)}}{{.}}
{{end}}{{if .HasExample}}
Examples:
{{.Example}}
{{end}}{{if .Runnable}}
Usage:
  {{.UseLine}}
{{end}}{{if .HasAvailableSubCommands}}
Commands:{{range .Commands}}{{if (or .IsAvailableCommand (eq .Name "help"))}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}
{{end}}{{if and .Runnable .HasAvailableLocalFlags}}
Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}
{{end}}{{if and .Runnable .HasAvailableInheritedFlags}}
Flags of every command:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}
{{end}}{{if .HasHelpSubCommands}}
More:{{range .Commands}}{{if .IsAdditionalHelpTopicCommand}}
  jmld help {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}
{{end}}`

func (a *app) checkOutput() error {
	if a.output != "text" && a.output != "json" {
		return usage(fmt.Errorf("-o %s: text or json is expected", a.output))
	}
	return nil
}

func (a *app) json() bool { return a.output == "json" }

// configFile is where the configuration is: the flag, the environment, here, or the system's place.
func (a *app) configFile() string {
	if a.config != "" {
		return a.config
	}
	if f := a.getenv("JMLD_CONFIG"); f != "" {
		return f
	}
	const here, system = "config.yaml", "/etc/jmld/config.yaml"
	if _, err := os.Stat(here); err == nil {
		return here
	}
	if _, err := os.Stat(system); err == nil {
		return system
	}
	return here
}

// must is for what only a programmer can get wrong, at start.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// exactly is cobra.ExactArgs with a sentence that names what is missing.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usage(fmt.Errorf("%s is missing: %s", names[len(args)], cmd.UseLine()))
		case len(args) > len(names):
			return usage(fmt.Errorf("%q is too much: %s", args[len(names)], cmd.UseLine()))
		}
		return nil
	}
}

func atMost(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return usage(fmt.Errorf("%q is too much: %s", args[n], cmd.UseLine()))
		}
		return nil
	}
}
