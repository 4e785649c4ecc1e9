package console_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jmld/internal/console"
	"jmld/model"
)

// requestBook has two requests, and takes decisions of Lena's alone.
type requestBook struct {
	requests []model.AccessRequest
	actors   []string
}

func newRequestBook() *requestBook {
	at := now().Add(-time.Hour)
	open := model.AccessRequest{ID: "q1", IdentityID: "i-1", Who: "<b>Bo</b>", Place: "group:builders", Role: "developer", Reason: "joins the team", ValidTo: now().Add(48 * time.Hour),
		Requester: "i-1", Actor: "operator ada", Approvals: "[]", ExpiresAt: now().Add(24 * time.Hour), Status: model.RequestOpen, CreatedAt: at}
	over := open
	over.ID, over.Who, over.Admin, over.Role, over.Privileged = "q2", "Cy", true, "", true
	over.Status, over.DecidedAt, over.Answer = model.RequestDenied, &at, "not this year"
	over.Approvals = `[{"person":"i-9","actor":"operator lena","reason":"fine","at":"2026-11-01T10:00:00Z"}]`
	return &requestBook{requests: []model.AccessRequest{open, over}}
}

func (b *requestBook) AccessRequests(_ context.Context, q model.RequestQuery) ([]model.AccessRequest, error) {
	return filter(b.requests, func(r model.AccessRequest) bool { return is(q.ID, r.ID) && is(string(q.Status), string(r.Status)) }), nil
}

func (b *requestBook) DecideRequest(_ context.Context, id, approver, reason, actor string, deny bool) (model.AccessRequest, error) {
	if approver != "lena@example.org" {
		return model.AccessRequest{}, model.Errorf(model.CodeAccessDenied, "%s does not administer Builders", approver)
	}
	b.actors = append(b.actors, actor)
	for i := range b.requests {
		if b.requests[i].ID == id {
			b.requests[i].Status = model.RequestApproved
			if deny {
				b.requests[i].Status = model.RequestDenied
			}
			return b.requests[i], nil
		}
	}
	return model.AccessRequest{}, model.ErrNotFound
}

// What people ask for is listed and decided by somebody who may, with a reason.
func TestRequestsAreShownAndDecided(t *testing.T) {
	t.Parallel()
	book, o := newRequestBook(), options(company(t))
	o.Requests = book
	h := console.New(o)
	a := get(t, h, "/requests").status(t, 200)
	if d := cmp.Diff([]string{"<b>Bo</b> developer group:builders open in 2 days joins the team"}, a.rows("Requests, the newest first")); d != "" {
		t.Error(d)
	}
	if rows := get(t, h, "/requests?status=all").status(t, 200).rows("Requests, the newest first"); len(rows) != 2 {
		t.Error(rows)
	}
	get(t, h, "/requests?status=lost").status(t, http.StatusBadRequest)
	get(t, h, "/requests/none").status(t, http.StatusNotFound)
	get(t, h, "/requests/q1").status(t, 200).has(t, "joins the team", "themselves", "Approve", "Deny")
	get(t, h, "/requests/q2").status(t, 200).has(t, "to administer", "not this year", "operator lena")
	get(t, h, "/requests/q2").lacks(t, "You, as people here are known")

	post(t, h, "/requests/q1", "do", "approve", "approver", "lena@example.org").status(t, http.StatusBadRequest)
	post(t, h, "/requests/q1", "do", "approve", "reason", "agreed").status(t, http.StatusBadRequest)
	post(t, h, "/requests/q1", "do", "lose", "approver", "lena@example.org", "reason", "agreed").status(t, http.StatusBadRequest)
	post(t, h, "/requests/none", "do", "deny", "approver", "lena@example.org", "reason", "agreed").status(t, http.StatusNotFound)
	post(t, h, "/requests/q1", "do", "approve", "approver", "bo@example.org", "reason", "agreed").status(t, http.StatusConflict).
		has(t, "Nothing was decided", "bo@example.org does not administer Builders")
	if len(book.actors) != 0 {
		t.Fatal(book.actors)
	}
	if to := post(t, h, "/requests/q1", "do", "approve", "approver", "lena@example.org", "reason", "agreed").status(t, http.StatusSeeOther).Header.Get("Location"); to != "/requests?done=approved" {
		t.Error(to)
	}
	if len(book.actors) != 1 || !strings.HasPrefix(book.actors[0], "operator lena@example.org, ") {
		t.Error(book.actors)
	}
	get(t, console.New(options(company(t))), "/requests").status(t, http.StatusNotFound)
}
