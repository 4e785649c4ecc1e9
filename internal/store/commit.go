package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"jmld/jml/access"
	"jmld/jml/engine"
	"jmld/model"
)

const (
	updateRecord = "UPDATE records SET kind = $3, user_name = $4, user_name_key = $5, display_name = $6, " +
		"display_name_key = $7, external_id = $8, active = $9, unique_key = $10, identity_id = $11, link = $12, " +
		"link_text = $13, attrs = $14, hash = $15, version = $16, missing_runs = $17, missing_since = $18, absent_since = $19, " +
		"updated_at = $20 WHERE source = $1 AND id = $2 AND version = $21"

	deleteRecord  = "DELETE FROM records WHERE source = $1 AND id = $2 AND version = $3"
	deleteValues  = "DELETE FROM record_values WHERE source = $1 AND record_id = $2"
	deleteMembers = "DELETE FROM members WHERE source = $1 AND group_id = $2"
	deleteGroups  = "DELETE FROM members WHERE source = $1 AND member_id = $2"

	deleteKeys  = "DELETE FROM record_keys WHERE source = $1 AND record_id = $2"
	dropValue   = "DELETE FROM record_values WHERE source = $1 AND record_id = $2 AND attr = $3 AND type = $4 AND value = $5"
	dropMembers = "DELETE FROM members WHERE source = $1 AND group_id = $2 AND member_id IN list($3)"
	addMembers  = "INSERT INTO members (source, group_id, member_id) SELECT $1::text, $2::text, p.a FROM items($3) WHERE true " +
		"ON CONFLICT (source, group_id, member_id) DO NOTHING"
	dropKey = "DELETE FROM identity_keys WHERE name = $1 AND value = $2 AND identity_id = $3"

	// A plan is touched by whoever depends on it, so that the others see it; $3 is NULL where only the state matters.
	touchPlan = "UPDATE plans SET updated_at = $4 WHERE id = $1 AND state = $2 AND updated_at = coalesce($3, updated_at)"

	// What is held elsewhere, or only in part.
	moveChange = `UPDATE changes SET plan_id = $2, "before" = $3, "after" = $4, attrs = $5, state = $6 WHERE id = $1`

	dropLoss = "DELETE FROM group_losses WHERE source = $1 AND group_id = $2"

	decideChange = "UPDATE changes SET state = $2, decided_by = $3, decided_at = $4 WHERE id = $1"

	// An earlier date stays.
	marked = "UPDATE identities SET version = version + 1, " +
		"review_run = CASE WHEN $4::text = '' OR review_run = '" + model.ReviewCorrelation + "' THEN review_run ELSE $4::text END, review_at = CASE WHEN review_at < $3 THEN review_at ELSE $3 END, " +
		"suspect = CASE WHEN $5::text = '' THEN suspect ELSE $5::text END "

	// Downward from the records to everybody below them, a cycle ends by itself.
	review = "WITH RECURSIVE down(source, id) AS (SELECT p.a, p.b FROM pairs($1, $2) " +
		"UNION SELECT down.source, m.member_id FROM down JOIN SOME members m member_id ON (m.source = down.source AND m.group_id = down.id)) " +
		marked +
		// in the order of their ids: two commits that mark the same people wait for each other, none is a deadlock
		"WHERE id IN (SELECT i.id FROM (SELECT DISTINCT r.identity_id AS iid FROM down " +
		"JOIN EACH records r ON (r.source = down.source AND r.id = down.id) WHERE r.identity_id <> '') AS x " +
		"JOIN EACH identities i ON (i.id = x.iid) ORDER BY i.id FOR UPDATE OF i)"

	// People have nobody below them.
	reviewPeople = marked + "WHERE id IN (SELECT i.id FROM (SELECT DISTINCT r.identity_id AS iid FROM pairs($1, $2) " +
		"JOIN EACH records r ON (r.source = p.a AND r.id = p.b) WHERE r.identity_id <> '') AS x " +
		"JOIN EACH identities i ON (i.id = x.iid) ORDER BY i.id FOR UPDATE OF i)"

	reviewPerson = marked + "WHERE id = (SELECT identity_id FROM records WHERE source = $1 AND id = $2 AND identity_id <> '')"

	// accountChanged: the worker has to look at the row again.
	accountChanged = "(excluded.state <> accounts.state OR excluded.desired <> accounts.desired OR excluded.desired_rev > accounts.desired_rev)"
)

