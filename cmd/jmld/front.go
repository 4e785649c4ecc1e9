package main

import (
	"net"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"jmld/internal/capture"
	"jmld/internal/console"
	"jmld/internal/httpd"
	"jmld/model"
	"jmld/scim"
)

// newFront makes everything that answers HTTP on l. The SCIM provider in it wants to run, too.
func (a *app) newFront(d *running, l net.Listener) (*httpd.Server, *scim.Handler, error) {
	options, err := a.scimOptions(d)
	if err != nil {
		return nil, nil, err
	}
	provider := scim.New(options)
	o := httpd.Options{
		Listener: l, Insecure: d.cfg.Listen.Insecure, URL: longestURL(options.Sources),
		SCIM: d.recorder.Wrap(provider), Console: console.New(a.consoleOptions(d)),
		Ready: d.store.Ping, Figures: d.store, Collectors: []prometheus.Collector{&d.reloads.shown}, Log: d.log, Version: version, Drain: drainTime, Now: a.now,
	}
	if c := d.cfg.Listen.TLS; c != nil {
		o.TLS = &httpd.TLS{Certificate: string(c.Certificate), Key: string(c.Key), ClientCA: string(c.ClientCA)}
	}
	front, err := httpd.New(o)
	return front, provider, err
}

func longestURL(sources []scim.Source) (most int) {
	for _, s := range sources {
		most = max(most, s.Bounds.URL)
	}
	return most
}

func (a *app) scimOptions(d *running) (scim.Options, error) {
	o := scim.Options{
		Extensions: d.cfg.Declared(), URL: d.url, Pusher: watched{d.engine, d.store}, Resources: capture.Watched(d.store), Tokens: d.store, Dialects: d.store, Log: d.log, Now: a.now,
		TrustedProxies: prefixes(d.cfg.Listen.TrustedProxies),
	}
	for i := range d.cfg.Sources {
		s := &d.cfg.Sources[i]
		if s.SCIM == nil {
			continue
		}
		access, err := scimAccess(s.SCIM)
		if err != nil {
			return o, model.Errorf(model.CodeConfig, "source %s: %w", s.Name, err)
		}
		o.Sources = append(o.Sources, scim.Source{
			Name: s.Name, MaxBody: int64(s.SCIM.MaxBody), Bounds: scimBounds(&s.SCIM.Limits), Strict: s.SCIM.Strict,
			AnnounceCursors: s.SCIM.Cursors, NullIsSilence: s.SCIM.Unassigned == "silent", Access: access,
		})
	}
	return o, nil
}

// consoleOptions: without a configured token the console is open to this machine alone.
func (a *app) consoleOptions(d *running) console.Options {
	o := console.Options{
		View: d.store, Approver: d.engine, Correlator: d.engine, Tasks: d.store, Requests: requestBook{d.site, d.reloads.accessAreas}, Log: d.log, Version: version, Now: a.now,
		Secure: strings.HasPrefix(d.url, "https:"),
	}
	if secret := d.cfg.Console.Token; secret.IsSet() {
		o.Token = func() string {
			v, err := secret.Value()
			if err != nil {
				d.log.Error("console token cannot be read", zap.String(model.FieldCode, string(model.CodeConfig)), zap.Error(err))
				return ""
			}
			return v
		}
	}
	for i := range d.cfg.Sources {
		s := &d.cfg.Sources[i]
		view := console.Source{Name: s.Name, Kind: s.Kind()}
		for _, r := range d.options.Sources {
			if r.Source.Name() == s.Name && r.Schedule != nil {
				view.Next = r.Schedule.Next
			}
		}
		o.Sources = append(o.Sources, view)
	}
	o.Targets = func() []console.Target {
		var list []console.Target
		for _, t := range d.reloads.targets() {
			list = append(list, console.Target{Name: t.Name, Class: t.Class, Kind: t.Kind()})
		}
		return list
	}
	return o
}
