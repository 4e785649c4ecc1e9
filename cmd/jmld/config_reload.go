package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"jmld/internal/config"
	"jmld/model"
)

const (
	reloadWait   = reloadTimeout   // for the first daemon that answers
	reloadOthers = 3 * time.Second // for further ones, once one has
)

type reloadJSON struct {
	Schema   string           `json:"schema"`
	OK       bool             `json:"ok"`
	Reload   string           `json:"reload"`
	Replicas []model.Reloaded `json:"replicas"`
}

func newConfigReload(a *app) *cobra.Command {
	var by string
	var wait time.Duration
	var approve bool
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have the running daemons adopt the configuration, without a restart",
		Long: "reload checks the file, then asks every daemon on the database to read its configuration again, and shows what each of them did. Rules, guard,\n" +
			"lifecycle, protection, fusion, correlation, organisations, groups and roles, and new targets are adopted as a whole or not at all; everybody\n" +
			"whom they touch is reviewed, through the guard. Runs under way go on by them. What only a restart can change is named. A daemon that\n" +
			"refuses goes on as before; SIGHUP asks one daemon for the same.",
		Example: `  jmld config reload -c /etc/jmld/config.yaml
  jmld config reload --by ada -o json | jq -r '.replicas[] | .replica + " " + .outcome'
  systemctl reload jmld`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.read(config.Inspect) // without doubts: a mistake is seen here first
			if err != nil {
				return err
			}
			return a.reloadDaemons(cmd.Context(), cfg, model.Reload{Actor: a.operator(by), Approve: approve}, wait)
		},
	}
	cmd.Flags().StringVar(&by, "by", "", "`name` of the person who asks (default: your account here)")
	cmd.Flags().BoolVar(&approve, "approve", false, "also when more people lose groups and roles by it than the guard lets go")
	cmd.Flags().DurationVar(&wait, "wait", reloadWait, "how long to wait for the first answer")
	return cmd
}

func (a *app) reloadDaemons(ctx context.Context, cfg *config.Config, wish model.Reload, wait time.Duration) error {
	fingerprint, err := cfg.Fingerprint()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout+wait)
	defer cancel()
	s, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer s.close() //nolint:errcheck // it has written nothing since the answer came
	wish.At = a.now().UTC()
	wish.ID, wish.Rules = model.NewID(wish.At), fingerprint
	if err := s.store.AskReload(ctx, wish); err != nil {
		return err
	}
	answers, err := waitForAnswers(ctx, s, wait)
	if err != nil {
		return err
	}
	if len(answers) == 0 {
		return model.Errorf(model.CodeReload, "no daemon on this database answered within %s; one that is started reads the file anyway", wait)
	}
	doc := reloadJSON{Schema: "jmld.config-reload/1", OK: true, Reload: wish.ID, Replicas: answers}
	for _, r := range answers {
		doc.OK = doc.OK && r.Outcome != model.ReloadRefused
	}
	if a.json() {
		if err := a.printJSON(doc); err != nil {
			return err
		}
	} else {
		a.printReloaded(answers, fingerprint)
	}
	if !doc.OK {
		return outcome(exitError)
	}
	return nil
}

func waitForAnswers(ctx context.Context, s *site, wait time.Duration) (answers []model.Reloaded, err error) {
	end, found := time.Now().Add(wait), false
	for time.Now().Before(end) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
		if answers, err = s.store.ReloadAnswers(ctx); err != nil {
			return nil, err
		}
		if !found && len(answers) > 0 {
			found, end = true, time.Now().Add(reloadOthers)
		}
	}
	return answers, nil
}

func (a *app) printReloaded(answers []model.Reloaded, fingerprint string) {
	for _, r := range answers {
		a.printf("%s: %s\n", line(r.Replica), r.Outcome)
		if r.Text != "" {
			a.printf("  %s\n", clean(r.Text))
		}
		for _, l := range r.Later {
			a.printf("  after a restart: %s\n", line(l))
		}
		if r.Outcome != model.ReloadRefused && r.Fingerprint != fingerprint {
			a.printf("  %s\n", fmt.Sprintf("it works by other rules than those of %s: it reads another file, or another version of it", line(a.configFile())))
		}
	}
}