func insertRecords() insert {
	return insert{into: "records (" + recordColumns + ")", tuple: tuple(21), types: "ttttttttbtttttyiizzzz"}
}

func insertIdentities() insert {
	return insert{into: "identities (" + identityColumns + ")", tuple: tuple(21), types: "tttttttbttttiztttttzz"}
}

func updateIdentities() update {
	return update{
		table: "identities", types: "tttttttbttttiztttttzi",
		set: "lifecycle = $2, user_name = $3, display_name = $4, email = $5, search_key = $6, organisation = $7, external = $8, categories = $9, " +
			"attrs = $10, provenance = $11, findings = $12, version = $13, review_at = $14, review_run = $15, suspect = $16, entitlements = $17, " +
			"separated = $18, rules = $19, updated_at = $20",
		where: "identities.id = $1 AND identities.version = $21",
	}
}

func insertKeys() insert {
	return insert{into: "identity_keys (name, value, identity_id)", tuple: tuple(3), types: "ttt"}
}

// insertUnique has no ON CONFLICT: whoever comes second is refused. Two that come at once wait for each other.
func insertUnique() insert {
	return insert{into: "record_keys (source, kind, attr, value, record_id)", tuple: tuple(5), types: "ttttt"}
}

func insertKept() insert {
	kept := insertUnique()
	kept.tail = "ON CONFLICT (source, kind, attr, value) DO NOTHING"
	return kept
}

func insertChanges() insert {
	return insert{into: "changes (" + changeColumns + ")", tuple: tuple(18), types: "tttttttttttttttztz"}
}

func insertAudit() insert {
	return insert{into: "audit (" + auditColumns + ")", tuple: tuple(7), types: "tzttttt"}
}

func upsertPlans() insert {
	return insert{into: "plans (" + planColumns + ")", tuple: tuple(14), tail: "ON CONFLICT (id) DO UPDATE SET " +
		"run_id = excluded.run_id, source = excluded.source, \"trigger\" = excluded.\"trigger\", state = excluded.state, " +
		"brake = excluded.brake, reason = excluded.reason, digest = excluded.digest, items = excluded.items, expires_at = excluded.expires_at, " +
		"approved_by = excluded.approved_by, approved_at = excluded.approved_at, updated_at = excluded.updated_at"}
}

func upsertLosses() insert {
	return insert{into: "group_losses (source, group_id, since, had, lost)", tuple: tuple(5), tail: "ON CONFLICT (source, group_id) DO UPDATE SET " +
		"since = excluded.since, had = excluded.had, lost = excluded.lost"}
}

// upsertAccounts writes the desired side. A row that a worker has at the moment stays leased: when the worker settles it, it is due
// again because the revision moved. What a worker found out (adopted) is not taken back by a decision made before.
func upsertAccounts() insert {
	return insert{
		into: "accounts (identity_id, target, class, origin, state, user_name, desired, desired_rev, because, held_plan, held_attrs, " +
			"priority, administrator, protected_by, created_at, updated_at, due_at, native_id, applied_state, applied, applied_rev, lease_owner, epoch, " +
			"attempts, error_code, error_text, dead, applied_administrator)",
		types: "tttttttitttibtzzb",
		tuple: "(" + strings.Repeat("?, ", 16) + "CASE WHEN ?::boolean THEN now() END, '', '', '', 0, '', 0, 0, '', '', false, false)",
		tail: "ON CONFLICT (identity_id, target) DO UPDATE SET class = excluded.class, " +
			"origin = CASE WHEN accounts.origin = 'adopted' AND excluded.origin = 'ours' THEN accounts.origin ELSE excluded.origin END, " +
			"state = excluded.state, user_name = excluded.user_name, desired = excluded.desired, " +
			"because = excluded.because, held_plan = excluded.held_plan, held_attrs = excluded.held_attrs, updated_at = excluded.updated_at, " +
			"administrator = excluded.administrator, protected_by = excluded.protected_by, " +
			// said of an account that stays as it is: no worker has anything to tell the target
			"applied_administrator = CASE WHEN NOT " + accountChanged + " AND accounts.applied_rev = accounts.desired_rev AND excluded.held_attrs = '' " +
			"THEN excluded.administrator AND accounts.applied_state = 'active' ELSE accounts.applied_administrator END, " +
			"desired_rev = CASE WHEN " + accountChanged + " THEN greatest(excluded.desired_rev, accounts.desired_rev + 1) ELSE accounts.desired_rev END, " +
			"priority = CASE WHEN " + accountChanged + " THEN excluded.priority ELSE accounts.priority END, " +
			"due_at = CASE WHEN NOT " + accountChanged + " THEN accounts.due_at " +
			"WHEN accounts.lease_owner <> '' AND accounts.due_at > now() THEN accounts.due_at ELSE now() END, " +
			"attempts = CASE WHEN " + accountChanged + " THEN 0 ELSE accounts.attempts END, " +
			"error_code = CASE WHEN " + accountChanged + " THEN '' ELSE accounts.error_code END, " +
			"error_text = CASE WHEN " + accountChanged + " THEN '' ELSE accounts.error_text END, " +
			"dead = CASE WHEN " + accountChanged + " THEN false ELSE accounts.dead END",
	}
}

