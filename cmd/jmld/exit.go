package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"jmld/model"
)

// Exit codes, documented in docs/cli.md and by `jmld help exit-codes`.
const (
	exitOK         = 0
	exitError      = 1
	exitChanges    = 2
	exitHeld       = 3
	exitNotFound   = 4
	exitIncomplete = 5
	exitUsage      = 64
	exitSignal     = 130
)

const exitCodes = `  0   done, or nothing to do
  1   error; a must of the RFCs does not hold (scim test); a case failed (policy test)
  2   there are changes (plan, organisation end); something is answered differently (scim replay)
  3   held by the guard: something waits for approval (plan, sync), or would (organisation end)
  4   there is no such person, run, plan, source, organisation or token
  5   the source could not be read completely (plan, sync); the endpoint could not be tested to the end (scim test)
  64  the command line is wrong
  130 ended by a signal
`

// exitWith is the outcome of a command that is not plain success. A nil err means that the command has said it all.
type exitWith struct {
	code int
	err  error
}

func (e exitWith) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e exitWith) Unwrap() error { return e.err }

// outcome ends a command with a code that says what it found.
func outcome(code int) error {
	if code == exitOK {
		return nil
	}
	return exitWith{code: code}
}

func usage(err error) error { return exitWith{exitUsage, err} }

func notFound(format string, args ...any) error {
	return exitWith{exitNotFound, fmt.Errorf(format, args...)}
}

// report prints what went wrong as one sentence, its code and what to do, and returns the exit code.
func (a *app) report(err error) int {
	if err == nil {
		return exitOK
	}
	code := exitCode(err)
	var e exitWith
	if errors.As(err, &e) && e.err == nil {
		return code
	}
	if code == exitSignal {
		fmt.Fprintln(a.stderr, "jmld: stopped")
		return exitSignal
	}
	text := clean(strings.TrimSuffix(err.Error(), "\n"))
	cause := causeOf(err)
	if a.json() {
		a.reportJSON(text, cause)
		return code
	}
	if cause == "" {
		fmt.Fprintf(a.stderr, "jmld: %s\n", text)
		return code
	}
	if strings.Contains(text, "\n") {
		fmt.Fprintf(a.stderr, "%s\n", text)
	} else {
		fmt.Fprintf(a.stderr, "jmld: %s (%s)\n", text, cause)
	}
	fmt.Fprintf(a.stderr, "  %s\n", cause.Advice())
	return code
}

type errorJSON struct {
	Schema string     `json:"schema"`
	Code   model.Code `json:"code,omitempty"`
	Text   string     `json:"text"`
	Advice string     `json:"advice,omitempty"`
}

func (a *app) reportJSON(text string, cause model.Code) {
	v := errorJSON{Schema: "jmld.error/1", Code: cause, Text: text}
	if cause != "" {
		v.Advice = cause.Advice()
	}
	e := json.NewEncoder(a.stderr)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		fmt.Fprintf(a.stderr, "jmld: %s\n", text)
	}
}

// causeOf is the error's code, or "" when it has none of its own: a wrong command line needs no number.
func causeOf(err error) model.Code {
	c := model.CodeOf(err)
	var e *model.Error
	if c == model.CodeInternal && !errors.As(err, &e) {
		return ""
	}
	return c
}

func exitCode(err error) int {
	var e exitWith
	switch {
	case errors.As(err, &e):
		return e.code
	case errors.Is(err, context.Canceled) && (model.CodeOf(err) == model.CodeInternal || model.CodeOf(err) == model.CodeSourceStopped):
		return exitSignal
	case errors.Is(err, model.ErrNotFound):
		return exitNotFound
	case isUnread(model.CodeOf(err)):
		return exitIncomplete
	case strings.HasPrefix(err.Error(), "unknown command"): // cobra has no type for it
		return exitUsage
	}
	return exitError
}

// isUnread says whether the code is about a source that was not read to its end.
func isUnread(c model.Code) bool {
	return strings.HasPrefix(string(c), "JML-20") && c != model.CodeSourceBusy
}

func newExitCodes(_ *app) *cobra.Command {
	return &cobra.Command{
		Use:   "exit-codes",
		Short: "What the exit codes mean",
		Long:  "Exit codes:\n\n" + exitCodes,
	}
}
