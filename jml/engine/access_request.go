package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"jmld/jml"
	"jmld/jml/access"
	"jmld/model"
)

// AccessAsk is what somebody asks for.
type AccessAsk struct {
	Actor       string // who puts it in: "operator ada"
	Requester   string // identity of who asks
	Person      string // identity of who is to get it
	Place, Role string
	Admin       bool
	Reason      string
	From        *time.Time
	Until       time.Time
	Areas       []string // as AccessEdit has them
	DryRun      bool
}

// AccessVerdict is what somebody says about a request.
type AccessVerdict struct {
	Actor    string // who puts it in
	Approver string // identity of who decides
	Request  string
	Reason   string
	Deny     bool
	Areas    []string
}

// RequestAccess makes a request. Everything that giving it would be refused for is looked at now, and once more by whoever approves it; what
// needs no approval is given at once. Refusals are audited.
func (e *Engine) RequestAccess(ctx context.Context, ask AccessAsk) (model.AccessRequest, error) {
	if !ask.DryRun {
		if err := e.expireRequests(ctx); err != nil {
			return model.AccessRequest{}, err
		}
	}
	var q model.AccessRequest
	rules, free := &e.policy().Requests, false
	_, err := e.EditAccess(ctx, AccessEdit{Actor: ask.Actor, Manager: model.ManagedByOperator, Areas: ask.Areas, About: ask.Person, DryRun: ask.DryRun,
		Edit: func(s *access.State, t *access.Tree) error {
			now := e.now()
			person, err := e.askable(ctx, t, ask, now)
			if err != nil {
				return err
			}
			q = model.AccessRequest{ID: model.NewID(now), IdentityID: person.ID, Who: person.DisplayName, Place: ask.Place, Role: ask.Role, Admin: ask.Admin,
				Reason: strings.TrimSpace(ask.Reason), ValidFrom: ask.From, ValidTo: ask.Until, Requester: ask.Requester, Actor: ask.Actor, Approvals: "[]",
				ExpiresAt: now.Add(rules.Open), Status: model.RequestOpen, CreatedAt: now}
			row := rowOf(q)
			q.Privileged, free = rules.IsPrivileged(t, row), rules.IsFree(t, row)
			if free {
				q.Status, q.DecidedBy, q.Answer, q.DecidedAt = model.RequestApproved, "rule access.requests.free", "needs no approval", &now
				row.Approver = q.DecidedBy
			}
			return s.Grant(t, row, now)
		},
		With: func(c *AccessChange) { e.withRequest(c, nil, q, free, "request", ask.Actor, ask.Requester) },
	})
	if err != nil {
		return model.AccessRequest{}, err
	}
	return q, nil
}

// askable says for whom it is asked, or why it may not be.
func (e *Engine) askable(ctx context.Context, t *access.Tree, ask AccessAsk, now time.Time) (*model.Identity, error) {
	person, err := e.identity(ctx, ask.Person)
	if err != nil {
		return nil, err
	}
	requester, err := e.identity(ctx, ask.Requester)
	if err != nil {
		return nil, err
	}
	begins := now
	if ask.From != nil && ask.From.After(now) {
		begins = *ask.From
	}
	open, err := e.o.Store.AccessRequests(ctx, model.RequestQuery{IdentityID: person.ID, Place: ask.Place, Status: model.RequestOpen})
	if err != nil {
		return nil, err
	}
	merges, err := e.o.Store.Merges(ctx, person.ID)
	if err != nil {
		return nil, err
	}
	longest := e.policy().Requests.Longest
	switch {
	case slices.ContainsFunc(merges, func(m model.Merge) bool { return m.IdentityID == person.ID }):
		return nil, model.Errorf(model.CodeAccessRefused, "%s was merged into another identity", person.DisplayName)
	case !t.Has(ask.Place):
		kind, id := access.SplitPlace(ask.Place)
		return nil, model.Errorf(model.CodeAccessRefused, "unknown %s %q; expected one that there is", kind, id)
	case person.Lifecycle == model.Archived:
		return nil, model.Errorf(model.CodeAccessRefused, "%s has left", person.DisplayName)
	case person.ID != requester.ID && requester.Lifecycle != model.Active, !e.policy().Requests.MayAsk(t, requester.ID, person.ID, ask.Place, now):
		return nil, model.Errorf(model.CodeAccessDenied, "%s asks for somebody else, and does not administer %s or a group above it", requester.DisplayName, t.Name(ask.Place))
	case slices.ContainsFunc(open, func(q model.AccessRequest) bool {
		return q.Role == ask.Role && (!ask.DryRun || now.Before(q.ExpiresAt))
	}):
		return nil, model.Errorf(model.CodeAccessRequest, "there is an open request for the same already")
	case strings.TrimSpace(ask.Reason) == "":
		return nil, model.Errorf(model.CodeAccessRefused, "no reason; expected why the person needs it")
	case !ask.Until.After(begins):
		return nil, model.Errorf(model.CodeAccessRefused, "it ends before it begins; expected a later end")
	case ask.Until.Sub(now) > longest:
		return nil, model.Errorf(model.CodeAccessRefused, "it would end at %s; expected an end before %s", ask.Until.Format(time.RFC3339), now.Add(longest).Format(time.RFC3339))
	}
	return person, nil
}