func tuple(n int) string { return "(" + strings.Repeat("?, ", n-1) + "?)" }

// Commit stores c in one transaction. An identity is stored with the version Expect+1, whatever New says; a record with
// New.Version. ErrStale: a version, a correlation key or an identifier was not as loaded. ErrConflict: a record's
// UniqueKey is taken. ErrUnavailable: the database could not; nothing was stored, unless the connection broke while the
// server was answering, which only looking again can tell.
func (s *Store) Commit(ctx context.Context, c *engine.Commit) error {
	ops, err := s.commitOps(c)
	if err != nil || len(ops) == 0 {
		return err
	}
	return s.write(ctx, ops...)
}

// commitOps: identities first, which is where two decisions about one person meet. What goes away goes before what
// comes, so that a key or a name may move from one row to another.
func (s *Store) commitOps(c *engine.Commit) ([]op, error) {
	if err := checkIDs(c); err != nil {
		return nil, err
	}
	ops, keys := make([]op, 0, 16), keysOfNew(c.Identities)
	switch edits := len(c.Members.Put) + len(c.Members.Drop); {
	case edits > 0 || len(c.Merges) > 0:
		ops = append(s.lockOps(ops, lockAccess), op{text: s.sql(bumpAccess), args: []any{accessRev}})
	case len(keys) > 0 || givesMore(c.Identities):
		ops = s.lockOps(ops, shareAccess)
	}
	ops = s.lockAdministrators(ops, c)
	ops = s.rulesOp(append(ops, s.identityOps(make([]op, 0, 16), c.Identities)...), c.Rules)
	ops = s.givenOps(ops, c.Identities)
	for i := range c.PlansWere {
		p := &c.PlansWere[i]
		var touched any
		if !p.UpdatedAt.IsZero() {
			touched = stamp(p.UpdatedAt)
		}
		ops = append(ops, op{text: s.must(touchPlan), must: true, args: []any{p.ID, string(p.State), touched, stamp(time.Now())}})
	}
	gone, left := reviewed(c)
	ops = s.reviewOps(ops, c, gone, "") // while their members are still known
	ops, took := s.renameOps(ops, c.Records)
	ops = s.takenOps(s.recordOps(ops, c.Records), c, took)
	ops = s.correlationOps(ops, c)
	members := access.Changes{Members: c.Members}
	ops = s.putAccess(s.dropAccess(ops, &members), &members)
	if len(keys) > 0 {
		a, b := s.pairs(keys)
		ops = append(ops, op{text: s.sql(byNewKeys), args: []any{a, b, stamp(time.Unix(0, 0))}})
	}
	accounts := lastOfEach(c.Accounts)
	ops = s.nameOps(ops, insertNames(), c.Names)
	ops = append(ops, s.rows(upsertAccounts(), len(accounts), func(i int, to []any) []any {
		return accountArgs(accounts[i], to)
	})...)
	ops = s.administratorRemains(ops, c)
	ops = append(ops, s.rows(upsertPlans(), len(c.Plans), func(i int, to []any) []any { return planArgs(&c.Plans[i], to) })...)
	ops = append(ops, s.rows(insertChanges(), len(c.Changes), func(i int, to []any) []any {
		return changeArgs(&c.Changes[i], to)
	})...)
	for i := range c.Moved {
		m := &c.Moved[i]
		ops = append(ops, op{text: s.must(moveChange), must: true, args: []any{m.ID, m.PlanID, m.Before, m.After, m.Attrs, string(m.State)}})
	}
	for i := range c.Decided {
		d := &c.Decided[i]
		ops = append(ops, op{text: s.must(decideChange), must: true,
			args: []any{d.ID, string(d.State), d.DecidedBy, timeArg(d.DecidedAt)}})
	}
	for i := range c.Losses {
		l := &c.Losses[i]
		if l.Lost == 0 {
			ops = append(ops, op{text: s.sql(dropLoss), args: []any{l.Source, l.GroupID}})
			continue
		}
		ops = append(ops, s.rows(upsertLosses(), 1, func(_ int, to []any) []any {
			return append(to, l.Source, l.GroupID, stamp(l.Since), l.Had, l.Lost)
		})...)
	}
	if k := c.Checkpoint; k != nil {
		ops = append(ops, s.rows(upsertCheckpoints(), 1, func(_ int, to []any) []any {
			return append(to, k.Source, k.Profile, k.Mark, k.RunID, stamp(k.UpdatedAt))
		})...)
	}
	audit := c.Audit
	for i := range c.Identities {
		audit = append(audit[:len(audit):len(audit)], c.Identities[i].Audit...)
	}
	ops = append(ops, s.rows(insertAudit(), len(audit), func(i int, to []any) []any { return auditArgs(&audit[i], to) })...)
	ops = s.peopleOps(s.reviewOps(ops, c, left, ""), c)
	for i := range c.Suspects {
		refs := make([][2]string, 0, len(c.Suspects[i].Records))
		for _, r := range c.Suspects[i].Records {
			refs = append(refs, [2]string{r.Source, r.ID})
		}
		ops = s.reviewOps(ops, c, refs, c.Suspects[i].Hold)
	}
	return ops, nil
}

