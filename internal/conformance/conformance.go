package conformance

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"
)

// Bounds of a run.
const (
	defaultTimeout = 30 * time.Second
	defaultTotal   = 15 * time.Minute
	cleanupTime    = time.Minute
)

// Options say what is tested and how.
type Options struct {
	URL      string                 // the base, "https://app.example.org/scim/v2"
	Token    func() (string, error) // the bearer token; nil: none is sent
	Header   http.Header            // sent with every request; the values are never shown
	CAs      *x509.CertPool         // nil: those of the system
	Insecure bool                   // allow plain http to an address that is not loopback
	Timeout  time.Duration          // of one request; 0: 30 s
	Total    time.Duration          // of the run, without the clean-up; 0: 15 minutes
	Write    bool                   // false: only checks that change nothing
	Only     []string               // ids or groups of checks, with * as in path.Match; none: all
	Progress func(Result)           // called after each check; may be nil
}

// Severity is how grave it is when a check does not hold.
type Severity string

// The severities, gravest first.
const (
	Must    Severity = "must"
	Should  Severity = "should"
	Interop Severity = "interop"
)

// Severities lists them, gravest first.
func Severities() []Severity { return []Severity{Must, Should, Interop} }

// Outcome is what became of a check.
type Outcome string

// The outcomes.
const (
	Pass Outcome = "pass"
	Fail Outcome = "fail"
	Skip Outcome = "skip"
)

// Check is one question to the service provider.
type Check struct {
	ID       string
	Group    string
	Section  string   // "RFC 7644 §3.3"
	Rows     []string // of the requirements: "R57"
	Severity Severity
	What     string // the rule, as a sentence
}

// Result is the answer to it. Severity is that of what was found: an honest refusal of something optional weighs less
// than a wrong answer.
type Result struct {
	Check
	Outcome  Outcome
	Expected string // when it failed
	Seen     string // when it failed; clipped, without tokens and passwords, and without resources that are not ours
	Reason   string // when it was skipped
	Took     time.Duration
}

// Report is what a run found.
type Report struct {
	URL       string
	StartedAt time.Time
	Took      time.Duration
	Requests  int
	Results   []Result
	Left      []string // what was made and could not be removed
}

// Total counts outcomes.
type Total struct{ Pass, Fail, Skip int }

// Total counts the results of one severity.
func (r Report) Total(s Severity) Total {
	var t Total
	for _, res := range r.Results {
		if res.Severity != s {
			continue
		}
		switch res.Outcome {
		case Pass:
			t.Pass++
		case Fail:
			t.Fail++
		case Skip:
			t.Skip++
		}
	}
	return t
}

// Failed lists the ids of what failed, in the order of the run.
func (r Report) Failed() []string {
	var ids []string
	for _, res := range r.Results {
		if res.Outcome == Fail {
			ids = append(ids, res.ID)
		}
	}
	return ids
}

// ErrOptions is what cannot be run as asked.
var ErrOptions = errors.New("invalid options")

// Checks lists all checks in the order in which they run.
func Checks() []Check {
	var list []Check
	for _, c := range catalogue() {
		list = append(list, c.Check)
	}
	return list
}

// Run asks everything and cleans up. The error says why the run could not be started or was not finished; the report
// then holds what was found until then. A check that fails is no error.
func Run(ctx context.Context, o Options) (report Report, err error) {
	list, err := selected(o)
	if err != nil {
		return Report{}, err
	}
	p, err := newProbe(o)
	if err != nil {
		return Report{}, err
	}
	start := time.Now()
	report = Report{URL: p.base.String(), StartedAt: start.UTC()}
	defer p.http.CloseIdleConnections()
	total := o.Total
	if total <= 0 {
		total = defaultTotal
	}
	running, stop := context.WithTimeoutCause(ctx, total, fmt.Errorf("not finished after %s", total))
	defer stop()
	if err := p.reach(running); err != nil {
		return report, err
	}
	defer func() {
		// The clean-up goes on when the run was stopped: nothing of ours must stay behind.
		last, stop := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
		defer stop()
		report.Left = p.cleanUp(last)
		report.Took, report.Requests = time.Since(start), p.requests
	}()
	p.learn(running)
	for _, c := range list {
		res := p.result(running, c)
		if running.Err() != nil {
			return report, fmt.Errorf("test %s: %w", p.base, context.Cause(running))
		}
		report.Results = append(report.Results, res)
		if o.Progress != nil {
			o.Progress(res)
		}
	}
	return report, nil
}

// selected are the checks that are wanted. A name that means none is a mistake, not an empty run.
func selected(o Options) ([]check, error) {
	all := catalogue()
	if len(o.Only) == 0 {
		return all, nil
	}
	wanted := map[string]bool{}
	for _, pattern := range o.Only {
		pattern = strings.TrimSpace(pattern)
		found := false
		for _, c := range all {
			byID, err := path.Match(pattern, c.ID)
			if err != nil {
				return nil, fmt.Errorf("%w: %q is not a pattern", ErrOptions, pattern)
			}
			if byID || pattern == c.Group {
				wanted[c.ID], found = true, true
			}
		}
		if !found {
			return nil, fmt.Errorf("%w: no check and no group is called %q", ErrOptions, pattern)
		}
	}
	return slices.DeleteFunc(all, func(c check) bool { return !wanted[c.ID] }), nil
}

// result runs one check.
func (p *probe) result(ctx context.Context, c check) Result {
	start := time.Now()
	res := Result{Check: c.Check, Outcome: Pass}
	err := p.lacks(c.needs)
	if err == nil {
		err = c.run(ctx, p)
	}
	res.Took = time.Since(start)
	var f failure
	var s skipped
	switch {
	case err == nil:
	case errors.As(err, &s):
		res.Outcome, res.Reason = Skip, p.scrub(s.reason)
	case errors.As(err, &f):
		res.Outcome, res.Expected, res.Seen = Fail, p.scrub(f.expected), p.scrub(f.seen)
		if f.severity != "" && c.Severity == Must {
			res.Severity = f.severity
		}
	default:
		res.Outcome, res.Expected, res.Seen = Fail, "an answer", p.scrub(err.Error())
	}
	return res
}
