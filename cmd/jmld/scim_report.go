package main

import (
	"fmt"
	"strings"
	"time"

	"jmld/internal/conformance"
)

type conformanceJSON struct {
	Schema    string                          `json:"schema"`
	URL       string                          `json:"url"`
	StartedAt string                          `json:"startedAt"`
	Seconds   float64                         `json:"seconds"`
	Requests  int                             `json:"requests"`
	Complete  bool                            `json:"complete"` // false: stopped before the last check
	Totals    map[string]conformanceTotalJSON `json:"totals"`   // by severity
	Checks    []conformanceCheckJSON          `json:"checks"`
	Left      []string                        `json:"left"` // what was made and could not be removed
}

type conformanceTotalJSON struct {
	Pass int `json:"pass"`
	Fail int `json:"fail"`
	Skip int `json:"skip"`
}

type conformanceCheckJSON struct {
	ID       string   `json:"id"`
	Group    string   `json:"group"`
	Severity string   `json:"severity"`
	Section  string   `json:"section"`
	Rows     []string `json:"requirements"`
	What     string   `json:"what"`
	Outcome  string   `json:"outcome,omitempty"`
	Expected string   `json:"expected,omitempty"`
	Seen     string   `json:"seen,omitempty"`
	Reason   string   `json:"reason,omitempty"`
}

func checkView(c conformance.Check) conformanceCheckJSON {
	return conformanceCheckJSON{ID: c.ID, Group: c.Group, Severity: string(c.Severity), Section: c.Section, Rows: c.Rows, What: c.What}
}

// listChecks prints what would be asked.
func (a *app) listChecks() error {
	if a.json() {
		doc := struct {
			Schema string                 `json:"schema"`
			Checks []conformanceCheckJSON `json:"checks"`
		}{Schema: "jmld.conformance-checks/1"}
		for _, c := range conformance.Checks() {
			doc.Checks = append(doc.Checks, checkView(c))
		}
		return a.printJSON(doc)
	}
	t := newTable(a.stdout)
	t.row("CHECK", "GROUP", "SEVERITY", "SECTION", "WHAT MUST HOLD")
	for _, c := range conformance.Checks() {
		t.row(c.ID, c.Group, string(c.Severity), c.Section, c.What)
	}
	return t.flush()
}

func (a *app) printConformance(r conformance.Report, complete bool) error {
	if a.json() {
		return a.printJSON(conformanceDocument(r, complete))
	}
	a.printf("%s\n", clean(r.URL))
	group := ""
	t := newTable(a.stdout)
	t.tint = a.tintOutcome
	for _, res := range r.Results {
		if res.Group != group {
			group = res.Group
			t.row("")
			t.row(group)
		}
		what := res.What
		if res.Outcome == conformance.Skip {
			what = "skipped: " + res.Reason
		}
		t.indented(mark(res.Outcome), string(res.Severity), res.ID, what)
	}
	if err := t.flush(); err != nil {
		return err
	}
	a.printFailures(r)
	return a.printTotals(r, complete)
}

// mark is an outcome as a sign and a word: neither needs colour.
func mark(o conformance.Outcome) string {
	switch o {
	case conformance.Pass:
		return "✓ holds"
	case conformance.Fail:
		return "✗ FAILS"
	}
	return "- skipped"
}

func (a *app) tintOutcome(row []string, column int, cell string) string {
	if column > 0 || len(row) == 1 {
		return cell
	}
	switch {
	case strings.Contains(cell, "holds"):
		return a.colour("32", cell)
	case strings.Contains(cell, "FAILS"):
		return a.colour("31", cell)
	}
	return cell
}

// printFailures comes last, where the eye is when the command ends; gravest first.
func (a *app) printFailures(r conformance.Report) {
	if len(r.Failed()) == 0 {
		return
	}
	a.printf("\nWhat does not hold:\n")
	for _, severity := range conformance.Severities() {
		for _, res := range r.Results {
			if res.Outcome != conformance.Fail || res.Severity != severity {
				continue
			}
			a.printf("\n  %s  %s  %s\n", a.colour("31", string(severity)), res.ID, line(res.What))
			a.printf("    expected  %s\n    seen      %s\n", line(res.Expected), line(res.Seen))
			a.printf("    see       %s\n", res.Section)
		}
	}
}

func (a *app) printTotals(r conformance.Report, complete bool) error {
	a.printf("\n")
	t := newTable(a.stdout)
	t.row("", "HOLD", "FAIL", "SKIPPED")
	for _, s := range conformance.Severities() {
		n := r.Total(s)
		t.row(string(s), fmt.Sprint(n.Pass), fmt.Sprint(n.Fail), fmt.Sprint(n.Skip))
	}
	if err := t.flush(); err != nil {
		return err
	}
	a.printf("\n%s in %s\n", count(r.Requests, "request"), short(r.Took))
	if !complete {
		a.printf("stopped before the last check\n")
	}
	if len(r.Left) > 0 {
		a.printf("left behind, because DELETE did not work:\n")
		for _, what := range r.Left {
			a.printf("  %s\n", line(what))
		}
	}
	return nil
}

func conformanceDocument(r conformance.Report, complete bool) conformanceJSON {
	doc := conformanceJSON{
		Schema: "jmld.conformance/1", URL: r.URL, StartedAt: r.StartedAt.Format(timeJSON), Requests: r.Requests, Complete: complete,
		Seconds: r.Took.Round(time.Millisecond).Seconds(), Totals: map[string]conformanceTotalJSON{}, Checks: []conformanceCheckJSON{}, Left: []string{},
	}
	doc.Left = append(doc.Left, r.Left...)
	for _, s := range conformance.Severities() {
		n := r.Total(s)
		doc.Totals[string(s)] = conformanceTotalJSON{n.Pass, n.Fail, n.Skip}
	}
	for _, res := range r.Results {
		v := checkView(res.Check)
		v.Outcome, v.Expected, v.Seen, v.Reason = string(res.Outcome), res.Expected, res.Seen, res.Reason
		doc.Checks = append(doc.Checks, v)
	}
	return doc
}