// keysOfNew are the keys that somebody has from now on.
func keysOfNew(writes []engine.IdentityWrite) (keys [][2]string) {
	for i := range writes {
		for _, k := range writes[i].AddKeys {
			if usable(k) {
				keys = append(keys, [2]string{k.Name, k.Value})
			}
		}
	}
	return keys
}

func (s *Store) identityOps(ops []op, writes []engine.IdentityWrite) []op {
	type keyOf struct {
		model.Key
		id string
	}
	var fresh, known []*engine.IdentityWrite
	var add []keyOf
	sorted := slices.SortedFunc(slices.Values(writes), func(a, b engine.IdentityWrite) int { return cmp.Compare(a.New.ID, b.New.ID) })
	for i := range sorted {
		w := &sorted[i]
		if w.Expect == 0 {
			fresh = append(fresh, w)
		} else {
			known = append(known, w)
		}
		for _, k := range w.DropKeys {
			ops = append(ops, op{text: s.sql(dropKey), args: []any{k.Name, k.Value, w.New.ID}})
		}
		for _, k := range w.AddKeys {
			if usable(k) {
				add = append(add, keyOf{k, w.New.ID})
			}
		}
	}
	ops = append(s.updates(updateIdentities(), len(known), func(i int, to []any) []any {
		n := &known[i].New
		return append(to, n.ID, string(n.Lifecycle), n.UserName, n.DisplayName, n.Email, cut(n.SearchKey, maxKey), n.Organisation, n.External,
			n.Categories, n.Attrs, n.Provenance, n.Findings, known[i].Expect+1, timeArg(n.ReviewAt), n.ReviewRun, n.Suspect, n.Entitlements,
			n.Separated, n.Rules, stamp(n.UpdatedAt), known[i].Expect)
	}), ops...)
	// Two commits that want the same keys meet in the same order: one waits, none is a deadlock.
	slices.SortFunc(add, func(a, b keyOf) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value)) })
	ops = append(ops, s.rows(insertIdentities(), len(fresh), func(i int, to []any) []any {
		return identityArgs(&fresh[i].New, 1, to)
	})...)
	return append(ops, s.rows(insertKeys(), len(add), func(i int, to []any) []any {
		return append(to, add[i].Name, add[i].Value, add[i].id)
	})...)
}

