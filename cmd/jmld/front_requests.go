package main

import (
	"context"

	"jmld/jml/engine"
	"jmld/model"
)

// requestBook is what people ask for, as the console decides about it.
type requestBook struct {
	site  *site
	areas func() []string
}

// AccessRequests lists requests.
func (b requestBook) AccessRequests(ctx context.Context, q model.RequestQuery) ([]model.AccessRequest, error) {
	return b.site.store.AccessRequests(ctx, q)
}

// DecideRequest decides as `jmld access approve` and deny do. Who decides is named in full: a part of a name is nobody's word.
func (b requestBook) DecideRequest(ctx context.Context, request, approver, reason, actor string, deny bool) (model.AccessRequest, error) {
	found, err := b.site.store.People(ctx, model.PeopleQuery{Search: approver, Whole: true, Limit: maxRows})
	if err != nil {
		return model.AccessRequest{}, err
	}
	id, n := "", 0
	for _, p := range found {
		if known(p, approver) {
			id, n = p.ID, n+1
		}
	}
	if n != 1 {
		return model.AccessRequest{}, model.Errorf(model.CodeAccessDenied, "%d people are known by %q; expected the id, the user name or the e-mail address of one", n, line(approver))
	}
	return b.site.engine.DecideAccess(ctx, engine.AccessVerdict{Actor: actor, Approver: id, Request: request, Reason: reason, Deny: deny, Areas: b.areas()})
}
