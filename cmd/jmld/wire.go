package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"

	"jmld/internal/config"
	"jmld/internal/store"
	"jmld/jml/engine"
	"jmld/jml/entry"
	"jmld/ldapsync"
	"jmld/model"
	"jmld/target/local"
	"jmld/target/manual"
	"jmld/target/memory"
	"jmld/target/scimapp"
)

// engineOptions turns the configuration into what the engine works with.
func engineOptions(cfg *config.Config, db *store.Store, log *zap.Logger, now func() time.Time) (engine.Options, error) {
	rules, err := cfg.Rules()
	if err != nil {
		return engine.Options{}, err
	}
	fingerprint, err := cfg.Fingerprint()
	if err != nil {
		return engine.Options{}, err
	}
	o := engine.Options{Store: db, Rules: rules, Fingerprint: fingerprint, Guard: cfg.Guard.Limits(), Requests: cfg.Access.Requests.Rules(), Log: log, Now: now, Replica: replicaName(),
		Heap: &engine.Heap{}}
	for i := range cfg.Sources {
		if cfg.Sources[i].LDAP == nil {
			continue
		}
		s, err := readSource(&cfg.Sources[i], log)
		if err != nil {
			return engine.Options{}, err
		}
		o.Sources = append(o.Sources, s)
	}
	for i := range cfg.Targets {
		t, err := target(&cfg.Targets[i], db, log, now)
		if err != nil {
			return engine.Options{}, err
		}
		o.Targets = append(o.Targets, t)
	}
	return o, nil
}

// readSource makes the reader of a directory with its calendar.
func readSource(c *config.Source, log *zap.Logger) (engine.ReadSource, error) {
	src, err := directorySource(c, log)
	if err != nil {
		return engine.ReadSource{}, err
	}
	l := c.LDAP
	read := engine.ReadSource{Source: src, Timeout: l.Timeouts.Run.Std(),
		Absence: engine.Absence{Runs: l.Absence.Runs, After: l.Absence.After.Std(), Confirm: l.Absence.Confirm}}
	read.Pace = engine.Pace{Jitter: l.Jitter.Std(), SkipMissed: l.CatchUp == "skip", SkipOverlap: l.Overlap == "skip"}
	if l.Delta != nil {
		read.Delta = config.Every(l.Delta.Every)
	}
	if l.Census != nil {
		read.Census = config.Every(l.Census.Every)
	}
	calendar, err := l.Calendar()
	if err != nil {
		return engine.ReadSource{}, model.Errorf(model.CodeConfig, "source %s: schedule: %w", c.Name, err)
	}
	if calendar != nil { // a nil Schedule and a Schedule that holds nil are two things
		read.Schedule = calendar
	}
	return read, nil
}

// directorySource makes the reader of a directory.
func directorySource(c *config.Source, log *zap.Logger) (*ldapsync.Source, error) {
	l := c.LDAP
	o := ldapsync.Options{
		Name: c.Name, URL: l.URL, Servers: l.Servers, SRV: l.SRV, StartTLS: l.StartTLS, CAFile: string(l.CAFile), ServerName: l.Server,
		Pins: l.Pins, Auth: l.Auth, BindDN: l.BindDN, Password: l.Password.Value, Preset: l.Preset, Base: l.Base, ID: l.ID,
		People:   ldapsync.People{Base: l.People.Base, Filter: l.People.Filter, Attributes: map[string]entry.Attribute{}},
		PageSize: l.PageSize, Incremental: entry.Method(l.Changes), Delta: l.Delta != nil,
		Timeouts: ldapsync.Timeouts{Connect: l.Timeouts.Connect.Std(), Idle: l.Timeouts.Idle.Std(), Run: l.Timeouts.Run.Std()},
		Log:      log,
	}
	for path, a := range l.People.Attributes {
		o.People.Attributes[path] = a.Attribute
	}
	if p := l.Client; p != nil {
		o.ClientCertificate, o.ClientKey = string(p.Certificate), string(p.Key)
	}
	if k := l.Kerberos; k != nil {
		o.Kerberos = ldapsync.Kerberos{Principal: k.Principal, Keytab: string(k.Keytab), Config: string(k.Config), Service: k.Service}
	}
	if g := l.Groups; g != nil {
		o.Groups = &ldapsync.Groups{Base: g.Base, Filter: g.Filter, Name: g.Name, Member: g.Member}
	}
	if l.Inactive != nil {
		o.Inactive = ldapsync.Inactive{Attribute: l.Inactive.Attribute, Values: l.Inactive.Values, When: l.Inactive.When}
	}
	return ldapsync.New(o)
}

// ownTimeout is of one account in our own database or memory. What a killed process had in hand waits a little longer.
const ownTimeout = 5 * time.Second

func target(c *config.Target, db *store.Store, log *zap.Logger, now func() time.Time) (engine.TargetSpec, error) {
	spec := engine.TargetSpec{Class: c.Class, Concurrency: c.Concurrency, Timeout: ownTimeout}
	switch {
	case c.Local != nil:
		spec.Target = local.New(c.Name, c.Class, db, now)
	case c.Kind() == "manual":
		spec.Target = byHand(c, db, nil, now)
	case c.Memory != nil:
		spec.Target, spec.Resident = memory.New(c.Name), true
	default:
		ca, err := pool(string(c.SCIM.CAFile))
		if err != nil {
			return spec, model.Errorf(model.CodeConfig, "target %s: ca_file: %w", c.Name, err)
		}
		t, err := scimapp.New(scimapp.Options{
			Name: c.Name, URL: c.SCIM.URL, Token: c.SCIM.Token.Value, CA: ca, Timeout: c.SCIM.Timeout.Std(), Insecure: c.SCIM.Insecure, ByHand: c.Manual.Ops(), Log: log,
		})
		if err != nil {
			return spec, err
		}
		// One Ensure is a few requests: look, write, read back.
		spec.Target, spec.Timeout = t, 4*c.SCIM.Timeout.Std()
		if c.Manual != nil {
			spec.Target = byHand(c, db, t, now)
		}
	}
	return spec, nil
}

func byHand(c *config.Target, db *store.Store, api engine.Target, now func() time.Time) *manual.Target {
	return manual.New(manual.Options{Name: c.Name, Assignee: c.Manual.Assignee, Instructions: c.Manual.Instructions, Due: c.Manual.Due.Std(), API: api,
		Store: db, Now: now})
}

// endTasks withdraws what people were to do in targets in which nothing is by hand any more: nobody else would.
func (s *site) endTasks(ctx context.Context, log *zap.Logger) error {
	var names []string
	for i := range s.cfg.Targets {
		if t := &s.cfg.Targets[i]; t.Manual == nil {
			names = append(names, t.Name)
		}
	}
	n, err := s.store.EndTasks(ctx, names, "nothing in the target is done by hand any more")
	if n > 0 {
		log.Info("tasks withdrawn of targets in which nothing is done by hand any more", zap.Int(model.FieldCount, n))
	}
	return err
}

// pool is the certificate authorities of a PEM file; nil, the system's, without one.
func pool(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate in PEM form", file)
	}
	return p, nil
}
