package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/spf13/cobra"

	"jmld/internal/config"
)

func newServe(a *app) *cobra.Command {
	var demo bool
	var listen, data string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon",
		Long: "serve answers SCIM clients and the console, reads directories on their schedule, and brings the targets to what should be, until it\n" +
			"is stopped by Ctrl-C or SIGTERM.\n\n" +
			"With --demo it brings what it needs to be tried out: a sample directory that speaks LDAP, a sample app that speaks SCIM, both on\n" +
			"loopback, an SQLite file, and a configuration that you may edit, all in one directory.",
		Example: `  jmld serve --demo
  jmld serve --demo --listen 127.0.0.1:9090 --data /tmp/demo
  jmld serve -c /etc/jmld/config.yaml`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.json() {
				return usage(errors.New("serve prints no document; log: {format: json} is for its log"))
			}
			if demo {
				return a.serveDemo(cmd.Context(), data, listen)
			}
			if data != "" {
				return usage(errors.New("--data is for --demo; without it the configuration says where everything is"))
			}
			cfg, doubts, err := doubtful(a.load())
			if err == nil {
				err = overrideListen(cfg, listen)
			}
			if err != nil {
				return err
			}
			return a.serve(cmd.Context(), cfg, doubts, func() (*config.Config, error) {
				next, err := a.load()
				if err == nil {
					err = overrideListen(next, listen)
				}
				return next, err
			}, nil)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&demo, "demo", false, "bring a sample directory, a sample app and a configuration for them")
	f.StringVar(&listen, "listen", "", "`address` to listen on, instead of the configured one")
	f.StringVar(&data, "data", "", "`directory` of the demo (default ./demo-data)")
	return cmd
}

// overrideListen puts the flag over the configuration; what the configuration promises about addresses still holds.
func overrideListen(cfg *config.Config, address string) error {
	if address == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		return usage(fmt.Errorf("--listen %s: HOST:PORT is expected", address))
	}
	derived := strings.HasSuffix(cfg.Listen.URL, "://"+cfg.Listen.Address)
	cfg.Listen.Address = address
	if derived {
		scheme, _, _ := strings.Cut(cfg.Listen.URL, "://")
		cfg.Listen.URL = scheme + "://" + reachable(address)
	}
	if !cfg.Listen.Loopback() {
		if cfg.Listen.TLS == nil && !cfg.Listen.Insecure {
			return usage(fmt.Errorf("--listen %s: others can reach that address; the configuration needs listen.tls, or listen.insecure: true", address))
		}
		if !cfg.Console.Token.IsSet() {
			return usage(fmt.Errorf("--listen %s: others can reach that address; the configuration needs console.token", address))
		}
	}
	return nil
}

// reachable is the address as a browser on this machine would write it.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("localhost", port)
	}
	return address
}

// ready is called when the daemon listens; what it starts must end with ctx.
type ready func(ctx context.Context, d *running) error
