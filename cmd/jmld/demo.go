package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"jmld/internal/config"
	"jmld/internal/sampleapp"
	"jmld/internal/sampledir"
	"jmld/model"
)

// demo is the directory with everything in it, and the two sample servers. The daemon itself is the ordinary one, with
// DIR/config.yaml.
type demo struct {
	a      *app
	dir    string // absolute
	config string

	directory   *sampledir.Dir
	people      net.Listener // of the directory
	application *sampleapp.App
	users       net.Listener // of the app
}

func (a *app) serveDemo(ctx context.Context, data, listen string) (err error) {
	dir, err := filepath.Abs(orElse(data, "demo-data"))
	if err != nil {
		return err
	}
	d := &demo{a: a, dir: dir, config: filepath.Join(dir, "config.yaml")}
	if err := os.MkdirAll(filepath.Join(dir, "secrets"), 0o700); err != nil {
		return fmt.Errorf("prepare the demo in %s: %w", dir, err)
	}
	lock, err := lockDemo(dir)
	if err != nil {
		return fmt.Errorf("start the demo in %s: %w", dir, err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := d.prepare(listen); err != nil {
		return fmt.Errorf("prepare the demo in %s: %w", dir, err)
	}
	a.config = d.config
	cfg, doubts, err := doubtful(a.load())
	if err != nil {
		return errors.Join(err, d.close())
	}
	// The samples outlive the daemon: it may want to finish something.
	sctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	g, gctx := errgroup.WithContext(sctx)
	g.Go(func() error { return d.directory.Serve(gctx, d.people) })
	g.Go(func() error { return d.serveApp(gctx) })
	g.Go(func() error {
		defer stop()
		dctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(gctx, cancel)() // a sample that fails ends the demo
		return a.serve(dctx, cfg, doubts, a.load, d.tour)
	})
	return g.Wait()
}

// prepare makes what is missing and takes the addresses.
func (d *demo) prepare(listen string) (err error) {
	if d.directory, err = sampledir.Open(filepath.Join(d.dir, "directory.ldif")); err != nil {
		return err
	}
	d.directory.Report = func(err error) { fmt.Fprintf(d.a.stderr, "jmld: %s\n", line(err.Error())) }
	password, err := d.directory.Password()
	if err != nil {
		return err
	}
	if err := writePrivate(d.secretFile("ldap"), password+"\n"); err != nil {
		return err
	}
	appSecret, err := d.secret("app")
	if err != nil {
		return err
	}
	if d.application, err = sampleapp.Open(filepath.Join(d.dir, "app.json"), appSecret); err != nil {
		return err
	}
	return d.takeAddresses(listen)
}

func (d *demo) takeAddresses(listen string) (err error) {
	const where, directory, app = "where the console and SCIM are", "the sample directory", "the sample app"
	if listen == "" {
		listen = orElse(keptAddress(d.config, where), demoListen)
	}
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return usage(fmt.Errorf("--listen %s: HOST:PORT is expected", listen))
	}
	// Before anything is written: another demo in the same directory relies on it.
	probe, err := net.Listen("tcp", listen)
	if err != nil {
		return model.Errorf(model.CodeListen, "%w; if the demo runs already, --listen and --data start another one", err)
	}
	if err := probe.Close(); err != nil {
		return err
	}
	if d.people, err = listenAgain(keptAddress(d.config, directory)); err != nil {
		return err
	}
	if d.users, err = listenAgain(keptAddress(d.config, app)); err != nil {
		return errors.Join(err, d.people.Close())
	}
	p := demoPlaces{
		Listen:  fmt.Sprintf("{address: %q}", listen),
		Console: "{}",
		LDAP:    "ldap://" + d.people.Addr().String(),
		App:     fmt.Sprintf("{url: \"http://%s/scim/v2\", token: {file: secrets/app}}", d.users.Addr()),
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		// Others can reach it: then the console asks who they are.
		if _, err := d.secret("console"); err != nil {
			return errors.Join(err, d.close())
		}
		p.Listen = fmt.Sprintf("{address: %q, url: %q, insecure: true}", listen, "http://"+reachable(listen))
		p.Console = "{token: {file: secrets/console}}"
	}
	if err := writeDemoConfig(d.config, p); err != nil {
		return errors.Join(err, d.close())
	}
	return nil
}

// close gives back the addresses of samples that were never served.
func (d *demo) close() error { return errors.Join(d.people.Close(), d.users.Close()) }

func (d *demo) secretFile(name string) string { return filepath.Join(d.dir, "secrets", name) }

// secret reads a secret of an earlier start, or makes it.
func (d *demo) secret(name string) (string, error) {
	text, err := os.ReadFile(d.secretFile(name))
	if err == nil && strings.TrimSpace(string(text)) != "" {
		return strings.TrimSpace(string(text)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	s := rand.Text()
	return s, writePrivate(d.secretFile(name), s+"\n")
}

// serveApp serves the sample app until ctx ends.
func (d *demo) serveApp(ctx context.Context) error {
	srv := &http.Server{Handler: d.application, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(d.users) }()
	select {
	case err := <-ended:
		return fmt.Errorf("sample app: %w", err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := srv.Shutdown(drain)
	<-ended
	return err
}

// token is the SCIM client's: the one of an earlier start while the database knows it, else a new one.
func (d *demo) token(ctx context.Context, r *running, source string) (string, error) {
	known, err := r.store.Tokens(ctx, source)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(d.secretFile(source))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if secret := strings.TrimSpace(string(text)); secret != "" {
		for _, t := range known {
			if string(t.Hash) == string(tokenHash(secret)) && tokenState(t, d.a.now()) != "revoked" && tokenState(t, d.a.now()) != "expired" {
				return secret, nil
			}
		}
	}
	_, secret, err := makeToken(ctx, r.store, source, "demo", 0, "demo", d.a.now())
	if err != nil {
		return "", err
	}
	return secret, writePrivate(d.secretFile(source), secret+"\n")
}

// pushedSource is the source whose client the demo plays.
func pushedSource(cfg *config.Config) (string, error) {
	for _, s := range cfg.Sources {
		if s.SCIM != nil {
			return s.Name, nil
		}
	}
	return "", model.Errorf(model.CodeConfig, "%s has no scim source any more; the demo needs one", cfg.Path)
}
