package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jmld/internal/conformance"
)

// scimTest is the command line of jmld scim test.
type scimTest struct {
	tokenFile, tokenEnv string
	caFile              string
	header              []string
	only                []string
	timeout             time.Duration
	write               bool
	insecure            bool
	list                bool
}

func newSCIMTest(a *app) *cobra.Command {
	var t scimTest
	cmd := &cobra.Command{
		Use:   "test URL",
		Short: "Ask a SCIM endpoint what it holds of the RFCs, check by check",
		Long: "Runs the built-in checks of RFC 7643, RFC 7644 and RFC 9865 against any SCIM 2.0 endpoint, this daemon's or an app's, and says of each\n" +
			"whether it holds, what was expected and what was seen. It makes users and groups of its own under random names at example.org,\n" +
			"touches nothing else, and removes what it made, also when it is interrupted.",
		Example: `  jmld scim test https://app.example.org/scim/v2 --token-file app.token
  jmld scim test https://app.example.org/scim/v2 --token-env APP_TOKEN --write=false     only reading
  jmld scim test http://127.0.0.1:8484/scim/entra/v2 --token-file t --only group,'patch-*'
  jmld scim test --list                                                             every check`,
		Args: func(cmd *cobra.Command, args []string) error {
			if t.list {
				return exactly()(cmd, args)
			}
			return exactly("URL")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if t.list {
				return a.listChecks()
			}
			return a.scimTest(cmd.Context(), args[0], &t)
		},
	}
	f := cmd.Flags()
	f.StringVar(&t.tokenFile, "token-file", "", "`file` with the bearer token")
	f.StringVar(&t.tokenEnv, "token-env", "", "environment variable `NAME` with the bearer token")
	f.StringArrayVar(&t.header, "header", nil, "`Name: value` sent with every request, may be repeated")
	f.StringSliceVar(&t.only, "only", nil, "run these checks only: ids or groups, with * (`LIST`, comma-separated)")
	f.StringVar(&t.caFile, "ca-file", "", "`file` with the certificates to trust, PEM (default: those of the system)")
	f.DurationVar(&t.timeout, "timeout", 30*time.Second, "of one request")
	f.BoolVar(&t.write, "write", true, "make users and groups; with --write=false nothing is changed, and most checks are skipped")
	f.BoolVar(&t.insecure, "insecure", false, "allow plain http to an address that is not loopback: everybody on the way reads the token")
	f.BoolVar(&t.list, "list", false, "list the checks and run none")
	cmd.MarkFlagsMutuallyExclusive("token-file", "token-env")
	return cmd
}

// scimTest runs the checks and prints them. The exit code is about the musts.
func (a *app) scimTest(ctx context.Context, url string, t *scimTest) error {
	o, err := a.conformanceOptions(url, t)
	if err != nil {
		return err
	}
	report, err := conformance.Run(ctx, o)
	if errors.Is(err, conformance.ErrOptions) {
		return usage(err)
	}
	if len(report.Results) > 0 {
		if perr := a.printConformance(report, err == nil); perr != nil {
			return perr
		}
	}
	switch {
	case err != nil && ctx.Err() == nil:
		return exitWith{exitIncomplete, err}
	case err != nil:
		return err
	case len(report.Left) > 0 || report.Total(conformance.Must).Fail > 0:
		return outcome(exitError)
	}
	return nil
}

func (a *app) conformanceOptions(url string, t *scimTest) (conformance.Options, error) {
	o := conformance.Options{URL: url, Timeout: t.timeout, Write: t.write, Insecure: t.insecure, Only: t.only}
	if t.timeout <= 0 {
		return o, usage(fmt.Errorf("--timeout %s: a time such as 30s is expected", t.timeout))
	}
	token, err := a.scimToken(t)
	if err != nil {
		return o, err
	}
	if token != "" {
		o.Token = func() (string, error) { return token, nil }
	}
	if o.CAs, err = pool(t.caFile); err != nil {
		return o, fmt.Errorf("--ca-file: %w", err)
	}
	for _, h := range t.header {
		name, value, ok := strings.Cut(h, ":")
		if name = strings.TrimSpace(name); !ok || name == "" || strings.ContainsAny(h, "\r\n") {
			return o, usage(errors.New(`--header: "Name: value" is expected`))
		}
		if o.Header == nil {
			o.Header = http.Header{}
		}
		o.Header.Add(name, strings.TrimSpace(value))
	}
	return o, nil
}

// scimToken reads the token; "" is none.
func (a *app) scimToken(t *scimTest) (string, error) {
	switch {
	case t.tokenEnv != "":
		if s := strings.TrimSpace(a.getenv(t.tokenEnv)); s != "" {
			return s, nil
		}
		return "", fmt.Errorf("--token-env: environment variable %s is empty", t.tokenEnv)
	case t.tokenFile == "":
		return "", nil
	}
	f, err := os.Open(t.tokenFile)
	if err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 64<<10)) // a token, and not a disk by mistake
	if err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	if s := strings.TrimSpace(string(text)); s != "" {
		return s, nil
	}
	return "", fmt.Errorf("--token-file: %s is empty", t.tokenFile)
}