// DecideAccess approves a request, or denies it. With the last approval it needs, what is asked for is given in the same transaction. Who asked may
// deny it, too: it is taken back then. Refusals are audited.
func (e *Engine) DecideAccess(ctx context.Context, v AccessVerdict) (model.AccessRequest, error) {
	first, err := e.request(ctx, v.Request)
	if err != nil {
		return model.AccessRequest{}, err
	}
	var old, q model.AccessRequest
	given := false
	_, err = e.EditAccess(ctx, AccessEdit{Actor: v.Actor, Manager: model.ManagedByOperator, Areas: v.Areas, About: first.IdentityID,
		Edit: func(s *access.State, t *access.Tree) error {
			now := e.now()
			if old, err = e.request(ctx, v.Request); err != nil {
				return err
			}
			if err := e.decidable(ctx, t, old, v, now); err != nil {
				return err
			}
			q, given = old, false
			if v.Deny {
				q.Status, q.DecidedBy, q.Answer, q.DecidedAt = model.RequestDenied, v.Approver, strings.TrimSpace(v.Reason), &now
				return nil
			}
			row := rowOf(q)
			approvals, err := readList[model.AccessApproval](q.Approvals)
			if err != nil {
				return fmt.Errorf("approvals of request %s: %w", q.ID, err)
			}
			approvals = append(approvals, model.AccessApproval{Person: v.Approver, Actor: v.Actor, Reason: strings.TrimSpace(v.Reason), At: now})
			var by, names []string
			for _, a := range approvals {
				switch counts, err := e.stillCounts(ctx, q, a); {
				case err != nil:
					return err
				case counts:
					by, names = append(by, a.Person), append(names, "person "+a.Person)
				}
			}
			q.Approvals, row.Approver = jml.Canonical(approvals), strings.Join(names, ", ")
			if given = e.policy().Requests.Enough(t, row, q.Privileged, by, now); given {
				q.Status, q.DecidedBy, q.Answer, q.DecidedAt = model.RequestApproved, strings.Join(by, " "), strings.TrimSpace(v.Reason), &now
			}
			return s.Grant(t, row, now)
		},
		With: func(c *AccessChange) {
			action := "request.approve"
			if v.Deny {
				action = "request.deny"
			}
			e.withRequest(c, &old, q, given, action, v.Actor, v.Approver)
		},
	})
	if err != nil {
		return model.AccessRequest{}, err
	}
	return q, nil
}

// decidable says why the verdict cannot count.
func (e *Engine) decidable(ctx context.Context, t *access.Tree, q model.AccessRequest, v AccessVerdict, now time.Time) error {
	by, err := e.identity(ctx, v.Approver)
	if err != nil {
		return err
	}
	person, err := e.identity(ctx, q.IdentityID)
	if err != nil {
		return err
	}
	own := by.ID == q.Requester || by.ID == q.IdentityID
	switch {
	case strings.TrimSpace(v.Reason) == "":
		return model.Errorf(model.CodeAccessRefused, "no reason; expected why it is decided so")
	case own && !v.Deny:
		return model.Errorf(model.CodeAccessDenied, "%s asked for it, or is to get it; expected the approval of somebody else", by.DisplayName)
	case by.Lifecycle != model.Active || !own && !e.policy().Requests.MayDecide(t, by.ID, q.Place, now):
		return model.Errorf(model.CodeAccessDenied, "%s does not administer %s or a group above it", by.DisplayName, t.Name(q.Place))
	case q.Status != model.RequestOpen:
		return model.Errorf(model.CodeAccessRequest, "the request is %s already", q.Status)
	case !now.Before(q.ExpiresAt):
		return model.Errorf(model.CodeAccessRequest, "the request was open until %s", q.ExpiresAt.Format(time.RFC3339))
	case v.Deny:
		return nil
	case strings.Contains(q.Approvals, `"person":"`+by.ID+`"`):
		return model.Errorf(model.CodeAccessRequest, "%s has approved it already; expected somebody else, too", by.DisplayName)
	case !now.Before(q.ValidTo):
		return model.Errorf(model.CodeAccessRequest, "it asks for something until %s", q.ValidTo.Format(time.RFC3339))
	case person.Lifecycle == model.Archived:
		return model.Errorf(model.CodeAccessRefused, "%s has left", person.DisplayName)
	}
	return nil
}

