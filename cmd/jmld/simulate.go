package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"jmld/internal/config"
	"jmld/internal/simulate"
	"jmld/internal/store"
	"jmld/jml/engine"
	"jmld/model"
	"jmld/target/memory"
)

//go:embed simulation/config.yaml
var simulationConfig string

// simulateOptions are the flags.
type simulateOptions struct {
	people, days int
	seed         uint64
	pace         float64
	policy       string
	database     string
}

func newSimulate(a *app) *cobra.Command {
	var o simulateOptions
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Play the life of an invented company against the real engine, and check every account",
		Long: "simulate makes people up, has them hired, moved, married, sent on leave and away again, teams of partners come and go, and directories\n" +
			"break; a directory is read each night and an identity provider pushes late, and in contradiction. The engine and the database are\n" +
			"the real ones, the clock is put forward. An operator approves what is held when it is true. In the end an oracle that knows the truth\n" +
			"and shares no code with the engine looks at every account.\n\n" +
			"With --policy the organisations, the policy, the guard and the fusion of that configuration are played; it needs a source that is read\n" +
			"and one that is pushed, and targets called platform and app.\n\n" +
			"It exits with 1 when an account is not as it should be. Your database is not touched.",
		Example: `  jmld simulate
  jmld simulate --people 10000 --days 365 --seed 7
  jmld simulate --people 500 --days 90 -o json | jq .disagreements
  jmld simulate --policy config.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.simulate(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.IntVar(&o.people, "people", 500, "how many there are on the first day")
	f.IntVar(&o.days, "days", 90, "how many days are played; some quiet ones follow")
	f.Uint64Var(&o.seed, "seed", 1, "the same seed is the same company")
	f.Float64Var(&o.pace, "pace", 1, "how much happens: 1 is an ordinary year, 10 ten times as much")
	f.StringVar(&o.policy, "policy", "", "play with the rules of this configuration `file`")
	f.StringVar(&o.database, "database", "", "an empty database for it, sqlite:PATH or postgres://… (default: a file that is removed afterwards)")
	return cmd
}

func (a *app) simulate(ctx context.Context, o simulateOptions) (err error) {
	const mostPeople, mostDays, mostPace = 1_000_000, 3660, 100
	if o.people < 1 || o.people > mostPeople || o.days < 1 || o.days > mostDays || !(o.pace >= 0 && o.pace <= mostPace) {
		return usage(fmt.Errorf("--people is 1 to %d, --days 1 to %d and --pace 0 to %d", mostPeople, mostDays, mostPace))
	}
	cfg, err := a.simulated(o.policy)
	if err != nil {
		return err
	}
	played := simulate.Options{People: o.people, Days: o.days, Seed: o.seed, Pace: o.pace, Guard: cfg.Guard.Limits(),
		Start: time.Date(2026, time.January, 5, 0, 0, 0, 0, time.UTC)}
	for _, s := range cfg.Sources {
		if s.LDAP != nil && played.Directory == "" {
			played.Directory = s.Name
		} else if s.LDAP == nil && played.Provider == "" {
			played.Provider = s.Name
		}
	}
	for _, t := range cfg.Targets {
		if t.Name == simulate.App || t.Name == simulate.Platform {
			played.Targets = append(played.Targets, engine.TargetSpec{Target: memory.New(t.Name), Class: t.Class, Concurrency: 16})
		}
	}
	if played.Directory == "" || played.Provider == "" || len(played.Targets) != 2 || len(cfg.Targets) != 2 {
		return model.Errorf(model.CodeConfig, "%s: a simulation needs a source that is read, one that is pushed, and the targets %s and %s",
			o.policy, simulate.Platform, simulate.App)
	}
	if played.Rules, err = cfg.Rules(); err != nil {
		return err
	}
	db, discard, err := simulatedStore(ctx, o.database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, discard()) }()
	played.Store = db
	if isTerminal(a.stderr) && !a.json() {
		played.Progress = func(day int) { fmt.Fprintf(a.stderr, "\rday %d\x1b[K", day) }
	}
	report, err := simulate.Run(ctx, played)
	a.endProgress()
	if err != nil {
		return err
	}
	if a.json() {
		err = a.printJSON(report)
	} else {
		a.printSimulation(report)
	}
	if err == nil && report.Disagreements+report.Mistakes > 0 {
		return outcome(exitError)
	}
	return err
}

// simulated is the configuration that is played: ours, or the operator's, whose secrets are not needed.
func (a *app) simulated(file string) (*config.Config, error) {
	how := func(string) (*config.Config, error) {
		return config.ParseElsewhere("simulation/config.yaml", []byte(simulationConfig))
	}
	if file != "" {
		how = config.Inspect
	}
	cfg, err := how(file)
	if found, ok := config.IsMistakes(err); ok {
		return nil, model.Errorf(model.CodeConfig, "%w\n%s", err, found.Summary())
	}
	return cfg, err
}

func simulatedStore(ctx context.Context, url string) (*store.Store, func() error, error) {
	o := store.Options{URL: url, Log: zap.NewNop(), Simulated: true, Empty: url != "", MaxConns: daemonConns}
	remove := func() error { return nil }
	if url == "" {
		dir, err := os.MkdirTemp("", "jmld-simulate-")
		if err != nil {
			return nil, nil, err
		}
		o.URL, remove = "sqlite:"+filepath.Join(dir, "jmld.db"), func() error { return os.RemoveAll(dir) }
	}
	db, err := store.Open(ctx, o)
	if err != nil {
		return nil, nil, errors.Join(err, remove())
	}
	return db, func() error { return errors.Join(db.Close(), remove()) }, nil
}

func (a *app) printSimulation(r *simulate.Report) {
	a.printf("%d people at the start, %d days, seed %d: %s, %d known, %d employed at the end\n\n", r.People, r.Days, r.Seed,
		count(r.Events, "event"), r.Known, r.Employed)
	for _, kind := range simulate.Kinds() {
		if n := r.Kinds[kind]; n > 0 {
			a.printf("  %-22s %8d\n", kind, n)
		}
	}
	a.printf("\n  reads %d, of which %d failed or proved nothing\n  plans held %d, approved %d, ended by themselves %d\n\n", r.Reads, r.Failed,
		r.Held, r.Approved, r.Withdrawn)
	a.printf("  week   employed  joiners   movers  leavers\n")
	highest := 1
	for _, w := range r.Weeks {
		highest = max(highest, w.Joiners, w.Movers, w.Leavers)
	}
	for _, w := range r.Weeks {
		a.printf("  %4d %10d %8d %8d %8d  %s\n", w.Week, w.Employed, w.Joiners, w.Movers, w.Leavers, bars(highest, w))
	}
	a.printf("\n  in the chart: + joiners, ~ movers, ! leavers; a full line is %d\n\n", highest)
	a.printf("%s looked at, %d of them active, in %.1f s\n", count(r.Accounts, "account"), r.Active, r.Seconds)
	a.printf("%s with the truth in the end; %s\n", count(r.Disagreements, "disagreement"),
		count(r.Mistakes, "night with a wrong account for days", "nights with a wrong account for days"))
	const most = 20
	for _, d := range r.Differences[:min(most, len(r.Differences))] {
		a.printf("  %s in %s: %s; should be: %s\n", line(d.Person), d.Target, line(d.Is), line(d.Should))
	}
}

// bars is a line of the chart.
func bars(highest int, w simulate.Week) string {
	const width = 60
	part := func(n int, mark string) string { return strings.Repeat(mark, (n*width+highest/2)/highest) }
	return part(w.Joiners, "+") + part(w.Movers, "~") + part(w.Leavers, "!")
}
