package store

import (
	"context"
	"time"

	"gorm.io/gorm"

	"jmld/jml/engine"
	"jmld/model"
)

const (
	requestColumns = "id, identity_id, who, place, role, admin, reason, valid_from, valid_to, requester, actor, privileged, approvals, expires_at, " +
		"status, decided_by, answer, decided_at, created_at"

	// Only what was open, with the approvals that were seen, and for whom it was then, is decided: a merge gives it to somebody else.
	decideRequest = "UPDATE access_requests SET approvals = $2, status = $3, decided_by = $4, answer = $5, decided_at = $6 " +
		"WHERE id = $1 AND status = 'open' AND approvals = $7 AND identity_id = $8 AND requester = $9"

	// What is asked for twice by now was asked for the first time by the one who stays.
	dropRequests = "UPDATE access_requests SET status = 'denied', decided_by = 'engine', answer = 'the same person had asked for it already', decided_at = now() " +
		"WHERE identity_id = $1 AND status = 'open' AND EXISTS (SELECT 1 FROM access_requests o WHERE o.identity_id = $2 AND o.place = access_requests.place " +
		"AND o.role = access_requests.role AND o.status = 'open')"
	moveRequests   = "UPDATE access_requests SET identity_id = $2 WHERE identity_id = $1 AND status = 'open'"
	moveRequesters = "UPDATE access_requests SET requester = $2 WHERE requester = $1 AND status = 'open'"

	// A split gives back what a merge gave away and is still open, and what it ended, which is still the other one's.
	reopenRequests = "UPDATE access_requests SET status = 'open', decided_by = '', answer = '', decided_at = NULL " +
		"WHERE id IN list($2) AND status = 'denied' AND decided_by = 'engine' AND identity_id = $1 AND expires_at > now() AND " + notOpen + "$1)"
	returnRequests = "UPDATE access_requests SET identity_id = $2 WHERE identity_id = $1 AND id IN list($3) AND status = 'open' AND " + notOpen + "$2)"
	notOpen        = "NOT EXISTS (SELECT 1 FROM access_requests o WHERE o.place = access_requests.place AND o.role = access_requests.role " +
		"AND o.status = 'open' AND o.identity_id = "
	returnRequesters = "UPDATE access_requests SET requester = $2 WHERE requester = $1 AND id IN list($3) AND status = 'open'"
)

// otherRequests are open ones that a merge has not seen: a row on SQLite, an error on PostgreSQL, whose answer comes after the whole batch is sent.
const (
	otherRequests     = "FROM access_requests WHERE status = 'open' AND (identity_id IN ($1, $2) OR requester = $1) AND NOT (id IN list($3))"
	otherRequestsHere = "SELECT id " + otherRequests + " LIMIT 1"
	otherRequestsFail = "SELECT 1 / (1 - least(count(*), 1)) " + otherRequests
)

// seenOps look whether the merge has seen every request. Whoever makes one locks the tree of groups, as the merge does.
func (s *Store) seenOps(ops []op, c *engine.Commit) []op {
	for i := range c.Merges {
		o := op{text: s.sql(otherRequestsFail)}
		if s.lite {
			o = op{text: s.sql(otherRequestsHere), each: func(scanner) error { return errMissed }}
		}
		o.args = []any{c.Merges[i].IdentityID, c.Merges[i].IntoID, s.list(c.OpenRequests)}
		ops = append(ops, o)
	}
	return ops
}

// requestOps store a request, or what became of one.
func (s *Store) requestOps(ops []op, w *engine.RequestWrite) []op {
	if w == nil {
		return ops
	}
	r := &w.New
	if w.Old == nil {
		into := insert{into: "access_requests (" + requestColumns + ")", tuple: tuple(19)}
		return append(ops, s.rows(into, 1, func(_ int, to []any) []any {
			return append(to, r.ID, r.IdentityID, r.Who, r.Place, r.Role, r.Admin, r.Reason, timeArg(r.ValidFrom), stamp(r.ValidTo), r.Requester, r.Actor,
				r.Privileged, r.Approvals, stamp(r.ExpiresAt), string(r.Status), r.DecidedBy, r.Answer, timeArg(r.DecidedAt), stamp(r.CreatedAt))
		})...)
	}
	return append(ops, op{text: s.must(decideRequest), must: true,
		args: []any{r.ID, r.Approvals, string(r.Status), r.DecidedBy, r.Answer, timeArg(r.DecidedAt), w.Old.Approvals,
			w.Old.IdentityID, w.Old.Requester}})
}

// AccessRequests lists requests, the newest first.
func (s *Store) AccessRequests(ctx context.Context, q model.RequestQuery) ([]model.AccessRequest, error) {
	var found []model.AccessRequest
	err := s.view(ctx, func(db *gorm.DB) error {
		for _, c := range []struct{ column, value string }{{"id", q.ID}, {"identity_id", q.IdentityID}, {"place", q.Place}, {"requester", q.Requester}, {"status", string(q.Status)}} {
			if c.value != "" {
				db = db.Where("access_requests."+c.column+" = ?", c.value)
			}
		}
		return page(db, q.Limit, 0).Order("id DESC").Find(&found).Error
	})
	return found, err
}

// ExpiredRequests are open, and were over by then and by the database's clock, the oldest first.
func (s *Store) ExpiredRequests(ctx context.Context, by time.Time, limit int) ([]model.AccessRequest, error) {
	var found []model.AccessRequest
	err := s.view(ctx, func(db *gorm.DB) error {
		return db.Where("status = 'open' AND expires_at <= ? AND expires_at <= "+s.now(), stamp(by)).Order("expires_at, id").Limit(limit).Find(&found).Error
	})
	return found, err
}

// ExpireRequest ends a request that nobody decided. ErrStale: somebody did.
func (s *Store) ExpireRequest(ctx context.Context, w engine.RequestWrite, audit model.AuditEntry) error {
	return s.write(ctx, append(s.requestOps(nil, &w), s.rows(insertAudit(), 1, func(_ int, to []any) []any { return auditArgs(&audit, to) })...)...)
}