// stillCounts says whether an approval does: whoever gave it may have left since, or, by a merge, be who asked or who is to get it.
func (e *Engine) stillCounts(ctx context.Context, q model.AccessRequest, a model.AccessApproval) (bool, error) {
	if a.Person == q.Requester || a.Person == q.IdentityID {
		return false, nil
	}
	by, err := e.identity(ctx, a.Person)
	if errors.Is(err, model.ErrNotFound) {
		return false, nil
	}
	return err == nil && by.Lifecycle == model.Active, err
}

// withRequest stores the request with what it gives, or without.
func (e *Engine) withRequest(c *AccessChange, old *model.AccessRequest, q model.AccessRequest, given bool, action, actor, by string) {
	if !given {
		c.Changes, c.Affected, c.Places, c.Roles, c.Audit = access.Changes{}, nil, nil, nil, nil
	}
	c.Request = &RequestWrite{Old: old, New: q}
	c.Audit = append(c.Audit, requestAudit(q, action, actor, by, e.now()))
}

func requestAudit(q model.AccessRequest, action, actor, by string, now time.Time) model.AuditEntry {
	detail := map[string]any{"request": q.ID, "place": q.Place, "role": q.Role, "admin": q.Admin, "by": by, "reason": q.Reason, "answer": q.Answer,
		"until": q.ValidTo.Format(time.RFC3339), "status": q.Status, "privileged": q.Privileged, "approvals": json.RawMessage(q.Approvals)}
	return model.AuditEntry{ID: model.NewID(now), At: now, Actor: actor, Action: "access." + action, Subject: q.IdentityID, Detail: jml.Canonical(detail)}
}

// rowOf is what a request would give.
func rowOf(q model.AccessRequest) model.AccessMember {
	to := q.ValidTo
	return model.AccessMember{Person: q.IdentityID, Place: q.Place, Role: q.Role, Admin: q.Admin, Reason: "request " + q.ID + ": " + q.Reason,
		Approver: "nobody yet", ValidFrom: q.ValidFrom, ValidTo: &to, ManagedBy: model.ManagedByOperator}
}

// expireRequests ends those that nobody decided in time, some at a time.
func (e *Engine) expireRequests(ctx context.Context) error {
	for {
		over, err := e.o.Store.ExpiredRequests(ctx, e.now(), chunk)
		if err != nil {
			return fmt.Errorf("requests that expired: %w", err)
		}
		ended, err := e.endExpired(ctx, over)
		if err != nil || ended == 0 || len(over) < chunk { // of somebody else's, if none could be ended
			return err
		}
	}
}

// endExpired says how many of them it ended; the others were decided meanwhile.
func (e *Engine) endExpired(ctx context.Context, over []model.AccessRequest) (ended int, err error) {
	now := e.now()
	for i := range over {
		q := over[i]
		q.Status, q.Answer, q.DecidedAt = model.RequestExpired, "nobody decided in time", &now
		err := e.o.Store.ExpireRequest(ctx, RequestWrite{Old: &over[i], New: q}, requestAudit(q, "request.expire", "engine", "", now))
		if err != nil && !errors.Is(err, model.ErrStale) {
			return ended, fmt.Errorf("request %s: %w", q.ID, err)
		}
		if err == nil {
			ended++
			e.log.Info("request for access expired", zap.String(model.FieldIdentity, q.IdentityID), zap.String("request", q.ID))
		}
	}
	return ended, nil
}

func (e *Engine) request(ctx context.Context, id string) (model.AccessRequest, error) {
	found, err := e.o.Store.AccessRequests(ctx, model.RequestQuery{ID: id, Limit: 1})
	if err == nil && (id == "" || len(found) == 0) {
		err = model.ErrNotFound
	}
	if err != nil {
		return model.AccessRequest{}, fmt.Errorf("request %s: %w", id, err)
	}
	return found[0], nil
}

func (e *Engine) identity(ctx context.Context, id string) (*model.Identity, error) {
	people, err := e.o.Store.Load(ctx, []Subject{{Identity: id}})
	if err == nil && people[0].Identity == nil {
		err = model.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("identity %s: %w", id, err)
	}
	return people[0].Identity, nil
}
