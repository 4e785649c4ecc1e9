package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"jmld/internal/config"
	"jmld/internal/console"
	"jmld/model"
	"jmld/scim"
)

// front is everything that answers HTTP.
type front struct {
	server *http.Server
}

func (a *app) newFront(d *running, l net.Listener) (*front, error) {
	provider := scim.New(a.scimOptions(d))
	operators := console.New(a.consoleOptions(d))
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case scim.Owns(r.URL.Path):
			provider.ServeHTTP(w, r)
		case r.URL.Path == "/healthz":
			io.WriteString(w, "ok\n")
		case r.URL.Path == "/readyz":
			if err := d.store.Ping(r.Context()); err != nil {
				http.Error(w, "database unavailable", 503)
				return
			}
			io.WriteString(w, "ok\n")
		default:
			operators.ServeHTTP(w, r)
		}
	})
	return &front{&http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}}, nil
}

func (f *front) serve(ctx context.Context, l net.Listener) error {
	done := make(chan error, 1)
	go func() { done <- f.server.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	err := f.server.Shutdown(sctx)
	if serr := <-done; !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, serr)
	}
	return err
}

func (a *app) scimOptions(d *running) scim.Options {
	o := scim.Options{URL: d.url, Pusher: d.engine, Resources: d.store, Tokens: d.store, Log: d.log, Now: a.now}
	for _, s := range d.cfg.Sources {
		if s.SCIM != nil {
			o.Sources = append(o.Sources, scim.Source{Name: s.Name, MaxBody: int64(s.SCIM.MaxBody)})
		}
	}
	return o
}

// consoleOptions: without a configured token the console is open to this machine alone.
func (a *app) consoleOptions(d *running) console.Options {
	o := console.Options{
		View: d.store, Approver: d.engine, Log: d.log, Version: version, Now: a.now,
		Secure: len(d.url) > 5 && d.url[:6] == "https:",
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
	for i := range d.cfg.Targets {
		t := &d.cfg.Targets[i]
		o.Targets = append(o.Targets, console.Target{Name: t.Name, Class: t.Class, Kind: t.Kind()})
	}
	return o
}

func newLog(cfg *config.Config, w io.Writer) (*zap.Logger, error) {
	level, err := zapcore.ParseLevel(cfg.Log.Level)
	if err != nil {
		return nil, err
	}
	enc := zap.NewProductionEncoderConfig()
	enc.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	e := zapcore.NewJSONEncoder(enc)
	if cfg.Log.Format == "console" {
		e = zapcore.NewConsoleEncoder(enc)
	}
	return zap.New(zapcore.NewCore(e, zapcore.Lock(zapcore.AddSync(w)), level)), nil
}
