package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"jmld/internal/config"
)

type mistakeJSON struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Text   string `json:"text"`
}

type checkJSON struct {
	Schema   string        `json:"schema"`
	OK       bool          `json:"ok"`
	File     string        `json:"file"`
	Mistakes []mistakeJSON `json:"mistakes"`
	Warnings []mistakeJSON `json:"warnings"`
	// What is in force for each directory, said by the file or by its preset.
	Directories []directoryJSON `json:"directories"`
}

type directoryJSON struct {
	Source     string        `json:"source"`
	Preset     string        `json:"preset,omitempty"`
	Settings   []settingJSON `json:"settings"`
	Attributes []settingJSON `json:"attributes"`
}

type settingJSON struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

func newConfig(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "config",
		Short:   "Check a configuration, or have the daemons adopt it",
		Example: "  jmld config check -c config.yaml\n  jmld config reload -c config.yaml",
		Args:    exactly(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConfigCheck(a), newConfigReload(a))
	return cmd
}

func newConfigCheck(a *app) *cobra.Command {
	var strict bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Report every mistake in the configuration at once",
		Long: "check reads the configuration and does nothing else: no database and no network. Each mistake is shown with file, line and\n" +
			"column, the line itself, and what is expected there. Without mistakes it lists what is in force for each directory. A secret or certificate that is not on this machine is a warning,\n" +
			"so that a configuration can be checked anywhere; with --strict it is a mistake, as it is for the daemon.",
		Example: `  jmld config check -c config.yaml
  jmld config check -c config.yaml --strict             on the machine where it will run
  jmld config check -c config.yaml -o json | jq -r '.mistakes[].text'`,
		Args: exactly(),
		RunE: func(*cobra.Command, []string) error { return a.checkConfig(strict) },
	}
	cmd.Flags().BoolVar(&strict, "strict", false, "what is missing on this machine is a mistake, too")
	return cmd
}

func (a *app) checkConfig(strict bool) error {
	file := a.configFile()
	read := config.Inspect
	if strict {
		read = config.Load
	}
	cfg, err := read(file)
	found, ok := config.IsMistakes(err)
	if err != nil && !ok {
		return err
	}
	doc := checkJSON{Schema: "jmld.config-check/1", OK: err == nil, File: file, Mistakes: []mistakeJSON{}, Warnings: []mistakeJSON{},
		Directories: []directoryJSON{}}
	if found != nil {
		doc.Mistakes = mistakes(found.List)
	}
	if cfg != nil {
		doc.Warnings = mistakes(cfg.Warnings)
		if doc.Directories, err = directories(cfg); err != nil {
			return err
		}
	}
	if a.json() {
		if perr := a.printJSON(doc); perr != nil {
			return perr
		}
		if err != nil {
			return outcome(exitError)
		}
		return nil
	}
	if found != nil {
		fmt.Fprintf(a.stderr, "%s\n\n%s\n", clean(found.Error()), found.Summary())
		return outcome(exitError)
	}
	for _, w := range cfg.Warnings {
		fmt.Fprintf(a.stderr, "warning: %s\n", clean(w.String()))
	}
	a.printf("%s: no mistake\n  %s, %s, %s\n", file, count(len(cfg.Sources), "source"), count(len(cfg.Targets), "target"),
		count(len(cfg.Policy.Accounts), "account rule"))
	return a.printDirectories(doc.Directories)
}

// directories lists what is in force.
func directories(cfg *config.Config) ([]directoryJSON, error) {
	out := []directoryJSON{}
	for i := range cfg.Sources {
		c := &cfg.Sources[i]
		if c.LDAP == nil {
			continue
		}
		src, err := directorySource(c, zap.NewNop())
		if err != nil {
			return nil, err
		}
		d := directoryJSON{Source: c.Name, Preset: c.LDAP.Preset}
		settings, attributes := src.Settings()
		for _, s := range settings {
			d.Settings = append(d.Settings, settingJSON(s))
		}
		for _, s := range attributes {
			d.Attributes = append(d.Attributes, settingJSON(s))
		}
		out = append(out, d)
	}
	return out, nil
}

func (a *app) printDirectories(list []directoryJSON) error {
	for _, d := range list {
		preset := ""
		if d.Preset != "" {
			preset = ", preset " + d.Preset
		}
		a.printf("\nsource %s%s\n", line(d.Source), preset)
		t := newTable(a.stdout)
		for _, s := range slices.Concat(d.Settings, d.Attributes) {
			t.indented(s.Key, s.Value)
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	return nil
}

func mistakes(list []config.Mistake) []mistakeJSON {
	out := make([]mistakeJSON, 0, len(list))
	for _, m := range list {
		out = append(out, mistakeJSON{m.File, m.Line, m.Col, m.Text})
	}
	return out
}
