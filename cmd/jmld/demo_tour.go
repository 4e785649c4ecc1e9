package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"

	"jmld/jml/engine"
	"jmld/model"
)

//go:embed demo/tour.txt
var demoTour string

// tourFacts fill in what is printed.
type tourFacts struct {
	Dir, URL, SCIM, Console, EnvFile, Env, Jmld, Token, App string
	First                                                   bool
	People                                                  int
	Accounts                                                []model.AccountTally
}

// tour runs when the daemon listens: the token, the first read, and what to try.
func (d *demo) tour(ctx context.Context, r *running) error {
	source, err := pushedSource(r.cfg)
	if err != nil {
		return err
	}
	secret, err := d.token(ctx, r, source)
	if err != nil {
		return fmt.Errorf("make the token of source %s: %w", source, err)
	}
	env := filepath.Join(d.dir, "demo.env")
	base := r.url + "/scim/" + source + "/v2"
	text := fmt.Sprintf("JMLD_URL=%s\nJMLD_SCIM_URL=%s\nJMLD_SCIM_TOKEN=%s\n", r.url, base, secret)
	if err := writePrivate(env, text); err != nil {
		return err
	}
	first, err := d.firstRead(ctx, r)
	if err != nil {
		return err
	}
	tally, err := settledTally(ctx, r)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	f := tourFacts{
		Dir: d.dir, URL: r.url, SCIM: base, App: "http://" + d.users.Addr().String(), EnvFile: env, Env: shellQuote(env), Jmld: shellQuote(self) + " -c " + shellQuote(d.config), Token: secret,
		First: first, Accounts: tally.Accounts,
	}
	for _, n := range tally.Identities {
		f.People += n
	}
	if r.cfg.Console.Token.IsSet() {
		f.Console = shellQuote(d.secretFile("console"))
	}
	t, err := template.New("tour").Parse(demoTour)
	if err != nil {
		return err
	}
	return t.Execute(d.a.stdout, f)
}

// firstRead reads the directories that were never read. A later start goes on where the database stands.
func (d *demo) firstRead(ctx context.Context, r *running) (first bool, err error) {
	for _, s := range r.cfg.Sources {
		if s.LDAP == nil {
			continue
		}
		runs, err := r.store.RunList(ctx, s.Name, 100, "")
		if err != nil {
			return first, err
		}
		done := func(run model.Run) bool { return run.State == model.RunSucceeded || run.State == model.RunHeld }
		if slices.ContainsFunc(runs, done) {
			continue
		}
		_, err = r.engine.Sync(ctx, s.Name, engine.SyncOptions{Trigger: "start", Actor: "demo"})
		switch {
		case err == nil:
			first = true
		case ctx.Err() != nil:
			return first, err
		default: // the daemon goes on; the next run does better
			fmt.Fprintf(d.a.stderr, "jmld: %s (%s)\n  %s\n", line(err.Error()), model.CodeOf(err), model.CodeOf(err).Advice())
		}
	}
	return first, nil
}

// settledTally waits a moment for the workers, so that the figures printed are those of the console.
func settledTally(ctx context.Context, r *running) (model.Tally, error) {
	for end := time.Now().Add(10 * time.Second); ; {
		t, err := r.store.Tally(ctx)
		if err != nil {
			return t, err
		}
		due := 0
		for _, a := range t.Accounts {
			due += a.Due
		}
		if due == 0 || time.Now().After(end) {
			return t, nil
		}
		select {
		case <-ctx.Done():
			return t, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// shellQuote writes a word for a POSIX shell.
func shellQuote(s string) string {
	if regexp.MustCompile(`^[\w@%+=:,./-]+$`).MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