func (s *Store) recordOps(ops []op, writes []engine.Write) []op {
	type valueOf struct {
		model.Value
		source, id string
	}
	var fresh []*model.Record
	var values, more []valueOf // of new records, and of others
	type keyOf struct {
		*model.Value
		record *model.Record
	}
	var unique, kept []keyOf
	for i := range writes {
		if w := &writes[i]; w.New == nil && w.Old != nil {
			ops = append(ops, op{text: s.must(deleteRecord), must: true, args: []any{w.Old.Source, w.Old.ID, w.Old.Version}})
			for _, text := range [...]string{deleteValues, deleteKeys, deleteMembers, deleteGroups, dropWaits} {
				ops = append(ops, op{text: s.sql(text), args: []any{w.Old.Source, w.Old.ID}})
			}
		}
	}
	for i := range writes {
		w := &writes[i]
		switch r := w.New; {
		case r == nil:
			continue
		case w.Old == nil:
			fresh = append(fresh, r)
		default:
			args := recordArgs(r, nil)
			args = append(args[:19], args[20], w.Old.Version) // created_at stays
			ops = append(ops, op{text: s.must(updateRecord), must: true, args: args})
		}
		if w.Rekey {
			if w.Old != nil {
				ops = append(ops, op{text: s.sql(deleteKeys), args: []any{w.New.Source, w.New.ID}})
			}
			for j := range w.Unique {
				unique = append(unique, keyOf{&w.Unique[j], w.New})
			}
			for j := range w.Kept {
				kept = append(kept, keyOf{&w.Kept[j], w.New})
			}
		}
		for j := range w.DropValues {
			v := &w.DropValues[j]
			ops = append(ops, op{text: s.sql(dropValue), args: []any{w.New.Source, w.New.ID, v.Attr, cut(v.Type, maxType), cut(v.Value, maxValue)}})
		}
		begin := len(values)
		for _, v := range w.AddValues {
			values = append(values, valueOf{model.Value{Attr: v.Attr, Type: cut(v.Type, maxType), Value: cut(v.Value, maxValue)}, w.New.Source, w.New.ID})
		}
		if added := values[begin:]; w.Old != nil || !distinct(w.AddValues) {
			more, values = append(more, added...), values[:begin]
		}
		if len(w.DropMembers) > 0 {
			ops = append(ops, op{text: s.sql(dropMembers), args: []any{w.New.Source, w.New.ID, s.list(w.DropMembers)}})
		}
		if w.LeaveGroups {
			ops = append(ops, op{text: s.sql(deleteGroups), args: []any{w.New.Source, w.New.ID}})
		}
		if len(w.AddMembers) > 0 {
			ops = append(ops, op{text: s.sql(addMembers), args: []any{w.New.Source, w.New.ID, s.list(w.AddMembers)}})
		}
	}
	ops = append(ops, s.rows(insertRecords(), len(fresh), func(i int, to []any) []any { return recordArgs(fresh[i], to) })...)
	// Two that want the same values meet in the same order: one waits, none is a deadlock.
	for _, k := range []struct {
		insert
		keys []keyOf
	}{{insertKept(), kept}, {insertUnique(), unique}} {
		slices.SortFunc(k.keys, func(a, b keyOf) int {
			return cmp.Or(cmp.Compare(a.Attr, b.Attr), cmp.Compare(a.Value.Value, b.Value.Value))
		})
		ops = append(ops, s.rows(k.insert, len(k.keys), func(i int, to []any) []any {
			k := k.keys[i]
			return append(to, k.record.Source, string(k.record.Kind), k.Attr, k.Value.Value, k.record.ID)
		})...)
	}
	for _, of := range []struct {
		insert
		values []valueOf
	}{{insertValues(), values}, {insertMoreValues(), more}} {
		ops = append(ops, s.rows(of.insert, len(of.values), func(i int, to []any) []any {
			v := of.values[i]
			return append(to, v.source, v.id, v.Attr, v.Type, v.Value.Value)
		})...)
	}
	return ops
}

