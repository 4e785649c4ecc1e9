package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"go.uber.org/zap"

	"jmld/model"
)

// RequestBook keeps what people ask for in the tree of groups.
type RequestBook interface {
	AccessRequests(ctx context.Context, q model.RequestQuery) ([]model.AccessRequest, error)
	// DecideRequest approves or denies for the person whom approver names: an id, a user name or an e-mail address.
	DecideRequest(ctx context.Context, request, approver, reason, actor string, deny bool) (model.AccessRequest, error)
}

type requestRow struct {
	model.AccessRequest
	Mark      mark
	What      string // the role, or to administer
	Approvals []model.AccessApproval
}

func newRequestRow(q model.AccessRequest) (requestRow, error) {
	row := requestRow{AccessRequest: q, What: q.Role}
	if err := json.Unmarshal([]byte(q.Approvals), &row.Approvals); err != nil {
		return row, fmt.Errorf("approvals of request %s: %w", q.ID, err)
	}
	if q.Admin {
		row.What = "to administer"
	}
	switch q.Status {
	case model.RequestOpen:
		row.Mark = mark{"open", watch}
	case model.RequestApproved:
		row.Mark = mark{"approved", fine}
	case model.RequestDenied:
		row.Mark = mark{"denied", act}
	default:
		row.Mark = mark{string(q.Status), plain}
	}
	return row, nil
}

type requestsPage struct {
	Status   model.RequestStatus // "": all
	Statuses []model.RequestStatus
	Rows     []requestRow
	More     bool
}

// requests lists what people ask for, the newest first.
func (c *console) requests(ctx context.Context, r *http.Request) (view, error) {
	all := []model.RequestStatus{model.RequestOpen, model.RequestApproved, model.RequestDenied, model.RequestExpired}
	status, err := choice(parameter(r, "status"), append(all, "all")...)
	if err != nil {
		return view{}, err
	}
	p := requestsPage{Status: status, Statuses: all}
	switch status {
	case "":
		p.Status = model.RequestOpen
	case "all":
		p.Status = ""
	}
	found, err := c.o.Requests.AccessRequests(ctx, model.RequestQuery{Status: p.Status, Limit: heldRows + 1})
	if err != nil {
		return view{}, err
	}
	found, p.More = more(found, heldRows)
	for _, q := range found {
		row, err := newRequestRow(q)
		if err != nil {
			return view{}, err
		}
		p.Rows = append(p.Rows, row)
	}
	notice := ""
	switch parameter(r, "done") {
	case string(model.RequestApproved):
		notice = "Approved: what was asked for is given."
	case string(model.RequestDenied):
		notice = "The request is denied."
	case string(model.RequestOpen):
		notice = "Your approval counts. The request is privileged and waits for another one."
	}
	return view{name: "requests", title: "Requests", section: "requests", notice: notice, data: p}, nil
}

type requestPage struct {
	requestRow
	Open   bool // it can be decided
	Refuse string
}

func (c *console) request(ctx context.Context, r *http.Request) (view, error) {
	return c.showRequest(ctx, clean(r.PathValue("id")), "")
}

func (c *console) showRequest(ctx context.Context, id, refuse string) (view, error) {
	found, err := c.o.Requests.AccessRequests(ctx, model.RequestQuery{ID: id, Limit: 1})
	if err == nil && (id == "" || len(found) == 0) {
		err = model.ErrNotFound
	}
	if err != nil {
		return view{}, err
	}
	row, err := newRequestRow(found[0])
	if err != nil {
		return view{}, err
	}
	v := view{name: "request", title: "Request for " + row.Who, section: "requests",
		data: requestPage{requestRow: row, Open: row.Status == model.RequestOpen && c.now().Before(row.ExpiresAt), Refuse: refuse}}
	if refuse != "" {
		v.status = http.StatusConflict
	}
	return v, nil
}

// decideRequest takes the decision of the person who is named. Whether they may decide, the rules say.
func (c *console) decideRequest(ctx context.Context, r *http.Request) (view, error) {
	form, err := posted(r)
	if err != nil {
		return view{}, err
	}
	id, do := clean(r.PathValue("id")), form("do")
	switch {
	case do != "approve" && do != "deny":
		return view{}, badRequest("The form does not say what to do.")
	case form("approver") == "":
		return view{}, badRequest("A request is decided by a person who is known here.")
	case form("reason") == "":
		return view{}, badRequest("Nothing is decided without a reason.")
	}
	if _, err := c.showRequest(ctx, id, ""); err != nil {
		return view{}, err
	}
	as := actorNamed(r, form("approver"))
	q, err := c.o.Requests.DecideRequest(ctx, id, form("approver"), form("reason"), as, do == "deny")
	c.forget()
	switch {
	case err == nil:
	case model.CodeOf(err) == model.CodeInternal, model.CodeOf(err) == model.CodeStoreUnavailable:
		return view{}, err
	default: // refused by the rules, in words for people
		return c.showRequest(ctx, id, err.Error())
	}
	c.log.Info("request decided in the console", zap.String(model.FieldKind, do), zap.String(model.FieldActor, as))
	return view{to: link("/requests", "done", string(q.Status))}, nil
}
