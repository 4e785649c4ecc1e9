// Command jmld is the daemon and everything an operator does beside it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Set by the linker, see the Makefile.
var (
	version = "devel"
	date    = "unknown"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal ends the context; from then on signals have their usual effect, so that a second one ends the
	// process at once.
	context.AfterFunc(ctx, stop)
	hangup := make(chan os.Signal, 1)
	code := run(ctx, env{
		hangup: func() <-chan os.Signal {
			signal.Notify(hangup, syscall.SIGHUP)
			return hangup
		},
		stdin:  os.Stdin,
		stdout: os.Stdout,
		stderr: os.Stderr,
		getenv: os.Getenv,
		now:    time.Now,
	}, os.Args[1:])
	stop()
	os.Exit(code)
}