func accountArgs(a *model.Account, to []any) []any {
	rev := a.DesiredRev
	if rev == 0 && a.State != model.AccountUnknown {
		rev = 1
	}
	return append(to, a.IdentityID, a.Target, string(a.Class), string(a.Origin), string(a.State), a.UserName, a.Desired, rev,
		a.Because, a.HeldPlan, a.HeldAttrs, min(max(a.Priority, 0), 1), a.Administrator, a.ProtectedBy, given(a.CreatedAt), given(a.UpdatedAt), a.State != model.AccountUnknown)
}

// lastOfEach leaves out accounts that come again: PostgreSQL updates a row once in a statement.
func lastOfEach(accounts []model.Account) []*model.Account {
	type key struct{ identity, target string }
	at := make(map[key]int, len(accounts))
	list := make([]*model.Account, 0, len(accounts))
	for i := range accounts {
		a := &accounts[i]
		k := key{a.IdentityID, a.Target}
		if j, again := at[k]; again {
			list[j] = a
			continue
		}
		at[k] = len(list)
		list = append(list, a)
	}
	return list
}

// given is the time, or the clock where none is given.
func given(t time.Time) time.Time {
	if t.IsZero() {
		t = time.Now()
	}
	return stamp(t)
}

// reviewed splits what c.Review names: groups that c deletes, whose members are known only before, and the rest, with
// the members that c adds to or drops from a group that is named.
func reviewed(c *engine.Commit) (gone, left [][2]string) {
	if len(c.Review) == 0 {
		return nil, nil
	}
	writes := make(map[engine.RecordRef]*engine.Write, len(c.Records))
	for i := range c.Records {
		w := &c.Records[i]
		switch {
		case w.New != nil:
			writes[engine.RecordRef{Source: w.New.Source, ID: w.New.ID}] = w
		case w.Old != nil:
			writes[engine.RecordRef{Source: w.Old.Source, ID: w.Old.ID}] = w
		}
	}
	for _, ref := range c.Review {
		w := writes[ref]
		if w != nil && w.New == nil {
			gone = append(gone, [2]string{ref.Source, ref.ID})
			continue
		}
		left = append(left, [2]string{ref.Source, ref.ID})
		if w == nil {
			continue
		}
		for _, ids := range [...][]string{w.AddMembers, w.DropMembers} {
			for _, id := range ids {
				left = append(left, [2]string{ref.Source, id})
			}
		}
	}
	return gone, left
}

func (s *Store) reviewOps(ops []op, c *engine.Commit, refs [][2]string, suspect string) []op {
	if len(refs) == 0 {
		return ops
	}
	a, b := s.pairs(refs)
	return append(ops, op{text: s.sql(review), args: []any{a, b, stamp(c.ReviewAt), c.ReviewRun, suspect}})
}

// peopleOps marks people. What the recursion costs, which expects many, is a few times what one needs.
func (s *Store) peopleOps(ops []op, c *engine.Commit) []op {
	ops = s.reportOps(ops, c)
	switch len(c.People) {
	case 0:
		return ops
	case 1:
		return append(ops, op{text: s.sql(reviewPerson), args: []any{c.People[0].Source, c.People[0].ID, stamp(c.ReviewAt), c.ReviewRun, ""}})
	}
	refs := make([][2]string, len(c.People))
	for i, ref := range c.People {
		refs[i] = [2]string{ref.Source, ref.ID}
	}
	a, b := s.pairs(refs)
	return append(ops, op{text: s.sql(reviewPeople), args: []any{a, b, stamp(c.ReviewAt), c.ReviewRun, ""}})
}

// checkIDs refuses identifiers that only SQLite could index. Other keys are cut (see maxKey).
func checkIDs(c *engine.Commit) error {
	for i := range c.Records {
		if r := c.Records[i].New; r != nil && len(r.ID) > maxID {
			return fmt.Errorf("%w: a record id is longer than %d bytes", model.ErrInvalid, maxID)
		}
	}
	return nil
}

// usable leaves out correlation keys that no index can hold: so long a value identifies nobody.
func usable(k model.Key) bool { return len(k.Value) <= maxKey }
