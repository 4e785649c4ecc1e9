package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"jmld/internal/config"
	"jmld/internal/store"
	"jmld/jml/engine"
	"jmld/model"
)

// tokenStore is where new tokens go.
type tokenStore interface {
	AddToken(ctx context.Context, t model.Token) error
	AddAudit(ctx context.Context, entries ...model.AuditEntry) error
}

// site is a configuration with its database and its engine: what commands and the daemon work with.
type site struct {
	file    string
	cfg     *config.Config
	store   *store.Store
	engine  *engine.Engine
	options engine.Options // the engine was made of
}

// open reads the configuration, opens the database and makes the engine; nothing runs yet. A command needs only the secrets
// that it uses: an operator may look at people without being able to read the targets' tokens.
func (a *app) open(ctx context.Context) (*site, error) {
	cfg, doubts, err := doubtful(a.read(config.Inspect))
	if err != nil {
		return nil, err
	}
	log := zap.NewNop() // a command says itself what went wrong
	db, err := openStore(ctx, cfg, doubts, log, commandConns, 0)
	if err != nil {
		return nil, err
	}
	return newSite(cfg, db, log, a.now)
}

// doubtful lets a configuration pass that is only doubted: doubts says why. It may be used where ranBefore says so.
func doubtful(cfg *config.Config, err error) (_ *config.Config, doubts, _ error) {
	if found, ok := config.IsMistakes(err); ok && found.Config() != nil {
		return found.Config(), err, nil
	}
	return cfg, nil, err
}

// ranBefore returns the doubts, unless these very rules are in force already. A newer version may see in them what an older one did not,
// and a company must not be without its daemon for that. The database stays as it is: who is sent away must find it fit for the older version.
func ranBefore(ctx context.Context, cfg *config.Config, o store.Options, doubts error) error {
	if doubts == nil {
		return nil
	}
	inForce, err := store.PeekRules(ctx, o)
	if err != nil {
		return err
	}
	fingerprint, err := cfg.Fingerprint()
	if err == nil && fingerprint != inForce {
		err = doubts
	}
	return err
}

// load reads the configuration for the daemon, which needs everything it names.
func (a *app) load() (*config.Config, error) { return a.read(config.Load) }

// read makes one error of all mistakes.
func (a *app) read(how func(string) (*config.Config, error)) (*config.Config, error) {
	cfg, err := how(a.configFile())
	if found, ok := config.IsMistakes(err); ok {
		return nil, model.Errorf(model.CodeConfig, "%w\n%s", err, found.Summary())
	}
	return cfg, err
}

const (
	commandConns = 4  // PostgreSQL connections of a command
	daemonConns  = 16 // and of the daemon
	// readyConns are kept open: as many as searches, streams and lookups have at a time on two processors. A lookup that had to wait for a
	// new connection while somebody asked for everything took up to 150 ms.
	readyConns = 8
)

// openStore opens the database, unless there are doubts that ranBefore shares.
func openStore(ctx context.Context, cfg *config.Config, doubts error, log *zap.Logger, conns, ready int) (*store.Store, error) {
	o := store.Options{URL: cfg.Database.String(), Log: log, MaxConns: conns, ReadyConns: ready}
	if cfg.DatabasePassword.IsSet() {
		var err error
		if o.Password, err = cfg.DatabasePassword.Value(); err != nil {
			return nil, model.Errorf(model.CodeConfig, "database_password: %w", err)
		}
	}
	if err := ranBefore(ctx, cfg, o, doubts); err != nil {
		return nil, err
	}
	return store.Open(ctx, o)
}

// newSite makes the engine over an open database, which it closes when that goes wrong.
func newSite(cfg *config.Config, db *store.Store, log *zap.Logger, now func() time.Time) (*site, error) {
	s := &site{file: cfg.Path, cfg: cfg, store: db}
	var err error
	if s.options, err = engineOptions(cfg, db, log, now); err != nil {
		return nil, fmt.Errorf("%w%s", err, closing(db))
	}
	s.engine = engine.New(s.options)
	return s, nil
}

// closing is what went wrong while giving up, as an addition to what went wrong before.
func closing(db *store.Store) string {
	if err := db.Close(); err != nil {
		return "; and closing the database: " + err.Error()
	}
	return ""
}

func (s *site) close() error { return s.store.Close() }

func (s *site) source(name string) *config.Source {
	i := slices.IndexFunc(s.cfg.Sources, func(c config.Source) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return &s.cfg.Sources[i]
}

func (s *site) hasSource(name string) bool { return s.source(name) != nil }

// isRead says whether jmld reads the source; the others are pushed.
func (s *site) isRead(name string) bool { return s.source(name).LDAP != nil }

func (s *site) hasTarget(name string) bool {
	return slices.ContainsFunc(s.cfg.Targets, func(t config.Target) bool { return t.Name == name })
}

func (s *site) sourceNames() string {
	var names []string
	for _, c := range s.cfg.Sources {
		names = append(names, c.Name)
	}
	return strings.Join(names, ", ")
}

// needPushed is an error unless the source is one that clients push to.
func (s *site) needPushed(name string) error {
	switch {
	case !s.hasSource(name):
		return notFound("there is no source %q in %s (%s)", line(name), s.file, s.sourceNames())
	case s.isRead(name):
		return usage(fmt.Errorf("source %s is a directory that is read; only sources pushed over SCIM have tokens", name))
	}
	return nil
}

// replicaName tells processes apart in leases, runs and logs.
func replicaName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	var b [3]byte
	rand.Read(b[:]) //nolint:errcheck // crypto/rand.Read never fails (Go 1.24)
	return fmt.Sprintf("%s-%d-%s", host, os.Getpid(), hex.EncodeToString(b[:]))
}
