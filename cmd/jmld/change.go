package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"jmld/model"
)

// changeJSON is a change in every JSON document.
type changeJSON struct {
	ID       string          `json:"id,omitempty"`
	Op       model.Op        `json:"op"`
	Event    model.Event     `json:"event,omitempty"`
	Who      string          `json:"who"`
	Identity string          `json:"identity,omitempty"`
	Target   string          `json:"target,omitempty"`
	State    string          `json:"state"`
	Source   string          `json:"source,omitempty"`
	Run      string          `json:"run,omitempty"`
	Plan     string          `json:"plan,omitempty"`
	Code     model.Code      `json:"code,omitempty"`
	Before   json.RawMessage `json:"before,omitempty"`
	After    json.RawMessage `json:"after,omitempty"`
	Because  json.RawMessage `json:"because,omitempty"`
	At       string          `json:"at,omitempty"`
}

func changesJSON(changes []model.Change) []changeJSON {
	out := make([]changeJSON, 0, len(changes))
	for _, c := range changes {
		v := changeJSON{
			ID: c.ID, Op: c.Op, Event: c.Event, Who: c.Who, Identity: c.IdentityID, Target: c.Target, State: string(c.State),
			Source: c.Source, Run: c.RunID, Plan: c.PlanID, Code: c.Code,
			Before: object(c.Before), After: object(c.After), Because: object(c.Because),
		}
		if !c.At.IsZero() {
			v.At = c.At.UTC().Format(timeJSON)
		}
		out = append(out, v)
	}
	return out
}

// timeJSON is RFC 3339 with microseconds, as the database keeps them.
const timeJSON = "2006-01-02T15:04:05.999999Z07:00"

// printChanges writes one line a change: symbol, who, target, why; and below an update what differs.
func (a *app) printChanges(changes []model.Change) error { return a.listChanges(changes, false) }

// printHistory is printChanges with the time of each.
func (a *app) printHistory(changes []model.Change) error { return a.listChanges(changes, true) }

func (a *app) listChanges(changes []model.Change, times bool) error {
	t := newTable(a.stdout)
	t.tint = func(_ []string, column int, cell string) string {
		if column == 0 && cell != "" {
			return a.symbol(model.Op(cell))
		}
		return cell
	}
	for _, c := range changes {
		row, blank := []string{string(c.Op)}, []string{""}
		if times {
			row, blank = append(row, at(c.At)), append(blank, "")
		}
		t.row(append(row, c.Who, c.Target, because(c))...)
		for _, d := range differences(c) {
			t.row(append(slices.Clone(blank), "", "", d)...)
		}
	}
	return t.flush()
}

// byPerson sorts a list that is about to be read by a person.
func byPerson(changes []model.Change) []model.Change {
	changes = slices.Clone(changes)
	slices.SortStableFunc(changes, func(a, b model.Change) int {
		return cmp.Or(cmp.Compare(model.FoldKey(a.Who), model.FoldKey(b.Who)), cmp.Compare(a.IdentityID, b.IdentityID), cmp.Compare(a.Target, b.Target))
	})
	return changes
}

// because is the reason in words.
func because(c model.Change) string {
	var r model.Reason
	if err := json.Unmarshal([]byte(c.Because), &r); err != nil || r.Text == "" {
		return string(c.Event)
	}
	text := r.Text
	if c.Event != model.EventNone && !strings.Contains(text, string(c.Event)) {
		text = string(c.Event) + ": " + text
	}
	if c.Code != "" {
		text += " (" + string(c.Code) + ")"
	}
	return text
}

// differences lists what an update changes: attribute, before, after.
func differences(c model.Change) []string {
	if c.Op != model.OpUpdate {
		return nil
	}
	var before, after model.Snapshot
	if json.Unmarshal([]byte(c.Before), &before) != nil || json.Unmarshal([]byte(c.After), &after) != nil {
		return nil
	}
	old, fresh := flatten(before.Attributes), flatten(after.Attributes)
	names := maps.Clone(old)
	maps.Copy(names, fresh)
	var out []string
	for _, n := range sortedKeys(names) {
		was, is := compact(old[n]), compact(fresh[n])
		if was != is {
			out = append(out, fmt.Sprintf("%s: %s -> %s", n, was, is))
		}
	}
	return out
}

// tally is the last line of a list of changes: "+ 3 create   ~ 1 update".
func (a *app) tally(f model.Funnel) string { return tally(f, a.symbol) }

// plainTally is the same without colour, for cells.
func plainTally(f model.Funnel) string {
	return tally(f, func(op model.Op) string { return string(op) })
}

func tally(f model.Funnel, symbol func(model.Op) string) string {
	var parts []string
	for _, p := range []struct {
		op   model.Op
		n    int
		name string
	}{
		{model.OpCreate, f.Create, "create"},
		{model.OpUpdate, f.Update, "update"},
		{model.OpDeactivate, f.Deactivate, "deactivate"},
		{model.OpReactivate, f.Reactivate, "reactivate"},
		{model.OpDelete, f.Delete, "delete"},
		{model.OpFinding, f.Findings, "finding"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d %s", symbol(p.op), p.n, p.name))
		}
	}
	if len(parts) == 0 {
		return "nothing to do"
	}
	if f.Held > 0 {
		parts = append(parts, fmt.Sprintf("(%d of them held)", f.Held))
	}
	return strings.Join(parts, "   ")
}
