package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"jmld/internal/capture"
)

type replayJSON struct {
	Schema      string                 `json:"schema"`
	File        string                 `json:"file"`
	Source      string                 `json:"source"`
	Captured    string                 `json:"captured"`
	Version     string                 `json:"version"` // that captured
	Exchanges   int                    `json:"exchanges"`
	Played      int                    `json:"played"`
	Same        int                    `json:"same"`
	Skipped     map[string]int         `json:"skipped"`
	Overlapping int                    `json:"overlapping"`
	Lost        int64                  `json:"lost"`
	Complete    bool                   `json:"complete"`
	Restored    int                    `json:"restored"`
	NotRestored []string               `json:"notRestored"`
	Database    string                 `json:"database,omitempty"` // kept
	Differences []replayDifferenceJSON `json:"differences"`
}

type replayDifferenceJSON struct {
	Exchange int    `json:"exchange"`
	Method   string `json:"method"`
	Path     string `json:"path"`
	What     string `json:"what"`
	Captured string `json:"captured"`
	Replayed string `json:"replayed"`
}

func newSCIMReplay(a *app) *cobra.Command {
	var database string
	var keep bool
	cmd := &cobra.Command{
		Use:   "replay FILE",
		Short: "Play a capture to a database of its own, and show what is answered differently",
		Long: "replay restores what was stored before the capture, sends the requests in the order in which they began, and compares the answers: status by\n" +
			"status, attribute by attribute. It needs no configuration, no daemon and no network: targets are never called. Only with -c, rules and\n" +
			"limits of that configuration hold. It exits with 0 when nothing differs and with 2 when something does.",
		Example: `  jmld scim replay capture-entra-20261122T101500Z.jsonl
  jmld scim replay entra.jsonl -o json | jq '.differences[]'
  jmld scim replay entra.jsonl --keep --database sqlite:scratch.db`,
		Args: exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.scimReplay(cmd.Context(), args[0], database, keep)
		},
	}
	f := cmd.Flags()
	f.StringVar(&database, "database", "", "empty `database` to play to: sqlite:PATH or postgres://… (default: a temporary SQLite file)")
	f.BoolVar(&keep, "keep", false, "keep the temporary database, and say where it is")
	return cmd
}

func (a *app) scimReplay(ctx context.Context, name, database string, keep bool) (err error) {
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	file, err := capture.Read(in)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if database == "" {
		dir, err := os.MkdirTemp("", "jmld-replay-")
		if err != nil {
			return err
		}
		if !keep {
			defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		}
		database = "sqlite:" + filepath.Join(dir, "replay.db")
	}
	s, err := a.openStage(ctx, file, database)
	if err != nil {
		return err
	}
	report, err := capture.Play(ctx, file, s.handler, s, s.secret)
	if err = errors.Join(err, s.store.Close()); err != nil {
		return err
	}
	if !keep {
		database = ""
	}
	if a.json() {
		err = a.printJSON(replayView(name, database, file, &report))
	} else {
		a.printReplay(name, database, file, &report)
	}
	if err != nil || len(report.Differences) == 0 {
		return err
	}
	return outcome(exitChanges)
}

func replayView(name, database string, f *capture.File, r *capture.Report) replayJSON {
	doc := replayJSON{
		Schema: "jmld.scim-replay/1", File: name, Source: f.Source, Captured: f.Begun.Format(timeJSON), Version: f.Version,
		Exchanges: r.Exchanges, Played: r.Played, Same: r.Same, Skipped: r.Skipped, Overlapping: r.Overlapping, Lost: r.Lost, Complete: !r.Incomplete,
		Restored: r.Restored, NotRestored: append([]string{}, r.NotRestored...), Database: database, Differences: []replayDifferenceJSON{},
	}
	for _, d := range r.Differences {
		doc.Differences = append(doc.Differences, replayDifferenceJSON(d))
	}
	return doc
}

func (a *app) printReplay(name, database string, f *capture.File, r *capture.Report) {
	a.printf("%s: source %s, captured %s by jmld %s\n", line(name), line(f.Source), at(f.Begun), line(f.Version))
	last := 0
	for _, d := range r.Differences {
		if d.Exchange != last {
			last = d.Exchange
			a.printf("\n%s %d  %s %s\n", a.colour("31", "✗"), d.Exchange, line(d.Method), line(d.Path))
		}
		a.printf("    %s\n      captured  %s\n      replayed  %s\n", line(d.What), orElse(line(d.Captured), "nothing"), orElse(line(d.Replayed), "nothing"))
	}
	if last > 0 {
		a.printf("\n")
	}
	a.printf("%s: %d played, %d answered as captured, %d differently\n", count(r.Exchanges, "exchange"), r.Played, r.Same, r.Played-r.Same)
	for _, reason := range slices.Sorted(maps.Keys(r.Skipped)) {
		a.printf("  %d not played: %s\n", r.Skipped[reason], line(reason))
	}
	if r.Overlapping > 0 {
		a.printf("  %d began before another one had ended; they were played in that order, and versions are not compared\n", r.Overlapping)
	}
	if r.Lost > 0 {
		a.printf("  %d were lost when it was captured; differences may come from that\n", r.Lost)
	}
	if r.Incomplete {
		a.printf("  the file ends early\n")
	}
	if r.Bounded {
		a.printf("  not all of what was stored before is in the file\n")
	}
	for i, what := range r.NotRestored {
		if i == 10 {
			a.printf("  … and %d more\n", len(r.NotRestored)-i)
			break
		}
		a.printf("  not restored: %s\n", line(what))
	}
	if database != "" {
		a.printf("the database is kept: %s\n", line(database))
	}
}
