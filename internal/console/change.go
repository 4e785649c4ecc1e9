package console

import (
	"context"
	"net/http"

	"jmld/model"
)

// changeRow is a change as it is shown, anywhere.
type changeRow struct {
	model.Change
	Reason model.Reason
	Diff   difference
}

func changeRows(all []model.Change) []changeRow {
	rows := make([]changeRow, len(all))
	for i, ch := range all {
		rows[i] = changeRow{Change: ch, Reason: reason(ch.Because), Diff: diff(ch.Before, ch.After)}
	}
	return rows
}

func reason(text string) model.Reason {
	if text == "" {
		return model.Reason{}
	}
	var r model.Reason
	if err := decode(text, &r); err != nil {
		return model.Reason{Text: text}
	}
	return r
}

type changesPage struct {
	Filter  model.ChangeQuery
	Op      string
	State   string
	Sources []string
	Targets []string
	Ops     []model.Op
	States  []model.ChangeState
	Rows    []changeRow
	Pager   pager
	Any     bool // some filter is set
}

func changeStates() []model.ChangeState {
	return []model.ChangeState{model.ChangeCommitted, model.ChangeHeld, model.ChangePending, model.ChangeRefused,
		model.ChangeWithdrawn, model.ChangeNoted}
}

// opNamed finds an operation by its word, which is what URLs carry: "+" means a space there.
func opNamed(word string) (model.Op, error) {
	if word == "" {
		return "", nil
	}
	for _, o := range ops() {
		if operation(o).Word == word {
			return o, nil
		}
	}
	return "", badRequest("There is no such operation: " + word + ".")
}

func (c *console) changes(ctx context.Context, r *http.Request) (view, error) {
	op, err := opNamed(parameter(r, "op"))
	if err != nil {
		return view{}, err
	}
	state, err := choice(parameter(r, "state"), changeStates()...)
	if err != nil {
		return view{}, err
	}
	q := model.ChangeQuery{
		RunID: parameter(r, "run"), PlanID: parameter(r, "plan"), IdentityID: parameter(r, "person"),
		Source: parameter(r, "source"), Target: parameter(r, "target"),
		Before: parameter(r, "before"), Limit: pageRows + 1,
	}
	if op != "" {
		q.Ops = []model.Op{op}
	}
	if state != "" {
		q.States = []model.ChangeState{state}
	}
	all, err := c.o.View.Changes(ctx, q)
	if err != nil {
		return view{}, err
	}
	all, next := more(all, pageRows)
	p := changesPage{
		Filter: q, Op: parameter(r, "op"), State: string(state), Rows: changeRows(all),
		Sources: c.sourceNames(), Targets: c.targetNames(), Ops: ops(), States: changeStates(),
		Any: q.RunID+q.PlanID+q.IdentityID+q.Source+q.Target+string(op)+string(state) != "",
	}
	pairs := []string{"run", q.RunID, "plan", q.PlanID, "person", q.IdentityID, "source", q.Source, "target", q.Target,
		"op", p.Op, "state", p.State}
	if q.Before != "" {
		p.Pager.First = link("/changes", pairs...)
	}
	if next {
		p.Pager.Next = link("/changes", append(pairs, "before", all[len(all)-1].ID)...)
	}
	return view{name: "changes", title: "Changes", section: "changes", data: p}, nil
}

func (c *console) sourceNames() []string {
	var names []string
	for _, s := range c.o.Sources {
		names = append(names, s.Name)
	}
	return names
}

func (c *console) targetNames() []string {
	var names []string
	for _, t := range c.targets() {
		names = append(names, t.Name)
	}
	return names
}
