package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"jmld/internal/config"
	"jmld/jml"
	"jmld/jml/engine"
	"jmld/model"
)

const (
	reloadPoll    = time.Second      // between two looks whether somebody asked
	reloadTimeout = 2 * time.Minute  // of one
	adoptPatience = 30 * time.Second // how long a database that is away is waited for when all the rest is done
)

// reloader brings a changed configuration to the running daemon. What it cannot adopt as a whole it leaves alone.
type reloader struct {
	*running
	reread func() (*config.Config, error)
	now    func() time.Time
	file   *config.Config // that was adopted
	cfg    *config.Config // what runs of it: of what only a restart changes, what the daemon was started with
	shown  rulesShown
	inUse  atomic.Pointer[[]config.Target] // the targets of cfg, for others to read; nil: those of the start
	areas  atomic.Pointer[[]string]        // the areas of permissions, likewise
}

// accessAreas are those in force.
func (r *reloader) accessAreas() []string {
	if list := r.areas.Load(); list != nil {
		return *list
	}
	return r.site.cfg.AccessAreas()
}

// targets are those that run.
func (r *reloader) targets() []config.Target {
	if list := r.inUse.Load(); list != nil {
		return *list
	}
	return r.site.cfg.Targets
}

// run reads the configuration again when asked, by a signal or through the database, until ctx ends.
func (r *reloader) run(ctx context.Context, hangup <-chan os.Signal) error {
	tick := time.NewTicker(reloadPoll)
	defer tick.Stop()
	asked, known := "", false // the wish that was followed last
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangup:
			r.reload(ctx, model.Reload{Actor: "signal SIGHUP"})
		case <-tick.C:
			wish, err := r.store.ReloadAsked(ctx)
			switch {
			case err != nil: // whoever asked waits, and the database is somebody else's to complain about
			case !known && r.now().Sub(wish.At) > reloadTimeout: // before the start: the file was read since
				asked, known = wish.ID, true
			case wish.ID != asked:
				asked, known = wish.ID, true
				r.reload(ctx, wish)
			}
		}
	}
}

// reload adopts the configuration or leaves everything as it is, and tells everybody which.
func (r *reloader) reload(ctx context.Context, wish model.Reload) {
	ctx, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	before := r.shown.fingerprint()
	out := model.Reloaded{Reload: wish.ID, Replica: r.options.Replica, Outcome: model.ReloadUnchanged}
	next, err := r.reread()
	inForce, same := "", false
	if err == nil {
		inForce, err = r.store.RulesInForce(ctx)
		same = !wish.Approve && reflect.DeepEqual(said(r.file), said(next))
	}
	switch {
	case err != nil:
	case same && inForce == before:
		_, out.Later = r.cfg.Reload(next) // they still wait
	case same && wish.Rules != "" && wish.Rules != before: // whoever asked wants others
		_, out.Later = r.cfg.Reload(next)
		out.Text = "another daemon has adopted other rules: this one decides nothing until it reads the same file"
	default:
		out.Outcome = model.ReloadAdopted
		out.Later, err = r.adopt(ctx, next, wish)
	}
	fields := []zap.Field{zap.String(model.FieldActor, wish.Actor), zap.Strings("after_restart", out.Later)}
	switch {
	case err != nil:
		out.Outcome, out.Text, out.Later = model.ReloadRefused, clean(err.Error()), nil
		r.log.Error("configuration not adopted, the running one stays", append(fields, zap.String(model.FieldCode, string(model.CodeReload)), zap.Error(err))...)
	case out.Outcome == model.ReloadAdopted:
		r.log.Info("configuration adopted", append(fields, zap.String(model.FieldRules, r.shown.fingerprint()))...)
	default:
		r.log.Info("configuration read again, nothing has changed", fields...)
	}
	r.shown.count(out.Outcome)
	out.Fingerprint = r.shown.fingerprint()
	at := r.now().UTC()
	audit := model.AuditEntry{ID: model.NewID(at), At: at, Actor: wish.Actor, Action: "rules." + string(out.Outcome), Subject: out.Fingerprint,
		Detail: jml.Canonical(map[string]any{"replica": out.Replica, "before": before, "reason": out.Text, "afterRestart": out.Later})}
	if err := r.store.AddAudit(ctx, audit); err != nil {
		r.log.Error("reload of the configuration not in the audit", zap.Error(err))
	}
	if wish.ID == "" {
		return
	}
	if err := r.store.AnswerReload(ctx, out); err != nil {
		r.log.Error("whoever asked for a reload was not answered", zap.Error(err))
	}
}

// said is a configuration without what two readings of one file differ in.
func said(c *config.Config) []any {
	return []any{c.Database, c.DatabasePassword, c.Listen, c.Console, c.Log, c.Extensions, c.Sources, c.Fusion, c.Correlation, c.Organisations, c.Lifecycle,
		c.External, c.Protect, c.Policy, c.Access, c.Guard, c.Targets}
}

