package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"jmld/internal/capture"
	"jmld/internal/config"
	"jmld/internal/logs"
	"jmld/internal/store"
	"jmld/jml/engine"
	"jmld/model"
)

const (
	storePatience = time.Minute      // how long a PostgreSQL that is not there is waited for at the start
	drainTime     = 15 * time.Second // for requests that have begun when the daemon is stopped
)

// running is the daemon while it runs.
type running struct {
	*site
	log      *zap.Logger
	url      string // where it listens, as clients see it
	recorder *capture.Recorder
	reloads  *reloader
}

// serve runs the daemon until ctx ends. Order of the end: accept nothing new, answer what has begun, stop the engine, close
// the database.
// reread reads the configuration as it was read for the start. doubts keep it from starting, unless it ran before.
func (a *app) serve(ctx context.Context, cfg *config.Config, doubts error, reread func() (*config.Config, error), then ready) (err error) {
	started := *cfg // as the file has it
	log, err := logs.New(cfg.Log.Format, cfg.Log.Level, a.stderr)
	if err != nil {
		return err
	}
	for _, w := range cfg.Warnings {
		log.Warn("configuration", zap.String("warning", w.String()))
	}
	db, err := waitForStore(ctx, cfg, doubts, log)
	if err != nil {
		return err
	}
	if doubts != nil {
		log.Error("rules that ran before are doubtful", zap.String(model.FieldCode, string(model.CodeRulesDoubtful)), zap.Error(doubts))
	}
	s, err := newSite(cfg, db, log, a.now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if a.getenv("GOGC") == "" { // who sets it decides
		defer s.options.Heap.Keep(engine.Roomy)()
	}

	if err := db.KeepUnique(ctx, uniqueAttributes(cfg.Declared())); err != nil {
		return err
	}
	held, err := s.adopt(ctx, log)
	if err != nil {
		return err
	}
	if err := s.endTasks(ctx, log); err != nil {
		return err
	}
	l, err := listen(ctx, cfg)
	if err != nil {
		return err
	}
	d := &running{site: s, log: log, url: cfg.Listen.URL}
	d.recorder = capture.NewRecorder(db, s.options.Replica, a.now, func(err error) { log.Warn("capture", zap.Error(err)) }, cfg.Declared()...)
	d.reloads = &reloader{running: d, reread: reread, now: a.now, file: &started, cfg: &started}
	if held {
		d.reloads.file = new(config.Config) // not adopted yet
	}
	d.reloads.shown.inForce = s.engine.InForce
	d.reloads.shown.set(s.options.Fingerprint, a.now())
	front, provider, err := a.newFront(d, l)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	log.Info("listening", zap.Stringer(model.FieldAddress, l.Addr()), zap.String("url", d.url),
		zap.String(model.FieldVersion, version), zap.String(model.FieldReplica, s.options.Replica), zap.String(model.FieldRules, s.options.Fingerprint))

	// The engine outlives the listener: what requests have begun may still need it. So does what counts them.
	engineCtx, stopEngine := context.WithCancel(context.WithoutCancel(ctx))
	defer stopEngine()
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer stopEngine()
		return front.Run(gctx)
	})
	g.Go(func() error {
		if err := s.engine.Run(engineCtx); err != nil && engineCtx.Err() == nil {
			return fmt.Errorf("engine: %w", err)
		}
		return nil
	})
	g.Go(func() error { return d.recorder.Run(engineCtx) })
	g.Go(func() error {
		var hangup <-chan os.Signal
		if a.hangup != nil && then == nil { // the demo ends with its terminal
			hangup = a.hangup()
		}
		return d.reloads.run(gctx, hangup)
	})
	g.Go(func() error {
		provider.Run(engineCtx)
		return nil
	})
	if then != nil {
		g.Go(func() error {
			if err := then(gctx, d); err != nil && gctx.Err() == nil {
				return err
			}
			return nil
		})
	}
	err = g.Wait()
	log.Info("stopped", zap.Error(err))
	return err
}

// uniqueAttributes are those that extensions declare unique.
func uniqueAttributes(extensions []model.Extension) []string {
	var out []string
	for _, e := range extensions {
		out = append(out, e.Unique()...)
	}
	return out
}

// listen opens the address. With port 0 the URL becomes the one that was found.
func listen(ctx context.Context, cfg *config.Config) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Listen.Address)
	if err != nil {
		return nil, model.Errorf(model.CodeListen, "listen on %s: %w", cfg.Listen.Address, err)
	}
	if base, ok := strings.CutSuffix(cfg.Listen.URL, ":0"); ok {
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		cfg.Listen.URL = base + ":" + port
	}
	return l, nil
}

// waitForStore opens the database. A PostgreSQL may come up later than we do; an SQLite file is there or is not.
func waitForStore(ctx context.Context, cfg *config.Config, doubts error, log *zap.Logger) (*store.Store, error) {
	end := time.Now().Add(storePatience)
	for pause := 250 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		db, err := openStore(ctx, cfg, doubts, log, daemonConns, readyConns)
		if err == nil || cfg.Database.Postgres == "" || !errors.Is(err, model.ErrUnavailable) || time.Now().Add(pause).After(end) {
			return db, err
		}
		log.Warn("database not reachable yet", zap.String(model.FieldCode, string(model.CodeStoreUnavailable)), zap.Error(err))
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}
