package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"jmld/internal/config"
	"jmld/ldapsync"
	"jmld/model"
)

type probeJSON struct {
	Schema string           `json:"schema"`
	Source string           `json:"source"`
	OK     bool             `json:"ok"`
	Checks []probeCheckJSON `json:"checks"`
}

type probeCheckJSON struct {
	Name    string           `json:"name"`
	Outcome ldapsync.Outcome `json:"outcome"`
	Seen    string           `json:"seen"`
	Do      string           `json:"do,omitempty"`
	Code    model.Code       `json:"code,omitempty"`
}

func newLDAPProbe(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "probe SOURCE",
		Short: "Whether a directory can be read, before it is",
		Long: "probe looks at everything that a read depends on, as the account that would read: each server and its certificate, the bind, the base\n" +
			"entries, paging, limits, the clock, how changes can be read, the rights on every mapped attribute, the id, and how many people and\n" +
			"groups there are. It needs the configuration and the directory, no database and no daemon, and it changes nothing.\n\n" +
			"It exits with 0 when a read would work, also with warnings, and with 5 when it would not.",
		Example: `  jmld ldap probe corp
  jmld ldap probe corp -c new.yaml
  jmld ldap probe corp -o json | jq -r '.checks[] | select(.outcome != "ok") | .name + ": " + .do'`,
		Args:              exactly("SOURCE"),
		ValidArgsFunction: a.completeSource(true),
		RunE: func(cmd *cobra.Command, args []string) error {
			src, err := a.directory(args[0])
			if err != nil {
				return err
			}
			return a.probe(cmd.Context(), src)
		},
	}
}

// directory makes the reader of a source from the configuration alone.
func (a *app) directory(name string) (*ldapsync.Source, error) {
	cfg, err := a.read(config.Inspect)
	if err != nil {
		return nil, err
	}
	c := (&site{cfg: cfg}).source(name)
	switch {
	case c == nil:
		return nil, notFound("there is no source %q in %s (%s)", line(name), cfg.Path, (&site{cfg: cfg}).sourceNames())
	case c.LDAP == nil:
		return nil, usage(fmt.Errorf("source %s is pushed by its client over SCIM; only a directory can be looked at", name))
	}
	return directorySource(c, zap.NewNop())
}

func (a *app) probe(ctx context.Context, src *ldapsync.Source) error {
	doc := probeJSON{Schema: "jmld.ldap-probe/1", Source: src.Name(), OK: true, Checks: []probeCheckJSON{}}
	warnings := 0
	err := src.Probe(ctx, func(c ldapsync.Check) {
		doc.OK = doc.OK && c.Outcome != ldapsync.CheckFail
		if c.Outcome == ldapsync.CheckWarn {
			warnings++
		}
		doc.Checks = append(doc.Checks, probeCheckJSON{c.Name, c.Outcome, c.Seen, c.Do, c.Code})
		if !a.json() {
			a.printCheck(c)
		}
	})
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return err
	}
	if a.json() {
		if err := a.printJSON(doc); err != nil {
			return err
		}
	} else {
		switch {
		case !doc.OK:
			a.printf("\nsource %s cannot be read like this\n", src.Name())
		case warnings > 0:
			a.printf("\nsource %s can be read; %s\n", src.Name(), count(warnings, "warning"))
		default:
			a.printf("\nsource %s can be read\n", src.Name())
		}
	}
	if !doc.OK {
		return outcome(exitIncomplete)
	}
	return nil
}

func (a *app) printCheck(c ldapsync.Check) {
	mark := a.colour(map[ldapsync.Outcome]string{ldapsync.CheckOK: "32", ldapsync.CheckWarn: "33", ldapsync.CheckFail: "31"}[c.Outcome],
		fmt.Sprintf("%-4s", c.Outcome))
	code := ""
	if c.Code != "" {
		code = " (" + string(c.Code) + ")"
	}
	a.printf("%s  %s: %s%s\n", mark, line(c.Name), line(c.Seen), code)
	if c.Do != "" {
		a.printf("      %s\n", line(c.Do))
	}
}
