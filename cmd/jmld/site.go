package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"time"

	"jmld/model"
)

// maxRows is the most that one command prints.
const maxRows = 10000

func errLimit(n int) error { return fmt.Errorf("--limit %d: 1 to %d is expected", n, maxRows) }

// missing turns "not found" into a sentence with the command that lists what there is.
func missing(err error, noun, id, list string) error {
	if errors.Is(err, model.ErrNotFound) {
		return notFound("there is no %s %q: `%s` lists them", noun, line(id), list)
	}
	return err
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// operator is the natural person who gives a command (M-41): --by, else the account of the operating system.
func (a *app) operator(by string) string {
	if by != "" {
		return "operator " + line(by)
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		return "operator " + u.Username
	}
	return fmt.Sprintf("operator uid %d", os.Getuid())
}

// withSite opens the configured database for one command.
func (a *app) withSite(ctx context.Context, do func(context.Context, *site) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	s, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	return do(ctx, s)
}

// commandTimeout bounds commands that only look or write a row; sync and plan have the source's own time limit.
const commandTimeout = time.Minute
