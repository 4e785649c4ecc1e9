package store

import (
	"time"

	"jmld/model"
)

// The columns of the hot tables, in the order of the scan and args functions below. A test compares them with the
// structs and with both schemas.
const (
	recordColumns = "source, id, kind, user_name, user_name_key, display_name, display_name_key, external_id, active, " +
		"unique_key, identity_id, link, link_text, attrs, hash, version, missing_runs, missing_since, " +
		"absent_since, created_at, updated_at"
	identityColumns = "id, lifecycle, user_name, display_name, email, search_key, organisation, external, categories, " +
		"attrs, provenance, findings, version, review_at, review_run, suspect, entitlements, separated, rules, created_at, updated_at"
	accountColumns = "identity_id, target, class, origin, state, user_name, desired, desired_rev, because, native_id, " +
		"applied_state, applied, applied_rev, applied_at, held_plan, held_attrs, due_at, priority, lease_owner, epoch, attempts, " +
		"error_code, error_text, dead, administrator, applied_administrator, protected_by, created_at, updated_at"
	changeColumns = `id, plan_id, run_id, source, identity_id, who, target, op, event, "before", "after", because, attrs, code, ` +
		"state, at, decided_by, decided_at"
	planColumns = `id, run_id, source, "trigger", state, brake, reason, digest, items, expires_at, approved_by, approved_at, ` +
		"created_at, updated_at"
	auditColumns = "id, at, actor, action, source, subject, detail"
)

func scanRecord(row scanner, r *model.Record, more ...any) error {
	return row.Scan(append([]any{&r.Source, &r.ID, (*string)(&r.Kind), &r.UserName, &r.UserNameKey, &r.DisplayName,
		&r.DisplayNameKey, &r.ExternalID, &r.Active, &r.UniqueKey, &r.IdentityID, (*string)(&r.Link), &r.LinkText,
		&r.Attrs, &r.Hash, &r.Version, &r.MissingRuns, &r.MissingSince, &r.AbsentSince, &r.CreatedAt, &r.UpdatedAt}, more...)...)
}

func recordArgs(r *model.Record, to []any) []any {
	hash := r.Hash
	if hash == nil {
		hash = []byte{}
	}
	return append(to, r.Source, r.ID, string(r.Kind), r.UserName, cut(r.UserNameKey, maxKey), r.DisplayName,
		cut(r.DisplayNameKey, maxKey), cut(r.ExternalID, maxKey), r.Active, cut(r.UniqueKey, maxKey), r.IdentityID, string(r.Link), r.LinkText, r.Attrs, hash, r.Version,
		r.MissingRuns, timeArg(r.MissingSince), timeArg(r.AbsentSince), stamp(r.CreatedAt), stamp(r.UpdatedAt))
}

func scanIdentity(row scanner, i *model.Identity, more ...any) error {
	return row.Scan(append([]any{&i.ID, (*string)(&i.Lifecycle), &i.UserName, &i.DisplayName, &i.Email, &i.SearchKey,
		&i.Organisation, &i.External, &i.Categories, &i.Attrs, &i.Provenance, &i.Findings, &i.Version, &i.ReviewAt, &i.ReviewRun, &i.Suspect, &i.Entitlements,
		&i.Separated, &i.Rules, &i.CreatedAt, &i.UpdatedAt}, more...)...)
}

func identityArgs(i *model.Identity, version int64, to []any) []any {
	return append(to, i.ID, string(i.Lifecycle), i.UserName, i.DisplayName, i.Email, cut(i.SearchKey, maxKey),
		i.Organisation, i.External, i.Categories, i.Attrs, i.Provenance, i.Findings, version, timeArg(i.ReviewAt), i.ReviewRun, i.Suspect, i.Entitlements,
		i.Separated, i.Rules, stamp(i.CreatedAt), stamp(i.UpdatedAt))
}

func scanAccount(row scanner, a *model.Account) error {
	return row.Scan(&a.IdentityID, &a.Target, (*string)(&a.Class), (*string)(&a.Origin), (*string)(&a.State),
		&a.UserName, &a.Desired, &a.DesiredRev, &a.Because, &a.NativeID, (*string)(&a.AppliedState), &a.Applied,
		&a.AppliedRev, &a.AppliedAt, &a.HeldPlan, &a.HeldAttrs, &a.DueAt, &a.Priority, &a.LeaseOwner, &a.Epoch, &a.Attempts,
		(*string)(&a.ErrorCode), &a.ErrorText, &a.Dead, &a.Administrator, &a.AppliedAdministrator, &a.ProtectedBy, &a.CreatedAt, &a.UpdatedAt)
}

func changeArgs(c *model.Change, to []any) []any {
	return append(to, c.ID, c.PlanID, c.RunID, c.Source, c.IdentityID, c.Who, c.Target, string(c.Op), string(c.Event),
		c.Before, c.After, c.Because, c.Attrs, string(c.Code), string(c.State), stamp(c.At), c.DecidedBy, timeArg(c.DecidedAt))
}

func planArgs(p *model.Plan, to []any) []any {
	return append(to, p.ID, p.RunID, p.Source, p.Trigger, string(p.State), string(p.Brake), p.Reason, p.Digest, p.Items,
		stamp(p.ExpiresAt), p.ApprovedBy, timeArg(p.ApprovedAt), stamp(p.CreatedAt), stamp(p.UpdatedAt))
}

func auditArgs(a *model.AuditEntry, to []any) []any {
	return append(to, a.ID, stamp(a.At), a.Actor, a.Action, a.Source, a.Subject, a.Detail)
}

func timeArg(t *time.Time) any {
	if t == nil {
		return nil
	}
	return stamp(*t)
}

// How many bytes an index can hold on both databases, with the other columns of the index. Longer keys and values are cut: eq
// and sw find them by their beginning and then by Match, co and ew by Match alone.
const (
	maxKey   = model.MaxKey // names and correlation keys
	maxID    = 400
	maxValue = 1500 // searchable values
	maxType  = 100
)

// cut shortens s to n bytes without splitting a character.
func cut(s string, n int) string { return model.Cut(s, n) }
