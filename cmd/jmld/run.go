package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"jmld/model"
)

// runJSON is a run in every JSON document.
type runJSON struct {
	ID        string          `json:"id"`
	Source    string          `json:"source"`
	Trigger   string          `json:"trigger"`
	DryRun    bool            `json:"dryRun,omitempty"`
	Actor     string          `json:"actor,omitempty"`
	Replica   string          `json:"replica,omitempty"`
	State     model.RunState  `json:"state"`
	Verdict   model.Verdict   `json:"verdict,omitempty"`
	Proof     json.RawMessage `json:"proof,omitempty"`
	Funnel    json.RawMessage `json:"funnel,omitempty"`
	Code      model.Code      `json:"code,omitempty"`
	Error     string          `json:"error,omitempty"`
	Advice    string          `json:"advice,omitempty"`
	Started   string          `json:"started"`
	Finished  string          `json:"finished,omitempty"`
	Scheduled string          `json:"scheduled,omitempty"`
}

func runView(r model.Run) runJSON {
	v := runJSON{
		ID: r.ID, Source: r.Source, Trigger: r.Trigger, DryRun: r.DryRun, Actor: r.Actor, Replica: r.Replica, State: r.State,
		Verdict: r.Verdict, Proof: object(r.Proof), Funnel: object(r.Funnel), Code: r.ErrorCode, Error: r.ErrorText,
		Started: r.StartedAt.UTC().Format(timeJSON),
	}
	if r.ErrorCode != "" {
		v.Advice = r.ErrorCode.Advice()
	}
	if r.FinishedAt != nil {
		v.Finished = r.FinishedAt.UTC().Format(timeJSON)
	}
	if r.ScheduledAt != nil {
		v.Scheduled = r.ScheduledAt.UTC().Format(timeJSON)
	}
	return v
}

func funnelOf(r model.Run) model.Funnel {
	var f model.Funnel
	if r.Funnel != "" && json.Unmarshal([]byte(r.Funnel), &f) != nil {
		return model.Funnel{}
	}
	return f
}

func proofOf(r model.Run) model.Proof {
	var p model.Proof
	if r.Proof != "" && json.Unmarshal([]byte(r.Proof), &p) != nil {
		return model.Proof{}
	}
	return p
}

// funnelLine is what became of the entries, in the order in which they pass.
func funnelLine(f model.Funnel) string {
	parts := []string{fmt.Sprintf("%s and %s listed", count(f.Users, "person", "people"), count(f.Groups, "group"))}
	for _, p := range []struct {
		n    int
		name string
	}{
		{f.New, "new"}, {f.Changed, "changed"}, {f.Unchanged, "unchanged"}, {f.Missing, "missing"}, {f.Absent, "absent"}, {f.Skipped, "skipped"},
		{f.Disputed, "disputed"}, {f.Reviewed, "reviewed"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.name))
		}
	}
	return strings.Join(parts, ", ")
}

// phasesLine says where the time went.
func phasesLine(list []model.Phase) string {
	var parts []string
	for _, p := range list {
		parts = append(parts, p.Name+" "+short(time.Duration(p.Took)*time.Millisecond))
	}
	return strings.Join(parts, ", ")
}

// modeLine says how much was read, and how changes are looked for.
func modeLine(p model.Proof) string {
	if p.Method == "" {
		return readLine(p)
	}
	return readLine(p) + "; changes by " + line(p.Method)
}

func readLine(p model.Proof) string {
	switch {
	case p.Instead != "":
		return "read in full, because " + line(p.Instead)
	case p.Unlisted && slices.ContainsFunc(p.Conditions, func(c model.Condition) bool { return c.Name == model.ConditionNoChange }):
		return "nothing has changed since the last read"
	case p.Mode == model.ModeDelta:
		return "read what changed"
	case p.Mode == model.ModeCensus:
		return "listed everybody, and read who was not known"
	case p.Mode == model.ModeFull:
		return "read in full"
	}
	return "nothing was read"
}

// verdictLine says whether the read was complete, and if not, what was missing.
func verdictLine(v model.Verdict, p model.Proof) string {
	if v == model.VerdictNone && len(p.Conditions) == 0 {
		return "nothing was read"
	}
	if p.Complete {
		var unseen []string
		for _, c := range p.Conditions {
			if c.Unseen {
				unseen = append(unseen, c.Name)
			}
		}
		text := fmt.Sprintf("complete: %s, all %s hold", count(p.Pages, "page"), count(len(p.Conditions)-len(unseen), "condition"))
		if len(unseen) > 0 {
			text += "; not seen: " + line(strings.Join(unseen, ", "))
		}
		return text
	}
	var missing []string
	for _, c := range p.Conditions {
		if !c.OK {
			missing = append(missing, c.Name+" ("+c.Seen+")")
		}
	}
	if len(missing) == 0 {
		return "incomplete: no absence was acted on"
	}
	return "incomplete: " + line(strings.Join(missing, ", ")) + "; nobody leaves for what was not seen"
}