// adopt makes next what runs. later are the keys of which nothing changes before a restart.
func (r *reloader) adopt(ctx context.Context, next *config.Config, wish model.Reload) (later []string, err error) {
	refused, later := r.cfg.Reload(next)
	if len(refused) > 0 {
		return nil, model.Errorf(model.CodeReload, "only a restart can change what these decisions rest on: %s", strings.Join(refused, "; "))
	}
	p, err := r.policyOf(next)
	if err != nil {
		return nil, err
	}
	access := declaredAccess(next, wish.Actor, false)
	access.Brake = !wish.Approve
	r.file = new(config.Config) // whether it was adopted may stay unknown: without an answer the next reading is compared with nothing
	for end := time.Now().Add(adoptPatience); ; {
		if err = r.engine.Adopt(ctx, p, &access); err == nil || !errors.Is(err, model.ErrUnavailable) || time.Now().After(end) {
			break
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Second):
		}
	}
	if model.CodeOf(err) == model.CodeAccessHeld {
		return nil, fmt.Errorf("%w; `jmld config reload --approve` adopts it all the same", err)
	}
	if err != nil {
		return nil, err
	}
	r.options.Targets = p.Targets
	r.shown.set(p.Fingerprint, r.now())
	kept := *next // a restart is still needed for the rest, and is asked for again
	kept.Database, kept.DatabasePassword, kept.Listen, kept.Console, kept.Log = r.cfg.Database, r.cfg.DatabasePassword, r.cfg.Listen, r.cfg.Console, r.cfg.Log
	kept.Targets = slices.Clone(next.Targets)
	for i, t := range kept.Targets {
		if j := slices.IndexFunc(r.cfg.Targets, func(o config.Target) bool { return o.Name == t.Name }); j >= 0 {
			kept.Targets[i] = r.cfg.Targets[j]
		}
	}
	r.cfg, r.file = &kept, next
	areas := kept.AccessAreas()
	r.inUse.Store(&kept.Targets)
	r.areas.Store(&areas)
	return later, nil
}

// policyOf compiles what decisions follow. Targets that run stay as they are.
func (r *reloader) policyOf(next *config.Config) (engine.Policy, error) {
	p := engine.Policy{Guard: next.Guard.Limits(), Requests: next.Access.Requests.Rules()}
	var err error
	if p.Rules, err = next.Rules(); err != nil {
		return p, err
	}
	if p.Fingerprint, err = next.Fingerprint(); err != nil {
		return p, err
	}
	for i := range next.Targets {
		t := &next.Targets[i]
		j := slices.IndexFunc(r.options.Targets, func(s engine.TargetSpec) bool { return s.Target.Name() == t.Name })
		if j >= 0 {
			p.Targets = append(p.Targets, r.options.Targets[j])
			continue
		}
		spec, err := target(t, r.store, r.log, r.now)
		if err != nil {
			return p, err
		}
		p.Targets = append(p.Targets, spec)
	}
	return p, nil
}

// rulesShown says in the metrics which rules run, and what became of other ones.
type rulesShown struct {
	mu      sync.Mutex
	rules   string
	since   time.Time
	reloads map[model.ReloadOutcome]float64
	inForce func() bool
}

func (s *rulesShown) set(fingerprint string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules, s.since = fingerprint, at
}

func (s *rulesShown) fingerprint() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rules
}

func (s *rulesShown) count(o model.ReloadOutcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reloads == nil {
		s.reloads = map[model.ReloadOutcome]float64{}
	}
	s.reloads[o]++
}

// Describe implements prometheus.Collector: the series follow from Collect.
func (s *rulesShown) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (s *rulesShown) Collect(ch chan<- prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	ch <- prometheus.MustNewConstMetric(desc("jmld_rules_info", "Always 1; the label is the fingerprint of the rules that run.", model.FieldRules),
		prometheus.GaugeValue, 1, s.rules)
	inForce := 0.0
	if s.inForce() {
		inForce = 1
	}
	ch <- prometheus.MustNewConstMetric(desc("jmld_rules_in_force", "1 while they are those in force in the database, 0 while this daemon leaves every decision to others."),
		prometheus.GaugeValue, inForce)
	ch <- prometheus.MustNewConstMetric(desc("jmld_rules_adopted_timestamp_seconds", "Since when this daemon works by them."),
		prometheus.GaugeValue, float64(s.since.UnixMilli())/1000)
	for _, o := range []model.ReloadOutcome{model.ReloadAdopted, model.ReloadUnchanged, model.ReloadRefused} {
		ch <- prometheus.MustNewConstMetric(desc("jmld_reloads_total", "Configurations read again, by what became of them.", "outcome"),
			prometheus.CounterValue, s.reloads[o], string(o))
	}
}
