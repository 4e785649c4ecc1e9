package console

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"jmld/model"
)

// accountRow is an account as it is shown: is it as it should be, and if not, what is in the way.
type accountRow struct {
	model.Account
	Mark    mark
	Reason  model.Reason
	Desired []attr
	Diff    difference // desired against what was read back
	InPlace bool       // the target was seen to have what is desired
	Seen    bool       // something was read back at least once
	Trouble bool
}

func newAccountRow(a model.Account) accountRow {
	row := accountRow{Account: a, Mark: accountMark(a), Reason: reason(a.Because), Desired: attributes(a.Desired)}
	row.Seen = a.AppliedAt != nil
	row.InPlace = row.Seen && a.AppliedRev == a.DesiredRev && a.AppliedState == a.State
	row.Trouble = a.ErrorCode != "" || a.ErrorText != ""
	if row.Seen && !row.InPlace {
		row.Diff = lag(row)
	}
	return row
}

// lag compares what was read back with what is desired; what the target adds of its own does not count.
func lag(row accountRow) difference {
	var have []attr
	for _, a := range attributes(row.Applied) {
		for _, d := range row.Desired {
			if strings.EqualFold(a.Path, d.Path) {
				have = append(have, attr{d.Path, a.Lines})
			}
		}
	}
	d := compare(have, row.Desired)
	if row.AppliedState != row.State {
		d.Rows = append([]diffRow{{"state", []string{stateWord(row.AppliedState)}, []string{stateWord(row.State)}}}, d.Rows...)
	}
	return d
}

type accountsPage struct {
	Filter  model.AccountQuery
	Only    string
	Targets []string
	States  []model.AccountState
	Classes []model.Class
	Rows    []accountRow
	Pager   pager
	Any     bool
	Retry   bool // there is a cause or a kind to retry
	Here    string
}

func accountStates() []model.AccountState {
	return []model.AccountState{model.AccountActive, model.AccountInactive, model.AccountAbsent}
}

func (c *console) accounts(ctx context.Context, r *http.Request) (view, error) {
	q, err := accountQuery(r.URL.Query().Get)
	if err != nil {
		return view{}, err
	}
	if q.Offset, err = offset(r); err != nil {
		return view{}, err
	}
	q.Limit = pageRows + 1
	all, err := c.o.View.Accounts(ctx, q)
	if err != nil {
		return view{}, err
	}
	all, next := more(all, pageRows)
	p := accountsPage{Filter: q, Only: only(q), Targets: c.targetNames(), States: accountStates(),
		Classes: []model.Class{model.ClassPlatform, model.ClassApp}}
	for _, a := range all {
		p.Rows = append(p.Rows, newAccountRow(a))
	}
	pairs := []string{"q", q.Search, "target", q.Target, "class", string(q.Class), "state", string(q.State),
		"only", p.Only, "code", string(q.Code), "person", q.IdentityID}
	p.Pager = offsetPager("/accounts", q.Offset, next, pairs...)
	p.Here = link("/accounts", pairs...)
	p.Any = p.Here != "/accounts"
	p.Retry = retryable(q) && len(all) > 0
	v := view{name: "accounts", title: "Accounts", section: "accounts", data: p, notice: retried(r)}
	return v, nil
}

func only(q model.AccountQuery) string {
	switch {
	case q.Dead:
		return "dead"
	case q.Unsettled:
		return "unsettled"
	}
	return ""
}

// accountQuery reads the filters of the list, from the URL or from the form that retries what the list shows.
func accountQuery(get func(string) string) (model.AccountQuery, error) {
	value := func(name string) string { return clean(get(name)) }
	q := model.AccountQuery{IdentityID: value("person"), Target: value("target"), Code: model.Code(value("code")), Search: value("q")}
	var err error
	if q.State, err = choice(value("state"), accountStates()...); err != nil {
		return q, err
	}
	if q.Class, err = choice(value("class"), model.ClassPlatform, model.ClassApp); err != nil {
		return q, err
	}
	which, err := choice(value("only"), "dead", "unsettled")
	q.Dead, q.Unsettled = which == "dead", which == "unsettled"
	return q, err
}

// retryable is a selection narrow enough to be tried again: everything at once never is meant.
func retryable(q model.AccountQuery) bool {
	return q.Dead || q.Unsettled || q.Code != "" || q.IdentityID != ""
}

func (c *console) retry(ctx context.Context, r *http.Request) (view, error) {
	form, err := posted(r)
	if err != nil {
		return view{}, err
	}
	q, err := accountQuery(form)
	if err != nil {
		return view{}, err
	}
	if !retryable(q) {
		return view{}, badRequest("Say which accounts: those of a person, of a cause, the unsettled or the ones given up on.")
	}
	n, err := c.o.Approver.Retry(ctx, q, actor(r))
	c.forget()
	if err != nil {
		return view{}, err
	}
	c.log.Info("accounts retried", zap.String(model.FieldActor, actor(r)), zap.String(model.FieldTarget, q.Target),
		zap.String(model.FieldCode, string(q.Code)), zap.Int(model.FieldCount, n))
	back := local(form("back"), "/accounts")
	sep := "?"
	if strings.Contains(back, "?") {
		sep = "&"
	}
	return view{to: back + sep + "retried=" + strconv.Itoa(n)}, nil
}

// retried is the notice after a retry.
func retried(r *http.Request) string {
	n, err := strconv.Atoi(parameter(r, "retried"))
	switch {
	case err != nil || n < 0:
		return ""
	case n == 0:
		return "No account was waiting: nothing was to be tried again."
	}
	return count(n, "account is", "accounts are") + " being tried again now. Load this page again in a moment."
}
