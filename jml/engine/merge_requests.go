package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"jmld/jml"
	"jmld/model"
)

// mergeRequests notes what becomes of open requests of who goes: they are those of who stays from now on, and what both asked for is open once,
// which is audited. The note is for a split.
func (e *Engine) mergeRequests(ctx context.Context, c *Commit, m Merging, now time.Time) error {
	open := func(q model.RequestQuery) ([]model.AccessRequest, error) {
		q.Status = model.RequestOpen
		found, err := e.o.Store.AccessRequests(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("open requests: %w", err)
		}
		return found, nil
	}
	theirs, err := open(model.RequestQuery{IdentityID: m.From})
	if err != nil {
		return err
	}
	asked, err := open(model.RequestQuery{Requester: m.From})
	if err != nil {
		return err
	}
	others, err := open(model.RequestQuery{IdentityID: m.Into})
	if err != nil {
		return err
	}
	for _, q := range slices.Concat(theirs, asked, others) {
		c.OpenRequests = append(c.OpenRequests, q.ID)
	}
	if len(theirs)+len(asked) == 0 {
		return nil
	}
	var note model.MergedRequests
	for _, q := range theirs {
		if !slices.ContainsFunc(others, func(o model.AccessRequest) bool { return o.Place == q.Place && o.Role == q.Role }) {
			note.Moved = append(note.Moved, q.ID)
			continue
		}
		note.Dropped = append(note.Dropped, q.ID)
		q.Status, q.DecidedBy, q.Answer, q.DecidedAt = model.RequestDenied, "engine", "the same person had asked for it already", &now
		c.Audit = append(c.Audit, requestAudit(q, "request.deny", m.Actor, "merge with "+m.Into, now))
	}
	for _, q := range asked {
		note.Asked = append(note.Asked, q.ID)
	}
	c.Merges[0].Requests = jml.Canonical(note)
	return nil
}

// splitRequests gives them back, as far as nobody decided about them meanwhile.
func (e *Engine) splitRequests(ctx context.Context, c *Commit, m model.Merge, actor string, now time.Time) error {
	if m.Requests == "" {
		return nil
	}
	back := RequestsBack{From: m.IntoID, To: m.IdentityID}
	if err := json.Unmarshal([]byte(m.Requests), &back.MergedRequests); err != nil {
		return fmt.Errorf("merge of identity %s: requests: %w", m.IdentityID, err)
	}
	c.RequestsBack = append(c.RequestsBack, back)
	for _, id := range slices.Concat(back.Moved, back.Dropped) {
		q, err := e.request(ctx, id)
		switch {
		case errors.Is(err, model.ErrNotFound):
			continue
		case err != nil:
			return err
		case q.Status == model.RequestOpen && q.IdentityID == m.IntoID:
		case q.Status == model.RequestDenied && q.DecidedBy == "engine" && now.Before(q.ExpiresAt):
		default:
			continue
		}
		q.IdentityID, q.Status, q.DecidedBy, q.Answer, q.DecidedAt = m.IdentityID, model.RequestOpen, "", "", nil
		c.Audit = append(c.Audit, requestAudit(q, "request.return", actor, "split from "+m.IntoID, now))
	}
	return nil
}
